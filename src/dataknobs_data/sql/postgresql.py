"""PostgreSQL: how it says things, and how a server of it is reached."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar

import orjson
import psycopg
import sqlalchemy as sa
from psycopg import pq
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.types import UserDefinedType

from dataknobs_data.exceptions import ConfigurationError
from dataknobs_data.sql.dialect import NUL_ESCAPE, Dialect, Row, Slot, Sql, Test, is_utf8
from dataknobs_data.sql.site import Site

_ID_BYTES_MAX = 2_600
"""A B-tree entry has at most 2,704 bytes, its header included: https://www.postgresql.org/docs/current/btree.html"""

_BEYOND_ASCII = r"[^\x01-\x7f]"
_PLAIN_DECIMAL = "^-?[0-9]{1,100}([.][0-9]{1,100})?$"
_PACKED_LENGTH_MAX = 32 * 1024 * 1024
_TABLE_CREATION_LOCK = 0x646B5F7265636F72  # any number that other programs do not take: "dk_recor"


class Verbatim(UserDefinedType[str]):
    """JSON that comes back as the text it was written as: JSONB would reorder keys and turn 1e16 into an integer."""

    cache_ok = True

    def get_col_spec(self, **kw: Any) -> str:
        return "JSON"

    def column_expression(self, column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        return sa.cast(column, sa.Text)


class PostgreSQL(Dialect):
    """PostgreSQL through psycopg 3."""

    name = "PostgreSQL"
    strings = ("string",)
    numbers = ("number",)
    booleans = ("boolean",)
    json_type = Verbatim()
    id_type = sa.Text(collation="C")
    lookup_options: ClassVar = {"isolation_level": "AUTOCOMMIT"}
    snapshot_options: ClassVar = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    change_options: ClassVar = {"isolation_level": "READ COMMITTED"}  # FOR UPDATE and ON CONFLICT: the latest commits

    # ------------------------------------------------------------------ names and texts
    def id_problem(self, id: str) -> str | None:
        if "\0" in id:
            return "it holds U+0000 (nul), which PostgreSQL text cannot hold"
        size = len(id.encode())
        return f"it has {size} bytes, PostgreSQL can index {_ID_BYTES_MAX}" if size > _ID_BYTES_MAX else None

    def holds(self, text: str) -> bool:
        return "\0" not in text and is_utf8(text)

    def reaches(self, keys: Sequence[str]) -> bool:
        return all(map(self.holds, keys))

    # ------------------------------------------------------------------ values in JSON columns
    def text_slot(self, column: Sql) -> Slot:
        fragment = sa.cast(sa.func.to_json(column), sa.Text)
        none = sa.cast(sa.null(), sa.Text)
        return Slot(sa.literal_column("'string'", sa.Text), column, sa.cast(none, sa.Numeric), none, fragment)

    def json_kind(self, holder: Sql, keys: Sequence[str]) -> Sql:
        return sa.func.json_typeof(_value(holder, keys), type_=sa.Text)

    def json_text(self, holder: Sql, keys: Sequence[str]) -> Sql:
        *path, last = keys
        return _value(holder, path).op("->>", return_type=sa.Text())(sa.literal(last, sa.Text))

    def json_number(self, holder: Sql, keys: Sequence[str]) -> Sql:
        return sa.cast(self.json_text(holder, keys), sa.Numeric)

    def json_fragment(self, holder: Sql, keys: Sequence[str]) -> Sql:
        return sa.cast(_value(holder, keys), sa.Text)

    def read_fragment(self, fragment: str) -> Any:
        return orjson.loads(fragment)

    def sound(self, table: sa.Table) -> Test:
        objects, tags = (table.c.data, table.c.metadata), table.c.types
        return sa.and_(
            *(sa.func.json_typeof(column) == "object" for column in objects),
            *(_is_free_of_nul(column) for column in objects),
            sa.or_(tags.is_(None), _is_free_of_nul(tags)),
        )

    # ------------------------------------------------------------------ comparing
    def by_code_point(self, text: Sql) -> Sql:
        return text.collate("C")

    def is_ascii(self, text: Sql) -> Test:
        return text.op("!~", is_comparison=True)(_BEYOND_ASCII)

    def is_true(self, slot: Slot) -> Test:
        return slot.text == "true"

    def is_exact(self, number: Sql) -> Test:
        return sa.true()

    def decimal(self, text: Sql) -> tuple[Test, Sql]:
        return text.op("~")(_PLAIN_DECIMAL), sa.cast(text, sa.Numeric)

    def bind_number(self, number: Any) -> Sql:
        return sa.literal(number, sa.Numeric)

    def one_of(self, value: Sql, members: Collection[Any]) -> Test:
        items = ARRAY(sa.Text if isinstance(value.type, sa.Text) else sa.Numeric)
        return value == sa.any_(sa.literal(list(members), items))

    # ------------------------------------------------------------------ writing
    def insertion(self, table: sa.Table, rows: Sequence[Row]) -> tuple[sa.Executable, Row | Sequence[Row]]:
        statement = insert(table).on_conflict_do_nothing(index_elements=[table.c.id])
        packed = _packed(table, rows)
        if packed is None:
            return statement, rows
        columns = [sa.column(column.name, column.type) for column in table.c]
        array = sa.cast(sa.bindparam("rows", type_=sa.Text), Verbatim())
        unpacked = sa.func.json_to_recordset(array).table_valued(*columns).render_derived(with_types=True)
        values = sa.select(*(sa.type_coerce(unpacked.c[column.name], sa.Text) for column in columns))
        return statement.from_select(columns, values), {"rows": packed}

    def wait_for_turn(self, connection: sa.Connection) -> None:
        # CREATE TABLE IF NOT EXISTS fails on the system catalog's unique indexes when two run at once.
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_TABLE_CREATION_LOCK)))


def _packed(table: sa.Table, rows: Sequence[Row]) -> str | None:
    """Rows as one JSON array: in one parameter they arrive twice as fast as in a statement each.

    None for a single row, for what is better not held twice, and for U+0000: JSON columns take its escape, but
    json_to_recordset does not.
    """
    size = sum(len(text) for row in rows for text in row.values() if text)
    if len(rows) == 1 or size > _PACKED_LENGTH_MAX:
        return None
    as_json = [column.name for column in table.c if isinstance(column.type, Verbatim)]
    packed = [{**row, **{name: orjson.Fragment(text) for name in as_json if (text := row[name])}} for row in rows]
    array = orjson.dumps(packed).decode()
    return None if NUL_ESCAPE in array else array


def _is_free_of_nul(column: Sql) -> Test:
    return sa.func.strpos(sa.cast(column, sa.Text), NUL_ESCAPE) == 0


def _value(holder: Sql, keys: Sequence[str]) -> Sql:
    for key in keys:  # not #>, which reads keys like "0" as positions in arrays
        holder = holder.op("->", return_type=Verbatim())(sa.literal(key, sa.Text))
    return holder


# ---------------------------------------------------------------------------------------------- the server
_UNREACHABLE_STATES = ("08", "28", "3D", "53300", "57P")
"""Beginnings of SQLSTATE: connection, authorization, database name, too many connections, shutdown."""

_ADVICE = (
    ("password|no pg_hba.conf entry|role .* does not exist", "check 'user' and 'password' (or PGUSER and PGPASSWORD)"),
    ("database .* does not exist", "create the database, or check 'database' (or PGDATABASE)"),
    ("resolve|translate host", "check 'host' (or PGHOST)"),
    ("refused|No such file", "is the server running there? Check 'host' and 'port' (or PGHOST and PGPORT)"),
    ("too many|remaining connection slots", "use a smaller 'pool_size', or allow the server more connections"),
    ("SSL|certificate", "check 'sslmode'"),
)
_OTHER_ADVICE = "check that the server runs, and 'host', 'port' and 'database'"


class PostgreSQLSite(Site):
    """A PostgreSQL database. What `conninfo` (libpq's parameters) lacks, libpq takes from PG* variables and ~/.pgpass."""

    dialect = PostgreSQL()

    def __init__(
        self, conninfo: Mapping[str, Any], table: str, schema: str, pool_size: int, pool_timeout_seconds: float | None
    ) -> None:
        self.table = table
        self.schema = schema
        self.pool_size = pool_size
        self._conninfo = conninfo
        self._pool_timeout_seconds = pool_timeout_seconds

    @property
    def place(self) -> str:
        defaults = {one.keyword.decode(): one.val.decode() for one in pq.Conninfo.get_defaults() if one.val}
        known = {**defaults, **self._conninfo}
        host = known.get("host") or known.get("hostaddr") or "a local socket"
        database = known.get("dbname") or known.get("user")
        return f"PostgreSQL at {host}:{known['port']}, database {database!r}"

    def make_pool(self) -> sa.Engine:
        return sa.create_engine(
            "postgresql+psycopg://",
            creator=self._connect,
            pool_size=self.pool_size,
            max_overflow=self.pool_size,
            pool_timeout=self._pool_timeout_seconds,
            pool_pre_ping=True,  # the server may have been restarted since the connection was last used
            hide_parameters=True,
            use_native_hstore=False,
        )

    def _connect(self) -> psycopg.Connection:
        try:
            return psycopg.connect(**self._conninfo)
        except psycopg.OperationalError as error:
            failure = type(error)(*error.args)
        raise failure  # not psycopg's own, which carries the password in `pgconn`

    def is_unreachable(self, error: BaseException) -> bool:
        if not isinstance(error, psycopg.OperationalError):
            return False
        return error.sqlstate is None or error.sqlstate.startswith(_UNREACHABLE_STATES)

    def is_conflict(self, error: BaseException) -> bool:
        return isinstance(error, (psycopg.errors.SerializationFailure, psycopg.errors.DeadlockDetected))

    def advice(self, error: BaseException) -> str:
        if self.is_conflict(error):
            return "the changes were rolled back; try again"
        if not self.is_unreachable(error):
            return ""
        return next((advice for words, advice in _ADVICE if re.search(words, str(error))), _OTHER_ADVICE)


def parse_conninfo(text: str) -> dict[str, Any]:
    """libpq's parameters in a URL or in `key=value` text. Raises ConfigurationError, which does not repeat the text."""
    url = re.sub(r"^postgres(ql)?(\+\w+)?://", "postgresql://", text)  # SQLAlchemy's spellings too
    try:
        return dict(psycopg.conninfo.conninfo_to_dict(url))
    except psycopg.ProgrammingError:
        raise ConfigurationError(
            "postgres backend: setting 'connection_string' is neither postgresql://user:password@host:port/database nor "
            "libpq's key=value form",
            key="connection_string",
        ) from None
