"""Records in a table of a SQLite file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dataknobs_data.aio import AsyncDatabase
from dataknobs_data.database import SyncDatabase
from dataknobs_data.engine import Engine
from dataknobs_data.exceptions import ConfigurationError
from dataknobs_data.registry import missing_driver
from dataknobs_data.runtime import Runtime
from dataknobs_data.settings import read_settings


@dataclass(frozen=True)
class SQLiteSettings:
    """The settings of a SQLite database.

    path     the file, created where there is none; ":memory:" keeps the records in memory, until close
    table    the table, created where there is none
    timeout  seconds to wait for another writer
    """

    path: str | Path
    table: str = "records"
    timeout: float = 30.0


class SQLiteDatabase(SyncDatabase):
    """Records in a table of a SQLite file. Any number of threads and processes may use the same file."""

    backend = "sqlite"

    @classmethod
    def make_engine(cls, config: dict[str, Any], runtime: Runtime) -> Engine:
        settings = read_settings(SQLiteSettings, cls.backend, config, {"database": "path"})
        for name in ("path", "table"):
            if not str(getattr(settings, name)):
                raise ConfigurationError(f"sqlite backend: setting {name!r} must not be empty", key=name)
        try:
            from dataknobs_data.sql.engine import RelationalEngine
            from dataknobs_data.sql.sqlite import SQLiteSite
        except ImportError as error:
            raise missing_driver(cls.backend, error) from error
        return RelationalEngine(SQLiteSite(str(settings.path), settings.table, settings.timeout), runtime)


class AsyncSQLiteDatabase(AsyncDatabase):
    """`SQLiteDatabase` for asyncio."""

    sync_class = SQLiteDatabase


SyncSQLiteDatabase = SQLiteDatabase
