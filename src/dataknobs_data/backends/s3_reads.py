"""Reading past archives: searches, counts and streams that may leave out what has to be restored first, and say so."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from contextlib import aclosing, closing

from dataknobs_data.aio import AsyncDatabase
from dataknobs_data.database import OnError, SearchResults, SyncDatabase, as_query
from dataknobs_data.exceptions import DataknobsDataError
from dataknobs_data.query import Query
from dataknobs_data.records import Record
from dataknobs_data.s3.archive.skipping import Archived, Skipped, skips
from dataknobs_data.streaming import StreamConfig


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
        if not skips(archived):
            return super().search(query, on_error=on_error)
        collected: list[DataknobsDataError] = []
        skipped = Skipped(collected.append if on_error == "collect" else None)
        found = self._searched(query, on_error, skipped)
        skipped.tell("search")
        return SearchResults(found, [*collected, *skipped.errors])

    def count(self, query: Query | None = None, *, archived: Archived = "raise") -> int:
        """See SyncDatabase.count. `archived`: as in `search`, where only content tells; what was left out is in the log."""
        if not skips(archived) or as_query(query).expression is None:
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
        if not skips(archived):
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
