"""From what people type to a database and to ids."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dataknobs_data.cli import output
from dataknobs_data.database import SyncDatabase
from dataknobs_data.exceptions import ConfigurationError
from dataknobs_data.factory import DatabaseFactory, open_url
from dataknobs_data.registry import load_backend

if TYPE_CHECKING:
    from dataknobs_data.backends.s3 import S3Database, S3Past

CONFIG_VARIABLE, CONFIG_FILE = "DATAKNOBS_CONFIG", "dataknobs.yaml"


def open_target(target: str, config: Path | None, **over: Any) -> SyncDatabase:
    """The database behind a URL (it has a colon), or behind a name in the config file; `over` goes over its settings.
    Raises ConfigurationError.
    """
    return open_url(target, **over) if ":" in target else _named(target, config, **over)


def open_s3(target: str, config: Path | None, *, dry_run: bool = False) -> S3Database:
    """As `open_target`, for what only S3 has. Raises ConfigurationError where it is another database.

    A dry run makes no bucket either, which opening a database does on most stores.
    """
    database = open_target(target, config)
    kind: type[S3Database] = load_backend("s3")
    if isinstance(database, kind) and dry_run:
        database = open_target(target, config, create_bucket=False)
    if isinstance(database, kind):
        return database
    raise ConfigurationError(f"this command is for databases in S3 (s3://bucket/prefix); {target!r} is none")


@contextmanager
def opened(target: str, config: Path | None, at: str | None) -> Iterator[SyncDatabase]:
    """The database to read from: as it is, or as it was (`open_past`)."""
    if at is None:
        with open_target(target, config) as db:
            yield db
    else:
        with open_past(target, config, at) as past:
            yield past


@contextmanager
def open_past(target: str, config: Path | None, at: str) -> Iterator[S3Past]:
    """An S3 database as it was at `at`: a version of its table, or an instant. Raises TimeTravelError where that is unknown."""
    moment: dict[str, Any] = {"table_version": int(at)} if at.isdecimal() else {"timestamp": at}
    with open_s3(target, config, dry_run=True) as db, db.at(**moment) as past:
        for note in past.notes:
            output.say(f"note: {note}", "dim")
        yield past


def _named(name: str, config: Path | None, **over: Any) -> SyncDatabase:
    path = config or Path(os.environ.get(CONFIG_VARIABLE) or CONFIG_FILE)
    if path == Path(CONFIG_FILE) and not path.exists():
        raise ConfigurationError(
            f"there is no {CONFIG_FILE} here to look up the database {name!r} in; give a URL such as s3://bucket/prefix, "
            f"or a config file with --config or {CONFIG_VARIABLE}"
        )
    return DatabaseFactory.from_yaml(path).create_named(name, **over)


def expand_ids(ids: Sequence[str]) -> list[str]:
    """The ids, with `-` replaced by those on stdin, one a line."""
    given: list[str] = []
    for id in ids:
        given += [line.rstrip("\r\n") for line in sys.stdin if line.strip()] if id == "-" else [id]
    return given
