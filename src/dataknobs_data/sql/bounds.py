"""How far SQL can be trusted to compare as `matching` does: operands as windows of doubt.

Values that lie outside the window of an operand compare in SQL as they do in Python; inside it only Python knows. A
number is compared with numbers that went through decimal text or a database's own parser; an instant is compared with
texts in any time zone, of which only the date is looked at.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Context, Decimal
from typing import Generic, TypeVar

T = TypeVar("T")

_PRECISE = Context(prec=60)
_HUGE = Decimal("1E300")
_RELATIVE, _ABSOLUTE = Decimal("1E-12"), Decimal("1E-300")
_EXACT_MAX = 2**53  # up to here every integer is a float, and the shortest text of a float orders as the float does


@dataclass(frozen=True, slots=True)
class Window(Generic[T]):
    """Below `low` everything is less than the operand, above `high` greater; None: there is no such value."""

    low: T | None
    high: T | None


def number_window(operand: int | float | Decimal) -> Window[Decimal]:
    """The window of a number: a trillionth of it to either side. Not for NaN."""
    value = Decimal(operand)
    if value.copy_abs() > _HUGE:
        return Window(_HUGE, None) if value > 0 else Window(None, -_HUGE)
    margin = _PRECISE.add(_PRECISE.multiply(value.copy_abs(), _RELATIVE), _ABSOLUTE)
    return Window(_PRECISE.subtract(value, margin), _PRECISE.add(value, margin))


def exact_integer(operand: int | float | Decimal) -> int | None:
    """The integer that a number is, if it is one that every number type holds exactly. Not for NaN."""
    if not -_EXACT_MAX <= operand <= _EXACT_MAX:
        return None
    whole = int(operand)
    return whole if whole == operand else None


def instant_window(operand: datetime) -> Window[str]:
    """The window of an aware instant, as dates: offsets are less than a day, so the next date but one is beyond doubt."""
    offset = operand.utcoffset() or timedelta()
    naive = operand.replace(tzinfo=None)
    try:
        day = (naive - offset).date()
    except OverflowError:  # its UTC date lies in the year 0 or 10000; the local one is as good for the rest
        day = naive.date()
    return Window(_day(day, -2), _day(day, 3))


def _day(start: date, days: int) -> str | None:
    try:
        return (start + timedelta(days)).isoformat()
    except OverflowError:
        return None


def prefix_end(prefix: str) -> str | None:
    """The first text, by code point, after all texts that start with `prefix`; None where nothing comes after them."""
    for position in reversed(range(len(prefix))):
        successor = ord(prefix[position]) + 1
        if successor <= sys.maxunicode:
            successor = 0xE000 if successor == 0xD800 else successor  # surrogates are no characters
            return prefix[:position] + chr(successor)
    return None
