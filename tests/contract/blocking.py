"""An AsyncDatabase with the blocking interface, so that every test of the contract is written once for both colors."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from types import TracebackType
from typing import Any, Self

from dataknobs_data.aio import AsyncDatabase


class Blocking:
    """Runs the methods of an AsyncDatabase on one event loop in a thread of its own; any thread may call them."""

    def __init__(self, database: AsyncDatabase) -> None:
        self._database = database
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="contract-loop")
        self._thread.start()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._database, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            answer = method(*args, **kwargs)
            if inspect.isasyncgen(answer):
                return self._iterate(answer)
            return self._wait(answer) if inspect.iscoroutine(answer) else answer

        return call

    def _wait(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def _iterate(self, source: AsyncGenerator[Any, Any]) -> Iterator[Any]:
        end = object()

        async def advance() -> Any:
            return await anext(source, end)

        async def finish() -> None:
            await source.aclose()

        try:
            while (item := self._wait(advance())) is not end:
                yield item
        finally:
            self._wait(finish())

    def __enter__(self) -> Self:
        self._wait(self._database.__aenter__())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._wait(self._database.__aexit__(kind, error, trace))

    def __repr__(self) -> str:
        return repr(self._database)

    def end(self) -> None:
        """Closes the database and stops the loop."""
        self._wait(self._database.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
