"""A statement from its text to its rows: parsed, its relations opened, its names bound, and carried out as its rows are read."""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from dataknobs_data.exceptions import DatabaseOperationError, DataknobsDataError, QueryError, SnapshotExpiredError
from dataknobs_data.runtime import Runtime
from dataknobs_data.select.ahead import Sandboxes
from dataknobs_data.select.dates import put_in_terms
from dataknobs_data.select.dialect import for_duckdb
from dataknobs_data.select.failures import out_of_time, translated
from dataknobs_data.select.parameters import checked
from dataknobs_data.select.parsing import not_too_deep, parsed, unparsed
from dataknobs_data.select.relation import Binding, Opener, Relation
from dataknobs_data.select.results import BATCH_ROWS, Cursor, SqlResult
from dataknobs_data.select.rewriting import bound
from dataknobs_data.select.sandbox import Limits, Sandbox
from dataknobs_data.select.surveying import surveyed
from dataknobs_data.select.waiting import interruptible
from dataknobs_data.snapshots import again

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection
    from pyarrow import RecordBatchReader

Parameters = Sequence[Any] | Mapping[str, Any] | None


class Skipped(Protocol):
    """What a statement left out because it was told to. `errors` grows while it is read."""

    @property
    def errors(self) -> Sequence[DataknobsDataError]: ...

    def forget(self) -> None:
        """It begins again."""

    def tell(self, doing: str) -> None:
        """Says so in the log."""


class Statement:
    """One statement, to be run once.

    openers  the relations it may name; of those that it does not name none is opened
    skipped  takes the errors of what they leave out
    sandboxes  where it takes its own from
    """

    def __init__(
        self,
        sql: str,
        parameters: Parameters,
        openers: Mapping[str, Opener],
        limits: Limits,
        runtime: Runtime,
        skipped: Skipped | None = None,
        sandboxes: Sandboxes | None = None,
    ) -> None:
        self._skipped = skipped
        self._sandboxes = sandboxes or Sandboxes()
        if not (limits.seconds > 0 and math.isfinite(limits.seconds)):
            raise QueryError(f"SQL: timeout is {limits.seconds}, but must be a number of seconds above 0")
        self._sql = for_duckdb(sql)
        self._parameters = parameters
        self._openers = openers
        self._known = _known(openers)
        self._limits = limits
        self._monotonic = runtime.monotonic
        self._end = runtime.monotonic() + limits.seconds
        self._cancelled = threading.Event()
        self._sandbox: Sandbox | None = None

    def run(self) -> SqlResult:
        """Carries it out until its first rows are there. Raises QueryError for a statement that makes no sense, and what
        opening the relations raises. Begins again where packs were vacuumed meanwhile.
        """
        return again(self._begin)

    def _begin(self) -> SqlResult:
        held = ExitStack()
        if self._skipped:
            self._skipped.forget()  # what threads of the last time have met while they were ended
            held.callback(self._skipped.tell, "SQL")
        try:
            return SqlResult(self._run(held), self._skipped.errors if self._skipped else ())
        except BaseException as error:
            if self._skipped and isinstance(error, SnapshotExpiredError):
                self._skipped.forget()
            held.close()
            raise

    def cancel(self) -> None:
        """Ends it, soon, in whatever thread it is run; that raises DatabaseOperationError."""
        self._cancelled.set()
        sandbox = self._sandbox
        if sandbox is not None:
            sandbox.interrupt()

    def _run(self, held: ExitStack) -> Cursor:
        self._check()
        sandbox = self._sandbox = self._sandboxes.take(self._limits)
        held.callback(sandbox.close)
        self._sandboxes.prepare(self._limits)
        with translated(self._limits.memory_bytes), not_too_deep():
            statement = parsed(sandbox.connection, self._sql)
            changed = put_in_terms(statement)
            survey = surveyed(statement, self._known)
            values = checked(self._parameters, survey.parameters)
            sandbox.bound(survey.functions)
        relations = {name: self._opened(name, held) for name in sorted(survey.tables)}
        names = bound(survey, relations)
        sql = self._sql
        if names.rewrite() or changed:
            with translated(self._limits.memory_bytes), not_too_deep():
                sql = unparsed(sandbox.connection, statement)
        return self._carried_out(sql, values, relations, names.bindings, held)

    def _opened(self, name: str, held: ExitStack) -> Relation:
        self._check()
        relation = self._openers[name]()
        held.callback(relation.close)
        return relation

    def _carried_out(
        self,
        sql: str,
        values: Any,
        relations: Mapping[str, Relation],
        bindings: Mapping[str, Binding],
        held: ExitStack,
    ) -> Cursor:
        from dataknobs_data.select.lazy import LazyDataset, Scans

        assert self._sandbox is not None
        sandbox, connection = self._sandbox, self._sandbox.connection
        scans = Scans(self._check)
        held.callback(scans.close)
        held.callback(sandbox.close)  # before the scans are closed, and those before the relations
        for name, relation in relations.items():
            scan = scans.watched(partial(relation.scan, bindings[name]))
            connection.register(name, LazyDataset(bindings[name].schema, scan))

        def names() -> list[str]:
            return sorted({name for relation in relations.values() for name in relation.names})

        self._check()
        sandbox.lock(self._end - self._monotonic())
        try:
            with translated(self._limits.memory_bytes, names):
                types, reader = interruptible(lambda: _begun(connection, sql, values), sandbox.interrupt)
        except DataknobsDataError:
            if scans.error is not None:
                raise scans.error from None
            self._check()
            raise
        self._check()
        return Cursor(sandbox, reader, types, scans, held, self._check, self._limits.memory_bytes, names)

    def _check(self) -> None:
        """Raises where the statement is over."""
        if self._cancelled.is_set():
            raise DatabaseOperationError("SQL: it was canceled")
        if self._monotonic() >= self._end:
            raise out_of_time()


def _begun(connection: DuckDBPyConnection, sql: str, values: Any) -> tuple[list[str], RecordBatchReader]:
    """DuckDB's types of the columns, and the rows."""
    found = connection.sql(sql, params=values)
    return [str(kind) for kind in found.types], found.to_arrow_reader(BATCH_ROWS)


def _known(openers: Mapping[str, Opener]) -> dict[str, str]:
    """The relations by their names in lower case. Raises QueryError for names that SQL cannot tell apart, or not write."""
    known: dict[str, str] = {}
    for name in openers:
        if not name:
            raise QueryError("SQL: a database cannot be named '' in a statement")
        other = known.setdefault(name.lower(), name)
        if other != name:
            raise QueryError(
                f"SQL: the databases {other!r} and {name!r} differ only in case, which SQL does not tell apart"
            )
    return known
