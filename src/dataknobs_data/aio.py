"""The same databases for asyncio.

One generic class: each call runs the blocking database's method in one of a bounded number of threads. A record store
waits for its server, not for Python, so threads lose nothing to a second, hand-written asynchronous core; the
measurement is in docs/decisions. A task that is cancelled stops waiting; the request it sent may still be carried out.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Generator,
    Iterable,
    Iterator,
    Mapping,
)
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from functools import partial, wraps
from types import TracebackType
from typing import Any, ClassVar, ParamSpec, Self, TypeVar, get_type_hints

from dataknobs_data.database import OnError, SearchResults, SyncDatabase
from dataknobs_data.forks import in_child
from dataknobs_data.query import Query
from dataknobs_data.record_likes import RecordLike
from dataknobs_data.records import Record
from dataknobs_data.registry import load_backend
from dataknobs_data.runtime import Runtime
from dataknobs_data.streaming import StreamConfig, StreamResult, windows

P = ParamSpec("P")
T = TypeVar("T")


class AsyncDatabase:
    """A record database for asyncio: the methods of SyncDatabase, awaited, with the same answers and errors.

    Blocking iterables handed to it are consumed in a worker thread. May be shared by tasks of one event loop.
    """

    sync_class: ClassVar[type[SyncDatabase]] = SyncDatabase

    def __init__(self, config: Mapping[str, Any] | None = None, *, runtime: Runtime | None = None) -> None:
        self._set_up(self.sync_class(config, runtime=runtime))

    def _set_up(self, sync: SyncDatabase) -> None:
        """Over a database that does the work."""
        self.sync = sync
        self._threads: ThreadPoolExecutor | None = None
        in_child(self._forked)

    def _forked(self) -> None:
        """This process is a child, in which there are no threads yet."""
        self._threads = None

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """A database with these settings. Raises ConfigurationError for unknown, missing or impossible ones."""
        return cls(config)

    @staticmethod
    def from_backend(name: str, config: Mapping[str, Any] | None = None) -> AsyncDatabase:
        """A database of the backend of that name. Raises BackendNotFoundError listing what there is."""
        made: AsyncDatabase = load_backend(name, asynchronous=True).from_config(config or {})
        return made

    async def _run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        if self._threads is None:
            self._threads = ThreadPoolExecutor(self.sync.concurrency, thread_name_prefix="dataknobs-async")
        return await asyncio.get_running_loop().run_in_executor(self._threads, partial(call, *args, **kwargs))

    async def connect(self) -> Self:
        """Connects now instead of on first use, and returns this database."""
        await self._run(self.sync.connect)
        return self

    async def close(self) -> None:
        """Lets go of connections, threads and files. The database connects again when it is used again."""
        await self._run(self.sync.close)
        if self._threads:
            self._threads.shutdown(wait=False)
            self._threads = None

    async def __aenter__(self) -> Self:
        return await self.connect()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.sync!r}>"

    # ------------------------------------------------------------------ one record
    async def create(self, record: RecordLike) -> str:
        """See SyncDatabase.create."""
        return await self._run(self.sync.create, record)

    async def read(self, id: str, *, version_id: str | None = None) -> Record | None:
        """See SyncDatabase.read."""
        return await self._run(self.sync.read, id, version_id=version_id)

    async def exists(self, id: str) -> bool:
        """See SyncDatabase.exists."""
        return await self._run(self.sync.exists, id)

    async def update(self, id: str, record: Record, *, expected_version: str | None = None) -> bool:
        """See SyncDatabase.update."""
        return await self._run(self.sync.update, id, record, expected_version=expected_version)

    async def upsert(
        self, id: str | RecordLike, record: RecordLike | None = None, *, expected_version: str | None = None
    ) -> str:
        """See SyncDatabase.upsert."""
        return await self._run(self.sync.upsert, id, record, expected_version=expected_version)

    async def delete(self, id: str, *, expected_version: str | None = None) -> bool:
        """See SyncDatabase.delete."""
        return await self._run(self.sync.delete, id, expected_version=expected_version)

    async def get_version(self, id: str) -> str | None:
        """See SyncDatabase.get_version."""
        return await self._run(self.sync.get_version, id)

    # ------------------------------------------------------------------ many records
    async def search(self, query: Query | None = None, *, on_error: OnError = "raise") -> SearchResults:
        """See SyncDatabase.search."""
        return await self._run(self.sync.search, query, on_error=on_error)

    async def all(self) -> SearchResults:
        """See SyncDatabase.all."""
        return await self._run(self.sync.all)

    async def count(self, query: Query | None = None) -> int:
        """See SyncDatabase.count."""
        return await self._run(self.sync.count, query)

    async def list_ids(self, prefix: str = "") -> list[str]:
        """See SyncDatabase.list_ids."""
        return await self._run(self.sync.list_ids, prefix)

    async def clear(self) -> int:
        """See SyncDatabase.clear."""
        return await self._run(self.sync.clear)

    # ------------------------------------------------------------------ batches
    async def batch_create(self, records: Iterable[RecordLike]) -> list[str]:
        """See SyncDatabase.batch_create."""
        return await self._run(self.sync.batch_create, records)

    async def batch_read(self, ids: Iterable[str]) -> list[Record | None]:
        """See SyncDatabase.batch_read."""
        return await self._run(self.sync.batch_read, ids)

    async def batch_update(self, updates: Iterable[tuple[str, Record]]) -> list[bool]:
        """See SyncDatabase.batch_update."""
        return await self._run(self.sync.batch_update, updates)

    async def batch_upsert(self, records: Iterable[RecordLike | tuple[str, RecordLike]]) -> list[str]:
        """See SyncDatabase.batch_upsert."""
        return await self._run(self.sync.batch_upsert, records)

    async def batch_delete(self, ids: Iterable[str]) -> list[bool]:
        """See SyncDatabase.batch_delete."""
        return await self._run(self.sync.batch_delete, ids)

    create_batch, read_batch, update_batch = batch_create, batch_read, batch_update
    upsert_batch, delete_batch = batch_upsert, batch_delete

    # ------------------------------------------------------------------ streams
    async def stream_read(
        self, query: Query | None = None, config: StreamConfig | None = None
    ) -> AsyncGenerator[Record]:
        """See SyncDatabase.stream_read."""
        async with aclosing(self._streamed(lambda: self.sync.stream_windows(query, config))) as found:
            async for record in found:
                yield record

    async def _streamed(self, begin: Callable[[], Generator[list[Record]]]) -> AsyncGenerator[Record]:
        pull = _Pull(await self._run(begin))
        try:
            async for window in self._pulled(pull):
                for record in window:
                    yield record
        finally:
            await self._run(pull.close)

    async def stream_write(
        self, records: Iterable[RecordLike] | AsyncIterable[RecordLike], config: StreamConfig | None = None
    ) -> StreamResult:
        """See SyncDatabase.stream_write. Takes an asynchronous iterable too."""
        writer = await self._run(self.sync.stream_writer, config)
        size = writer.config.batch_size
        try:
            if isinstance(records, AsyncIterable):
                source = _async_windows(records, size)
            else:
                source = self._pulled(windows(records, size))
            async for window in source:
                if not await self._run(writer.write, window):
                    break
            return await self._run(writer.finish)
        except BaseException:
            await self._run(writer.abandon)
            raise

    async def _pulled(self, items: Iterator[T]) -> AsyncIterator[T]:
        while (item := await self._run(next, items, None)) is not None:
            yield item


class AsyncSection(property):
    """A property of a SyncDatabase that gives a section (such as S3Database.lifecycle), for an AsyncDatabase: the
    methods of the section are awaited.
    """

    def __init__(self, section: Any) -> None:  # mypy takes a property for the function in it
        super().__init__(lambda database: _Awaited(database, section))
        self.__doc__ = section.__doc__  # property's own `doc` yields to that of this class


class _Awaited:
    """The methods of one section of one database, awaited. The section is asked for when a method runs, in its thread:
    that may connect the database.
    """

    def __init__(self, database: AsyncDatabase, section: property) -> None:
        self._database = database
        self._section = section
        self._class: type = get_type_hints(section.fget)["return"]

    def __repr__(self) -> str:
        return f"<{self._class.__name__} of {self._database!r}, awaited>"

    def __dir__(self) -> list[str]:
        return [name for name in dir(self._class) if self._is_method(name)]

    def _is_method(self, name: str) -> bool:
        return not name.startswith("_") and callable(getattr(self._class, name, None))

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        if not self._is_method(name):
            raise AttributeError(f"{self._class.__name__!r} has no method {name!r}", name=name, obj=self)

        def call(*args: Any, **kwargs: Any) -> Any:
            assert self._section.fget is not None
            return getattr(self._section.fget(self._database.sync), name)(*args, **kwargs)

        @wraps(getattr(self._class, name).__get__(self))  # bound, so that its signature has no `self`
        async def awaited(*args: Any, **kwargs: Any) -> Any:
            return await self._database._run(call, *args, **kwargs)

        return awaited


class _Pull(Iterator[T]):
    """A generator that may be closed while another thread is in it: closing waits until it has yielded."""

    def __init__(self, source: Generator[T]) -> None:
        self._source = source
        self._turn = threading.Lock()

    def __next__(self) -> T:
        with self._turn:
            return next(self._source)

    def close(self) -> None:
        """Closes the generator."""
        with self._turn:
            self._source.close()


async def _async_windows(records: AsyncIterable[T], size: int) -> AsyncIterator[list[T]]:
    window = []
    async for record in records:
        window.append(record)
        if len(window) == size:
            yield window
            window = []
    if window:
        yield window
