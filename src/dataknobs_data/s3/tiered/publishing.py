"""What a compaction makes: new packs for old ones and for objects, and the commit that puts them in their place."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain, count

from dataknobs_data.documents import Document
from dataknobs_data.s3.objects import Stored
from dataknobs_data.s3.steps import step
from dataknobs_data.s3.store import Listed
from dataknobs_data.s3.table.actions import Action
from dataknobs_data.s3.table.log import Committed, Job
from dataknobs_data.s3.table.shape import Shape, grow
from dataknobs_data.s3.table.snapshot import Snapshot
from dataknobs_data.s3.tiered.catalog import LOAD, Packed
from dataknobs_data.s3.tiered.dropping import Progress
from dataknobs_data.s3.tiered.fences import ADDS_ONLY, COMPACTION
from dataknobs_data.s3.tiered.folding import Plan, seen
from dataknobs_data.s3.tiered.packing import Uploaded, adopted, agree
from dataknobs_data.s3.tiered.reports import CompactProgress
from dataknobs_data.s3.tiered.rewriting import discard_quietly, remade, source_of
from dataknobs_data.s3.tiered.selecting import Group, Selection
from dataknobs_data.s3.tiered.table import View
from dataknobs_data.s3.tiered.tiers import Tiers
from dataknobs_data.streaming import windows

FETCHED = 1000
"""Documents that are fetched together."""


class Overtaken(Exception):
    """Somebody has changed what was looked at: begin again."""


class Publication:
    """One commit in the making, on what a view of the table showed.

    merged   packs of finished births, to be merged with the documents to fold
    running  packs of loads that may be running, each to be made anew by itself
    settled  packs of finished loads that stay, and from now on need no finish mark
    """

    def __init__(
        self,
        tiers: Tiers,
        view: View,
        plan: Plan,
        merged: Selection,
        running: Sequence[Packed],
        settled: Sequence[Packed],
    ) -> None:
        self._tiers = tiers
        self._view = view
        self._plan = plan
        self._groups = merged.groups
        self._running = running
        self._settled = list(settled)
        self._made: list[Uploaded] = []

    @property
    def rewritten(self) -> list[Packed]:
        """Packs that are no part of the table afterwards."""
        return [*(pack for group in self._groups for pack in group.packs), *self._running]

    @property
    def written_bytes(self) -> int:
        """Of the new packs."""
        return sum(pack.add.size for pack in self._made)

    @property
    def is_needed(self) -> bool:
        """Whether a commit, even one that changes nothing, brings objects nearer to being deleted; asked after `write`."""
        return bool(self._made or self.rewritten or self._settled or self._plan.unfenced)

    # ------------------------------------------------------------------ packs
    def write(self, tell: Progress) -> None:
        """Uploads the new packs. Documents that have been changed meanwhile stay where they are."""
        ids, shape = sorted(self._plan.fold), self._view.shape
        documents = _Told(self._documents, tell, len(ids))
        groups, self._groups = self._groups, []
        for group in groups:
            fetched = documents.of(group.among(ids))
            first = next(filter(None, fetched), [])
            if first or not group.good:
                shape = grow(shape, first)
                self._merge(group, chain(first, chain.from_iterable(fetched)), shape)
            else:
                self._settled += [pack for pack in group.packs if pack.load is not None]
        for pack in self._running:
            source = source_of(self._view, pack, self._plan.dead.get(pack.path, ()))
            self._made += remade(self._tiers, [source], pack.shape, pack.load)

    def _merge(self, group: Group, documents: Iterable[Document], shape: Shape) -> None:
        """Packs of the rows of a group that live, and of documents."""
        sources = [source_of(self._view, pack, self._plan.dead.get(pack.path, ())) for pack in group.packs]
        for pack in self._tiers.packs.repacked(sources, documents, shape, self._tiers.table.fan):
            self._made.append(self._tiers.packs.upload(pack))
        self._groups = [*self._groups, group]

    def _documents(self, ids: Sequence[str]) -> list[Document]:
        plan, found = self._plan, []
        lines = [(id, plan.fold[id]) for id in ids]
        for id, one in zip(ids, self._tiers.parts.many.map(self._seen, lines), strict=True):
            if isinstance(one, Stored):
                found.append(replace(one.document, replaces=frozenset()))
            else:
                plan.left[id] = one
                del plan.fold[id]
        return found

    def _seen(self, named: tuple[str, Listed]) -> Stored | str:
        return seen(self._tiers.parts.objects, *named)

    # ------------------------------------------------------------------ commit
    def commit(self, told: Mapping[str, str]) -> int:
        """The version that it made. Raises Overtaken, having deleted the new packs."""
        job = Job(self._tiers.parts.runtime.new_id(), COMPACTION, told)
        try:
            snapshot = self._view.snapshot
            assert snapshot is not None, "whoever has something to commit has made the table before it looked"
            for attempt in count():
                with step("compact.fold"):
                    outcome = self._tiers.table.log.commit(snapshot, self._actions(snapshot), job)
                if isinstance(outcome, Committed):
                    return outcome.version
                self._check_apart(snapshot.version, outcome.snapshot)
                snapshot = outcome.snapshot
                self._tiers.parts.caller.pause(attempt)
        except Overtaken:
            discard_quietly(self._tiers, self._made)
            raise
        raise AssertionError("the loop ends by itself")

    def _actions(self, snapshot: Snapshot) -> list[Action]:
        at = self._tiers.milliseconds()
        return [
            *(pack.add.removed(at) for pack in self.rewritten),
            *adopted(snapshot, self._made),
            *(replace(pack.add, tags=_without_load(pack), data_change=False) for pack in self._settled),
        ]

    def _check_apart(self, seen: int, now: Snapshot) -> None:
        """Raises Overtaken unless what was committed after version `seen` are loads of other ids, with columns that agree: then
        nothing that this looked at has changed.
        """
        missed = self._tiers.table.log.commits_since(now, seen)
        if not all(str((commit.info or {}).get("operation")) in ADDS_ONLY for commit in missed):
            raise Overtaken
        before = {pack.path for pack in self._view.packs}
        view = self._tiers.table.view(now)
        plan, added = self._plan, [pack for pack in view.packs if pack.path not in before]
        if view.rows([*plan.fold, *plan.bury, *plan.unfenced], added):
            raise Overtaken
        if not agree(view.shape, [pack.shape for pack in self._made]):
            raise Overtaken


def _without_load(pack: Packed) -> dict[str, str]:
    return {name: value for name, value in (pack.add.tags or {}).items() if name != LOAD}


class _Told:
    """Documents in windows, in order, while somebody is told how far it is."""

    def __init__(self, fetch: Callable[[Sequence[str]], list[Document]], tell: Progress, total: int) -> None:
        self._fetch = fetch
        self._tell = tell
        self._total = total
        self._done = 0

    def of(self, ids: Sequence[str]) -> Iterator[list[Document]]:
        """Those of these ids."""
        for window in windows(ids, FETCHED):
            self._tell(CompactProgress("folding", self._done, self._total))
            self._done += len(window)
            yield self._fetch(window)
