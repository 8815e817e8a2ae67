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
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import count

from dataknobs_data.documents import Document
from dataknobs_data.exceptions import DatabaseOperationError, IncompatibleStoreError
from dataknobs_data.s3.calls import Deadline
from dataknobs_data.s3.objects import Stored
from dataknobs_data.s3.probe import Capabilities, ConditionalDelete
from dataknobs_data.s3.steps import step
from dataknobs_data.s3.store import Fault, Kind, Listed, Match
from dataknobs_data.s3.table.actions import Action
from dataknobs_data.s3.table.log import Committed, Job
from dataknobs_data.s3.table.repacking import repacked
from dataknobs_data.s3.table.shape import Shape, grow
from dataknobs_data.s3.table.snapshot import Snapshot
from dataknobs_data.s3.table.upkeep import LOG_RETENTION, Upkeep
from dataknobs_data.s3.tiered.adoption import Loads
from dataknobs_data.s3.tiered.catalog import LOAD, Packed
from dataknobs_data.s3.tiered.fences import ADDS_ONLY, COMPACTION, LISTED, Ages, store_time
from dataknobs_data.s3.tiered.folding import Plan, Planner, seen
from dataknobs_data.s3.tiered.front import whole_front
from dataknobs_data.s3.tiered.packing import Uploaded, adopted
from dataknobs_data.s3.tiered.reports import CompactProgress, CompactReport
from dataknobs_data.s3.tiered.rewriting import discard_quietly, remade, source_of
from dataknobs_data.s3.tiered.selecting import OVERLAPPING_MAX, to_rewrite
from dataknobs_data.s3.tiered.table import Row
from dataknobs_data.s3.tiered.tiers import Tiers
from dataknobs_data.streaming import windows

RESTARTS_MAX = 10
"""Times that a run begins again because others have changed what it was about to commit."""

CHECKPOINT_EVERY = 20
"""Commits after which the log gets a checkpoint."""

FETCHED = 1000

Progress = Callable[[CompactProgress], None]


class _Overtaken(Exception):
    """Somebody has changed what was looked at: begin again."""


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
        run, report = self._pass(full=full)
        while run.goes_on:  # there were more packs to merge than fit in memory side by side
            run, more = self._pass(full=full)
            report = report.followed_by(more)
        if wait and run.pending:
            report = replace(report, dropped=report.dropped + run.wait_and_drop(), waiting=0)
        return replace(report, seconds=self._parts.runtime.monotonic() - began)

    def _pass(self, *, full: bool) -> tuple[_Run, CompactReport]:
        adopted_loads = 0
        for attempt in range(RESTARTS_MAX):
            run = _Run(self._tiers, self._tell, full=full)
            adopted_loads += run.adopt()
            try:
                return run, replace(run.carry_out(), adopted=adopted_loads)
            except _Overtaken:
                self._parts.caller.pause(attempt)
        raise DatabaseOperationError(
            f"compact() began {RESTARTS_MAX} times, and each time others changed what it was to commit; nothing is lost: "
            "run it again when there is less going on"
        )


class _Run:
    """One attempt: what it saw, and what it makes of that."""

    def __init__(self, tiers: Tiers, tell: Progress, *, full: bool) -> None:
        self._tiers = tiers
        self._parts = tiers.parts
        self._tell = tell
        self._full = full
        self._dropped = 0
        self._look()

    # ------------------------------------------------------------------ looking
    def _look(self) -> None:
        parts, settings = self._parts, self._parts.settings
        self._view = self._tiers.table.look(None, "compact.start")
        self._listed_at = store_time(parts.caller, parts.keys)
        self._ages = Ages(self._view.snapshot, self._listed_at, settings.grace, settings.deadline)
        self._dropped += self._drop(self._tiers.folded.ripe(self._ages.is_past_grace))
        self._tell(CompactProgress("listing objects"))
        with step("compact.object"):
            self._front = whole_front(parts.lister, parts.objects, parts.many)
        self._loads = Loads(self._tiers, self._view)
        self._loads.look()
        self._made: list[Uploaded] = []
        self.goes_on = False
        self.pending: dict[str, Listed] = {}

    def adopt(self) -> int:
        """Finishes loads that died. How many."""
        adopted_loads = 0
        while dead := self._loads.dead(self._ages):
            for birth in dead:
                self._loads.adopt(birth, self._front)
            adopted_loads += len(dead)
            self._look()
        return adopted_loads

    # ------------------------------------------------------------------ deciding
    def carry_out(self) -> CompactReport:
        """Commits and drops. Raises _Overtaken."""
        remembered = self._tiers.folded.waiting({**self._front.documents, **self._front.tombstones})
        rows = self._view.rows(self._front.ids) if self._front else {}
        planner = Planner(self._front, rows, self._ages, remembered)
        planner.look(self._parts.objects, self._parts.many)
        chosen = self._chosen(planner.dead())
        paths = frozenset(pack.path for pack in chosen)
        plan = planner.plan(paths, self._is_void)
        settled = [pack for pack in self._view.packs if pack.load in self._loads.finished and pack.path not in paths]
        version = None
        if chosen or settled or plan.needs_commit:
            version = self._commit(plan, chosen, settled)
            self._tiers.folded.add(version, {**plan.fold, **plan.bury, **plan.unfenced})
        self.pending = {**plan.waiting, **plan.fold, **plan.bury}
        self._dropped += self._drop([*plan.drop.values(), *self._voided(plan)])
        packs = len(self._snapshot.packs) if self._snapshot else 0
        return CompactReport(
            version=version,
            folded=len(plan.fold),
            buried=len(plan.bury),
            dropped=self._dropped,
            waiting=len(self.pending),
            left=Counter(plan.left.values()),
            packs_before=len(self._view.packs),
            packs_after=packs,
            rewritten=len(chosen),
            written_bytes=sum(pack.add.size for pack in self._made),
            adopted=0,
            checkpoint=self._keep_up(),
            seconds=0.0,
        )

    @property
    def _snapshot(self) -> Snapshot | None:
        return self._tiers.table.log.known

    def _chosen(self, dead: Mapping[str, int]) -> list[Packed]:
        """The packs to make anew. `dead`: how many of their rows can go."""
        target = self._parts.settings.pack_target_bytes
        settled = [pack for pack in self._view.packs if self._loads.is_finished(pack)]
        running = [pack for pack in self._view.packs if not self._loads.is_finished(pack)]
        chosen = to_rewrite(settled, dead, target, full=self._full)
        self.goes_on = len(chosen) == OVERLAPPING_MAX
        return chosen + [pack for pack in running if dead.get(pack.path) and (self._full or _is_worth(pack, dead))]

    def _is_void(self, line: Listed, foreign: Sequence[Row]) -> bool:
        """Whether an untouched document before rows of others is of a creator that died in the race."""
        if not self._ages.is_settled(line):
            return False
        loads = [row.pack.load for row in foreign]
        if not all(load is None or load in self._loads.finished for load in loads):
            return False
        return all(self._ages.is_over(load) for load in loads if load is not None) and self._ages.is_quiet()

    def _voided(self, plan: Plan) -> list[Listed]:
        """Of the void documents those of which a fresh look at the log says that they still are."""
        if not plan.void:
            return []
        rows = self._tiers.table.look(None, "compact.void").rows(plan.void)
        return [line for id, line in plan.void.items() if id in rows and self._is_void(line, rows[id])]

    # ------------------------------------------------------------------ committing
    def _commit(self, plan: Plan, chosen: Sequence[Packed], settled: Sequence[Packed]) -> int:
        snapshot = self._view.snapshot or self._tiers.table.log.ensure(
            Shape().schema_string(), Job(self._parts.runtime.new_id(), "CREATE TABLE")
        )
        gone = list(plan.fold.keys() | plan.bury.keys())
        actions = self._actions(plan, chosen, settled)
        job = Job(self._parts.runtime.new_id(), COMPACTION, self._told(plan, chosen))
        try:
            for attempt in count():
                deadline = self._parts.caller.deadline()
                version, snapshot = self._attempt(snapshot, actions, job, gone, deadline)
                if version is not None:
                    self._tiers.journals.forget(
                        {pack.load for pack in [*chosen, *settled] if pack.load in self._loads.finished}
                    )
                    return version
                self._parts.caller.pause(attempt)
        except _Overtaken:
            discard_quietly(self._tiers, self._made)
            raise
        raise AssertionError("the loop ends by itself")

    def _attempt(
        self, snapshot: Snapshot, actions: list[Action], job: Job, ids: list[str], deadline: Deadline
    ) -> tuple[int | None, Snapshot]:
        """One commit: its version, or the snapshot on which it may be tried again."""
        grown = adopted(snapshot, self._made)[: -len(self._made) or None] if self._made else []
        with step("compact.fold"):
            outcome = self._tiers.table.log.commit(snapshot, [*grown, *actions], job, deadline)
        if isinstance(outcome, Committed):
            return outcome.version, outcome.snapshot
        if not self._is_apart(snapshot, outcome.snapshot, ids):
            raise _Overtaken
        return None, outcome.snapshot

    def _is_apart(self, before: Snapshot, now: Snapshot, ids: list[str]) -> bool:
        """Whether what was committed meanwhile are loads of none of these ids: then nothing that was looked at has changed."""
        missed = self._tiers.table.log.commits_since(now, before.version)
        if not all(str((commit.info or {}).get("operation")) in ADDS_ONLY for commit in missed):
            return False
        view = self._tiers.table.view(now)
        new = [pack for pack in view.packs if pack.path not in before.packs]
        return not view.rows(ids, new) and before.schema == now.schema

    def _told(self, plan: Plan, chosen: Sequence[Packed]) -> dict[str, str]:
        return {
            LISTED: self._listed_at.isoformat(),
            "folded": str(len(plan.fold)),
            "buried": str(len(plan.bury)),
            "rewritten": str(len(chosen)),
        }

    def _actions(self, plan: Plan, chosen: Sequence[Packed], settled: Sequence[Packed]) -> list[Action]:
        """New packs for old ones; and packs of finished loads, which say so from now on."""
        at = self._tiers.milliseconds()
        running = [pack for pack in chosen if not self._loads.is_finished(pack)]
        merged = [pack for pack in chosen if self._loads.is_finished(pack)]
        self._write(plan, merged)
        for pack in running:
            dead = plan.dead.get(pack.path, set())
            self._made += remade(self._tiers, [source_of(self._view, pack, dead)], pack.shape, pack.load)
        without_load = [
            replace(pack.add, tags={k: v for k, v in (pack.add.tags or {}).items() if k != LOAD}, data_change=False)
            for pack in settled
        ]
        return [*(pack.add.removed(at) for pack in chosen), *(pack.add for pack in self._made), *without_load]

    def _write(self, plan: Plan, chosen: Sequence[Packed]) -> None:
        """Packs of the rows of these packs that live, and of the documents to fold."""
        sources = [source_of(self._view, pack, plan.dead.get(pack.path, ())) for pack in chosen]
        target, companion = self._parts.settings.pack_target_bytes, self._tiers.packs.companion
        fresh = self._documents(plan)
        first = next(fresh, [])
        shape = grow(self._view.shape, first)
        documents = _joined(first, fresh)
        packs = repacked(sources, documents, shape, target, companion=companion, fan=self._tiers.table.fan)
        for pack in packs:
            self._made.append(self._tiers.packs.upload(pack))

    def _documents(self, plan: Plan) -> Iterator[list[Document]]:
        """The documents to fold, in the order of their ids. What has been changed meanwhile stays as it is."""
        total = len(plan.fold)
        for number, window in enumerate(windows(sorted(plan.fold), FETCHED)):
            self._tell(CompactProgress("folding", number * FETCHED, total))
            folded = []
            lines = [(id, plan.fold[id]) for id in window]
            for id, found in zip(window, self._parts.many.map(self._seen, lines), strict=True):
                if isinstance(found, Stored):
                    folded.append(replace(found.document, replaces=frozenset()))
                else:
                    plan.left[id] = found
                    del plan.fold[id]
            yield folded

    def _seen(self, named: tuple[str, Listed]) -> Stored | str:
        return seen(self._parts.objects, *named)

    # ------------------------------------------------------------------ afterwards
    def _keep_up(self) -> bool:
        """A checkpoint, where the log has grown enough, and cleaning behind it."""
        log, snapshot = self._tiers.table.log, self._snapshot
        if snapshot is None:
            return False
        folder = log.reader.folder(snapshot.version - CHECKPOINT_EVERY + 1, None)
        if snapshot.version < CHECKPOINT_EVERY or folder.checkpoints:
            return False
        upkeep = Upkeep(self._parts.caller, self._parts.keys, log.reader)
        upkeep.checkpoint(snapshot, LOG_RETENTION)
        upkeep.clean()
        return True

    def _drop(self, lines: Collection[Listed]) -> int:
        """Deletes objects, if they still are what they were. How many."""
        self._tell(CompactProgress("deleting what was folded", 0, len(lines)))
        return sum(self._parts.many.map(self._drop_one, lines))

    def _drop_one(self, line: Listed) -> bool:
        try:
            with step("compact.drop"):
                self._parts.caller.send("DeleteObject", lambda store: store.delete(line.key, Match(line.etag)))
        except Fault as fault:
            if fault.kind not in (Kind.CONDITION, Kind.MISSING):
                raise
            return fault.answer_lost
        finally:
            self._parts.objects.cache.drop(line.key)
        return True

    def wait_and_drop(self) -> int:
        """Waits until the grace period since the newest commit that took rows away is over, and drops what was folded."""
        self._tell(CompactProgress("waiting until nobody relies on what was folded", 0, len(self.pending)))
        runtime, settings = self._parts.runtime, self._parts.settings
        while True:
            snapshot = self._tiers.table.look(None, "compact.start").snapshot
            now = store_time(self._parts.caller, self._parts.keys)
            if Ages(snapshot, now, settings.grace, settings.deadline).is_quiet():
                return self._drop(self.pending.values())
            runtime.sleep(min(5.0, settings.grace / 4))


def _is_worth(pack: Packed, dead: Mapping[str, int]) -> bool:
    return bool(to_rewrite([pack], dead, 0, full=False))


def _joined(first: list[Document], rest: Iterator[list[Document]]) -> Iterator[Document]:
    yield from first
    for window in rest:
        yield from window
