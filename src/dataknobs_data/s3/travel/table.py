"""The table as it was: its log, opened at a moment, and whether the packs of that version are still there."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime
from typing import NoReturn

from dataknobs_data.exceptions import DataFormatError, SnapshotExpiredError
from dataknobs_data.s3.calls import Deadline
from dataknobs_data.s3.fanout import FanOut
from dataknobs_data.s3.keys import Keys
from dataknobs_data.s3.layout import Layout, Parts
from dataknobs_data.s3.listing import Lister
from dataknobs_data.s3.table.actions import Add, Remove
from dataknobs_data.s3.table.folder import ENTRY, Folder
from dataknobs_data.s3.table.log import Log
from dataknobs_data.s3.table.snapshot import Entry, Snapshot
from dataknobs_data.s3.tiered.layout import TieredLayout
from dataknobs_data.s3.tiered.table import Table, View
from dataknobs_data.s3.travel.moment import Moment, refuse, whole_second
from dataknobs_data.s3.travel.past import Past, Versions
from dataknobs_data.streaming import windows

ENTRIES_AT_ONCE = 100


def table_of(layout: Layout) -> Table:
    """The table of a layout that has one: whoever asks has made sure of that."""
    assert isinstance(layout, TieredLayout), "there are two layouts"
    return layout.table


class PastTable(Table):
    """One version of the table, whatever is committed later. `parts`: of the past."""

    def __init__(self, parts: Parts) -> None:
        settings = parts.settings
        super().__init__(parts.caller, parts.keys, parts.runtime, settings.max_workers, settings.cache_bytes // 2)
        self._then: Snapshot | None = None

    def open(self) -> Snapshot | None:
        """Reads the log: 2 LISTs, 3 with a checkpoint, and a GET of the hint, of the checkpoint and of each commit after it."""
        self._then = self.log.refresh()
        return self._then

    def look(self, deadline: Deadline | None, name: str) -> View:
        """That version: nothing is sent."""
        self._readers.begin()
        return self.view(self._then)


class PastLog:
    """Opens the table at a moment, or says which is the earliest that can be opened. `now`: the present log."""

    def __init__(self, past: Past, now: Log, many: FanOut) -> None:
        self._past = past
        self._now = now
        self._many = many
        self._lister = Lister(past.caller, past.keys)

    def open(self, table: PastTable) -> Snapshot | None:
        """None: there was no table then. Raises TimeTravelError where its log or its packs are gone."""
        try:
            snapshot = table.open()
        except (DataFormatError, SnapshotExpiredError) as error:
            folder = self._now.reader.folder(0, None)
            _refuse_before(self._past.moment, folder, f"the log of that time has been cleaned away ({error})")
        self._check_is_newest(-1 if snapshot is None else snapshot.version)
        if snapshot is not None:
            self._check_packs(snapshot)
        return snapshot

    def _check_is_newest(self, version: int) -> None:
        """Looks whether what follows in the log came later: of a log that was cleaned, versions may be gone at any end."""
        past, after = self._past, version + 1
        if version == past.moment.version or past.next_commit == after:
            return
        later = self._now.reader.folder(after, None)
        if later.is_empty or after in later.entries or past.newest(past.keys.log_file(after, ENTRY)) is not None:
            return
        _refuse_before(past.moment, self._now.reader.folder(0, None), "the log of that time has been cleaned away")

    # ------------------------------------------------------------------ packs that were vacuumed
    def _check_packs(self, snapshot: Snapshot) -> None:
        """1 LIST for each 1,000 packs that there are, and one for each that was vacuumed since."""
        lying = self._lying()
        gone = self._gone(snapshot.packs, lying)
        if not gone:
            return
        first = self._first_with_all(snapshot, gone, lying)
        why = f"{len(gone)} of its {len(snapshot.packs)} packs have been vacuumed"
        if first is None:
            refuse(self._past.moment, why)
        refuse(self._past.moment, why, whole_second(first[1]), first[0])

    def _lying(self) -> set[str]:
        """The paths of packs that there are now."""
        keys = self._past.keys
        paths = (keys.table_path(item.key) for page in self._lister.pages(keys.packs) for item in page.items)
        return {path for path in paths if path}

    def _gone(self, packs: Collection[str], lying: set[str]) -> set[str]:
        """Those of which not even an older version is left."""
        doubtful = [path for path in packs if path not in lying]
        left = self._many.map(lambda path: self._past.newest(self._past.keys.table_file(path)), doubtful)
        return {path for path, line in zip(doubtful, left, strict=True) if line is None}

    def _first_with_all(self, snapshot: Snapshot, gone: set[str], lying: set[str]) -> tuple[int, datetime] | None:
        """The first later version all of whose packs are there, and when it was committed."""
        missing, known = set(gone), set(snapshot.packs)
        for entry in self._later(snapshot.version):
            added = {action.path for action in entry.actions if isinstance(action, Add)} - known
            known |= added
            missing |= self._gone(added, lying)
            missing -= {action.path for action in entry.actions if isinstance(action, Remove)}
            if not missing and entry.commit.modified is not None:
                return entry.commit.version, entry.commit.modified
        return None

    def _later(self, version: int) -> Iterator[Entry]:
        entries = self._now.reader.folder(version + 1, None).entries
        for window in windows(sorted(entries.items()), ENTRIES_AT_ONCE):
            yield from self._now.reader.entries(window, None)


def moment_of(version: int, versions: Versions, keys: Keys, now: Log) -> Moment:
    """When that version was committed: 1 LIST. Raises TimeTravelError where the log does not have it any more, or yet."""
    lines = [
        line for lines in versions.of(keys.log_file(version, ENTRY)) for line in lines if not line.is_delete_marker
    ]
    if not lines:
        _refuse_unknown(version, now.reader.folder(0, None))
    # Those before the newest may be of a log that was here before.
    newest = max(lines, key=lambda line: (line.is_latest, line.modified))
    return Moment(whole_second(min(line.modified for line in lines if line.etag == newest.etag)), version)


def _refuse_unknown(version: int, folder: Folder) -> NoReturn:
    name = f"table version {version}"
    if folder.is_empty:
        refuse(name, "there is no table: nothing has been loaded or compacted yet")
    if version > max(folder.entries):
        refuse(name, f"the newest version of the table is {max(folder.entries)}")
    _refuse_before(name, folder, "its commit has been cleaned away")


def _refuse_before(what: Moment | str, folder: Folder, why: str) -> NoReturn:
    first = _first_whole(folder)
    refuse(what, why, None if first is None else whole_second(folder.entries[first].modified), first)


def _first_whole(folder: Folder) -> int | None:
    """The first version that what is left of the log tells."""
    if 0 in folder.entries:
        return 0
    return min(folder.checkpoints.keys() & folder.entries.keys(), default=None)
