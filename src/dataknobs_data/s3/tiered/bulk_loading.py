"""A load: records of any number that become visible with one commit (the model's `load`).

    packs                           uploaded as they fill, under names that nobody else has
    log, objects                    which of the users' own ids are taken; generated ones nobody else can have
    commit                          all packs at once, on the version that was looked at
    objects again, finish           a rival who created one of the ids meanwhile keeps it: that row is taken back. Then the
                                    load's mark says that its rows are settled

Ids that stand behind tombstones, and those that come twice, are created one by one after the commit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import compress, count

from dataknobs_data.creations import Creations
from dataknobs_data.documents import Change, Verb, duplicate
from dataknobs_data.engine import Bulk, Settled
from dataknobs_data.exceptions import DataknobsDataError
from dataknobs_data.s3.calls import Deadline
from dataknobs_data.s3.layout import ApplyMany
from dataknobs_data.s3.objects import Stored
from dataknobs_data.s3.steps import step
from dataknobs_data.s3.store import Listed
from dataknobs_data.s3.tiered.front import standing
from dataknobs_data.s3.tiered.loading import OPERATION, Fronts, Newcomers, objects_of
from dataknobs_data.s3.tiered.one_by_one import Numbered, one_by_one
from dataknobs_data.s3.tiered.sending import LongJob
from dataknobs_data.s3.tiered.table import View
from dataknobs_data.s3.tiered.tiers import Tiers


class Load(Bulk):
    """One load. Raises Fault where the store fails; then nothing of it is visible, unless the error says otherwise."""

    def __init__(self, tiers: Tiers, apply: ApplyMany) -> None:
        """`apply`: carries out creations one by one."""
        self._tiers = tiers
        self._apply = apply
        self._job = LongJob(tiers, OPERATION)
        self._records = Newcomers.of(tiers, self._job)
        self._fronts = Fronts(tiers.parts, "load.object")
        self._view: View | None = None
        self._later: list[Numbered] = []
        self._index = 0

    # ------------------------------------------------------------------ taking records
    def add(self, changes: Sequence[Change]) -> Iterator[Settled]:
        """See Bulk."""
        self._job.beat()
        creations, first = Creations.of_changes(changes), self._index
        self._index += len(creations)
        indexes: Sequence[int] = range(first, self._index)
        if not all(creations.generated):
            failed, later = self._sorted_out(creations)
            for row, error in failed.items():
                yield Settled(first + row, error, creations[row].record, creations.ids[row])
            self._later += [(first + row, creations[row]) for row in later]
            if failed or later:
                keep = [row not in failed and row not in later for row in range(len(creations))]
                creations, indexes = creations.only(keep), list(compress(indexes, keep))
        yield from self._records.add(creations, indexes)

    def _sorted_out(self, creations: Creations) -> tuple[dict[int, DataknobsDataError], set[int]]:
        """Of those under ids of their own: which cannot be created, and which have to be one by one, as far as is known by now."""
        failed: dict[int, DataknobsDataError] = {}
        ids = creations.ids
        own = [row for row, generated in enumerate(creations.generated) if not generated]
        if not self._tiers.parts.keys.surely_hold(ids):
            for row in own:
                try:
                    self._tiers.check_key(ids[row])
                except DataknobsDataError as error:
                    failed[row] = error
            own = [row for row in own if row not in failed]
        later = {own[place] for place in self._records.own.repeats([ids[row] for row in own])}
        first = [row for row in own if row not in later] if later else own
        taken, unclear = self._taken([ids[row] for row in first])
        if taken or unclear:
            failed |= {row: duplicate(ids[row]) for row in first if ids[row] in taken}
            later |= {row for row in first if ids[row] in unclear}
        return failed, later

    def _taken(self, ids: list[str]) -> tuple[set[str], set[str]]:
        """Which ids are taken, and which have to be created one by one: the log first, then the objects."""
        if self._view is None:
            self._view = self._tiers.table.look(None, "load.start")
        return self._judged(ids, self._fronts.lines(ids), self._view)

    def _judged(self, ids: Iterable[str], lines: dict[str, Listed], view: View) -> tuple[set[str], set[str]]:
        parts = self._tiers.parts
        with step("load.fetch"):
            found = parts.many.map(lambda id: standing(parts.objects, id, lines[id]), lines)
            fronts = dict(zip(lines, found, strict=True))
        taken = {id for id, one in fronts.items() if isinstance(one, Stored)}
        unclear = fronts.keys() - taken
        packed = view.rows(id for id in ids if id not in fronts)
        if packed:
            still = self._tiers.table.look(None, "load.confirm").rows(packed)
            taken |= still.keys()
            unclear |= packed.keys() - still.keys()
        return taken, unclear

    # ------------------------------------------------------------------ publishing
    def finish(self) -> Iterator[Settled]:
        """See Bulk."""
        self._records.sender.finish()
        self._job.beat()
        if self._records.sender.packs:
            yield from self._publish()
        yield from one_by_one(self._apply, sorted(self._later, key=lambda item: item[0]), last=True)
        self._job.close()

    def _publish(self) -> Iterator[Settled]:
        parts, records = self._tiers.parts, self._records
        view = self._view or self._tiers.table.view(self._tiers.table.log.known)
        try:
            for attempt in count():
                records.fit(view.shape)
                deadline = parts.caller.deadline()
                if self._commit(view, deadline):
                    break
                parts.caller.pause(attempt)
                view = self._tiers.table.look(None, "load.start")
                if records.own:
                    yield from self._look_again(view)
                    if not records.sender.packs:
                        return
            for one in records.check(deadline):
                yield Settled(one.index, duplicate(one.id), one.record, one.id)
        finally:
            parts.wrote(records.own.every())

    def _commit(self, view: View, deadline: Deadline) -> bool:
        sender = self._records.sender
        told = {"records": str(sender.records)}
        return self._job.commit(view, sender.packs, (), told, deadline, "load.commit")

    def _look_again(self, view: View) -> Iterator[Settled]:
        """After a conflict: ids that somebody else has got meanwhile are taken out of the packs."""
        own = self._records.own
        with step("load.object"):
            lines = objects_of(self._tiers.parts, [own], None)
        taken, unclear = self._judged(own.every(), lines, view)
        for one in self._records.withdraw(taken | unclear):
            if one.id in taken:
                yield Settled(one.index, duplicate(one.id), one.record, one.id)
            else:
                self._later.append((one.index, Change(Verb.CREATE, one.id, one.record)))

    def abandon(self) -> None:
        """See Bulk."""
        self._job.abandon(self._records.sender.abandon())
