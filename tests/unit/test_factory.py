"""Databases by backend, by name, by URL."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from dataknobs_data import registry
from dataknobs_data.backends.file import AsyncFileDatabase, FileDatabase
from dataknobs_data.backends.memory import AsyncMemoryDatabase, MemoryDatabase
from dataknobs_data.database import SyncDatabase
from dataknobs_data.exceptions import BackendNotFoundError, ConfigurationError
from dataknobs_data.factory import (
    AsyncDatabaseFactory,
    DatabaseFactory,
    async_database_factory,
    database_factory,
    open_async_url,
    open_url,
)
from dataknobs_data.records import Record
from dataknobs_data.registry import BACKENDS, find_backend, load_backend
from dataknobs_data.urls import parse_url

CONFIG = """
databases:
  - {name: cache, backend: memory}
  - {name: people, backend: file, path: "${FOLDER}/people.csv", lock_timeout: 5}
"""


@pytest.fixture
def config_file(tmp_path: Path) -> Path:
    """A file of two databases."""
    path = tmp_path / "config.yaml"
    path.write_text(CONFIG)
    return path


# ---------------------------------------------------------------------------------------------- by backend
@pytest.mark.parametrize(
    ("name", "kind"), [("memory", MemoryDatabase), ("mem", MemoryDatabase), ("Memory", MemoryDatabase)]
)
def test_by_the_name_of_a_backend(name: str, kind: type) -> None:
    assert type(DatabaseFactory().create(backend=name)) is kind
    assert type(SyncDatabase.from_backend(name)) is kind


def test_memory_is_the_default() -> None:
    assert type(database_factory.create()) is MemoryDatabase
    assert type(async_database_factory.create()) is AsyncMemoryDatabase


def test_settings_are_keywords(tmp_path: Path) -> None:
    db = DatabaseFactory().create(backend="file", path=str(tmp_path / "x.jsonl"))
    assert type(db) is FileDatabase
    db.create(Record({"n": 1}))
    assert (tmp_path / "x.jsonl").exists()
    with pytest.raises(ConfigurationError, match="did you mean 'path'"):
        DatabaseFactory().create(backend="file", paht="x")


@pytest.mark.parametrize("alias", [alias for info in BACKENDS for alias in (info.name, *info.aliases)])
def test_every_alias_leads_to_its_backend(alias: str) -> None:
    info = find_backend(alias)
    assert load_backend(alias).__name__ == info.sync_class
    assert load_backend(alias, asynchronous=True).__name__ == info.async_class
    assert load_backend(alias, asynchronous=True).sync_class is load_backend(alias)


@pytest.mark.parametrize("info", BACKENDS, ids=lambda info: info.name)
def test_every_path_of_the_registry_is_a_class(info: registry.BackendInfo) -> None:
    for path in info.class_paths:
        module, _, name = path.rpartition(".")
        assert hasattr(__import__(module, fromlist=[name]), name)


@pytest.mark.parametrize("name", ["elasticsearch", "", None, 5])
def test_an_unknown_backend_lists_what_there_is(name: Any) -> None:
    with pytest.raises(ValueError, match=r"there are: memory, file, sqlite, postgres, s3") as caught:
        DatabaseFactory().create(backend=name)
    assert isinstance(caught.value, BackendNotFoundError)


def test_a_backend_whose_driver_is_missing_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    real = registry.find_spec
    monkeypatch.setattr(registry, "find_spec", lambda name: None if name == "sqlalchemy" else real(name))
    with pytest.raises(BackendNotFoundError, match=r"sqlite backend needs sqlalchemy.*pip install '\.\[sqlite\]'"):
        DatabaseFactory().create(backend="sqlite", path="x.db")
    factory = DatabaseFactory()
    assert factory.get_available_backends() == ["memory", "file", "s3"]
    assert factory.get_backend_info("pg").missing_drivers == ("sqlalchemy",)


def test_all_backends_are_available_here() -> None:
    assert DatabaseFactory().get_available_backends() == ["memory", "file", "sqlite", "postgres", "s3"]


def test_what_is_known_of_a_backend() -> None:
    info = DatabaseFactory().get_backend_info("s3")
    assert asdict(info)["extra"] == "s3"
    assert info.missing_drivers == ()
    assert "S3" in info.description
    with pytest.raises(BackendNotFoundError, match="did you mean 's3'"):
        DatabaseFactory().get_backend_info("s33")


# ---------------------------------------------------------------------------------------------- by name
def test_by_the_name_in_a_config_file(config_file: Path, tmp_path: Path) -> None:
    factory = DatabaseFactory.from_yaml(config_file, {"FOLDER": str(tmp_path)})
    assert factory.names() == ["cache", "people"]
    assert type(factory.create_named("cache")) is MemoryDatabase
    factory.create_named("people").create(Record({"n": 1}, id="a"))
    assert (tmp_path / "people.csv").exists()
    other = tmp_path / "other.csv"
    assert factory.create_named("people", path=str(other)).count() == 0
    assert repr(factory) == "DatabaseFactory('cache', 'people')"


def test_by_name_for_asyncio(config_file: Path, tmp_path: Path) -> None:
    factory = AsyncDatabaseFactory.from_yaml(config_file, {"FOLDER": str(tmp_path)})

    async def use() -> str:
        async with factory.create_named("people") as db:
            assert type(db) is AsyncFileDatabase
            return await db.create(Record({"n": 1}, id="a"))

    assert asyncio.run(use()) == "a"


def test_a_name_without_a_file_and_a_name_that_is_not_there(config_file: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"no config file was given.*from_yaml"):
        DatabaseFactory().create_named("archive")
    with pytest.raises(ConfigurationError, match="did you mean 'people'"):
        DatabaseFactory.from_yaml(config_file, {"FOLDER": "x"}).create_named("poeple")


# ---------------------------------------------------------------------------------------------- by URL
@pytest.mark.parametrize(
    ("url", "backend", "settings"),
    [
        ("memory:", "memory", {}),
        ("file:records.jsonl", "file", {"path": "records.jsonl"}),
        ("file:some%20folder/r.csv?format=jsonl", "file", {"path": "some folder/r.csv", "format": "jsonl"}),
        ("file:///var/data/r.csv", "file", {"path": "/var/data/r.csv"}),
        ("FILE://localhost/r.csv", "file", {"path": "/r.csv"}),
        ("sqlite:r.db", "sqlite", {"path": "r.db"}),
        ("sqlite:///r.db", "sqlite", {"path": "r.db"}),
        ("sqlite:////var/r.db?table=t", "sqlite", {"path": "/var/r.db", "table": "t"}),
        ("sqlite:/var/r.db", "sqlite", {"path": "/var/r.db"}),
        ("postgresql://localhost/db", "postgres", {"host": "localhost", "database": "db"}),
        (
            "postgres://us%40er:p%2Fw%3A@db.example.com:5433/d%20b?table=t",
            "postgres",
            {
                "host": "db.example.com",
                "port": 5433,
                "user": "us@er",
                "password": "p/w:",
                "database": "d b",
                "table": "t",
            },
        ),
        ("s3://bucket", "s3", {"bucket": "bucket", "prefix": ""}),
        ("s3://bucket/", "s3", {"bucket": "bucket", "prefix": ""}),
        ("s3://Bucket.x/a/b%20c/", "s3", {"bucket": "Bucket.x", "prefix": "a/b c/"}),
        (
            "s3://b/p?region=eu&endpoint_url=http%3A%2F%2Flocalhost%3A8333",
            "s3",
            {"bucket": "b", "prefix": "p", "region": "eu", "endpoint_url": "http://localhost:8333"},
        ),
        (
            "s3://b/p?endpoint_url=http://localhost:8333&max_workers=5",
            "s3",
            {"bucket": "b", "prefix": "p", "endpoint_url": "http://localhost:8333", "max_workers": "5"},
        ),
        ("s3://b/p?endpoint_url=", "s3", {"bucket": "b", "prefix": "p", "endpoint_url": ""}),
    ],
)
def test_a_url_is_a_backend_with_settings(url: str, backend: str, settings: dict[str, Any]) -> None:
    assert parse_url(url) == (backend, settings)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("records.jsonl", r"'records\.jsonl' is no database URL; .* a file is file:\{path\}"),
        ("", "is no database URL"),
        ("s4://bucket", "s4:… is no database URL; did you mean 's3'"),
        ("mysql://user:hunter2@host/db", "mysql:… is no database URL"),
        ("s3:bucket", "names a bucket"),
        ("s3:///prefix", "names a bucket"),
        ("s3://key:hunter2@bucket/x", "holds no credentials"),
        ("s3://bucket:80/x", "no port"),
        ("s3://b/x#y", "write %23"),
        ("s3://b/x?bucket=c", "sets 'bucket' twice"),
        ("s3://b/x?region=a&region=b", "sets 'region' twice"),
        ("file://host/x", "names no host, but this has 'host'"),
        ("file:", "needs a path"),
        ("file:///", "needs a path"),
        ("sqlite://", "needs a path"),
        ("memory:x", "has nothing after the colon"),
        ("postgresql://user:hunter2@host:port/db", "malformed"),
        ("postgresql://user:hunter2@[host/db", "malformed"),
        (5, "must be text, not int"),
    ],
)
def test_a_wrong_url_is_explained_without_its_password(url: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message) as caught:
        parse_url(url)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_opening_a_url(tmp_path: Path) -> None:
    with open_url(f"file://{tmp_path}/x.csv") as db:
        db.create(Record({"n": 1}, id="a"))
    assert open_url(f"file:{tmp_path}/x.csv", format="csv").list_ids() == ["a"]
    assert type(open_url("memory:")) is MemoryDatabase
    assert type(open_async_url("memory:")) is AsyncMemoryDatabase
    assert type(AsyncDatabaseFactory().open_url(f"file:{tmp_path}/x.csv")) is AsyncFileDatabase
    with pytest.raises(ConfigurationError, match="did you mean 'format'"):
        open_url("file:x.csv?fromat=csv")
