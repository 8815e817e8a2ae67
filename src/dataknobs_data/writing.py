"""Writing a stream: batches in, one result out. Both colors of the API use it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Self

from dataknobs_data.batches import Feed, Make
from dataknobs_data.documents import Verb
from dataknobs_data.engine import Engine, Settled
from dataknobs_data.exceptions import (
    DatabaseConnectionError,
    DatabaseOperationError,
    DataknobsDataError,
    DuplicateRecordError,
)
from dataknobs_data.record_likes import RecordLike
from dataknobs_data.runtime import Runtime
from dataknobs_data.streaming import ConflictPolicy, StreamConfig, StreamResult

OnWritten = Callable[[str], object]
"""Told the id of each record once it is in."""


class StreamWriter:
    """Takes batches of records until it is told, or decides, to stop; `finish` then carries out what is on its way.

    A context manager: left without `finish`, it gives up what is not carried out yet. Threads take turns in it.
    """

    def __init__(
        self,
        engine: Engine,
        config: StreamConfig,
        runtime: Runtime,
        creations: Make,
        upsertions: Make,
        on_written: OnWritten | None = None,
    ) -> None:
        self.config = config
        self._runtime = runtime
        self._on_written = on_written
        self._ids: dict[int, str | None] = {}
        upserts = config.on_conflict is ConflictPolicy.UPSERT
        bulk = engine.bulk(Verb.UPSERT if upserts else Verb.CREATE)
        self._feed = Feed(bulk, upsertions if upserts else creations, self._note if on_written else None)
        self._result = StreamResult()
        self._started = runtime.monotonic()
        self._stopped = False
        self._turn = threading.RLock()
        self.cause: DataknobsDataError | None = None
        """What the store as a whole failed with, where that ended the stream."""
        self.failure: DatabaseOperationError | None = None
        """Why the stream ended before its input, where it was not `on_error` that said so."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.abandon()

    def write(self, batch: Sequence[RecordLike]) -> bool:
        """Takes one batch; False when the stream is to end here (timeout, or `on_error` said so)."""
        with self._turn:
            if self._stopped or self._out_of_time():
                return False
            self._result.total_batches += 1
            self._count(self._feed.take(batch))
            return not self._stopped

    def result(self) -> StreamResult:
        """What came of everything taken so far; what is on its way is in `total_processed` only."""
        self._result.total_processed = self._feed.taken
        self._result.duration = self._runtime.monotonic() - self._started
        return self._result

    def finish(self) -> StreamResult:
        """Ends the stream: carries out what was taken, and says what came of all of it."""
        with self._turn:
            self._stopped = True
            if not self._feed.over:
                self._count(self._feed.finish())
                if self._feed.failure is None:
                    self._result.successful += self._feed.pending
                    self._tell(*self._ids)
            return self.result()

    def abandon(self) -> None:
        """Ends the stream and gives up what is not carried out yet; harmless after `finish`."""
        with self._turn:
            self._stopped = True
            self._feed.abandon()

    def _out_of_time(self) -> bool:
        limit = self.config.timeout
        if limit is None or self._runtime.monotonic() - self._started < limit:
            return False
        self._stop(f"its timeout of {limit} s is over")
        return True

    def _stop(self, why: str) -> None:
        self._stopped = True
        done = self._feed.taken
        self.failure = DatabaseOperationError(f"stream_write stopped after {done} records: {why}")
        self.failure.__cause__ = self.cause
        self._result.errors.append((done, None, self.failure))

    def _count(self, news: Iterable[Settled]) -> None:
        for one in news:
            if isinstance(one.outcome, DataknobsDataError):
                self._ids.pop(one.index, None)
                self._count_error(one, one.outcome)
            else:
                self._result.successful += 1
                self._tell(one.index)
        self.cause = self._feed.failure
        if self.cause:
            self._result.failed += self._feed.pending
            gone = isinstance(self.cause, DatabaseConnectionError)
            self._stop(f"the store {'cannot be reached any more' if gone else 'failed'}: {self.cause}")

    def _count_error(self, one: Settled, error: DataknobsDataError) -> None:
        result = self._result
        if isinstance(error, DuplicateRecordError) and self.config.on_conflict is ConflictPolicy.SKIP:
            result.skipped += 1
            return
        result.failed += 1
        result.errors.append((one.index, one.id, error))
        record: Any = one.record  # with every error; of what makes no sense, the thing itself
        if self.config.on_error and self.config.on_error(error, record) is False:
            self._stopped = True

    def _note(self, first: int, ids: Sequence[str | None]) -> None:
        self._ids.update(enumerate(ids, first))

    def _tell(self, *indices: int) -> None:
        if self._on_written:
            for index in indices:
                id = self._ids.pop(index)
                assert id is not None, "what is written has an id"
                self._on_written(id)
