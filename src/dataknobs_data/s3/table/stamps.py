"""Timestamps of records (`created_at`, `updated_at`: text) ⇄ timestamp columns.

Nearly all of them are what `runtime.iso_utc` writes, and Arrow turns those into instants and back by whole columns. Text
that would come back differently (another writer's `2024-05-01T00:00:00+00:00`) stands in its column as the instant that it
means, null where it means none, and besides as it is in the row's `_rest`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache

import pyarrow as pa
import pyarrow.compute as pc

from dataknobs_data.instants import instant
from dataknobs_data.s3.table.kinds import STAMP

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LEAST, _MOST = (
    (end.replace(tzinfo=UTC) - _EPOCH) // timedelta(microseconds=1) for end in (datetime.min, datetime.max)
)
"""An offset may lead out of the years 1 to 9999, which not every reader knows."""


def stamps_of(texts: Sequence[str]) -> tuple[pa.Array, list[int]]:
    """The column of these texts, and the positions of those that it would not give back as they are."""
    if texts.count(texts[0]) == len(texts):  # those of a load
        stamp, is_same = _stamp_of(texts[0])
        return pa.repeat(stamp, len(texts)), [] if is_same else list(range(len(texts)))
    return _stamps_of(texts)


def _stamps_of(texts: Sequence[str]) -> tuple[pa.Array, list[int]]:
    given = pa.array(texts, pa.string()).dictionary_encode()
    distinct = given.dictionary
    column = _usual(distinct)
    if column is not None:
        return column.take(given.indices), []
    column = pa.array(map(_microseconds, distinct.to_pylist()), pa.int64()).cast(STAMP)
    same = pc.fill_null(pc.equal(_texts(column), distinct), False)
    others = set(pc.filter(distinct, pc.invert(same)).to_pylist())
    return column.take(given.indices), [place for place, text in enumerate(texts) if text in others]


@lru_cache(maxsize=16)
def _stamp_of(text: str) -> tuple[pa.Scalar, bool]:
    """The instant, and whether it would be given back as it is."""
    column, others = _stamps_of([text])
    return column[0], not others


def _usual(distinct: pa.Array) -> pa.Array | None:
    """The column of texts that all read as we write them; None where one does not."""
    try:
        column = distinct.cast(STAMP)
    except pa.ArrowInvalid:
        return None
    return column if pc.all(pc.equal(_texts(column), distinct)).as_py() else None


def texts_of(column: pa.ChunkedArray) -> list[str | None]:
    """The column as text: ISO 8601, UTC, microseconds, `Z`."""
    given = column.combine_chunks().dictionary_encode()
    texts = _texts(given.dictionary).to_pylist()
    return [None if place is None else texts[place] for place in given.indices.to_pylist()]


def _texts(column: pa.Array) -> pa.Array:
    return pc.utf8_replace_slice(column.cast(pa.string()), 10, 11, "T")


def _microseconds(text: str) -> int | None:
    moment = instant(text)
    if moment is None:
        return None
    number = (moment - _EPOCH) // timedelta(microseconds=1)
    return number if _LEAST <= number <= _MOST else None
