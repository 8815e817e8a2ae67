"""Streams: their settings, their results, reading ahead, and stores that fail in the middle."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from dataknobs_data.backends.memory import MemoryDatabase
from dataknobs_data.exceptions import (
    ConfigurationError,
    DatabaseConnectionError,
    DataknobsDataError,
    DuplicateRecordError,
    RecordValidationError,
)
from dataknobs_data.records import Record
from dataknobs_data.streaming import ConflictPolicy, StreamConfig, StreamResult, prefetched, windows
from tests.unit.scripted import ScriptedDatabase, fail_from
from tests.unit.ticking import ticking_runtime


def numbered(count: int) -> Iterator[Record]:
    """Records r0, r1, …"""
    return (Record({"n": n}, id=f"r{n}") for n in range(count))


# ---------------------------------------------------------------------------------------------- StreamConfig
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"batch_size": 0}, "batch_size must be a whole number from 1 up, not 0"),
        ({"batch_size": 1.5}, "batch_size"),
        ({"batch_size": True}, "batch_size"),
        ({"prefetch": -1}, "prefetch must be a whole number from 0 up"),
        ({"timeout": 0}, "timeout must be a positive number"),
        ({"timeout": "soon"}, "timeout must be a positive number"),
        ({"on_conflict": "replace"}, "on_conflict must be one of insert, upsert, skip, not 'replace'"),
    ],
)
def test_settings_are_checked(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        StreamConfig(**settings)


def test_settings_are_frozen_and_a_policy_may_be_a_name() -> None:
    config = StreamConfig(on_conflict="UPSERT")
    assert config.on_conflict is ConflictPolicy.UPSERT
    assert (config.batch_size, config.prefetch, config.timeout, config.on_error) == (1000, 2, None, None)
    with pytest.raises(AttributeError):
        config.batch_size = 5  # type: ignore[misc]


# ---------------------------------------------------------------------------------------------- StreamResult
def test_results_add_up() -> None:
    error = DuplicateRecordError("taken", id="x")
    first = StreamResult(5, 4, 1, 0, [(2, "x", error)], 1.5, 1)
    second = StreamResult(3, 1, 1, 1, [(0, "y", error)], 0.5, 2)
    assert first.merge(second) == StreamResult(8, 5, 2, 1, [(2, "x", error), (5, "y", error)], 2.0, 3)
    assert first.merge(second).failed_indices == [2, 5]
    assert first.success_rate == 80.0
    assert StreamResult().success_rate == 100.0


# ---------------------------------------------------------------------------------------------- windows
def test_windows_are_read_one_at_a_time() -> None:
    taken: list[int] = []

    def source() -> Iterator[int]:
        for n in range(7):
            taken.append(n)
            yield n

    cut = windows(source(), 3)
    assert next(cut) == [0, 1, 2]
    assert taken == [0, 1, 2]
    assert list(cut) == [[3, 4, 5], [6]]
    assert list(windows([], 3)) == []


@pytest.mark.parametrize("one", ["text", b"bytes", Record({"x": 1}), {"x": 1}])
def test_one_thing_is_not_many(one: Any) -> None:
    with pytest.raises(RecordValidationError, match="expected a list"):
        list(windows(one, 3))


# ---------------------------------------------------------------------------------------------- reading ahead
@pytest.mark.parametrize("ahead", [0, 1, 5])
def test_what_is_read_ahead_comes_in_order(ahead: int) -> None:
    assert list(prefetched(iter(range(20)), ahead)) == list(range(20))


def test_no_more_is_read_ahead_than_asked() -> None:
    taken: list[int] = []

    def source() -> Iterator[int]:
        for n in range(100):
            taken.append(n)
            yield n

    ahead = prefetched(source(), 2)
    assert next(ahead) == 0
    deadline = time.monotonic() + 5
    while len(taken) < 4 and time.monotonic() < deadline:
        time.sleep(0.001)
    time.sleep(0.02)
    assert len(taken) == 4, "one given, two waiting, one in hand"
    ahead.close()


@pytest.mark.parametrize("ahead", [0, 2])
def test_an_error_of_the_source_comes_after_what_was_before_it(ahead: int) -> None:
    def source() -> Iterator[int]:
        yield 1
        raise ZeroDivisionError

    found = prefetched(source(), ahead)
    assert next(found) == 1
    with pytest.raises(ZeroDivisionError):
        next(found)


def test_leaving_early_ends_the_thread_and_closes_the_source() -> None:
    closed = threading.Event()

    def source() -> Iterator[int]:
        try:
            yield from range(1000)
        finally:
            closed.set()

    ahead = prefetched(source(), 2)
    next(ahead)
    ahead.close()
    assert closed.is_set()
    assert not any(thread.name == "dataknobs-prefetch" for thread in threading.enumerate())


def test_a_stream_that_is_left_early_closes_the_scan() -> None:
    db = MemoryDatabase()
    db.batch_create(numbered(50))
    stream = db.stream_read(config=StreamConfig(batch_size=2))
    next(stream)
    stream.close()
    assert not any(thread.name == "dataknobs-prefetch" for thread in threading.enumerate())


# ---------------------------------------------------------------------------------------------- writing
def test_a_stream_stops_when_its_time_is_over() -> None:
    db = ScriptedDatabase(runtime=ticking_runtime())
    result = db.stream_write(numbered(50), StreamConfig(batch_size=10, timeout=2.5))
    assert (result.total_processed, result.successful, result.failed) == (20, 20, 0)
    [(index, id, error)] = result.errors
    assert (index, id) == (20, None)
    assert "stopped after 20 records: its timeout of 2.5 s is over" in str(error)
    assert result.failed_indices == []
    assert db.count() == 20


def test_a_stream_stops_when_the_store_is_gone() -> None:
    db = ScriptedDatabase(fail_from(2, DatabaseConnectionError("gone")))
    seen: list[DataknobsDataError] = []
    config = StreamConfig(batch_size=10, on_error=lambda error, record: seen.append(error))
    result = db.stream_write(numbered(50), config)
    assert (result.total_processed, result.successful, result.failed) == (20, 10, 10)
    assert result.failed_indices == list(range(10, 20))
    assert len(seen) == 10
    assert "the store cannot be reached" in str(result.errors[-1][2])
    assert len(db.engine.windows) == 2


def test_a_writer_that_has_stopped_writes_no_more() -> None:
    db = ScriptedDatabase()
    db.batch_create(numbered(1))
    writer = db.stream_writer(StreamConfig(on_error=lambda error, record: False))
    assert writer.write(list(numbered(1))) is False
    assert writer.write(list(numbered(2))) is False
    assert writer.result().total_processed == 1
    assert writer.failure is None, "the caller said so"
