"""Which past is meant: a second of the store's clock, and perhaps a version of the table."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import NoReturn

from dataknobs_data.exceptions import QueryError, TimeTravelError
from dataknobs_data.instants import instant
from dataknobs_data.runtime import iso_utc

SECOND = timedelta(seconds=1)
"""S3's LastModified has whole seconds: https://docs.aws.amazon.com/AmazonS3/latest/API/API_ObjectVersion.html shows it with zeros."""

Instant = datetime | date | str


@dataclass(frozen=True, slots=True)
class Moment:
    """The end of a second.

    second   it began then, by the store's clock (UTC)
    version  of the table, where that one was asked for; None: the newest of that second
    """

    second: datetime
    version: int | None = None

    def has(self, modified: datetime) -> bool:
        """Whether what was written then was there already."""
        return whole_second(modified) <= self.second

    def __str__(self) -> str:
        return shown(self.second) if self.version is None else f"table version {self.version} ({shown(self.second)})"


def whole_second(moment: datetime) -> datetime:
    """The second in which it lies, in UTC."""
    return moment.astimezone(UTC).replace(microsecond=0)


def second_of(timestamp: Instant) -> datetime:
    """The second that is meant. Without a zone it is UTC. Raises QueryError for what is no date and time."""
    found = instant(timestamp)
    if found is None:
        raise QueryError(
            f"at(timestamp={timestamp!r}): neither a datetime nor ISO 8601 text such as '2026-01-31T12:00:00Z'"
        )
    return whole_second(found)


def check_version(version: object) -> int:
    """`version`, if it can be one. Raises QueryError."""
    if isinstance(version, int) and not isinstance(version, bool) and version >= 0:
        return version
    raise QueryError(f"at(table_version={version!r}): a version of the table is a number from 0 on; log() lists them")


def shown(moment: datetime) -> str:
    """For people."""
    return iso_utc(moment).replace(".000000Z", "Z")


def refuse(moment: Moment | str, why: str, earliest: datetime | None = None, version: int | None = None) -> NoReturn:
    """Raises TimeTravelError: that past cannot be read, and which is the earliest that can (`version`: of the table)."""
    where = {"timestamp": moment.second, "table_version": moment.version} if isinstance(moment, Moment) else {}
    can = ""
    if earliest is not None:
        which = "" if version is None else f"table version {version}, of "
        can = f"; the earliest that can be read is {which}{shown(earliest)}"
    raise TimeTravelError(f"{moment} cannot be read: {why}{can}", earliest=earliest, earliest_version=version, **where)


def refuse_other(operation: str) -> NoReturn:
    """Raises TimeTravelError: the past has records, and does not change."""
    raise TimeTravelError(
        f"{operation} was not sent: a view of the past shows records and the table, and cannot be changed; use the database that "
        "at() was called on, and write there what you have read here",
        operation=operation,
    )
