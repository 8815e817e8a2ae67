"""Rows of many packs in order: how much is read and held; and packs that are written anew."""

from __future__ import annotations

import io
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import polars
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dataknobs_data.documents import Document
from dataknobs_data.exceptions import DataFormatError
from dataknobs_data.s3.fanout import FanOut
from dataknobs_data.s3.table import merging, packs, repacking, writing
from dataknobs_data.s3.table.joining import documents_of
from dataknobs_data.s3.table.merging import PACK, Source, merged, without
from dataknobs_data.s3.table.packs import REST_NAMES_MAX, Pack, encode
from dataknobs_data.s3.table.reading import PackReader
from dataknobs_data.s3.table.repacking import repacked
from dataknobs_data.s3.table.shape import BORN, ID, Shape, grow
from dataknobs_data.s3.table.spans import Span

pytestmark = pytest.mark.thorough

NOW = "2026-01-01T00:00:00.000000Z"
SHAPE = Shape((("n", "long"), ("name", "string"), ("ratio", "double")))


def document(id: str, data: dict[str, Any] | None = None, born: str = "b") -> Document:
    """A document with nothing unusual."""
    return Document(id, {"n": 1} if data is None else data, {}, NOW, NOW, born, f"r{id}")


def many(numbers: Iterable[int], born: str = "b") -> list[Document]:
    """A document for each number, in the order of the numbers."""
    return [
        document(f"id-{n:06}", {"n": n, "name": f"name {n} of a record", "ratio": n / 7}, born=born) for n in numbers
    ]


class Wire:
    """A pack in a store: counts the ranges that are asked for."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.asked: list[Span] = []

    def __call__(self, spans: Sequence[Span]) -> list[bytes]:
        self.asked += spans
        return [self.content[start : start + length] for start, length in spans]


def stored(pack: Pack, **over: Any) -> tuple[Source, Wire]:
    """The pack as a source, and its wire."""
    wire = Wire(pack.body.to_pybytes())
    reader = PackReader(wire, pack.size, pack.tail, name="p.parquet")
    told = {"least": pack.stats.least[ID], "rest_names": pack.rest_names, **over}
    return Source(reader, **told), wire


def source(documents: Iterable[Document], shape: Shape = SHAPE, **over: Any) -> Source:
    """A pack of these."""
    return stored(encode(documents, shape), **over)[0]


def ids(tables: Iterable[pa.Table]) -> list[str]:
    """The ids of these rows as they come."""
    return [id for table in tables for id in table[ID].to_pylist()]


def contents(made: Iterable[Pack]) -> list[Document]:
    """The documents of these packs as they come."""
    return [one for pack in made for one in documents_of(pq.read_table(pa.BufferReader(pack.body)))]


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Row groups, tables and parts of a few dozen rows."""
    monkeypatch.setattr(packs, "GROUP_BYTES", 4096)
    monkeypatch.setattr(merging, "STEP_BYTES", 2048)
    monkeypatch.setattr(merging, "TABLE_BYTES", 8192)
    monkeypatch.setattr(repacking, "PART_BYTES", 4096)
    monkeypatch.setattr(writing, "WINDOW", 64)
    monkeypatch.setattr(repacking, "WINDOW_FIRST", 64)


@pytest.fixture(params=["map", "fan"])
def fan(request: pytest.FixtureRequest) -> Iterator[Any]:
    """One group after the other, or some ahead."""
    pool = FanOut(3, "test")
    yield map if request.param == "map" else pool.map
    pool.close()


# ---------------------------------------------------------------------------------------------- order
@pytest.mark.parametrize("packs_count", [1, 2, 7, 40])
@pytest.mark.parametrize("disjoint", [True, False])
def test_every_row_comes_once_and_in_order(packs_count: int, disjoint: bool, fan: Any) -> None:
    size = -(-2000 // packs_count)
    parts = [
        range(start * size, min(2000, (start + 1) * size)) if disjoint else range(start, 2000, packs_count)
        for start in range(packs_count)
    ]
    sources = [source(many(part)) for part in parts]
    random.Random(1).shuffle(sources)
    tables = list(merged(sources, SHAPE, fan=fan))
    assert [one for table in tables for one in documents_of(table)] == many(range(2000))
    assert all(table.schema == SHAPE.arrow for table in tables)


def test_tables_are_neither_large_nor_tiny() -> None:
    apart = [source(many(range(start, start + 10))) for start in range(0, 3000, 10)]
    sizes = [table.nbytes for table in merged(apart, SHAPE)]
    assert min(sizes[:-1]) >= merging.STEP_BYTES
    together = [source(many(range(start, 3000, 30))) for start in range(30)]
    assert max(table.nbytes for table in merged(together, SHAPE)) < 1.5 * merging.TABLE_BYTES


def test_rows_tell_their_pack_and_those_of_one_id_stay_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merging, "TABLE_BYTES", 1)
    sources = [source(many(range(200), born=f"b{number}")) for number in range(3)]
    tables = list(merged(sources, SHAPE, numbered=True))
    assert len(tables) > 100
    for table in tables:
        count = table.num_rows // 3
        assert table[PACK].to_pylist() == [0, 1, 2] * count
        assert table[BORN].to_pylist() == ["b0", "b1", "b2"] * count
    assert ids(tables) == [one.id for one in many(range(200)) for _ in range(3)]


def test_ids_are_ordered_by_code_point() -> None:
    names = ["b", "B", "ä", "\U0001f600", "\uffff", "a/b", "a"]
    assert ids(merged([source([document(name)]) for name in names], SHAPE)) == sorted(names)


def test_packs_of_which_nothing_is_known_and_of_any_order_are_read_rightly() -> None:
    table = pq.read_table(pa.BufferReader(encode(many(range(0, 600, 2)), SHAPE).body))
    order = list(range(table.num_rows))
    random.Random(1).shuffle(order)
    sink = io.BytesIO()
    pq.write_table(table.take(order), sink, row_group_size=50, write_statistics=False)
    content = sink.getvalue()
    foreign = Source(PackReader(Wire(content), len(content)))
    assert foreign.reader.id_bounds[0] == (None, None)
    assert list(documents_of(pa.concat_tables(merged([source(many(range(1, 600, 2))), foreign], SHAPE)))) == many(
        range(600)
    )


def test_wider_types_of_another_writer_become_ours() -> None:
    sink = io.BytesIO()
    polars.read_parquet(io.BytesIO(encode(many(range(100)), SHAPE).body.to_pybytes())).write_parquet(sink)
    content = sink.getvalue()
    foreign = Source(PackReader(Wire(content), len(content)))
    table = pa.concat_tables(merged([foreign, source(many(range(100, 200)))], SHAPE))
    assert table.schema == SHAPE.arrow
    assert list(documents_of(table)) == many(range(200))


# ---------------------------------------------------------------------------------------------- choice
@pytest.mark.parametrize(
    ("start", "end"),
    [("", None), ("id-000100", None), ("", "id-0001"), ("id-00012", "id-00013"), ("id-000105", "id-000205")],
)
@pytest.mark.parametrize("known", [True, False])
def test_a_range_of_ids_reads_no_other_groups(start: str, end: str | None, known: bool) -> None:
    pack = encode(many(range(1000)), SHAPE)
    one, wire = stored(pack, start=start, end=end, **({} if known else {"least": ""}))
    expected = [one.id for one in many(range(1000)) if one.id >= start and (end is None or one.id < end)]
    assert ids(merged([one], SHAPE)) == expected
    groups = sum((high or "") >= start and (end is None or (low or "") < end) for low, high in one.reader.id_bounds)
    assert len(wire.asked) == 1 + groups
    assert groups < len(one.reader.groups) or start == "" == (end or "")


def test_groups_are_chosen_when_the_pack_is_opened() -> None:
    pack = encode(many(range(1000)), SHAPE)
    asked: list[PackReader] = []

    def chosen(reader: PackReader) -> list[int]:
        asked.append(reader)
        return reader.may_hold(["id-000500"])

    one, wire = stored(pack, groups=chosen)
    rows = merged([one], SHAPE)
    assert not asked
    assert "id-000500" in ids(rows)
    assert len(asked) == 1
    assert len(wire.asked) == 2


def test_only_the_columns_asked_for_are_read_and_the_missing_are_null() -> None:
    wide = Shape((*SHAPE.fields, ("more", "string")))
    old, wire = stored(encode(many(range(0, 500, 2)), SHAPE))
    whole, all_of_it = stored(encode(many(range(0, 500, 2)), SHAPE))
    new = source([document(f"id-{n:06}", {"more": str(n)}) for n in range(1, 500, 2)], wide)
    table = pa.concat_tables(merged([old, new], wide, ["more", "n", "unknown"]))
    assert table.column_names == [ID, "n", "more"]
    assert table["n"].to_pylist() == [None if n % 2 else n for n in range(500)]
    assert table["more"].to_pylist() == [str(n) if n % 2 else None for n in range(500)]
    assert sum(1 for _ in merged([whole], SHAPE))
    assert sum(size for _, size in wire.asked[1:]) < sum(size for _, size in all_of_it.asked[1:]) * 0.75


def test_a_column_that_the_table_does_not_have_is_said() -> None:
    with pytest.raises(DataFormatError, match=r"p\.parquet.*'ratio'.*double"):
        list(merged([source(many(range(3)))], Shape((("n", "long"), ("name", "string"), ("ratio", "long")))))


def test_rows_are_left_out_by_id_and_birth() -> None:
    dead = {("id-000003", "b"), ("id-000004", "other"), ("id-000005", "b"), ("id-0", "b"), ("z", "b")}
    one = source(many(range(500)), keep=without(dead), needs=[BORN])
    expected = [one.id for one in many(n for n in range(500) if n not in (3, 5))]
    tables = list(merged([one], SHAPE, [ID]))
    assert ids(tables) == expected
    assert tables[0].column_names == [ID]
    assert ids(merged([source(many(range(9)), keep=without((one.id, "b") for one in many(range(9))))], SHAPE)) == []
    assert ids(merged([source(many(range(9)), keep=without(()))], SHAPE)) == [one.id for one in many(range(9))]


# ---------------------------------------------------------------------------------------------- what is read and held
def disjoint(count: int, rows: int) -> tuple[list[Source], list[Wire]]:
    """Packs one behind the other."""
    made = [stored(encode(many(range(start * rows, (start + 1) * rows)), SHAPE)) for start in range(count)]
    return [one for one, _ in made], [wire for _, wire in made]


def test_a_consumer_that_stops_reads_no_further() -> None:
    sources, wires = disjoint(20, 400)
    rows = merged(sources, SHAPE)
    assert sum(len(wire.asked) for wire in wires) == 0
    next(rows)
    assert [len(wire.asked) for wire in wires] == [2, *[0] * 19]
    for table in rows:
        if ids([table])[-1] >= "id-000700":
            break
    del rows
    asked = [len(wire.asked) for wire in wires]
    assert asked[0] == 1 + len(sources[0].reader.groups)
    assert 2 <= asked[1] <= 1 + len(sources[1].reader.groups)
    assert sum(asked[2:]) <= 2


def test_reading_ahead_is_bounded_and_given_up() -> None:
    sources, wires = disjoint(20, 400)
    pool = FanOut(2, "test")
    rows = merged(sources, SHAPE, fan=pool.map)
    next(rows)
    rows.close()
    pool.close()
    assert sum(len(wire.asked) for wire in wires) <= 2 + 2 * 2 + 1


def test_each_group_is_asked_for_once() -> None:
    made = [stored(encode(many(range(start, 4000, 10)), SHAPE)) for start in range(10)]
    for _ in merged([one for one, _ in made], SHAPE):
        pass
    for one, wire in made:
        assert len(wire.asked) == 1 + len(one.reader.groups) == len(set(wire.asked))


def peak(tables: Iterable[Any], held: Callable[[], int]) -> int:
    """The most that was held while these came."""
    highest = 0
    for table in tables:
        del table
        highest = max(highest, held())
    return highest


def test_overlapping_packs_hold_about_a_row_group_each() -> None:
    sources = [source(many(range(start, 20_000, 20))) for start in range(20)]
    before = pa.total_allocated_bytes()
    highest = peak(merged(sources, SHAPE), lambda: pa.total_allocated_bytes() - before)
    whole = sum(table.nbytes for table in merged(sources, SHAPE))
    assert highest < 20 * 4 * packs.GROUP_BYTES < whole / 3


def test_packs_apart_hold_about_one_row_group_in_all() -> None:
    sources, _ = disjoint(20, 1000)
    before = pa.total_allocated_bytes()
    assert peak(merged(sources, SHAPE), lambda: pa.total_allocated_bytes() - before) < 10 * packs.GROUP_BYTES


def test_repacking_holds_the_pack_that_is_made_and_little_more() -> None:
    sources = [source(many(range(start, 20_000, 20))) for start in range(20)]
    before, target = pa.total_allocated_bytes(), 50_000
    made = repacked(sources, iter(many(range(20_000, 30_000))), SHAPE, target)
    highest = 0
    for pack in made:
        highest = max(highest, pa.total_allocated_bytes() - before)
        assert pack.size - pack.tail < 1.2 * target
        del pack
    assert highest < 20 * 4 * packs.GROUP_BYTES + 12 * target


# ---------------------------------------------------------------------------------------------- repacking
def test_packs_of_the_target_that_do_not_overlap(fan: Any) -> None:
    sources = [source(many(range(start, 6000, 6))) for start in range(5)]
    made = list(repacked(sources, many(range(5, 6000, 6)), SHAPE, 20_000, fan=fan, companion=True))
    assert contents(made) == many(range(6000))
    assert len(made) > 4
    assert all(20_000 <= pack.size - pack.tail < 24_000 for pack in made[:-1])
    for pack, following in pairwise(made):
        assert pack.stats.most[ID] < following.stats.least[ID]
    for pack in made:
        assert pack.shape == SHAPE
        found = pq.read_table(pa.BufferReader(pack.companion.body))
        assert found[ID].to_pylist() == pq.read_table(pa.BufferReader(pack.body))[ID].to_pylist()


def test_fresh_documents_take_the_place_of_dead_rows() -> None:
    old, dead = many(range(1000)), {(one.id, one.born) for one in many(range(0, 1000, 3))}
    fresh = [document(one.id, {"n": -1}) for one in many(range(0, 1200, 3))]
    made = repacked([source(old, keep=without(dead))], iter(fresh), SHAPE, 1 << 20)
    expected = {one.id: one for one in [*old, *fresh]}
    assert contents(made) == [expected[id] for id in sorted(expected)]


def test_another_birth_of_an_id_stays_in_the_same_pack(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repacking, "PART_BYTES", 1)
    made = list(repacked([source(many(range(500)))], many(range(500), born="c"), SHAPE, 1))
    assert len(made) > 2
    assert contents(made) == [
        one for pair in zip(many(range(500)), many(range(500), born="c"), strict=True) for one in pair
    ]
    for pack, following in pairwise(made):
        assert pack.stats.most[ID] < following.stats.least[ID]


def test_no_pack_is_smaller_than_a_part() -> None:
    for count in range(2000, 2200, 20):
        made = list(repacked([source(many(range(count)))], [], SHAPE, 8000))
        assert contents(made) == many(range(count))
        assert all(pq.read_table(pa.BufferReader(pack.body)).nbytes >= 4096 for pack in made)


def test_nothing_makes_no_pack() -> None:
    assert list(repacked([], [], SHAPE, 1)) == []
    assert list(repacked([source(many([1]), keep=without([("id-000001", "b")]))], [], SHAPE, 1)) == []
    assert contents(repacked([], many([1]), SHAPE, 1)) == many([1])
    assert contents(repacked([source(many([1]))], [], SHAPE, 1)) == many([1])


@pytest.mark.parametrize("second", ["a", "b"])
def test_fresh_documents_out_of_order_are_refused(second: str) -> None:
    with pytest.raises(ValueError, match=f"'{second}' after 'b'"):
        list(repacked([], [document("b"), document(second)], SHAPE, 1))


def test_names_in_rest_are_those_of_what_went_in() -> None:
    odd = [document(f"a{n:03}", {"x": 1, "n": n}) for n in range(200)]
    stranger, plain = [document("m", {"y": 1})], many(range(200))
    first, *_, last = repacked([source(plain), source(odd, rest_names=frozenset("xz"))], stranger, SHAPE, 1)
    assert first.rest_names == {"x", "z"}
    assert last.rest_names == {"y"}
    unknown, *_, known = repacked([source(odd, rest_names=None), source(plain)], [], SHAPE, 1)
    assert (unknown.rest_names, known.rest_names) == (None, frozenset())
    fresh = [document("b", {"_o": None})]
    (unknown,) = repacked([source(odd, rest_names=None)], fresh, SHAPE, 1 << 20)
    assert (unknown.rest_names, unknown.null_names) == (None, frozenset())


def test_names_of_nulls_are_forgotten_where_the_table_has_a_column_by_then() -> None:
    odd = [document(f"a{n:03}", {"p": None, "q": None, "n": n}) for n in range(200)]
    shape = grow(SHAPE, [document("z", {"p": 1})])
    (pack,) = repacked([source(odd, null_names=frozenset("pq"))], [], shape, 1 << 20)
    assert (pack.rest_names, pack.null_names) == (frozenset(), {"q"})


def test_too_many_names_in_rest_are_unknown() -> None:
    many_names = [frozenset(f"{half}{n}" for n in range(REST_NAMES_MAX)) for half in "ab"]
    sources = [source(many([n]), rest_names=names) for n, names in enumerate(many_names)]
    (pack,) = repacked(sources, [], SHAPE, 1)
    assert pack.rest_names is None


def test_a_growing_shape_changes_no_record_through_several_repackings() -> None:
    generator, shape, live, sources = random.Random(1), Shape(), dict[str, Document](), list[Source]()
    for turn in range(6):
        fresh = [
            document(f"id-{n:04}", odd_data(generator, turn), born=f"b{turn}")
            for n in sorted(generator.sample(range(1000), 300))
        ]
        dead = {(one.id, live[one.id].born) for one in fresh if one.id in live}
        live |= {one.id: one for one in fresh}
        shape = grow(shape, fresh)
        kept = [Source(one.reader, one.least, keep=without(dead), rest_names=one.rest_names) for one in sources]
        made = list(repacked(kept, fresh, shape, 10_000))
        assert contents(made) == [live[id] for id in sorted(live)]
        sources = [stored(pack)[0] for pack in made]
        for pack in made:
            assert pack.shape == shape
            assert pack.rest_names is not None
    assert len(shape.fields) > 3


def odd_data(generator: random.Random, turn: int) -> dict[str, Any]:
    """Fields that come in any order, of several types, more of them every turn."""
    names = generator.sample([f"f{number}" for number in range(turn + 2)], generator.randint(0, turn + 2))
    return {name: generator.choice([turn, f"text {turn}", 0.5, None, [turn]]) for name in names}
