"""One call for each of many items, side by side, with answers in the order of the items and bounded memory."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial
from itertools import chain, islice
from typing import Generic, TypeVar

A = TypeVar("A")
B = TypeVar("B")


class _Inline(Generic[B]):
    """A call that is made when its result is asked for, with what is used of a Future's manners."""

    def __init__(self, call: Callable[[], B]) -> None:
        self.result = call

    def cancel(self) -> bool:
        """Nothing was begun."""
        return True


class FanOut:
    """A pool of threads. Calls must not use the same pool themselves, or they could wait for each other for ever."""

    def __init__(self, workers: int, name: str) -> None:
        self.workers = workers
        self._name = name
        self._lock = threading.Lock()
        self._pool: ThreadPoolExecutor | None = None

    @property
    def ahead(self) -> int:
        """How many calls are begun by the time that the first answer is handed out, beside its own."""
        return 2 * self.workers if self.workers > 1 else 0

    def map(
        self, call: Callable[[A], B], items: Iterable[A], inline: Callable[[A], bool] = lambda item: False
    ) -> Iterator[B]:
        """`call(item)` for each item, in order. The first exception is raised, and the calls behind it are given up.

        Calls of which `inline(item)` says that they wait for nothing are made in this thread: no thread is quicker. So are all
        of them where there would be one thread beside it.
        """
        source = iter(items)
        first = list(islice(source, 2))
        if len(first) < 2 or not self.ahead:
            yield from map(call, chain(first, source))
            return
        pool = self._threads()

        def begin(item: A) -> Future[B] | _Inline[B]:
            if not inline(item):
                try:
                    return pool.submit(call, item)
                except RuntimeError:  # the pool was closed meanwhile: what has begun is finished in this thread
                    pass
            return _Inline(partial(call, item))

        pending = deque(map(begin, chain(first, islice(source, 2 * self.workers - 2))))
        try:
            while pending:
                answer = pending.popleft().result()
                pending.extend(map(begin, islice(source, 1)))
                yield answer
        finally:
            wait([future for future in pending if not future.cancel() and isinstance(future, Future)])

    def _threads(self) -> ThreadPoolExecutor:
        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(self.workers, thread_name_prefix=self._name)
            return self._pool

    def close(self) -> None:
        """Ends the threads when all that was begun is done."""
        with self._lock:
            if self._pool:
                self._pool.shutdown(wait=True)
                self._pool = None
