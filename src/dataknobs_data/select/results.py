"""What a statement found: rows that stream, to be read once."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from dataknobs_data.exceptions import ConfigurationError, DatabaseOperationError, DataknobsDataError
from dataknobs_data.records import Record
from dataknobs_data.select.failures import translated
from dataknobs_data.select.recorded import recorded
from dataknobs_data.select.waiting import interruptible

if TYPE_CHECKING:
    import polars
    from pandas import DataFrame
    from pyarrow import RecordBatch, RecordBatchReader, Schema, Table

    from dataknobs_data.select.lazy import Scans
    from dataknobs_data.select.sandbox import Sandbox

    PolarsFrame = polars.DataFrame
else:
    DataFrame = PolarsFrame = RecordBatch = Schema = Table = Any  # those packages are imported when they are needed

BATCH_ROWS = 10_000


class Cursor:
    """The result of a statement that runs, batch by batch. One thread at a time reads it; any may interrupt or close it.

    reader  a pyarrow.RecordBatchReader
    types   what DuckDB calls the types of its columns
    check   raises where there is no time left
    names   gives those of fields and columns, for errors
    """

    def __init__(
        self,
        sandbox: Sandbox,
        reader: RecordBatchReader,
        types: list[str],
        scans: Scans,
        held: ExitStack,
        check: Callable[[], None],
        memory_bytes: int,
        names: Callable[[], Collection[str]],
    ) -> None:
        self._sandbox = sandbox
        self._reader: RecordBatchReader | None = reader
        self._scans = scans
        self._held = held
        self._check = check
        self._memory_bytes = memory_bytes
        self._names = names
        self._turn = threading.Lock()
        self.types = types
        self.schema = _apart(reader.schema)
        self._cancelled = False

    def read(self) -> RecordBatch | None:
        """The next batch, None behind the last; then all is given back, as after an error."""
        with self._turn:
            if self._reader is None:
                raise DatabaseOperationError(
                    "SQL: the result is closed, or has been read to its end: run the query again"
                )
            batch = None
            try:
                batch = self._next()
            finally:
                if batch is None or self._cancelled:
                    self._close()
        return batch

    def _next(self) -> RecordBatch | None:
        import pyarrow as pa

        assert self._reader is not None
        self._check()
        try:
            with translated(self._memory_bytes, self._names):
                batch = interruptible(self._reader.read_next_batch, self._sandbox.interrupt)
        except StopIteration:
            return None
        except Exception:
            if self._scans.error is not None:
                raise self._scans.error from None
            raise
        return pa.RecordBatch.from_arrays(batch.columns, schema=self.schema)

    def interrupt(self) -> None:
        """Ends what runs in another thread, soon."""
        if self._reader is not None:
            self._sandbox.interrupt()

    def cancel(self) -> None:
        """Interrupts, and closes now or when the thread that reads has come out."""
        self._cancelled = True
        self.interrupt()
        if self._turn.acquire(blocking=False):
            try:
                self._close()
            finally:
                self._turn.release()

    def close(self) -> None:
        """Gives back everything; waits for a thread that reads, which is interrupted."""
        self.interrupt()
        with self._turn:
            self._close()

    def _close(self) -> None:
        self._reader = None
        self._held.close()


class SqlResult:
    """The rows of a statement: an iterator of dicts, column name → value.

    They come as they are asked for, and are there once: what has been read is gone, and another way of reading gives the rest.
    A result that is not read to its end should be closed, or used with `with`; it ends with its timeout otherwise, or when
    nothing refers to it any more.

    Values are those of records: int, float, str, bool, None, aware datetimes in UTC, date, Decimal, bytes, UUID, timedelta;
    lists and dicts.

    Raises from wherever rows are read: QueryError (a conversion that fails, for instance), DatabaseOperationError (out of time or
    memory), and what reading records raises.
    """

    def __init__(self, cursor: Cursor, skipped: Sequence[DataknobsDataError] = ()) -> None:
        from dataknobs_data.select.rows import converters

        self._skipped = skipped
        self._cursor = cursor
        self._convert = converters(cursor.schema, cursor.types)
        self._rows: Iterator[dict[str, Any]] = iter(())
        self._ended = False
        self._finalizer = weakref.finalize(self, cursor.close)

    # ------------------------------------------------------------------------------------------ rows
    @property
    def columns(self) -> list[str]:
        """The names of the columns. Of several with one name the later ones have a number: `a`, `a_1`."""
        return list(self._cursor.schema.names)

    @property
    def schema(self) -> Schema:
        """The columns' names and Arrow types."""
        return self._cursor.schema

    @property
    def skipped(self) -> list[DataknobsDataError]:
        """What was left out so far, as the errors that it would have been. All of it once all rows have been read."""
        return list(self._skipped)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> dict[str, Any]:
        # No generator: that would keep a result alive that nobody refers to.
        while (row := next(self._rows, None)) is None:
            window = None if self._ended else self.window()
            if window is None:
                self._ended = True
                raise StopIteration
            self._rows = iter(window)
        return row

    def window(self) -> list[dict[str, Any]] | None:
        """The next thousands of rows, None behind the last."""
        from dataknobs_data.select.rows import rows_of

        batch = self._cursor.read()
        return None if batch is None else list(rows_of(batch, self.columns, self._convert))

    def records(self) -> Iterator[Record]:
        """The rows as records: what lies in `_rest` and `_metadata` unfolds to fields and metadata, `_id` is the record's id."""
        return map(recorded, self)

    # ------------------------------------------------------------------------------------------ columns
    def batches(self) -> Iterator[RecordBatch]:
        """Arrow record batches, of some ten thousand rows."""
        while (batch := self._cursor.read()) is not None:
            yield batch

    def to_arrow(self) -> Table:
        """All rows as a pyarrow.Table."""
        import pyarrow as pa

        return pa.Table.from_batches(self.batches(), self.schema)

    def to_pandas(self) -> DataFrame:
        """All rows as a pandas.DataFrame. Raises ConfigurationError where pandas is not installed."""
        _needed("pandas")
        return self._narrowed().to_pandas()

    def to_polars(self) -> PolarsFrame:
        """All rows as a polars.DataFrame. Raises ConfigurationError where Polars is not installed."""
        frame: PolarsFrame = _needed("polars").from_arrow(self._narrowed())
        return frame

    def _narrowed(self) -> Table:
        """Sums of integers as 64 bits where they fit: a frame of decimals is of little use."""
        import pyarrow as pa

        table = self.to_arrow()
        for at, kind in enumerate(self._cursor.types):
            if kind in ("HUGEINT", "UHUGEINT"):
                try:
                    table = table.set_column(at, table.schema.names[at], table.column(at).cast(pa.int64()))
                except pa.ArrowInvalid:
                    pass  # larger ones stay decimals
        return table

    # ------------------------------------------------------------------------------------------ the end
    def interrupt(self) -> None:
        """Ends what is running for this result in another thread, which then raises."""
        self._cursor.interrupt()

    def cancel(self) -> None:
        """Closes it as soon as no thread reads it, without waiting."""
        self._cursor.cancel()

    def close(self) -> None:
        """Gives back memory, temporary files and threads; rows that were not read are gone."""
        self._finalizer()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {', '.join(self.columns)}>"


def _apart(schema: Schema) -> Schema:
    """With names that are all different."""
    taken = set(schema.names)
    names: list[str] = []
    for name in schema.names:
        number, chosen = 0, name
        while chosen in names or (number and chosen in taken):
            number += 1
            chosen = f"{name}_{number}"
        names.append(chosen)
    import pyarrow as pa

    return pa.schema([field.with_name(name) for field, name in zip(schema, names, strict=True)])


def _needed(package: str) -> Any:
    import importlib

    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise ConfigurationError(f"to_{package}() needs {package}: pip install {package}") from error
