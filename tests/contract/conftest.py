"""Every test of the contract runs against every backend, in both colors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import cast

import pytest

from dataknobs_data.database import SyncDatabase
from dataknobs_data.records import Record
from dataknobs_data.registry import load_backend
from tests.contract.backends import BACKENDS, Backend, Config
from tests.contract.blocking import Blocking
from tests.servers import SeaweedServer, new_bucket_name, open_client

OpenDatabase = Callable[[], SyncDatabase]
Filled = tuple[dict[tuple[str, str, str], SyncDatabase], ExitStack]


@pytest.fixture(params=[pytest.param(row, id=row.name, marks=[pytest.mark.server] * row.server) for row in BACKENDS])
def backend(request: pytest.FixtureRequest) -> Backend:
    """The row of the table."""
    row: Backend = request.param
    return row


@pytest.fixture(params=["sync", "async"])
def color(request: pytest.FixtureRequest) -> str:
    """Which of its two classes."""
    name: str = request.param
    return name


@pytest.fixture(scope="session")
def contract_bucket(seaweed: SeaweedServer) -> str:
    """One bucket for all; every test has a prefix of its own."""
    name = new_bucket_name()
    seaweed.create_bucket(name)
    return name


@pytest.fixture(scope="session")
def versioned_bucket(seaweed: SeaweedServer) -> str:
    """The same, with versioning."""
    name = new_bucket_name()
    seaweed.create_bucket(name)
    with open_client(seaweed) as client:
        client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    return name


@pytest.fixture
def config(backend: Backend, request: pytest.FixtureRequest, tmp_path: Path) -> Config:
    """The configuration of a new, empty database."""
    return backend.place(request, tmp_path)


@pytest.fixture
def open_database(backend: Backend, color: str, config: Config) -> Iterator[OpenDatabase]:
    """Makes database objects with that configuration, and closes them at the end."""
    with ExitStack() as stack:
        yield lambda: opened(backend, color, config, stack)


def opened(backend: Backend, color: str, config: Config, stack: ExitStack) -> SyncDatabase:
    """A database object that `stack` closes."""
    if color == "sync":
        database: SyncDatabase = load_backend(backend.registered).from_config(config)
        stack.callback(database.close)
        return database
    blocking = Blocking(load_backend(backend.registered, asynchronous=True).from_config(config))
    stack.callback(blocking.end)
    return cast(SyncDatabase, blocking)


@pytest.fixture
def db(open_database: OpenDatabase) -> SyncDatabase:
    """A new, empty database."""
    return open_database()


@pytest.fixture(scope="session")
def filled_once() -> Iterator[Filled]:
    """The databases that `filled` has made so far."""
    with ExitStack() as stack:
        yield {}, stack


@pytest.fixture
def filled(
    backend: Backend,
    color: str,
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    filled_once: Filled,
) -> Callable[[Sequence[Record]], SyncDatabase]:
    """A database of these records for tests that only read it; they share one."""

    def fill(records: Sequence[Record]) -> SyncDatabase:
        databases, stack = filled_once
        key = (backend.name, color, repr(records))
        if key not in databases:
            config = backend.place(request, tmp_path_factory.mktemp("filled"))
            databases[key] = opened(backend, color, config, stack)
            databases[key].batch_create(records)
        return databases[key]

    return fill


@pytest.fixture
def shared(backend: Backend) -> None:
    """For tests with two database objects on one place."""
    if not backend.shared:
        pytest.skip("its records are gone with the object")
