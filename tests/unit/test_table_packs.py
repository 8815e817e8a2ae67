"""How packs are laid out, what a reader asks for, and what becomes of odd rows."""

from __future__ import annotations

import io
import json
import random
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from zlib import crc32

import duckdb
import polars
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from dataknobs_data.documents import Document
from dataknobs_data.exceptions import DataFormatError, SerializationError
from dataknobs_data.s3.table import packs as packing
from dataknobs_data.s3.table import writing
from dataknobs_data.s3.table.bloom import BloomFilter, xxh64
from dataknobs_data.s3.table.joining import documents_of
from dataknobs_data.s3.table.packs import Pack, encode
from dataknobs_data.s3.table.reading import PackReader
from dataknobs_data.s3.table.rows import Rows
from dataknobs_data.s3.table.shape import Shape, grow
from dataknobs_data.s3.table.spans import GAP_MAX, SPAN_MAX, Span, SpanFile, joined
from dataknobs_data.s3.table.writing import PackWriter, packs

NOW = "2026-01-01T00:00:00.000000Z"


def document(id: str, data: dict[str, Any] | None = None, **over: Any) -> Document:
    """A document with nothing unusual."""
    told: dict[str, Any] = {"metadata": {}, "created_at": NOW, "updated_at": NOW, "born": "b", "revision": f"r{id}"}
    return Document(id=id, data={"n": 1} if data is None else data, **{**told, **over})


def many(count: int, **over: Any) -> list[Document]:
    """Documents with values of some types."""
    return [
        document(
            f"id-{place:06}", {"n": place, "name": f"name {place}", "ratio": place / 7, "odd": place % 2 == 1}, **over
        )
        for place in range(count)
    ]


def rows(pack: Pack) -> list[dict[str, Any]]:
    """The pack as another reader sees it."""
    found: list[dict[str, Any]] = pq.read_table(pa.BufferReader(pack.body)).to_pylist()
    return found


class Wire:
    """A pack in a store: counts the ranges that are asked for."""

    def __init__(self, pack: Pack) -> None:
        self.content = pack.body.to_pybytes()
        self.asked: list[Span] = []

    def __call__(self, spans: Sequence[Span]) -> list[bytes]:
        self.asked += spans
        return [self.content[start : start + length] for start, length in spans]


def opened(pack: Pack, tail: int | None = None) -> tuple[PackReader, Wire]:
    """A reader of the pack and its wire."""
    wire = Wire(pack)
    return PackReader(wire, pack.size, tail, name="p.parquet"), wire


@pytest.fixture
def small_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    """Row groups of a few rows."""
    monkeypatch.setattr(packing, "GROUP_BYTES", 4096)


# ---------------------------------------------------------------------------------------------- rows
def test_rows_are_sorted_by_code_point() -> None:
    ids = ["b", "B", "ä", "\U0001f600", "\uffff", "a/b", "a"]
    assert [row["_id"] for row in rows(encode([document(id) for id in ids], Shape()))] == sorted(ids)


def test_a_field_that_agrees_stands_in_its_column_alone() -> None:
    (row,) = rows(encode([document("x", {"n": 5})], Shape((("n", "long"),))))
    assert row["n"] == 5
    assert row["_rest"] is None
    assert row["_metadata"] is None


@pytest.mark.parametrize(
    "value", ["5", 5.0, True, None, 2**63, [5], {"x": 5}, datetime(2026, 1, 1), date(2026, 1, 1)], ids=repr
)
def test_a_value_of_another_type_lies_in_rest(value: Any) -> None:
    one = document("x", {"n": value})
    pack = encode([one, document("y", {"n": 7})], Shape((("n", "long"),)))
    first, second = rows(pack)
    assert (first["n"], second["n"], second["_rest"]) == (None, 7, None)
    assert list(json.loads(first["_rest"])["data"]) == ["n"]
    assert pack.rest_names == ({"n"} if value is not None else set()), "a null beside the column is one in it"
    assert pack.null_names == set()
    found = next(documents_of(pq.read_table(pa.BufferReader(pack.body))))
    assert found == one
    assert type(found.data["n"]) is type(value)


def test_rest_says_only_what_columns_do_not() -> None:
    shape = Shape((("a", "long"), ("b", "long")))
    batch = [
        document("1", {"b": 1, "a": 2}),
        document("2", {"a": 1, "c": 3, "b": 2}),
        document("3", {"a": 1, "c": 3}),
        document("4", {"a": 1}, replaces=frozenset({"y", "x"}), fields={"a": {"type": "float"}}),
        document("5", {"a": 1}, created_at="2026-01-01T00:00:00+00:00", metadata={"due": date(2026, 1, 2)}),
    ]
    found = rows(encode(batch, shape))
    assert [json.loads(row["_rest"]) for row in found] == [
        {"order": ["b", "a"]},
        {"data": {"c": 3}, "order": ["a", "c", "b"]},
        {"data": {"c": 3}},
        {"fields": {"a": {"type": "float"}}, "replaces": ["x", "y"]},
        {"created_at": "2026-01-01T00:00:00+00:00", "types": {"/metadata/due": "date"}},
    ]
    assert found[4]["_created_at"] == datetime(2026, 1, 1, tzinfo=UTC)
    assert found[4]["_metadata"] == '{"due":"2026-01-02"}'
    assert list(documents_of(pq.read_table(pa.BufferReader(encode(batch, shape).body)))) == batch


@pytest.mark.parametrize(
    "shape", [Shape(), Shape((("x", "string"),)), Shape((("x", "long"),))], ids=["none", "text", "long"]
)
def test_a_lone_surrogate_is_refused_with_its_place(shape: Shape) -> None:
    with pytest.raises(SerializationError, match=r"/data/x"):
        encode([document("1", {"x": "\ud800"})], shape)


def test_a_lone_surrogate_in_metadata_is_refused_with_its_place() -> None:
    with pytest.raises(SerializationError, match=r"/metadata/x"):
        encode([document("1", metadata={"x": "\ud800"})], Shape())


@pytest.mark.parametrize(
    ("column", "text"), [("_rest", "{"), ("_rest", "[]"), ("_metadata", "nope"), ("_metadata", "1")]
)
def test_a_damaged_row_is_named(column: str, text: str) -> None:
    table = pq.read_table(pa.BufferReader(encode([document("x1")], Shape()).body))
    place = table.column_names.index(column)
    broken = table.set_column(place, table.schema.field(place), pa.array([text]))
    with pytest.raises(DataFormatError, match=rf"'x1'.*{column}"):
        list(documents_of(broken))


def test_rows_that_another_engine_rewrote_are_the_same() -> None:
    batch = many(50)
    pack = encode(batch, grow(Shape(), batch))
    sink = io.BytesIO()
    polars.read_parquet(io.BytesIO(pack.body.to_pybytes())).write_parquet(sink)
    assert list(documents_of(pq.read_table(io.BytesIO(sink.getvalue())))) == batch
    content = sink.getvalue()
    reader = PackReader(lambda spans: [content[at : at + size] for at, size in spans], len(content))
    assert [one.id for one in reader.find(["id-000007", "id-9"])] == ["id-000007"]


# ---------------------------------------------------------------------------------------------- layout
@pytest.mark.usefixtures("small_groups")
def test_a_pack_can_be_skipped_and_searched() -> None:
    pack = encode(many(500), grow(Shape(), many(500)))
    metadata = pq.read_metadata(pa.BufferReader(pack.body))
    assert metadata.num_row_groups > 5
    for group in range(metadata.num_row_groups):
        column = metadata.row_group(group).column(0)
        assert column.has_column_index
        assert column.has_offset_index
        assert column.bloom_filter_length
        assert column.compression == "ZSTD"
        assert metadata.row_group(group).sorting_columns[0].column_index == 0


def test_row_groups_are_sized_by_bytes() -> None:
    short, long = (
        many(3000),
        [document(f"{place:04}", {"text": random.Random(place).randbytes(30_000).hex()}) for place in range(60)],
    )
    for batch in (short, long):
        metadata = pq.read_metadata(pa.BufferReader(encode(batch, grow(Shape(), batch)).body))
        sizes = [metadata.row_group(group).total_byte_size for group in range(metadata.num_row_groups)]
        assert max(sizes) < 2 * packing.GROUP_BYTES
        assert metadata.num_row_groups <= sum(sizes) / packing.GROUP_BYTES + 2


def test_the_companion_says_what_a_change_has_to_know_of_a_row() -> None:
    pack = encode(many(10), Shape(), companion=True)
    assert pack.companion is not None
    found = pq.read_table(pa.BufferReader(pack.companion.body))
    assert found.column_names == ["_id", "_born", "_revision", "_created_at"]
    assert found.equals(pq.read_table(pa.BufferReader(pack.body)).select(found.column_names))
    assert crc32(pack.companion.body[-pack.companion.tail :]) == pack.companion.tail_crc
    assert encode(many(10), Shape()).companion is None


def test_a_companion_is_read_as_packs_are() -> None:
    companion = encode(many(100_000), Shape(), companion=True).companion
    assert companion is not None
    ranges: list[Any] = []

    def read(spans: Any) -> list[bytes]:
        ranges.extend(spans)
        return [bytes(companion.body[start : start + length]) for start, length in spans]

    reader = PackReader(read, companion.size, companion.tail, tail_crc=companion.tail_crc)
    (table,) = reader.rows(["id-050000"], ["_born", "_created_at"])
    assert table.column_names == ["_id", "_born", "_created_at"]
    assert table.num_rows == 1
    assert not list(reader.rows(["id-0500001"], ["_born"])), "its bloom filter says so"
    assert len(ranges) == 2, "its tail, and one row group"
    assert sum(length for _, length in ranges) < companion.size


def test_too_many_names_in_rest_are_not_listed() -> None:
    wide = [document("1", {f"f{place}": 1 for place in range(packing.REST_NAMES_MAX + 1)})]
    assert encode(wide, Shape()).rest_names is None
    nulls = encode([document("1", {f"f{place}": None for place in range(packing.REST_NAMES_MAX + 1)})], Shape())
    assert (nulls.rest_names, nulls.null_names) == (None, frozenset())


def test_names_that_have_nothing_but_nulls_are_named_apart() -> None:
    batch = [document("1", {"a": None, "b": None, "c": None}), document("2", {"a": 1, "b": 2})]
    pack = encode(batch, Shape((("a", "long"),)))
    assert (pack.rest_names, pack.null_names) == ({"b"}, {"c"})


@pytest.mark.parametrize("ascending", [True, False])
def test_names_of_all_windows_are_told(monkeypatch: pytest.MonkeyPatch, ascending: bool) -> None:
    monkeypatch.setattr(writing, "WINDOW_FIRST", 1)
    monkeypatch.setattr(writing, "WINDOW", 1)
    batch = [
        document("1", {"a": "x", "b": [1], "c": None}),
        document("2", {"a": 1, "d": None}),
        document("3", {"a": 2}),
    ]
    [pack] = packs(batch if ascending else reversed(batch), Shape((("a", "long"),)), 1 << 20)
    assert (pack.rest_names, pack.null_names) == ({"a", "b"}, {"c", "d"})


# ---------------------------------------------------------------------------------------------- bounds
def test_bounds_say_what_the_log_needs() -> None:
    moment = datetime(2026, 1, 1, 12, 30, 15, 123456, tzinfo=UTC)
    batch = [
        document(
            "a", {"n": -5, "f": 0.0, "s": "x" * 40, "t": moment, "d": date(2026, 1, 2), "b": True, "y": b"1", "z": -0.0}
        ),
        document("b", {"n": 5, "f": 1.5}),
    ]
    stats = json.loads(encode(batch, grow(Shape(), batch)).stats.to_json())
    assert stats["numRecords"] == 2
    users = {name: value for name, value in stats["minValues"].items() if not name.startswith("_")}
    assert users == {
        "n": -5,
        "f": 0.0,
        "s": "x" * 32,
        "t": "2026-01-01T12:30:15.123456Z",
        "d": "2026-01-02",
        "b": True,
        "z": 0.0,
    }
    assert stats["maxValues"]["s"] == "x" * 31 + "y"
    assert stats["minValues"]["_id"] == "a"
    assert stats["maxValues"]["_id"] == "b"
    assert stats["nullCount"]["y"] == 1
    assert stats["nullCount"]["_rest"] == 2


def test_ids_have_whole_bounds() -> None:
    long = "x" * 500
    assert encode([document(long)], Shape()).stats.most["_id"] == long


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_doubles_that_json_lacks_have_no_bound(value: float) -> None:
    text = encode([document("a", {"f": value}), document("b", {"f": 1.0})], Shape((("f", "double"),))).stats.to_json()
    stats = json.loads(text)
    assert ("f" in stats["minValues"]) == (value == float("inf"))
    assert ("f" in stats["maxValues"]) == (value == float("-inf"))


def test_bounds_of_parts_make_bounds_of_the_whole() -> None:
    parts = [{"f": 1.0, "s": "b"}, {"s": "a"}, {"f": float("nan")}]
    shape = Shape((("f", "double"), ("s", "string")))
    one, two, three = (encode([document(str(place), data)], shape).stats for place, data in enumerate(parts))
    assert (one.with_more(two).least["f"], one.with_more(two).most["f"]) == (1.0, 1.0)
    assert (two.with_more(one).least["s"], two.with_more(one).most["s"]) == ("a", "b")
    assert "f" not in two.with_more(three).with_more(one).least
    assert one.with_more(two).with_more(three).nulls == {**one.nulls, "_rest": 3, "_metadata": 3, "f": 1, "s": 1}


# ---------------------------------------------------------------------------------------------- many
def test_ordered_ids_stream_into_packs_of_the_target(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "_ORDERED", 100_000)
    made = list(packs(many(60_000), Shape(), 50_000))
    assert [one for pack in made for one in documents_of(pq.read_table(pa.BufferReader(pack.body)))] == many(60_000)
    assert len(made) > 1
    assert all(50_000 < pack.size < 150_000 for pack in made[:-1])


def test_ids_in_any_order_are_sorted_within_their_pack(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "HELD_MAX", 1_000_000)
    shuffled = many(20_000)
    random.Random(1).shuffle(shuffled)
    made = list(packs(shuffled, Shape(), 1 << 30, companion=True))
    assert len(made) > 1
    found = []
    for pack in made:
        part = list(documents_of(pq.read_table(pa.BufferReader(pack.body))))
        assert part == sorted(part, key=lambda one: one.id)
        assert pack.stats.records == len(part) == pq.read_metadata(pa.BufferReader(pack.companion.body)).num_rows
        found += part
    assert sorted(found, key=lambda one: one.id) == many(20_000)


def test_order_that_ends_late_ends_the_pack(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "_ORDERED", 1)
    writer = PackWriter(Shape(), 1 << 30)
    assert writer.add(Rows.of(many(10))) is None
    first = writer.add(Rows.of(many(5)))
    second = writer.finish()
    assert first is not None
    assert second is not None
    assert (first.stats.records, second.stats.records) == (10, 5)
    assert writer.finish() is None


@pytest.mark.parametrize("streaming", [True, False])
def test_a_shape_that_grows_on_the_way_loses_nothing(streaming: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "_ORDERED", 1 if streaming else 1 << 40)
    batch = [document(f"{place:05}", {"a": 1} if place < 600 else {"b": 2, "a": "x"}) for place in range(2000)]
    (pack,) = packs(batch, Shape(), 1 << 30)
    assert list(documents_of(pq.read_table(pa.BufferReader(pack.body)))) == batch
    assert pack.shape == Shape((("a", "long"),) if streaming else (("a", "long"), ("b", "long")))
    assert pack.rest_names == ({"a", "b"} if streaming else {"a"})


def test_windows_shrink_for_large_records() -> None:
    writer = PackWriter(Shape(), 1 << 40)
    writer.add(Rows.of(many(1)))
    assert writer.window == packing.WINDOW
    writer.add(Rows.of([document("x", {"text": "x" * 1_000_000})]))
    assert writer.window == 8


def test_no_documents_make_no_pack() -> None:
    assert list(packs([], Shape(), 1)) == []


# ---------------------------------------------------------------------------------------------- reading
@pytest.mark.usefixtures("small_groups")
def test_a_point_read_takes_one_range_after_the_tail() -> None:
    pack = encode(many(500), grow(Shape(), many(500)))
    reader, wire = opened(pack, pack.tail)
    assert list(reader.find(["id-000123"])) == [many(500)[123]]
    assert wire.asked[0] == (pack.size - pack.tail, pack.tail)
    assert len(wire.asked) == 2
    assert list(reader.find(["id-000321"])) == [many(500)[321]]
    assert len(wire.asked) == 3
    assert wire.asked[-1][1] < pack.size / 5


@pytest.mark.usefixtures("small_groups")
def test_an_id_that_is_not_there_takes_no_range() -> None:
    reader, wire = opened(pack := encode(many(500), grow(Shape(), many(500))), pack.tail)
    absent = [f"id-{place:06}x" for place in range(499)]
    found = sum(bool(reader.may_hold([id])) for id in absent)
    assert found < 25
    assert list(reader.find(["a", "z"])) == []
    assert len(wire.asked) == 1


@pytest.mark.usefixtures("small_groups")
def test_neighbors_come_in_one_range_and_all_ids_are_found() -> None:
    reader, wire = opened(pack := encode(many(500), grow(Shape(), many(500))), pack.tail)
    assert list(reader.find([f"id-{place:06}" for place in range(500)])) == many(500)
    assert len(wire.asked) <= 1 + len(reader.groups) / 16 + 1


def test_a_long_footer_is_found_without_knowing_the_tail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "GROUP_BYTES", 1024)
    pack = encode(many(3000), grow(Shape(), many(3000)))
    reader, wire = opened(pack)
    assert list(reader.find(["id-000123"])) == [many(500)[123]]
    assert len(wire.asked) >= 3
    assert wire.asked[1][0] + wire.asked[1][1] == wire.asked[0][0]


def test_columns_and_groups_are_read_alone() -> None:
    pack = encode(many(500), grow(Shape(), many(500)))
    reader, _ = opened(pack, pack.tail)
    table = reader.read([0], ["n", "_id", "unknown"])
    assert sorted(table.column_names) == ["_id", "n"]
    assert table["n"].to_pylist() == list(range(500))
    assert reader.read([]).num_rows == 0
    (found,) = reader.rows(["id-000007"], ["_born"])
    assert found.to_pylist() == [{"_id": "id-000007", "_born": "b"}]


@pytest.mark.parametrize("damage", [slice(-4, None), slice(-8, -4), slice(-40, -10), slice(4, 300)])
def test_damaged_packs_are_named(damage: slice) -> None:
    pack = encode(many(500), grow(Shape(), many(500)))
    content = bytearray(pack.body.to_pybytes())
    content[damage] = b"\xff" * len(content[damage])
    reader = PackReader(
        lambda spans: [bytes(content[at : at + size]) for at, size in spans], pack.size, name="p.parquet"
    )
    with pytest.raises(DataFormatError, match=r"p\.parquet: damaged pack"):
        list(reader.find(["id-000001"]))


# ---------------------------------------------------------------------------------------------- parts
def test_spans_are_joined_where_a_request_costs_more() -> None:
    assert joined([(GAP_MAX + 20, 5), (0, 10), (10, 5)]) == [(0, 15), (GAP_MAX + 20, 5)]
    assert joined([(0, 10), (10 + GAP_MAX, 5)]) == [(0, GAP_MAX + 15)]
    assert joined([(0, 10), (11 + GAP_MAX, 5)]) == [(0, 10), (11 + GAP_MAX, 5)]
    assert joined([(0, SPAN_MAX + 1)]) == [(0, SPAN_MAX), (SPAN_MAX, 1)]
    assert joined([]) == []


def test_a_file_of_spans_reads_across_them_and_not_beyond() -> None:
    file = SpanFile(20, [(5, b"fghij"), (10, b"klm")])
    file.seek(6)
    assert file.read(5) == b"ghijk"
    assert file.tell() == 11
    file.seek(0, io.SEEK_END)
    assert file.read(1) == b""
    for place in (0, 13):
        file.seek(place)
        with pytest.raises(OSError, match="not fetched"):
            file.read(1)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", 0xEF46DB3751D8E999),
        (b"a", 0xD24EC4F1A98C6E5B),
        (b"abc", 0x44BC2CF5AD770999),
        (b"xxhash", 3665147885093898016),
        (b"The quick brown fox jumps over the lazy dog", 0x0B242D361FDA71BC),
    ],
)
def test_the_hash_is_xxhash64(data: bytes, expected: int) -> None:
    assert xxh64(data) == expected


@pytest.mark.parametrize("content", [b"", b"\x15" + b"\xff" * 40, b"\x00" * 40, b"\x15\x02" + b"\x00" * 40])
def test_a_damaged_filter_is_an_error(content: bytes) -> None:
    with pytest.raises(DataFormatError, match="bloom filter"):
        BloomFilter(content)


# ---------------------------------------------------------------------------------------------- other readers
def test_other_engines_count_and_filter_the_same(tmp_path: Path) -> None:
    batch = many(1000)
    path = tmp_path / "p.parquet"
    path.write_bytes(encode(batch, grow(Shape(), batch)).body.to_pybytes())
    expected = sum(one.data["n"] for one in batch if one.data["ratio"] > 50 and one.data["odd"])
    (found,) = duckdb.sql(f"SELECT sum(n) FROM '{path}' WHERE ratio > 50 AND odd").fetchall()
    assert found == (expected,)
    assert (
        polars.scan_parquet(path).filter(polars.col("ratio") > 50, polars.col("odd")).collect()["n"].sum() == expected
    )
    chosen = ds.dataset(path).to_table(filter=(ds.field("ratio") > 50) & ds.field("odd"))
    assert sum(chosen["n"].to_pylist()) == expected
    assert duckdb.sql(f"SELECT name FROM '{path}' WHERE _id = 'id-000500'").fetchall() == [("name 500",)]


# ---------------------------------------------------------------------------------------------- what all share
def test_a_pack_knows_the_metadata_that_all_its_rows_share() -> None:
    def shared(*metadata: dict[str, Any]) -> Any:
        return encode([document(f"i{n}", metadata=one) for n, one in enumerate(metadata)], Shape()).shared

    assert shared({"a": 1, "b": "x", "n": 0}, {"b": "x", "a": 1, "n": 1}) == {"a": 1, "b": "x"}
    assert shared({"a": 1}, {}) == {}
    assert shared({"a": 1}, {"a": True}) == {}
    assert shared({"a": date(2024, 5, 1), "b": 10**30}) == {"a": "2024-05-01", "b": 10**30} | shared({"b": 10**30})
    assert shared({}, {}) == {}
    same = [document(f"i{n:06}", metadata={"team": "blue", "n": n}) for n in range(3000)]
    assert encode(same, Shape()).shared == {"team": "blue"}
