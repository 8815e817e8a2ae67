"""What one relational database says differently from the others: a small object that speaks it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from sqlalchemy import ColumnElement, Connection, Executable, Table
from sqlalchemy.types import TypeEngine

from dataknobs_data.codec import escape_pointer

Row = Mapping[str, str | None]
Sql = ColumnElement[Any]
Test = ColumnElement[bool]

NUL_ESCAPE = "\\u0000"
"""How U+0000 stands in JSON. No database unpacks it right, so rows that hold it are never decided in SQL."""


@dataclass(frozen=True, slots=True)
class Slot:
    """A value of a record, as SQL expressions.

    kind      its JSON type, a word of the dialect; 'null', 'object', 'array' in all of them; NULL where there is none
    text      the string, meaningful where kind says so; compares by code point
    number    the number, meaningful where kind says so
    tag       what `types` says it is (`codec`), NULL for what JSON knows by itself
    fragment  its JSON, for `Dialect.read_fragment`
    """

    kind: Sql
    text: Sql
    number: Sql
    tag: Sql
    fragment: Sql


class Dialect(ABC):
    """One database's way of saying things. Has no state."""

    name: ClassVar[str]
    """As people write it, for messages."""
    strings: ClassVar[tuple[str, ...]]
    numbers: ClassVar[tuple[str, ...]]
    booleans: ClassVar[tuple[str, ...]]
    """The words of `Slot.kind` for these types."""
    json_type: ClassVar[TypeEngine[str]]
    """The column type that keeps JSON text as it was written."""
    id_type: ClassVar[TypeEngine[str]]
    """The column type of ids, ordered by code point."""
    lookup_options: ClassVar[Mapping[str, Any]] = {}
    snapshot_options: ClassVar[Mapping[str, Any]] = {}
    change_options: ClassVar[Mapping[str, Any]] = {}
    """Execution options of a single look-up, of a read of many statements, of a write."""

    # ------------------------------------------------------------------ names and texts
    @abstractmethod
    def id_problem(self, id: str) -> str | None:
        """Why `id` cannot be a key here; None where it can."""

    @abstractmethod
    def holds(self, text: str) -> bool:
        """Whether `text` can be sent and stored."""

    @abstractmethod
    def reaches(self, keys: Sequence[str]) -> bool:
        """Whether the path `keys` can be said in SQL."""

    # ------------------------------------------------------------------ values in JSON columns
    def slot(self, table: Table, column: str, keys: Sequence[str]) -> Slot:
        """The value at `keys` in the JSON column `column`."""
        holder = table.c[column]
        pointer = "/".join(["", column, *map(escape_pointer, keys)])
        return Slot(
            kind=self.json_kind(holder, keys),
            text=self.json_text(holder, keys),
            number=self.json_number(holder, keys),
            tag=self.json_text(table.c.types, [pointer]),
            fragment=self.json_fragment(holder, keys),
        )

    @abstractmethod
    def text_slot(self, column: Sql) -> Slot:
        """A text column that always has a value."""

    @abstractmethod
    def json_kind(self, holder: Sql, keys: Sequence[str]) -> Sql:
        """The type of the value at `keys`, NULL where there is none."""

    @abstractmethod
    def json_text(self, holder: Sql, keys: Sequence[str]) -> Sql:
        """The string at `keys`."""

    @abstractmethod
    def json_number(self, holder: Sql, keys: Sequence[str]) -> Sql:
        """The number at `keys`."""

    @abstractmethod
    def json_fragment(self, holder: Sql, keys: Sequence[str]) -> Sql:
        """The JSON text at `keys`."""

    @abstractmethod
    def read_fragment(self, fragment: str) -> Any:
        """The plain value behind what `json_fragment` found."""

    @abstractmethod
    def sound(self, table: Table) -> Test:
        """Whether SQL can look into a row: its JSON is an object and holds no U+0000. Raises no error for any row."""

    # ------------------------------------------------------------------ comparing
    @abstractmethod
    def by_code_point(self, text: Sql) -> Sql:
        """`text` with the collation that orders by code point."""

    @abstractmethod
    def is_ascii(self, text: Sql) -> Test:
        """Whether the string has ASCII characters only."""

    @abstractmethod
    def is_true(self, slot: Slot) -> Test:
        """Whether a boolean is true."""

    @abstractmethod
    def is_exact(self, number: Sql) -> Test:
        """Whether a number compares with integers up to 2**53 as Python compares them."""

    @abstractmethod
    def decimal(self, text: Sql) -> tuple[Test, Sql]:
        """Whether the text of a tagged Decimal is one that SQL can take for a number, and the number."""

    @abstractmethod
    def bind_number(self, number: Any) -> Sql:
        """An int, or a Decimal of at most 60 digits between ±1E±300, as a parameter."""

    @abstractmethod
    def one_of(self, value: Sql, members: Collection[Any]) -> Test:
        """Whether `value` is among `members`: all texts, or all integers up to 2**53."""

    # ------------------------------------------------------------------ writing
    @abstractmethod
    def insertion(self, table: Table, rows: Sequence[Row]) -> tuple[Executable, Row | Sequence[Row]]:
        """An INSERT of `rows` that leaves out those whose id is taken, and its parameters."""

    @abstractmethod
    def wait_for_turn(self, connection: Connection) -> None:
        """Keeps other processes from creating the same table until the transaction ends."""


def is_utf8(text: str) -> bool:
    """Whether UTF-8 can hold `text`: it has no lone surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
