"""Calls for many items as a pool of threads makes them, one after the other."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TypeVar

from dataknobs_data.s3.fanout import FanOut

A = TypeVar("A")
B = TypeVar("B")


class InTurn(FanOut):
    """Makes calls in this thread, so many `ahead` of whoever takes their results: as many as had been begun by then."""

    def __init__(self, workers: int, ahead: int) -> None:
        super().__init__(workers, "rehearsal")
        self._ahead = ahead

    def map(
        self, call: Callable[[A], B], items: Iterable[A], inline: Callable[[A], bool] = lambda item: False
    ) -> Iterator[B]:
        """See FanOut."""
        source = iter(items)
        begun = deque(call(item) for item in islice(source, 1 + self._ahead))
        while begun:
            yield begun.popleft()
            begun.extend(call(item) for item in islice(source, 1))
