"""The public surface, pinned: what is added or lost here is added or lost on purpose."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from types import ModuleType
from typing import Any, get_args, get_type_hints

import pytest

import dataknobs_data

ROOT = [
    "Record",
    "Field",
    "FieldType",
    "Query",
    "ComplexQuery",
    "Filter",
    "Operator",
    "SortOrder",
    "SortSpec",
    "QueryBuilder",
    "LogicOperator",
    "SyncDatabase",
    "AsyncDatabase",
    "SearchResults",
    "DatabaseFactory",
    "AsyncDatabaseFactory",
    "database_factory",
    "async_database_factory",
    "open_url",
    "open_async_url",
    "StreamConfig",
    "StreamResult",
    "ConflictPolicy",
    "DataknobsDataError",
    "ConfigurationError",
    "BackendNotFoundError",
    "DatabaseConnectionError",
    "DatabaseOperationError",
    "RecordNotFoundError",
    "RecordValidationError",
    "DuplicateRecordError",
    "ConcurrencyError",
    "QueryError",
    "SerializationError",
    "DataFormatError",
    "MigrationError",
    "TransactionError",
    "BatchError",
    "RecordArchivedError",
    "IncompatibleStoreError",
    "ThrottledError",
    "OutcomeUnknownError",
    "SnapshotExpiredError",
    "TimeTravelError",
]

MODULES = {
    "records": "Record",
    "fields": "Field FieldType",
    "query": "Query ComplexQuery Filter Operator SortOrder SortSpec QueryBuilder LogicOperator",
    "database": "SyncDatabase SearchResults",
    "factory": "DatabaseFactory AsyncDatabaseFactory database_factory async_database_factory",
    "streaming": "StreamConfig StreamResult ConflictPolicy",
    "exceptions": "DataknobsDataError BatchError",
    "migration": "Migrator Transformer MigrationProgress",
    "backends.memory": "MemoryDatabase SyncMemoryDatabase AsyncMemoryDatabase",
    "backends.file": "FileDatabase SyncFileDatabase AsyncFileDatabase",
    "backends.sqlite": "SQLiteDatabase SyncSQLiteDatabase AsyncSQLiteDatabase",
    "backends.postgres": "PostgresDatabase SyncPostgresDatabase AsyncPostgresDatabase",
    "backends.s3": "S3Database SyncS3Database AsyncS3Database",
}


def test_the_root_has_exactly_these_names() -> None:
    assert sorted(dataknobs_data.__all__) == sorted(ROOT)
    assert len(set(ROOT)) == len(ROOT)
    assert set(ROOT) == set(dir(dataknobs_data))


@pytest.mark.parametrize("name", ROOT)
def test_every_name_of_the_root_is_there_and_says_what_it_is(name: str) -> None:
    thing = getattr(dataknobs_data, name)
    assert inspect.getdoc(thing), f"{name} has no docstring"


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Rekord'"):
        dataknobs_data.Rekord  # noqa: B018


@pytest.mark.parametrize("module", MODULES)
def test_people_import_these_from_there(module: str) -> None:
    there = importlib.import_module(f"dataknobs_data.{module}")
    assert [name for name in MODULES[module].split() if not hasattr(there, name)] == []


@pytest.mark.parametrize("module", [name for name in MODULES if name.startswith("backends.")])
def test_the_sync_names_are_one_class_and_the_async_one_wraps_it(module: str) -> None:
    there = importlib.import_module(f"dataknobs_data.{module}")
    plain, sync, asynchronous = (getattr(there, name) for name in MODULES[module].split())
    assert plain is sync
    assert asynchronous.sync_class is sync
    assert issubclass(plain, dataknobs_data.SyncDatabase)
    assert issubclass(asynchronous, dataknobs_data.AsyncDatabase)


def s3_types(thing: Any) -> Iterator[type]:
    """The types of the S3 database's own in what a class's public methods take and give."""
    for name in [name for name in dir(thing) if not name.startswith("_")]:
        found = inspect.getattr_static(thing, name)
        method = found.fget if isinstance(found, property) else found
        for hint in get_type_hints(method).values() if inspect.isfunction(method) else ():
            yield from ours_in(hint)
    if dataclasses.is_dataclass(thing):
        for field in dataclasses.fields(thing):
            yield from ours_in(get_type_hints(thing)[field.name])


def ours_in(hint: Any) -> Iterator[type]:
    """The classes in an annotation that are the S3 database's own."""
    if isinstance(hint, type) and hint.__module__.startswith(("dataknobs_data.s3", "dataknobs_data.select")):
        yield hint
    for part in hint if isinstance(hint, list) else get_args(hint):  # a list: what a callable is called with
        yield from ours_in(part)


def test_whatever_the_s3_database_hands_out_can_be_imported_from_where_it_is() -> None:
    there = importlib.import_module("dataknobs_data.backends.s3")
    found: set[type] = set()
    waiting = [there.S3Database]
    while waiting:
        new = set(s3_types(waiting.pop())) - found
        found |= new
        waiting += new
    assert {"Plan", "Version", "Lifecycle", "Restoration"} <= {one.__name__ for one in found}
    databases = {"S3Database", "SyncS3Database", "AsyncS3Database", "S3Past", "AsyncS3Past"}
    asynchronous = {"AsyncSqlResult"}
    assert set(there.__all__) == databases | asynchronous | {one.__name__ for one in found}
    assert {getattr(there, one.__name__) for one in found} == found
    for one in found:
        assert not dataclasses.is_dataclass(one) or one.__dataclass_params__.frozen, one  # type: ignore[attr-defined]


def test_every_error_is_exported() -> None:
    errors = importlib.import_module("dataknobs_data.exceptions")
    defined = {
        name for name, thing in vars(errors).items() if isinstance(thing, type) and thing.__module__ == errors.__name__
    }
    assert defined <= set(ROOT)
    assert all(issubclass(getattr(errors, name), dataknobs_data.DataknobsDataError) for name in defined)
    drawn = inspect.getdoc(errors) or ""
    assert [name for name in defined if name not in drawn] == [], "the tree at the top of the module"


# ---------------------------------------------------------------------------------------------- docstrings
def all_modules() -> list[str]:
    """Every module of the package."""
    return [found.name for found in pkgutil.walk_packages(dataknobs_data.__path__, "dataknobs_data.")]


def defined_in(module: ModuleType) -> dict[str, Any]:
    """The public classes and functions that a module defines."""
    return {
        name: thing
        for name, thing in vars(module).items()
        if not name.startswith("_")
        and getattr(thing, "__module__", None) == module.__name__
        and (inspect.isclass(thing) or inspect.isroutine(thing))
    }


@pytest.mark.parametrize("name", all_modules())
def test_every_module_class_and_function_has_a_docstring(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__doc__, "the module itself"
    assert [name for name, thing in defined_in(module).items() if not inspect.getdoc(thing)] == []


@pytest.mark.parametrize("module", MODULES)
def test_every_method_that_people_call_has_a_docstring(module: str) -> None:
    there = importlib.import_module(f"dataknobs_data.{module}")
    for name in MODULES[module].split():
        thing = getattr(there, name)
        members = vars(thing) if inspect.isclass(thing) else {}
        public = [one for one in members if not one.startswith("_")]
        called = [one for one in public if inspect.isroutine(members[one]) or isinstance(members[one], property)]
        assert [one for one in called if not inspect.getdoc(getattr(thing, one))] == [], name
