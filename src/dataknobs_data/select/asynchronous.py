"""Statements and their rows for asyncio: what blocks runs in a worker thread, and ends when the task is canceled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar

from dataknobs_data.exceptions import DataknobsDataError
from dataknobs_data.records import Record
from dataknobs_data.select.recorded import recorded
from dataknobs_data.select.results import SqlResult
from dataknobs_data.select.running import Statement
from dataknobs_data.select.waiting import STEP

if TYPE_CHECKING:
    import polars
    from pandas import DataFrame
    from pyarrow import RecordBatch, Schema, Table

    PolarsFrame = polars.DataFrame
else:
    DataFrame = PolarsFrame = RecordBatch = Schema = Table = Any  # those packages are imported when they are needed

T = TypeVar("T")

PATIENCE = 5.0
"""Seconds that a canceled task waits for its thread at most."""


class Run(Protocol):
    """Carries out a call in a worker thread."""

    def __call__(self, call: Callable[[], T], /) -> Awaitable[T]: ...


async def started(statement: Statement, run: Run) -> AsyncSqlResult:
    """The result of a statement; see Statement.run."""
    return AsyncSqlResult(await _ending_with_task(run, statement.run, statement.cancel), run)


async def _ending_with_task(run: Run, call: Callable[[], T], interrupt: Callable[[], None]) -> T:
    """`call` in a thread. Where the task is canceled it is interrupted, and what it gives is closed."""
    working = asyncio.ensure_future(run(call))
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        working.add_done_callback(_dropped)
        for _ in range(int(PATIENCE / STEP)):
            interrupt()
            await asyncio.wait([working], timeout=STEP)
            if working.done():
                break
        raise


def _dropped(working: asyncio.Future[Any]) -> None:
    """Nobody wants it any more: a result is closed, and an error is not reported as one that nobody looked at."""
    if not working.cancelled() and working.exception() is None and isinstance(working.result(), SqlResult):
        working.result().close()


class AsyncSqlResult:
    """SqlResult for asyncio: `async for row in result`, and all that reads is awaited.

    A task that is canceled while it reads ends the statement.
    """

    def __init__(self, result: SqlResult, run: Run) -> None:
        self._result = result
        self._run = run
        self._rows: Iterator[dict[str, Any]] = iter(())
        self._ended = False

    @property
    def columns(self) -> list[str]:
        """See SqlResult.columns."""
        return self._result.columns

    @property
    def schema(self) -> Schema:
        """See SqlResult.schema."""
        return self._result.schema

    @property
    def skipped(self) -> list[DataknobsDataError]:
        """See SqlResult.skipped."""
        return self._result.skipped

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> dict[str, Any]:
        while (row := next(self._rows, None)) is None:
            window = None if self._ended else await self._read(self._result.window)
            if window is None:
                self._ended = True
                raise StopAsyncIteration
            self._rows = iter(window)
        return row

    async def records(self) -> AsyncIterator[Record]:
        """See SqlResult.records."""
        async for row in self:
            yield recorded(row)

    async def batches(self) -> AsyncIterator[RecordBatch]:
        """See SqlResult.batches."""
        source = self._result.batches()
        while (batch := await self._read(lambda: next(source, None))) is not None:
            yield batch

    async def to_arrow(self) -> Table:
        """See SqlResult.to_arrow."""
        return await self._read(self._result.to_arrow)

    async def to_pandas(self) -> DataFrame:
        """See SqlResult.to_pandas."""
        return await self._read(self._result.to_pandas)

    async def to_polars(self) -> PolarsFrame:
        """See SqlResult.to_polars."""
        return await self._read(self._result.to_polars)

    async def _read(self, call: Callable[[], T]) -> T:
        try:
            return await _ending_with_task(self._run, call, self._result.interrupt)
        except asyncio.CancelledError:
            self._result.cancel()
            raise

    async def close(self) -> None:
        """See SqlResult.close."""
        self._result.interrupt()
        await self._run(self._result.close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {', '.join(self.columns)}>"
