"""Readers of many requests may outlast the grace period: whole compactions come between any two of their requests, with all that
those delete, and every record is still found once."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dataknobs_data.backends.s3 import S3Database
from dataknobs_data.query import Query
from dataknobs_data.records import Record
from tests.unit.tiered_world import OPERATION_OVER, TieredWorld

PAGE = 4
"""Lines of a page of a listing: records take several."""

HOURS = 36_000.0

Reader = Callable[[S3Database], list[tuple[str, object]]]


def pairs(records: list[Record]) -> list[tuple[str, object]]:
    return [(str(record.id), record["v"]) for record in records]


READERS: dict[str, Reader] = {
    "all": lambda db: pairs(db.all()),
    "search": lambda db: pairs(db.search(Query().filter("v", "exists"))),
    "sorted": lambda db: sorted(pairs(db.search(Query().sort_by("v").limit(100)))),
    "ids": lambda db: [(id, None) for id in db.list_ids()],
    "count": lambda db: [("", db.count())],
    "sql": lambda db: sorted(
        (row["_id"], None if row["v"] is None else int(row["v"]))
        for row in db.select_query("SELECT _id, v FROM S3Object", timeout=HOURS)
    ),
    "sql count": lambda db: [("", next(db.select_query("SELECT count(*) AS n FROM S3Object", timeout=HOURS))["n"])],
}


def mixed() -> TieredWorld:
    """Packed records, some of them changed or deleted since, and new ones."""
    world = TieredWorld()
    db = world.open()
    db.batch_create([Record({"v": n}, id=f"p{n}") for n in range(8)])
    world.passes(OPERATION_OVER)
    db.compact()
    world.passes(OPERATION_OVER)
    db.update("p1", Record({"v": 11}))
    db.delete("p2")
    db.delete("p3")
    db.create(Record({"v": 33}, id="p3"))
    for n in range(6):
        db.create(Record({"v": 100 + n}, id=f"{'anz'[n % 3]}{n}"))
    world.passes(OPERATION_OVER)
    return world


def compacted(world: TieredWorld) -> None:
    """All is folded, and what was folded is gone."""
    for _ in range(3):
        world.open().compact(full=True)
        world.passes(OPERATION_OVER)
    assert not world.hot()


def read_with_compactions(start: TieredWorld, read: Reader, at: int) -> tuple[list[tuple[str, object]], int]:
    """What is found when they come before that request (from 0), and how many requests there were."""
    world = start.copy()
    db = world.open()
    world.store.page_size = PAGE
    sent, busy = 0, False

    def meanwhile(operation: str, key: str) -> None:
        nonlocal sent, busy
        if busy:
            return
        busy, sent = sent == at, sent + 1
        if busy:
            compacted(world)
            busy = False

    world.store.meanwhile = meanwhile
    return read(db), sent


@pytest.mark.parametrize("name", READERS)
def test_whole_compactions_between_two_requests_hide_nothing(name: str) -> None:
    start = mixed()
    expected, requests = read_with_compactions(start, READERS[name], -1)
    assert requests > 5
    for at in range(requests):
        assert read_with_compactions(start, READERS[name], at)[0] == expected, f"before request {at}"
