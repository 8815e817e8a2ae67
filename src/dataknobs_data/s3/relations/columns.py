"""The columns of a relation, and how they come out of rows as they are stored.

A field is its typed column where no live value disagrees with that (`Typed`); else the text of all its values (`Text`), which
is also what stands at a path in JSON (`AtPath`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc

from dataknobs_data.json_values import loads
from dataknobs_data.s3.table.kinds import Kind
from dataknobs_data.s3.table.outside import ALL, Outside, Segments, text_of, texts_of, value_at
from dataknobs_data.s3.table.shape import METADATA, REST, SYSTEM

TEXT = pa.string()


class Stored(Protocol):
    """What rows have: see portions.Portion."""

    @property
    def kinds(self) -> Mapping[str, Kind]: ...

    @property
    def rest_names(self) -> frozenset[str] | None: ...

    @property
    def null_names(self) -> frozenset[str]: ...

    def lies_outside(self, name: str) -> bool:
        """Whether a value of that field that is not null may lie in `_rest`."""


class Rows:
    """Rows of one portion as they are stored, for some columns of a relation."""

    def __init__(self, table: pa.Table, stored: Stored, columns: Iterable[Column]) -> None:
        self.table = table
        self.stored = stored
        self._names = {name for column in columns for name in column.outside(stored)}

    @cached_property
    def rest(self) -> Outside:
        """Parsed once for all columns."""
        return Outside(self.table[REST], ALL if ALL[0] in self._names else tuple(self._names))

    def lies_outside(self, name: str) -> bool:
        """See Stored."""
        return self.stored.lies_outside(name)

    def values(self, name: str, type: pa.DataType) -> pa.ChunkedArray:
        """A stored column, all null where there is none."""
        if name not in self.table.column_names:
            return pa.chunked_array([pa.nulls(self.table.num_rows, type)])
        column = self.table[name]
        return column if column.type == type else column.cast(type)


@dataclass(frozen=True)
class Column(ABC):
    """One column. `name`: in the relation."""

    name: str

    @property
    @abstractmethod
    def type(self) -> pa.DataType: ...

    def stored(self, stored: Stored) -> set[str]:
        """The stored columns by which it is computed."""
        return {REST} if self.outside(stored) else set()

    @abstractmethod
    def outside(self, stored: Stored) -> Collection[str]:
        """The fields that it looks for in `_rest`."""

    @abstractmethod
    def of(self, rows: Rows) -> pa.ChunkedArray | pa.Array:
        """Its values."""


@dataclass(frozen=True)
class OfField(Column):
    """What comes of the values of a field, in its stored column and in `_rest`."""

    field: str

    def stored(self, stored: Stored) -> set[str]:
        return {self.field, *super().stored(stored)} if self.field in stored.kinds else super().stored(stored)

    def outside(self, stored: Stored) -> Collection[str]:
        return (self.field,) if stored.lies_outside(self.field) else ()


@dataclass(frozen=True)
class Typed(OfField):
    """The values of a field, all of one type: `kind`, or doubles though the stored ones are integers."""

    kind: Kind

    @property
    def type(self) -> pa.DataType:
        return self.kind.arrow

    def of(self, rows: Rows) -> pa.ChunkedArray | pa.Array:
        values = rows.values(self.field, self.type)
        if not rows.lies_outside(self.field):
            return values
        return pc.coalesce(values, pa.array(rows.rest.values(self.field, self.kind), self.type))


@dataclass(frozen=True)
class System(Column):
    """One of the database's own columns."""

    field: str

    @property
    def type(self) -> pa.DataType:
        return SYSTEM[self.field].arrow

    def stored(self, stored: Stored) -> set[str]:
        return {self.field}

    def outside(self, stored: Stored) -> Collection[str]:
        return ()

    def of(self, rows: Rows) -> pa.ChunkedArray | pa.Array:
        return rows.values(self.field, self.type)


@dataclass(frozen=True)
class Text(OfField):
    """All values of a field as text. `kind`: of the stored column, where there is one."""

    kind: Kind | None

    @property
    def type(self) -> pa.DataType:
        return TEXT

    def of(self, rows: Rows) -> pa.ChunkedArray | pa.Array:
        texts: pa.ChunkedArray | pa.Array = pa.chunked_array([pa.nulls(rows.table.num_rows, TEXT)])
        if self.kind is not None and self.field in rows.table.column_names:
            texts = texts_of(rows.values(self.field, self.kind.arrow), self.kind)
        if not rows.lies_outside(self.field):
            return texts
        return pc.coalesce(texts, pa.array(rows.rest.texts(self.field), TEXT))


@dataclass(frozen=True)
class AtPath(Column):
    """What stands at a path inside a field's value, as text."""

    field: str
    path: Segments

    @property
    def type(self) -> pa.DataType:
        return TEXT

    def outside(self, stored: Stored) -> Collection[str]:
        return (self.field,) if stored.lies_outside(self.field) else ()

    def of(self, rows: Rows) -> pa.ChunkedArray | pa.Array:
        if not rows.lies_outside(self.field):
            return pa.nulls(rows.table.num_rows, TEXT)
        return pa.array(rows.rest.texts(self.field, self.path), TEXT)


@dataclass(frozen=True)
class InMetadata(Column):
    """What stands at a path in a record's metadata, as text."""

    path: Segments

    @property
    def type(self) -> pa.DataType:
        return TEXT

    def stored(self, stored: Stored) -> set[str]:
        return {METADATA}

    def outside(self, stored: Stored) -> Collection[str]:
        return ()

    def of(self, rows: Rows) -> pa.ChunkedArray | pa.Array:
        coded = rows.values(METADATA, TEXT).combine_chunks().dictionary_encode()
        texts = [text_of(value_at(loads(text.encode()), self.path)) for text in coded.dictionary.to_pylist()]
        return pa.array(texts, TEXT).take(coded.indices)


@dataclass(frozen=True)
class Others(Column):
    """All fields without a column, as a JSON object. `known`: those that have one."""

    known: frozenset[str]

    @property
    def type(self) -> pa.DataType:
        return TEXT

    def outside(self, stored: Stored) -> Collection[str]:
        return ALL if stored.rest_names is None else (stored.rest_names | stored.null_names) - self.known

    def of(self, rows: Rows) -> pa.ChunkedArray | pa.Array:
        if not self.outside(rows.stored):
            return pa.nulls(rows.table.num_rows, TEXT)
        return pa.array(rows.rest.objects(self.known), TEXT)


def bound(table: pa.Table, stored: Stored, columns: Sequence[Column]) -> pa.Table:
    """These columns of rows."""
    rows = Rows(table, stored, columns)
    schema = pa.schema([(column.name, column.type) for column in columns])
    return pa.Table.from_arrays([column.of(rows) for column in columns], schema=schema)


def stored_for(stored: Stored, columns: Iterable[Column]) -> set[str]:
    """The stored columns that these need."""
    return set().union(*(column.stored(stored) for column in columns))
