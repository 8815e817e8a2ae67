"""Statements and their rows for asyncio."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import pytest

from dataknobs_data.exceptions import DatabaseOperationError, QueryError
from dataknobs_data.select.asynchronous import AsyncSqlResult, started
from dataknobs_data.select.running import Statement
from tests.unit.select_tables import Numbers, statement

T = TypeVar("T")


def in_loop(main: Callable[[Callable[[Statement], Awaitable[AsyncSqlResult]]], Awaitable[T]]) -> T:
    """Runs `main(start)`; `start` gives the result of a statement."""

    async def outer() -> T:
        with ThreadPoolExecutor(2) as pool:

            async def run(call: Callable[[], Any]) -> Any:
                return await asyncio.get_running_loop().run_in_executor(pool, call)

            return await main(lambda one: started(one, run))

    return asyncio.run(outer())


def test_rows_records_batches_and_frames() -> None:
    async def main(start: Any) -> list[Any]:
        sql = "SELECT n FROM S3Object WHERE n < 3 ORDER BY n"
        found = [[row async for row in await start(statement(sql, S3Object=Numbers(2)))]]
        found.append([record.data async for record in (await start(statement(sql, S3Object=Numbers(2)))).records()])
        found.append([batch.num_rows async for batch in (await start(statement(sql, S3Object=Numbers(2)))).batches()])
        found.append((await (await start(statement(sql, S3Object=Numbers(2)))).to_arrow()).to_pylist())
        found.append((await (await start(statement(sql, S3Object=Numbers(2)))).to_pandas()).to_dict("records"))
        found.append((await (await start(statement(sql, S3Object=Numbers(2)))).to_polars()).to_dicts())
        return found

    expected = [{"n": 0}, {"n": 1}, {"n": 2}]
    assert in_loop(main) == [expected, expected, [3], expected, expected, expected]


def test_columns_and_errors() -> None:
    async def main(start: Any) -> None:
        async with await start(statement("SELECT 1 AS a, 2 AS a")) as found:
            assert found.columns == found.schema.names == ["a", "a_1"]
        with pytest.raises(DatabaseOperationError, match="is closed"):
            await found.to_arrow()
        with pytest.raises(QueryError, match="no field 'm'"):
            await start(statement("SELECT m FROM S3Object", S3Object=Numbers(2)))
        with pytest.raises(QueryError, match="Could not convert"):
            await (await start(statement("SELECT text::INTEGER FROM S3Object", S3Object=Numbers(2)))).to_arrow()

    in_loop(main)


def test_the_loop_goes_on_meanwhile() -> None:
    async def main(start: Any) -> int:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0.005)

        ticking = asyncio.create_task(tick())
        numbers = Numbers(30, pause=lambda: time.sleep(0.01))
        assert [
            row async for row in await start(statement("SELECT count(*) AS c FROM S3Object", S3Object=numbers))
        ] == [{"c": 30_000}]
        ticking.cancel()
        return ticks

    assert in_loop(main) > 10


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT count(*) FROM range(1000000000000000) t(i), (SELECT max(n) FROM S3Object)",
        "SELECT i FROM range(1000000000000000) t(i), S3Object WHERE i < 0",
        "SELECT * FROM S3Object",
    ],
)
def test_a_task_that_is_canceled_ends_its_statement(sql: str) -> None:
    numbers = Numbers(100_000 if sql.endswith("S3Object") else 3, pause=lambda: time.sleep(0.002))

    async def main(start: Any) -> float:
        async def work() -> None:
            async for _ in await start(statement(sql, S3Object=numbers)):
                pass

        working = asyncio.create_task(work())
        await asyncio.sleep(0.4)
        assert numbers.opened == 1
        began = time.monotonic()
        working.cancel()
        with pytest.raises(asyncio.CancelledError):
            await working
        return time.monotonic() - began

    assert in_loop(main) < 4
    assert (numbers.running, numbers.closed) == (0, 1)


def test_a_task_that_is_canceled_before_its_statement_has_begun() -> None:
    numbers = Numbers(3)

    async def main(start: Any) -> None:
        blocked = threading.Event()
        waiting = [
            asyncio.create_task(start(statement("SELECT * FROM S3Object", S3Object=Blocked(blocked)))) for _ in range(2)
        ]
        await asyncio.sleep(0.1)
        late = asyncio.create_task(start(statement("SELECT * FROM S3Object", S3Object=numbers)))
        await asyncio.sleep(0.05)
        late.cancel()
        asyncio.get_running_loop().call_later(0.2, blocked.set)
        with pytest.raises(asyncio.CancelledError):
            await late
        for one in waiting:
            await (await one).close()

    in_loop(main)
    assert numbers.opened == numbers.running == 0


class Blocked(Numbers):
    """Waits before its first rows."""

    def __init__(self, until: threading.Event) -> None:
        super().__init__(1, pause=until.wait)


def test_a_result_that_is_dropped() -> None:
    numbers = Numbers(5000)

    async def main(start: Any) -> None:
        found = await start(statement("SELECT * FROM S3Object", S3Object=numbers))
        await anext(found)
        del found

    in_loop(main)
    assert (numbers.running, numbers.closed) == (0, 1)
