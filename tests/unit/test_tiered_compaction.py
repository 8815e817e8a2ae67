"""Compaction: what becomes of every kind of object and pack, beside others, and when it ends at any request."""

from __future__ import annotations

import random
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any
from unittest.mock import patch

import pytest

from dataknobs_data.backends.s3 import S3Database
from dataknobs_data.exceptions import DatabaseConnectionError, DatabaseOperationError, IncompatibleStoreError
from dataknobs_data.query import Query
from dataknobs_data.records import Record
from dataknobs_data.s3.probe import Capabilities, ConditionalDelete
from dataknobs_data.s3.steps import current_step, step
from dataknobs_data.s3.store import Kind, PutOptions
from dataknobs_data.s3.tiered import compaction, publishing, selecting
from dataknobs_data.s3.tiered.folding import ARCHIVED, CHANGED, CONTESTED, FOREIGN, UNWORTHY
from dataknobs_data.s3.tiered.loading import Fronts
from dataknobs_data.s3.tiered.reports import CompactProgress, CompactReport
from dataknobs_data.s3.tombstones import Tombstone
from tests.unit.log_fakes import Break
from tests.unit.tiered_world import DEADLINE, GRACE, KEYS, OPERATION_OVER, Gone, TieredWorld, seen

WEEK = 8 * 86_400


def record(id: str, v: object, **more: Any) -> Record:
    return Record({"v": v, **more}, id=id)


def numbered(count: int, start: int = 0) -> list[Record]:
    return [record(f"r{number:03}", number) for number in range(start, start + count)]


def loaded(count: int = 20, **settings: Any) -> tuple[TieredWorld, S3Database]:
    """A table of one pack, whose load is over."""
    world = TieredWorld(**settings)
    db = world.open()
    db.batch_create(numbered(count))
    world.passes(OPERATION_OVER)
    db.compact()
    world.passes(OPERATION_OVER)
    world.sent()
    return world, db


def value(db: S3Database, id: str) -> object:
    found = db.read(id)
    return found and found.get_value("v")


@contextmanager
def at_commit(world: TieredWorld, do: Callable[[], object], times: int = 1) -> Iterator[None]:
    """Somebody does something just before the compaction commits."""
    left = [times]

    def meanwhile(operation: str, key: str) -> None:
        if left[0] and operation == "PutObject" and key.startswith(KEYS.log) and current_step() == "compact.fold":
            left[0] -= 1
            do()

    world.store.meanwhile = meanwhile
    try:
        yield
    finally:
        world.store.meanwhile = lambda operation, key: None
    assert not left[0], "it never came to that"


@contextmanager
def dying_after_commit(world: TieredWorld) -> Iterator[None]:
    """Whoever commits to the log ends before the next request."""
    committed = False

    def meanwhile(operation: str, key: str) -> None:
        nonlocal committed
        if committed:
            raise Gone
        committed = operation == "PutObject" and key.startswith(KEYS.log)

    before, world.store.meanwhile = world.store.meanwhile, meanwhile
    try:
        with pytest.raises(Gone):
            yield
    finally:
        world.store.meanwhile = before


def rests(world: TieredWorld) -> dict[str, object]:
    """Compactions alone bring it to rest: every record is one row, every birth finished. The values."""
    before = seen(world.open())
    world.passes(OPERATION_OVER)
    world.open().compact(full=True, wait=True)
    world.passes(OPERATION_OVER)
    world.open().compact(full=True, wait=True)
    assert seen(world.open()) == before
    assert not world.hot()
    assert set(world.loads()) <= {None}
    world.passes(WEEK)
    world.open().vacuum()
    assert not world.marks()
    assert world.pack_files() == len(world.loads())
    world.sent()
    world.open().compact(full=True)
    assert world.sent()["PutObject"] == 0, "there is nothing left to do"
    return world.values()


# ---------------------------------------------------------------------------------------------- folding
def test_new_documents_become_rows_and_are_deleted_after_the_grace_period() -> None:
    world = TieredWorld()
    db = world.open()
    for number in range(3):
        db.create(record(f"h{number}", number, **({"late": 1.5} if number == 2 else {})))
    before = seen(db)
    report = db.compact()
    assert (report.version, report.folded, report.waiting, report.dropped, report.packs_after) == (1, 3, 3, 0, 1)
    assert world.values() == {"h0": 0, "h1": 1, "h2": 2}
    world.passes(GRACE)
    assert db.compact().dropped == 0, "times are cut to the second: it may not be over yet"
    assert world.hot() == {"h0", "h1", "h2"}
    world.passes(2)
    assert db.compact() == CompactReport(None, 0, 0, 3, 0, {}, 1, 1, 0, 0, 0, False, 0.0)
    assert not world.hot()
    assert seen(db) == seen(world.open()) == before


def test_the_second_one_writes_nothing() -> None:
    world, db = loaded()
    db.create(record("new", 1))
    db.update("r000", record("r000", -1))
    db.delete("r001")
    db.delete("r002")
    db.compact()
    world.sent()
    assert db.compact().version is None
    assert set(world.sent()) == {"ListObjectsV2", "HeadObject"}, "it remembers what it has folded"
    assert world.open().compact().version == 3, "another one cannot know when the tombstones were put: a fence"
    assert world.open().compact().version == 4


def test_what_hides_rows_stays_until_a_tenth_of_the_pack_is_dead() -> None:
    world, db = loaded(30)
    db.update("r000", record("r000", "new"))
    db.delete("r001")
    report = db.compact()
    assert (report.version, report.left, report.rewritten) == (None, {UNWORTHY: 2}, 0)
    assert (world.sent()["PutObject"], world.hot()) == (2, {"r000", "r001"}), "the update and the tombstone"
    db.delete("r002")
    report = db.compact()
    assert (report.folded, report.buried, report.rewritten) == (1, 2, 1)
    assert len(world.values()) == 28
    assert world.values()["r000"] == "new"


def test_full_folds_whatever_can_be_folded() -> None:
    world, db = loaded(30)
    db.update("r000", record("r000", 1000))
    db.delete("r001")
    report = db.compact(full=True)
    assert (report.folded, report.buried, report.rewritten, report.left) == (1, 1, 1, {})
    assert world.values() == {f"r{n:03}": n or 1000 for n in range(30) if n != 1}


def test_a_replaced_birth_goes_with_its_row() -> None:
    world, db = loaded()
    db.delete("r000")
    db.create(record("r000", "again"))
    (birth,) = world.births("r000")["r000"]
    assert db.compact(full=True).left == {CONTESTED: 1}
    assert world.births("r000")["r000"] == {birth}
    world.passes(OPERATION_OVER)
    assert db.compact(full=True).folded == 1
    assert world.births("r000")["r000"] != {birth}
    world.passes(OPERATION_OVER)
    assert db.compact().dropped == 1
    assert value(db, "r000") == "again"
    rests(world)


def test_rows_that_a_tombstone_contests_go_a_deadline_after_it_was_put() -> None:
    """The creators of what it kills may still have to see each other's rows."""
    world, db = loaded()
    db.delete("r000")
    db.create(record("r000", "again"))
    db.delete("r000")
    behind = world.births("r000")
    report = db.compact(full=True)
    assert (report.left, report.buried, report.rewritten) == ({CONTESTED: 1}, 0, 0)
    world.passes(DEADLINE - 5)
    assert db.compact(full=True).left == {CONTESTED: 1}
    assert world.births("r000") == behind
    assert value(db, "r000") is None
    world.passes(10)
    report = db.compact(full=True)
    assert (report.left, report.buried, report.rewritten) == ({}, 1, 1)
    assert world.births("r000") == {}
    assert "r000" not in rests(world)


def test_a_tombstone_without_rows_goes_after_a_commit_that_shuts_it_in() -> None:
    world, db = loaded()
    db.create(record("brief", 1))
    db.delete("brief")
    report = db.compact()
    assert (report.version, report.buried, report.waiting, report.written_bytes) == (2, 0, 1, 0)
    world.passes(GRACE - 10)
    assert (db.compact().version, world.hot()) == (None, {"brief"})
    world.passes(20)
    assert db.compact().dropped == 1


def test_a_tombstone_before_a_living_row_of_another_creation_goes_alone() -> None:
    """A creator that lost a race has left it there."""
    world, db = loaded()
    grave = Tombstone(frozenset({"lost"}), "r1")
    world.store.put(KEYS.record("r003"), grave.encode(), PutOptions(grave.headers()), None)
    before = seen(db)
    assert before["r003"]
    assert db.compact(full=True).waiting == 1
    world.passes(OPERATION_OVER)
    assert db.compact(full=True).dropped == 1
    assert seen(db) == before


@pytest.mark.parametrize("seconds", [0, 15])
def test_what_was_put_just_before_it_was_folded_goes_after_a_commit_that_shuts_it_in(seconds: float) -> None:
    """As a tombstone: who has read what stood there before could still commit that. Some stores show the time at which a
    request began, which may have been 20 seconds before the object was there."""
    world, db = loaded()
    db.create(record("new", 1))
    world.passes(seconds)
    db.compact()
    world.passes(OPERATION_OVER)
    report = world.open().compact()
    assert (report.version, report.folded, report.waiting, report.dropped) == (3, 0, 1, 0)
    world.passes(OPERATION_OVER)
    assert world.open().compact().dropped == 1
    assert value(db, "new") == 1


def test_another_process_deletes_what_was_folded_and_shut_in() -> None:
    world, db = loaded()
    db.create(record("new", 1))
    db.create(record("gone", 1))
    db.delete("gone")
    world.passes(30)
    assert db.compact().waiting == 2
    assert world.open().compact().dropped == 0
    world.passes(GRACE + 2)
    other = world.open()
    assert (other.compact().dropped, world.hot()) == (2, set())
    world.sent()
    assert db.compact().dropped == 0, "it had been deleted"


def test_wait_comes_back_when_everything_is_deleted() -> None:
    world, db = loaded()
    db.create(record("new", 1))
    db.delete("r000")
    db.delete("r001")
    began = world.world.seconds
    report = db.compact(wait=True)
    assert (report.folded, report.buried, report.dropped, report.waiting) == (1, 2, 3, 0)
    assert GRACE < world.world.seconds - began < GRACE + 10
    assert report.seconds == world.world.seconds - began
    assert db.compact(wait=True).seconds == 0, "nothing waits"


def test_wait_does_not_wait_for_the_commits_of_others() -> None:
    world, db = loaded()
    db.create(record("new", 1))
    other = world.open()

    def busy(seconds: float) -> None:
        world.passes(seconds)
        other.batch_update([(f"r{n:03}", record(f"r{n:03}", world.world.seconds)) for n in range(10)])

    with patch.object(world.world, "sleep", busy):
        began = world.world.seconds
        assert world.open().compact(wait=True).dropped == 1
    assert world.world.seconds - began < 2 * GRACE


def test_what_has_changed_since_it_was_folded_is_not_deleted() -> None:
    world, db = loaded()
    db.create(record("new", 1))
    db.compact()
    world.open().update("new", record("new", 2))
    world.passes(OPERATION_OVER)
    assert db.compact().dropped == 0
    assert value(db, "new") == 2
    assert rests(world)["new"] == 2


@pytest.mark.parametrize("held", [False, True])
def test_what_changes_while_it_is_folded_stays_as_it_is(held: bool) -> None:
    """`held`: the compactor has the documents in memory as they were listed, and folds those."""
    world, db = loaded()
    for id in ("a", "b", "r000"):
        db.upsert(id, record(id, 1))
    other = world.open()
    listed: list[str] = []

    def meanwhile(operation: str, key: str) -> None:
        if current_step() == "compact.journal" and not listed:
            listed.append(key)
            other.update("a", record("a", 2))
            other.delete("b")
            other.update("r000", record("r000", 2))

    # journals are looked at after the objects: a load to be settled makes it do so
    world.open().batch_create([record("own1", 1), record("own2", 2)])
    world.store.meanwhile = meanwhile
    report = (db if held else world.open()).compact(full=True)
    world.store.meanwhile = lambda operation, key: None
    assert listed
    assert (report.folded, report.left) == ((3, {}) if held else (0, {CHANGED: 3}))
    assert (value(db, "a"), db.read("b"), value(db, "r000")) == (2, None, 2)
    assert {"a", "b", "r000"} <= world.hot()
    rests(world)


def test_a_document_that_cannot_be_folded_is_no_reason_to_commit() -> None:
    world = TieredWorld()
    world.open().create(record("good", 1))
    world.store.put(KEYS.record("bad"), b"{", PutOptions(), None)
    world.store.put(KEYS.record("bad-as-large-as-a-tombstone"), b"{".ljust(256), PutOptions(), None)
    world.open().create(record("cold", 1))
    body, _, options = world.store.objects[KEYS.record("cold")]
    world.store.put(KEYS.record("cold"), body.ljust(128 * 8), options, None)
    world.store.archived.add(KEYS.record("cold"))
    db = world.open()
    report = db.compact(wait=True)
    assert (report.folded, sum(report.left.values()), report.left[ARCHIVED]) == (1, 3, 1)
    assert world.hot() == {"bad", "bad-as-large-as-a-tombstone", "cold"}
    world.sent()
    assert world.open().compact(full=True).version is None
    assert world.sent()["PutObject"] == 0
    assert set(db.list_ids()) == {"good", *world.hot()}


# ---------------------------------------------------------------------------------------------- races and loads
def lost_creation(world: TieredWorld, id: str, value: object = "creator") -> None:
    """A creator that has put its object before rows of others, and died before it looked again."""

    def meanwhile(operation: str, key: str) -> None:
        if current_step() == "create.check":
            raise Gone

    world.store.meanwhile = meanwhile
    with patch("dataknobs_data.s3.tiered.places.Places.births", _nothing_at_first), pytest.raises(Gone):
        world.open().create(record(id, value))
    world.store.meanwhile = lambda operation, key: None


def _nothing_at_first(self: Any, id: str, deadline: Any, name: str) -> frozenset[str]:
    if name in ("create.start", "create.behind"):
        return frozenset()
    with step(name):
        return frozenset(row.born for row in self.table.look(deadline, name).rows([id]).get(id, ()))


def dead_load(world: TieredWorld, *ids: str, blind: bool = True) -> None:
    """A load that has died after its commit; `blind`: it looked at the objects before they were there."""
    with dying_after_commit(world):
        if blind:
            with patch.object(Fronts, "lines", lambda self, ids: {}):
                world.open().batch_create([record(id, "load") for id in ids])
        else:
            world.open().batch_create([record(id, "load") for id in ids])


def test_a_creator_that_died_in_a_race_gives_way_when_it_cannot_be_running() -> None:
    world, db = loaded()
    lost_creation(world, "r000")
    assert db.compact(full=True).left == {FOREIGN: 1}
    world.passes(GRACE + 30)
    assert db.compact(full=True).dropped == 0, "it may still be running"
    world.passes(OPERATION_OVER)
    assert db.compact(full=True).dropped == 1
    assert value(db, "r000") == 0
    rests(world)


def test_a_changed_document_before_rows_of_others_is_not_void() -> None:
    world, db = loaded()
    lost_creation(world, "r000")
    world.open().update("r000", record("r000", "changed"))
    world.passes(OPERATION_OVER)
    db.compact(full=True)
    assert value(db, "r000") == "changed"
    assert rests(world)["r000"] == "changed"


def test_a_creator_over_a_tombstone_gives_way_to_rows_of_others_too() -> None:
    world, db = loaded()
    grave = Tombstone(frozenset({"of another creation"}), "r")
    world.store.put(KEYS.record("r000"), grave.encode(), PutOptions(grave.headers()), None)
    lost_creation(world, "r000")
    world.passes(OPERATION_OVER)
    db.compact(full=True)
    assert value(world.open(), "r000") == 0
    assert rests(world)["r000"] == 0


def test_a_dead_load_is_adopted_and_keeps_what_it_has_won() -> None:
    world, db = loaded()
    dead_load(world, "x1", "x2", blind=False)
    assert world.loads().count(None) == 1
    world.passes(GRACE)
    assert db.compact(full=True).adopted == 0, "it may be running"
    assert not world.marks()
    world.passes(OPERATION_OVER)
    assert db.compact().adopted == 1
    assert set(world.loads()) == {None}
    assert not world.marks(), "no pack names it any more"
    assert value(db, "x1") == "load"
    rests(world)


def test_a_dead_load_gives_back_what_others_have_created() -> None:
    world, db = loaded()
    db.create(record("x1", "creator"))
    db.create(record("x2", "deleted"))
    dead_load(world, "x1", "x2", "x3")
    db.delete("x2")
    world.passes(OPERATION_OVER)
    before = seen(db)
    assert before.keys() - {f"r{n:03}" for n in range(20)} == {"x1", "x3"}
    assert db.compact().adopted == 1
    assert seen(db) == before
    assert "WITHDRAW" in world.operations()
    assert rests(world)["x1"] == "creator"


def test_an_adoption_that_comes_late_takes_nothing_of_a_settled_load_back() -> None:
    """Another compaction has settled the load meanwhile: its mark is gone because it needs none."""
    world = TieredWorld()
    db, other = world.open(), world.open()
    db.batch_create([record("x", "load"), record("y", "load")])
    world.passes(OPERATION_OVER)
    lost_creation(world, "x")
    settled: list[str] = []

    def meanwhile(operation: str, key: str) -> None:
        if current_step() == "compact.journal" and not settled:
            settled.append(key)
            other.compact()

    world.store.meanwhile = meanwhile
    world.open().compact()
    world.store.meanwhile = lambda operation, key: None
    assert settled
    assert {id: len(births) for id, births in world.births("x", "y").items()} == {"x": 1, "y": 1}
    world.passes(OPERATION_OVER)
    db.compact()
    assert rests(world) == {"x": "load", "y": "load"}, "it was told that it had created them"


def test_packs_of_running_loads_are_made_anew_by_themselves() -> None:
    world, db = loaded()
    dead_load(world, "x1", "x2", blind=False)
    db.delete("x1")
    db.delete("r000")
    report = db.compact(full=True)
    assert (report.rewritten, report.buried) == (2, 2)
    assert sum(load is not None for load in world.loads()) == 1
    assert "x1" not in world.values()
    rests(world)


# ---------------------------------------------------------------------------------------------- beside others
def test_loads_of_other_ids_do_not_disturb_it() -> None:
    world, db = loaded()
    db.create(record("new", 1))
    other = world.open()
    with at_commit(world, lambda: other.batch_create([Record({"v": 1, "more": True}) for _ in range(3)]), times=2):
        report = db.compact()
    assert (report.version, report.folded) == (4, 1)
    assert world.operations()[-3:] == ["LOAD", "LOAD", "COMPACT"]
    assert world.pack_files() == 4, "the first, two of loads, and one that was written once"
    assert len(rests(world)) == 27


@pytest.mark.parametrize("what", ["bulk update", "compaction", "load with another type"])
def test_others_who_change_what_it_looked_at_make_it_begin_again(what: str) -> None:
    world, db = loaded()
    db.create(record("new", 1, kind="text"))
    other = world.open()
    doings: dict[str, Callable[[], object]] = {
        "bulk update": lambda: other.batch_update([(f"r{n:03}", record(f"r{n:03}", -n)) for n in range(10)]),
        "compaction": other.compact,
        "load with another type": lambda: other.batch_create([Record({"kind": n}) for n in range(3)]),
    }
    with at_commit(world, doings[what]):
        db.compact()
    before = seen(db)
    assert before["new"] == ({"v": 1, "kind": "text"}, before["new"][1])  # type: ignore[index]
    assert world.values().keys() == before.keys()
    assert world.pack_files() <= 4, "packs that no commit names are gone"
    rests(world)


def test_it_does_not_begin_again_for_ever() -> None:
    world, db = loaded()
    db.create(record("new", 1))
    other = world.open()
    doing = lambda: other.batch_update([(f"r{n:03}", record(f"r{n:03}", 1)) for n in range(10)])  # noqa: E731
    with (
        at_commit(world, doing, times=compaction.RESTARTS_MAX),
        pytest.raises(DatabaseOperationError, match="began 10 times"),
    ):
        db.compact()
    assert db.compact().folded == 1


def test_a_table_that_comes_while_it_looks_is_looked_at() -> None:
    """Two rows of one id would be the end: no answer would be right."""
    world = TieredWorld()
    db = world.open()
    db.create(record("x", "creator"))
    begun: list[str] = []

    def meanwhile(operation: str, key: str) -> None:
        if operation == "PutObject" and key.startswith(KEYS.packs) and not begun:
            begun.append(key)
            dead_load(world, "x", "y")

    world.store.meanwhile = meanwhile
    report = db.compact()
    world.store.meanwhile = lambda operation, key: None
    assert report.left == {FOREIGN: 1}
    assert value(db, "x") == "creator"
    world.passes(OPERATION_OVER)
    assert rests(world) == {"x": "creator", "y": "load"}


# ---------------------------------------------------------------------------------------------- packs
def test_small_packs_are_merged_when_there_are_many() -> None:
    world = TieredWorld()
    db = world.open()
    for number in range(selecting.SMALL_MIN):
        assert len(world.loads() if number else []) == number
        db.batch_create([Record({"v": number}) for _ in range(3)])
        assert db.compact().rewritten == (0 if number < selecting.SMALL_MIN - 1 else selecting.SMALL_MIN)
    assert len(world.loads()) == 1
    assert len(rests(world)) == 24


def test_full_leaves_packs_alone_that_are_good_and_needs_no_second_run() -> None:
    world = TieredWorld(pack_target_bytes=64 * 1024)
    db = world.open()
    noise = random.Random(1)
    db.batch_create([record(f"m{n:04}", n, text=noise.randbytes(4000).hex()) for n in range(1500)])
    db.compact(full=True)
    packs = len(world.loads())
    assert packs >= 3
    for id in ("a", "b", "z"):
        db.create(record(id, 0))
    world.passes(30)
    report = db.compact(full=True)
    assert report.rewritten <= 1, "but for the last, which is small, they stay"
    world.sent()
    assert db.compact(full=True).version is None
    assert world.open().compact(full=True).version is None
    assert world.sent()["PutObject"] == 0
    db.update("m0500", record("m0500", -1, text="x"))
    assert db.compact(full=True).rewritten <= 2, "its pack, and a small one beside it"
    with world.look() as view:
        bounds = sorted(pack.bounds for pack in view.packs)
    assert all(low[1] < high[0] for low, high in pairwise(bounds))  # type: ignore[operator]
    assert len(rests(world)) == 1503


def test_more_packs_than_fit_in_memory_are_merged_in_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selecting, "PACKS_MAX", 3)
    world = TieredWorld()
    db = world.open()
    for number in range(11):
        db.batch_create([record(f"{letter}{number:02}", number) for letter in "abz"])
    report = db.compact(full=True)
    assert (report.packs_before, report.packs_after) == (11, 1)
    assert len(rests(world)) == 33


# ---------------------------------------------------------------------------------------------- the rest
def test_where_there_is_nothing() -> None:
    world = TieredWorld()
    db = world.open()
    db._ready()
    world.sent()
    assert db.compact(full=True, wait=True) == CompactReport(None, 0, 0, 0, 0, {}, 0, 0, 0, 0, 0, False, 0.0)
    assert world.sent()["PutObject"] == 0


def test_the_log_gets_checkpoints() -> None:
    world = TieredWorld()
    db = world.open()
    made = []
    for number in range(2 * compaction.CHECKPOINT_EVERY + 5):
        db.create(record(f"r{number}", number))
        made.append(db.compact().checkpoint)
        world.passes(OPERATION_OVER)
    assert sum(made) == 2
    assert len(seen(world.open())) == len(made)
    world.passes(40 * 86400)
    files = len(world.store.objects)
    for number in range(compaction.CHECKPOINT_EVERY):
        db.create(record(f"s{number}", number))
        db.compact()
    assert len([key for key in world.store.objects if key.startswith(KEYS.log)]) < files
    assert len(seen(world.open())) == len(made) + compaction.CHECKPOINT_EVERY


def test_a_store_without_conditional_delete_is_refused() -> None:
    world = TieredWorld()
    db = world.open(Capabilities(True, ConditionalDelete.NONE, True, True))
    with pytest.raises(IncompatibleStoreError, match="conditional PUT and DELETE"):
        db.compact()


def test_progress_is_told() -> None:
    _, db = loaded()
    for number in range(5):
        db.create(record(f"h{number}", number))
    told: list[CompactProgress] = []
    with patch.object(publishing, "FETCHED", 2):
        db.compact(wait=True, on_progress=told.append)
    assert [one for one in told if one.doing == "folding"] == [CompactProgress("folding", n, 5) for n in (0, 2, 4)]
    assert told[0] == CompactProgress("listing objects")
    assert told[-1] == CompactProgress("deleting what was folded", 0, 5)


@pytest.mark.parametrize("kind", [Kind.CONDITION, Kind.SERVER])
def test_a_delete_whose_answer_is_lost_is_settled(kind: Kind) -> None:
    world, db = loaded()
    db.create(record("new", 1))
    world.passes(30)
    db.compact()
    world.passes(OPERATION_OVER)
    world.store.breaks = [Break(kind, operation="DeleteObject", before=kind is Kind.CONDITION)]
    assert db.compact().dropped == 1
    assert value(db, "new") == 1
    rests(world)


def test_a_failure_is_told() -> None:
    world, db = loaded()
    db.create(record("new", 1))
    world.store.breaks = [Break(Kind.DENIED, operation="GetObject", times=100)]
    with pytest.raises(DatabaseConnectionError, match="compacting"):
        world.open().compact()
    world.store.breaks = []
    assert world.open().compact().folded == 1


# ---------------------------------------------------------------------------------------------- any request may be the last
def mixed() -> TieredWorld:
    """Everything that a compaction can meet."""
    world, db = loaded(20)
    db.create(record("new1", 1, late=True))
    db.create(record("new2", 2))
    db.update("r000", record("r000", "updated"))
    for id in ("r001", "r002", "r003"):
        db.delete(id)
    db.create(record("r003", "again"))
    db.create(record("x1", "creator"))
    db.create(record("brief", 1))
    db.delete("brief")
    dead_load(world, "x1", "x2")
    lost_creation(world, "r005")
    world.passes(OPERATION_OVER)
    db.create(record("young", 1))
    world.open().batch_create([record("own1", 1), record("own2", 2)])
    return world


@pytest.mark.thorough
def test_readers_see_the_same_at_every_request() -> None:
    world = mixed()
    other, db = world.open(), world.open()
    before, requests, looking = seen(other), 0, False
    void = {"r005": ({"v": 5}, None)}

    def meanwhile(operation: str, key: str) -> None:
        nonlocal requests, looking
        if looking:
            return
        looking = True
        requests += 1
        now = seen(other)
        assert {id: one for id, one in now.items() if id not in void} == {
            id: one for id, one in before.items() if id not in void
        }
        assert len(other.search(Query().filter("v", "=", "updated"))) == 1
        looking = False

    world.store.meanwhile = meanwhile
    for seconds in (0, OPERATION_OVER, OPERATION_OVER):
        world.passes(seconds)
        db.compact(full=True, wait=True)
    world.store.meanwhile = lambda operation, key: None
    assert requests > 40
    assert not world.hot()


@pytest.mark.thorough
@pytest.mark.parametrize(("applied", "full"), [(False, True), (True, False)])
def test_it_may_end_at_any_request(applied: bool, full: bool) -> None:
    start = mixed()
    before = {id: one for id, one in seen(start.open()).items() if id != "r005"}  # the creator's, until it gives way
    for requests in range(1000):
        world = start.copy()
        db = world.open()
        db.count()
        world.store.last, world.store.applied = requests, applied
        try:
            db.compact(full=full, wait=True)
            ended = False
        except Gone:
            ended = True
        world.store.last = None
        other = world.open()
        assert {id: one for id, one in seen(other).items() if id != "r005"} == before, requests
        other.compact(full=full)
        world.passes(OPERATION_OVER)
        values = rests_after(world)
        assert values == {**{f"r{n:03}": n for n in range(4, 20)}, "r000": "updated", "r003": "again",
                          "new1": 1, "new2": 2, "young": 1, "own1": 1, "own2": 2, "x1": "creator", "x2": "load"}  # fmt: skip
        if not ended:
            break
    assert requests > 20


def rests_after(world: TieredWorld) -> dict[str, object]:
    """As `rests`, where a creator that died in a race has still to give way."""
    for _ in range(2):
        world.open().compact(full=True, wait=True)
        world.passes(OPERATION_OVER)
    return rests(world)


# ---------------------------------------------------------------------------------------------- memory
@pytest.mark.thorough
def test_documents_to_fold_take_bounded_memory() -> None:
    world = TieredWorld(cache_bytes=1 << 20)
    db = world.open()
    db.create(record("r", 0))
    key = KEYS.record("r")
    body, _, options = world.store.objects[key]
    count = 4_000
    for number in range(count):
        world.store.put(KEYS.record(f"h{number:06}"), body.replace(b'"r"', b'"h%06d"' % number), options, None)
    tracemalloc.start()
    assert db.compact().folded == count + 1
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3000 * count
    assert db.count() == count + 1


def test_a_fault_of_the_store_is_no_end() -> None:
    """What failed in passing is sent again."""
    world, db = loaded()
    db.create(record("new", 1))
    world.store.breaks = [Break(Kind.SERVER, nth=n, before=n % 2 == 0) for n in range(1, 12)]
    assert db.compact().folded == 1
    assert rests(world)["new"] == 1
