"""Reading past archives: searches, counts and streams that may leave out what has to be restored first, and say so."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Generator
from contextlib import aclosing, closing
from typing import Literal

from dataknobs_data.aio import AsyncDatabase
from dataknobs_data.database import OnError, SearchResults, SyncDatabase, as_query
from dataknobs_data.engine import ErrorSink
from dataknobs_data.exceptions import ConfigurationError, DataknobsDataError, RecordArchivedError
from dataknobs_data.query import Query
from dataknobs_data.records import Record
from dataknobs_data.s3.costs.estimate import counted
from dataknobs_data.streaming import StreamConfig

Archived = Literal["raise", "skip"]
"""What becomes of a read that meets archived packs or records: RecordArchivedError, or it goes on without them."""

logger = logging.getLogger("dataknobs_data.s3")


def checked(archived: str) -> bool:
    """Whether to skip what is archived. Raises ConfigurationError."""
    if archived not in ("raise", "skip"):
        raise ConfigurationError(f"archived must be 'raise' or 'skip', not {archived!r}")
    return archived == "skip"


class Skipped:
    """Takes the errors of one read. `errors`: of what is archived; those of damage are raised, or go to `on_damage`."""

    def __init__(self, on_damage: ErrorSink | None = None) -> None:
        self.errors: list[RecordArchivedError] = []
        self._on_damage = on_damage

    def __call__(self, error: DataknobsDataError) -> None:
        if isinstance(error, RecordArchivedError):
            self.errors.append(error)
        elif self._on_damage is None:
            raise error
        else:
            self._on_damage(error)

    def tell(self, doing: str) -> None:
        """Says in the log what was left out."""
        packs = [error for error in self.errors if "packs" in error.context]
        for error in packs:
            logger.warning("%s went on without archived packs: %s", doing, error)
        if records := len(self.errors) - len(packs):
            logger.warning("%s went on without %s in archives", doing, counted(records, "record"))


class ReadsPastArchives(SyncDatabase):
    """A database some of whose records may have to be restored before they can be read."""

    def search(
        self, query: Query | None = None, *, on_error: OnError = "raise", archived: Archived = "raise"
    ) -> SearchResults:
        """See SyncDatabase.search.

        archived  "raise": RecordArchivedError names the packs that may hold such records and lie in an archive, and says what
                  restoring them costs and takes (`restore(error)` does it). "skip": they are left out; that error stands in
                  the result's `errors`, and in the log
        """
        if not checked(archived):
            return super().search(query, on_error=on_error)
        collected: list[DataknobsDataError] = []
        skipped = Skipped(collected.append if on_error == "collect" else None)
        found = self._searched(query, on_error, skipped)
        skipped.tell("search")
        return SearchResults(found, [*collected, *skipped.errors])

    def count(self, query: Query | None = None, *, archived: Archived = "raise") -> int:
        """See SyncDatabase.count. `archived`: as in `search`, where only content tells; what was left out is in the log."""
        if not checked(archived) or as_query(query).expression is None:
            return super().count(query)
        skipped = Skipped()
        number = sum(1 for _ in self._ready().scan(as_query(query), skipped))
        skipped.tell("count")
        return number

    def stream_read(
        self, query: Query | None = None, config: StreamConfig | None = None, *, archived: Archived = "raise"
    ) -> Generator[Record]:
        """See SyncDatabase.stream_read. `archived`: as in `search`; what was left out is in the log in the end."""
        with closing(self.stream_windows(query, config, archived=archived)) as source:
            for window in source:
                yield from window

    def stream_windows(
        self, query: Query | None = None, config: StreamConfig | None = None, *, archived: Archived = "raise"
    ) -> Generator[list[Record]]:
        """See SyncDatabase.stream_windows. `archived`: as in `stream_read`."""
        if not checked(archived):
            return super().stream_windows(query, config)
        return self._skipping(query, config)

    def _skipping(self, query: Query | None, config: StreamConfig | None) -> Generator[list[Record]]:
        skipped = Skipped()
        try:
            with closing(self._streamed(query, config, skipped)) as source:
                yield from source
        finally:
            skipped.tell("stream_read")


class AsyncReadsPastArchives(AsyncDatabase):
    """ReadsPastArchives for asyncio."""

    sync: ReadsPastArchives

    async def search(
        self, query: Query | None = None, *, on_error: OnError = "raise", archived: Archived = "raise"
    ) -> SearchResults:
        """See ReadsPastArchives.search."""
        return await self._run(self.sync.search, query, on_error=on_error, archived=archived)

    async def count(self, query: Query | None = None, *, archived: Archived = "raise") -> int:
        """See ReadsPastArchives.count."""
        return await self._run(self.sync.count, query, archived=archived)

    async def stream_read(
        self, query: Query | None = None, config: StreamConfig | None = None, *, archived: Archived = "raise"
    ) -> AsyncGenerator[Record]:
        """See ReadsPastArchives.stream_read."""
        async with aclosing(
            self._streamed(lambda: self.sync.stream_windows(query, config, archived=archived))
        ) as found:
            async for record in found:
                yield record
