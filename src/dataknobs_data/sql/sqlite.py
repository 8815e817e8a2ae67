"""SQLite: how it says things, and how a file of it is opened."""

from __future__ import annotations

import itertools
import re
import sqlite3
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, ClassVar

import orjson
import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from dataknobs_data.exceptions import DatabaseConnectionError
from dataknobs_data.sql.dialect import NUL_ESCAPE, Dialect, Row, Slot, Sql, Test, is_utf8
from dataknobs_data.sql.site import Site

MEMORY = ":memory:"
"""The path that means no file."""

_UNREACHABLE = re.compile(r'["\\\x00-\x1f]')  # a JSON path has no way to escape these
_DECIMAL_LENGTH_MAX = 100
_memory_numbers = itertools.count()


class SQLite(Dialect):
    """SQLite with its JSON functions."""

    name = "SQLite"
    strings = ("text",)
    numbers = ("integer", "real")
    booleans = ("true", "false")
    json_type = sa.Text()
    id_type = sa.Text()  # BINARY collation: UTF-8 bytes order as code points do
    change_options: ClassVar = {"begin": "BEGIN IMMEDIATE"}  # takes the write lock at once: no upgrade, no deadlock

    # ------------------------------------------------------------------ names and texts
    def id_problem(self, id: str) -> str | None:
        return None

    def holds(self, text: str) -> bool:
        return is_utf8(text)

    def reaches(self, keys: Sequence[str]) -> bool:
        return all(is_utf8(key) and not _UNREACHABLE.search(key) for key in keys)

    # ------------------------------------------------------------------ values in JSON columns
    def text_slot(self, column: Sql) -> Slot:
        return Slot(sa.literal_column("'text'"), column, sa.null(), sa.null(), sa.func.json_array(column, column))

    def json_kind(self, holder: Sql, keys: Sequence[str]) -> Sql:
        return sa.func.json_type(holder, _path(keys), type_=sa.Text)

    def json_text(self, holder: Sql, keys: Sequence[str]) -> Sql:
        return sa.func.json_extract(holder, _path(keys), type_=sa.Text)

    def json_number(self, holder: Sql, keys: Sequence[str]) -> Sql:
        return sa.func.json_extract(holder, _path(keys), type_=sa.Float)

    def json_fragment(self, holder: Sql, keys: Sequence[str]) -> Sql:
        # Of one path it gives the value (and a float that is not always the one written), of two an array of their JSON.
        return sa.func.json_extract(holder, _path(keys), _path(keys), type_=sa.Text)

    def read_fragment(self, fragment: str) -> Any:
        return orjson.loads(fragment)[0]

    def sound(self, table: sa.Table) -> Test:
        columns = (table.c.data, table.c.metadata)
        valid = sa.and_(
            *(sa.func.json_valid(column) == 1 for column in columns),
            *(sa.func.instr(column, NUL_ESCAPE) == 0 for column in columns),
            sa.or_(table.c.types.is_(None), sa.func.json_valid(table.c.types) == 1),
        )
        objects = sa.and_(*(sa.func.json_type(column) == "object" for column in columns))
        return sa.case((valid, objects), else_=sa.false())

    # ------------------------------------------------------------------ comparing
    def by_code_point(self, text: Sql) -> Sql:
        return text

    def is_ascii(self, text: Sql) -> Test:
        return sa.func.length(text) == sa.func.length(sa.cast(text, sa.LargeBinary))

    def is_true(self, slot: Slot) -> Test:
        return slot.kind == "true"

    def is_exact(self, number: Sql) -> Test:
        # Version 3.51 reads every twelfth random float wrong, by up to 2E-15 of it; 3.40 read all of them right.
        return sa.func.typeof(number) == "integer"

    def decimal(self, text: Sql) -> tuple[Test, Sql]:
        plain = sa.and_(text.op("NOT GLOB")("*[^0-9.-]*"), sa.func.length(text) <= _DECIMAL_LENGTH_MAX)
        return plain, sa.cast(text, sa.Float)

    def bind_number(self, number: Any) -> Sql:
        return sa.literal(number, sa.Integer) if isinstance(number, int) else sa.literal(float(number), sa.Float)

    def one_of(self, value: Sql, members: Collection[Any]) -> Test:
        return value.in_(members)

    # ------------------------------------------------------------------ writing
    def insertion(self, table: sa.Table, rows: Sequence[Row]) -> tuple[sa.Executable, Sequence[Row]]:
        return insert(table).on_conflict_do_nothing(index_elements=[table.c.id]), rows

    def wait_for_turn(self, connection: sa.Connection) -> None:
        """Whoever writes is alone already."""


def _path(keys: Sequence[str]) -> str:
    return "$" + "".join(f'."{key}"' for key in keys)


SWITCHES_MAX = 100
"""Times that a connection asks for the write-ahead log."""


class SQLiteSite(Site):
    """A SQLite file, or records in memory that go away with the last connection."""

    dialect = SQLite()
    pool_size = 8

    def __init__(self, path: str, table: str, timeout_seconds: float) -> None:
        self.table = table
        self.streams = path != MEMORY
        self._path = path if path == MEMORY else str(Path(path).expanduser())
        self._timeout_seconds = timeout_seconds
        # SQLite's ":memory:" is private to each connection; a named memory file is shared by those of this site.
        self._target = f"file:/dataknobs-{next(_memory_numbers)}?vfs=memdb" if path == MEMORY else self._path

    @property
    def place(self) -> str:
        return f"SQLite {'in memory' if self._path == MEMORY else self._path!r}"

    def make_pool(self) -> sa.Engine:
        if self._path != MEMORY:
            self._make_folder()
        pool = sa.create_engine(
            "sqlite+pysqlite://",
            creator=self._connect,
            poolclass=sa.QueuePool,
            pool_size=self.pool_size,
            max_overflow=self.pool_size,
            pool_timeout=self._timeout_seconds,
            hide_parameters=True,
        )
        sa.event.listen(pool, "begin", _begin)
        return pool

    def _make_folder(self) -> None:
        folder = Path(self._path).parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DatabaseConnectionError(
                f"{self.place}: the folder {str(folder)!r} cannot be made: {error}"
            ) from error

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._target,
            timeout=self._timeout_seconds,
            isolation_level=None,  # transactions begin where `_begin` says, not where the driver guesses
            check_same_thread=False,
            uri=self._path == MEMORY,
        )
        if self._path != MEMORY:
            _let_all_work(connection)
        return connection

    # ------------------------------------------------------------------ errors
    def is_unreachable(self, error: BaseException) -> bool:
        return _name_of(error).startswith(("SQLITE_CANTOPEN", "SQLITE_NOTADB", "SQLITE_READONLY", "SQLITE_PERM"))

    def is_conflict(self, error: BaseException) -> bool:
        return False  # a write waits for its turn before it reads anything

    def advice(self, error: BaseException) -> str:
        if self.is_unreachable(error):
            return "check that 'path' names a SQLite file, and that you may read and write it and its folder"
        if _name_of(error).startswith("SQLITE_BUSY"):
            return f"another writer kept it for {self._timeout_seconds} s; try again, or use a larger 'timeout'"
        return ""


def _let_all_work(connection: sqlite3.Connection) -> None:
    """From now on readers and writers do not wait for one another: https://www.sqlite.org/wal.html.

    That switch itself waits for nobody, whatever the timeout: where several open a new file at once, all but one are told that
    it is locked. A write transaction does wait; after it the switch was made, or can be.
    """
    for _ in range(SWITCHES_MAX - 1):
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if not _name_of(error).startswith("SQLITE_BUSY"):
                raise
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("COMMIT")
    connection.execute("PRAGMA journal_mode=WAL")


def _name_of(error: BaseException) -> str:
    return getattr(error, "sqlite_errorname", "")


def _begin(connection: sa.Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("begin", "BEGIN"))
