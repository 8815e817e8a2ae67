"""What this process knows of the log, and how it is brought up to date."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace

from dataknobs_data.exceptions import DataFormatError, SnapshotExpiredError
from dataknobs_data.runtime import Runtime
from dataknobs_data.s3.calls import Deadline
from dataknobs_data.s3.table.folder import Folder
from dataknobs_data.s3.table.opening import LogReader
from dataknobs_data.s3.table.snapshot import Commit, Snapshot

LIST_BACK = 900
"""Commits of our own whose times the next listing brings along; a page has 1,000."""


class History:
    """The newest snapshot that any thread has seen. `place`: the log, for messages."""

    def __init__(self, reader: LogReader, runtime: Runtime, place: str) -> None:
        self._reader = reader
        self._runtime = runtime
        self._place = place
        self._known: Snapshot | None = None
        self._looked = False
        self._lock = threading.Lock()

    @property
    def known(self) -> Snapshot | None:
        """That snapshot, without a request."""
        return self._known

    def at_first(self, deadline: Deadline | None = None) -> Snapshot | None:
        """That snapshot; a process that has never looked does so."""
        return self._known if self._looked or self._known else self.refresh(deadline)

    def keep(self, snapshot: Snapshot | None) -> Snapshot | None:
        """Remembers the newer of this and the known snapshot of a table, and returns it."""
        with self._lock:
            known = self._known
            if snapshot and (
                not known or known.metadata.id != snapshot.metadata.id or known.version <= snapshot.version
            ):
                self._known = snapshot
            return self._known

    def know(self, other: History) -> None:
        """What another one knows of the same log."""
        self._known, self._looked = other._known, other._looked

    def _forget(self, snapshot: Snapshot) -> None:
        with self._lock:
            if self._known and self._known.metadata.id == snapshot.metadata.id:
                self._known = None

    def refresh(self, deadline: Deadline | None = None) -> Snapshot | None:
        """The table with every commit that was acknowledged before this call; None: there is no table.

        1 LIST and 1 GET for each new commit; see LogReader.open for the first time. Raises DataFormatError when commits are
        missing, damaged or were overwritten, SnapshotExpiredError when the table that was known is gone.
        """
        known = self._known
        if known is None:
            return self._first(deadline)
        seen = self._runtime.now()
        folder = self._reader.tail(_list_from(known), deadline)
        line = folder.entries.get(known.version)
        if line is None:
            return self._reopen(known, deadline)
        if line.etag != known.commits[-1].etag:
            self._forget(known)
            raise DataFormatError(
                f"{line.key} has been overwritten since it was read: this store ignores If-None-Match, or somebody put a "
                "backup in its place; what was committed in between may be lost",
                key=line.key,
            )
        newest = self._catch_up(folder, deadline)
        if newest is None:
            return self._reopen(known, deadline)
        return self.keep(replace(newest, seen=seen))

    def _first(self, deadline: Deadline | None) -> Snapshot | None:
        """Nothing is known. Where there was no table before, a listing says whether there still is none."""
        if self._looked and self._reader.folder(0, deadline).is_empty:
            return None
        opened = self.keep(self._reader.open(deadline))
        self._looked = True
        return opened

    def _catch_up(self, folder: Folder, deadline: Deadline | None) -> Snapshot | None:
        """The known snapshot with what the listing shows after it; None where only a new opening can tell."""
        known = self._known  # another thread may have come further meanwhile
        if known is None:
            return None
        newer = range(known.version + 1, max(folder.entries) + 1)
        if not all(version in folder.entries for version in newer):
            return None
        known = replace(known, commits=tuple(_with_time(commit, folder) for commit in known.commits))
        if not newer:
            return known
        try:
            entries = self._reader.entries([(version, folder.entries[version]) for version in newer], deadline)
        except SnapshotExpiredError:
            return None
        return known.after(entries, known.seen, self._place)

    def _reopen(self, known: Snapshot, deadline: Deadline | None) -> Snapshot:
        """The log was cleaned, or is another one."""
        opened = self._reader.open(deadline)
        self._forget(known)
        if opened is None:
            raise SnapshotExpiredError(f"{self._place}: the table that was read here is gone", place=self._place)
        if opened.metadata.id == known.metadata.id and opened.version < known.version:
            raise DataFormatError(
                f"{self._place}: the log ends with commit {opened.version}, but commit {known.version} was there before; "
                "if somebody put back a backup, start again",
                place=self._place,
            )
        self.keep(opened)
        return opened

    def commits_since(self, snapshot: Snapshot, version: int, deadline: Deadline | None = None) -> Sequence[Commit]:
        """The commits after `version` up to `snapshot`, oldest first, all with their info.

        No request where the snapshot remembers them. Raises SnapshotExpiredError when some are no longer in the log.
        """
        known = [commit for commit in snapshot.commits if commit.version > version and commit.info is not None]
        first_known = known[0].version if known else snapshot.version + 1
        if first_known == version + 1:
            return known
        folder = self._reader.folder(version + 1, deadline)
        missed = range(version + 1, first_known)
        if not all(number in folder.entries for number in missed):
            raise SnapshotExpiredError(
                f"{self._place}: commits after {version} have been cleaned away", place=self._place, version=version
            )
        entries = self._reader.entries([(number, folder.entries[number]) for number in missed], deadline)
        return [*(entry.commit for entry in entries), *known]


def _list_from(snapshot: Snapshot) -> int:
    """Where to begin a listing: at the version itself, to see whether it is still there, or at the first of our own commits
    before it whose time is not known yet."""
    timeless = (commit.version for commit in snapshot.commits[-LIST_BACK:] if commit.modified is None)
    return min(timeless, default=snapshot.version)


def _with_time(commit: Commit, folder: Folder) -> Commit:
    line = folder.entries.get(commit.version) if commit.modified is None else None
    return replace(commit, modified=line.modified) if line else commit
