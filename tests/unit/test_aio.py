"""What only the asyncio form can do wrong."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator

import pytest

from dataknobs_data.aio import AsyncDatabase
from dataknobs_data.backends.memory import AsyncMemoryDatabase
from dataknobs_data.exceptions import DuplicateRecordError
from dataknobs_data.records import Record
from dataknobs_data.streaming import StreamConfig
from tests.unit.scripted import ScriptedDatabase


class AsyncScripted(AsyncDatabase):
    """A database that waits when told."""

    sync_class = ScriptedDatabase

    def __init__(self, waiting: float) -> None:
        self.sync = ScriptedDatabase(lambda window: time.sleep(waiting))
        self._threads = None


def test_operations_run_side_by_side_and_the_loop_goes_on() -> None:
    async def main() -> tuple[float, int]:
        db, ticks = AsyncScripted(0.2), 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0.005)

        ticking = asyncio.create_task(tick())
        start = time.monotonic()
        await asyncio.gather(*(db.create(Record({"n": n})) for n in range(db.sync.concurrency)))
        took = time.monotonic() - start
        ticking.cancel()
        assert await db.count() == db.sync.concurrency
        await db.close()
        return took, ticks

    took, ticks = asyncio.run(main())
    assert took < 0.2 * 6, "eight at once, not one after the other"
    assert ticks > 3


def test_an_asynchronous_source_can_be_written() -> None:
    async def source() -> AsyncIterator[Record]:
        for n in range(25):
            await asyncio.sleep(0)
            yield Record({"n": n}, id=f"r{n:02}")

    async def main() -> None:
        async with AsyncMemoryDatabase() as db:
            result = await db.stream_write(source(), StreamConfig(batch_size=10))
            assert (result.successful, result.total_batches) == (25, 3)
            assert [record["n"] async for record in db.stream_read()] == list(range(25))

    asyncio.run(main())


def test_a_blocking_source_is_read_beside_the_loop() -> None:
    threads: set[str] = set()

    def source() -> Iterator[Record]:
        for n in range(5):
            threads.add(threading.current_thread().name)
            yield Record({"n": n})

    async def main() -> None:
        async with AsyncMemoryDatabase() as db:
            await db.stream_write(source(), StreamConfig(batch_size=2))
            await db.batch_create(source())

    asyncio.run(main())
    assert threads
    assert all(name.startswith("dataknobs-async") for name in threads)


def test_a_stream_that_is_left_early_leaves_no_thread() -> None:
    async def main() -> None:
        db = AsyncMemoryDatabase()
        await db.batch_create([Record({"n": n}) for n in range(50)])
        stream = db.stream_read(config=StreamConfig(batch_size=2))
        async for _ in stream:
            break
        await stream.aclose()
        await db.close()

    asyncio.run(main())
    assert not any(thread.name == "dataknobs-prefetch" for thread in threading.enumerate())


def test_a_task_that_is_cancelled_stops_waiting_and_the_database_stays_usable() -> None:
    async def main() -> None:
        db = AsyncScripted(0.2)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(db.create(Record({"n": 1}, id="a")), 0.005)
        async with asyncio.timeout(10):
            while not await db.exists("a"):  # the request was under way
                await asyncio.sleep(0.01)
        with pytest.raises(DuplicateRecordError):
            await db.create(Record({"n": 2}, id="a"))
        await db.close()

    asyncio.run(main())


def test_a_database_can_be_used_in_one_loop_after_another() -> None:
    db = AsyncMemoryDatabase()
    asyncio.run(db.create(Record({"n": 1}, id="a")))
    asyncio.run(db.close())
    assert asyncio.run(db.list_ids()) == ["a"]
    asyncio.run(db.close())
