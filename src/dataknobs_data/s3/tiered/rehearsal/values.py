"""Values made up for a row group: as many of each column as there are rows, spread evenly between its bounds."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dataknobs_data.s3.table.reading import PackReader, bounds_of
from dataknobs_data.s3.table.shape import METADATA, REST
from dataknobs_data.s3.tiered.rehearsal.shares import distinct_in

_GOLDEN = (5**0.5 - 1) / 2
"""Its multiples, without their whole parts, are spread evenly however many there are."""

_TEXTS_MAX = 64
"""Different texts that are made up."""


def values_of(reader: PackReader, groups: Sequence[int], names: Sequence[str], known: Collection[str]) -> pa.Table:
    """Rows of these row groups, these columns of them. `known`: texts that may be among the values."""
    return pa.concat_tables([_group(reader, group, names, known) for group in groups])


def nulls_of(reader: PackReader, rows: int, names: Sequence[str]) -> pa.Table:
    """So many rows, where only their number matters."""
    schema = pa.schema([reader.shape.arrow.field(name) for name in names])
    return pa.table([pa.nulls(rows, field.type) for field in schema], schema=schema)


def _group(reader: PackReader, group: int, names: Sequence[str], known: Collection[str]) -> pa.Table:
    row_group, distinct = reader.metadata.row_group(group), distinct_in(reader, group)
    stored = reader.metadata.schema.names
    schema = pa.schema([reader.shape.arrow.field(name) for name in names])
    columns = []
    for number, field in enumerate(schema, 1):
        bounds = row_group.column(stored.index(field.name)).statistics
        if field.name in (METADATA, REST):  # which are JSON
            columns.append(pa.nulls(row_group.num_rows, field.type))
            continue
        nulls = bounds.null_count / max(row_group.num_rows, 1) if bounds is not None and bounds.has_null_count else 0.0
        shares = _shares(row_group.num_rows, number)
        made = _made(field.type, shares, *bounds_of(bounds), distinct(field.name), known)
        if nulls:
            absent = pc.less(_shares(row_group.num_rows, number + len(schema)), nulls)
            made = pc.if_else(absent, pa.scalar(None, field.type), made)
        columns.append(made)
    return pa.table(columns, schema=schema)


def _shares(rows: int, seed: int) -> pa.Array:
    """From 0 to 1, so many, in another order for each seed."""
    numbers = pc.cumulative_sum(pa.repeat(1.0, rows))  # a range of Python's takes fifty times as long
    found = pc.multiply(numbers, _GOLDEN + seed * _GOLDEN / 7)
    return pc.subtract(found, pc.floor(found))


def _made(
    kind: pa.DataType, shares: pa.Array, least: Any, most: Any, distinct: float, known: Collection[str]
) -> pa.Array:
    if least is None or most is None:
        return pa.nulls(len(shares), kind)
    if pa.types.is_string(kind):
        texts = pa.array(_texts(least, most, distinct, len(shares), known), kind)
        return texts.take(pc.cast(pc.floor(pc.multiply(shares, len(texts))), pa.int64()))
    if pa.types.is_boolean(kind):
        return pc.less(shares, 0.5) if least != most else pa.repeat(pa.scalar(least, kind), len(shares))
    if pa.types.is_floating(kind):
        return pc.add(pc.multiply(shares, most - least), least).cast(kind)
    whole = pa.int32() if pa.types.is_date32(kind) else pa.int64()
    low, high = (pa.scalar(one, kind).cast(whole).as_py() for one in (least, most))
    steps = pc.cast(pc.floor(pc.multiply(shares, float(high - low + 1))), whole, safe=False)
    return pc.min_element_wise(pc.add(steps, pa.scalar(low, whole)), pa.scalar(high, whole)).cast(kind)


def _texts(least: str, most: str, distinct: float, rows: int, known: Collection[str]) -> list[str]:
    """Of many different ones none is a known one, or one in so many rows would be."""
    number = int(min(distinct, _TEXTS_MAX))
    found = {least, most} | ({text for text in known if least <= text <= most} if distinct < rows else set())
    found |= {f"{least} {place}" for place in range(number - len(found))}
    return sorted(found)


def arrow_bytes(kind: pa.DataType, chunk: pq.ColumnChunkMetaData) -> int:
    """About how many bytes a column chunk takes in memory, where texts that repeat are written once each in the file."""
    rows, bounds = int(chunk.num_values), chunk.statistics
    nulls = int(bounds.null_count) if bounds is not None and bounds.has_null_count else 0
    validity = rows // 8 if nulls else 0
    if not (pa.types.is_string(kind) or pa.types.is_binary(kind)):
        return validity + rows * int(kind.bit_width) // 8
    least, most = bounds_of(bounds)
    length = (len(least) + len(most)) // 2 if isinstance(least, str | bytes) and isinstance(most, str | bytes) else 0
    return validity + 4 * rows + max((rows - nulls) * length, int(chunk.total_uncompressed_size))
