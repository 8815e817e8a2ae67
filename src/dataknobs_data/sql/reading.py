"""Reading records: SQL finds what it can tell, `matching` decides about the rest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import sqlalchemy as sa

from dataknobs_data.codec import restore
from dataknobs_data.documents import Document
from dataknobs_data.engine import ErrorSink, cut, run_query
from dataknobs_data.exceptions import DataFormatError
from dataknobs_data.matching import MISSING, compile_expression, order
from dataknobs_data.query import Query
from dataknobs_data.sql.bounds import prefix_end
from dataknobs_data.sql.conditions import conditions
from dataknobs_data.sql.dialect import Dialect, Slot, Test
from dataknobs_data.sql.pairs import Pair
from dataknobs_data.sql.slots import slot_of
from dataknobs_data.sql.tables import from_row
from dataknobs_data.streaming import windows

_WINDOW = 1_000
"""Rows that are held at once."""


@dataclass(frozen=True, slots=True)
class Keys:
    """A record reduced to its id and what it is sorted by."""

    id: str
    values: Mapping[str, Any]

    def value(self, name: str) -> Any:
        """See `matching.Row`."""
        return self.id if name == "id" else self.values[name]


class Reader:
    """What is read from one table. Every method works within the connection's transaction."""

    def __init__(self, table: sa.Table, dialect: Dialect) -> None:
        self._table = table
        self._dialect = dialect

    # ------------------------------------------------------------------ by id
    def select(self, ids: Iterable[str], *columns: sa.ColumnElement[Any]) -> sa.Select[Any]:
        """The rows of `ids`, by id; all columns unless some are named."""
        known = [id for id in ids if self._dialect.holds(id)]
        wanted = columns or tuple(self._table.c)
        return sa.select(*wanted).where(self._dialect.one_of(self._table.c.id, known)).order_by(self._table.c.id)

    def get(self, connection: sa.Connection, ids: Sequence[str]) -> list[Document | None]:
        """The documents of `ids`, in their order."""
        found: dict[str, Document] = {}
        for window in windows(ids, _WINDOW):
            found.update((row.id, from_row(row)) for row in connection.execute(self.select(window)))
        return [found.get(id) for id in ids]

    def list_ids(self, connection: sa.Connection, prefix: str) -> Iterator[str]:
        """Ids that start with `prefix`, by code point."""
        id = self._table.c.id
        if not self._dialect.holds(prefix):
            return
        end = prefix_end(prefix)
        inside = id >= prefix if end is None else sa.and_(id >= prefix, id < end)
        for row in self._stream(connection, sa.select(id).where(inside).order_by(id)):
            yield row.id

    # ------------------------------------------------------------------ by query
    def scan(self, connection: sa.Connection, query: Query, on_damage: ErrorSink | None = None) -> Iterator[Document]:
        """The documents that `query` asks for, in its order."""
        pair = conditions(query.expression, self._table, self._dialect)
        by_id = not query.sort_specs or query.sort_specs[0].field == "id"
        names = [] if by_id else [spec.field for spec in query.sort_specs if spec.field != "id"]
        slots = {name: slot_of(self._table, name, self._dialect) for name in names}
        if query.limit_value == 0:
            return iter(())
        if by_id and (query.expression is None or not query.offset_value):
            return self._scan_by_id(connection, query, pair, on_damage)
        if None in slots.values():
            return run_query(self._candidates(connection, pair.may, on_damage), query)
        reachable = {name: slot for name, slot in slots.items() if slot is not None}
        return self._scan_by_keys(connection, query, pair, reachable, on_damage)

    def count(self, connection: sa.Connection, query: Query) -> int:
        """How many documents `scan` finds."""
        if query.expression is None:
            found = connection.scalars(sa.select(sa.func.count()).select_from(self._table)).one()
        else:
            found = self._count_matches(connection, query)
        beyond_offset = max(found - query.offset_value, 0)
        return beyond_offset if query.limit_value is None else min(beyond_offset, query.limit_value)

    def _count_matches(self, connection: sa.Connection, query: Query) -> int:
        pair = conditions(query.expression, self._table, self._dialect)
        counts = sa.select(sa.func.count(), sa.func.count().filter(pair.must)).select_from(self._table)
        possible, certain = connection.execute(counts.where(pair.may)).one()
        if possible == certain:
            return int(certain)
        matching = compile_expression(query.expression)
        doubtful = self._candidates(connection, sa.and_(pair.may, sa.not_(pair.must)), None)
        return int(certain) + sum(1 for document in doubtful if matching(document))

    # ------------------------------------------------------------------ in the order of ids
    def _scan_by_id(
        self, connection: sa.Connection, query: Query, pair: Pair, on_damage: ErrorSink | None
    ) -> Iterator[Document]:
        descending = bool(query.sort_specs) and query.sort_specs[0].descending
        if query.expression is None:
            return self._candidates(connection, pair.may, on_damage, descending, query.limit_value, query.offset_value)
        candidates = self._candidates(connection, pair.may, on_damage, descending)
        return cut(filter(compile_expression(query.expression), candidates), 0, query.limit_value)

    def _candidates(
        self,
        connection: sa.Connection,
        where: Test,
        on_damage: ErrorSink | None,
        descending: bool = False,
        limit: int | None = None,
        offset: int = 0,
    ) -> Iterator[Document]:
        id = self._table.c.id
        statement = sa.select(*self._table.c).where(where).order_by(id.desc() if descending else id)
        for row in self._stream(connection, statement.limit(limit).offset(offset or None)):
            document = _read(row, on_damage)
            if document is not None:
                yield document

    # ------------------------------------------------------------------ in another order, or from an offset on
    def _scan_by_keys(
        self,
        connection: sa.Connection,
        query: Query,
        pair: Pair,
        slots: Mapping[str, Slot],
        on_damage: ErrorSink | None,
    ) -> Iterator[Document]:
        """Sorts and counts off ids and sort keys alone, then reads the documents that are asked for.

        The order of mixed types is `matching`'s own, so the sorting is done here.
        """
        found = self._keys(connection, query, pair, slots, on_damage)
        ordered = iter(order(found, query.sort_specs)) if slots else found
        chosen = islice(ordered, query.offset_value, query.limit_value and query.offset_value + query.limit_value)
        for window in windows((keys.id for keys in chosen), _WINDOW):
            rows = {row.id: row for row in connection.execute(self.select(window))}
            for id in window:
                document = _read(rows[id], on_damage)
                if document is not None:
                    yield document

    def _keys(
        self,
        connection: sa.Connection,
        query: Query,
        pair: Pair,
        slots: Mapping[str, Slot],
        on_damage: ErrorSink | None,
    ) -> Iterator[Keys]:
        """The records that match, by id, each with the values it is sorted by."""
        matching = compile_expression(query.expression)
        for rows in windows(self._stream(connection, self._select_keys(pair, slots)), _WINDOW):
            doubtful = connection.execute(self.select(row.id for row in rows if not row.sure))
            documents = {row.id: _read(row, on_damage) for row in doubtful}
            for row in rows:
                if row.sure:
                    yield Keys(row.id, dict(zip(slots, self._sort_values(row), strict=True)))
                elif (document := documents[row.id]) is not None and matching(document):
                    yield Keys(row.id, {name: document.value(name) for name in slots})

    def _select_keys(self, pair: Pair, slots: Mapping[str, Slot]) -> sa.Select[Any]:
        id, sound = self._table.c.id, self._dialect.sound(self._table)
        sure = sa.case((sound, pair.must), else_=sa.false())
        keys = [
            sa.case((sound, part), else_=sa.null()) for slot in slots.values() for part in (slot.fragment, slot.tag)
        ]
        return sa.select(id, sure.label("sure"), *keys).where(pair.may).order_by(id)

    def _sort_values(self, row: sa.Row[Any]) -> Iterator[Any]:
        keys: Sequence[Any] = row[2:]
        for fragment, tag in zip(keys[::2], keys[1::2], strict=True):
            value = MISSING if fragment is None else self._dialect.read_fragment(fragment)
            if tag is not None and not isinstance(value, (list, dict)):  # which have no order, whatever they were
                holder = {"value": value}
                restore(holder, {"/value": tag}, row.id)
                value = holder["value"]
            yield value

    def _stream(self, connection: sa.Connection, statement: sa.Select[Any]) -> sa.CursorResult[Any]:
        return connection.execute(statement, execution_options={"stream_results": True, "yield_per": _WINDOW})


def _read(row: sa.Row[Any], on_damage: ErrorSink | None) -> Document | None:
    try:
        return from_row(row)
    except DataFormatError as error:
        if on_damage is None:
            raise
        on_damage(error)
        return None
