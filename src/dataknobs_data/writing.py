"""Writing a stream: batches in, one result out. Both colours of the API use it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from dataknobs_data.batches import Result, apply_window
from dataknobs_data.documents import Change, Document
from dataknobs_data.engine import Engine
from dataknobs_data.exceptions import DatabaseOperationError, DataknobsDataError, DuplicateRecordError
from dataknobs_data.records import Record
from dataknobs_data.runtime import Runtime
from dataknobs_data.streaming import ConflictPolicy, StreamConfig, StreamResult


class StreamWriter:
    """Takes batches of records until it is told, or decides, to stop."""

    def __init__(
        self,
        engine: Engine,
        config: StreamConfig,
        runtime: Runtime,
        creation: Callable[[Record], Change],
        upsertion: Callable[[Any], Change],
    ) -> None:
        self.config = config
        self._engine = engine
        self._runtime = runtime
        self._make = upsertion if config.on_conflict is ConflictPolicy.UPSERT else creation
        self._result = StreamResult()
        self._started = runtime.monotonic()
        self._stopped = False
        self.failure: DatabaseOperationError | None = None
        """Why the stream ended before its input, where it was not `on_error` that said so."""

    def write(self, batch: Sequence[Record]) -> bool:
        """Writes one batch; False when the stream is to end here (timeout, or `on_error` said so)."""
        if self._stopped or self._out_of_time():
            return False
        first = self._result.total_processed
        self._result.total_batches += 1
        outcomes, gone = apply_window(batch, self._make, self._engine.apply_many)
        for offset, (id, outcome) in enumerate(outcomes):
            self._count(first + offset, id, batch[offset], outcome)
        if gone:
            self._stop("the store cannot be reached any more")
        return not self._stopped

    def result(self) -> StreamResult:
        """What came of everything written so far."""
        self._result.duration = self._runtime.monotonic() - self._started
        return self._result

    def _out_of_time(self) -> bool:
        limit = self.config.timeout
        if limit is None or self._runtime.monotonic() - self._started < limit:
            return False
        self._stop(f"its timeout of {limit} s is over")
        return True

    def _stop(self, why: str) -> None:
        self._stopped = True
        done = self._result.total_processed
        self.failure = DatabaseOperationError(f"stream_write stopped after {done} records: {why}")
        self._result.errors.append((done, None, self.failure))

    def _count(self, index: int, id: str | None, record: Record, outcome: Result) -> None:
        result = self._result
        result.total_processed += 1
        if isinstance(outcome, Document):
            result.successful += 1
        elif isinstance(outcome, DuplicateRecordError) and self.config.on_conflict is ConflictPolicy.SKIP:
            result.skipped += 1
        elif isinstance(outcome, DataknobsDataError):
            result.failed += 1
            result.errors.append((index, id, outcome))
            if self.config.on_error and self.config.on_error(outcome, record) is False:
                self._stopped = True
