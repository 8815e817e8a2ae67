"""The rows of many packs in the order of their ids, in bounded memory.

A sweep over the ids: row groups are read in the order of the least id that each can hold, and rows wait until nothing that
is still unread can hold a lower id. Of packs that overlap, about one row group each is held; of packs that do not, one in
all; besides whatever the `fan` reads ahead. Packs are opened only when the sweep comes to them, so that a consumer who stops
early has neither rows nor footers of the others read.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from math import ceil

import pyarrow as pa
import pyarrow.compute as pc

from dataknobs_data.s3.table.shape import ID, Shape
from dataknobs_data.s3.table.sweep import PACK, Fan, Piece, Source, Sweep, place_of, without

__all__ = ["PACK", "Fan", "Source", "in_order", "merged", "place_of", "without"]

TABLE_BYTES = 2 << 20
"""Of a table that is handed out, about, as Arrow holds it."""

STEP_BYTES = 1 << 18
"""Rows that are read before any is handed out: many small packs do not make as many small tables."""


def merged(
    sources: Sequence[Source],
    shape: Shape,
    columns: Collection[str] | None = None,
    *,
    fan: Fan = map,
    numbered: bool = False,
    at_once: bool = False,
) -> Iterator[pa.Table]:
    """The rows in ascending order of ids, by code point; those of one id stand in one table, in the order of the sources.

    shape      what the tables look like; a column that a pack does not have is null. Each pack's must be part of it
    columns    those of `shape` that are wanted; None: all. The id is always among them
    numbered   adds the column PACK: the position of the row's source
    at_once    rows are handed out as soon as none can come before them, for whoever wants few

    Raises what reading raises, and DataFormatError for a pack with columns that `shape` does not have.
    """
    names = [name for name in shape.columns if columns is None or name == ID or name in columns]
    schema = pa.schema([shape.arrow.field(name) for name in names])
    if numbered:
        schema = schema.append(pa.field(PACK, pa.int32()))
    sweep = Sweep(sources, shape, schema, fan)
    held = _Held(schema)
    for piece in fan(sweep.read, sweep.parts()):
        sweep.arrived()
        held.add(piece)
        if at_once or held.grown >= STEP_BYTES:
            yield from held.below(sweep.least)
    yield from held.below(None)


# ---------------------------------------------------------------------------------------------- rows in order
def in_order(parts: Sequence[pa.Table], none: pa.Table) -> pa.Table:
    """One table of parts that each are in order; rows of one id in the order of the parts.

    none   a table without rows that has all columns; those that a part lacks are null
    """
    united = pa.concat_tables([none, *parts], promote_options="default")
    if len(parts) == 1:
        return united
    united = united.combine_chunks()
    return united.take(pc.sort_indices(united[ID]))  # stable


class _Held:
    """Rows that were read and wait for their turn."""

    def __init__(self, schema: pa.Schema) -> None:
        self._none = pa.Table.from_batches([], schema)  # empty_table() would import pandas (pyarrow 26)
        self._pieces: list[Piece] = []
        self.grown = 0.0

    def add(self, piece: Piece | None) -> None:
        """`grown`: bytes that were added since some were taken out."""
        if piece is not None:
            self._pieces.append(piece)
            self.grown += piece.width * piece.table.num_rows

    def below(self, end: str | None) -> Iterator[pa.Table]:
        """Takes out the rows with ids below `end`, all without one."""
        self.grown = 0.0
        rows, self._pieces = _split(self._pieces, end)
        rows.sort(key=lambda piece: piece.number)
        for cut in [*_cuts(rows), None]:
            parts, rows = _split(rows, cut)
            if parts:
                yield in_order([part.table for part in parts], self._none)


def _split(pieces: Sequence[Piece], end: str | None) -> tuple[list[Piece], list[Piece]]:
    """The rows with ids below `end`, all without one; and the others."""
    below, others = [], []
    for piece in pieces:
        place = piece.table.num_rows if end is None else 0 if piece.first >= end else place_of(piece.table, end)
        if place:
            below.append(piece._replace(table=piece.table.slice(0, place)))
        if place < piece.table.num_rows:
            others.append(piece._replace(table=piece.table.slice(place), first=piece.table[ID][place].as_py()))
    return below, others


def _cuts(pieces: Sequence[Piece]) -> list[str]:
    """Ids at which to cut these rows, so that no part is much larger than TABLE_BYTES."""
    parts = ceil(sum(piece.width * piece.table.num_rows for piece in pieces) / TABLE_BYTES)
    if parts <= 1:
        return []
    ids = pa.chunked_array([chunk for piece in pieces for chunk in piece.table[ID].chunks])
    order = pc.sort_indices(ids)
    step = ceil(len(ids) / parts)
    return [ids[order[place].as_py()].as_py() for place in range(step, len(ids), step)]
