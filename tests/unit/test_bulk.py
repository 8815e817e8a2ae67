"""Batches, streams, migrations and loads over an engine that says only in the end what became of them."""

from __future__ import annotations

import asyncio
import gc
import threading
import tracemalloc
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from typing import Any

import pytest

from dataknobs_data import database
from dataknobs_data.aio import AsyncDatabase
from dataknobs_data.backends.memory import MemoryDatabase
from dataknobs_data.documents import Change, Verb, resolve
from dataknobs_data.engine import Bulk, Settled
from dataknobs_data.exceptions import (
    BatchError,
    DatabaseConnectionError,
    DatabaseOperationError,
    DataknobsDataError,
    DuplicateRecordError,
    MigrationError,
    RecordValidationError,
    SerializationError,
)
from dataknobs_data.migration import MigrationProgress, Migrator
from dataknobs_data.records import Record
from dataknobs_data.runtime import Runtime
from dataknobs_data.streaming import StreamConfig
from tests.unit.late import LateDatabase
from tests.unit.scripted import ScriptedDatabase, fail_from
from tests.unit.test_migration import BrokenSource
from tests.unit.ticking import ticking_runtime

RESULT = resolve(Change(Verb.CREATE, "a", Record({})), None, Runtime())


@pytest.fixture(autouse=True)
def small_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows of three."""
    monkeypatch.setattr(database, "BATCH", 3)


def numbered(count: int, **more: Any) -> list[Record]:
    """Records r0, r1, …"""
    return [Record({"n": n, **more}, id=f"r{n}") for n in range(count)]


def broken_off(count: int) -> Iterator[Record]:
    """The same, and then an error of the caller's own."""
    yield from numbered(count)
    raise ZeroDivisionError


# ---------------------------------------------------------------------------------------------- EachWindow
def changes(*ids: str) -> list[Change]:
    """Upserts."""
    return [Change(Verb.UPSERT, id, Record({}, id=id)) for id in ids]


def taken_apart(news: Iterable[Settled]) -> tuple[list[Settled], DataknobsDataError | None]:
    """What an answer says, and what it raises in the end."""
    found: list[Settled] = []
    try:
        for one in news:
            found.append(one)
    except DataknobsDataError as error:
        return found, error
    return found, None


def test_the_default_carries_out_each_window_at_once_in_rounds_of_distinct_ids() -> None:
    db = ScriptedDatabase()
    bulk = db.engine.bulk(Verb.UPSERT)
    assert list(bulk.add(changes("a", "b", "a"))) == [Settled(0, True), Settled(1, True), Settled(2, True)]
    assert db.engine.windows == [["a", "b"], ["a"]]
    assert [one.index for one in bulk.add(changes("c", "c"))] == [3, 4]
    assert list(bulk.finish()) == []
    bulk.abandon()
    assert db.list_ids() == ["a", "b", "c"]


def test_the_default_says_what_became_of_each_before_it_raises() -> None:
    gone = DatabaseOperationError("gone")
    bulk = ScriptedDatabase(fail_from(2, gone)).engine.bulk(Verb.UPSERT)
    given = changes("a", "a", "b")
    news, error = taken_apart(bulk.add(given))
    assert news == [Settled(0, True), Settled(2, True), Settled(1, gone, given[1].record, "a")]
    assert error is gone


def test_the_default_raises_for_a_window_without_an_answer_but_not_for_one_of_refusals() -> None:
    gone = DatabaseConnectionError("gone")
    silent = ScriptedDatabase(fail_from(1, gone, raised=False)).engine.bulk(Verb.CREATE)
    news, error = taken_apart(silent.add(given := changes("a", "b")))
    assert ([one.outcome for one in news], error) == ([gone] * len(given), gone)
    refused = DataknobsDataError("no")
    bulk = ScriptedDatabase(fail_from(1, refused, raised=False)).engine.bulk(Verb.CREATE)
    news, error = taken_apart(bulk.add(given))
    assert ([one.outcome for one in news], error) == ([refused] * 2, None)


# ---------------------------------------------------------------------------------------------- batches
def test_a_batch_of_any_size_is_one_bulk() -> None:
    db = LateDatabase()
    assert db.batch_create(numbered(10)) == [f"r{n}" for n in range(10)]
    assert [verb for verb, _ in db.engine.bulks] == [Verb.CREATE]
    assert (db.last.adds, db.last.ended) == (4, ["finished"])
    assert db.count() == 10
    assert db.batch_create([Record({}), Record({})]) == db.list_ids()[:2], "generated ids"
    assert db.batch_create([]) == []
    assert db.last.adds == 0


def test_what_fails_early_late_or_before_the_store_saw_it_is_named_by_its_place() -> None:
    db = LateDatabase()
    db.batch_create([Record({}, id="r3"), Record({}, id="r8")])
    records: list[Any] = numbered(10, sure=1)
    records[1] = records[4] = "no record"
    records[5] = Record({"early": 1}, id="r5")
    records[9] = Record({"n": 2}, id="r0")
    with pytest.raises(BatchError) as caught:
        db.batch_create(records)
    error = caught.value
    assert [(index, id, type(why)) for index, (id, why) in error.failed.items()] == [
        (1, None, RecordValidationError),
        (3, "r3", DuplicateRecordError),
        (4, None, RecordValidationError),
        (5, "r5", SerializationError),
        (8, "r8", DuplicateRecordError),
        (9, "r0", DuplicateRecordError),
    ]
    assert error.succeeded == {n: f"r{n}" for n in (0, 2, 6, 7)}
    assert not error.stopped
    assert db.batch_read(["r0"])[0]["n"] == 0  # type: ignore[index]


def test_of_two_changes_of_one_record_the_later_stays_over_windows_too() -> None:
    db = LateDatabase()
    db.create(Record({}, id="a"))
    assert db.batch_upsert([("a", Record({"n": n})) for n in range(7)]) == ["a"] * 7
    assert db.all()[0]["n"] == 6
    pairs = [("x" if n in (0, 4) else "a", Record({"n": n, "sure": n})) for n in range(8)]
    assert db.batch_update(pairs) == [n not in (0, 4) for n in range(8)]
    assert db.all()[0]["n"] == 7
    assert [verb for verb, _ in db.engine.bulks] == [Verb.UPSERT, Verb.UPDATE]


@pytest.mark.parametrize("faults", [{"fail_add": 2}, {"fail_finish": True}])
def test_a_store_that_fails_as_a_whole_fails_all_that_is_not_settled(faults: dict[str, Any]) -> None:
    db = LateDatabase(**faults)
    with pytest.raises(DataknobsDataError) as caught:
        db.batch_create(numbered(9))
    assert caught.value is db.last.error
    assert (db.last.ended, db.count()) == (["abandoned"], 0)
    with pytest.raises(BatchError) as named:
        db.batch_create([Record({"early": 1}, id="e"), *numbered(4)])
    assert named.value.stopped
    assert named.value.succeeded == {}
    assert named.value.failed_indices == [0, 1, 2, 3, 4]
    assert isinstance(named.value.failed[0][1], SerializationError)
    assert named.value.failed[4] == ("r3", db.last.error)


def test_an_input_that_breaks_off_leaves_nothing() -> None:
    db = LateDatabase()
    with pytest.raises(ZeroDivisionError):
        db.batch_create(broken_off(8))
    assert (db.last.ended, db.count()) == (["abandoned"], 0)


# ---------------------------------------------------------------------------------------------- streams
@pytest.mark.parametrize(
    ("policy", "counts", "kept"),
    [("insert", (7, 3, 0), [-1, 3]), ("skip", (7, 1, 2), [-1, 3]), ("upsert", (9, 1, 0), [2, 9])],
)
def test_a_stream_is_one_bulk_under_every_policy(policy: str, counts: tuple[int, int, int], kept: list[int]) -> None:
    db = LateDatabase()
    db.create(Record({"n": -1}, id="r2"))
    records = numbered(10)
    records[9] = Record({"n": 9}, id="r3")
    records[5] = Record({"early": 1}, id="r5")
    result = db.stream_write(records, StreamConfig(batch_size=4, on_conflict=policy))
    assert (result.total_processed, result.total_batches) == (10, 3)
    assert (result.successful, result.failed, result.skipped) == counts
    assert result.failed_indices == ([2, 5, 9] if policy == "insert" else [5])
    assert {index: id for index, id, _ in result.errors}[5] == "r5"
    assert [record and record["n"] for record in db.batch_read(["r2", "r3"])] == kept
    assert (len(db.engine.bulks), db.last.ended) == (1, ["finished"])


def test_on_error_is_told_when_it_is_known_and_ends_the_stream_but_not_what_was_taken() -> None:
    db = LateDatabase()
    db.create(Record({}, id="r0"))
    records = numbered(9)
    records[4] = Record({"early": 1}, id="r4")
    seen: list[tuple[str | None, int]] = []

    def stop(error: DataknobsDataError, record: Record) -> bool:
        seen.append((record.id, db.count()))
        return False

    result = db.stream_write(records, StreamConfig(batch_size=3, on_error=stop))
    assert seen == [("r4", 1), ("r0", 5)], "one before anything is in, one after"
    assert (result.total_processed, result.successful, result.failed) == (6, 4, 2)
    assert db.count() == 5


def test_a_stream_whose_time_is_over_finishes_what_it_took() -> None:
    db = LateDatabase(runtime=ticking_runtime())
    result = db.stream_write(numbered(50), StreamConfig(batch_size=10, timeout=2.5))
    assert (result.total_processed, result.successful, result.failed, db.count()) == (20, 20, 0, 20)
    assert "its timeout of 2.5 s is over" in str(result.errors[0][2])


def test_one_error_stands_for_all_that_were_on_their_way() -> None:
    db = LateDatabase(fail_finish=True)
    records = [Record({"early": 1}, id="e"), *numbered(5)]
    result = db.stream_write(records, StreamConfig(batch_size=2))
    assert (result.total_processed, result.successful, result.failed) == (6, 0, 6)
    assert result.failed_indices == [0]
    (_, _, error) = result.errors[-1]
    assert "stopped after 6 records: the store failed: the commit failed" in str(error)
    assert error.__cause__ is db.last.error
    assert db.last.ended == ["abandoned"]


def test_a_stream_that_is_broken_off_leaves_nothing() -> None:
    db = LateDatabase()
    with pytest.raises(ZeroDivisionError):
        db.stream_write(broken_off(8), StreamConfig(batch_size=2))

    def on_error(error: DataknobsDataError, record: Record) -> None:
        raise KeyError

    with pytest.raises(KeyError):
        db.stream_write([*numbered(3), Record({"early": 1})], StreamConfig(batch_size=2, on_error=on_error))
    assert [bulk.ended for _, bulk in db.engine.bulks] == [["abandoned"]] * 2
    assert db.count() == 0


def test_a_writer_says_so_far_and_in_the_end_and_ends_once() -> None:
    db = LateDatabase()
    told: list[str] = []
    writer = db.stream_writer(StreamConfig(), told.append)
    assert writer.write([Record({"early": 1}), *numbered(2)])
    assert (writer.result().total_processed, writer.result().successful, writer.result().failed) == (3, 0, 1)
    assert told == []
    assert writer.finish().successful == 2
    assert told == ["r0", "r1"]
    assert not writer.write(numbered(1))
    writer.abandon()
    assert writer.finish().total_processed == 3
    assert db.last.ended == ["finished"]


def test_what_was_given_up_is_not_counted_as_written() -> None:
    db = LateDatabase()
    with db.stream_writer() as writer:
        writer.write(numbered(2))
    assert (writer.finish().successful, writer.result().total_processed) == (0, 2)
    assert db.last.ended == ["abandoned"]


def test_the_memory_of_a_stream_does_not_grow_with_its_records() -> None:
    db = ScriptedDatabase(lambda window: None)
    db.engine.apply_many = lambda changes: [RESULT] * len(changes)  # type: ignore[method-assign]

    def peak(count: int) -> int:
        gc.collect()
        tracemalloc.start()
        db.stream_write((Record({}, id=f"{n:09}") for n in range(count)), StreamConfig(batch_size=100))
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(200)
    assert peak(5000) < 1.5 * peak(500)


# ---------------------------------------------------------------------------------------------- asyncio
class AsyncLate(AsyncDatabase):
    """A LateDatabase for asyncio."""

    sync_class = LateDatabase

    @property
    def late(self) -> LateDatabase:
        """The one that blocks."""
        assert isinstance(self.sync, LateDatabase)
        return self.sync


def test_asynchronous_streams_finish_or_leave_nothing() -> None:
    async def source(breaks: bool) -> AsyncIterator[Record]:
        for record in numbered(5):
            yield record
        if breaks:
            raise ZeroDivisionError

    async def main() -> None:
        db = AsyncLate()
        assert (await db.stream_write(source(False), StreamConfig(batch_size=2))).successful == 5
        with pytest.raises(ZeroDivisionError):
            await db.stream_write(source(True), StreamConfig(batch_size=2))
        with pytest.raises(ZeroDivisionError):
            await db.stream_write(broken_off(5), StreamConfig(batch_size=2))
        await db.close()
        assert [bulk.ended for _, bulk in db.late.engine.bulks] == [["finished"], ["abandoned"], ["abandoned"]]

    asyncio.run(main())


def test_a_stream_that_is_cancelled_is_given_up_after_the_batch_that_is_under_way() -> None:
    entered, go_on = threading.Event(), threading.Event()

    async def main() -> None:
        db = AsyncLate()
        bulk = db.late.engine.bulk

        def watched(verb: Verb) -> Bulk:
            made = bulk(verb)
            add = made.add

            def slow(changes: Sequence[Change]) -> Iterable[Settled]:
                entered.set()
                assert go_on.wait(10)
                return add(changes)  # it asserts that the bulk has not ended

            made.add = slow  # type: ignore[method-assign]
            return made

        db.late.engine.bulk = watched  # type: ignore[method-assign]
        task = asyncio.create_task(db.stream_write(numbered(5), StreamConfig(batch_size=2)))
        await asyncio.to_thread(entered.wait, 10)
        task.cancel()
        await asyncio.sleep(0.02)
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        await db.close()
        assert (db.late.last.adds, db.late.last.ended) == (1, ["abandoned"])

    asyncio.run(main())


# ---------------------------------------------------------------------------------------------- migrations
def source_of(count: int) -> MemoryDatabase:
    """A database of r0, r1, …"""
    db = MemoryDatabase()
    db.batch_create(numbered(count))
    return db


def test_the_last_progress_of_a_migration_is_the_whole_truth() -> None:
    target = LateDatabase()
    target.create(Record({}, id="r1"))
    seen: list[MigrationProgress] = []

    def transform(record: Record) -> Record | None:
        assert record["n"] != 2
        return None if record["n"] == 3 else record

    done = Migrator().migrate(source_of(9), target, transform, batch_size=4, on_progress=seen.append)
    assert [(one.processed, one.succeeded, one.failed, one.skipped) for one in seen] == [
        (4, 0, 1, 1),
        (8, 0, 1, 1),
        (9, 0, 1, 1),
        (9, 6, 2, 1),
    ]
    assert (done.processed, done.succeeded, done.failed, done.skipped, done.total) == (9, 6, 2, 1, 9)
    assert [id for id, _ in done.errors] == ["r2", "r1"]
    assert (len(target.engine.bulks), target.count()) == (1, 7)


def test_a_migration_that_on_error_ends_writes_what_was_read() -> None:
    target = LateDatabase()

    def transform(record: Record) -> Record:
        return Record({"early": 1}, id="e") if record["n"] == 5 else record

    done = Migrator().migrate(source_of(9), target, transform, batch_size=4, on_error=lambda error, record: False)
    assert (done.processed, done.succeeded, done.failed, done.stopped, done.total) == (8, 7, 1, True, None)
    assert target.count() == 7


def test_a_failed_commit_breaks_a_migration_off() -> None:
    target = LateDatabase(fail_finish=True)
    with pytest.raises(MigrationError, match=r"after 9 records \(0 written, 9 failed\): .*the commit failed") as caught:
        Migrator().migrate(source_of(9), target, batch_size=4)
    assert caught.value.context == {"processed": 9, "succeeded": 0, "failed": 9, "skipped": 0}


def test_a_source_that_fails_leaves_nothing_of_a_migration() -> None:
    target = LateDatabase()
    with pytest.raises(MigrationError, match=r"\(0 written, 0 failed, 20 given up\): the source failed"):
        Migrator().migrate(BrokenSource(25), target, batch_size=10)
    assert (target.last.ended, target.count()) == (["abandoned"], 0)


def test_an_error_in_on_progress_leaves_nothing_of_a_migration() -> None:
    def on_progress(progress: MigrationProgress) -> None:
        raise KeyboardInterrupt

    target = LateDatabase()
    with pytest.raises(KeyboardInterrupt):
        Migrator().migrate(source_of(9), target, batch_size=4, on_progress=on_progress)
    assert (target.last.ended, target.count()) == (["abandoned"], 0)
