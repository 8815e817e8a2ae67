"""How columns are laid out in Parquet files of ours, and where such a file's rows end."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dataknobs_data.s3.table.kinds import STAMP
from dataknobs_data.s3.table.shape import ID

GROUP_ROWS_MAX = 1 << 15
"""Rows of a row group."""

_LEVEL = 3
BLOOM_WRONG = 0.01
"""Share of absent ids of which the bloom filter says "perhaps"."""

_SAMPLE = 4096


def tail_of(metadata: pq.FileMetaData, size: int) -> int:
    """How many bytes at the end of a Parquet file of that size hold no rows."""
    return size - max((end_of(metadata.row_group(group)) for group in range(metadata.num_row_groups)), default=0)


def end_of(group: pq.RowGroupMetaData) -> int:
    """Where a row group ends."""
    chunks = (group.column(place) for place in range(group.num_columns))
    return max(start_of(chunk) + int(chunk.total_compressed_size) for chunk in chunks)


def start_of(chunk: pq.ColumnChunkMetaData) -> int:
    """Where a column chunk begins: its dictionary comes first, where it has one."""
    dictionary = chunk.dictionary_page_offset
    return int(chunk.data_page_offset if not dictionary else min(dictionary, chunk.data_page_offset))


def options_of(first: pa.Table, rows: int) -> dict[str, Any]:
    """How to write rows like these, which come in the order of their ids, in row groups of so many."""
    repeated = [name for name in first.column_names if _repeats(first[name])]
    chosen = {
        name: encoding
        for name in first.column_names
        if name not in repeated and (encoding := _encoding(name, first[name].type))
    }
    return {
        "compression": "zstd",
        "compression_level": _LEVEL,
        "use_dictionary": repeated,
        "column_encoding": chosen,
        "sorting_columns": [pq.SortingColumn(0)],
        "write_page_index": True,
        "write_page_checksum": True,
        "bloom_filter_options": {ID: {"ndv": rows, "fpp": BLOOM_WRONG}},
        "store_schema": False,
    }


def _repeats(column: pa.ChunkedArray) -> bool:
    """Whether a dictionary pays: values come twice, on the average of a sample."""
    if pa.types.is_boolean(column.type):
        return False
    sample = column.slice(0, _SAMPLE)
    return bool(pc.count_distinct(sample).as_py() * 2 <= len(sample))


def _encoding(name: str, kind: pa.DataType) -> str | None:
    if name == ID:
        return "DELTA_BYTE_ARRAY"  # sorted, so neighbors begin alike
    return "DELTA_BINARY_PACKED" if kind in (pa.int64(), STAMP) else None
