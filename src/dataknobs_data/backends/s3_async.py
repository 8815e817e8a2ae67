"""The S3 database for asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from dataknobs_data.aio import AsyncSection
from dataknobs_data.backends.s3_database import S3Database, S3Past
from dataknobs_data.backends.s3_reads import AsyncReadsPastArchives
from dataknobs_data.backends.s3_sql import AsyncAnswersSql
from dataknobs_data.query import Query
from dataknobs_data.records import Record
from dataknobs_data.s3.admin.plan import Plan
from dataknobs_data.s3.admin.versions import Version
from dataknobs_data.s3.archive.choosing import Which
from dataknobs_data.s3.archive.run import next_step
from dataknobs_data.s3.archive.states import Restoration, RestoreStatus
from dataknobs_data.s3.costs.usage import Measured, Usage
from dataknobs_data.s3.delta import DeltaAddress
from dataknobs_data.s3.tags import TagReport
from dataknobs_data.s3.tiered.reports import (
    RETENTION,
    CompactProgress,
    CompactReport,
    LogEntry,
    TableStats,
    VacuumReport,
)

if TYPE_CHECKING:
    from dataknobs_data.s3.tiered.dataset import PackDataset
else:
    PackDataset = Any  # its module imports pyarrow


class AsyncS3Database(AsyncAnswersSql, AsyncReadsPastArchives):
    """`S3Database` for asyncio. The methods of its sections are awaited: `await db.lifecycle.add(…)`."""

    sync_class = S3Database
    sync: S3Database

    async def tags(self, id: str) -> TagReport | None:
        """See S3Database.tags."""
        return await self._run(self.sync.tags, id)

    @property
    def usage(self) -> Usage:
        """See S3Database.usage."""
        return self.sync.usage

    def measured(self) -> AbstractContextManager[Measured]:
        """See S3Database.measured."""
        return self.sync.measured()

    async def compact(
        self, *, full: bool = False, wait: bool = False, on_progress: Callable[[CompactProgress], None] | None = None
    ) -> CompactReport:
        """See S3Database.compact. `on_progress` is called in a worker thread."""
        return await self._run(self.sync.compact, full=full, wait=wait, on_progress=on_progress)

    async def vacuum(self, *, retention: timedelta = RETENTION, dry_run: bool = False) -> VacuumReport:
        """See S3Database.vacuum."""
        return await self._run(self.sync.vacuum, retention=retention, dry_run=dry_run)

    async def at(
        self, *, table_version: int | None = None, timestamp: datetime | date | str | None = None
    ) -> AsyncS3Past:
        """See S3Database.at."""
        return AsyncS3Past(await self._run(self.sync.at, table_version=table_version, timestamp=timestamp))

    async def log(self, limit: int = 20) -> list[LogEntry]:
        """See S3Database.log."""
        return await self._run(self.sync.log, limit)

    async def stats(self) -> TableStats:
        """See S3Database.stats."""
        return await self._run(self.sync.stats)

    async def dataset(self) -> PackDataset:
        """See S3Database.dataset. It is read blocking: `await asyncio.to_thread((await db.dataset()).to_table)`."""
        return await self._run(self.sync.dataset)

    async def delta(self, *, credentials: bool = True) -> DeltaAddress:
        """See S3Database.delta."""
        return await self._run(self.sync.delta, credentials=credentials)

    async def versioning(self) -> str | None:
        """See S3Database.versioning."""
        return await self._run(self.sync.versioning)

    async def enable_versioning(self, *, dry_run: bool = False) -> Plan:
        """See S3Database.enable_versioning."""
        return await self._run(self.sync.enable_versioning, dry_run=dry_run)

    async def suspend_versioning(self, *, dry_run: bool = False) -> Plan:
        """See S3Database.suspend_versioning."""
        return await self._run(self.sync.suspend_versioning, dry_run=dry_run)

    async def history(self, id: str, *, limit: int | None = None) -> list[Version]:
        """See S3Database.history."""
        return await self._run(self.sync.history, id, limit=limit)

    async def revert(self, id: str, version_id: str, *, expected_version: str | None = None) -> Record:
        """See S3Database.revert."""
        return await self._run(self.sync.revert, id, version_id, expected_version=expected_version)

    async def undelete(self, id: str, *, dry_run: bool = False) -> bool:
        """See S3Database.undelete."""
        return await self._run(self.sync.undelete, id, dry_run=dry_run)

    async def restore(
        self,
        which: Which,
        *,
        days: int = 7,
        tier: str = "Standard",
        wait: bool = False,
        timeout: float | None = None,
        on_progress: Callable[[Restoration], None] | None = None,
        dry_run: bool = False,
    ) -> Restoration:
        """See S3Database.restore. No thread waits, and a task that is canceled stops waiting at once; `on_progress` is
        called in a worker thread.
        """
        steps = self.sync._restoring(
            which, days=days, tier=tier, wait=wait, timeout=timeout, on_progress=on_progress, dry_run=dry_run
        )
        while isinstance(reached := await self._run(next_step, steps), float):
            await asyncio.sleep(reached)  # no thread waits for hours, and a task that is canceled stops at once
        return reached

    async def restore_status(self, which: str | Iterable[str] | Query) -> list[RestoreStatus]:
        """See S3Database.restore_status."""
        return await self._run(self.sync.restore_status, which)

    async def presign(self, id: str, seconds: int = 3600, *, version_id: str | None = None) -> str:
        """See S3Database.presign."""
        return await self._run(self.sync.presign, id, seconds, version_id=version_id)

    lifecycle = AsyncSection(S3Database.lifecycle)
    replication = AsyncSection(S3Database.replication)
    encryption = AsyncSection(S3Database.encryption)
    policy = AsyncSection(S3Database.policy)
    public_access = AsyncSection(S3Database.public_access)
    object_lock = AsyncSection(S3Database.object_lock)
    cost_tags = AsyncSection(S3Database.cost_tags)
    explain = AsyncSection(S3Database.explain)


class AsyncS3Past(AsyncS3Database):
    """`S3Past` for asyncio."""

    sync: S3Past

    def __init__(self, sync: S3Past) -> None:
        self._set_up(sync)

    @property
    def timestamp(self) -> datetime:
        """See S3Past.timestamp."""
        return self.sync.timestamp

    @property
    def table_version(self) -> int | None:
        """See S3Past.table_version."""
        return self.sync.table_version

    @property
    def notes(self) -> tuple[str, ...]:
        """See S3Past.notes."""
        return self.sync.notes
