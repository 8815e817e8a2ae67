"""A relation as DuckDB takes it: a pyarrow dataset of which only the columns and rows are read that a scan asks for.

DuckDB's client for Python asks a registered `pyarrow.dataset.Dataset` for a scanner per scan, with the columns it needs and the
comparisons it can hand over as an expression, and relies on the rows having been filtered
(https://duckdb.org/docs/stable/guides/python/sql_on_arrow; seen in 2.0.0). What it then reads is the scanner's `to_reader()`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

Scan = Callable[[Sequence[str], pc.Expression | None], Iterator[pa.RecordBatch]]
"""The rows for which the expression is true, of these columns in this order."""


class LazyDataset(ds.InMemoryDataset):  # type: ignore[misc]
    """A dataset with the rows of `scan`. For scanning only: it holds no data of its own."""

    def __init__(self, schema: pa.Schema, scan: Scan) -> None:
        super().__init__([], schema=schema)
        self._scan = scan

    def scanner(
        self, columns: Sequence[str] | None = None, filter: pc.Expression | None = None, **options: Any
    ) -> _Scanner:
        """Of these columns; None: all."""
        names = self.schema.names if columns is None else list(columns)
        return _Scanner(pa.schema([self.schema.field(name) for name in names]), self._scan, filter)


class _Scanner:
    def __init__(self, schema: pa.Schema, scan: Scan, condition: pc.Expression | None) -> None:
        self.projected_schema = schema
        self._scan = scan
        self._condition = condition

    def to_reader(self) -> pa.RecordBatchReader:
        schema = self.projected_schema
        return pa.RecordBatchReader.from_batches(schema, self._scan(schema.names, self._condition))


class Scans:
    """The scans of one statement: they end with it, and the first error of one of them is kept, for DuckDB hands on its text
    only.

    check   called before each batch; raises when there is no time left
    """

    def __init__(self, check: Callable[[], None]) -> None:
        self._check = check
        self._lock = threading.Lock()
        self._running: set[Iterator[pa.RecordBatch]] = set()
        self.error: BaseException | None = None

    def watched(self, scan: Scan) -> Scan:
        """`scan`, as one of these."""

        def run(columns: Sequence[str], condition: pc.Expression | None) -> Iterator[pa.RecordBatch]:
            batches = self._batches(scan, columns, condition)
            with self._lock:
                self._running.add(batches)
            return batches

        return run

    def _batches(self, scan: Scan, columns: Sequence[str], condition: pc.Expression | None) -> Iterator[pa.RecordBatch]:
        source = None
        try:
            self._check()
            source = scan(columns, condition)
            for batch in source:
                yield batch
                self._check()
        except GeneratorExit:
            raise
        except BaseException as error:
            self.error = self.error or error
            raise
        finally:
            if source is not None and hasattr(source, "close"):
                source.close()

    def close(self) -> None:
        """Ends all of them. Not while DuckDB still reads them."""
        with self._lock:
            running, self._running = self._running, set()
        for batches in running:
            batches.close()  # type: ignore[attr-defined]
