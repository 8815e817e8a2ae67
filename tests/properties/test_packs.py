"""Packs against everything: whatever the records and the shape, what went in comes out, and bounds are true."""

from __future__ import annotations

import io
import json
from datetime import datetime
from typing import Any

import polars
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st

from dataknobs_data.codec import as_read
from dataknobs_data.codec import encode as to_bytes
from dataknobs_data.documents import Change, Document, Verb, resolve, to_record
from dataknobs_data.records import Record
from dataknobs_data.runtime import Runtime
from dataknobs_data.s3.table.bounds import Stats
from dataknobs_data.s3.table.joining import documents_of
from dataknobs_data.s3.table.kinds import BY_NAME
from dataknobs_data.s3.table.packs import Pack, encode
from dataknobs_data.s3.table.reading import PackReader
from dataknobs_data.s3.table.shape import Shape, grow, may_be_column
from dataknobs_data.s3.table.writing import packs
from tests.contract.exactness import exact, exact_record
from tests.properties.strategies import field_names, ids, likely_records, records, texts

_stamps = st.sampled_from(
    [
        "2024-05-01T12:00:00.000000Z",
        "0001-01-01T00:00:00.000000Z",
        "9999-12-31T23:59:59.999999Z",
        "2024-05-01T12:00:00Z",
        "2024-05-01T12:00:00+02:00",
        "0001-01-01T00:00:00+10:00",
        "soon",
    ]
)
_births = st.text("AB", min_size=1, max_size=3)


@st.composite
def documents(draw: st.DrawFn) -> Document:
    """A record as it may be stored: by us or by another writer, replacing others or not."""
    record: Record = draw(records() | likely_records())
    made = resolve(Change(Verb.CREATE, draw(ids), record), None, Runtime())
    assert made is not None
    return Document(
        id=made.id,
        data=made.data,
        metadata=made.metadata,
        created_at=draw(st.just(made.created_at) | _stamps),
        updated_at=draw(st.just(made.updated_at) | _stamps),
        born=draw(_births),
        revision=draw(_births),
        replaces=draw(st.frozensets(_births, max_size=2)),
        fields=made.fields,
    )


batches = st.lists(documents(), min_size=1, max_size=6, unique_by=lambda document: document.id)

shapes = st.dictionaries(
    (field_names | st.sampled_from(["a", "b", "c"])).filter(may_be_column), st.sampled_from(sorted(BY_NAME)), max_size=6
).map(lambda fields: Shape(tuple(fields.items())))
"""Tables of other records: their columns agree with ours, or not."""


def table_of(pack: Pack) -> pa.Table:
    """The pack as pyarrow reads it."""
    return pq.read_table(pa.BufferReader(pack.body))


def faithful(document: Document) -> Any:
    """A form that is equal for two documents exactly when nobody can tell them apart."""
    told = (document.created_at, document.updated_at, document.born, document.revision, document.replaces)
    return exact_record(to_record(document)), told, exact(document.fields), to_bytes(document)


@given(batches, shapes, st.booleans())
@settings(deadline=None)
def test_what_goes_in_comes_out_whatever_the_shape(batch: list[Document], shape: Shape, grown: bool) -> None:
    shape = grow(shape, batch) if grown else shape
    pack = encode(batch, shape)
    found = list(documents_of(table_of(pack)))
    expected = sorted(batch, key=lambda document: document.id)
    assert [faithful(one) for one in found] == [faithful(as_read(one)) for one in expected]


@given(batches, shapes)
@settings(deadline=None)
def test_bounds_are_true_for_every_row(batch: list[Document], shape: Shape) -> None:
    pack = encode(batch, grow(shape, batch))
    stats = Stats.from_json(pack.stats.to_json())
    table = table_of(pack)
    assert stats.records == table.num_rows
    for name in table.column_names:
        values = table[name].to_pylist()
        assert stats.nulls[name] == values.count(None)
        for value in values:
            if value is not None and name in stats.least:
                assert comparable(stats.least[name], value) <= value
            if value is not None and name in stats.most:
                assert value <= comparable(stats.most[name], value)


def comparable(bound: Any, value: Any) -> Any:
    """A bound of the log as a value of the column's type."""
    if isinstance(value, datetime):
        return datetime.fromisoformat(bound)
    return type(value).fromisoformat(bound) if hasattr(value, "isoformat") else bound


@given(
    st.lists(st.text(st.sampled_from("a\ud7ff\ue000\U0010ffff") | st.characters(exclude_categories=["Cs"])), min_size=1)
)
def test_bounds_of_long_texts_are_true(values: list[str]) -> None:
    long = [value * 20 for value in values]
    made = [plain(str(place), {"x": value}) for place, value in enumerate(long)]
    stats = encode(made, Shape((("x", "string"),))).stats
    assert stats.least["x"] <= min(long)
    assert "x" not in stats.most or stats.most["x"] >= max(long)
    assert "x" in stats.most or max(long).startswith("\U0010ffff" * 32)
    assert len(stats.least["x"]) <= 32 >= len(stats.most.get("x", ""))


@given(batches, shapes)
@settings(deadline=None)
def test_names_outside_of_columns_are_named(batch: list[Document], shape: Shape) -> None:
    pack = encode(batch, shape)
    assert pack.rest_names is not None
    for row in table_of(pack).to_pylist():
        rest = json.loads(row["_rest"] or "{}")
        data = rest.get("data", {})
        assert {name for name in data if data[name] is not None} <= pack.rest_names
        assert {name for name in data if data[name] is None} <= pack.rest_names | pack.null_names | shape.places.keys()


@given(batches, shapes, st.sets(ids, max_size=3))
@settings(deadline=None)
def test_a_reader_finds_exactly_the_ids_that_are_there(batch: list[Document], shape: Shape, others: set[str]) -> None:
    pack = encode(batch, shape)
    content = pack.body.to_pybytes()
    reader = PackReader(lambda spans: [content[at : at + size] for at, size in spans], pack.size, pack.tail)
    asked = others | {batch[0].id}
    found = {document.id: faithful(document) for document in reader.find(asked)}
    assert found == {one.id: faithful(as_read(one)) for one in batch if one.id in asked}
    assert reader.shape == shape


@given(batches, batches, batches, shapes)
@settings(deadline=None)
def test_packs_of_many_windows_hold_every_record(
    first: list[Document], second: list[Document], third: list[Document], shape: Shape
) -> None:
    every = [
        plain(f"{number}/{one.id}", one.data) for number, part in enumerate((first, third, second)) for one in part
    ]
    made = list(packs(every, shape, 1))
    found = [document for pack in made for document in documents_of(table_of(pack))]
    assert sorted(map(faithful, found)) == sorted(faithful(as_read(one)) for one in every)


@given(batches, batches, shapes)
def test_shapes_only_grow(first: list[Document], second: list[Document], shape: Shape) -> None:
    one, other = grow(shape, first), grow(shape, second)
    both = grow(one, second)
    assert one.extends(shape)
    assert both.extends(one)
    assert Shape.from_schema_string(both.schema_string()) == both == Shape.from_arrow(both.arrow)
    assert grow(other, second) == other
    assert grow(shape, first) == one


@given(
    st.lists(
        st.dictionaries(st.sampled_from("abcdef"), st.integers() | texts | st.floats() | st.booleans()), min_size=1
    )
)
@settings(deadline=None)
def test_other_readers_see_the_same_plain_values(datas: list[dict[str, Any]]) -> None:
    batch = [plain(f"{place:04}", data) for place, data in enumerate(datas)]
    pack = encode(batch, grow(Shape(), batch))
    ours = table_of(pack)
    theirs = polars.read_parquet(io.BytesIO(pack.body.to_pybytes()))
    assert theirs.columns == ours.column_names
    for name in ours.column_names:
        assert exact(theirs[name].to_list()) == exact(ours[name].to_pylist()) or name in ("_created_at", "_updated_at")


def plain(id: str, data: Any) -> Document:
    """A document with nothing unusual around its data."""
    return Document(id, data, {}, "2024-05-01T12:00:00.000000Z", "2024-05-01T12:00:00.000000Z", id, id)
