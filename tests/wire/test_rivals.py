"""Somebody else acts while an answer is on its way, or is lost, or comes from something that is no store."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from dataknobs_data.backends.s3 import S3Database
from dataknobs_data.exceptions import (
    BatchError,
    ConcurrencyError,
    DatabaseConnectionError,
    DatabaseOperationError,
    DataknobsDataError,
    DuplicateRecordError,
    OutcomeUnknownError,
)
from dataknobs_data.query import Query
from dataknobs_data.records import Record
from dataknobs_data.s3 import probe
from dataknobs_data.s3.engine import S3Engine
from tests.s3_bench import S3Bench, records
from tests.wire.proxy import Answer, Lose, Refuse, Request

BOTH_SERVERS = pytest.mark.parametrize("s3_server", ["seaweed", "moto_server"], indirect=True)
MIB = 1024 * 1024
SHORT = {"timeout": 1.0, "deadline": 2.0}


def after_losing(bench: S3Bench, operation: str, do: Callable[[], object]) -> None:
    """The first answer to `operation` is lost; `do` happens before the next request after it reaches the store."""
    lost = done = False

    def act(request: Request) -> bool:
        nonlocal lost, done
        if lost and not done:
            done = True
            do()
        first = request.operation == operation and not lost
        lost = lost or first
        return first

    bench.proxy.fault(Lose(), when=act)


# ---------------------------------------------------------------------------------------------- deletes
def test_a_lost_delete_spares_what_another_thread_of_this_database_created_since(bench: S3Bench) -> None:
    """Its copy is in the cache of the database by then: that it is held does not make it old."""
    db, other = bench.open(), bench.past()
    db.create(Record({"a": "old"}, id="x"))

    def create_and_hold() -> None:
        other.create(Record({"a": "new"}, id="x"))
        held = engine_of(other)._objects.cache.get(bench.key("x"))
        assert held
        engine_of(db)._objects.cache.put(bench.key("x"), held)

    after_losing(bench, "DeleteObject", create_and_hold)
    with pytest.raises(OutcomeUnknownError, match="a record of that id is there now"):
        db.delete("x")
    assert bench.stored("x")["data"] == {"a": "new"}


def engine_of(db: S3Database) -> S3Engine:
    engine = db._engine
    assert isinstance(engine, S3Engine)
    return engine


def test_a_lost_bulk_delete_spares_what_was_created_since(bench: S3Bench) -> None:
    db, other = bench.open(), bench.past()
    db.batch_create(records(3))
    after_losing(bench, "DeleteObjects", lambda: other.create(Record({"a": "new"}, id="r-000001")))
    with pytest.raises(BatchError) as caught:
        db.batch_delete(["r-000000", "r-000001", "r-000002"])
    assert caught.value.failed_indices == [1]
    assert isinstance(caught.value.failed[1][1], OutcomeUnknownError)
    assert bench.ids() == ["r-000001"]


def test_a_bulk_delete_that_was_not_applied_is_finished_record_by_record(bench: S3Bench) -> None:
    db = bench.open()
    db.batch_create(records(3))
    bench.proxy.fault(Refuse(), operation="DeleteObjects")
    assert db.batch_delete(["r-000000", "r-000001", "r-000002", "nothing"]) == [True, True, True, False]
    assert bench.ids() == []


# ---------------------------------------------------------------------------------------------- large records
@BOTH_SERVERS
def test_of_racing_creators_of_a_large_record_one_is_told_created(bench: S3Bench) -> None:
    clients = [bench.past() for _ in range(4)]
    for round_number in range(3):
        id = f"large-{round_number}"
        answers = together(clients, lambda db, n, id=id: db.create(Record({"n": n, "x": "x" * 5 * MIB}, id=id)))
        assert sum(answer == id for answer in answers) == 1, answers
        assert sum(isinstance(answer, DuplicateRecordError) for answer in answers) == 3, answers
        assert bench.stored(id)["data"]["n"] == answers.index(id)
    assert not [path for path in bench.paths() if "lock-" in path]


@BOTH_SERVERS
def test_of_racing_changes_of_a_large_record_at_one_version_one_wins(bench: S3Bench) -> None:
    clients = [bench.past() for _ in range(4)]
    clients[0].create(Record({"n": -1, "x": "x" * 5 * MIB}, id="large"))
    version = clients[0].get_version("large")
    assert version
    answers = together(
        clients,
        lambda db, n: db.update("large", Record({"n": n, "x": "y" * 5 * MIB}, id="large"), expected_version=version),
    )
    assert answers.count(True) == 1, answers
    assert sum(isinstance(answer, ConcurrencyError) for answer in answers) == 3, answers
    assert bench.stored("large")["data"]["n"] == answers.index(True)


@BOTH_SERVERS
def test_a_large_change_at_a_stale_version_changes_nothing(bench: S3Bench) -> None:
    """moto completes an upload whatever its condition says."""
    mine, other = bench.open(), bench.past()
    mine.create(Record({"x": "x" * 5 * MIB}, id="large"))
    version = mine.get_version("large")
    assert other.update("large", Record({"x": "other"}))
    with pytest.raises(ConcurrencyError):
        mine.update("large", Record({"x": "y" * 5 * MIB}), expected_version=version)
    assert bench.stored("large")["data"] == {"x": "other"}


def test_the_lock_of_a_client_that_died_is_taken_away_when_its_deadline_is_over(bench: S3Bench) -> None:
    settings = {"timeout": 2.0, "deadline": 3.0}
    db = bench.open(**settings)
    bench.proxy.fault(Refuse(), operation="CompleteMultipartUpload", times=None)
    bench.proxy.fault(Refuse(), when=lambda r: r.operation == "DeleteObject" and "lock-" in r.key, times=None)
    with pytest.raises(OutcomeUnknownError):
        db.create(Record({"x": "x" * 5 * MIB}, id="large"))
    bench.proxy.reset()
    assert [path for path in bench.paths() if "lock-" in path]
    assert create_when_it_may(db, Record({"x": "x" * 5 * MIB}, id="large")) == "large"
    assert bench.ids() == ["large"]
    assert not [path for path in bench.paths() if "lock-" in path]


def test_a_lock_is_stale_by_its_holders_deadline_not_by_that_of_who_waits(bench: S3Bench) -> None:
    hurried = bench.open(timeout=1.0, deadline=2.0)
    lock = engine_of(hurried)._keys.lock(bench.key("large"))
    bench.put_key(lock, b"SOMEBODY 60.0")
    time.sleep(3.1)
    with pytest.raises(DatabaseOperationError, match="is held by another writer of this record"):
        hurried.create(Record({"x": "x" * 5 * MIB}, id="large"))
    bench.put_key(lock, b"SOMEBODY 1.0")
    time.sleep(2.1)
    assert hurried.create(Record({"x": "x" * 5 * MIB}, id="large")) == "large"


def create_when_it_may(db: S3Database, record: Record) -> str:
    for _ in range(5):
        try:
            return db.create(record)
        except DatabaseOperationError as error:
            assert "deadline is over" in str(error)  # noqa: PT017  the lock is held still
    raise AssertionError("the lock was never given up")


def together(clients: list[S3Database], work: Callable[..., Any]) -> list[Any]:
    """What each client answers or raises when all begin at once."""
    answers: list[Any] = [None] * len(clients)
    start = threading.Barrier(len(clients))

    def run(number: int) -> None:
        start.wait()
        try:
            answers[number] = work(clients[number], number)
        except DataknobsDataError as error:
            answers[number] = error

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(clients))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


# ---------------------------------------------------------------------------------------------- answers of others


@pytest.mark.parametrize(
    "call",
    [
        lambda db: db.read("x"),
        lambda db: db.batch_read(["x", "y"]),
        lambda db: db.delete("x"),
        lambda db: db.update("x", Record({})),
        lambda db: db.search(Query().filter("id", "=", "x")),
    ],
    ids=["read", "batch_read", "delete", "update", "search"],
)
def test_a_404_that_is_not_the_stores_is_no_answer(bench: S3Bench, call: Callable[[S3Database], object]) -> None:
    """A gateway without a store behind it says "404 page not found" to everything."""
    db = bench.open(**SHORT)
    bench.past().create(Record({}, id="x"))
    bench.proxy.fault(Answer(404, "", "404 page not found"), times=None)
    with pytest.raises((DatabaseOperationError, DatabaseConnectionError)):
        call(db)
    bench.proxy.reset()
    assert bench.ids() == ["x"]


@pytest.mark.parametrize("operation", ["PutObject", "DeleteObject", "HeadObject"])
def test_a_lost_answer_while_probing_is_no_verdict_on_the_store(bench: S3Bench, operation: str) -> None:
    probe._known.clear()
    bench.proxy.fault(Lose(), operation=operation)
    db = bench.connect()
    assert db.create(Record({}, {"team": "blue"}, id="x")) == "x"
    assert list(probe._known.values()) == [probe.Capabilities()]
    assert db.tags("x") == {"id": "x", "created_at": db.read("x").metadata["created_at"], "team": "blue"}  # type: ignore[union-attr]


# ---------------------------------------------------------------------------------------------- closing meanwhile
def test_closing_lets_what_runs_finish(bench: S3Bench) -> None:
    db = bench.open(max_workers=2)
    answers: list[Any] = []
    writer = threading.Thread(target=lambda: answers.extend(db.batch_create(records(300))))
    writer.start()
    while len(bench.ids()) < 20:
        pass
    db.close()
    writer.join()
    assert len(answers) == 300
    assert len(bench.ids()) == 300
