"""The types that a column can have: exactly those whose Python values come back from Arrow and Parquet as they were.

Everything else (naive date-times and those of other zones, decimals, times, UUIDs, containers, integers beyond 64 bits)
lies in the column `_rest`. Delta's names: PROTOCOL.md, "Primitive Types".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from operator import attrgetter
from typing import Any

import pyarrow as pa

_INT64_MIN, _INT64_MAX = -(2**63), 2**63 - 1
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
STAMP = pa.timestamp("us", "UTC")
_ZONE, _FOLD = attrgetter("tzinfo"), attrgetter("fold")


@dataclass(frozen=True)
class Kind:
    """One column type. `takes`: whether a value of exactly the Python type `python` may stand in such a column (None: any
    may); `takes_all`: whether all of many may (None: Arrow itself refuses what `takes` does). `values`: the Python values of
    an Arrow column.
    """

    delta: str
    arrow: pa.DataType
    python: type
    takes: Callable[[Any], bool] | None = None
    takes_all: Callable[[Sequence[Any]], bool] | None = None
    values: Callable[[pa.ChunkedArray], list[Any]] = pa.ChunkedArray.to_pylist

    def accepts(self, value: Any) -> bool:
        """Whether `value` comes back from such a column as it is."""
        return type(value) is self.python and (self.takes is None or self.takes(value))

    def may_take(self, values: Sequence[Any], types: Set[type]) -> bool:
        """Whether such a column takes many values of these types, None aside, but for those that Arrow itself refuses."""
        if not types <= {self.python, type(None)}:
            return False
        if self.takes_all is None:
            return True
        return self.takes_all(values if type(None) not in types else [value for value in values if value is not None])


def _instants(column: pa.ChunkedArray) -> list[Any]:
    """As `to_pylist`, which would give a ZoneInfo where `datetime.UTC` was put in."""
    numbers = column.cast(pa.int64()).to_pylist()
    return [None if number is None else _EPOCH + timedelta(microseconds=number) for number in numbers]


def _is_plain_instant(value: datetime) -> bool:
    return value.tzinfo is UTC and not value.fold


def _are_plain_instants(values: Sequence[datetime]) -> bool:
    return {*map(id, map(_ZONE, values))} <= {id(UTC)} and not any(map(_FOLD, values))


_ALL = (
    Kind("string", pa.string(), str),
    Kind("long", pa.int64(), int, lambda value: _INT64_MIN <= value <= _INT64_MAX),
    Kind("double", pa.float64(), float),
    Kind("boolean", pa.bool_(), bool),
    Kind("timestamp", STAMP, datetime, _is_plain_instant, _are_plain_instants, _instants),
    Kind("date", pa.date32(), date),
    Kind("binary", pa.binary(), bytes),
)

BY_NAME = {kind.delta: kind for kind in _ALL}
BY_PYTHON = {kind.python: kind for kind in _ALL}


def kind_of(value: Any) -> Kind | None:
    """The type of the columns in which `value` can stand; None where it can stand in none."""
    kind = BY_PYTHON.get(type(value))
    return kind if kind is not None and kind.accepts(value) else None
