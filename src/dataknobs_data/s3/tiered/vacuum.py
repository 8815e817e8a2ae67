"""Deleting the files that nobody can need any more: packs of older versions of the table, and packs never committed.

A pack or companion of ours is deleted when all of this holds, by the store's clock alone (`Date` against `LastModified`):

    the newest snapshot does not have it
    it was written longer ago than the retention             so nobody is about to commit it who has no journal
    no commit within the retention added or removed it       so nobody reads it who began within the retention
    no journal with a live heartbeat names it                so nobody is about to commit it at all

The order of looks matters. 1. the files, 2. the journals with their contents, 3. the snapshot, 4. the log's folder:

- Files before all else: what is written later is not in the listing, so it is not at stake. What is in the listing and is
  committed before the third look stands in the snapshot, or was removed again since.
- Journals before the log: a load keeps its journal until its commit is acknowledged. So a pack whose journal is gone at the
  second look has been committed, or given up for good, before the third. (The contents too: a journal that was listed and
  is gone when it is read stands for a load that is over.)
- The snapshot before the folder: what is removed after the third look was still in the snapshot; what is removed before the
  fourth stands in an entry of the folder. The other way round, a pack removed in between would be in neither.
- What is committed after the fourth look was named by a journal at the second, or is younger than the retention: no commit
  ever brings back a file that is no longer of the table.

Where cleaning has taken entries that may be younger than the retention (`upkeep.py`), who removed what cannot be told, and
nothing is deleted. Files are deleted last and were of no use to anyone, so a run may end at any request and another one goes
on where it ended. Files of other programs are not touched.

Marks of finished loads go when neither the snapshot nor a commit within the retention names their birth; a pack that lost
its tag never gets it back. Journals go when their last heartbeat is older than the retention.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from dataknobs_data.exceptions import ConfigurationError, DatabaseOperationError, IncompatibleStoreError
from dataknobs_data.s3.calls import Caller
from dataknobs_data.s3.costs.prices import default_prices
from dataknobs_data.s3.keys import Keys, companion_of
from dataknobs_data.s3.listing import PAGE_KEYS, Lister
from dataknobs_data.s3.store import Fault, Listed
from dataknobs_data.s3.table.actions import Add, Remove
from dataknobs_data.s3.table.features import check_writable
from dataknobs_data.s3.table.folder import Folder, plan_of
from dataknobs_data.s3.table.log import Log
from dataknobs_data.s3.table.snapshot import Snapshot
from dataknobs_data.s3.tiered.catalog import LOAD
from dataknobs_data.s3.tiered.journals import JOURNAL_LIVE, Journals, OpenJournal
from dataknobs_data.s3.tiered.reports import RETENTION, VacuumReport
from dataknobs_data.streaming import windows

RETENTION_MIN = timedelta(hours=24)
"""A load without a journal, or with one that is not followed by heartbeats, is over long before (`journals.py`)."""

ENTRIES_AT_ONCE = 1000
"""Commits that are held in memory together."""


@dataclass(slots=True)
class _Recent:
    """What commits within the retention speak of. `births` None: some say nothing of the tags of what they removed."""

    paths: set[str] = field(default_factory=set)
    births: set[str] | None = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class _Looks:
    """What was seen, in this order."""

    files: Mapping[str, Listed]
    marks: Mapping[str, datetime]
    journals: Collection[OpenJournal]
    snapshot: Snapshot

    @property
    def unneeded(self) -> list[str]:
        """Files that the newest snapshot does not have."""
        needed = _with_companions(self.snapshot.packs)
        return [path for path in self.files if path not in needed]

    @property
    def unnamed(self) -> list[str]:
        """Births with a mark that no pack names."""
        named = {(add.tags or {}).get(LOAD) for add in self.snapshot.packs.values()}
        return [birth for birth in self.marks if birth not in named]


class Vacuum:
    """Runs beside any number of readers, writers and others of its kind. Raises Fault where the store fails."""

    def __init__(self, caller: Caller, keys: Keys, log: Log, journals: Journals) -> None:
        self._caller = caller
        self._keys = keys
        self._log = log
        self._journals = journals
        self._lister = Lister(caller, keys)

    def run(self, retention: timedelta = RETENTION, *, dry_run: bool = False) -> VacuumReport:
        """Deletes what nobody can need who began to read within `retention`.

        LISTs of files, marks and log, a GET for each journal and each commit within the retention, 1 HEAD, then a
        DeleteObjects for each 1,000 files. Raises ConfigurationError for less than a day, or more than the log reaches
        back, DatabaseOperationError when some files could not be deleted, DataFormatError where the log is damaged.
        """
        if retention < RETENTION_MIN:
            raise ConfigurationError(
                f"vacuum: the retention is {retention}, but must be {RETENTION_MIN} or more: packs of loads that have not "
                "committed yet, and of readers that are not done, are told from waste by their age alone",
                key="retention",
            )
        looks = self._look()
        if looks is None or not (looks.unneeded or looks.unnamed or looks.journals):
            return VacuumReport(dry_run=dry_run)
        check_writable(looks.snapshot.protocol, looks.snapshot.metadata, self._log.place)
        folder = self._log.reader.folder(0, None)
        plan_of(folder, self._log.place)
        now = self._store_time(folder)
        recent = self._recent(folder, now, retention)
        doomed, report = _judged(looks, recent, now, retention)
        births, stale = _over(looks, recent, now - retention)
        if not dry_run:
            self._delete(doomed)
            self._journals.forget(births)
            self._journals.close(stale)
        return VacuumReport(
            files=len(doomed),
            bytes=sum(looks.files[path].size for path in doomed),
            loads=len(births) + len(stale),
            **_early([looks.files[path] for path in doomed], now),
            dry_run=dry_run,
            **report,
        )

    # ------------------------------------------------------------------ looks
    def _look(self) -> _Looks | None:
        """None: there is no table."""
        files = dict(self._files())
        loads = self._journals.folder()
        journals = self._journals.open_journals(loads.journals)
        snapshot = self._log.refresh()
        return None if snapshot is None else _Looks(files, loads.marks, journals, snapshot)

    def _files(self) -> Iterable[tuple[str, Listed]]:
        for prefix in (self._keys.packs, self._keys.ids):
            for page in self._lister.pages(prefix):
                for item in page.items:
                    if path := self._keys.table_path(item.key):
                        yield path, item

    def _store_time(self, folder: Folder) -> datetime:
        key = folder.entries[max(folder.entries)].key
        head = self._caller.send("HeadObject", lambda store: store.head(key))
        if head.now is None:
            raise IncompatibleStoreError(
                f"{key}: this store does not tell its time (the header Date), so nothing has an age"
            )
        return head.now

    def _recent(self, folder: Folder, now: datetime, retention: timedelta) -> _Recent:
        recent = _Recent()
        for lines in windows(_entries_since(folder, now, retention), ENTRIES_AT_ONCE):
            for entry in self._log.reader.entries(lines, None):
                for action in entry.actions:
                    if isinstance(action, (Add, Remove)):
                        _note(recent, action)
        return recent

    # ------------------------------------------------------------------ deleting
    def _delete(self, paths: Iterable[str]) -> None:
        """Goes on where one cannot be deleted (it may be locked), so that it is in nobody's way but its own."""
        failed: dict[str, Fault] = {}
        for chunk in windows(map(self._keys.table_file, paths), PAGE_KEYS):
            failed |= self._delete_page(chunk)
        for key, fault in failed.items():
            raise DatabaseOperationError(
                f"{key} could not be deleted, with {len(failed) - 1} more; the table is whole, vacuum it again: {fault}",
                key=key,
            ) from fault

    def _delete_page(self, keys: list[str]) -> dict[str, Fault]:
        return self._caller.send("DeleteObjects", lambda store: store.delete_many(keys))


def _entries_since(folder: Folder, now: datetime, retention: timedelta) -> list[tuple[int, Listed]]:
    """The commits within the retention. Raises ConfigurationError where cleaning may have taken some of them."""
    cutoff = now - retention
    first, last = min(folder.entries), max(folder.entries)
    young = min((number for number, line in folder.entries.items() if line.modified > cutoff), default=last + 1)
    wanted = range(young, last + 1)
    if (young == first and first > 0) or any(number not in folder.entries for number in wanted):
        known = now - folder.entries[first].modified
        raise ConfigurationError(
            f"vacuum: the retention is {retention}, but the log has been cleaned and reaches back {known} only, so what was "
            "removed from the table before that cannot be told from what nobody reads any more; nothing was deleted. Vacuum "
            f"with a shorter retention (at least {RETENTION_MIN}), or later, and clean the log with a longer one",
            key="retention",
        )
    return [(number, folder.entries[number]) for number in wanted]


def _note(recent: _Recent, action: Add | Remove) -> None:
    recent.paths.add(action.path)
    if action.tags is None and isinstance(action, Remove):
        recent.births = None
    elif recent.births is not None and (birth := (action.tags or {}).get(LOAD)):
        recent.births.add(birth)


def _judged(looks: _Looks, recent: _Recent, now: datetime, retention: timedelta) -> tuple[list[str], dict[str, int]]:
    """The files to delete, and how many are kept for which reason."""
    live = [journal for journal in looks.journals if journal.heartbeat > now - JOURNAL_LIVE]
    kept_for = {
        "kept_for_loads": _with_companions(path for journal in live for path in journal.packs),
        "kept_for_readers": _with_companions(recent.paths),
        "kept_young": _with_companions(path for path, line in looks.files.items() if line.modified > now - retention),
    }
    counts = dict.fromkeys(kept_for, 0)
    doomed: list[str] = []
    for path in looks.unneeded:
        reason = next((reason for reason, kept in kept_for.items() if path in kept), None)
        if reason is None:
            doomed.append(path)
        else:
            counts[reason] += 1
    return doomed, counts


def _early(doomed: Iterable[Listed], now: datetime) -> dict[str, Any]:
    """Of what is deleted: the files that are paid for longer, and what that costs at least, for they may have come to their
    class later than they were written.
    """
    prices = default_prices()
    costs = [prices.early(line.storage_class, line.size, now - line.modified) for line in doomed]
    return {"early": sum(cost > 0 for cost in costs), "early_dollars": sum(costs)}


def _over(looks: _Looks, recent: _Recent, cutoff: datetime) -> tuple[list[str], list[str]]:
    """Births whose marks nobody needs, and births with a journal that nobody keeps."""
    births = [] if recent.births is None else [birth for birth in looks.unnamed if birth not in recent.births]
    return (
        [birth for birth in births if looks.marks[birth] <= cutoff],
        [journal.birth for journal in looks.journals if journal.heartbeat <= cutoff],
    )


def _with_companions(packs: Iterable[str]) -> set[str]:
    return {path for pack in packs for path in (pack, companion_of(pack))}
