"""One query over one table: SQL finds what it can tell, `matching` decides about the rest.

in the order of ids    candidates are streamed; without a condition, limit and offset are SQL's too
in another order,      only ids and sort keys are read, then the documents that are asked for; the order of mixed
or from an offset on   types is `matching`'s own, so the sorting is done here
counted                SQL counts what certainly matches, only what it cannot tell is read
"""

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
from dataknobs_data.sql.conditions import conditions
from dataknobs_data.sql.dialect import Test
from dataknobs_data.sql.reading import WINDOW, Reader, Snapshot
from dataknobs_data.sql.slots import slot_of
from dataknobs_data.sql.tables import from_row
from dataknobs_data.streaming import windows

_COUNT_MAX = 2**62
"""More than any table holds, and what every database and `islice` still take."""

_SORT_WINDOW = 10_000
"""Records that are sorted at once when only the first are asked for."""


@dataclass(frozen=True, slots=True)
class Keys:
    """A record reduced to its id and what it is sorted by."""

    id: str
    values: Mapping[str, Any]

    def value(self, name: str) -> Any:
        """See `matching.Row`."""
        return self.id if name == "id" else self.values[name]


class Scan:
    """A query within a snapshot. Damaged rows go to `on_damage`, or raise DataFormatError where it is None."""

    def __init__(self, reader: Reader, snapshot: Snapshot, query: Query, on_damage: ErrorSink | None = None) -> None:
        self._reader = reader
        self._table = reader.table
        self._dialect = reader.dialect
        self._snapshot = snapshot
        self._query = query
        self._on_damage = on_damage
        self._pair = conditions(query.expression, reader.table, reader.dialect)
        self._matching = compile_expression(query.expression)
        self._offset = min(query.offset_value, _COUNT_MAX)
        self._limit = None if query.limit_value is None else min(query.limit_value, _COUNT_MAX)
        specs = query.sort_specs
        self._descending = bool(specs) and specs[0].field == "id" and specs[0].descending
        sorted_by = [] if specs and specs[0].field == "id" else [spec.field for spec in specs if spec.field != "id"]
        self._slots = {name: slot_of(reader.table, name, reader.dialect) for name in sorted_by}

    def documents(self) -> Iterator[Document]:
        """What the query asks for, in its order."""
        filtered = self._query.expression is not None
        if self._limit == 0:
            return iter(())
        if None in self._slots.values():
            return run_query(self._candidates(self._pair.may), self._query)
        if self._slots or (filtered and self._offset):
            return self._by_keys()
        if filtered:
            return cut(filter(self._matching, self._candidates(self._pair.may)), 0, self._limit)
        return self._candidates(self._pair.may, self._limit, self._offset)

    def count(self) -> int:
        """How many documents that are."""
        beyond = max(self._matches() - self._offset, 0)
        return beyond if self._limit is None else min(beyond, self._limit)

    def _matches(self) -> int:
        count, connection = sa.func.count(), self._snapshot.connection
        if self._query.expression is None:
            return connection.scalars(sa.select(count).select_from(self._table)).one()
        counts = sa.select(count, count.filter(self._pair.must)).select_from(self._table).where(self._pair.may)
        possible, certain = connection.execute(counts).one()
        if possible == certain:
            return int(certain)
        doubtful = self._candidates(sa.and_(self._pair.may, sa.not_(self._pair.must)))
        return int(certain) + sum(map(self._matching, doubtful))

    # ------------------------------------------------------------------ whole documents, by id
    def _candidates(self, where: Test, limit: int | None = None, offset: int = 0) -> Iterator[Document]:
        statement = sa.select(*self._table.c).where(where).order_by(self._by_id())
        for row in self._snapshot.stream(statement.limit(limit).offset(offset or None)):
            document = self._read(row)
            if document is not None:
                yield document

    def _by_id(self) -> sa.ColumnElement[Any]:
        return self._table.c.id.desc() if self._descending else self._table.c.id

    def _read(self, row: sa.Row[Any]) -> Document | None:
        try:
            return from_row(row)
        except DataFormatError as error:
            self._damaged(error)
            return None

    def _damaged(self, error: DataFormatError) -> None:
        if self._on_damage is None:
            raise error
        self._on_damage(error)

    # ------------------------------------------------------------------ ids and sort keys first
    def _by_keys(self) -> Iterator[Document]:
        end = None if self._limit is None else self._offset + self._limit
        keys = self._sorted(self._keys(), end) if self._slots else self._keys()
        for window in windows((one.id for one in islice(keys, self._offset, end)), WINDOW):
            documents = self._documents(window)
            yield from (document for id in window if (document := documents[id]) is not None)

    def _sorted(self, keys: Iterable[Keys], end: int | None) -> Iterator[Keys]:
        """The first `end` in order. Of more no more than a window is kept."""
        if end is None:
            return iter(order(keys, self._query.sort_specs))
        first: list[Keys] = []
        for window in windows(keys, max(end, _SORT_WINDOW)):
            first = order([*first, *window], self._query.sort_specs)[:end]
        return iter(first)

    def _keys(self) -> Iterator[Keys]:
        """The records that match, by id."""
        for rows in windows(self._snapshot.stream(self._select_keys()), WINDOW):
            doubtful = self._documents([row.id for row in rows if not row.sure])
            for row in rows:
                if row.sure:
                    keys = self._keys_of(row)
                    if keys is not None:
                        yield keys
                elif (document := doubtful[row.id]) is not None and self._matching(document):
                    yield Keys(row.id, {name: document.value(name) for name in self._slots})

    def _select_keys(self) -> sa.Select[Any]:
        sound = self._dialect.sound(self._table)
        sure = sa.case((sound, self._pair.must), else_=sa.false()).label("sure")
        slots = [slot for slot in self._slots.values() if slot is not None]
        parts = [sa.case((sound, part)) for slot in slots for part in (slot.fragment, slot.tag)]
        return sa.select(self._table.c.id, sure, *parts).where(self._pair.may).order_by(self._by_id())

    def _documents(self, ids: list[str]) -> dict[str, Document | None]:
        return {row.id: self._read(row) for row in self._reader.rows(self._snapshot.connection, ids)}

    def _keys_of(self, row: sa.Row[Any]) -> Keys | None:
        parts: Sequence[Any] = row[2:]
        try:
            values = [self._sort_value(row.id, *part) for part in zip(parts[::2], parts[1::2], strict=True)]
        except DataFormatError as error:
            self._damaged(error)
            return None
        return Keys(row.id, dict(zip(self._slots, values, strict=True)))

    def _sort_value(self, id: str, fragment: str | None, tag: str | None) -> Any:
        if fragment is None:
            return MISSING
        value = self._dialect.read_fragment(fragment)
        if tag is None or isinstance(value, (list, dict)):  # which have no order, whatever they were
            return value
        holder = {"value": value}
        restore(holder, {"/value": tag}, id)
        return holder["value"]
