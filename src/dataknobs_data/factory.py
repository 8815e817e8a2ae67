"""One door to all databases: by the name of a backend, by a name from a config file, or by URL.

    DatabaseFactory().create(backend="s3", bucket="archive-bucket", prefix="backup/")
    DatabaseFactory.from_yaml("config.yaml").create_named("archive")
    open_url("s3://archive-bucket/backup/?region=eu-central-1")

The databases connect when they are first used. `AsyncDatabaseFactory` and `open_async_url` give those for asyncio.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, TypeVar

from dataknobs_data.config import Config, load_config
from dataknobs_data.exceptions import ConfigurationError
from dataknobs_data.registry import BACKENDS, BackendInfo, find_backend, load_backend
from dataknobs_data.urls import parse_url

if TYPE_CHECKING:
    from dataknobs_data.aio import AsyncDatabase
    from dataknobs_data.database import SyncDatabase

D = TypeVar("D")


class _Factory(Generic[D]):
    """What both factories do."""

    _asynchronous: ClassVar[bool]

    def __init__(self, config: Config | None = None) -> None:
        self._config = config

    @classmethod
    def from_yaml(cls, path: str | os.PathLike[str], environ: Mapping[str, str] | None = None) -> Self:
        """A factory that also knows the databases of a config file (see `config`). Raises ConfigurationError."""
        return cls(load_config(path, environ))

    def create(self, backend: str = "memory", **config: Any) -> D:
        """A database of that backend with these settings.

        Raises BackendNotFoundError (a ValueError) for a backend that does not exist or whose driver is not installed, and
        ConfigurationError for settings that are unknown, missing or impossible.
        """
        made: D = load_backend(backend, asynchronous=self._asynchronous).from_config(config)
        return made

    def create_named(self, name: str, **config: Any) -> D:
        """The database of that name in the config file; `config` goes over its settings. Raises ConfigurationError."""
        if self._config is None:
            raise ConfigurationError(
                f"no config file was given, so there is no database {name!r}; make the factory with from_yaml(path)"
            )
        entry = self._config[name]
        return self.create(entry.backend, **{**entry.settings, **config})

    def open_url(self, url: str, **config: Any) -> D:
        """The database that a URL stands for (see `urls`); `config` goes over its settings."""
        backend, settings = parse_url(url)
        return self.create(backend, **{**settings, **config})

    def names(self) -> list[str]:
        """The names in the config file, in its order; none without a file."""
        return list(self._config or ())

    def get_available_backends(self) -> list[str]:
        """The names of the backends that can be used here, because the drivers they need are installed."""
        return [info.name for info in BACKENDS if not info.missing_drivers]

    def get_backend_info(self, name: str) -> BackendInfo:
        """What is known of a backend: description, classes, drivers, which of them are missing, the extra for them.

        Raises BackendNotFoundError listing what there is.
        """
        return find_backend(name)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(repr, self.names()))})"


class DatabaseFactory(_Factory["SyncDatabase"]):
    """Makes blocking databases."""

    _asynchronous = False


class AsyncDatabaseFactory(_Factory["AsyncDatabase"]):
    """Makes databases for asyncio. Making one does not wait for anything, so its methods are not awaited."""

    _asynchronous = True


database_factory = DatabaseFactory()
"""A factory without a config file, for code that needs only one."""

async_database_factory = AsyncDatabaseFactory()
"""The same for asyncio."""


def open_url(url: str, **config: Any) -> SyncDatabase:
    """The database that a URL stands for: `DatabaseFactory.open_url` without a factory."""
    return database_factory.open_url(url, **config)


def open_async_url(url: str, **config: Any) -> AsyncDatabase:
    """The same for asyncio."""
    return async_database_factory.open_url(url, **config)
