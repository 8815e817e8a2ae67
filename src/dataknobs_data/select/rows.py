"""Arrow → Python values of a result's rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pyarrow as pa
import pyarrow.types as kinds

from dataknobs_data.exceptions import QueryError

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Convert = Callable[[pa.Array], list[Any]]


def converters(schema: pa.Schema, types: Sequence[str]) -> list[Convert]:
    """For each column. `types`: what DuckDB calls them; of some of its types Arrow has only the bytes or the text."""
    return [_converter(field.type, kind) for field, kind in zip(schema, types, strict=True)]


def _converter(arrow: pa.DataType, kind: str) -> Convert:
    if kind in ("HUGEINT", "UHUGEINT"):  # sums of integers: Arrow has decimals for those
        return lambda column: [None if value is None else int(value) for value in column.to_pylist()]
    if kind == "UUID":
        return lambda column: [None if value is None else UUID(value) for value in column.to_pylist()]
    if kinds.is_timestamp(arrow):
        return _instants if arrow.tz else _moments
    if kinds.is_map(arrow):
        return lambda column: [None if value is None else dict(value) for value in column.to_pylist()]
    if kinds.is_interval(arrow):
        return lambda column: [_span(value) for value in column.to_pylist()]
    return _plain


def _plain(column: pa.Array) -> list[Any]:
    try:
        values: list[Any] = column.to_pylist()
    except (OverflowError, ValueError) as error:  # years before 1 or after 9999
        raise QueryError(f"SQL: a value is none that Python can hold ({error}); to_arrow() has it") from error
    return values


def _instants(column: pa.Array) -> list[Any]:
    return [None if number is None else _instant(number) for number in _microseconds(column)]


def _moments(column: pa.Array) -> list[Any]:
    return [None if number is None else _instant(number).replace(tzinfo=None) for number in _microseconds(column)]


def _microseconds(column: pa.Array) -> list[int | None]:
    numbers: list[int | None] = column.cast(pa.timestamp("us", column.type.tz), safe=False).cast(pa.int64()).to_pylist()
    return numbers


def _instant(microseconds: int) -> datetime:
    try:
        return _EPOCH + timedelta(microseconds=microseconds)
    except OverflowError as error:
        raise QueryError("SQL: a time is beyond the years 1 to 9999 that Python knows; to_arrow() has it") from error


def _span(value: Any) -> Any:
    """A timedelta, but for what has months: those are of no fixed length."""
    if value is None or value.months:
        return value
    return timedelta(days=value.days, microseconds=value.nanoseconds // 1000)


def rows_of(batch: pa.RecordBatch, names: Sequence[str], convert: Sequence[Convert]) -> Iterator[dict[str, Any]]:
    """The rows as dicts."""
    columns = [to_python(column) for to_python, column in zip(convert, batch.columns, strict=True)]
    return (dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True))
