"""Which values are instants, and how text becomes one.

An instant is a point on the one time line: a `datetime` (naive means UTC), a `date` (its midnight UTC), or text that is
exactly an ISO 8601 date or date-time in the extended format:

    2024-01-31
    2024-01-31T23:59   2024-01-31T23:59:59   2024-01-31 23:59:59.123456   (a space may stand for the T, as in RFC 3339)
    …Z   …+01:00   …+01                                                   (no zone means UTC)

Text that is anything else (`2024`, `20240131`, `2024-W05`, `2024-02-30`, a stamp with blanks around it) is just text.
Instants are exact to the microsecond; further digits of a fraction (up to nine are read) are dropped.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timezone
from functools import lru_cache
from typing import Any

_ISO = re.compile(
    r"\d{4}-\d{2}-\d{2}"
    r"(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?(?:Z|[+-]\d{2}(?::\d{2})?)?)?",
    re.ASCII,
)
_SHORTEST, _LONGEST = len("2024-01-31"), len("2024-01-31T23:59:59.123456789+00:00")


def instant(value: Any) -> datetime | None:
    """The instant that `value` is, as an aware datetime with a fixed offset; None when it is no instant.

    Instants compare and hash by where they lie on the time line, whatever zone they were written in.
    """
    if isinstance(value, str):
        if _SHORTEST <= len(value) <= _LONGEST and value[4] == "-" == value[7]:
            return _parse(value)
        return None
    if isinstance(value, datetime):
        return _fixed(value)
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    return None


@lru_cache(maxsize=16_384)
def _parse(text: str) -> datetime | None:
    if not _ISO.fullmatch(text):
        return None
    try:
        return _fixed(datetime.fromisoformat(text))
    except ValueError:  # shaped like a date, but there is no such day, hour or offset
        return None


def _fixed(moment: datetime) -> datetime:
    """`moment` at a fixed offset from UTC.

    Python compares two datetimes of one zone by their clock faces, and never calls those in the repeated hour of a
    clock change equal to another zone's; fixed offsets have neither trap. (`astimezone(UTC)` overflows in the years 1
    and 9999.)
    """
    offset = moment.utcoffset()
    if not offset:
        return moment.replace(tzinfo=UTC)
    return moment.replace(tzinfo=timezone(offset), fold=0)
