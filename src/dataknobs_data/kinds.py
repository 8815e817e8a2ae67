"""What can be compared with what: the kinds of values, each with a key by which its values compare.

A reader takes any value and gives its key of that kind, or None where the value is of another. Two values are compared
as the first kind that both can be read as: a datetime and the text `2024-01-31T00:00Z` as instants, that text and
`soon` as texts, 1 and True as nothing at all. Within a kind, keys hash and compare without errors: those of ORDERED
kinds have a total order, the others only equality.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from dataknobs_data.instants import instant

Reader = Callable[[Any], Any]


def boolean(value: Any) -> bool | None:
    """True and False. They are no numbers here: 1 is not True."""
    return value if isinstance(value, bool) else None


def number(value: Any) -> int | float | Decimal | None:
    """Integers, floats and decimals, which Python compares exactly. NaN is of no kind: it equals nothing."""
    if isinstance(value, (int, float)):
        return value if value == value and not isinstance(value, bool) else None
    return value if isinstance(value, Decimal) and not value.is_nan() else None


def text(value: Any) -> str | None:
    """Strings, compared by code point."""
    return value if isinstance(value, str) else None


def clock(value: Any) -> timedelta | None:
    """Times of day, as the span since midnight UTC (naive means UTC)."""
    if not isinstance(value, time):
        return None
    span = timedelta(hours=value.hour, minutes=value.minute, seconds=value.second, microseconds=value.microsecond)
    return span - (value.utcoffset() or timedelta())


def span(value: Any) -> timedelta | None:
    """Time spans."""
    return value if isinstance(value, timedelta) else None


def binary(value: Any) -> bytes | None:
    """Bytes, compared byte by byte."""
    return bytes(value) if isinstance(value, (bytes, bytearray)) else None


def uuid(value: Any) -> UUID | None:
    """UUIDs, compared as 128-bit numbers."""
    return value if isinstance(value, UUID) else None


def sequence(value: Any) -> tuple[Any, ...] | None:
    """Lists and tuples, equal when their items are, one by one."""
    return tuple(map(canonical, value)) if isinstance(value, (list, tuple)) else None


def mapping(value: Any) -> frozenset[Any] | None:
    """Dicts, equal when they have the same keys with equal values."""
    return frozenset((key, canonical(item)) for key, item in value.items()) if isinstance(value, Mapping) else None


def collection(value: Any) -> frozenset[Any] | None:
    """Sets, equal when they have equal members."""
    return frozenset(map(canonical, value)) if isinstance(value, (set, frozenset)) else None


ORDERED: tuple[Reader, ...] = (boolean, number, instant, text, clock, span, binary, uuid)
"""The kinds that sort, in the order in which mixed values stand."""

KINDS: tuple[Reader, ...] = (*ORDERED, sequence, mapping, collection)
"""All kinds."""


def ranked(value: Any, kinds: Sequence[Reader]) -> tuple[int, Any] | None:
    """(position of the first of `kinds` that `value` is of, its key of that kind), None when it is of none."""
    for rank, read in enumerate(kinds):
        key = read(value)
        if key is not None:
            return rank, key
    return None


def canonical(value: Any, kinds: Sequence[Reader] = KINDS) -> Any:
    """A hashable stand-in: those of two values are equal exactly when the values are, None equal to None included."""
    if value is None:
        return None
    return ranked(value, kinds) or object()  # NaN equals nothing, not even itself
