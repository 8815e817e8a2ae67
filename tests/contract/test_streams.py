"""Streams: records in batches, and what came of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from dataknobs_data.database import SyncDatabase
from dataknobs_data.exceptions import DataknobsDataError, DuplicateRecordError, RecordValidationError
from dataknobs_data.query import Query
from dataknobs_data.records import Record
from dataknobs_data.streaming import StreamConfig
from tests.contract.backends import Backend


def numbered(count: int) -> Iterator[Record]:
    """Records r000, r001, …, one by one."""
    return (Record({"n": n}, id=f"r{n:03}") for n in range(count))


@pytest.mark.parametrize("how", [None, StreamConfig(batch_size=1, prefetch=0), StreamConfig(batch_size=7, prefetch=3)])
def test_a_stream_reads_all_records_in_order(db: SyncDatabase, how: StreamConfig | None) -> None:
    db.batch_create(numbered(25))
    assert [record["n"] for record in db.stream_read(config=how)] == list(range(25))


def test_a_stream_reads_what_the_query_finds(db: SyncDatabase) -> None:
    db.batch_create(numbered(25))
    query = Query().filter("n", ">=", 5).sort("n", "DESC").offset(1).limit(3).select("n")
    assert [record["n"] for record in db.stream_read(query, StreamConfig(batch_size=2))] == [23, 22, 21]


def test_a_stream_may_be_left_early(db: SyncDatabase) -> None:
    db.batch_create(numbered(25))
    stream = db.stream_read(config=StreamConfig(batch_size=2, prefetch=1))
    assert [next(stream)["n"] for _ in range(3)] == [0, 1, 2]
    stream.close()
    assert db.count() == 25


def test_streams_of_nothing(db: SyncDatabase) -> None:
    assert list(db.stream_read()) == []
    result = db.stream_write([])
    assert (result.total_processed, result.total_batches, result.errors) == (0, 0, [])
    assert result.success_rate == 100.0


def test_a_stream_writes_all_records_and_counts_them(db: SyncDatabase) -> None:
    result = db.stream_write(numbered(25), StreamConfig(batch_size=10))
    assert (result.total_processed, result.successful, result.failed, result.skipped) == (25, 25, 0, 0)
    assert result.total_batches == 3
    assert result.duration > 0
    assert db.count() == 25


def test_records_whose_id_is_taken_fail_and_are_named(db: SyncDatabase) -> None:
    db.create(Record({"n": -1}, id="r003"))
    result = db.stream_write(numbered(5))
    assert (result.successful, result.failed, result.skipped) == (4, 1, 0)
    assert result.success_rate == 80.0
    assert result.failed_indices == [3]
    [(index, id, error)] = result.errors
    assert (index, id, type(error)) == (3, "r003", DuplicateRecordError)
    assert [record["n"] for record in db.all()] == [0, 1, 2, -1, 4]


@pytest.mark.parametrize(("policy", "counts", "kept"), [("upsert", (5, 0, 0), 3), ("SKIP", (4, 0, 1), -1)])
def test_records_whose_id_is_taken_overwrite_or_are_skipped_when_asked(
    db: SyncDatabase, policy: str, counts: tuple[int, int, int], kept: int
) -> None:
    db.create(Record({"n": -1}, id="r003"))
    result = db.stream_write(numbered(5), StreamConfig(on_conflict=policy))
    assert (result.successful, result.failed, result.skipped) == counts
    assert result.errors == []
    assert [record["n"] for record in db.all()] == [0, 1, 2, kept, 4]


def test_what_makes_no_sense_fails_alone(db: SyncDatabase) -> None:
    things: list[Any] = [Record({"n": 1}, id="a"), None, ["n", 2], Record({"n": 3}, id="b")]
    result = db.stream_write(things)
    assert (result.successful, result.failed, result.failed_indices) == (2, 2, [1, 2])
    assert all(isinstance(error, RecordValidationError) for _, _, error in result.errors)


def test_on_error_sees_each_failure_and_may_end_the_stream(db: SyncDatabase, backend: Backend) -> None:
    db.batch_create(numbered(3))
    seen: list[tuple[str | None, str]] = []

    def stop(error: DataknobsDataError, record: Record) -> bool:
        seen.append((record.id, type(error).__name__))
        return False

    def go_on(error: DataknobsDataError, record: Record) -> None:
        seen.append((record.id, type(error).__name__))

    result = db.stream_write(numbered(20), StreamConfig(batch_size=2, on_error=stop))
    taken = {None: 2, 3: 4}.get(backend.held, 20)  # before the first failure is known
    assert (result.total_processed, result.failed) == (taken, min(taken, 3))
    assert seen == [(f"r{n:03}", "DuplicateRecordError") for n in range(min(taken, 3))]
    there = max(taken, 3)
    assert db.count() == there

    result = db.stream_write(numbered(there + 2), StreamConfig(batch_size=2, on_error=go_on))
    assert (result.successful, result.failed, db.count()) == (2, there, there + 2)
