"""How archived records stand, as the headers of their objects say, and what has come of a restore."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum

from dataknobs_data.exceptions import DataknobsDataError
from dataknobs_data.s3.costs.estimate import counted
from dataknobs_data.s3.costs.restoring import RestoreEstimate
from dataknobs_data.s3.store import Fault, Head, Kind, Listed
from dataknobs_data.s3.tombstones import KILLS

ARCHIVES = ("GLACIER", "DEEP_ARCHIVE")
"""Classes whose objects cannot be read before they are restored."""

TIERED = "INTELLIGENT_TIERING"
"""The class whose objects may have moved to an archive tier by themselves, which only HEAD tells."""

WAITING = ("requested", "in_progress")
"""Groups of what cannot be read yet."""

_ONGOING = re.compile(r'ongoing-request\s*=\s*"?(?P<ongoing>true|false)"?', re.IGNORECASE)
_EXPIRY = re.compile(r'expiry-date\s*=\s*"(?P<date>[^"]*)"', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class WholePack:
    """A pack with all that it holds, by its key."""

    key: str

    def __str__(self) -> str:
        return self.key


Target = str | WholePack
"""What is to be restored: a record, by its id, or a whole pack."""


class RestoreState(StrEnum):
    """How a record stands."""

    NOT_ARCHIVED = "not archived"
    ARCHIVED = "archived"
    IN_PROGRESS = "in progress"
    RESTORED = "restored"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class RestoreStatus:
    """How one record stands, or one pack.

    id          of the record; "": it is about a whole pack
    archive     where it lies archived: "GLACIER", "DEEP_ARCHIVE", or an archive tier of INTELLIGENT_TIERING
                ("ARCHIVE_ACCESS", "DEEP_ARCHIVE_ACCESS"); None where it does not
    until       when a restored copy goes away again, by the store's clock
    at          the store's clock when it said so, if it did
    size_bytes  of the document, or of its pack
    pack        the key of the pack in which it lies, together with others; None: it is an object
    """

    id: str
    state: RestoreState
    storage_class: str | None = None
    archive: str | None = None
    until: datetime | None = None
    at: datetime | None = None
    size_bytes: int = 0
    pack: str | None = None

    @property
    def readable(self) -> bool:
        """Whether `read(id)` finds it now."""
        return self.state in (RestoreState.RESTORED, RestoreState.NOT_ARCHIVED)

    @property
    def named(self) -> str:
        """What it is about, in words."""
        return f"record {self.id!r}" if self.id else f"pack {self.pack}"

    def __str__(self) -> str:
        until = f" until {self.until:%Y-%m-%d %H:%M} UTC" if self.until else ""
        return f"{self.id or self.pack}: {self.state}{until}"


def may_be_archived(line: Listed) -> bool:
    """Whether an object's class is one of those from which not everything can be read."""
    return line.storage_class in (*ARCHIVES, TIERED)


def status_of(id: str, head: Head | None, pack: str | None = None) -> RestoreStatus:
    """What the headers of a record's object say, or of its `pack`. Raises Fault where they make no sense.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html: x-amz-restore, x-amz-archive-status
    """
    if head is None or KILLS in head.metadata:
        return RestoreStatus(id, RestoreState.MISSING, pack=pack)
    archive = head.storage_class if head.storage_class in ARCHIVES else head.archive_status
    state, until = RestoreState.NOT_ARCHIVED, None
    if archive:
        state, until = _restore_of(head)
    return RestoreStatus(id, state, head.storage_class, archive or None, until, head.now, head.size, pack)


def target_of(status: RestoreStatus) -> Target:
    """What it is about."""
    return status.id or WholePack(status.pack or "")


def _restore_of(head: Head) -> tuple[RestoreState, datetime | None]:
    if not head.restore:
        return RestoreState.ARCHIVED, None
    found = _ONGOING.search(head.restore)
    if found is None:
        raise Fault(Kind.SERVER, f"its x-amz-restore header is none that S3 gives: {head.restore!r}")
    if found["ongoing"].lower() == "true":
        return RestoreState.IN_PROGRESS, None
    date = _EXPIRY.search(head.restore)
    until = _instant(date["date"], head.restore) if date else None
    if until and head.now and until <= head.now:  # moto 5.2 keeps the header of a copy that is gone
        return RestoreState.ARCHIVED, None
    return RestoreState.RESTORED, until


def _instant(text: str, header: str) -> datetime:
    for read in (parsedate_to_datetime, datetime.fromisoformat):
        try:
            moment = read(text)
        except ValueError:
            continue
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    raise Fault(Kind.SERVER, f"its x-amz-restore header has no date that S3 gives: {header!r}")


@dataclass(frozen=True)
class Restoration:
    """What has come of a restore so far; each record stands in one of the groups, and so does each whole pack.

    requested     restoring them was asked for now (of a dry run: would be)
    in_progress   they were being restored before
    restored      they can be read now; what was restored before among them, if need be for longer than it was
    not_archived  they can be read without
    missing       there is no such record
    failed        id, or key of a pack → why it was not asked for, or is not known how it stands
    packs         key → group, of packs that are restored with all that they hold, because a query may find records there
    estimate      what it costs and takes
    dry_run       nothing was asked for
    """

    days: int
    tier: str
    estimate: RestoreEstimate
    requested: tuple[str, ...] = ()
    in_progress: tuple[str, ...] = ()
    restored: tuple[str, ...] = ()
    not_archived: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    failed: Mapping[str, DataknobsDataError] = field(default_factory=dict)
    packs: Mapping[str, str] = field(default_factory=dict)
    dry_run: bool = False

    @property
    def waiting(self) -> tuple[str, ...]:
        """The ids that cannot be read yet: `restore_status(restoration.waiting)` tells how they stand."""
        return () if self.dry_run else (*self.requested, *self.in_progress)

    @property
    def waiting_packs(self) -> tuple[str, ...]:
        """The same for packs, by their keys."""
        return () if self.dry_run else tuple(key for key, group in self.packs.items() if group in WAITING)

    @property
    def done(self) -> bool:
        """Whether there is nothing to wait for."""
        return not self.waiting and not self.waiting_packs

    def counts(self) -> dict[str, int]:
        """How many records are in each group; those of whole packs are not counted."""
        groups = {
            "to be requested" if self.dry_run else "requested": self.requested,
            "in progress": self.in_progress,
            "restored": self.restored,
            "not archived": self.not_archived,
            "missing": self.missing,
            "failed": [id for id in self.failed if id not in self.packs],
        }
        return {name: len(ids) for name, ids in groups.items() if ids}

    def shown_packs(self) -> list[tuple[str, str]]:
        """Each pack with its group, in words."""
        over = {"requested": "to be requested"} if self.dry_run else {}
        return [(key, over.get(group, group.replace("_", " "))) for key, group in self.packs.items()]

    def pack_counts(self) -> dict[str, int]:
        """How many packs are in each group."""
        return dict(Counter(group for _, group in self.shown_packs()))

    def summary(self) -> str:
        """One line."""
        parts = [
            f"{counted(sum(counts.values()), noun)}: {', '.join(f'{number:,} {name}' for name, number in counts.items())}"
            for noun, counts in (("record", self.counts()), ("pack", self.pack_counts()))
            if counts
        ]
        return "; ".join(parts) or "no archived records"

    def __str__(self) -> str:
        return f"{self.summary()}\n{self.estimate}"
