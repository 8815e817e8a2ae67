"""Columns of packs held in memory: what is asked for again costs no request, and is the same."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pytest

from dataknobs_data.documents import Document
from dataknobs_data.query import Query
from dataknobs_data.records import Record
from dataknobs_data.s3.table.held import OVERHEAD_BYTES, HeldColumns
from dataknobs_data.s3.table.packs import Pack, encode
from dataknobs_data.s3.table.reading import PackReader
from dataknobs_data.s3.table.shape import ID, Shape, grow
from dataknobs_data.s3.table.spans import Span
from tests.unit.tiered_world import TieredWorld

AT = "2025-01-01T00:00:00.000000Z"


def a_pack(monkeypatch: pytest.MonkeyPatch) -> Pack:
    """100 records in four row groups."""
    monkeypatch.setattr("dataknobs_data.s3.table.packs.GROUP_ROWS_MAX", 25)
    documents = [Document(f"{n:03}", {"n": n, "s": f"x{n % 7}"}, {}, AT, AT, "B", f"R{n}") for n in range(100)]
    return encode(documents, grow(Shape(), documents))


class Wire:
    """The ranges of a pack; counts how often they were asked for."""

    def __init__(self, pack: Pack) -> None:
        self.body, self.asked = pack.body.to_pybytes(), 0

    def __call__(self, spans: Sequence[Span]) -> list[bytes]:
        self.asked += 1
        return [self.body[start : start + length] for start, length in spans]


def opened(pack: Pack, most_bytes: int) -> tuple[PackReader, Wire]:
    wire = Wire(pack)
    reader = PackReader(wire, pack.size, pack.tail, name="p", held=HeldColumns(most_bytes))
    assert list(reader.groups) == [0, 1, 2, 3]
    wire.asked = 0
    return reader, wire


def test_what_is_held_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, wire = opened(a_pack(monkeypatch), 1 << 20)
    first = reader.read([1, 2], ["n", ID], hold=True)
    assert wire.asked == 1
    assert reader.read([1, 2], ["n", ID], hold=True).equals(first)
    assert reader.read([2], ["n"]).column("n").to_pylist() == list(range(50, 75))
    assert wire.asked == 1
    assert reader.read([2], ["n", "s"])["s"].to_pylist() == [f"x{n % 7}" for n in range(50, 75)]
    assert wire.asked == 2


@pytest.mark.parametrize("hold", [True, False])
def test_partly_held_is_the_same_as_fetched(monkeypatch: pytest.MonkeyPatch, hold: bool) -> None:
    pack = a_pack(monkeypatch)
    reader, _ = opened(pack, 1 << 20)
    plain = PackReader(Wire(pack), pack.size, pack.tail)
    reader.read([3], ["n"], hold=True)
    reader.read([0, 2], [ID, "s"], hold=True)
    for groups, columns in ((None, None), ([3, 0], ["s", "n"]), ([1], ["n", "unknown"]), ([], None), ([2], [])):
        found, wanted = reader.read(groups, columns, hold=hold), plain.read(groups, columns)
        assert found.combine_chunks().equals(wanted.combine_chunks()), (groups, columns)


def test_nothing_is_held_unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, wire = opened(a_pack(monkeypatch), 1 << 20)
    reader.read([0])
    reader.read([0])
    assert wire.asked == 2


def test_records_found_once_are_found_again_without_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, wire = opened(a_pack(monkeypatch), 1 << 20)
    assert [document.data["n"] for document in reader.find(["030", "031"])] == [30, 31]
    asked = wire.asked
    assert [document.data["n"] for document in reader.find(["040"])] == [40]
    assert wire.asked == asked


def test_the_room_is_bounded_and_the_longest_unused_goes_first() -> None:
    column = pa.chunked_array([pa.array(range(1000), pa.int64())])
    cost = column.nbytes + OVERHEAD_BYTES
    held = HeldColumns(10 * cost)
    for group in range(10):
        held.put(("p", group, "n"), column)
    held.begin()
    assert held.get(("p", 0, "n")) is column
    held.put(("p", 10, "n"), column)
    assert [held.get(("p", group, "n")) is not None for group in range(11)] == [True, False, *[True] * 9]


def scanned(held: HeldColumns, groups: range) -> int:
    """How many of these were held, in one turn."""
    column = pa.chunked_array([pa.array(range(1000), pa.int64())])
    held.begin()
    hits = 0
    for group in groups:
        if held.get(("p", group, "n")) is None:
            held.put(("p", group, "n"), column)
        else:
            hits += 1
    return hits


def test_scans_of_more_than_there_is_room_for_find_what_there_is_room_for() -> None:
    held = HeldColumns(10 * (8000 + OVERHEAD_BYTES))
    assert [scanned(held, range(15)) for _ in range(3)] == [0, 10, 10]
    assert scanned(held, range(100, 108)) == 0
    assert scanned(held, range(100, 108)) == 8, "what is asked for now comes before what was asked for once"
    assert scanned(held.copy(), range(100, 108)) == 8


def test_what_would_fill_it_alone_is_not_held() -> None:
    held = HeldColumns(4096)
    held.put(("p", 0, "n"), pa.chunked_array([pa.array(range(1000), pa.int64())]))
    assert held.get(("p", 0, "n")) is None


def test_each_search_is_a_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """What fills all the room gives way to what the next one reads."""
    monkeypatch.setattr("dataknobs_data.s3.table.packs.GROUP_ROWS_MAX", 25)
    world = TieredWorld(cache_bytes=80_000)
    for letter in "ab":
        world.open().batch_create([Record({"n": n, "s": f"{letter}{n}"}, id=f"{letter}{n:03}") for n in range(400)])
    db = world.open()

    def gets(letter: str) -> int:
        world.store.keys.clear()
        assert len(db.search(Query().filter("s", "starts_with", letter).sort("n").limit(1))) == 1
        return sum(operation == "GetObject" for operation, _ in world.store.keys)

    first, again, other, other_again = (gets(letter) for letter in "aabb")
    assert again < first
    assert other_again < other
    assert other_again == again
