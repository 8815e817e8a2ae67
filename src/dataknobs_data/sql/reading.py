"""Reading records: SQL finds what it can tell, `matching` decides about the rest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from typing import Any

import sqlalchemy as sa

from dataknobs_data.codec import restore
from dataknobs_data.documents import Document
from dataknobs_data.engine import ErrorSink, cut, run_query
from dataknobs_data.exceptions import DataFormatError
from dataknobs_data.matching import MISSING, compile_expression, order
from dataknobs_data.query import Query, SortSpec
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


class Snapshot:
    """The records as they are at one moment. `close` it before its connection goes back to the pool."""

    def __init__(self, connection: sa.Connection) -> None:
        self.connection = connection
        self._cursors = ExitStack()

    def stream(self, statement: sa.Select[Any]) -> Iterator[sa.Row[Any]]:
        """The rows of a statement, of which the server keeps all but a window."""
        options = {"stream_results": True, "yield_per": _WINDOW}
        return iter(self._cursors.enter_context(self.connection.execute(statement, execution_options=options)))

    def close(self) -> None:
        """Ends what was streamed, also what was not read to its end."""
        self._cursors.close()


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

    def list_ids(self, snapshot: Snapshot, prefix: str) -> Iterator[str]:
        """Ids that start with `prefix`, by code point."""
        id = self._table.c.id
        if not self._dialect.holds(prefix):
            return
        end = prefix_end(prefix)
        inside = id >= prefix if end is None else sa.and_(id >= prefix, id < end)
        for row in snapshot.stream(sa.select(id).where(inside).order_by(id)):
            yield row.id

    # ------------------------------------------------------------------ by query
    def scan(self, snapshot: Snapshot, query: Query, on_damage: ErrorSink | None = None) -> Iterator[Document]:
        """The documents that `query` asks for, in its order."""
        pair = conditions(query.expression, self._table, self._dialect)
        by_id = not query.sort_specs or query.sort_specs[0].field == "id"
        names = [] if by_id else [spec.field for spec in query.sort_specs if spec.field != "id"]
        slots = {name: slot_of(self._table, name, self._dialect) for name in names}
        if query.limit_value == 0:
            return iter(())
        if by_id and (query.expression is None or not query.offset_value):
            return self._scan_by_id(snapshot, query, pair, on_damage)
        if None in slots.values():
            return run_query(self._candidates(snapshot, pair.may, on_damage), query)
        reachable = {name: slot for name, slot in slots.items() if slot is not None}
        return self._scan_by_keys(snapshot, query, pair, reachable, on_damage)

    def count(self, snapshot: Snapshot, query: Query) -> int:
        """How many documents `scan` finds."""
        if query.expression is None:
            found = snapshot.connection.scalars(sa.select(sa.func.count()).select_from(self._table)).one()
        else:
            found = self._count_matches(snapshot, query)
        beyond_offset = max(found - query.offset_value, 0)
        return beyond_offset if query.limit_value is None else min(beyond_offset, query.limit_value)

    def _count_matches(self, snapshot: Snapshot, query: Query) -> int:
        pair = conditions(query.expression, self._table, self._dialect)
        counts = sa.select(sa.func.count(), sa.func.count().filter(pair.must)).select_from(self._table)
        possible, certain = snapshot.connection.execute(counts.where(pair.may)).one()
        if possible == certain:
            return int(certain)
        matching = compile_expression(query.expression)
        doubtful = self._candidates(snapshot, sa.and_(pair.may, sa.not_(pair.must)), None)
        return int(certain) + sum(1 for document in doubtful if matching(document))

    # ------------------------------------------------------------------ in the order of ids
    def _scan_by_id(
        self, snapshot: Snapshot, query: Query, pair: Pair, on_damage: ErrorSink | None
    ) -> Iterator[Document]:
        by_id = self._by_id(query)
        if query.expression is None:
            return self._candidates(snapshot, pair.may, on_damage, by_id, query.limit_value, query.offset_value)
        candidates = self._candidates(snapshot, pair.may, on_damage, by_id)
        return cut(filter(compile_expression(query.expression), candidates), 0, query.limit_value)

    def _candidates(
        self,
        snapshot: Snapshot,
        where: Test,
        on_damage: ErrorSink | None,
        by_id: sa.ColumnElement[Any] | None = None,
        limit: int | None = None,
        offset: int = 0,
    ) -> Iterator[Document]:
        statement = sa.select(*self._table.c).where(where).order_by(self._table.c.id if by_id is None else by_id)
        for row in snapshot.stream(statement.limit(limit).offset(offset or None)):
            document = _read(row, on_damage)
            if document is not None:
                yield document

    # ------------------------------------------------------------------ in another order, or from an offset on
    def _scan_by_keys(
        self,
        snapshot: Snapshot,
        query: Query,
        pair: Pair,
        slots: Mapping[str, Slot],
        on_damage: ErrorSink | None,
    ) -> Iterator[Document]:
        """Sorts and counts off ids and sort keys alone, then reads the documents that are asked for.

        The order of mixed types is `matching`'s own, so the sorting is done here.
        """
        found = self._keys(snapshot, query, pair, slots, on_damage)
        ordered = iter(order(found, query.sort_specs)) if slots else found
        chosen = islice(ordered, query.offset_value, query.limit_value and query.offset_value + query.limit_value)
        for window in windows((keys.id for keys in chosen), _WINDOW):
            rows = {row.id: row for row in snapshot.connection.execute(self.select(window))}
            for id in window:
                document = _read(rows[id], on_damage)
                if document is not None:
                    yield document

    def _keys(
        self,
        snapshot: Snapshot,
        query: Query,
        pair: Pair,
        slots: Mapping[str, Slot],
        on_damage: ErrorSink | None,
    ) -> Iterator[Keys]:
        """The records that match, by id, each with the values it is sorted by."""
        matching = compile_expression(query.expression)
        keys = self._select_keys(pair, slots).order_by(self._by_id(query))
        for rows in windows(snapshot.stream(keys), _WINDOW):
            doubtful = snapshot.connection.execute(self.select(row.id for row in rows if not row.sure))
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
        return sa.select(id, sure.label("sure"), *keys).where(pair.may)

    def _by_id(self, query: Query) -> sa.ColumnElement[Any]:
        descending = bool(query.sort_specs) and query.sort_specs[0] == SortSpec("id", "desc")
        return self._table.c.id.desc() if descending else self._table.c.id

    def _sort_values(self, row: sa.Row[Any]) -> Iterator[Any]:
        keys: Sequence[Any] = row[2:]
        for fragment, tag in zip(keys[::2], keys[1::2], strict=True):
            value = MISSING if fragment is None else self._dialect.read_fragment(fragment)
            if tag is not None and not isinstance(value, (list, dict)):  # which have no order, whatever they were
                holder = {"value": value}
                restore(holder, {"/value": tag}, row.id)
                value = holder["value"]
            yield value


def _read(row: sa.Row[Any], on_damage: ErrorSink | None) -> Document | None:
    try:
        return from_row(row)
    except DataFormatError as error:
        if on_damage is None:
            raise
        on_damage(error)
        return None
