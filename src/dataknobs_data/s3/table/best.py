"""Which rows of a pack can stand among the first of a sorted result, by whole columns.

`matching.order` sorts by kind first. One column has values of one kind, but for texts, of which some may be instants, and
doubles, of which some may be NaN: those sort as two columns do, in each of which the rows of the other have nothing. Rows
whose value lies outside its column (`locations`) are always kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from dataknobs_data.query import SortSpec
from dataknobs_data.s3.table.dated import dated_texts
from dataknobs_data.s3.table.kinds import Kind
from dataknobs_data.s3.table.locations import Rows
from dataknobs_data.s3.table.masks import Mask, array_of, both, either, inverted, mask_of
from dataknobs_data.s3.table.shape import ID, SYSTEM


class _Key(NamedTuple):
    """Values to sort by; null comes last in both directions."""

    values: pa.Array
    descending: bool = False


class _Spec(NamedTuple):
    """What one sort asks for: keys, most significant first, and the rows of which they say nothing."""

    keys: list[_Key]
    unknown: Mask


def best_rows(
    table: pa.Table,
    sort_specs: Sequence[SortSpec],
    count: int,
    kinds: Mapping[str, Kind],
    rest_names: frozenset[str] | None,
    sure: pa.BooleanArray | None = None,
) -> pa.Array | None:
    """The positions, ascending, of the rows that can be among the first `count` results; None: all of them.

    table  rows that may be results, with at least the columns that `locations.columns_for` names
    sure   those that certainly are: only they can push others out. None: all. A row that is passed over later (its record
           was deleted, say) must not be among them
    kinds, rest_names   see `filtering.judge_rows`
    """
    if table.num_rows <= count or ID not in table.column_names:
        return None
    if count == 0:
        return pa.array([], pa.uint64())
    rows = Rows(table, kinds, rest_names)
    specs = [_sorted_by(spec, rows) for spec in sort_specs]
    known = inverted(reduce(either, (spec.unknown for spec in specs), False))
    firm = both(known, True if sure is None else mask_of(pa.chunked_array([sure])))
    firm_rows = _positions(firm, table.num_rows)
    if len(firm_rows) < count:
        return None
    by_id = _Key(rows.column(ID, SYSTEM[ID]).combine_chunks())
    keys = [*(key for spec in specs for key in spec.keys), by_id]
    chosen, bound = _first(keys, count, firm_rows)
    kept = either(specs[0].unknown if specs else False, _up_to(bound, keys[0]))
    found = pa.concat_arrays([chosen, _positions(both(inverted(firm), kept), table.num_rows)])
    return None if len(found) == table.num_rows else found.take(pc.sort_indices(found))


def _positions(mask: Mask, rows: int) -> pa.UInt64Array:
    return pc.indices_nonzero(array_of(mask, rows))


# ---------------------------------------------------------------------------------------------- the first few
def _first(keys: Sequence[_Key], count: int, candidates: pa.UInt64Array) -> tuple[pa.UInt64Array, pa.Scalar | None]:
    """The first `count` of the candidates, and those that stand just there with the last of them; and the value of the
    first key up to which rows can be among them (None: any).

    What is before the count-th value of a key is chosen, and the next key decides among those that have it.
    """
    chosen: list[pa.UInt64Array] = []
    bounds: list[pa.Scalar | None] = []
    for key in keys:
        values = key.values.take(candidates)
        bound = _nth(_Key(values.drop_null(), key.descending), count)
        bounds.append(bound)
        if bound is None:
            before, there = pc.is_valid(values), pc.is_null(values)
        else:
            compare = pc.greater if key.descending else pc.less
            before, there = compare(values, bound), pc.equal(values, bound)
        chosen.append(candidates.filter(before))
        candidates = candidates.filter(there)
        count -= len(chosen[-1])
        if len(candidates) <= count:
            break
    return pa.concat_arrays([*chosen, candidates]), bounds[0]


def _nth(key: _Key, count: int) -> pa.Scalar | None:
    """The count-th of the values; None where they are fewer."""
    if len(key.values) < count:
        return None
    direction = "descending" if key.descending else "ascending"
    return key.values[pc.select_k_unstable(key.values, count, sort_keys=[("", direction)])[-1].as_py()]


def _up_to(bound: pa.Scalar | None, key: _Key) -> Mask:
    if bound is None:
        return True
    compare = pc.greater_equal if key.descending else pc.less_equal
    return pa.chunked_array([pc.fill_null(compare(key.values, bound), False)])


# ---------------------------------------------------------------------------------------------- keys of a column
def _sorted_by(spec: SortSpec, rows: Rows) -> _Spec:
    location = rows.location(spec.field)
    values, unknown = rows.values(location), rows.unknown(location)
    parts = [values]
    if pa.types.is_boolean(values.type):
        parts = [values.cast(pa.uint8())]
    elif pa.types.is_floating(values.type):
        parts = _numbers_then_nan(values)
    elif pa.types.is_string(values.type) and not location.only_text:
        parts, unread = _instants_then_texts(values)
        unknown = either(unknown, unread)
    if spec.descending:
        parts.reverse()
    return _Spec([_Key(part.combine_chunks(), spec.descending) for part in parts], unknown)


def _numbers_then_nan(values: pa.ChunkedArray) -> list[pa.ChunkedArray]:
    odd = mask_of(pc.fill_null(pc.is_nan(values), False))
    if odd is False:
        return [values]
    one = pa.scalar(1, pa.uint8())
    return [
        pc.if_else(odd, pa.scalar(None, values.type), values),
        pc.if_else(odd, one, pa.scalar(None, one.type)),
    ]


def _instants_then_texts(values: pa.ChunkedArray) -> tuple[list[pa.ChunkedArray], Mask]:
    """Two columns, and the rows that are in neither."""
    found = dated_texts(values)
    if found is None:
        return [values], False
    if found.plain is False:
        return [found.instants], found.unread
    return [found.instants, pc.if_else(found.plain, values, pa.scalar(None, values.type))], found.unread
