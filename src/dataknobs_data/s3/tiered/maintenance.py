"""What is done to the table as a whole, for people: compaction, vacuum, its history and its numbers. Raises public errors."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from dataknobs_data.s3.faults import translated
from dataknobs_data.s3.layout import Parts
from dataknobs_data.s3.tiered.compaction import Compaction
from dataknobs_data.s3.tiered.dropping import Progress
from dataknobs_data.s3.tiered.journals import Journals
from dataknobs_data.s3.tiered.overview import history, table_stats
from dataknobs_data.s3.tiered.reports import CompactReport, LogEntry, TableStats, VacuumReport
from dataknobs_data.s3.tiered.table import Table
from dataknobs_data.s3.tiered.tiers import Tiers
from dataknobs_data.s3.tiered.vacuum import Vacuum


class Maintenance:
    """Of one database in the tiered layout. `tiers`: what writes, which is made ready (and may write to that end) when it is
    first needed: whoever may only read can look all the same.
    """

    def __init__(self, parts: Parts, table: Table, tiers: Callable[[], Tiers]) -> None:
        self._parts = parts
        self._table = table
        self._tiers = tiers
        self._journals = Journals(parts.caller, parts.keys)

    def compact(self, *, full: bool, wait: bool, on_progress: Progress | None) -> CompactReport:
        """See S3Database.compact."""
        tiers = self._tiers()
        with translated("compacting", self._parts.place):
            return Compaction(tiers, tiers.can, on_progress).run(full=full, wait=wait)

    def vacuum(self, retention: timedelta, *, dry_run: bool) -> VacuumReport:
        """See S3Database.vacuum."""
        with translated("vacuuming", self._parts.place):
            vacuum = Vacuum(self._parts.caller, self._parts.keys, self._table.log, self._journals)
            return vacuum.run(retention, dry_run=dry_run)

    def log(self, limit: int) -> list[LogEntry]:
        """See S3Database.log."""
        with translated("reading the log", self._parts.place):
            log = self._table.log
            snapshot = log.refresh()
            return history(log, snapshot, limit) if snapshot else []

    def stats(self) -> TableStats:
        """See S3Database.stats."""
        parts, log = self._parts, self._table.log
        with translated("looking at both tiers", parts.place):
            hot = parts.lister.records()
            snapshot = log.refresh()
            loads = {pack.load for pack in self._table.view(snapshot).packs if pack.load}
            unfinished = loads - self._journals.finished(loads) if loads else set()
            folder = log.reader.folder(0, None)
            return table_stats(snapshot, folder, hot, unfinished, pack_target_bytes=parts.settings.pack_target_bytes)
