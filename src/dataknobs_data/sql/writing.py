"""Writing records: every method is part of one transaction and says what became of each change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from dataknobs_data.documents import Change, Deletion, Document, Verb, duplicate, resolve
from dataknobs_data.engine import Outcome, attempt_delete_of
from dataknobs_data.exceptions import DataknobsDataError, RecordValidationError, TransactionError
from dataknobs_data.runtime import Runtime
from dataknobs_data.sql.reading import WINDOW, Reader
from dataknobs_data.sql.tables import from_row, to_row
from dataknobs_data.streaming import windows

_ROUNDS_MAX = 10
"""How often an upsert may find its record gone or come since it looked."""


@dataclass(frozen=True, slots=True)
class _Write:
    """A document on its way into the table."""

    change: Change
    document: Document
    row: dict[str, str | None]
    is_new: bool


class Writer:
    """What is changed in one table. Rows are locked in the order of their ids, so that writers do not wait in circles."""

    def __init__(self, reader: Reader, runtime: Runtime) -> None:
        self._reader = reader
        self._table = reader.table
        self._dialect = reader.dialect
        self._runtime = runtime

    def apply(self, connection: sa.Connection, changes: Sequence[Change]) -> list[Outcome]:
        """Applies changes of distinct ids, and says for each what became of it."""
        outcomes: dict[str, Outcome] = {}
        pending = sorted(changes, key=lambda change: change.id)
        for _ in range(_ROUNDS_MAX):
            pending = self._round(connection, pending, outcomes)
            if not pending:
                return [outcomes[change.id] for change in changes]
        raise TransactionError(
            f"record {pending[0].id!r} came and went {_ROUNDS_MAX} times while it was to be written; try again",
            id=pending[0].id,
        )

    def _round(
        self, connection: sa.Connection, changes: Sequence[Change], outcomes: dict[str, Outcome]
    ) -> list[Change]:
        """Applies what can be applied; the changes that others have overtaken are left.

        A create is sent without a look: the primary key decides.
        """
        looked_for = [change.id for change in changes if change.verb is not Verb.CREATE]
        current = {row.id: row for row in self._reader.rows(connection, looked_for, lock=True)}
        writes: list[_Write] = []
        for change in changes:
            prepared = self._prepared(change, current.get(change.id))
            if isinstance(prepared, _Write):
                writes.append(prepared)
            else:
                outcomes[change.id] = prepared
        taken = self._insert(connection, [write.row for write in writes if write.is_new])
        self._update(connection, [write.row for write in writes if not write.is_new])
        overtaken = [write.change for write in writes if write.change.id in taken]
        outcomes.update((write.change.id, write.document) for write in writes)
        outcomes.update((change.id, duplicate(change.id)) for change in overtaken)
        return [change for change in overtaken if change.verb is not Verb.CREATE]

    def _prepared(self, change: Change, row: sa.Row[Any] | None) -> _Write | Outcome:
        try:
            document = resolve(change, None if row is None else from_row(row), self._runtime)
            if document is None:
                return None
            problem = self._dialect.id_problem(change.id)
            if problem:
                raise RecordValidationError(f"record id {change.id!r} cannot be stored: {problem}", id=change.id)
            return _Write(change, document, to_row(document), is_new=row is None)
        except DataknobsDataError as error:
            return error

    def _insert(self, connection: sa.Connection, rows: Sequence[dict[str, Any]]) -> set[str]:
        """Inserts rows; the ids that others have taken. A row is ours if the revision that stands there is."""
        if not rows:
            return set()
        statement, parameters = self._dialect.insertion(self._table, rows)
        result = connection.execute(statement, parameters, execution_options={"preserve_rowcount": True})
        if result.rowcount == len(rows):
            return set()
        standing = self._revisions(connection, [row["id"] for row in rows])
        return {row["id"] for row in rows if standing.get(row["id"]) != row["revision"]}

    def _update(self, connection: sa.Connection, rows: Sequence[dict[str, Any]]) -> None:
        if rows:
            statement = sa.update(self._table).where(self._table.c.id == sa.bindparam("key"))
            connection.execute(statement, [{"key": row["id"], **row} for row in rows])

    def delete(self, connection: sa.Connection, deletions: Sequence[Deletion]) -> list[bool | DataknobsDataError]:
        """Deletes records of distinct ids; damaged ones too, since nothing of them is read but the revision."""
        standing = self._revisions(connection, sorted(deletion.id for deletion in deletions), lock=True)
        outcomes = [attempt_delete_of(deletion, standing.get(deletion.id)) for deletion in deletions]
        gone = (deletion.id for deletion, outcome in zip(deletions, outcomes, strict=True) if outcome is True)
        for window in windows(gone, WINDOW):
            connection.execute(sa.delete(self._table).where(self._dialect.one_of(self._table.c.id, window)))
        return outcomes

    def _revisions(self, connection: sa.Connection, ids: Sequence[str], lock: bool = False) -> dict[str, str]:
        columns = self._table.c
        return {
            row.id: row.revision for row in self._reader.rows(connection, ids, columns.id, columns.revision, lock=lock)
        }

    def clear(self, connection: sa.Connection) -> int:
        """Deletes every record."""
        return connection.execute(sa.delete(self._table)).rowcount
