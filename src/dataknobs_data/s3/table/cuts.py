"""Where an operand lies among the values that a column can hold, so that comparing with it is exact.

Python compares an integer with a Decimal, or a float with a huge integer, as the numbers they are; Arrow would cast one to
the other's type first. So an operand that is no value of the column's type becomes the nearest one, and the side of it on
which the operand lies; between the two there is no other value.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from dataknobs_data.instants import instant
from dataknobs_data.kinds import binary, boolean, number
from dataknobs_data.s3.table.kinds import Kind

_INT64_MIN, _INT64_MAX = -(2**63), 2**63 - 1
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SURROGATE = re.compile("[\ud800-\udfff]")
_AFTER_SURROGATES = "\ue000"


class Cut(NamedTuple):
    """`point` is a value as Arrow takes it; the operand lies there (`side` 0), just below (-1) or just above (1)."""

    point: Any
    side: int = 0


def cut_of(operand: Any, kind: Kind) -> Cut | None:
    """Where `operand` lies; None where no value of a column of that type compares with it.

    Texts are taken as texts: which of them are instants is not known here.
    """
    return _CUTS[kind.delta](operand)


def _text(operand: Any) -> Cut | None:
    if not isinstance(operand, str):
        return None
    text = str.__str__(operand)
    lone = _SURROGATE.search(text)
    return Cut(text[: lone.start()] + _AFTER_SURROGATES, -1) if lone else Cut(text)


def _long(operand: Any) -> Cut | None:
    key = number(operand)
    if key is None:
        return None
    if key > _INT64_MAX:
        return Cut(_INT64_MAX, 1)
    if key < _INT64_MIN:
        return Cut(_INT64_MIN, -1)
    whole = math.floor(key)
    return Cut(whole, 0 if whole == key else 1)


def _double(operand: Any) -> Cut | None:
    key = number(operand)
    if key is None:
        return None
    try:
        near = float(key)
    except OverflowError:  # an integer; a Decimal becomes infinite by itself
        near = math.inf if key > 0 else -math.inf
    return Cut(near, (key > near) - (key < near))


def _boolean(operand: Any) -> Cut | None:
    key = boolean(operand)
    return None if key is None else Cut(key)


def _binary(operand: Any) -> Cut | None:
    key = binary(operand)
    return None if key is None else Cut(key)


def _since_epoch(unit: timedelta) -> Callable[[Any], Cut | None]:
    def cut(operand: Any) -> Cut | None:
        moment = instant(operand)
        if moment is None:
            return None
        units, more = divmod(moment - _EPOCH, unit)
        return Cut(int(units), 1 if more else 0)

    return cut


_CUTS: Mapping[str, Callable[[Any], Cut | None]] = {
    "string": _text,
    "long": _long,
    "double": _double,
    "boolean": _boolean,
    "timestamp": _since_epoch(timedelta(microseconds=1)),
    "date": _since_epoch(timedelta(days=1)),
    "binary": _binary,
}
