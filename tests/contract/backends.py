"""The table of backends: how each is given a new, empty place, and what it is known for.

A new backend joins the whole suite by one more row.
"""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pyarrow
import pytest
from psycopg import sql
from pyarrow import parquet

from dataknobs_data.embedded import PostgresServer, SeaweedServer
from tests.servers import make_config, open_client

Config = dict[str, Any]


@dataclass(frozen=True)
class Backend:
    """One row.

    name        of the row, in test ids
    registered  name under which the registry knows the backend
    place       makes the configuration of a new, empty database
    misspelled  a setting with a typing error, and the setting that was meant (None: the backend has no settings)
    shared      a second database object with the same configuration sees the same records
    server      it needs a real server
    held        changes that a batch or stream holds back before it carries out the first; from then on all become visible
                at its end
    damage      breaks one stored record from outside (None: nothing outside can reach it)
    """

    name: str
    registered: str
    place: Callable[[pytest.FixtureRequest, Path], Config]
    misspelled: tuple[str, str | None]
    shared: bool = True
    server: bool = False
    held: int | None = None
    damage: Callable[[pytest.FixtureRequest, Config, str], None] | None = None


# ---------------------------------------------------------------------------------------------- memory and files
def memory(request: pytest.FixtureRequest, folder: Path) -> Config:
    """Nothing to set."""
    return {}


def file_of(extension: str) -> Callable[[pytest.FixtureRequest, Path], Config]:
    """A file that does not exist yet."""
    return lambda request, folder: {"path": str(folder / f"records.{extension}")}


def cut_line(request: pytest.FixtureRequest, config: Config, id: str) -> None:
    """Cuts the JSON line of a record in half."""
    path = Path(config["path"])
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(line[: len(line) // 2] + b"\n" if f'"{id}"'.encode() in line else line for line in lines))


def break_csv_row(request: pytest.FixtureRequest, config: Config, id: str) -> None:
    """Makes the JSON in the last cell of a record's row no JSON."""
    path = Path(config["path"])
    rows = path.read_text(encoding="utf-8-sig").splitlines(keepends=True)
    broken = [row.replace('"{""', '"{{""') if row.startswith(f"{id},") else row for row in rows]
    path.write_text("".join(broken), encoding="utf-8-sig", newline="")


def break_parquet_row(request: pytest.FixtureRequest, config: Config, id: str) -> None:
    """The same in a Parquet file."""
    rows = parquet.read_table(config["path"]).to_pylist()
    broken = [{**row, "_rest": "{"} if row["_id"] == id else row for row in rows]
    parquet.write_table(pyarrow.Table.from_pylist(broken), config["path"])


# ---------------------------------------------------------------------------------------------- servers
def s3_objects(request: pytest.FixtureRequest, folder: Path) -> Config:
    """A prefix of its own in one bucket."""
    server: SeaweedServer = request.getfixturevalue("seaweed")
    bucket = request.getfixturevalue("contract_bucket")
    return make_config(server, bucket=bucket, prefix=f"{uuid.uuid4().hex}/", layout="objects")


def s3_versioned(request: pytest.FixtureRequest, folder: Path) -> Config:
    """The same in a bucket that keeps every version."""
    server: SeaweedServer = request.getfixturevalue("seaweed")
    bucket = request.getfixturevalue("versioned_bucket")
    return make_config(server, bucket=bucket, prefix=f"{uuid.uuid4().hex}/", layout="objects")


def s3_tiered(request: pytest.FixtureRequest, folder: Path) -> Config:
    """Both tiers, with the default threshold: the batches of this suite are mostly too small for a pack."""
    return {**s3_objects(request, folder), "layout": "tiered", "pack_threshold": 200}


def s3_packed(request: pytest.FixtureRequest, folder: Path) -> Config:
    """Both tiers; three records at once are a pack."""
    return {**s3_tiered(request, folder), "pack_threshold": 3}


def overwrite_object(request: pytest.FixtureRequest, config: Config, id: str) -> None:
    """Puts half a JSON document where the record is."""
    with open_client(request.getfixturevalue("seaweed")) as client:
        client.put_object(Bucket=config["bucket"], Key=f"{config['prefix']}{id}.json", Body=b'{"format": 1, "da')


def postgres(request: pytest.FixtureRequest, folder: Path) -> Config:
    """A table of its own in one database."""
    server: PostgresServer = request.getfixturevalue("postgres")
    return {
        "host": server.host,
        "port": server.port,
        "database": server.database,
        "user": server.user,
        "password": server.password,
        "table": f"records_{uuid.uuid4().hex}",
    }


WRONG_TYPES = '{"/data/name": "date"}'


def break_sqlite_row(request: pytest.FixtureRequest, config: Config, id: str) -> None:
    """Calls a record's name a date."""
    with closing(sqlite3.connect(config["path"])) as connection, connection:
        connection.execute("UPDATE records SET types = ? WHERE id = ?", (WRONG_TYPES, id))


def break_postgres_row(request: pytest.FixtureRequest, config: Config, id: str) -> None:
    """The same in PostgreSQL."""
    server: PostgresServer = request.getfixturevalue("postgres")
    with psycopg.connect(server.url) as connection:
        statement = sql.SQL("UPDATE {} SET types = %s WHERE id = %s").format(sql.Identifier(config["table"]))
        connection.execute(statement, (WRONG_TYPES, id))


BACKENDS = (
    Backend("memory", "memory", memory, ("path", None), shared=False),
    Backend("file-jsonl", "file", file_of("jsonl"), ("pth", "path"), damage=cut_line),
    Backend("file-csv", "file", file_of("csv"), ("fromat", "format"), damage=break_csv_row),
    Backend("file-parquet", "file", file_of("parquet"), ("Path", "path"), damage=break_parquet_row),
    Backend("sqlite", "sqlite", file_of("db"), ("tabel", "table"), damage=break_sqlite_row),
    Backend("postgres", "postgres", postgres, ("pasword", "password"), server=True, damage=break_postgres_row),
    Backend("s3-objects", "s3", s3_objects, ("bukcet", "bucket"), server=True, damage=overwrite_object),
    Backend("s3-versioned", "s3", s3_versioned, ("bukcet", "bucket"), server=True, damage=overwrite_object),
    Backend("s3-tiered", "s3", s3_tiered, ("bukcet", "bucket"), server=True, held=200, damage=overwrite_object),
    Backend("s3-packed", "s3", s3_packed, ("bukcet", "bucket"), server=True, held=3, damage=overwrite_object),
)
