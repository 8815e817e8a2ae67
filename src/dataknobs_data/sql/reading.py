"""Reading records by id, and what reading by query stands on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any

import sqlalchemy as sa

from dataknobs_data.documents import Document
from dataknobs_data.sql.bounds import prefix_end
from dataknobs_data.sql.dialect import Dialect
from dataknobs_data.sql.tables import from_row
from dataknobs_data.streaming import windows

WINDOW = 1_000
"""Rows that are held at once."""


class Snapshot:
    """The records as they are at one moment. `close` it before its connection goes back to the pool."""

    def __init__(self, connection: sa.Connection) -> None:
        self.connection = connection
        self._cursors = ExitStack()

    def stream(self, statement: sa.Select[Any]) -> Iterator[sa.Row[Any]]:
        """The rows of a statement, of which the server keeps all but a window."""
        options = {"stream_results": True, "yield_per": WINDOW}
        return iter(self._cursors.enter_context(self.connection.execute(statement, execution_options=options)))

    def close(self) -> None:
        """Ends what was streamed, also what was not read to its end."""
        self._cursors.close()


class Reader:
    """What is read from one table by id."""

    def __init__(self, table: sa.Table, dialect: Dialect) -> None:
        self.table = table
        self.dialect = dialect

    def rows(
        self, connection: sa.Connection, ids: Iterable[str], *columns: sa.ColumnElement[Any], lock: bool = False
    ) -> Iterator[sa.Row[Any]]:
        """The rows of `ids`, all columns unless some are named. `lock` keeps others from changing them."""
        wanted = columns or tuple(self.table.c)
        for window in windows(filter(self.dialect.holds, ids), WINDOW):
            found = sa.select(*wanted).where(self.dialect.one_of(self.table.c.id, window)).order_by(self.table.c.id)
            yield from connection.execute(found.with_for_update() if lock else found).all()

    def get(self, connection: sa.Connection, ids: Sequence[str]) -> list[Document | None]:
        """The documents of `ids`, in their order."""
        found = {row.id: from_row(row) for row in self.rows(connection, ids)}
        return [found.get(id) for id in ids]

    def list_ids(self, snapshot: Snapshot, prefix: str) -> Iterator[str]:
        """Ids that start with `prefix`, by code point."""
        id = self.table.c.id
        if not self.dialect.holds(prefix):
            return
        end = prefix_end(prefix)
        inside = id >= prefix if end is None else sa.and_(id >= prefix, id < end)
        for row in snapshot.stream(sa.select(id).where(inside).order_by(id)):
            yield row.id
