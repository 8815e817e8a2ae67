"""A load: records of any number that become visible with one commit (the model's `load`).

    packs                           uploaded as they fill, under names that nobody else has
    log, objects                    which of the users' own ids are taken; generated ones nobody else can have
    commit                          all packs at once, on the version that was looked at
    objects again, finish           a rival who created one of the ids meanwhile keeps it: that row is taken back. Then the
                                    load's mark says that its rows are settled

Its birth is the revision of its rows as well. Ids that stand behind tombstones, and those that come twice, are created one
by one after the commit. A load that dies before its commit leaves packs that vacuum removes; one that dies after it is
finished by whoever compacts.
"""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from typing import Any

from dataknobs_data.codec import to_tree
from dataknobs_data.documents import Change, Document, Verb, duplicate, first_version, to_record
from dataknobs_data.engine import Bulk, Settled
from dataknobs_data.exceptions import DatabaseOperationError, DataknobsDataError, OutcomeUnknownError
from dataknobs_data.s3.calls import Deadline
from dataknobs_data.s3.objects import Found, Grave, Stored
from dataknobs_data.s3.steps import step
from dataknobs_data.s3.store import Fault, Listed
from dataknobs_data.s3.table.log import Committed, Job
from dataknobs_data.s3.table.packs import Pack
from dataknobs_data.s3.table.shape import Shape, grow
from dataknobs_data.s3.table.writing import PackWriter
from dataknobs_data.s3.tiered.journals import HEARTBEAT_MAX
from dataknobs_data.s3.tiered.own_ids import OwnIds
from dataknobs_data.s3.tiered.packing import Uploaded, adopted, united
from dataknobs_data.s3.tiered.rewriting import documents_in, reshaped, taken_back, without_ids
from dataknobs_data.s3.tiered.table import View
from dataknobs_data.s3.tiered.tiers import Tiers

logger = logging.getLogger("dataknobs_data.s3")

LISTED_AT_ONCE = 1000
"""Own ids from which all objects are listed instead of looked for one by one."""

HEARTBEAT = timedelta(hours=1)

OPERATION = "LOAD"


class Load(Bulk):
    """One load. Raises Fault where the store fails; then nothing of it is visible, unless the error says otherwise."""

    def __init__(self, tiers: Tiers, later: Bulk) -> None:
        """`later`: carries out creations one by one."""
        runtime, settings = tiers.parts.runtime, tiers.parts.settings
        self.birth = runtime.new_id()
        self._tiers = tiers
        self._one_by_one = later
        self._now = runtime.timestamp()
        known = tiers.table.log.known
        shape = Shape.from_schema_string(known.schema) if known else Shape()
        self._writer = PackWriter(shape, settings.pack_target_bytes, companion=tiers.packs.companion)
        self._uploads = ThreadPoolExecutor(1, "dataknobs-load")
        self._uploading: Future[Uploaded] | None = None
        self._packs: list[Uploaded] = []
        self._paths: list[str] = []
        self._view: View | None = None
        self._hot: dict[str, Listed] | None = None
        self._own = OwnIds()
        self._later: list[tuple[int, Change]] = []
        self._shared: dict[str, Any] | None = None
        self._index = self._records = 0
        self._began = self._heartbeat = runtime.monotonic()
        self._may_be_visible = False

    # ------------------------------------------------------------------ taking records
    def add(self, changes: Sequence[Change]) -> Iterator[Settled]:
        """See Bulk."""
        self._beat()
        numbered = list(enumerate(changes, self._index))
        self._index += len(changes)
        chosen = numbered
        if not all(change.generated for change in changes):
            chosen = yield from self._free(numbered)
        documents = [(index, first_version(change, self.birth, self.birth, self._now)) for index, change in chosen]
        while documents:
            size = self._writer.window
            yield from self._write(documents[:size], changes)
            documents = documents[size:]

    def _free(self, numbered: list[tuple[int, Change]]) -> Generator[Settled, None, list[tuple[int, Change]]]:
        """Those whose ids nobody has, as far as is known by now; tells of those that cannot be created."""
        own: list[tuple[int, Change]] = []
        for index, change in numbered:
            if change.generated:
                continue
            try:
                self._tiers.check_key(change.id)
                own.append((index, change))
            except DataknobsDataError as error:
                yield Settled(index, error, change.record, change.id)
        repeats = self._own.repeats([change.id for _, change in own])
        self._later += [item for place, item in enumerate(own) if place in repeats]
        own = [item for place, item in enumerate(own) if place not in repeats]
        taken, unclear = self._taken([change.id for _, change in own])
        for index, change in own:
            if change.id in taken:
                yield Settled(index, duplicate(change.id), change.record, change.id)
            elif change.id in unclear:
                self._later.append((index, change))
        free = [item for item in own if item[1].id not in taken and item[1].id not in unclear]
        self._own.take([change.id for _, change in free], [index for index, _ in free])
        mine = {index for index, _ in free}
        return [item for item in numbered if item[1].generated or item[0] in mine]

    def _taken(self, ids: list[str]) -> tuple[set[str], set[str]]:
        """Which ids are taken, and which have to be created one by one: the log first, then the objects."""
        table = self._tiers.table
        if self._view is None:
            self._view = table.look(None, "load.start")
        fronts = self._fronts(ids)
        taken = {id for id, found in fronts.items() if isinstance(found, Stored)}
        unclear = fronts.keys() - taken
        packed = self._view.rows(id for id in ids if id not in fronts)
        if packed:
            still = table.look(None, "load.confirm").rows(packed)
            taken |= still.keys()
            unclear |= packed.keys() - still.keys()
        return taken, unclear

    def _fronts(self, ids: list[str]) -> dict[str, Found]:
        """What stands in front of these ids now, or did when this load began."""
        parts = self._tiers.parts
        if self._own or self._hot is not None:
            if self._hot is None:
                self._hot = parts.lister.records()
            lines = {id: self._hot[id] for id in ids if id in self._hot}
        else:
            with step("load.object"):
                lines = parts.presence.of(ids)
        return self._fetched(lines)

    def _fetched(self, lines: dict[str, Listed]) -> dict[str, Found]:
        """What stands behind lines of a listing."""
        objects = self._tiers.parts.objects
        with step("load.fetch"):
            found = self._tiers.parts.many.map(lambda id: objects.look_listed(id, lines[id]), lines)
            return dict(zip(lines, found, strict=True))

    def _write(self, documents: list[tuple[int, Document]], changes: Sequence[Change]) -> Iterator[Settled]:
        """Takes a window of documents; what cannot be stored fails alone."""
        chosen = [document for _, document in documents]
        try:
            self._writer.shape = grow(self._writer.shape, chosen)
            full = self._writer.add(chosen)
        except DataknobsDataError:
            bad = {index: error for index, document in documents if (error := _unstorable(document))}
            if not bad:
                raise
            self._own.drop(document.id for index, document in documents if index in bad)
            for index, document in documents:
                if index in bad:
                    yield Settled(index, bad[index], to_record(document), document.id)
            good = [item for item in documents if item[0] not in bad]
            if good:
                yield from self._write(good, changes)
            return
        self._records += len(chosen)
        for document in chosen:
            self._share(document)
        if full:
            self._send(full)

    def _share(self, document: Document) -> None:
        """Keeps what metadata all records have so far."""
        shared, metadata = self._shared, document.metadata
        if shared is None:
            self._shared = dict(metadata)
        elif shared and shared != metadata:
            self._shared = {name: value for name, value in shared.items() if metadata.get(name, shared) == value}

    # ------------------------------------------------------------------ packs
    def _send(self, pack: Pack) -> None:
        """Uploads a pack beside the making of the next one."""
        self._arrived()
        path = self._tiers.packs.new_path()
        self._paths.append(path)
        self._beat()
        load = self.birth if self._own else None
        shared, self._shared = self._shared, None
        self._uploading = self._uploads.submit(self._tiers.packs.upload, pack, path=path, load=load, shared=shared)

    def _arrived(self) -> None:
        if self._uploading:
            self._packs.append(self._uploading.result())
            self._uploading = None

    def _beat(self) -> None:
        """A load that takes hours says that it lives, so that vacuum spares its packs (see journals.py)."""
        clock = self._tiers.parts.runtime.monotonic
        if self._paths and clock() - self._heartbeat >= HEARTBEAT.total_seconds():
            if clock() - self._heartbeat > HEARTBEAT_MAX.total_seconds():
                raise DatabaseOperationError(
                    f"the load {self.birth} was silent for more than {HEARTBEAT_MAX}: vacuum may have taken its packs for "
                    "left behind; nothing of it is visible, load again"
                )
            self._tiers.journals.open(self.birth, self._paths, job=OPERATION)
            self._heartbeat = clock()

    # ------------------------------------------------------------------ publishing
    def finish(self) -> Iterator[Settled]:
        """See Bulk."""
        if pack := self._writer.finish():
            self._send(pack)
        self._arrived()
        self._beat()
        if self._packs:
            yield from self._publish()
        if self._later:
            yield from self._each(self._later)
        self._close()

    def _each(self, later: list[tuple[int, Change]]) -> Iterator[Settled]:
        for settled in [*self._one_by_one.add([change for _, change in later]), *self._one_by_one.finish()]:
            yield Settled(later[settled.index][0], settled.outcome, settled.record, settled.id)

    def _publish(self) -> Iterator[Settled]:
        parts = self._tiers.parts
        view = self._view or self._tiers.table.view(self._tiers.table.log.known)
        for attempt in range(1_000_000):
            deadline = parts.caller.deadline()
            committed = self._commit(view, deadline)
            if committed:
                break
            parts.caller.pause(attempt)
            view = self._tiers.table.look(None, "load.start")
            if self._own:
                yield from self._look_again(view)
                if not self._packs:
                    return
        if self._own:
            yield from self._check(deadline)
        parts.clock.tick()

    def _commit(self, view: View, deadline: Deadline) -> bool:
        """One attempt; False: somebody else has committed meanwhile."""
        log, job = self._tiers.table.log, Job(self.birth, OPERATION, {"records": str(self._records)})
        self._reshape(view)
        snapshot = view.snapshot
        self._may_be_visible = True
        with step("load.commit"):
            if snapshot is None:
                shape = united(Shape(), [pack.shape for pack in self._packs])
                outcome = log.begin(shape.schema_string(), [pack.add for pack in self._packs], job, deadline)
            else:
                outcome = log.commit(snapshot, adopted(snapshot, self._packs), job, deadline)
        self._may_be_visible = isinstance(outcome, Committed)
        return self._may_be_visible

    def _reshape(self, view: View) -> None:
        """Where somebody has given the table a column of another type meanwhile, the packs are made anew."""
        self._packs = reshaped(self._tiers, view.shape, self._packs, self._load)

    @property
    def _load(self) -> str | None:
        return self.birth if self._own else None

    def _look_again(self, view: View) -> Iterator[Settled]:
        """After a conflict: ids that somebody else has got meanwhile are taken out of the packs."""
        self._view, self._hot = view, None
        every = self._own.every()
        with step("load.object"):
            lines = self._lines(None)
        fronts = self._fetched(lines)
        taken = {id for id, found in fronts.items() if isinstance(found, Stored)}
        unclear = fronts.keys() - taken
        packed = view.rows([id for id in every if id not in fronts])
        if packed:
            still = self._tiers.table.look(None, "load.confirm").rows(packed)
            taken |= still.keys()
            unclear |= packed.keys() - still.keys()
        lost = taken | unclear
        if not lost:
            return
        rows = documents_in(self._tiers, self._packs, lost)
        for id, index in list(self._own.indexes(lost)):
            record = to_record(rows[id])
            if id in taken:
                yield Settled(index, duplicate(id), record, id)
            else:
                self._later.append((index, Change(Verb.CREATE, id, record)))
        self._packs = without_ids(self._tiers, self._packs, lost, self._load)
        self._own.drop(lost)

    def _lines(self, deadline: Deadline | None) -> dict[str, Listed]:
        """The objects of own ids that are there now."""
        parts = self._tiers.parts
        if self._own.count < LISTED_AT_ONCE * 2:
            return parts.presence.of(self._own.every(), deadline)
        listed = parts.lister.records(deadline=deadline)
        return {id: listed[id] for id in self._own.among(listed)}

    def _check(self, deadline: Deadline) -> Iterator[Settled]:
        """After the commit: whoever created one of the ids at the same time keeps it."""
        try:
            with step("load.check"):
                lines = self._lines(deadline)
            with step("load.judge"):
                lost = [id for id, line in lines.items() if self._is_foreign(id, line)]
            rows: dict[str, Document] = {}
            if lost:
                rows = documents_in(self._tiers, self._packs, lost)
                with step("load.undo"):
                    taken_back(self._tiers, self.birth, lost, deadline)
            with step("load.finish"):
                self._tiers.journals.finish(self.birth, deadline)
        except Fault as fault:
            raise OutcomeUnknownError(
                f"the load {self.birth} is in the table, but whether somebody else has created one of its ids at the same time "
                f"could not be looked up ({fault}); compact() settles that: read such records before relying on them",
                job=self.birth,
            ) from fault
        for id, index in list(self._own.indexes(lost)):
            yield Settled(index, duplicate(id), to_record(rows[id]), id)

    def _is_foreign(self, id: str, line: Listed) -> bool:
        return foreign_to(self.birth, self._tiers.parts.objects.look_listed(id, line))

    # ------------------------------------------------------------------ the end
    def abandon(self) -> None:
        """See Bulk."""
        try:
            self._close()
            self._arrived()
            if not self._may_be_visible:
                self._tiers.packs.discard(self._packs)
        except Exception as error:  # noqa: BLE001  vacuum removes what is left
            logger.debug("packs of the load %s are left behind: %s", self.birth, error)

    def _close(self) -> None:
        self._uploads.shutdown(wait=True)
        self._one_by_one.abandon()
        if self._heartbeat != self._began:
            self._tiers.journals.close([self.birth])


def foreign_to(birth: str, found: Found) -> bool:
    """Whether the object says that a load of that birth lost its id to somebody (the model's `foreign_to`)."""
    if isinstance(found, Stored):
        return found.document.born != birth
    return isinstance(found, Grave) and birth in found.tombstone.kills and found.tombstone.kills != {birth}


def _unstorable(document: Document) -> DataknobsDataError | None:
    try:
        to_tree(document)
    except DataknobsDataError as error:
        return error
    return None
