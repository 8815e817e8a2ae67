"""Moves records from one database to another, any backend to any backend.

Reading and writing overlap: a thread reads ahead while the batch before is written. Memory stays bounded by a few batches,
unless the query sorts. Records keep their ids and `created_at`. Nothing is deleted from the source.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from typing import TYPE_CHECKING

from dataknobs_data.exceptions import DataknobsDataError, MigrationError, RecordValidationError
from dataknobs_data.migration.progress import Failure, MigrationProgress
from dataknobs_data.migration.transformer import Transform
from dataknobs_data.query import Query
from dataknobs_data.records import Record
from dataknobs_data.runtime import Runtime
from dataknobs_data.streaming import ConflictPolicy, StreamConfig, StreamResult

if TYPE_CHECKING:
    from dataknobs_data.database import SyncDatabase
    from dataknobs_data.writing import StreamWriter

OnProgress = Callable[[MigrationProgress], object]
OnError = Callable[[DataknobsDataError, Record], bool | None]


class Migrator:
    """Copies records between blocking databases. For asyncio: `await asyncio.to_thread(Migrator().migrate, a.sync, b.sync)`."""

    def __init__(self, runtime: Runtime | None = None) -> None:
        self._runtime = runtime or Runtime()

    def migrate(
        self,
        source: SyncDatabase,
        target: SyncDatabase,
        transform: Transform | None = None,
        query: Query | None = None,
        batch_size: int = 1000,
        on_progress: OnProgress | None = None,
        on_error: OnError | None = None,
        on_conflict: ConflictPolicy | str = ConflictPolicy.INSERT,
    ) -> MigrationProgress:
        """Copies what `query` finds in `source` (everything without one) to `target`, and says what came of it.

        transform    makes of each record what is written; None leaves the record out (see Transformer)
        batch_size   records read and written at once
        on_progress  called after each batch with the MigrationProgress so far, and at the end where records were on their
                     way until then
        on_error     called with (error, record) for each record that failed; False ends the migration, what was read by
                     then is still written. Without it, failures are only collected in the answer's `errors`, and the
                     other records go on
        on_conflict  what to do where the target has the id: "insert" fails that record, "upsert" overwrites, "skip" leaves

        On a target that can, a migration is one commit, as `batch_create` is. Raises MigrationError when a database fails as
        a whole; its context says how many records were done. What was on its way then is given up, as it is when
        `on_progress` or `on_error` raises: nothing of it becomes visible.
        """
        config = StreamConfig(batch_size=batch_size, on_error=on_error, on_conflict=on_conflict)
        run = _Run(self._runtime, transform, on_error)
        try:
            if on_progress and (query is None or query.expression is None):
                run.total = source.count(query)
            with target.stream_writer(config) as writer:
                with closing(source.stream_windows(query, config)) as batches:
                    _copy(batches, writer, run, on_progress)
                unsettled = run.on_their_way
                run.note(writer.finish())
                if writer.failure:
                    raise writer.failure
                if on_progress and unsettled:
                    on_progress(run.progress())
        except DataknobsDataError as error:
            raise run.broken_off(error) from error
        return run.finished()


def _copy(batches: Iterable[Sequence[Record]], writer: StreamWriter, run: _Run, on_progress: OnProgress | None) -> None:
    for batch in batches:
        proceed = writer.write(run.transformed(batch)) and not run.stopped
        run.note(writer.result())
        if writer.failure:
            raise writer.failure
        run.stopped = not proceed
        if on_progress:
            on_progress(run.progress())
        if run.stopped:
            break


class _Run:
    """The counts of one migration."""

    def __init__(self, runtime: Runtime, transform: Transform | None, on_error: OnError | None) -> None:
        self._runtime = runtime
        self._started = runtime.monotonic()
        self._transform = transform
        self._on_error = on_error
        self._untransformed = self._left_out = self._noted = 0
        self._errors: list[Failure] = []
        self._written = StreamResult()
        self.total: int | None = None
        self.stopped = False

    def transformed(self, batch: Sequence[Record]) -> list[Record]:
        """What is to be written of a batch; on_error may end the migration in the middle of it."""
        if self._transform is None:
            return list(batch)
        kept: list[Record] = []
        for record in batch:
            if self.stopped:
                break
            result = self._attempt(self._transform, record)
            if result is not None:
                kept.append(result)
        return kept

    def _attempt(self, transform: Transform, record: Record) -> Record | None:
        try:
            result = transform(record)
            if result is not None and not isinstance(result, Record):
                raise RecordValidationError(f"it answered a {type(result).__name__}, not a Record or None")
        except Exception as cause:  # noqa: BLE001  a user's function: whatever it raises is this record's failure
            self._fail(record, cause)
            return None
        self._left_out += result is None
        return result

    def _fail(self, record: Record, cause: Exception) -> None:
        error = MigrationError(
            f"record {record.id!r}: the transform failed: {type(cause).__name__}: {cause}", id=record.id
        )
        error.__cause__ = cause
        self._untransformed += 1
        self._errors.append((record.id, error))
        if self._on_error and self._on_error(error, record) is False:
            self.stopped = True

    def note(self, written: StreamResult) -> None:
        """Takes over what has come of the writing so far."""
        self._written = written
        self._errors += [(id, error) for _, id, error in written.errors[self._noted :]]
        self._noted = len(written.errors)

    @property
    def on_their_way(self) -> int:
        """How many records were taken by the target and are not settled."""
        written = self._written
        return written.total_processed - written.successful - written.failed - written.skipped

    def progress(self) -> MigrationProgress:
        """Where the migration is now."""
        written = self._written
        return MigrationProgress(
            total=self.total,
            processed=written.total_processed + self._untransformed + self._left_out,
            succeeded=written.successful,
            failed=written.failed + self._untransformed,
            skipped=written.skipped + self._left_out,
            errors=tuple(self._errors),
            duration=self._runtime.monotonic() - self._started,
            stopped=self.stopped,
        )

    def finished(self) -> MigrationProgress:
        """The answer; without a stop, the total is known now."""
        if not self.stopped:
            self.total = self.progress().processed
        return self.progress()

    def broken_off(self, cause: DataknobsDataError) -> MigrationError:
        """The error that says how far the migration came."""
        done = self.progress()
        given_up = f", {self.on_their_way} given up" if self.on_their_way else ""
        return MigrationError(
            f"the migration broke off after {done.processed} records "
            f"({done.succeeded} written, {done.failed} failed{given_up}): {cause}",
            processed=done.processed,
            succeeded=done.succeeded,
            failed=done.failed,
            skipped=done.skipped,
        )
