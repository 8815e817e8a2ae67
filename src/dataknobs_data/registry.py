"""Which backends there are, by name; their modules are imported on first use."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from dataknobs_data.exceptions import BackendNotFoundError
from dataknobs_data.spelling import did_you_mean


@dataclass(frozen=True)
class BackendInfo:
    """A backend: where its classes are, what it is for, and which extra installs the drivers it needs (None: none)."""

    name: str
    module: str
    sync_class: str
    async_class: str
    description: str
    extra: str | None = None
    aliases: tuple[str, ...] = ()
    drivers: tuple[str, ...] = ()

    @property
    def missing_drivers(self) -> tuple[str, ...]:
        """The modules it needs that are not installed; empty when it can be used. Imports none of them."""
        return tuple(name for name in self.drivers if find_spec(name) is None)

    @property
    def class_paths(self) -> tuple[str, ...]:
        """Import paths of its database classes: sync, its alias, async."""
        return tuple(f"{self.module}.{name}" for name in (self.sync_class, f"Sync{self.sync_class}", self.async_class))


BACKENDS = (
    BackendInfo(
        "memory", "dataknobs_data.backends.memory", "MemoryDatabase", "AsyncMemoryDatabase",
        "records in this process's memory; gone with it", aliases=("mem",),
    ),
    BackendInfo(
        "file", "dataknobs_data.backends.file", "FileDatabase", "AsyncFileDatabase",
        "records in one JSON-lines, CSV or Parquet file", drivers=("fcntl",),
    ),
    BackendInfo(
        "sqlite", "dataknobs_data.backends.sqlite", "SQLiteDatabase", "AsyncSQLiteDatabase",
        "records in a SQLite table", extra="sqlite", aliases=("sqlite3",), drivers=("sqlalchemy",),
    ),
    BackendInfo(
        "postgres", "dataknobs_data.backends.postgres", "PostgresDatabase", "AsyncPostgresDatabase",
        "records in a PostgreSQL table", extra="postgres", aliases=("pg", "postgresql"),
        drivers=("sqlalchemy", "psycopg"),
    ),
    BackendInfo(
        "s3", "dataknobs_data.backends.s3", "S3Database", "AsyncS3Database",
        "records as objects in AWS S3 or any compatible store", extra="s3", drivers=("boto3",),
    ),
)  # fmt: skip

_BY_NAME = {name: info for info in BACKENDS for name in (info.name, *info.aliases)}


def find_backend(name: str) -> BackendInfo:
    """The backend of that name or alias, in any case. Raises BackendNotFoundError listing what there is."""
    info = _BY_NAME.get(name.lower()) if isinstance(name, str) else None
    if info:
        return info
    known = ", ".join(backend.name for backend in BACKENDS)
    raise BackendNotFoundError(
        f"there is no backend {name!r}; {did_you_mean(name, _BY_NAME)} (there are: {known})", backend=name
    )


def load_backend(name: str, *, asynchronous: bool = False) -> Any:
    """The database class of a backend. Raises BackendNotFoundError: unknown, or a driver is missing (it names the extra)."""
    info = find_backend(name)
    if info.missing_drivers:
        raise missing_driver(info.name, ImportError(name=info.missing_drivers[0]))
    return getattr(importlib.import_module(info.module), info.async_class if asynchronous else info.sync_class)


def missing_driver(backend: str, error: ImportError, extra: str | None = None) -> BackendNotFoundError:
    """What to raise where a backend's driver cannot be imported; `extra` where not the backend's own installs it."""
    info = find_backend(backend)
    extra = extra or info.extra
    remedy = f"is not installed: pip install '.[{extra}]'" if extra else "this system does not have"
    return BackendNotFoundError(
        f"the {info.name} backend needs {error.name or error}, which {remedy}",
        backend=backend,
        extra=extra,
    )
