"""The table in numbers, what is advised, and its history."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataknobs_data.s3.store import Listed
from dataknobs_data.s3.table.actions import Add
from dataknobs_data.s3.table.bounds import Stats
from dataknobs_data.s3.table.folder import Folder
from dataknobs_data.s3.table.log import Job
from dataknobs_data.s3.table.shape import ID, Shape
from dataknobs_data.s3.tiered.overview import CommitTime, LogEntry, SizeClass, TableStats, history, table_stats
from tests.unit.log_fakes import Table
from tests.unit.s3_fakes import START

MIB = 1 << 20
SHAPE = Shape((("age", "long"), ("name", "string")))
WEEK = timedelta(days=7)


def pack(path: str, rows: int | None = 10, *, size: int = 32 * MIB, low: str = "a", high: str = "z") -> Add:
    stats = None if rows is None else Stats(rows, {ID: low}, {ID: high}, {}).to_json()
    return Add(path, size, 0, stats)


class World:
    """A table of records."""

    def __init__(self) -> None:
        self.table = Table()
        self.log = self.table.log()
        self.log.ensure(SHAPE.schema_string(), Job("job-0", "CREATE TABLE"))

    def commit(self, *packs: Add, remove: str | None = None, job: Job | None = None) -> None:
        assert self.log.known
        gone = [self.log.known.packs[remove].removed(0)] if remove else []
        self.table.world.seconds += 60
        made = self.log.commit_with(lambda snapshot: [*gone, *packs], job or self.table.job())
        assert made

    def checkpoint(self) -> None:
        assert self.log.known
        self.table.upkeep(self.log).checkpoint(self.log.known, WEEK)

    def stats(self, hot: dict[str, int] | None = None, unfinished: tuple[str, ...] = ()) -> TableStats:
        """`hot`: sizes of objects by id."""
        listing = {id: Listed(f"records/{id}.json", "e", size) for id, size in (hot or {}).items()}
        snapshot = self.log.refresh()
        assert snapshot
        folder = self.log.reader.folder(0, None)
        return table_stats(snapshot, folder, listing, unfinished, lines={}, pack_target_bytes=32 * MIB)


# ---------------------------------------------------------------------------------------------- numbers
def test_an_empty_table() -> None:
    born = CommitTime(0, START)
    assert World().stats() == TableStats(
        version=0, packs=0, rows=0, bytes=0, sizes=(), columns={"age": "long", "name": "string"}, documents=0,
        tombstones=0, hot_bytes=0, covering=0, oldest=born, newest=born, checkpoint=None, unfinished=(), classes={},
        without_companion=0, advice=(),
    )  # fmt: skip


def test_both_tiers_in_numbers() -> None:
    world = World()
    world.commit(pack("packs/1", 5, size=MIB - 1), pack("packs/2", 7, size=MIB))
    world.checkpoint()
    world.commit(pack("packs/3", 11, size=2048 * MIB), remove="packs/1")
    found = world.stats({"m": 300, "gone": 128, "after z": 256}, ("B2", "B1"))
    assert (found.version, found.packs, found.rows, found.bytes) == (2, 2, 18, 2049 * MIB)
    assert found.sizes == (SizeClass(MIB, 4 * MIB, 1, MIB), SizeClass(1024 * MIB, None, 1, 2048 * MIB))
    assert (found.documents, found.tombstones, found.hot_bytes) == (1, 2, 684)
    assert found.covering == 3
    assert found.oldest == CommitTime(0, START)
    assert found.newest == CommitTime(2, START + timedelta(seconds=120))
    assert found.checkpoint == 1
    assert found.unfinished == ("B1", "B2")


def test_what_is_not_said_is_not_counted() -> None:
    world = World()
    world.commit(pack("packs/1"), pack("packs/2", rows=None))
    found = world.stats({"0": 1})
    assert found.rows is None
    assert found.covering == 1, "a pack without bounds may have any id"
    snapshot = world.log.refresh()
    assert snapshot
    bare = table_stats(snapshot, Folder({}, {}, ()), {}, (), lines={}, pack_target_bytes=MIB)
    assert (bare.oldest, bare.newest, bare.checkpoint) == (None, None, None)


@given(st.integers(0, 2**32))
def test_objects_in_front_of_rows_are_those_within_the_bounds_of_a_pack(seed: int) -> None:
    dice = random.Random(seed)
    world = World()
    spans = [sorted(dice.choices("abcdefghijklmnop", k=2)) for _ in range(dice.randrange(4))]
    world.commit(*(pack(f"packs/{n}", low=low, high=high) for n, (low, high) in enumerate(spans)))
    ids = dice.sample("abcdefghijklmnopqrst", dice.randrange(20))
    assert world.stats(dict.fromkeys(ids, 1)).covering == sum(
        any(low <= id <= high for low, high in spans) for id in ids
    )


# ---------------------------------------------------------------------------------------------- advice
def test_small_packs() -> None:
    world = World()
    world.commit(
        *(pack(f"packs/{n}", size=8 * MIB - 1) for n in range(9)), *(pack(f"packs/big-{n}") for n in range(99))
    )
    assert world.stats().advice == ()
    world.commit(pack("packs/9", size=1))
    assert world.stats().advice == ("compact: 10 small packs, which every query opens one by one",)


@pytest.mark.parametrize(
    ("objects", "rows", "told"), [(999, 0, False), (1000, 0, True), (1000, 10_000, True), (1000, 10_001, False)]
)
def test_hot_objects(objects: int, rows: int, told: bool) -> None:
    world = World()
    world.commit(pack("packs/1", rows=rows))
    advice = ("compact: 1,000 hot objects, which every search reads one by one",) if told else ()
    assert world.stats({str(number): 300 for number in range(objects)}).advice == advice


def test_commits_behind_the_checkpoint() -> None:
    world = World()
    for _ in range(99):
        world.commit()
    assert world.stats().advice == ()
    world.commit()
    advised = "compact: 101 commits {}, which everyone reads who opens the table"
    assert world.stats().advice == (advised.format("without a checkpoint"),)
    world.checkpoint()
    for _ in range(100):
        world.commit()
    assert world.stats().advice == ()
    world.commit()
    assert world.stats().advice == (advised.format("since the last checkpoint"),)


def test_unfinished_loads() -> None:
    world = World()
    assert world.stats(unfinished=("B1",)).advice == ("compact: 1 load is not finished; it finishes what died",)
    assert world.stats(unfinished=("B1", "B2")).advice == ("compact: 2 loads are not finished; it finishes what died",)


# ---------------------------------------------------------------------------------------------- history
def test_history() -> None:
    world = World()
    world.commit(pack("packs/1", 5, size=10), pack("packs/2", 6, size=20), job=Job("load", "WRITE", {"mode": "Append"}))
    world.commit(pack("packs/3", None, size=30), remove="packs/1", job=Job("fold", "OPTIMIZE"))
    snapshot = world.log.known
    assert snapshot
    world.commit(job=Job("later", "WRITE"))
    world.table.requests()
    minute = timedelta(seconds=60)
    entries = [
        LogEntry(2, START + 2 * minute, "OPTIMIZE", "fold", {}, None, 1, 1, 30, rows_removed=5),
        LogEntry(1, START + minute, "WRITE", "load", {"mode": "Append"}, 11, 2, 0, 30, rows_removed=0),
        LogEntry(0, START, "CREATE TABLE", "job-0", {}, 0, 0, 0, 0, rows_removed=0),
    ]
    assert history(world.log, snapshot, 10) == entries
    assert world.table.requests() == ["ListObjectsV2"] + ["GetObject"] * 3
    assert history(world.log, snapshot, 2) == entries[:2]
    assert history(world.log, snapshot, 1) == entries[:1]
    assert history(world.log, snapshot, 0) == []


def test_history_of_others_and_of_what_is_left() -> None:
    world = World()
    world.commit(pack("packs/1"))
    world.checkpoint()
    world.table.world.seconds += 60
    line = b'{"add":{"path":"part-0","partitionValues":{},"size":7,"modificationTime":0,"dataChange":true}}'
    world.table.store.write(f"{2:020}.json", line)
    world.table.world.seconds += WEEK.total_seconds()
    world.commit(pack("packs/3"))
    assert world.table.upkeep(world.log).clean(WEEK) == 1
    snapshot = world.log.refresh()
    assert snapshot
    found = history(world.log, snapshot, 10)
    assert [entry.version for entry in found] == [3, 2, 1]
    assert found[1] == LogEntry(2, START + timedelta(seconds=120), None, None, {}, None, 1, 0, 7)
