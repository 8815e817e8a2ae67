"""How long ago something was committed, by the store's clock, and what may therefore be deleted.

Whoever looked at the log before a compaction committed may still expect to find the objects that it folded. So those stay
until the grace period is over: longer than the deadline of any operation. The compactor remembers nothing of them; the log
tells. A commit of a compaction says when that compaction began to list (COMPACTED_AT): objects written before that were seen
by it, and if they are folded now, or kill nothing any more, they may go once that commit, and every commit since that took
rows away, is older than the grace period.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from dataknobs_data.exceptions import IncompatibleStoreError
from dataknobs_data.s3.calls import Caller
from dataknobs_data.s3.keys import Keys
from dataknobs_data.s3.store import Listed
from dataknobs_data.s3.table.snapshot import Commit, Snapshot
from dataknobs_data.s3.tiered.loading import OPERATION as LOAD

COMPACTION = "COMPACT"
LISTED = "listed"
"""Parameter of a compaction's commit: the store's time before it began to list objects."""

ADDS_ONLY = frozenset({LOAD, "CREATE TABLE"})
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

    def __init__(self, snapshot: Snapshot | None, now: datetime, grace_seconds: float, deadline_seconds: float) -> None:
        self._commits = snapshot.commits if snapshot else ()
        self._now = now
        self._grace = timedelta(seconds=grace_seconds)
        self._operation = timedelta(seconds=deadline_seconds)

    def fence(self) -> datetime | None:
        """What was written before this, and is folded by now, may go; None: nothing may yet."""
        for commit in reversed(self._commits):
            if _operation(commit) in ADDS_ONLY:
                continue
            if commit.info is None or not self._is_past(commit, self._grace):
                return None
            if _operation(commit) == COMPACTION:
                return datetime.fromisoformat(_parameters(commit)[LISTED]) - CUT
        return None

    def newest(self) -> datetime | None:
        """As `fence`, however young: what was written before this has only to wait."""
        for commit in reversed(self._commits):
            if _operation(commit) == COMPACTION:
                return datetime.fromisoformat(_parameters(commit)[LISTED]) - CUT
            if _operation(commit) not in ADDS_ONLY:
                return None
        return None

    def is_past_grace(self, version: int) -> bool:
        """Whether the commit of that version is older than the grace period."""
        commit = next((one for one in self._commits if one.version == version), None)
        return commit is not None and self._is_past(commit, self._grace)

    def is_quiet(self) -> bool:
        """Whether every commit that took rows away, or moved them, is older than the grace period."""
        others = [commit for commit in self._commits if _operation(commit) not in ADDS_ONLY]
        return not others or self._is_past(others[-1], self._grace)

    def is_over(self, load: str) -> bool:
        """Whether the load of that birth, which is in the log, cannot be running any more."""
        commit = next((one for one in self._commits if one.job == load), None)
        if commit is None and self._commits:
            commit = self._commits[0]  # it was committed before that
        return commit is not None and self._is_past(commit, self._operation + self._grace)

    def is_settled(self, line: Listed) -> bool:
        """Whether whoever wrote this object cannot be running any more."""
        return self._now - line.modified > self._operation + self._grace + CUT

    def _is_past(self, commit: Commit, span: timedelta) -> bool:
        return commit.modified is not None and self._now - commit.modified > span + CUT


def _operation(commit: Commit) -> str:
    return str((commit.info or {}).get("operation", ""))


def _parameters(commit: Commit) -> Mapping[str, str]:
    return dict((commit.info or {}).get("operationParameters") or {})
