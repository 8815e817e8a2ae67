"""A read endpoint before a tiered database: it may have documents that have long become rows of the table."""

from __future__ import annotations

from email.utils import format_datetime
from unittest.mock import patch

import pytest

from dataknobs_data.backends.s3 import S3Database
from dataknobs_data.records import Record
from dataknobs_data.s3.cache import WriteClock
from dataknobs_data.s3.edge import Answer, Edge
from tests.unit.tiered_world import OPERATION_OVER, TieredWorld

IDS = ["a", "b", "c"]


class OldCopies:
    """An edge that has the objects of a bucket as they were once, whatever became of them."""

    def __init__(self, world: TieredWorld) -> None:
        self._bodies = {key: body for key, (body, _, _) in world.store.objects.items()}
        self._headers = {
            key: {
                "etag": etag,
                "content-length": str(len(body)),
                "last-modified": format_datetime(world.now, usegmt=True),
            }
            for key, (body, etag, _) in world.store.objects.items()
        }

    def get(self, key: str, *, unless_etag: str | None = None) -> Answer:
        if key not in self._bodies:
            return Answer(404, {}, b"")
        return Answer(200, self._headers[key], self._bodies[key])

    def close(self) -> None: ...


@pytest.fixture
def world() -> TieredWorld:
    """Three documents that nobody has looked at."""
    world = TieredWorld()
    other = world.open()
    for id in IDS:
        other.create(Record({"v": "old"}, id=id))
    return world


def reader(world: TieredWorld, copies: OldCopies) -> S3Database:
    """A process of its own, which reads at the edge."""
    with patch.object(WriteClock, "_clocks", {}):
        database = world.open()
    parts = database._engine._parts  # type: ignore[attr-defined]
    parts.objects.edge = Edge(copies, parts.caller, parts.clock, world.world.runtime)
    return database


def values(database: S3Database) -> list[object]:
    return [record and record["v"] for record in map(database.read, IDS)]


def folded(world: TieredWorld) -> None:
    world.passes(OPERATION_OVER)
    world.open().compact(full=True, wait=True)
    assert not world.hot()


def test_others_changes_are_seen_when_the_edge_has_them(world: TieredWorld) -> None:
    copies = OldCopies(world)
    folded(world)
    world.open().batch_update([(id, Record({"v": "new"})) for id in IDS])
    assert values(reader(world, copies)) == ["old"] * 3
    assert values(world.open()) == ["new"] * 3


def test_what_was_updated_in_bulk_is_read_at_the_store(world: TieredWorld) -> None:
    copies = OldCopies(world)
    folded(world)
    database = reader(world, copies)
    assert database.batch_update([(id, Record({"v": "new"})) for id in IDS]) == [True] * 3
    assert not world.hot()
    assert values(database) == ["new"] * 3


@pytest.mark.parametrize("verb", ["batch_create", "batch_upsert"])
def test_what_was_loaded_is_read_at_the_store(world: TieredWorld, verb: str) -> None:
    copies = OldCopies(world)
    world.open().batch_delete(IDS)
    folded(world)
    database = reader(world, copies)
    assert getattr(database, verb)([Record({"v": "new"}, id=id) for id in IDS]) == IDS
    assert not world.hot()
    assert values(database) == ["new"] * 3


def test_after_clear_nothing_is_left(world: TieredWorld) -> None:
    copies = OldCopies(world)
    folded(world)
    database = reader(world, copies)
    assert database.clear() == 3
    assert values(database) == [None] * 3
