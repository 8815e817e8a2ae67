"""Packs of any number of rows, in bounded memory.

Ids that come in order (generated ones do) go straight to the pack's row groups: a window of rows and the encoded pack
are all that is held. Ids that come in any order are held as columns, sorted and written at once; a pack of those ends at
HELD_MAX at the latest, even where that is less than it was meant to have.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future
from itertools import islice
from operator import le

import pyarrow as pa
import pyarrow.compute as pc

from dataknobs_data.documents import Document
from dataknobs_data.s3.table.packs import GROUP_BYTES, WINDOW, Pack, PackFile
from dataknobs_data.s3.table.rows import Rows
from dataknobs_data.s3.table.shape import ID, Shape, grow
from dataknobs_data.s3.table.shredding import Shredded

Widen = Callable[[Shape, Sequence[Document]], Shape]

WINDOW_FIRST = 512
WINDOW_BYTES = 8 << 20
"""Of rows that are turned into columns at a time, as Arrow holds them."""

HELD_MAX = 56 << 20
"""Bytes as Arrow holds them."""
_ORDERED = 8 << 20
"""So much has to come in order before more of it is expected to."""
_BEHIND = 4
"""Tables, of about a row group each, that may wait to be encoded."""
_RATIO = 0.25
_LOOSE_MAX = 8


def next_window(rows: int, table: pa.Table) -> int:
    """How many rows to turn into columns next, after so many that became this table."""
    return max(1, min(WINDOW, WINDOW_BYTES * rows // max(int(table.nbytes), 1)))


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
        if pack := writer.add(Rows.of(window)):
            yield pack
    if pack := writer.finish():
        yield pack


class PackWriter:
    """Takes rows in windows, and hands out a pack whenever one is full.

    shape   for the windows to come; a pack that has begun to go out keeps its own
    window  how many rows to bring next
    """

    def __init__(
        self, shape: Shape, target_bytes: int, *, companion: bool = False, executor: Executor | None = None
    ) -> None:
        """`executor`: encodes row groups while the next rows come."""
        self.shape = shape
        self.window = WINDOW_FIRST
        self._target = target_bytes
        self._companion = companion
        self._executor = executor
        self._writing: deque[Future[int]] = deque()
        self._ratio = _RATIO
        self._in_order_from = _ORDERED
        self._begin()

    def _begin(self) -> None:
        self._held: list[pa.Table] = []
        self._loose: list[pa.Table] = []
        self._bytes = 0
        self._file: PackFile | None = None
        self._file_shape = self.shape
        self._file_size = 0
        self._rest_names: set[str] = set()
        self._null_names: set[str] = set()
        self._last: str | None = None
        self._ordered = True

    def add(self, rows: Rows) -> Pack | None:
        """Takes a window of rows; the pack that is full now, if one is. Where it raises SerializationError, nothing was taken."""
        in_order = self._last is None or self._last < min(rows.ids)
        ends = self._file is not None and not in_order
        goes_on = self._file is not None and not ends
        shredded = Shredded(rows, self._file_shape if goes_on else self.shape)  # what raises changes nothing
        finished = self.finish() if ends else None
        if finished is None:
            self._ordered &= in_order
        else:
            self._in_order_from = HELD_MAX
        self._take(rows.ids, shredded)
        if finished is not None:
            return finished
        return self.finish() if self._full() else None

    def _take(self, ids: Sequence[str], shredded: Shredded) -> None:
        table = shredded.table
        if self._ordered and not all(map(le, ids, islice(ids, 1, None))):
            table = table.take(pc.sort_indices(table[ID]))
        self._rest_names |= shredded.rest_names
        self._null_names |= shredded.null_names
        self._last = max(ids)
        self.window = next_window(len(ids), table)
        self._loose.append(table)
        self._bytes += table.nbytes
        if len(self._loose) >= _LOOSE_MAX:
            self._pack_tight()
        least = self._in_order_from if self._file is None else min(GROUP_BYTES, self._target)
        if self._ordered and self._bytes >= least:
            self._write(self._united())

    def _full(self) -> bool:
        if self._file is not None:
            return self._file_size >= self._target
        return self._bytes >= HELD_MAX or self._bytes * self._ratio >= self._target

    def finish(self) -> Pack | None:
        """The pack of what was added since the last one; None where that is nothing."""
        if self._file is None and not self._bytes:
            return None
        if self._bytes:
            self._write_sorted()
        assert self._file is not None
        self._written()
        pack = self._file.finish(self._rest_names, self._null_names)
        self._begin()
        return pack

    def _write_sorted(self) -> None:
        held = self._united()
        if self._ordered:
            self._write(held)
            return
        size, rows = held.nbytes, held.num_rows
        schema, columns = held.schema, held.columns
        del held
        for place in range(len(columns)):  # one by one, so that no more than a column is there twice
            columns[place] = columns[place].combine_chunks()
            if size >= HELD_MAX // 2:
                pa.default_memory_pool().release_unused()  # else pieces of all columns stay resident for a while
        united = pa.Table.from_arrays(columns, schema=schema)
        del columns
        order = pc.sort_indices(united[ID])
        step = max(1, rows * GROUP_BYTES // max(size, 1))
        for start in range(0, rows, step):
            self._write(united.take(order.slice(start, step)))
        self._written()
        assert self._file is not None
        self._ratio = self._file.size / size

    def _united(self) -> pa.Table:
        """What is held, as one table of the newest shape that the pack can have."""
        self._pack_tight()
        table = pa.concat_tables(self._held, promote_options="default")
        self._held, self._bytes = [], 0
        if self._file is None:
            self._file_shape = self.shape
        names = list(self._file_shape.columns)
        return table.select(names) if table.column_names != names else table

    def _pack_tight(self) -> None:
        """Many small buffers leave as much memory unused between them as they take."""
        if self._loose:
            self._held.append(pa.concat_tables(self._loose, promote_options="default").combine_chunks())
            self._loose = []

    def _write(self, table: pa.Table) -> None:
        if self._file is None:
            self._file = PackFile(table, self._file_shape, companion=self._companion)
        if self._executor is None:
            self._file_size = self._file.write(table)
        else:
            self._writing.append(self._executor.submit(self._file.write, table))
            self._written(_BEHIND)

    def _written(self, behind: int = 0) -> None:
        """All is encoded that was to be, but for so many of the last tables."""
        while len(self._writing) > behind:
            self._file_size = self._writing.popleft().result()
