"""Packs: Parquet files of many records, sorted by id.

What a point read needs decides how they are laid out: a row group of about GROUP_BYTES is fetched with one range, its
bounds and its bloom filter say whether it can hold an id, and those stand with the footer at the end of the file, so that
one more range (`Pack.tail` bytes) fetches them all. Format: https://parquet.apache.org/docs/file-format/
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from zlib import crc32

import pyarrow as pa
import pyarrow.parquet as pq

from dataknobs_data.documents import Document
from dataknobs_data.s3.table.bounds import Stats, stats_of
from dataknobs_data.s3.table.companions import COLUMNS, Companion, companion
from dataknobs_data.s3.table.parquet import GROUP_ROWS_MAX, options_of, tail_of
from dataknobs_data.s3.table.rows import Rows
from dataknobs_data.s3.table.shape import METADATA, Shape
from dataknobs_data.s3.table.shared import Shared
from dataknobs_data.s3.table.shredding import Shredded

GROUP_BYTES = 1 << 20
"""Of a row group, as Arrow holds it; a quarter to a fifth of that in the file."""

REST_NAMES_MAX = 100
WINDOW = 8192
"""Documents that are turned into columns at a time, at most."""


@dataclass(frozen=True)
class Pack:
    """A pack as it is put and published.

    tail        bytes at its end that hold all but the rows: bloom filters, page index, footer
    tail_crc    their CRC-32: pages of columns have one in the file, what says where they lie has none
    rest_names  names of fields of which a value that is not null lies in `_rest`; None where these and the next are more
                than REST_NAMES_MAX. The bounds of a column say nothing of those values
    null_names  names of other fields without a column: all their values are null
    companion   the file that goes with it (`companions.py`), where one was asked for
    shared      metadata that all its rows have, as JSON has it
    """

    body: pa.Buffer
    shape: Shape
    stats: Stats
    tail: int
    tail_crc: int
    rest_names: frozenset[str] | None
    null_names: frozenset[str] = frozenset()
    companion: Companion | None = None
    shared: Mapping[str, Any] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Bytes."""
        return int(self.body.size)


class PackFile:
    """A pack in the making, in memory: whole row groups go out as soon as they are full.

    `write` takes rows in the order of their ids, all of one schema.
    """

    def __init__(self, first: pa.Table, shape: Shape, *, companion: bool = False) -> None:
        """`first`: rows by which the encodings and the size of row groups are chosen."""
        average = max(first.nbytes / max(first.num_rows, 1), 1)
        self._rows = max(1, min(GROUP_ROWS_MAX, int(GROUP_BYTES / average)))
        self._shape = shape
        self._sink = pa.BufferOutputStream()
        self._writer = pq.ParquetWriter(self._sink, shape.arrow, **options_of(first, self._rows))
        self._pending: list[pa.Table] = []
        self._waiting = 0
        self._stats: Stats | None = None
        self._ids: list[pa.Table] | None = [] if companion else None
        self._shared = Shared()

    @property
    def size(self) -> int:
        """Bytes so far."""
        return int(self._sink.tell())

    def write(self, table: pa.Table) -> int:
        """Adds rows; the size then."""
        if self._ids is not None:
            self._ids.append(table.select(COLUMNS))
        self._pending.append(table)
        self._waiting += table.num_rows
        full = self._waiting - self._waiting % self._rows
        if full:
            rows = pa.concat_tables(self._pending)
            self._put(rows.slice(0, full))
            self._pending = [rows.slice(full)]
            self._waiting -= full
        return self.size

    def _put(self, rows: pa.Table) -> None:
        self._writer.write_table(rows, row_group_size=self._rows)
        stats = stats_of(rows)
        self._stats = stats if self._stats is None else self._stats.with_more(stats)
        self._shared.add(rows[METADATA])

    def finish(self, rest_names: Iterable[str], null_names: Iterable[str]) -> Pack:
        """The pack. `null_names` may have some that are columns, or among the `rest_names`."""
        names = frozenset(rest_names)
        nulls = frozenset(null_names) - names - self._shape.places.keys()
        known = len(names) + len(nulls) <= REST_NAMES_MAX
        if self._waiting:
            self._put(pa.concat_tables(self._pending))
        self._writer.close()
        body = self._sink.getvalue()
        tail = tail_of(pq.read_metadata(pa.BufferReader(body)), body.size)
        return Pack(
            body=body,
            shape=self._shape,
            stats=self._stats or stats_of(self._shape.arrow.empty_table()),
            tail=tail,
            tail_crc=crc32(body.slice(body.size - tail)),
            rest_names=names if known else None,
            null_names=nulls if known else frozenset(),
            companion=None if self._ids is None else companion(self._ids),
            shared=self._shared.found,
        )


def encode(documents: Iterable[Document], shape: Shape, *, companion: bool = False) -> Pack:
    """One pack of these documents, at least one. Raises SerializationError for a value that has no stored form."""
    every = sorted(documents, key=lambda document: document.id)
    parts = [Shredded(Rows.of(every[start : start + WINDOW]), shape) for start in range(0, len(every), WINDOW)]
    file = PackFile(parts[0].table, shape, companion=companion)
    for part in parts:
        file.write(part.table)
    rest_names = set().union(*(part.rest_names for part in parts))
    return file.finish(rest_names, set().union(*(part.null_names for part in parts)))
