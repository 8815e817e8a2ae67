"""Which packs and row groups a condition of DuckDB's can be true in, by the bounds that are known of their columns.

Arrow decides that: `Dataset.get_fragments(filter)` leaves out the fragments whose guarantee contradicts the filter.
https://arrow.apache.org/docs/python/generated/pyarrow.dataset.Dataset.html. A guarantee is only stated where both bounds are known
and no value of the field lies outside the column: `column >= null` would contradict everything.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.fs

from dataknobs_data.instants import instant
from dataknobs_data.s3.relations.columns import Column, Stored, System, Typed
from dataknobs_data.s3.table.bounds import Stats

_FORMAT = ds.IpcFileFormat()
_NOWHERE = pyarrow.fs.LocalFileSystem()


def guaranteed(column: Column, stored: Stored) -> str | None:
    """The stored column of which every value of this one comes; None where others lie elsewhere."""
    if isinstance(column, System):
        return column.field
    if isinstance(column, Typed) and column.field in stored.kinds and not stored.lies_outside(column.field):
        return column.field
    return None


def surviving(
    condition: pc.Expression, columns: Sequence[Column], stored: Stored, facts: Iterable[Stats | None]
) -> list[int]:
    """Of statistics (None: nothing is known) the numbers of those under which the condition can be true.

    columns  those that it speaks of
    """
    schema = pa.schema([(column.name, column.type) for column in columns])
    fields = {column: field for column in columns if (field := guaranteed(column, stored))}
    fragments = [
        _FORMAT.make_fragment(str(number), _NOWHERE, partition_expression=_guarantee(fields, known))
        for number, known in enumerate(facts)
    ]
    dataset = ds.FileSystemDataset(fragments, schema, _FORMAT, _NOWHERE)
    return [int(fragment.path) for fragment in dataset.get_fragments(condition)]


def _guarantee(fields: Mapping[Column, str], known: Stats | None) -> pc.Expression:
    found = pc.scalar(True)
    if known is None:
        return found
    for column, field in fields.items():
        low, high = (_scalar(bounds.get(field), column.type) for bounds in (known.least, known.most))
        if known.nulls.get(field) == known.records:
            found &= pc.is_null(pc.field(column.name))
        elif low is not None and high is not None:
            found &= _between(pc.field(column.name), low, high, known.nulls.get(field) == 0)
    return found


def _between(field: pc.Expression, low: pa.Scalar, high: pa.Scalar, is_full: bool) -> pc.Expression:
    above, below = field >= low, field <= high
    return above & below if is_full else (above | field.is_null()) & (below | field.is_null())


def _scalar(value: Any, type: pa.DataType) -> pa.Scalar | None:
    """A bound as the column's values are; None where it is none of those."""
    if value is None:
        return None
    try:
        if pa.types.is_timestamp(type):
            return pa.scalar(instant(value), type)
        if pa.types.is_date(type):
            return pa.scalar(value if isinstance(value, date) else date.fromisoformat(value), type)
        return pa.scalar(value, type)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        return None
