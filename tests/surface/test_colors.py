"""SyncDatabase and AsyncDatabase have the same methods, with the same signatures and, awaited, the same answers."""

from __future__ import annotations

import asyncio
import inspect
import threading
from typing import Any, get_type_hints

import pytest

from dataknobs_data.aio import AsyncDatabase, AsyncSection
from dataknobs_data.backends.memory import AsyncMemoryDatabase, MemoryDatabase
from dataknobs_data.backends.s3 import AsyncS3Database, S3Database
from dataknobs_data.database import SyncDatabase
from dataknobs_data.factory import AsyncDatabaseFactory, DatabaseFactory
from dataknobs_data.registry import BACKENDS, load_backend

ONLY_SYNC = {"make_engine", "concurrency", "stream_windows", "stream_writer"}
"""What the asynchronous form reaches through `.sync`."""

NOT_AWAITED = {"from_config", "from_backend"}
STREAMS = {"stream_read": "AsyncGenerator[Record]"}
WIDER = {("stream_write", "records"): "Iterable[RecordLike] | AsyncIterable[RecordLike]"}
"""Where the asynchronous form takes more."""


def methods_of(cls: type) -> dict[str, Any]:
    """The public methods that a class defines itself."""
    names = [name for name in vars(cls) if not name.startswith("_")]
    return {name: getattr(cls, name) for name in names if inspect.isroutine(getattr(cls, name))}


def sections_of(cls: type) -> dict[str, property]:
    """The properties of a class of databases that give sections: objects with methods of their own."""
    return {name: thing for name, thing in vars(cls).items() if isinstance(thing, property) and name != "usage"}


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


# ---------------------------------------------------------------------------------------------- sections
SECTIONS = sections_of(S3Database)


def methods_in(section: str) -> list[tuple[str, str]]:
    """(section, method) for each public method of a section of S3Database."""
    kind = get_type_hints(SECTIONS[section].fget)["return"]
    return [(section, name) for name in dir(kind) if not name.startswith("_") and callable(getattr(kind, name))]


METHODS = [pair for section in SECTIONS for pair in methods_in(section)]


def test_both_have_the_same_sections() -> None:
    awaited = sections_of(AsyncS3Database)
    assert set(awaited) == set(SECTIONS) != set()
    for name, section in awaited.items():
        assert isinstance(section, AsyncSection)
        assert section.__doc__ == SECTIONS[name].__doc__


def test_every_section_can_do_something() -> None:
    assert {section for section, _ in METHODS} == set(SECTIONS)


@pytest.mark.parametrize(("section", "method"), METHODS, ids=".".join)
def test_a_method_of_a_section_is_awaited_and_says_what_it_takes(section: str, method: str) -> None:
    """Nothing is sent for that: the section is made when the method runs."""
    kind = get_type_hints(SECTIONS[section].fget)["return"]
    awaited = getattr(getattr(AsyncS3Database({"bucket": "nowhere"}), section), method)
    assert inspect.iscoroutinefunction(awaited)
    blocking = inspect.signature(getattr(kind, method))
    assert [*inspect.signature(awaited).parameters] == [*blocking.parameters][1:]
    assert awaited.__doc__ == getattr(kind, method).__doc__
    assert awaited.__doc__, "a docstring"


class Numbers:
    """A section."""

    def __init__(self, owner: object) -> None:
        self.owner = owner

    def halve(self, number: int, *, rest: bool = False) -> tuple[int, int, bool]:
        """Half of it, what is left, and whether that was asked for in the main thread."""
        if number < 0:
            raise ValueError("only what is there can be halved")
        return number // 2, number % 2 if rest else 0, threading.current_thread() is threading.main_thread()

    limit = 5


class WithSection(MemoryDatabase):
    """A database that has one."""

    @property
    def numbers(self) -> Numbers:
        """Of numbers."""
        return Numbers(self)


class AsyncWithSection(AsyncMemoryDatabase):
    """The same, awaited."""

    sync_class = WithSection
    numbers = AsyncSection(WithSection.numbers)


def test_an_awaited_method_gives_the_answer_and_the_error_of_the_other_from_a_thread() -> None:
    async def main() -> None:
        db = AsyncWithSection()
        assert db.sync.numbers.halve(7, rest=True) == (3, 1, True)  # type: ignore[attr-defined]
        assert await db.numbers.halve(7, rest=True) == (3, 1, False)
        with pytest.raises(ValueError, match="only what is there"):
            await db.numbers.halve(-1)
        await db.close()

    asyncio.run(main())


@pytest.mark.parametrize("name", ["halv", "limit", "_database_", "owner"])
def test_what_a_section_cannot_do_is_said_at_once(name: str) -> None:
    section = AsyncWithSection().numbers
    with pytest.raises(AttributeError, match=f"'Numbers' has no method '{name}'"):
        getattr(section, name)
    assert not hasattr(section, name)
    assert dir(section) == ["halve"]
    assert repr(section).startswith("<Numbers of <AsyncWithSection")
