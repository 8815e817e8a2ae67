"""The life of a database object: when it opens, how often, and what its base classes refuse."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest

from dataknobs_data.aio import AsyncDatabase
from dataknobs_data.backends.memory import AsyncMemoryDatabase, MemoryDatabase, MemoryEngine
from dataknobs_data.database import SearchResults, SyncDatabase
from dataknobs_data.engine import Engine
from dataknobs_data.exceptions import BackendNotFoundError, ConfigurationError, DatabaseConnectionError
from dataknobs_data.records import Record
from dataknobs_data.runtime import Runtime
from tests.unit.ticking import ticking_runtime


class CountingEngine(MemoryEngine):
    """Counts how often it is opened and closed; fails to open as long as `unreachable` is true."""

    opened = closed = 0
    unreachable = False

    def open(self) -> None:
        time.sleep(0.01)
        if self.unreachable:
            raise DatabaseConnectionError("unreachable")
        self.opened += 1

    def close(self) -> None:
        self.closed += 1


class CountingDatabase(SyncDatabase):
    """A database on it."""

    backend = "counting"
    engine: CountingEngine

    def make_engine(self, config: dict[str, Any], runtime: Runtime) -> Engine:  # type: ignore[override]
        self.engine = CountingEngine(runtime)
        return self.engine


def test_it_opens_on_first_use_and_once() -> None:
    db = CountingDatabase()
    assert db.engine.opened == 0
    threads = [threading.Thread(target=db.count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    db.connect()
    assert db.engine.opened == 1


def test_it_closes_once_and_opens_again() -> None:
    db = CountingDatabase()
    db.close()
    assert db.engine.closed == 0, "it was never open"
    with db as same:
        assert same is db
        assert db.engine.opened == 1
    db.close()
    assert db.engine.closed == 1
    db.count()
    assert (db.engine.opened, db.engine.closed) == (2, 1)


def test_a_store_that_could_not_be_reached_is_tried_again() -> None:
    db = CountingDatabase()
    db.engine.unreachable = True
    for _ in range(2):
        with pytest.raises(DatabaseConnectionError):
            db.read("a")
    db.engine.unreachable = False
    assert db.read("a") is None


def test_the_base_classes_are_no_backends() -> None:
    with pytest.raises(ConfigurationError, match=r"SyncDatabase is not a backend.*from_backend"):
        SyncDatabase()
    with pytest.raises(ConfigurationError, match=r"is not a backend.*from_backend"):
        AsyncDatabase()
    with pytest.raises(BackendNotFoundError, match="did you mean 'memory'"):
        SyncDatabase.from_backend("memroy")
    with pytest.raises(BackendNotFoundError, match="did you mean 'memory'"):
        AsyncDatabase.from_backend("memroy")


def test_time_and_ids_come_from_the_runtime() -> None:
    db = MemoryDatabase(runtime=ticking_runtime())
    assert db.create(Record({"n": 1})) == "id-1"
    found = db.read("id-1")
    assert found is not None
    assert found.metadata["created_at"] == "2024-05-01T12:00:01.000000Z"


def test_an_async_database_takes_a_runtime_too() -> None:
    assert asyncio.run(AsyncMemoryDatabase(runtime=ticking_runtime()).create(Record({}))) == "id-1"


def test_search_results_are_a_list_with_errors() -> None:
    found = SearchResults([Record({}, id="a")], [DatabaseConnectionError("x")])
    assert (len(found), found[0].id, len(found.errors)) == (1, "a", 1)
    assert SearchResults() == []
    assert SearchResults().errors == []
