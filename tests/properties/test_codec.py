"""The codec against everything: what goes in comes out, and no bytes make it fail in an unknown way."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from dataknobs_data.codec import as_read, decode, encode
from dataknobs_data.documents import Change, Document, Verb, resolve, to_record
from dataknobs_data.exceptions import DataFormatError
from dataknobs_data.records import Record
from dataknobs_data.runtime import Runtime
from tests.contract.exactness import exact, exact_record
from tests.properties.strategies import records, storable_values


def made(record: Record) -> Document:
    """The first version of a record."""
    document = resolve(Change(Verb.CREATE, record.id or "r", record), None, Runtime())
    assert document is not None
    return document


@given(records())
def test_what_goes_in_comes_out(record: Record) -> None:
    document = made(record)
    found = as_read(document)
    assert exact_record(to_record(found)) == exact_record(to_record(document))
    assert (found.born, found.revision, found.created_at) == (document.born, document.revision, document.created_at)
    assert encode(found) == encode(document)


@given(records())
def test_a_document_is_strict_json(record: Record) -> None:
    def refuse(constant: str) -> Any:
        raise AssertionError(constant)

    json.loads(encode(made(record)), parse_constant=refuse)


@given(storable_values)
def test_reading_shares_nothing(value: Any) -> None:
    document = made(Record({"x": value}, id="r"))
    first, second = to_record(document), to_record(document)
    assert exact(first["x"]) == exact(second["x"])
    if isinstance(value, list | dict | set | bytearray):
        assert first["x"] is not second["x"]
        assert first["x"] is not value


@given(records(), st.data())
def test_bytes_that_were_damaged_are_a_document_or_a_clear_error(record: Record, data: st.DataObject) -> None:
    body = bytearray(encode(made(record)))
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(body) - 1))
        body[place : place + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=2))
    try:
        found = decode(bytes(body), id="r", birth="b", modified="2024-05-01T00:00:00Z")
    except DataFormatError as error:
        assert "'r'" in str(error)  # noqa: PT017  either answer is right
    else:
        to_record(found)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-5, 2**70) | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["data", "metadata", "types", "fields", "replaces", "format", "/data/a", "a", "type"]),
                inner,
            )
        ),
        max_leaves=10,
    )
)
def test_any_json_is_a_document_or_a_clear_error(tree: Any) -> None:
    try:
        found = decode(json.dumps(tree).encode(), id="r", birth="b", modified="2024-05-01T00:00:00Z")
    except DataFormatError as error:
        assert "'r'" in str(error)  # noqa: PT017  either answer is right
    else:
        to_record(found)
