"""SyncDatabase and AsyncDatabase have the same methods, with the same signatures and, awaited, the same answers."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from dataknobs_data.aio import AsyncDatabase
from dataknobs_data.database import SyncDatabase
from dataknobs_data.factory import AsyncDatabaseFactory, DatabaseFactory
from dataknobs_data.registry import BACKENDS, load_backend

ONLY_SYNC = {"make_engine", "concurrency", "stream_windows", "stream_writer"}
"""What the asynchronous form reaches through `.sync`."""

NOT_AWAITED = {"from_config", "from_backend"}
STREAMS = {"stream_read": "AsyncGenerator[Record]"}
WIDER = {("stream_write", "records"): "Iterable[Record] | AsyncIterable[Record]"}
"""Where the asynchronous form takes more."""


def methods_of(cls: type) -> dict[str, Any]:
    """The public methods that a class defines itself."""
    names = [name for name in vars(cls) if not name.startswith("_")]
    return {name: getattr(cls, name) for name in names if inspect.isroutine(getattr(cls, name))}


SYNC, ASYNC = methods_of(SyncDatabase), methods_of(AsyncDatabase)


def test_both_have_the_same_methods() -> None:
    assert set(SYNC) - ONLY_SYNC == set(ASYNC)


@pytest.mark.parametrize("name", sorted(ASYNC))
def test_the_signatures_are_the_same(name: str) -> None:
    blocking, awaited = inspect.signature(SYNC[name]), inspect.signature(ASYNC[name])
    assert [*blocking.parameters] == [*awaited.parameters]
    for parameter, other in zip(blocking.parameters.values(), awaited.parameters.values(), strict=True):
        assert (parameter.kind, parameter.default) == (other.kind, other.default)
        assert other.annotation == WIDER.get((name, parameter.name), parameter.annotation)
    expected = STREAMS.get(name, blocking.return_annotation)
    if name == "from_backend":
        expected = "AsyncDatabase"
    assert awaited.return_annotation == expected


@pytest.mark.parametrize("name", sorted(set(ASYNC) - NOT_AWAITED))
def test_the_asynchronous_ones_are_awaited(name: str) -> None:
    method = ASYNC[name]
    assert inspect.isasyncgenfunction(method) if name in STREAMS else inspect.iscoroutinefunction(method)


@pytest.mark.parametrize("name", sorted(ASYNC))
def test_the_documentation_is_in_one_place(name: str) -> None:
    assert ASYNC[name].__doc__
    assert SYNC[name].__doc__


def test_the_other_names_of_batches_are_the_same_methods() -> None:
    for cls in (SyncDatabase, AsyncDatabase):
        for verb in ("create", "read", "update", "upsert", "delete"):
            assert getattr(cls, f"{verb}_batch") is getattr(cls, f"batch_{verb}")


@pytest.mark.parametrize("info", BACKENDS, ids=lambda info: info.name)
def test_what_a_backend_adds_it_adds_in_both_colors(info: Any) -> None:
    blocking = methods_of(load_backend(info.name))
    awaited = methods_of(load_backend(info.name, asynchronous=True))
    assert set(blocking) - {"make_engine"} == set(awaited)
    for name in awaited:
        assert [*inspect.signature(blocking[name]).parameters] == [*inspect.signature(awaited[name]).parameters]


def test_the_factories_have_the_same_methods() -> None:
    def public(cls: type) -> set[str]:
        return {name for name in dir(cls) if not name.startswith("_")}

    assert public(DatabaseFactory) == public(AsyncDatabaseFactory)
