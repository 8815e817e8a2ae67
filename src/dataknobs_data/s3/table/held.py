"""Columns of packs kept in memory, decoded: packs never change, so what was read of one is good for ever."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import NamedTuple

import pyarrow as pa

Key = tuple[str, int, str]
"""Pack, row group, column."""

OVERHEAD_BYTES = 600
"""Of an entry's Python and C++ objects."""


class _Held(NamedTuple):
    column: pa.ChunkedArray
    cost: int
    turn: int


class HeldColumns:
    """Column chunks, those given up first that were not asked for the longest time; but none for another of the same turn:
    a scan of more than there is room for would push out just what it needs next time. Safe to use from many threads.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._held: OrderedDict[Key, _Held] = OrderedDict()
        self._bytes = 0
        self._turn = 0
        self._lock = threading.Lock()

    def begin(self) -> None:
        """A turn: an operation that will ask for chunks."""
        with self._lock:
            self._turn += 1

    def get(self, key: Key) -> pa.ChunkedArray | None:
        """The chunk, which now counts as used."""
        with self._lock:
            found = self._held.get(key)
            if found is None:
                return None
            self._held[key] = found._replace(turn=self._turn)
            self._held.move_to_end(key)
            return found.column

    def copy(self) -> HeldColumns:
        """Another one that holds the same, and shares the memory."""
        other = HeldColumns(self._most_bytes)
        with self._lock:
            other._held, other._bytes, other._turn = self._held.copy(), self._bytes, self._turn
        return other

    def put(self, key: Key, column: pa.ChunkedArray, size: int | None = None) -> None:
        """Holds a chunk that shares no memory with others, if there is room, unless it alone would fill an eighth of that.

        size   in bytes, where the chunk only stands for one
        """
        cost = (column.nbytes if size is None else size) + OVERHEAD_BYTES
        if cost * 8 > self._most_bytes:
            return
        with self._lock:
            if key in self._held or not self._make_room(cost):
                return
            self._held[key] = _Held(column, cost, self._turn)
            self._bytes += cost

    def _make_room(self, cost: int) -> bool:
        while self._bytes + cost > self._most_bytes:
            longest_unused = next(iter(self._held))
            if self._held[longest_unused].turn == self._turn:
                return False
            self._bytes -= self._held.pop(longest_unused).cost
        return True
