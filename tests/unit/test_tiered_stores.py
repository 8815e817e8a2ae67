"""Stores that cannot do all that the two tiers stand on, and what goes wrong in the middle of an answer."""

from __future__ import annotations

import pytest

from dataknobs_data.exceptions import IncompatibleStoreError, SnapshotExpiredError
from dataknobs_data.query import Query
from dataknobs_data.records import Record
from dataknobs_data.s3.probe import Capabilities
from dataknobs_data.s3.store import Kind
from dataknobs_data.s3.tiered.scanning import Scanner
from tests.unit.log_fakes import Break
from tests.unit.tiered_world import KEYS, TieredWorld


def test_without_conditional_puts_there_is_no_table_even_where_that_was_accepted() -> None:
    world = TieredWorld(require_conditions=False)
    before = set(world.store.objects)
    with pytest.raises(IncompatibleStoreError, match="layout: objects"):
        world.open(can=Capabilities(conditional_put=False))
    assert set(world.store.objects) == before


def test_nothing_is_kept_in_memory_where_etags_do_not_tell_contents_apart() -> None:
    db = TieredWorld().open(can=Capabilities(distinct_etags=False))
    db.create(Record({"v": 1}, id="x"))
    assert db.read("x") is not None
    assert db._engine.parts.objects.held_copy("x") is None  # type: ignore[attr-defined]


def test_a_scan_that_has_begun_does_not_begin_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has read some of it would read that twice."""
    monkeypatch.setattr(Scanner, "fetched", 2)
    world = TieredWorld()
    for letter in "abcd":
        world.open().batch_create([Record({"v": n}, id=f"{letter}{n}") for n in range(3)])
    old = {key for key in world.store.objects if key.startswith(KEYS.packs)}
    found: list[str] = []

    def read() -> None:
        for document in world.open()._engine.scan(Query().filter("v", "exists")):
            found.append(document.id)
            if len(found) == 1:
                assert world.open().compact(full=True).rewritten == len(old)
                for key in old:
                    del world.store.objects[key]

    with pytest.raises(SnapshotExpiredError):
        read()
    assert found
    assert len(found) == len(set(found))


def test_a_lost_deletion_that_others_have_deleted_over_is_one() -> None:
    world = TieredWorld()
    mine, theirs = world.open(), world.open()
    mine.create(Record({"v": 1}, id="x"))
    world.store.breaks = [Break(Kind.NETWORK, operation="PutObject", before=False)]
    puts = 0

    def meanwhile(operation: str, key: str) -> None:
        nonlocal puts
        puts += operation == "PutObject"
        if puts == 2:  # it is sent again
            puts += 1
            theirs.create(Record({"v": 2}, id="x"))
            assert theirs.delete("x")

    world.store.meanwhile = meanwhile
    assert mine.delete("x") is True
    assert puts > 2
    assert mine.read("x") is None
