"""Batches: every item gets its own answer, in order, and what failed is named while the rest is done."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from dataknobs_data import database
from dataknobs_data.database import SyncDatabase
from dataknobs_data.exceptions import BatchError, DuplicateRecordError, RecordValidationError
from dataknobs_data.records import Record
from tests.contract.backends import Backend


def numbered(count: int, start: int = 0) -> list[Record]:
    """Records r000, r001, …"""
    return [Record({"n": n}, id=f"r{n:03}") for n in range(start, start + count)]


def contents(db: SyncDatabase) -> dict[str, Any]:
    """What is stored: id → field n."""
    return {str(record.id): record["n"] for record in db.all()}


@pytest.fixture(autouse=True)
def small_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches of a few records already span several windows."""
    monkeypatch.setattr(database, "BATCH", 10)


def test_ids_come_back_in_the_order_of_the_input(db: SyncDatabase) -> None:
    records = list(reversed(numbered(25)))
    assert db.batch_create(records) == [record.id for record in records]
    assert contents(db) == {f"r{n:03}": n for n in range(25)}


def test_records_without_ids_get_some_in_order(db: SyncDatabase) -> None:
    ids = db.batch_create(Record({"n": n}) for n in range(25))
    assert ids == sorted(set(ids))
    assert [record and record["n"] for record in db.batch_read(ids)] == list(range(25))


def test_records_are_read_in_the_order_asked_with_none_for_the_missing(db: SyncDatabase) -> None:
    db.batch_create(numbered(25))
    asked = ["r024", "missing", "r000", "r000", *(f"r{n:03}" for n in range(25))]
    assert [record and record["n"] for record in db.batch_read(asked)] == [24, None, 0, 0, *range(25)]


def test_updates_say_for_each_whether_there_was_one(db: SyncDatabase) -> None:
    db.batch_create(numbered(2))
    updates = [("r001", Record({"n": 11})), ("missing", Record({"n": 0})), ("r000", Record({"n": 10}))]
    assert db.batch_update(updates) == [True, False, True]
    assert contents(db) == {"r000": 10, "r001": 11}


def test_upserts_take_bare_records_and_pairs(db: SyncDatabase) -> None:
    db.batch_create(numbered(1))
    assert db.batch_upsert([Record({"n": 5}, id="r000"), ("new", Record({"n": 6}))]) == ["r000", "new"]
    assert contents(db) == {"new": 6, "r000": 5}


def test_deletes_say_for_each_whether_there_was_one(db: SyncDatabase) -> None:
    db.batch_create(numbered(25))
    ids = [f"r{n:03}" for n in range(25)]
    assert db.batch_delete(["missing", *ids[1:]]) == [False, *[True] * 24]
    assert contents(db) == {"r000": 0}


def test_empty_batches_are_answered(db: SyncDatabase) -> None:
    for batch in (db.batch_create, db.batch_read, db.batch_update, db.batch_upsert, db.batch_delete):
        assert batch([]) == []
        assert batch(iter(())) == []


def test_the_newer_package_s_names_are_the_same_methods(db: SyncDatabase) -> None:
    assert db.create_batch(numbered(2)) == ["r000", "r001"]
    assert [record and record["n"] for record in db.read_batch(["r001", "r000"])] == [1, 0]
    assert db.update_batch([("r000", Record({"n": 5}))]) == [True]
    assert db.upsert_batch([Record({"n": 6}, id="r001")]) == ["r001"]
    assert contents(db) == {"r000": 5, "r001": 6}
    assert db.delete_batch(["r000", "r001"]) == [True, True]


def test_generators_are_read_window_by_window(db: SyncDatabase, backend: Backend) -> None:
    seen_at: list[int] = []

    def source() -> Iterator[Record]:
        for record in numbered(25):
            seen_at.append(db.count())
            yield record

    assert len(db.batch_create(source())) == 25
    assert seen_at == ([0] * 25 if backend.held else [0] * 10 + [10] * 10 + [20] * 5)


# ---------------------------------------------------------------------------------------------- the same id twice
def test_of_two_creates_of_one_id_in_a_batch_the_first_wins(db: SyncDatabase) -> None:
    with pytest.raises(BatchError) as caught:
        db.batch_create([Record({"n": 1}, id="a"), Record({"n": 2}, id="a"), Record({"n": 3}, id="b")])
    assert caught.value.failed_indices == [1]
    assert caught.value.succeeded == {0: "a", 2: "b"}
    assert contents(db) == {"a": 1, "b": 3}


def test_of_two_changes_of_one_record_in_a_batch_the_last_stays(db: SyncDatabase) -> None:
    assert db.batch_upsert([("a", Record({"n": 1})), ("b", Record({"n": 2})), ("a", Record({"n": 3}))]) == [
        "a",
        "b",
        "a",
    ]
    assert contents(db) == {"a": 3, "b": 2}
    assert db.batch_update([("a", Record({"n": n})) for n in range(5)]) == [True] * 5
    assert contents(db) == {"a": 4, "b": 2}


def test_of_two_deletes_of_one_record_in_a_batch_one_says_true(db: SyncDatabase) -> None:
    db.batch_create(numbered(1))
    assert db.batch_delete(["r000", "r000"]) == [True, False]


# ---------------------------------------------------------------------------------------------- failures
def test_what_failed_is_named_and_the_rest_is_done(db: SyncDatabase) -> None:
    db.batch_create(numbered(2, start=3))
    with pytest.raises(BatchError, match="2 of 25 records failed") as caught:
        db.batch_create(numbered(25))
    error = caught.value
    assert error.failed_indices == [3, 4]
    assert [(id, type(why)) for id, why in error.failed.values()] == [
        ("r003", DuplicateRecordError),
        ("r004", DuplicateRecordError),
    ]
    assert error.succeeded == {n: f"r{n:03}" for n in range(25) if n not in (3, 4)}
    assert error.context["failed_ids"] == ["r003", "r004"]
    assert error.stopped is False
    assert db.count() == 25


@pytest.mark.parametrize("thing", [None, ["n", 1], 5, ("only one",), ("", Record({"n": 1})), (5, Record({"n": 1}))])
def test_what_makes_no_sense_fails_alone(db: SyncDatabase, thing: Any) -> None:
    with pytest.raises(BatchError) as caught:
        db.batch_upsert([Record({"n": 1}, id="a"), thing, Record({"n": 2}, id="b")])
    assert caught.value.failed_indices == [1]
    assert isinstance(caught.value.failed[1][1], RecordValidationError)
    assert contents(db) == {"a": 1, "b": 2}


@pytest.mark.parametrize("id", ["", None, 5, "\ud800"])
def test_ids_that_make_no_sense_fail_alone(db: SyncDatabase, id: Any) -> None:
    db.batch_create(numbered(2))
    with pytest.raises(BatchError) as caught:
        db.batch_delete(["r000", id, "r001"])
    assert caught.value.failed_indices == [1]
    assert db.count() == 0
    with pytest.raises(BatchError):
        db.batch_update([(id, Record({"n": 1}))])


def test_a_single_thing_in_place_of_many_is_refused(db: SyncDatabase) -> None:
    record = Record({"n": 1}, id="abc")
    calls: list[tuple[Callable[[Any], object], Any]] = [
        (db.batch_read, "abc"),
        (db.batch_delete, "abc"),
        (db.batch_create, record),
        (db.stream_write, record),
    ]
    for call, thing in calls:
        with pytest.raises(RecordValidationError, match="list"):
            call(thing)
    assert db.count() == 0
