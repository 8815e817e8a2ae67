"""A bulk update: new versions of any number of records of the table, visible with one commit (the model's `bulk_update`).

    log, rows, objects    which records lie in the table alone, as rows of finished creations, and in packs that can be read. All
                          others are changed one by one
    packs                 of their new versions, which keep their births and have the job's id as their revision, uploaded as
                          they fill; then the packs that have the old versions, made anew without those
    commit                new packs for old ones, on the version that was looked at
    objects               again, for changes by `expected_version` that did not see the commit (bulk_checking.py)

An upsert's records that lie nowhere go into the same commit as a load of the job's id, with a load's check and mark after
it. An update of a record that lies nowhere, as a fresh look at the log confirms, finds nothing. Ids that come twice are
changed once more, one by one, after the commit.

Requests, beside looks (one at the log, two at the objects): a PUT for each new pack, 1 for the commit, 1 for the mark of records that were created under ids of
their own. Dies it before the commit, then it leaves packs that vacuum removes.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain, count

from dataknobs_data.creations import Creations
from dataknobs_data.documents import Change, Document, Verb, resolve
from dataknobs_data.engine import Bulk, Settled
from dataknobs_data.exceptions import DataknobsDataError
from dataknobs_data.s3.calls import Deadline
from dataknobs_data.s3.layout import ApplyMany
from dataknobs_data.s3.steps import step
from dataknobs_data.s3.tiered.bulk_checking import Check
from dataknobs_data.s3.tiered.bulk_rewriting import Exchange, Replaceable, is_dear
from dataknobs_data.s3.tiered.catalog import Packed
from dataknobs_data.s3.tiered.loading import Fronts, Newcomers, Withdrawn, objects_of
from dataknobs_data.s3.tiered.one_by_one import Numbered, one_by_one
from dataknobs_data.s3.tiered.own_ids import OwnIds
from dataknobs_data.s3.tiered.packing import Uploaded, united
from dataknobs_data.s3.tiered.places import fresh
from dataknobs_data.s3.tiered.replaced import Place
from dataknobs_data.s3.tiered.sending import LongJob, PackSender
from dataknobs_data.s3.tiered.table import View
from dataknobs_data.s3.tiered.tiers import Tiers
from dataknobs_data.streaming import windows

OPERATION = "BULK UPDATE"

GATHERED_MAX = 8192
"""Changes that are looked up together: each look reads all row groups that have one of them."""

GATHERED_BYTES = 16 << 20
"""About so much of them is held at most."""

REWRITE_BYTES_MAX = 64 << 10
"""Of old packs, to be made anew, for each change: beyond that changes go one by one. At this rate a thousand changes make
one pack of the default size anew, and its other rows would be moved for too few. One by one they cost four requests each:
1,000 changes of 100,000 rows took 2 to 3 s in bulk and 10.5 s one by one (SeaweedFS on the same 2 cores, which were busy)."""

Update = tuple[Numbered, Document, Packed]
"""A change, the row that it replaces, and the row's pack."""

LATER_MAX = 10_000
"""Changes that wait for the commit, because their ids came before. At so many of them it is made, and another job begins."""


class BulkUpdate(Bulk):
    """One bulk update or upsert. Raises Fault where the store fails; then nothing of it is visible, unless the error says
    otherwise, but for what was settled before.
    """

    def __init__(self, tiers: Tiers, verb: Verb, apply: ApplyMany) -> None:
        """`apply`: carries out changes one by one."""
        self._tiers = tiers
        self._verb = verb
        self._apply = apply
        self._index = 0
        self._held: list[Numbered] = []
        self._bytes = 0
        self._is_dear: bool | None = None
        self._begin()

    def _begin(self) -> None:
        self._job = LongJob(self._tiers, OPERATION)
        self._created = Newcomers.of(self._tiers, self._job)
        self._replaceable = Replaceable(self._tiers)
        self._exchange = Exchange(self._tiers, self._job, self._replaceable)
        self._view: View | None = None
        self._fronts = Fronts(self._tiers.parts, "bulk_update.object")
        self._seen = OwnIds()
        self._later: list[Numbered] = []
        now = self._tiers.parts.runtime.now()
        self._runtime = replace(self._tiers.parts.runtime, now=lambda: now, new_id=lambda: self._job.id)

    # ------------------------------------------------------------------ taking changes
    def add(self, changes: Sequence[Change]) -> Iterator[Settled]:
        """See Bulk."""
        self._held += enumerate(changes, self._index)
        self._index += len(changes)
        if changes:
            self._bytes += len(changes) * len(repr(changes[0].record.fields))
        if len(self._held) >= GATHERED_MAX or self._bytes >= GATHERED_BYTES:
            yield from self._take()
        if len(self._later) >= LATER_MAX:
            yield from self._end(last=False)
            self._begin()

    def _take(self) -> Iterator[Settled]:
        """Decides of each change that is held which way it goes; those that go one by one are carried out."""
        held, self._held, self._bytes = self._held, [], 0
        self._job.beat()
        first = yield from self._first(held)
        named = [change.id for _, change in first if not change.generated]
        view = self._look(named)
        lines = self._fronts.lines(named)
        rows = view.current(named)
        replaceable = self._replaceable.among(pack for found in rows.values() for _, pack in found)
        singly: list[Numbered] = []
        nowhere: list[Numbered] = []
        updates: list[Update] = []
        for item in first:
            found = rows.get(item[1].id, [])
            if item[1].id in lines or len(found) > 1:
                singly.append(item)
            elif not found:
                nowhere.append(item)
            elif found[0][1].path in replaceable:
                updates.append((item, *found[0]))
            else:
                singly.append(item)
        if self._is_dear is None and updates:
            self._is_dear = is_dear([pack for _, _, pack in updates], REWRITE_BYTES_MAX)
        if self._is_dear:
            singly += [item for item, _, _ in updates]
        else:
            yield from self._replace(updates)
        if self._verb is Verb.UPSERT:
            created = Creations.of_changes([change for _, change in nowhere])
            yield from self._created.add(created, [index for index, _ in nowhere])
        else:
            singly += yield from self._confirmed(nowhere)
        yield from one_by_one(self._apply, sorted(singly, key=_by_index))

    def _first(self, changes: list[Numbered]) -> Generator[Settled, None, list[Numbered]]:
        """Those whose ids did not come before; tells of those that this store cannot hold."""
        held: list[Numbered] = []
        for index, change in changes:
            try:
                if not change.generated:
                    self._tiers.check_key(change.id)
                held.append((index, change))
            except DataknobsDataError as error:
                yield Settled(index, error, change.record, change.id)
        named = [item for item in held if not item[1].generated]
        repeats = self._seen.repeats([change.id for _, change in named])
        waiting = [item for place, item in enumerate(named) if place in repeats]
        self._later += waiting
        first = [item for place, item in enumerate(named) if place not in repeats]
        self._seen.take([change.id for _, change in first], [index for index, _ in first])
        gone = {index for index, _ in waiting}
        return [item for item in held if item[0] not in gone]

    def _look(self, named: Sequence[str]) -> View:
        """The table as it was when this began, or at the last conflict."""
        if self._view is None:
            table = self._tiers.table
            if not named:
                return table.view(table.log.known)
            self._view = table.look(None, "bulk_update.start")
        return self._view

    def _replace(self, updates: Sequence[Update]) -> Iterator[Settled]:
        documents: list[tuple[int, Document]] = []
        for (index, change), row, _ in updates:
            try:
                document = resolve(change, row, self._runtime)
            except DataknobsDataError as error:
                yield Settled(index, error, change.record, change.id)
                continue
            assert document is not None, "there is a row"
            documents.append((index, document))
        places = {row.id: Place(row.id, row.born, row.revision, pack.path) for _, row, pack in updates}
        yield from self._exchange.add(documents, places)

    def _confirmed(self, nowhere: Sequence[Numbered]) -> Generator[Settled, None, list[Numbered]]:
        """Those that have come into the table meanwhile; tells of the others that there is no such record."""
        if not nowhere:
            return []
        ids = [change.id for _, change in nowhere]
        rows = fresh(self._tiers.table, None, "bulk_update.confirm", lambda view: view.rows(ids))
        yield from (Settled(index, False) for index, change in nowhere if change.id not in rows)
        return [item for item in nowhere if item[1].id in rows]

    # ------------------------------------------------------------------ publishing
    def finish(self) -> Iterator[Settled]:
        """See Bulk."""
        if self._held:
            yield from self._take()
        yield from self._end(last=True)

    def _end(self, *, last: bool) -> Iterator[Settled]:
        for sender in self._senders:
            sender.finish()
        if any(sender.packs for sender in self._senders):
            yield from self._publish()
        self._job.close()
        yield from one_by_one(self._apply, sorted(self._later, key=_by_index), last=last)

    @property
    def _senders(self) -> tuple[PackSender, PackSender]:
        return self._exchange.sender, self._created.sender

    def _publish(self) -> Iterator[Settled]:
        parts = self._tiers.parts
        view = self._look([])
        try:
            for attempt in count():
                packs, removed = self._packs(view), self._exchange.removed(view)
                deadline = parts.caller.deadline()
                if self._job.commit(view, packs, removed, self._told(), deadline, "bulk_update.commit"):
                    break
                parts.caller.pause(attempt)
                view = self._tiers.table.look(None, "bulk_update.start")
                self._look_again(view)
                if not any(sender.packs for sender in self._senders):
                    return
            yield from self._gone(deadline)
            yield from (Settled(index, True) for index in self._exchange.sender.indexes())
            self._wait(self._created.check(deadline))
            yield from (Settled(index, True) for index in self._created.sender.indexes())
        finally:
            parts.wrote(chain(self._exchange.replaced.own.every(), self._created.own.every()))

    def _gone(self, deadline: Deadline) -> Iterator[Settled]:
        """Those that somebody has deleted by their version meanwhile: there is nothing to update; an upsert creates them."""
        sender, replaced = self._exchange.sender, self._exchange.replaced
        deleted = Check(self._tiers, self._job.id, replaced, sender.packs).deleted(deadline)
        withdrawn = self._exchange.withdrawn(deleted)
        if self._verb is Verb.UPSERT:
            self._wait(withdrawn)
        else:
            yield from (Settled(one.index, False) for one in withdrawn)

    def _packs(self, view: View) -> list[Uploaded]:
        self._exchange.fit(view.shape)
        self._created.fit(united(view.shape, [pack.shape for pack in self._exchange.sender.packs]))
        packs = [*self._exchange.packs(view), *self._created.sender.packs]
        self._job.beat()
        return packs

    def _told(self) -> dict[str, str]:
        updated, created = (str(sender.records) for sender in self._senders)
        return {"updated": updated, "created": created}

    def _look_again(self, view: View) -> None:
        """After a conflict: what others have changed meanwhile is taken out of the packs, and goes one by one."""
        created = self._created.own
        with step("bulk_update.object"):
            objects = objects_of(self._tiers.parts, [self._exchange.replaced.own, created], None)
        self._wait(self._exchange.look_again(view, objects))
        lost = set(created.among(objects))
        for ids in windows(created.every(), GATHERED_MAX):
            lost |= view.rows(ids).keys()
        self._wait(self._created.withdraw(lost))

    def _wait(self, withdrawn: Iterable[Withdrawn]) -> None:
        self._later += [(one.index, Change(self._verb, one.id, one.record)) for one in withdrawn]

    def abandon(self) -> None:
        """See Bulk."""
        self._job.abandon([*self._exchange.abandon(), *self._created.sender.abandon()])


def _by_index(item: Numbered) -> int:
    return item[0]
