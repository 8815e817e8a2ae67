"""A file of which only some spans are at hand, as pyarrow wants it; and which spans to ask for."""

from __future__ import annotations

import io
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence

Span = tuple[int, int]
"""Offset and length, in bytes."""

Ranges = Callable[[Sequence[Span]], Sequence[bytes]]
"""Reads spans of one object, all in flight at once; their bytes in the same order."""

GAP_MAX = 1 << 17
"""Bytes between two spans that are cheaper read than a second request made. In a datacenter the wait for a first byte would pay
for a megabyte (object_store's OBJECT_STORE_COALESCE_DEFAULT), over slower lines for less; processors are even at about this.
"""

SPAN_MAX = 8 << 20
"""Longer spans are read in parts of this size, side by side."""


def joined(spans: Iterable[Span]) -> list[Span]:
    """Spans that cover these, in as few requests as are worth it."""
    found: list[tuple[int, int]] = []
    for start, length in sorted(spans):
        if found and start - found[-1][1] <= GAP_MAX:
            found[-1] = found[-1][0], max(found[-1][1], start + length)
        else:
            found.append((start, start + length))
    return [(place, min(SPAN_MAX, end - place)) for start, end in found for place in range(start, end, SPAN_MAX)]


class PlacedFile(io.RawIOBase):
    """A file of known size that is read from a place on; what reads is for its subclasses."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self._size = size
        self._place = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._place = (0, self._place, self._size)[whence] + offset
        return self._place


class SpanFile(PlacedFile):
    """The file; reading beyond the spans it was given is an OSError."""

    def __init__(self, size: int, parts: Iterable[tuple[int, bytes]]) -> None:
        super().__init__(size)
        self._parts = sorted(parts)
        self._starts = [start for start, _ in self._parts]

    def read(self, size: int = -1) -> bytes:
        end = self._size if size < 0 else min(self._size, self._place + size)
        pieces: list[bytes] = []
        while self._place < end:
            pieces.append(self._piece(end))
            self._place += len(pieces[-1])
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _piece(self, end: int) -> bytes:
        """What one part has from here to `end`."""
        number = bisect_right(self._starts, self._place) - 1
        start, content = self._parts[number] if number >= 0 else (0, b"")
        found = content[self._place - start : end - start]
        if not found:
            raise OSError(f"byte {self._place} of the file was not fetched")
        return bytes(found)
