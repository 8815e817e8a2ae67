"""What is done with the table as a whole: compaction, vacuum, its history and numbers, and other programs that read it.

Raises public errors.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from dataknobs_data.exceptions import ConfigurationError
from dataknobs_data.s3.delta import DeltaAddress
from dataknobs_data.s3.faults import translated
from dataknobs_data.s3.layout import Parts
from dataknobs_data.s3.tiered.cold import lines_of
from dataknobs_data.s3.tiered.compaction import Compaction
from dataknobs_data.s3.tiered.dropping import Progress
from dataknobs_data.s3.tiered.indexing import Indexed, Indexing
from dataknobs_data.s3.tiered.journals import Journals
from dataknobs_data.s3.tiered.overview import history, table_stats
from dataknobs_data.s3.tiered.reports import CompactReport, LogEntry, TableStats, VacuumReport
from dataknobs_data.s3.tiered.table import Table
from dataknobs_data.s3.tiered.tiers import Tiers
from dataknobs_data.s3.tiered.vacuum import Vacuum

if TYPE_CHECKING:
    from dataknobs_data.s3.tiered.dataset import PackDataset


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
            report = Compaction(tiers, tiers.can, on_progress).run(full=full, wait=wait)
            return replace(report, indexed=Indexing(tiers).heal())

    def index(self) -> Indexed:
        """Gives every pack a companion, and has those to come written with one."""
        tiers = self._tiers()
        with translated("writing companions of packs", self._parts.place):
            return Indexing(tiers).run()

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
            packs = self._table.view(snapshot).packs
            loads = {pack.load for pack in packs if pack.load}
            unfinished = loads - self._journals.finished(loads) if loads else set()
            folder = log.reader.folder(0, None)
            lines, target = lines_of(parts, packs), parts.settings.pack_target_bytes
            return table_stats(snapshot, folder, hot, unfinished, lines=lines, pack_target_bytes=target)

    # ------------------------------------------------------------------ for other programs
    def dataset(self) -> PackDataset:
        """See S3Database.dataset. Objects are looked for first: one that is folded in between has its row in the table then."""
        from dataknobs_data.s3.tiered.dataset import pack_dataset  # imports pandas, by way of pyarrow.dataset

        parts = self._parts
        with translated("looking at the table", parts.place):
            pages = parts.lister.record_pages(parts.keys.prefix)
            exact = not any(parts.keys.id(item.key) is not None for page in pages for item in page.items)
            return pack_dataset(parts, self._table.view(self._table.log.refresh()), exact=exact)

    def delta(self, *, credentials: bool) -> DeltaAddress:
        """See S3Database.delta."""
        from dataknobs_data.s3.stores.connection import access_of  # imports an SDK

        parts, place = self._parts, self._parts.place
        if place.mocked or place.bucket.startswith("arn:"):
            what = "moto's mock ends" if place.mocked else "an ARN is known"
            raise ConfigurationError(
                f"other programs cannot reach {place}: {what} at this process; use moto's server, or the access point's alias"
            )
        access = access_of(parts.settings)
        key_id, secret, token = (access.key_id, access.secret, access.token) if credentials else (None, None, None)
        return DeltaAddress(
            place.bucket,
            parts.keys.table.rstrip("/"),
            access.region,
            None if place.is_aws else place.endpoint,
            key_id,
            secret,
            token,
        )
