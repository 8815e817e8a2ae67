"""How far back the bucket can tell what stood in it.

Since versioning was switched on for the first time every write and delete leaves its trace (past.py says what suspending it
changes). S3 does not say when that was. A version that has an id was written later; `enable_versioning()` writes one for that
purpose, `_jobs/versioning.json`. Without it the oldest version is looked for.

A rule with NoncurrentVersionExpiration deletes what has not been the present version for so many days:
https://docs.aws.amazon.com/AmazonS3/latest/userguide/intro-lifecycle-rules.html. What was deleted by hand nobody knows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from itertools import chain
from typing import Any

from dataknobs_data.exceptions import DataknobsDataError, IncompatibleStoreError
from dataknobs_data.s3.admin.control import Control
from dataknobs_data.s3.admin.lifecycle.rules import Selection, enabled
from dataknobs_data.s3.faults import translated
from dataknobs_data.s3.store import UNVERSIONED, Fault, Kind, ListedVersion
from dataknobs_data.s3.travel.moment import refuse, whole_second
from dataknobs_data.s3.travel.past import Past

SETTLING = timedelta(minutes=15)
"""After versioning was switched on for the first time, AWS may still write without for so long:
https://docs.aws.amazon.com/AmazonS3/latest/userguide/manage-versioning-examples.html."""

PARTS = "-"
"""In the ETag of what was uploaded in parts: such a version has the time when its upload began."""


@dataclass(frozen=True, slots=True)
class Clock:
    """The second that it is by the store's clock, and whether the bucket ever kept versions; None: that may not be seen."""

    now: datetime
    versions: bool | None


def clock_of(control: Control) -> Clock:
    """1 request; 2 where the identity may not see the switch. Raises IncompatibleStoreError where the store does not tell its
    time."""
    operation, doing = "GetBucketVersioning", "reading whether versions are kept"
    try:
        answer = control.attempt(operation)
    except Fault as fault:
        if fault.kind is not Kind.DENIED:
            raise control.error(operation, doing, fault) from fault
        return Clock(_time(control, _head_time(control, control.error(operation, doing, fault))), None)
    text = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
    return Clock(_time(control, parsedate_to_datetime(text) if text else None), bool(answer.get("Status")))


def _head_time(control: Control, error: DataknobsDataError) -> datetime | None:
    """The store's time, from an object that every database has. Raises `error` where it cannot be seen."""
    try:
        return control.caller.send("HeadObject", lambda store: store.head(control.keys.format)).now
    except Fault as fault:
        if fault.kind in (Kind.DENIED, Kind.MISSING):
            raise error from fault
        raise control.error("HeadObject", "asking for the store's time", fault) from fault


def _time(control: Control, now: datetime | None) -> datetime:
    if now is None:
        raise IncompatibleStoreError(
            f"{control.place}: this store does not tell its time (the header Date), so nothing has an age"
        )
    return whole_second(now)


class Horizon:
    """Whether a moment can be answered."""

    def __init__(self, control: Control, past: Past, clock: Clock) -> None:
        self._control = control
        self._past = past
        self._moment = past.moment
        self._clock = clock
        self._settling = SETTLING if control.place.behaves_like_aws else timedelta()

    def check(self) -> list[str]:
        """What one should know of it. Raises TimeTravelError where it cannot be answered."""
        since = self._versioned_since()
        if since is None:
            refuse(self._moment, "nothing proves that versions are kept; enable_versioning() does, from now on")
        days, notes = self._days()
        kept = None if days is None else self._clock.now - timedelta(days=days)
        earliest = max(since, kept or since)
        if self._moment.second < since:
            refuse(self._moment, "versioning was switched on later, as far as can be told", earliest)
        if self._moment.second < earliest:
            refuse(self._moment, f"a lifecycle rule deletes old versions after {days} days", earliest)
        if kept is not None:
            self._past.keep((self._moment.second - kept).total_seconds(), self._control.runtime)
        return notes

    # ------------------------------------------------------------------ since when
    def _versioned_since(self) -> datetime | None:
        """A second from which on versioning was surely on: the mark's, or the moment itself, or the earliest there is."""
        keys, found = self._control.keys, list[datetime]()
        with translated("looking since when versions are kept", self._control.place):
            pages = (page.items for page in self._past.pages(keys.prefix))
            for lines in chain(self._past.of(keys.versioning), pages):
                found = sorted([*found, *self._proofs(lines)])[:1]
                if found and found[0] <= self._moment.second:
                    break
        return found[0] if found else None

    def _proofs(self, lines: Iterable[ListedVersion]) -> list[datetime]:
        return [
            whole_second(line.modified) + self._settling
            for line in lines
            if line.version_id != UNVERSIONED and PARTS not in line.etag
        ]

    # ------------------------------------------------------------------ until when
    def _days(self) -> tuple[int | None, list[str]]:
        """Days after which a rule deletes versions of this database's objects, and what could not be seen."""
        operation = "GetBucketLifecycleConfiguration"
        try:
            answer = self._control.look(operation, "reading the lifecycle rules")
        except DataknobsDataError as error:
            if isinstance(error.__cause__, Fault) and error.__cause__.kind in (Kind.DENIED, Kind.UNSUPPORTED):
                return None, [f"whether a lifecycle rule has deleted old versions could not be seen: {error}"]
            raise
        return min(self._expirations((answer or {}).get("Rules", ())), default=None), []

    def _expirations(self, rules: Iterable[Any]) -> Iterator[int]:
        for rule in enabled(rules):
            days = rule.get("NoncurrentVersionExpiration", {}).get("NoncurrentDays")
            if days is not None and Selection.of(rule).meets(self._control.keys.prefix):
                yield int(days)
