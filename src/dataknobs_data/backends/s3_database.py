"""The S3 database, blocking, and what it was at a moment of the past."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

from dataknobs_data.backends.s3_reads import ReadsPastArchives
from dataknobs_data.backends.s3_sql import AnswersSql
from dataknobs_data.documents import check_id
from dataknobs_data.engine import Engine
from dataknobs_data.exceptions import DataknobsDataError
from dataknobs_data.records import Record
from dataknobs_data.runtime import Runtime
from dataknobs_data.s3.admin.cost_tags import CostTags
from dataknobs_data.s3.admin.encryption import BucketEncryption
from dataknobs_data.s3.admin.lifecycle.section import Lifecycle
from dataknobs_data.s3.admin.object_lock import ObjectLock
from dataknobs_data.s3.admin.plan import Plan
from dataknobs_data.s3.admin.policy.section import BucketPolicy
from dataknobs_data.s3.admin.presign import presigned
from dataknobs_data.s3.admin.public_access import PublicAccess
from dataknobs_data.s3.admin.replication.section import Replication
from dataknobs_data.s3.admin.versions import History, Version, Versioning
from dataknobs_data.s3.archive.choosing import Which
from dataknobs_data.s3.archive.restore import Archive
from dataknobs_data.s3.archive.run import Steps, finished
from dataknobs_data.s3.archive.states import Restoration, RestoreStatus
from dataknobs_data.s3.costs.explain import Explain
from dataknobs_data.s3.costs.usage import Measured, Usage
from dataknobs_data.s3.delta import DeltaAddress
from dataknobs_data.s3.engine import S3Engine
from dataknobs_data.s3.recovery import Recovery
from dataknobs_data.s3.settings import s3_settings
from dataknobs_data.s3.tags import TagReport
from dataknobs_data.s3.tiered.reports import (
    RETENTION,
    CompactProgress,
    CompactReport,
    LogEntry,
    TableStats,
    VacuumReport,
)
from dataknobs_data.s3.travel.engine import PastEngine, past_of
from dataknobs_data.s3.travel.moment import refuse, refuse_other

if TYPE_CHECKING:
    from dataknobs_data.s3.tiered.dataset import PackDataset
    from dataknobs_data.s3.tiered.maintenance import Maintenance
else:
    PackDataset = Any  # its module imports pyarrow

logger = logging.getLogger("dataknobs_data.s3")


class S3Database(AnswersSql, ReadsPastArchives):
    """Records as objects `{prefix}{id}.json` of a bucket, on AWS or any compatible store.

    The settings are those of `dataknobs_data.s3.settings.S3Settings`; only `bucket` is required. It connects on first
    use and may be shared by threads; at most `max_workers` requests are in flight.

    What S3 offers beside objects stands in sections (`db.lifecycle`, `db.policy`, …). Whatever changes the bucket takes
    `dry_run=True`, and returns a Plan: what is there, what will be, and what one should know. What others have put there
    stays.
    """

    backend = "s3"

    @classmethod
    def make_engine(cls, config: dict[str, Any], runtime: Runtime) -> Engine:
        return S3Engine(s3_settings(config), runtime)

    def _s3(self) -> S3Engine:
        return cast("S3Engine", self._ready())

    def tags(self, id: str) -> TagReport | None:
        """The object tags of a record, as the store has them; None where there is no record.

        `.skipped` of the answer names the metadata that is not among them, and why. Of a record that lies in a pack they are the
        pack's (`.pack` is its key).
        """
        return self._s3().tags(check_id(id))

    @property
    def usage(self) -> Usage:
        """The requests sent by this database since it was opened, by S3 operation, with bytes and dollars."""
        return self._s3().usage

    @contextmanager
    def measured(self) -> Iterator[Measured]:
        """What is sent meanwhile, by whatever thread: `with db.measured() as spent: …`, then `spent.usage`."""
        measured = Measured(lambda: self.usage)
        try:
            yield measured
        finally:
            measured.stop()

    # ------------------------------------------------------------------ the table
    def compact(
        self, *, full: bool = False, wait: bool = False, on_progress: Callable[[CompactProgress], None] | None = None
    ) -> CompactReport:
        """Moves single records into packs, and makes packs anew of which a tenth is dead. Harmless beside any other work, at
        any time, any number of times.

        full         leaves no dead row and no small or overlapping pack: what other engines read is then what we read
        wait         come back when the objects that were folded are deleted too, after the grace period; without it the next
                     compaction deletes them

        Warns of lifecycle rules that will delete or archive what the database needs, where this identity may read them.

        Raises IncompatibleStoreError where the store has no conditional DELETE, ConfigurationError in the objects layout.
        """
        report = self._maintenance().compact(full=full, wait=wait, on_progress=on_progress)
        return replace(report, warnings=(*report.warnings, *self._dangers()))

    def _dangers(self) -> tuple[str, ...]:
        try:
            found = self.lifecycle.dangers()
        except DataknobsDataError as error:
            logger.debug("whether a lifecycle rule endangers the database could not be seen: %s", error)
            return ()
        for danger in found:
            logger.warning("beware, lifecycle %s", danger)
        return tuple(found)

    def vacuum(self, *, retention: timedelta = RETENTION, dry_run: bool = False) -> VacuumReport:
        """Deletes packs that are no part of the table any more, and have not been for `retention` (a day at least).

        Older versions of the table cannot be read any more after that.
        """
        return self._maintenance().vacuum(retention, dry_run=dry_run)

    def at(self, *, table_version: int | None = None, timestamp: datetime | date | str | None = None) -> S3Past:
        """This database as it was, to be read only: single records from the versions that the bucket keeps, and the table.

        table_version  the table as that commit left it, and single records as they were at the end of the second in which it
                       was written; `log()` lists commits
        timestamp      both tiers at the end of that second, by the store's clock; text is ISO 8601, UTC where it names no zone

        Waits until that second is over, if it is the present one. Raises TimeTravelError where it cannot be told what was
        there: the bucket keeps no versions (`enable_versioning`) or did not then, or they have been deleted since. Where there is
        an earliest moment that can be read, `context["earliest"]` has it.
        """
        return S3Past(past_of(self._s3(), table_version, timestamp))

    def log(self, limit: int = 20) -> list[LogEntry]:
        """What was committed to the table, newest first."""
        return self._maintenance().log(limit)

    def stats(self) -> TableStats:
        """Both tiers in numbers, with advice."""
        return self._maintenance().stats()

    def dataset(self) -> PackDataset:
        """The table's packs as a `pyarrow.dataset.Dataset`, for Arrow, DuckDB, Polars and all that take one.

        Filters leave out whole packs and row groups; requests go through this database, which has to stay open. These are the
        rows of the table, and not of objects before it: `.exact` of the answer says whether that is the same, as it is after
        compact(full=True, wait=True) until the next write. Otherwise records that were written singly are missing, and rows of
        changed and deleted ones are still there; `select_query` sees what is. What the columns mean: docs/howto/open-table.md.

        A few listings. Raises ConfigurationError in the objects layout.
        """
        return self._maintenance().dataset()

    def delta(self, *, credentials: bool = True) -> DeltaAddress:
        """Where the table is, for programs that read Delta Lake tables by themselves; `dataset` says what they see there.

        credentials  False: not those of this database; the program finds its own
        """
        return self._maintenance().delta(credentials=credentials)

    def _maintenance(self) -> Maintenance:
        return self._s3().maintenance()

    # ------------------------------------------------------------------ versions
    def versioning(self) -> str | None:
        """Whether the bucket keeps versions: "Enabled", "Suspended", or None where it never did."""
        return Versioning(self._s3().control).status()

    def enable_versioning(self, *, dry_run: bool = False) -> Plan:
        """From now on a write or delete keeps what was there before, for `history`, `revert` and `undelete`.

        It holds for the whole bucket, and can be suspended but not undone. Every version is paid for until it is deleted.
        """
        return self._switched(Versioning(self._s3().control).enable(dry_run=dry_run))

    def suspend_versioning(self, *, dry_run: bool = False) -> Plan:
        """From now on a write replaces what was there. The versions that there are stay."""
        return self._switched(Versioning(self._s3().control).suspend(dry_run=dry_run))

    def _switched(self, plan: Plan) -> Plan:
        if plan.applied:
            self._s3().bucket_changed()
        return plan

    def history(self, id: str, *, limit: int | None = None) -> list[Version]:
        """The versions of a record, newest first, its deletions among them; [] where there never was one.

        `limit`: only so many of the newest. One listing and one HEAD for each version. What was only ever in packs has no
        versions.
        """
        versions = History(self._s3().control).of(id, limit)
        self._s3().version_known(id)
        return versions

    def revert(self, id: str, version_id: str, *, expected_version: str | None = None) -> Record:
        """Makes an older version the present one, by writing it again: nothing of the history is lost. Returns it.

        Also brings back a deleted record, and mends one that is damaged. Raises RecordNotFoundError where there is no such
        version, or where it is a deletion; ConcurrencyError as `update` does.
        """
        return Recovery(self._s3()).revert(id, version_id, expected_version)

    def undelete(self, id: str, *, dry_run: bool = False) -> bool:
        """Brings a deleted record back as it was; False where it is not deleted. `dry_run` only tells which of the two.

        Raises RecordNotFoundError where there is no version of it to bring back, or where what is left of it may be older than
        what was deleted: because versioning was suspended then, or because it lay in a pack of which nothing is left.
        """
        return Recovery(self._s3()).undelete(check_id(id), dry_run=dry_run)

    # ------------------------------------------------------------------ archive classes, links
    def restore(
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
        """Asks S3 to make archived records readable for `days`, and says what that costs and how long it takes.

        which        an id, ids; a query; the RecordArchivedError of a read; or what a dry run has returned. Archived content
                     cannot be looked at: of a query all packs are restored that may hold records it finds, as wholes, and
                     records with objects of their own as far as ids decide (or documents in memory)
        tier         "Expedited", "Standard" or "Bulk": dear and fast, or cheap and slow
        wait         come back when all of them can be read, or after `timeout` seconds; `on_progress` hears of it meanwhile.
                     Without it, `restore_status` tells later how far it is
        dry_run      only say what it would cost

        What is being restored is not asked for again, what can be read already only where `days` end later than it does.
        Records that fail do not stop the others: BatchError names them in the end, and its context["restoration"] has the
        rest. Raises QueryError before anything is asked for where the query cannot be decided, or where there is no such tier.
        """
        steps = self._restoring(
            which, days=days, tier=tier, wait=wait, timeout=timeout, on_progress=on_progress, dry_run=dry_run
        )
        return finished(steps, self._runtime.sleep)

    def _restoring(self, which: Which, **how: Any) -> Steps:
        return (yield from Archive(self._s3()).restore(which, **how))

    def restore_status(self, which: Which) -> list[RestoreStatus]:
        """Of each of these records whether it can be read now, and until when; one HEAD each.

        Of a query: of the records in archives that it finds, and of the packs there which may hold some (their `id` is "").
        A record in a pack stands as its pack does.
        """
        return Archive(self._s3()).status(which)

    def presign(self, id: str, seconds: int = 3600, *, version_id: str | None = None) -> str:
        """An address at which anybody may read the record's document for so many seconds. In the objects layout it sends
        nothing itself.

        It works no longer than the credentials that signed it; at most 7 days. Whoever has it can read the record. In the
        tiered layout it is looked whether the record has an object of its own (one HEAD): DatabaseOperationError where it lies
        in a pack. An address of an object ends when compaction packs that; one with `version_id` does not.
        """
        return presigned(self._s3().control, check_id(id), seconds, version_id)

    # ------------------------------------------------------------------ sections
    @property
    def lifecycle(self) -> Lifecycle:
        """Rules that move records to other storage classes, or delete old versions and what is left of failed uploads."""
        engine = self._s3()
        tiered = engine.control.packed.exists
        return Lifecycle(engine.control, (lambda: engine.maintenance().index()) if tiered else None)

    @property
    def replication(self) -> Replication:
        """Copies of every write in another bucket."""
        return Replication(self._s3().control, self._s3().bucket_changed)

    @property
    def encryption(self) -> BucketEncryption:
        """What the bucket does to objects that come without a wish; the `encryption` setting is that of this database."""
        return BucketEncryption(self._s3().control)

    @property
    def policy(self) -> BucketPolicy:
        """Who may do what in the bucket: no more than this configuration needs."""
        return BucketPolicy(self._s3().control)

    @property
    def public_access(self) -> PublicAccess:
        """The lock on public access to the bucket."""
        return PublicAccess(self._s3().control)

    @property
    def object_lock(self) -> ObjectLock:
        """Retention and legal holds, for records that must not change."""
        return ObjectLock(self._s3().control)

    @property
    def cost_tags(self) -> CostTags:
        """Tags of the bucket, by which AWS splits the bill."""
        return CostTags(self._s3())

    @property
    def explain(self) -> Explain:
        """What something will cost and take, before it is done."""
        return Explain(self._s3(), self._creations)


class S3Past(S3Database):
    """An S3 database as it was. It is read as any other; whatever would write raises TimeTravelError.

    It sends by way of the database that it is a view of, and ends with that one. `close()` it when you are done.
    """

    _engine: PastEngine

    def __init__(self, engine: PastEngine) -> None:
        """Raises TimeTravelError where that past cannot be read."""
        self._set_up(engine, engine.runtime)
        self._ready()

    @property
    def timestamp(self) -> datetime:
        """The second, by the store's clock, at whose end this is how it was."""
        return self._engine.moment.second

    @property
    def table_version(self) -> int | None:
        """The version that the table had; None where there was no table yet, and in layout "objects"."""
        return self._engine.table_version

    @property
    def notes(self) -> tuple[str, ...]:
        """What one should know: for instance, that the lifecycle rules could not be seen."""
        return self._engine.notes

    def delta(self, *, credentials: bool = True) -> DeltaAddress:
        """See S3Database.delta; `.version` is the table's then. Raises TimeTravelError where there was none."""
        address = super().delta(credentials=credentials)
        if self.table_version is None:
            refuse(self._engine.moment, "there was no table yet")
        return replace(address, version=self.table_version)

    def vacuum(self, *, retention: timedelta = RETENTION, dry_run: bool = False) -> VacuumReport:
        """Raises TimeTravelError: what nobody needs is told from the present table."""
        refuse_other("vacuum()")
