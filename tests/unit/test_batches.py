"""Batches over a store that fails in the middle."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator

import pytest

from dataknobs_data import database
from dataknobs_data.exceptions import (
    BatchError,
    DatabaseConnectionError,
    DatabaseOperationError,
    DuplicateRecordError,
    ThrottledError,
)
from dataknobs_data.records import Record
from tests.unit.scripted import ScriptedDatabase, fail_from

GONE = DatabaseConnectionError("the store is gone")


@pytest.fixture(autouse=True)
def small_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows of three."""
    monkeypatch.setattr(database, "BATCH", 3)


def numbered(count: int) -> list[Record]:
    """Records r0, r1, …"""
    return [Record({"n": n}, id=f"r{n}") for n in range(count)]


def test_a_store_that_is_gone_from_the_start_raises_its_own_error() -> None:
    db = ScriptedDatabase(fail_from(1, GONE))
    for call in (lambda: db.batch_create(numbered(9)), lambda: db.batch_delete(["a", "b"])):
        with pytest.raises(DatabaseConnectionError) as caught:
            call()
        assert caught.value is GONE
    assert len(db.engine.windows) == 2, "the rest of the input was not tried"


@pytest.mark.parametrize("error", [GONE, ThrottledError("slow down"), DatabaseOperationError("disk full")])
def test_a_store_that_fails_later_leaves_an_account_of_what_is_done(error: DatabaseOperationError) -> None:
    db = ScriptedDatabase(fail_from(2, error))
    with pytest.raises(BatchError, match="Nothing after index 5 was attempted") as caught:
        db.batch_create(iter(numbered(9)))
    assert caught.value.succeeded == {0: "r0", 1: "r1", 2: "r2"}
    assert {index: (id, why) for index, (id, why) in caught.value.failed.items()} == {
        3: ("r3", error),
        4: ("r4", error),
        5: ("r5", error),
    }
    assert caught.value.stopped is True
    assert len(db.engine.windows) == 2


def test_a_window_without_a_single_answer_ends_the_batch() -> None:
    db = ScriptedDatabase(fail_from(2, GONE, raised=False))
    with pytest.raises(BatchError) as caught:
        db.batch_create(numbered(9))
    assert caught.value.stopped
    assert len(db.engine.windows) == 2


def test_failures_of_single_records_do_not_end_the_batch() -> None:
    db = ScriptedDatabase()
    db.batch_create(numbered(3))
    with pytest.raises(BatchError) as caught:
        db.batch_create(numbered(9))
    assert caught.value.failed_indices == [0, 1, 2]
    assert not caught.value.stopped
    assert db.count() == 9


def test_equal_ids_go_to_the_store_one_after_the_other_and_the_rest_together() -> None:
    db = ScriptedDatabase()
    db.batch_upsert([("a", Record({"n": 1})), ("b", Record({"n": 2})), ("a", Record({"n": 3}))])
    assert db.engine.windows == [["a", "b"], ["a"]]


def test_a_store_that_fails_between_two_changes_of_one_record_says_what_is_done() -> None:
    db = ScriptedDatabase(fail_from(2, GONE))
    with pytest.raises(BatchError) as caught:
        db.batch_upsert([("a", Record({"n": 1})), ("a", Record({"n": 2})), ("b", Record({"n": 3}))])
    assert caught.value.succeeded == {0: "a", 2: "b"}
    assert caught.value.failed_indices == [1]


def test_an_error_of_the_caller_s_own_iterable_comes_through() -> None:
    def source() -> Iterator[Record]:
        yield from numbered(4)
        raise ZeroDivisionError

    db = ScriptedDatabase()
    with pytest.raises(ZeroDivisionError):
        db.batch_create(source())
    assert db.list_ids() == ["r0", "r1", "r2"], "whole windows before it are done"


def test_a_batch_error_survives_pickling_and_copying() -> None:
    error = BatchError("batch_create", {0: "a"}, {1: ("b", DuplicateRecordError("taken", id="b"))}, stopped=True)
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert str(twin) == str(error)
        assert (twin.succeeded, twin.failed_indices, twin.stopped) == ({0: "a"}, [1], True)
        assert twin.context == error.context
        assert isinstance(twin.failed[1][1], DuplicateRecordError)
