"""Documents → portions, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from dataknobs_data.documents import Document
from dataknobs_data.s3.relations.portions import Window
from dataknobs_data.s3.relations.spool import Spool
from dataknobs_data.s3.table.rows import Rows
from dataknobs_data.s3.table.shape import Shape, grow
from dataknobs_data.s3.table.shredding import Shredded
from dataknobs_data.s3.table.writing import WINDOW_FIRST, next_window


def windows_of(documents: Iterable[Document], shape: Shape, spool: Spool) -> tuple[Shape, list[Window]]:
    """The portions of these documents, and `shape` with the columns that they ask for."""
    found, remaining, wanted = [], iter(documents), WINDOW_FIRST
    while window := list(islice(remaining, wanted)):
        shape = grow(shape, window)
        shredded = Shredded(Rows.of(window), shape)
        found.append(Window(spool.put(shredded.table), shredded, shape))
        wanted = next_window(len(window), shredded.table)
    return shape, found
