"""Companions of packs: small files with what identifies each row, so that nobody has to read a pack that is archived.

A companion has the columns `_id`, `_born`, `_revision` and `_created_at` of its pack, in its order. That is enough to tell
whether there is a record, to list and count, and to replace or delete one (an update keeps birth and creation). Companions
that were written before there was the last of these columns have it not; nobody but an update misses it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from zlib import crc32

import pyarrow as pa
import pyarrow.parquet as pq

from dataknobs_data.s3.table.parquet import GROUP_ROWS_MAX, options_of, tail_of
from dataknobs_data.s3.table.shape import BORN, CREATED, ID, REVISION

COLUMNS = (ID, BORN, REVISION, CREATED)


@dataclass(frozen=True)
class Companion:
    """A companion as it is put and published.

    tail, tail_crc   bytes at its end that hold no rows, and their CRC-32, as in `packs.Pack`
    """

    body: pa.Buffer
    tail: int
    tail_crc: int

    @property
    def size(self) -> int:
        """Bytes."""
        return int(self.body.size)

    @classmethod
    def of(cls, body: pa.Buffer) -> Companion:
        """Of its bytes. Raises what pyarrow raises for bytes that are no Parquet file."""
        tail = tail_of(pq.read_metadata(pa.BufferReader(body)), body.size)
        return cls(body, tail, crc32(body.slice(body.size - tail)))


def companion(rows: Iterable[pa.Table]) -> Companion:
    """The companion of a pack of these rows, which have at least COLUMNS."""
    ids = pa.concat_tables(table.select(COLUMNS) for table in rows)
    rows_of_a_group = min(GROUP_ROWS_MAX, max(ids.num_rows, 1))
    sink = pa.BufferOutputStream()
    pq.write_table(ids, sink, row_group_size=rows_of_a_group, **options_of(ids, rows_of_a_group))
    return Companion.of(sink.getvalue())
