"""Packs of any number of documents, in bounded memory.

Ids that come in order (generated ones do) go straight to the pack's row groups: a window of documents and the encoded pack
are all that is held. Ids that come in any order are held as columns, sorted and written at once; a pack of those ends at
HELD_MAX at the latest, even where that is less than it was meant to have.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice

import pyarrow as pa
import pyarrow.compute as pc

from dataknobs_data.documents import Document
from dataknobs_data.s3.table.packs import WINDOW, Pack, PackFile
from dataknobs_data.s3.table.shape import ID, Shape, grow
from dataknobs_data.s3.table.shredding import Shredded

Widen = Callable[[Shape, Sequence[Document]], Shape]

WINDOW_FIRST = 512
WINDOW_BYTES = 8 << 20
"""Of documents that are turned into columns at a time, as Arrow holds them."""

HELD_MAX = 64 << 20
"""Bytes as Arrow holds them."""
_ORDERED = 32 << 20
_RATIO = 0.25
_LOOSE_MAX = 8


def packs(
    documents: Iterable[Document], shape: Shape, target_bytes: int, *, widen: Widen = grow, companion: bool = False
) -> Iterator[Pack]:
    """Packs of about `target_bytes`, each sorted by id.

    `widen` is asked before each window of documents for the shape to store it by: the one it is given, or one that extends
    that. Raises SerializationError for a value that has no stored form.
    """
    writer = PackWriter(shape, target_bytes, companion=companion)
    remaining = iter(documents)
    while window := list(islice(remaining, writer.window)):
        writer.shape = widen(writer.shape, window)
        if pack := writer.add(window):
            yield pack
    if pack := writer.finish():
        yield pack


class PackWriter:
    """Takes documents in windows, and hands out a pack whenever one is full.

    shape   for the windows to come; a pack that has begun to go out keeps its own
    window  how many documents to bring next
    """

    def __init__(self, shape: Shape, target_bytes: int, *, companion: bool = False) -> None:
        self.shape = shape
        self.window = WINDOW_FIRST
        self._target = target_bytes
        self._companion = companion
        self._ratio = _RATIO
        self._begin()

    def _begin(self) -> None:
        self._held: list[pa.Table] = []
        self._loose: list[pa.Table] = []
        self._bytes = 0
        self._file: PackFile | None = None
        self._file_shape = self.shape
        self._rest_names: set[str] = set()
        self._last: str | None = None
        self._ordered = True

    def add(self, documents: Sequence[Document]) -> Pack | None:
        """Takes a window of documents; the pack that is full now, if one is. Where it raises, nothing was taken."""
        window = sorted(documents, key=lambda document: document.id)
        in_order = self._last is None or self._last < window[0].id
        ends = self._file is not None and not in_order
        goes_on = self._file is not None and not ends
        shredded = Shredded(window, self._file_shape if goes_on else self.shape)  # what raises changes nothing
        finished = self.finish() if ends else None
        if finished is None:
            self._ordered &= in_order
        self._take(window, shredded)
        if finished is not None:
            return finished
        return self.finish() if self._full() else None

    def _take(self, window: Sequence[Document], shredded: Shredded) -> None:
        table = shredded.table
        self._rest_names |= shredded.rest_names
        self._last = window[-1].id
        self.window = max(1, min(WINDOW, WINDOW_BYTES * len(window) // max(table.nbytes, 1)))
        if self._file is not None:
            self._file.write(table)
            return
        self._loose.append(table)
        self._bytes += table.nbytes
        if len(self._loose) >= _LOOSE_MAX:
            self._pack_tight()
        if self._ordered and self._bytes >= _ORDERED:
            self._write(self._united())

    def _full(self) -> bool:
        if self._file is not None:
            return self._file.size >= self._target
        return self._bytes >= HELD_MAX or self._bytes * self._ratio >= self._target

    def finish(self) -> Pack | None:
        """The pack of what was added since the last one; None where that is nothing."""
        if self._file is None and not self._bytes:
            return None
        if self._bytes:
            self._write_sorted()
        assert self._file is not None
        pack = self._file.finish(self._rest_names)
        self._begin()
        return pack

    def _write_sorted(self) -> None:
        held = self._united()
        if self._ordered:
            self._write(held)
            return
        size = held.nbytes
        order, schema, columns = pc.sort_indices(held[ID]), held.schema, held.columns
        del held
        ordered = []
        while columns:  # one by one, so that no more than a column is there twice
            ordered.append(columns.pop(0).take(order))
        self._write(pa.Table.from_arrays(ordered, schema=schema))
        assert self._file is not None
        self._ratio = self._file.size / size

    def _united(self) -> pa.Table:
        """What is held, as one table of the newest shape."""
        self._pack_tight()
        table = pa.concat_tables(self._held, promote_options="default")
        self._held, self._bytes, self._file_shape = [], 0, self.shape
        return table.select(list(self.shape.columns)) if table.column_names != list(self.shape.columns) else table

    def _pack_tight(self) -> None:
        """Many small buffers leave as much memory unused between them as they take."""
        if self._loose:
            self._held.append(pa.concat_tables(self._loose, promote_options="default").combine_chunks())
            self._loose = []

    def _write(self, table: pa.Table) -> None:
        if self._file is None:
            self._file = PackFile(table, self._file_shape, companion=self._companion)
        self._file.write(table)
