"""Masks of rows, constant ones included: what is known for all rows at once costs nothing.

In an array, null is what another mask decides: `False` beside False, `True` beside True (Kleene's logic).
"""

from __future__ import annotations

from typing import TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

Mask: TypeAlias = "bool | pa.ChunkedArray"
"""True or False for every row, or a chunked array of booleans."""


def mask_of(array: pa.ChunkedArray) -> Mask:
    """`array`, which has no nulls, as a constant where it is one."""
    if not pc.any(array, min_count=0).as_py():
        return False
    return True if pc.all(array, min_count=0).as_py() else array


def both(left: Mask, right: Mask) -> Mask:
    """And."""
    if left is False or right is False:
        return False
    if left is True:
        return right
    return left if right is True else pc.and_kleene(left, right)


def either(left: Mask, right: Mask) -> Mask:
    """Or."""
    if left is True or right is True:
        return True
    if left is False:
        return right
    return left if right is False else pc.or_kleene(left, right)


def inverted(mask: Mask) -> Mask:
    """Not."""
    return not mask if isinstance(mask, bool) else pc.invert(mask)


def array_of(mask: Mask, rows: int) -> pa.BooleanArray:
    """The mask of that many rows as an array."""
    if isinstance(mask, bool):
        return pa.repeat(mask, rows)
    return mask.combine_chunks()
