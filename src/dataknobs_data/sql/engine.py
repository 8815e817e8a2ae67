"""The engine of every relational backend: transactions around `reading` and `writing`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import TypeVar

import sqlalchemy as sa

from dataknobs_data.documents import Change, Deletion, Document
from dataknobs_data.engine import Engine, ErrorSink, Outcome
from dataknobs_data.exceptions import DatabaseOperationError, DataknobsDataError, TransactionError
from dataknobs_data.query import Query
from dataknobs_data.runtime import Runtime
from dataknobs_data.sql.reading import Reader, Snapshot
from dataknobs_data.sql.scan import Scan
from dataknobs_data.sql.site import Site
from dataknobs_data.sql.tables import check_table, create_table, record_table
from dataknobs_data.sql.writing import Writer

T = TypeVar("T")

_ATTEMPTS_MAX = 5
_BACKOFF_SECONDS = 0.02


class RelationalEngine(Engine):
    """Records in one table of a relational database."""

    def __init__(self, site: Site, runtime: Runtime) -> None:
        self._site = site
        self._dialect = site.dialect
        self._runtime = runtime
        self._table = record_table(site.table, site.schema, site.dialect)
        self._reader = Reader(self._table, site.dialect)
        self._writer = Writer(self._reader, runtime)
        self._pool: sa.Engine | None = None
        self.concurrency = site.pool_size

    def __repr__(self) -> str:
        return f"{self._site.place}, table {self._table.fullname!r}"

    # ------------------------------------------------------------------ connections
    def open(self) -> None:
        self._pool = self._site.make_pool()
        try:
            with self._looking() as connection:
                exists = check_table(connection, self._table)
            if not exists:
                self._transact(lambda connection: create_table(connection, self._table, self._dialect))
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        pool, self._pool = self._pool, None
        if pool:
            pool.dispose()

    def forked(self) -> None:
        pool, self._pool = self._pool, None
        if pool:
            pool.dispose(close=False)  # https://docs.sqlalchemy.org/en/21/core/pooling.html#pooling-multiprocessing

    def _connect(self, **options: object) -> sa.Connection:
        if self._pool is None:
            raise DatabaseOperationError(f"{self._site.place}: the database was closed while it was used")
        return self._pool.connect().execution_options(**options)

    @contextmanager
    def _looking(self) -> Iterator[sa.Connection]:
        """A connection for one statement."""
        with self._site.translating(), self._connect(**self._dialect.lookup_options) as connection:
            yield connection

    @contextmanager
    def _snapshot(self) -> Iterator[Snapshot]:
        """A connection whose statements all see the same records."""
        with (
            self._site.translating(),
            self._connect(**self._dialect.snapshot_options) as connection,
            closing(Snapshot(connection)) as snapshot,
        ):
            yield snapshot

    def _transact(self, work: Callable[[sa.Connection], T]) -> T:
        """What `work` returns, its changes committed; tried again when the transaction lost against another."""
        for attempt in range(_ATTEMPTS_MAX):
            try:
                return self._attempt(work)
            except TransactionError:
                if attempt + 1 == _ATTEMPTS_MAX:
                    raise
            self._runtime.sleep(_BACKOFF_SECONDS * 2**attempt * self._runtime.random())
        raise AssertionError("unreachable")

    def _attempt(self, work: Callable[[sa.Connection], T]) -> T:
        with (
            self._site.translating(),
            self._connect(**self._dialect.change_options) as connection,
            connection.begin() as transaction,
        ):
            result = work(connection)
            with self._site.committing():
                transaction.commit()
            return result

    # ------------------------------------------------------------------ reading
    def get_many(self, ids: Sequence[str]) -> list[Document | None]:
        with self._looking() as connection:
            return self._reader.get(connection, ids)

    def scan(self, query: Query, on_damage: ErrorSink | None = None) -> Iterator[Document]:
        return self._streamed(lambda snapshot: Scan(self._reader, snapshot, query, on_damage).documents())

    def list_ids(self, prefix: str) -> Iterator[str]:
        return self._streamed(lambda snapshot: self._reader.list_ids(snapshot, prefix))

    def _streamed(self, read: Callable[[Snapshot], Iterator[T]]) -> Iterator[T]:
        if self._site.streams:
            return self._stream(read)
        return iter(list(self._stream(read)))

    def _stream(self, read: Callable[[Snapshot], Iterator[T]]) -> Iterator[T]:
        with self._snapshot() as snapshot:
            yield from read(snapshot)

    def count(self, query: Query) -> int:
        with self._snapshot() as snapshot:
            return Scan(self._reader, snapshot, query).count()

    def exists(self, id: str) -> bool:
        return self.get_version(id) is not None

    def get_version(self, id: str) -> str | None:
        with self._looking() as connection:
            return next((row.revision for row in self._reader.rows(connection, [id], self._table.c.revision)), None)

    # ------------------------------------------------------------------ writing
    def apply_many(self, changes: Sequence[Change]) -> list[Outcome]:
        return self._transact(lambda connection: self._writer.apply(connection, changes))

    def delete_many(self, deletions: Sequence[Deletion]) -> list[bool | DataknobsDataError]:
        return self._transact(lambda connection: self._writer.delete(connection, deletions))

    def clear(self) -> int:
        return self._transact(self._writer.clear)
