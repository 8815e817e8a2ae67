"""Old packs and new documents → new packs, in bounded memory: what compaction and bulk updates put in the place of packs.

Old rows stay columns all the way. A row moves as it is, whatever columns were added since its pack was written: its values
that lie in `_rest` stay there (`shredding` says why that is the same record).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from dataknobs_data.documents import Document
from dataknobs_data.s3.table.merging import PACK, Fan, Source, in_order, merged, place_of
from dataknobs_data.s3.table.packs import GROUP_BYTES, Pack, PackFile
from dataknobs_data.s3.table.rows import Rows
from dataknobs_data.s3.table.shape import ID, Shape
from dataknobs_data.s3.table.shredding import Shredded
from dataknobs_data.s3.table.writing import WINDOW_FIRST, next_window

PART_BYTES = GROUP_BYTES
"""Rows that are written at a time, and the least that a pack has (but for one that has all), as Arrow holds them."""

_LOOSE_MAX = 16


class Names(NamedTuple):
    """What `packs.Pack` says of one that rows may come from."""

    rest: frozenset[str] | None
    nulls: frozenset[str]


def repacked(
    sources: Sequence[Source],
    fresh: Iterable[Document],
    shape: Shape,
    target_bytes: int,
    *,
    companion: bool = False,
    fan: Fan = map,
) -> Iterator[Pack]:
    """Packs of about `target_bytes` that hold the rows of the sources and the fresh documents; their ids do not overlap.

    fresh      in ascending order of ids, no id twice; an id that a source has too has both rows
    shape      that of the new packs: it has all columns of the old ones
    companion  as in `PackFile`

    Raises ValueError for documents out of order, SerializationError for a value that has no stored form, and what `merged`
    raises.
    """
    names = [Names(source.rest_names, source.null_names) for source in sources]
    rows = merged(sources, shape, fan=fan, numbered=True)
    output: _Output | None = None
    for part in _parts(_interleaved(rows, _shredded(fresh, shape, names))):
        if output is not None and output.size >= target_bytes:
            yield output.finish(names)
            output = None
        if output is None:
            output = _Output(part, shape, companion)
        output.write(part)
    if output is not None:
        yield output.finish(names)


class _Output:
    """A new pack in the making."""

    def __init__(self, first: pa.Table, shape: Shape, companion: bool) -> None:
        self._columns = list(shape.columns)
        self._file = PackFile(first.select(self._columns), shape, companion=companion)
        self._numbers: set[int] = set()

    @property
    def size(self) -> int:
        return self._file.size

    def write(self, rows: pa.Table) -> None:
        self._numbers.update(pc.unique(rows[PACK]).to_pylist())
        self._file.write(rows.select(self._columns))

    def finish(self, names: Sequence[Names]) -> Pack:
        """`names`: by the number in the rows' column PACK."""
        told = [names[number] for number in self._numbers]
        known = [one.rest for one in told if one.rest is not None]
        pack = self._file.finish(frozenset().union(*known), frozenset().union(*(one.nulls for one in told)))
        return pack if len(known) == len(told) else replace(pack, rest_names=None, null_names=frozenset())


def _shredded(fresh: Iterable[Document], shape: Shape, names: list[Names]) -> Iterator[pa.Table]:
    """The fresh documents as rows; each window's number is that of its entry in `names`."""
    remaining, size, last = iter(fresh), WINDOW_FIRST, ""
    while window := list(islice(remaining, size)):
        for document in window:
            if document.id <= last:
                raise ValueError(f"fresh documents must come in ascending order of ids: {document.id!r} after {last!r}")
            last = document.id
        shredded = Shredded(Rows.of(window), shape)
        table = shredded.table
        number = pa.repeat(pa.scalar(len(names), pa.int32()), table.num_rows)
        names.append(Names(frozenset(shredded.rest_names), frozenset(shredded.null_names)))
        size = next_window(len(window), table)
        yield table.append_column(PACK, number)


def _interleaved(*streams: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """Two streams of rows in order as one; rows of one id, which a stream has in one table, stay together."""
    heads = [head for stream in streams if (head := next(stream, None)) is not None]
    while len(heads) == 2:
        last = min(head[ID][-1].as_py() for head in heads)
        places = [place_of(head, last, after=True) for head in heads]
        yield in_order(
            [head.slice(0, place) for head, place in zip(heads, places, strict=True) if place], heads[0].slice(0, 0)
        )
        heads = [
            rest
            for stream, head, place in zip(streams, heads, places, strict=True)
            if (rest := head.slice(place) if place < head.num_rows else next(stream, None)) is not None
        ]
    yield from heads
    for stream in streams:  # one of the two has ended
        yield from stream


def _parts(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """The rows in tables of PART_BYTES at least; only where all rows are fewer there is a smaller one."""
    ready: pa.Table | None = None
    held: list[pa.Table] = []
    size = 0
    for table in tables:
        held.append(table)
        size += table.nbytes
        if len(held) >= _LOOSE_MAX:  # a slice keeps all of its row group in memory, a copy does not
            held = [pa.concat_tables(held).combine_chunks()]
        if size >= PART_BYTES:
            if ready is not None:
                yield ready
            ready, held, size = pa.concat_tables(held), [], 0
    last = held if ready is None else [ready, *held]
    if last:
        yield pa.concat_tables(last)
