"""A result as a Parquet file, in bounded memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

from dataknobs_data.exceptions import QueryError

if TYPE_CHECKING:
    from pyarrow import RecordBatch

    from dataknobs_data.select.results import SqlResult

GROUP_ROWS, GROUP_BYTES = 1 << 17, 64 << 20
"""Of a row group, whichever is reached first."""


def write_parquet(result: SqlResult, sink: BinaryIO) -> int:
    """Writes what is left of a result; how many rows. Raises QueryError where a column's type has no place in Parquet."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        writer = pq.ParquetWriter(sink, result.schema, compression="zstd")
    except pa.ArrowNotImplementedError as error:
        raise QueryError(
            f"SQL: a column is of a type that Parquet does not have: {error}; CAST it to VARCHAR"
        ) from error
    written = 0
    with writer:
        waiting: list[RecordBatch] = []
        for batch in result.batches():
            waiting.append(batch)
            if sum(one.num_rows for one in waiting) >= GROUP_ROWS or sum(one.nbytes for one in waiting) >= GROUP_BYTES:
                written += _write(writer, waiting)
        written += _write(writer, waiting)
    return written


def _write(writer: object, waiting: list[RecordBatch]) -> int:
    import pyarrow as pa

    if not waiting:
        return 0
    table = pa.Table.from_batches(waiting)
    writer.write_table(table, row_group_size=GROUP_ROWS)  # type: ignore[attr-defined]  # pyarrow has no types
    waiting.clear()
    return int(table.num_rows)
