"""Records in a table of a PostgreSQL database."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dataknobs_data.aio import AsyncDatabase
from dataknobs_data.database import SyncDatabase
from dataknobs_data.engine import Engine
from dataknobs_data.exceptions import ConfigurationError
from dataknobs_data.registry import missing_driver
from dataknobs_data.runtime import Runtime
from dataknobs_data.settings import read_settings, secret

_NAME_BYTES_MAX = 63  # PostgreSQL cuts off longer names without a word (NAMEDATALEN)
_ALIASES = {"url": "connection_string", "username": "user", "dbname": "database"}
_ADDRESS = ("host", "port", "database", "user", "password", "sslmode")


@dataclass(frozen=True)
class PostgresSettings:
    """The settings of a PostgreSQL database.

    Everything about the connection may also come from libpq's environment variables (PGHOST, PGPORT, PGDATABASE, PGUSER,
    PGPASSWORD, PGSSLMODE …) and ~/.pgpass.

    host               default: PGHOST, else localhost
    port               default: PGPORT, else 5432
    database           default: PGDATABASE, else the name of the user
    user               default: PGUSER, else the name of the account
    password           default: PGPASSWORD, else from ~/.pgpass
    sslmode            disable, allow, prefer (default), require, verify-ca or verify-full
    connection_string  instead of all the above: postgresql://user:password@host:port/database, or libpq's key=value form
    connect_timeout    seconds to wait for a new connection, or for one that is busy; 0: forever
    pool_size          connections that are kept; as many again are opened when they are all busy
    schema, table      created where there are none
    """

    host: str | None = None
    port: int | None = None
    database: str | None = None
    user: str | None = None
    password: str | None = secret()
    sslmode: str | None = None
    connection_string: str | None = secret()
    connect_timeout: int = 10
    pool_size: int = 8
    schema: str = "public"
    table: str = "records"


class PostgresDatabase(SyncDatabase):
    """Records in a table of a PostgreSQL database."""

    backend = "postgres"

    @classmethod
    def make_engine(cls, config: dict[str, Any], runtime: Runtime) -> Engine:
        settings = _checked(read_settings(PostgresSettings, cls.backend, config, _ALIASES))
        try:
            from dataknobs_data.sql.engine import RelationalEngine
            from dataknobs_data.sql.postgresql import PostgreSQLSite, parse_conninfo
        except ImportError as error:
            raise missing_driver(cls.backend, error) from error
        text = settings.connection_string
        conninfo = {
            "connect_timeout": settings.connect_timeout,
            **(parse_conninfo(text) if text else _conninfo(settings)),
        }
        site = PostgreSQLSite(
            conninfo, settings.table, settings.schema, settings.pool_size, settings.connect_timeout or None
        )
        return RelationalEngine(site, runtime)


class AsyncPostgresDatabase(AsyncDatabase):
    """`PostgresDatabase` for asyncio."""

    sync_class = PostgresDatabase


SyncPostgresDatabase = PostgresDatabase


def _checked(settings: PostgresSettings) -> PostgresSettings:
    for name in ("schema", "table"):
        value = getattr(settings, name)
        if not value or "\0" in value or len(value.encode()) > _NAME_BYTES_MAX:
            raise ConfigurationError(
                f"postgres backend: setting {name!r}: a name has 1 to {_NAME_BYTES_MAX} bytes and no U+0000, not {value!r}",
                key=name,
            )
    if settings.pool_size < 1:
        raise ConfigurationError("postgres backend: setting 'pool_size' must be at least 1", key="pool_size")
    twice = [name for name in _ADDRESS if getattr(settings, name) is not None]
    if settings.connection_string and twice:
        raise ConfigurationError(
            f"postgres backend: 'connection_string' says where the database is, and so does {twice[0]!r}; keep one of them",
            key=twice[0],
        )
    return settings


def _conninfo(settings: PostgresSettings) -> Mapping[str, Any]:
    given = {
        "host": settings.host or (None if "PGHOST" in os.environ else "localhost"),
        "port": settings.port,
        "dbname": settings.database,
        "user": settings.user,
        "password": settings.password,
        "sslmode": settings.sslmode,
    }
    return {name: value for name, value in given.items() if value is not None}
