"""How long ago something was committed, by the store's clock, and what may therefore be deleted.

Whoever looked at the log before a compaction committed may still expect to find the objects that it folded. So those stay
until the grace period is over: longer than the deadline of any operation. The log remembers it, not the compactor:

    a document whose revision equals its row's is folded, and a tombstone that kills nothing is buried. But it may have been
    put since (what a bulk update puts back in front of its row is as that row): whoever has listed what stood there before
    could still fold that. So its fence is a commit of a compaction that says that it began to list (LISTED) after the object
    was put: others commit in vain
    it may go once every commit that took rows away, or moved them, is older than the grace period
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from dataknobs_data.exceptions import IncompatibleStoreError
from dataknobs_data.s3.calls import Caller
from dataknobs_data.s3.keys import Keys
from dataknobs_data.s3.settings import S3Settings
from dataknobs_data.s3.store import Listed
from dataknobs_data.s3.table.snapshot import Commit, Snapshot
from dataknobs_data.s3.tiered.loading import OPERATION as LOAD

COMPACTION, CREATION, INDEXING = "COMPACT", "CREATE TABLE", "INDEX"
LISTED = "listed"
"""Parameter of a compaction's commit: the store's time before it began to list objects."""

ADDS_ONLY = frozenset({LOAD, CREATION})
"""Operations that take no row away."""

CUT = timedelta(seconds=1)
"""Times in HTTP headers and listings are cut to the second."""


def store_time(caller: Caller, keys: Keys) -> datetime:
    """The store's clock: 1 HEAD of the format file, which every database has."""
    head = caller.send("HeadObject", lambda store: store.head(keys.format))
    if head.now is None:
        raise IncompatibleStoreError("this store does not tell its time (the header Date), so nothing has an age")
    return head.now


class Ages:
    """Ages of what a snapshot's log says, at one moment of the store's clock."""

    def __init__(self, snapshot: Snapshot | None, now: datetime, settings: S3Settings) -> None:
        self._commits = snapshot.commits if snapshot else ()
        self._changes = [commit for commit in self._commits if self._may_have_moved(commit)]
        self._now = now
        self._grace = timedelta(seconds=settings.grace)
        self._operation = timedelta(seconds=settings.deadline)
        self._request = timedelta(seconds=settings.timeout)

    def _may_have_moved(self, commit: Commit) -> bool:
        """Whether it took rows away or moved them; or, for what is not remembered, one before it."""
        is_first_known = commit is self._commits[0] and commit.version > 0
        return is_first_known or _operation(commit) not in ADDS_ONLY | {INDEXING}

    @property
    def newest_change(self) -> int | None:
        """The version of the newest commit that took rows away, or moved them, or of one that is not older."""
        return self._changes[-1].version if self._changes else None

    def is_quiet(self) -> bool:
        """Whether that commit, if there is one, is older than the grace period."""
        return not self._changes or self._is_past(self._changes[-1], self._grace)

    def fence(self) -> datetime | None:
        """Objects put before this that change nothing by now only have to wait; None: no commit has shut them in.

        An object may bear the time at which its request began, so those of requests in flight are left out.
        """
        fence = next((commit for commit in reversed(self._changes) if _operation(commit) == COMPACTION), None)
        if fence is None:
            return None
        return datetime.fromisoformat(_parameters(fence)[LISTED]) - self._request - CUT

    def is_past_grace(self, version: int) -> bool:
        """Whether the commit of that version is older than the grace period."""
        return self._is_old([commit for commit in self._commits if commit.version == version], self._grace)

    def is_over(self, load: str) -> bool:
        """Whether the load of that birth, which is in the log, cannot be running any more."""
        return self._is_old([commit for commit in self._commits if commit.job == load], self._operation + self._grace)

    def is_outlived(self, line: Listed) -> bool:
        """Whether whoever began before this object was put cannot be running any more."""
        return self._now - line.modified > self._operation + CUT

    def is_settled(self, line: Listed) -> bool:
        """Whether whoever wrote this object cannot be running any more."""
        return self._now - line.modified > self._operation + self._grace + CUT

    def _is_old(self, found: Sequence[Commit], span: timedelta) -> bool:
        """Of a commit that, where it is not found, came before those that are remembered."""
        commits = [*found, *self._commits[:1]]
        return bool(commits) and self._is_past(commits[0], span)

    def _is_past(self, commit: Commit, span: timedelta) -> bool:
        return commit.modified is not None and self._now - commit.modified > span + CUT


def _operation(commit: Commit) -> str:
    return str((commit.info or {}).get("operation", ""))


def _parameters(commit: Commit) -> Mapping[str, str]:
    return dict((commit.info or {}).get("operationParameters") or {})
