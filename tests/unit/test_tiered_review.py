"""The tiered layout's writing side where its requests fail, come late, or meet those of others."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta
from itertools import count
from typing import Any

import pytest

from dataknobs_data.exceptions import (
    BatchError,
    DataknobsDataError,
    DuplicateRecordError,
    OutcomeUnknownError,
    SerializationError,
)
from dataknobs_data.records import Record
from dataknobs_data.runtime import Runtime
from dataknobs_data.s3.calls import Caller
from dataknobs_data.s3.store import Fault, Kind, PutOptions
from dataknobs_data.streaming import StreamConfig
from tests.unit.s3_fakes import DictStore, settings
from tests.unit.tiered_fakes import Processes
from tests.unit.tiered_world import GRACE, KEYS, OPERATION_OVER, TieredWorld, seen

HOURS = 3600


def records(*ids: str, **values: Any) -> list[Record]:
    return [Record({"v": id, **values}, id=id) for id in ids]


def own(count: int, start: int = 0) -> list[Record]:
    return records(*(f"r{number:04}" for number in range(start, start + count)))


# ------------------------------------------------------------------ creations beside each other
def test_what_was_created_before_the_store_failed_is_not_called_failed() -> None:
    """200 creations look at the log in windows of 10: the second look fails, and the first ten records are there."""
    world = TieredWorld(pack_threshold=1000, max_retries=0)
    db = world.open()
    db.batch_create(own(2, start=900))
    looks = [0]

    def fails(operation: str, key: str) -> None:
        if operation == "ListObjectsV2" and key.startswith(KEYS.log):
            looks[0] += 1
            if looks[0] > 2:
                raise Fault(Kind.NETWORK, "the network is gone")

    world.store.meanwhile = fails
    with pytest.raises(BatchError) as caught:
        db.batch_create(own(25))
    world.store.meanwhile = lambda operation, key: None
    there = {str(record.id) for record in db.all()} - {"r0900", "r0901"}
    assert there == {f"r{number:04}" for number in range(10)}
    assert set(caught.value.failed) == set(range(10, 25))


def test_creations_that_wait_for_slower_ones_are_created_all_the_same() -> None:
    """Each PUT takes six seconds, one after the other, so that the first ones are older than a deadline when all are looked at."""
    world = TieredWorld(pack_threshold=1000)
    db = world.open()
    db.batch_create(own(1, start=900))

    def slowly(operation: str, key: str) -> None:
        if operation == "PutObject" and KEYS.id(key):
            world.passes(6)

    world.store.meanwhile = slowly
    assert len(db.batch_create(own(10))) == 10
    world.store.meanwhile = lambda operation, key: None
    assert len(seen(db)) == 11


@pytest.mark.parametrize("fate", ["stands", "is changed", "is deleted", "is folded", "is gone"])
@pytest.mark.parametrize("loaded", [False, True])
def test_what_became_of_a_creation_that_waited(fate: str, loaded: bool) -> None:
    """`loaded`: a rival has loaded the same id."""
    world = TieredWorld(pack_threshold=1000)
    db, other = world.open(), world.open(pack_threshold=1)
    other.batch_create(records("z"))
    done: list[str] = []

    def meets(operation: str, key: str) -> None:
        if operation != "PutObject" or not (id := KEYS.id(key)):
            return
        if id == "r0000" and loaded and "loaded" not in done:
            done.append("loaded")
            other.batch_create(records("r0000"))
        elif id == "r0009" and "done" not in done:
            done.append("done")
            act(fate)
            world.passes(OPERATION_OVER)

    def act(fate: str) -> None:
        if fate == "is changed":
            other.update("r0000", Record({"v": "changed"}))
        elif fate == "is deleted":
            other.delete("r0000")
        elif fate == "is folded":
            other.compact(full=True)
            world.passes(OPERATION_OVER)
            other.compact()
            world.passes(OPERATION_OVER)
            other.compact()
        elif fate == "is gone":
            world.store.delete(KEYS.record("r0000"), None)

    world.store.meanwhile = meets
    failed: dict[int, Any] = {}
    try:
        db.batch_create(own(10))
    except BatchError as some:
        failed = some.failed
    world.store.meanwhile = lambda operation, key: None
    there = other.read("r0000")
    if not failed:
        assert not loaded or fate in ("is changed", "is deleted")  # that was done to this one, so it was there
        assert (there is None) == (fate == "is deleted")
        return
    assert set(failed) == {0}
    error = failed[0][1]
    if loaded:
        assert isinstance(error, DuplicateRecordError | OutcomeUnknownError)
        assert there is not None
    else:
        assert fate == "is gone"
        assert isinstance(error, OutcomeUnknownError)


def test_a_creation_whose_last_look_fails_is_not_called_failed() -> None:
    world = TieredWorld(max_retries=0)
    db = world.open()
    db.batch_create(records("a", "b"))
    looks: list[str] = []

    def fails(operation: str, key: str) -> None:
        if operation == "ListObjectsV2" and key == KEYS.log:
            looks.append(key)
            if len(looks) == 2:
                raise Fault(Kind.SERVER, "500")

    world.store.meanwhile = fails
    with pytest.raises(OutcomeUnknownError, match="was written"):
        db.create(Record({"v": "c"}, id="c"))
    assert set(seen(db)) == {"a", "b", "c"}


# ------------------------------------------------------------------ long jobs
def test_a_load_whose_records_come_slowly_does_not_call_itself_silent() -> None:
    """No pack of it has been written yet, so there is nothing that vacuum could have taken."""
    world = TieredWorld()
    db = world.open()

    def slow() -> Iterator[Record]:
        for record in own(30):
            world.passes(HOURS)
            yield record

    result = db.stream_write(slow(), StreamConfig(batch_size=1, prefetch=0))
    assert (result.successful, result.errors) == (30, [])
    assert len(seen(db)) == 30
    assert not [key for key in world.store.objects if key.endswith(".open.json")]


# ------------------------------------------------------------------ compaction
def test_a_pack_that_stays_keeps_its_mark_or_loses_its_tag() -> None:
    """compact(full=True) was to merge a damaged object into a load's pack, which stays as it is."""
    world = TieredWorld()
    db = world.open()
    db.batch_create(records("a", "z"))
    world.store.put(KEYS.record("m"), b"no record", PutOptions(), None)
    db.create(Record({"v": "q"}, id="q"))
    db.delete("q")  # its tombstone asks for a commit
    world.passes(OPERATION_OVER)
    assert db.compact(full=True).version is not None
    assert {load for load in world.loads() if load} <= world.marks()


def test_nothing_is_called_old_by_commits_that_are_not_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that remembers loads only cannot know how long ago rows were moved."""
    monkeypatch.setattr("dataknobs_data.s3.table.snapshot.COMMITS_KEPT", 4)
    world = TieredWorld()
    reader, db = world.open(cache_bytes=0), world.open()
    db.batch_create(records("a", "b"))
    world.passes(OPERATION_OVER)
    db.update("a", Record({"v": "new"}))
    reader.count()
    db.compact(full=True)
    for number in range(6):
        db.batch_create(own(2, start=10 * number))
    assert reader.compact().dropped == 0
    world.passes(GRACE + 5)
    reader.compact()
    assert reader.compact().dropped + 1 >= 1
    assert "a" not in world.hot()


@pytest.mark.parametrize("first", ["clear", "compact"])
@pytest.mark.parametrize("loaded", [False, True])
def test_clear_and_compaction_beside_each_other(first: str, loaded: bool) -> None:
    """One of them begins, and at each of its requests in turn the other one comes and goes."""
    for nth in count():
        processes = Processes(pack_threshold=2)
        db, other = processes.database(), processes.database()
        if loaded:
            db.batch_create(records("x", "y"))
            processes.world.sleep(OPERATION_OVER)
        for id in "ab":
            db.create(Record({"v": 1}, id=id))
        begin, meanwhile = (db.clear, other.compact) if first == "clear" else (db.compact, other.clear)
        with processes.at_request(nth, meanwhile) as acted:
            begin()
        left = list(db.all())
        processes.close()
        if not acted:
            break
        assert left == [], acted
    assert nth > 5


def test_a_load_that_slept_before_its_commit_gives_up() -> None:
    """Somebody else commits first; looking again, its machine sleeps so long that vacuum takes its packs."""
    world = TieredWorld()
    db, other = world.open(), world.open()
    db.batch_create(records("a", "b"))
    done: list[str] = []

    def meets(operation: str, key: str) -> None:
        if not done and operation == "PutObject" and key.startswith(KEYS.log):
            done.append("is overtaken")
            other.batch_create(records("x", "y"))
            done.append("reads what was committed")
        elif done[-1:] == ["reads what was committed"] and operation == "ListObjectsV2" and key == KEYS.log:
            done.append("looks again")
        elif done[-1:] == ["looks again"] and operation == "ListObjectsV2" and key == KEYS.log:
            done.append("slept")
            world.passes(30 * HOURS)
            assert other.vacuum(retention=timedelta(days=1)).files == 1

    world.store.meanwhile = meets
    with pytest.raises(DataknobsDataError, match="silent"):
        db.batch_create(records("e", "f"))
    assert set(seen(other)) == {"a", "b", "x", "y"}


@pytest.mark.skipif(not hasattr(time, "CLOCK_BOOTTIME"), reason="a clock of Linux")
def test_deadlines_end_while_the_machine_sleeps(monkeypatch: pytest.MonkeyPatch) -> None:
    clocks = {time.CLOCK_BOOTTIME: 1000.0}
    monkeypatch.setattr(time, "clock_gettime", clocks.__getitem__)
    store: Any = DictStore()
    caller = Caller(store, settings(), Runtime())
    deadline = caller.deadline()
    clocks[time.CLOCK_BOOTTIME] += 3600
    with pytest.raises(Fault) as caught:
        caller.send("PutObject", lambda store: pytest.fail("it was sent"), deadline)
    assert caught.value.kind is Kind.LATE


@pytest.mark.parametrize("look", ["shows nothing", "fails"])
def test_a_first_commit_whose_answer_was_lost_is_not_called_failed(look: str) -> None:
    """There was no table; its first commit may still arrive."""
    world = TieredWorld(max_retries=0)
    db = world.open()
    db.count()
    sent: list[str] = []

    def loses(operation: str, key: str) -> None:
        if operation == "PutObject" and key.startswith(KEYS.log):
            sent.append(key)
            raise Fault(Kind.NETWORK, "no answer came")
        if sent and look == "fails" and operation == "ListObjectsV2":
            raise Fault(Kind.NETWORK, "no answer came")

    world.store.meanwhile = loses
    with pytest.raises(OutcomeUnknownError, match="answer was lost"):
        db.batch_create([Record({"v": 1}), Record({"v": 2})])
    assert len(sent) == 1
    assert world.pack_files() == 1, "the commit may name it"


# ------------------------------------------------------------------ ids that are too long
@pytest.mark.parametrize("verb", ["batch_create", "batch_upsert"])
@pytest.mark.parametrize("id", ["x" * 1100, "é" * 512, "a/" * 200 + "y" * 700])
def test_an_id_that_no_key_can_hold_fails_alone_in_bulk(verb: str, id: str) -> None:
    """On AWS, too, where parts between slashes may be of any length: nobody could read such a record again, or delete it."""
    db = TieredWorld().open()
    with pytest.raises(BatchError, match="1 of 4") as caught:
        getattr(db, verb)([*own(3), *records(id)])
    assert "too long" in str(caught.value.failed[3][1])
    assert list(seen(db)) == ["r0000", "r0001", "r0002"]


@pytest.mark.parametrize("verb", ["batch_create", "batch_upsert"])
@pytest.mark.parametrize("named", [True, False])
def test_a_value_that_has_no_stored_form_fails_alone_in_bulk(verb: str, named: bool) -> None:
    db = TieredWorld().open()
    given = [Record({"v": object() if place == 1 else place}, id=f"r{place}" if named else None) for place in range(4)]
    with pytest.raises(BatchError, match="1 of 4") as caught:
        getattr(db, verb)(given)
    (place, (_, error)) = next(iter(caught.value.failed.items()))
    assert (place, type(error)) == (1, SerializationError)
    assert sorted(record["v"] for record in db.all()) == [0, 2, 3]


def test_nothing_deleted_is_seen_again_while_all_is_cleared() -> None:
    """Nor is what was changed seen as it was before."""
    world = TieredWorld()
    db, other = world.open(), world.open()
    db.batch_create(own(4))
    db.delete("r0000")
    db.update("r0001", Record({"v": "new"}))
    looking, looks = False, 0

    def meanwhile(operation: str, key: str) -> None:
        nonlocal looking, looks
        if looking:
            return
        looking, looks = True, looks + 1
        found = {str(record.id): record["v"] for record in other.all()}
        assert "r0000" not in found
        assert found.get("r0001", "new") == "new"
        looking = False

    world.store.meanwhile = meanwhile
    assert db.clear() == 3
    world.store.meanwhile = lambda operation, key: None
    assert looks > 5
    assert not seen(other)
