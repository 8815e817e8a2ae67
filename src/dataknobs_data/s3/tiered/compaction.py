"""Compaction: objects become rows, packs with dead rows are made anew, and objects that were folded are deleted later.

One run, any number of which may go on beside each other and beside all writers (the model's `compact`):

    log, objects, journals     what there is
    adoption                   loads that died after their commit are finished
    commit                     new packs for old ones, on the version that was looked at. It says when the objects were listed,
                               so that it is a fence for those who delete them, even where it changes nothing
    checkpoint                 of the log, when that has grown
    drop                       what was folded so long ago that nobody relies on it any more, DELETE If-Match

It can end at any request: packs that no commit names are removed by vacuum, all else is a state from which the next run goes on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from dataknobs_data.exceptions import DatabaseOperationError, IncompatibleStoreError
from dataknobs_data.s3.probe import Capabilities, ConditionalDelete
from dataknobs_data.s3.steps import step
from dataknobs_data.s3.store import Fault, Kind, Listed
from dataknobs_data.s3.table.log import Job
from dataknobs_data.s3.table.shape import Shape
from dataknobs_data.s3.table.upkeep import LOG_RETENTION, Upkeep
from dataknobs_data.s3.tiered.adoption import Loads
from dataknobs_data.s3.tiered.catalog import Packed
from dataknobs_data.s3.tiered.cold import Readable
from dataknobs_data.s3.tiered.dropping import Dropper, Progress
from dataknobs_data.s3.tiered.fences import CREATION, LISTED, Ages, store_time
from dataknobs_data.s3.tiered.folding import Plan, Planner
from dataknobs_data.s3.tiered.front import front_of
from dataknobs_data.s3.tiered.publishing import Overtaken, Publication
from dataknobs_data.s3.tiered.reports import CompactProgress, CompactReport
from dataknobs_data.s3.tiered.selecting import Selection, everything, is_worth, worthwhile
from dataknobs_data.s3.tiered.table import Row
from dataknobs_data.s3.tiered.tiers import Tiers

RESTARTS_MAX = 10
"""Times that a run begins again because others have changed what it was about to commit."""

CHECKPOINT_EVERY = 20
"""Commits after which the log gets a checkpoint."""


NESTED = "it belongs to another database, which lies inside this one"


class Compaction:
    """Compactions of one database. Raises Fault where the store fails."""

    def __init__(self, tiers: Tiers, found: Capabilities, on_progress: Progress | None = None) -> None:
        if not found.conditional_put or found.conditional_delete is ConditionalDelete.NONE:
            raise IncompatibleStoreError(
                "this store has no conditional PUT and DELETE, so compaction cannot be kept safe: of two writers at the same "
                "time one would be lost; use another store",
                condition="conditional DELETE",
            )
        self._tiers = tiers
        self._parts = tiers.parts
        self._tell = on_progress or (lambda progress: None)

    def run(self, *, full: bool, wait: bool) -> CompactReport:
        """See S3Database.compact."""
        began = self._parts.runtime.monotonic()
        dropper = Dropper(self._tiers, self._tell)
        run, report = self._pass(dropper, full=full)
        while run.goes_on:  # there were more packs to merge than fit in memory side by side
            run, more = self._pass(dropper, full=full)
            report = report.followed_by(more)
        if wait and run.pending:
            assert run.shut_in is not None, "what waits was folded by a commit"
            dropper.wait_and_drop(list(run.pending.values()), run.shut_in)
            report = replace(report, waiting=0)
        return replace(report, dropped=dropper.count, seconds=self._parts.runtime.monotonic() - began)

    def _pass(self, dropper: Dropper, *, full: bool) -> tuple[_Run, CompactReport]:
        adopted_loads = 0
        for attempt in range(RESTARTS_MAX):
            run = _Run(self._tiers, dropper, self._tell, full=full)
            adopted_loads += run.adopt()
            try:
                return run, replace(run.carry_out(), adopted=adopted_loads)
            except Overtaken:
                self._parts.caller.pause(attempt)
        raise DatabaseOperationError(
            f"compact() began {RESTARTS_MAX} times, and each time others changed what it was to commit; nothing is lost: "
            "run it again when there is less going on"
        )


class _Run:
    """One attempt: what it saw, and what it makes of that.

    goes_on  there is more to be made anew
    archived paths of packs that would be made anew, if they were not archived
    pending  objects that are folded, and wait; `shut_in`: the version after whose grace period they may go
    """

    def __init__(self, tiers: Tiers, dropper: Dropper, tell: Progress, *, full: bool) -> None:
        self.goes_on = False
        self.archived: set[str] = set()
        self._stuck: dict[str, str | None] = {}
        self.pending: dict[str, Listed] = {}
        self.shut_in: int | None = None
        self._tiers = tiers
        self._parts = tiers.parts
        self._dropper = dropper
        self._tell = tell
        self._full = full
        self._look()

    # ------------------------------------------------------------------ looking
    def _look(self) -> None:
        parts = self._parts
        self._view = self._tiers.table.look(None, "compact.start")
        self._listed_at = store_time(parts.caller, parts.keys)
        self._ages = Ages(self._view.snapshot, self._listed_at, parts.settings)
        self._dropper.drop(self._tiers.folded.take(self._ages.is_past_grace))
        self._tell(CompactProgress("listing objects"))
        with step("compact.object"):
            listed, nested = parts.lister.records_and_nested()
            self._front = front_of(listed, parts.objects, parts.many)
        self._own = self._front.outside(nested)
        if self._own and self._view.snapshot is None:
            self._make_table()
            self._look()
            return
        self._loads = Loads(self._tiers, self._view)
        self._loads.look()

    def _make_table(self) -> None:
        """Before the objects are listed that go there: so whoever deletes all of them (`clear`) finds it, and shuts this out."""
        self._tiers.table.log.ensure(Shape().schema_string(), Job(self._parts.runtime.new_id(), CREATION))

    def adopt(self) -> int:
        """Finishes loads that died, unless rows have to be taken out of packs that are archived. How many."""
        adopted_loads = 0
        while dead := [birth for birth in self._loads.dead(self._ages) if birth not in self._stuck]:
            for birth in dead:
                adopted_loads += self._adopted(birth)
            self._look()
        return adopted_loads

    def _adopted(self, birth: str) -> bool:
        try:
            self._loads.adopt(birth, self._front)
        except Fault as fault:
            if fault.kind is not Kind.ARCHIVED:
                raise
            self._stuck[birth] = fault.pack
            return False
        return True

    # ------------------------------------------------------------------ deciding
    def carry_out(self) -> CompactReport:
        """Commits and drops. Raises Overtaken."""
        remembered = self._tiers.folded.waiting({**self._own.documents, **self._own.tombstones})
        rows = self._view.rows(self._own.ids) if self._own else {}
        planner = Planner(self._own, rows, self._ages, remembered)
        planner.look(self._parts.objects, self._parts.many)
        publication, plan = self._decided(planner)
        version = self._publish(publication, plan)
        self.pending = {**plan.waiting, **plan.fold, **plan.bury}
        self.shut_in = self._ages.newest_change if version is None else version
        self._dropper.drop([*plan.drop.values(), *self._voided(plan)])
        known = self._tiers.table.log.known
        return CompactReport(
            version=version,
            folded=len(plan.fold),
            buried=len(plan.bury),
            dropped=0,
            waiting=len(self.pending),
            left=Counter(plan.left.values()) + Counter({NESTED: self._front.size - self._own.size}),
            packs_before=len(self._view.packs),
            packs_after=len(known.packs) if known else 0,
            rewritten=len(publication.rewritten),
            written_bytes=publication.written_bytes,
            adopted=0,
            checkpoint=self._keep_up(),
            seconds=0.0,
            archived=len(self.archived),
            warnings=tuple(_unfinishable(birth, pack) for birth, pack in self._stuck.items()),
        )

    def _decided(self, planner: Planner) -> tuple[Publication, Plan]:
        dead = planner.dead()
        merged, remade = self._chosen(planner, dead)
        self.goes_on = merged.goes_on
        paths = frozenset(pack.path for pack in [*merged.packs, *remade])
        bearing = (pack for pack in self._view.packs if pack.load is not None and pack.path not in paths)
        settled = [pack for pack in bearing if self._loads.is_finished(pack)]
        plan = planner.plan(paths, self._is_void, self.archived)
        return Publication(self._tiers, self._view, plan, merged, remade, settled), plan

    def _chosen(self, planner: Planner, dead: Counter[str]) -> tuple[Selection, list[Packed]]:
        """Packs to make anew: finished ones that are merged, and others. Of those that would be, archived ones stay as they are."""
        readable = Readable(self._parts, of_all=True)
        while True:
            packs = [pack for pack in self._view.packs if pack.path not in self.archived]
            merged = self._merged(planner, [pack for pack in packs if self._loads.is_finished(pack)], dead)
            running = [pack for pack in packs if not self._loads.is_finished(pack)]
            remade = [pack for pack in running if dead.get(pack.path) and (self._full or is_worth(pack, dead))]
            wanted = {pack.path for pack in [*merged.packs, *remade]}
            archived = wanted - readable.among(pack for pack in packs if pack.path in wanted)
            if not archived:
                return merged, remade
            self.archived |= archived

    def _merged(self, planner: Planner, finished: Sequence[Packed], dead: Counter[str]) -> Selection:
        target = self._parts.settings.pack_target_bytes
        if self._full:
            return everything(finished, dead, planner.new_ids(), target)
        return worthwhile(finished, dead, target)

    def _is_void(self, line: Listed, foreign: Sequence[Row]) -> bool:
        """Whether an untouched document before rows of others is of a creator that died in the race."""
        loads = {row.pack.load for row in foreign} - {None}
        return (
            self._ages.is_settled(line)
            and self._ages.is_quiet()
            and all(load in self._loads.finished and self._ages.is_over(load) for load in loads)
        )

    def _voided(self, plan: Plan) -> list[Listed]:
        """Of the void documents those of which a fresh look at the log says that they still are."""
        if not plan.void:
            return []
        rows = self._tiers.table.look(None, "compact.void").rows(plan.void)
        return [line for id, line in plan.void.items() if id in rows and self._is_void(line, rows[id])]

    # ------------------------------------------------------------------ committing
    def _publish(self, publication: Publication, plan: Plan) -> int | None:
        """The version of the commit; None where there was nothing to commit."""
        publication.write(self._tell)
        if not publication.is_needed:
            return None
        version = publication.commit({
            LISTED: self._listed_at.isoformat(),
            "folded": str(len(plan.fold)),
            "buried": str(len(plan.bury)),
            "rewritten": str(len(publication.rewritten)),
        })  # fmt: skip
        self._tiers.folded.add(version, {**plan.fold, **plan.bury, **plan.unfenced})
        self._tiers.journals.forget(self._loads.finished)
        return version

    def _keep_up(self) -> bool:
        """A checkpoint, where the log has grown enough, and cleaning behind it."""
        log, snapshot = self._tiers.table.log, self._tiers.table.log.known
        if snapshot is None or snapshot.version < CHECKPOINT_EVERY:
            return False
        if log.reader.folder(snapshot.version - CHECKPOINT_EVERY + 1, None).checkpoints:
            return False
        upkeep = Upkeep(self._parts.caller, self._parts.keys, log.reader)
        upkeep.checkpoint(snapshot, LOG_RETENTION)
        upkeep.clean(timedelta(days=self._parts.settings.log_retention))
        return True


def _unfinishable(birth: str, pack: str | None) -> str:
    return (
        f"the load {birth} died before it could take back ids that others had first, and its pack {pack} is archived: restore "
        "records of that pack by their ids, and compact again"
    )
