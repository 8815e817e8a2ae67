"""Columns of packs kept in memory, decoded: packs never change, so what was read of one is good for ever."""

from __future__ import annotations

import threading
from collections import OrderedDict

import pyarrow as pa

Key = tuple[str, int, str]
"""Pack, row group, column."""

OVERHEAD_BYTES = 600
"""Of an entry's Python and C++ objects."""


class HeldColumns:
    """Column chunks, those given up first that were not asked for the longest time. Safe to use from many threads."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._held: OrderedDict[Key, tuple[pa.ChunkedArray, int]] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def get(self, key: Key) -> pa.ChunkedArray | None:
        """The chunk, which now counts as used."""
        with self._lock:
            found = self._held.get(key)
            if found is None:
                return None
            self._held.move_to_end(key)
            return found[0]

    def copy(self) -> HeldColumns:
        """Another one that holds the same, and shares the memory."""
        other = HeldColumns(self._most_bytes)
        with self._lock:
            other._held, other._bytes = self._held.copy(), self._bytes
        return other

    def put(self, key: Key, column: pa.ChunkedArray, size: int | None = None) -> None:
        """Holds a chunk that shares no memory with others, unless it alone would fill an eighth of the room.

        size   in bytes, where the chunk only stands for one
        """
        cost = (column.nbytes if size is None else size) + OVERHEAD_BYTES
        if cost * 8 > self._most_bytes:
            return
        with self._lock:
            if key in self._held:
                return
            self._held[key] = column, cost
            self._bytes += cost
            while self._bytes > self._most_bytes:
                self._bytes -= self._held.popitem(last=False)[1][1]
