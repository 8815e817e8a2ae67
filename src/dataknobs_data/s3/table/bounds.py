"""Statistics of a pack for the log's add-action (PROTOCOL.md, "Per-file Statistics"): what a reader may skip it by.

Bounds are true for every row, in the order of all engines: strings by code point, numbers as IEEE 754 compares them. A
column has none where there is nothing to say: all null, binary, or a double that is NaN or no number of JSON. They speak of
columns only, so they say nothing of field values that lie in `_rest`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from dataknobs_data.s3.table.shape import ID

TEXT_MAX = 32
"""Characters that bounds of text have at most (but for ids): as many as Spark writes."""

_LAST, _SURROGATES = 0x10FFFF, range(0xD800, 0xE000)


@dataclass(frozen=True)
class Stats:
    """What the log says of a pack, by column name. `least` and `most` are plain JSON values."""

    records: int
    least: Mapping[str, Any]
    most: Mapping[str, Any]
    nulls: Mapping[str, int]

    def to_json(self) -> str:
        """The add-action's `stats`."""
        tree = {
            "numRecords": self.records,
            "minValues": self.least,
            "maxValues": self.most,
            "nullCount": self.nulls,
        }
        return json.dumps(tree, ensure_ascii=False, separators=(",", ":"), allow_nan=False)

    def with_more(self, other: Stats) -> Stats:
        """The statistics of both; bounds only where both have them, or one has no value at all."""
        return Stats(
            self.records + other.records,
            self._bounds(other, self.least, other.least, min),
            self._bounds(other, self.most, other.most, max),
            {name: count + other.nulls[name] for name, count in self.nulls.items()},
        )

    def _bounds(
        self, other: Stats, ours: Mapping[str, Any], theirs: Mapping[str, Any], outer: Callable[[Any, Any], Any]
    ) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, nulls in self.nulls.items():
            if name in ours and name in theirs:
                found[name] = outer(ours[name], theirs[name])
            elif name in ours and other.nulls[name] == other.records:
                found[name] = ours[name]
            elif name in theirs and nulls == self.records:
                found[name] = theirs[name]
        return found

    @classmethod
    def from_json(cls, text: str) -> Stats:
        """The inverse of `to_json`; other writers may say less."""
        tree = json.loads(text)
        return cls(
            tree["numRecords"], tree.get("minValues") or {}, tree.get("maxValues") or {}, tree.get("nullCount") or {}
        )


def stats_of(table: pa.Table) -> Stats:
    """The statistics of these rows."""
    least: dict[str, Any] = {}
    most: dict[str, Any] = {}
    for name in table.column_names:
        low, high = _bounds(table[name], math.inf if name == ID else TEXT_MAX)
        if low is not None:
            least[name] = low
        if high is not None:
            most[name] = high
    return Stats(table.num_rows, least, most, {name: table[name].null_count for name in table.column_names})


def _bounds(column: pa.ChunkedArray, longest: float) -> tuple[Any, Any]:
    kind = column.type
    if pa.types.is_binary(kind) or column.null_count == len(column):
        return None, None
    if pa.types.is_floating(kind):
        return _float_bounds(column)
    found = pc.min_max(column)
    if pa.types.is_timestamp(kind):
        return _stamp(found["min"]), _stamp(found["max"])
    low, high = found["min"].as_py(), found["max"].as_py()
    if pa.types.is_string(kind):
        return (low, high) if longest is math.inf else (low[:TEXT_MAX], _above(high))
    return (low.isoformat(), high.isoformat()) if pa.types.is_date(kind) else (low, high)


def _stamp(value: pa.Scalar) -> str:
    text = str(value.cast(pa.string()))
    return f"{text[:10]}T{text[11:]}"


def _float_bounds(column: pa.ChunkedArray) -> tuple[float | None, float | None]:
    if pc.any(pc.is_nan(column)).as_py():
        return None, None
    found = pc.min_max(column)
    low, high = found["min"].as_py() or -0.0, found["max"].as_py() or 0.0  # a zero of either sign lies between
    return (low if math.isfinite(low) else None), (high if math.isfinite(high) else None)


def _above(text: str) -> str | None:
    """The text itself where it is short, else a short one above all that begin as it does; None where there is none."""
    if len(text) <= TEXT_MAX:
        return text
    start = text[:TEXT_MAX]
    while start:
        following = ord(start[-1]) + 1
        if following <= _LAST:
            return start[:-1] + chr(_SURROGATES.stop if following in _SURROGATES else following)
        start = start[:-1]
    return None
