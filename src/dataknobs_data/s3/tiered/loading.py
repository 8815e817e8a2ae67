"""What loads do to stay right beside all others (the model's `load`): looks before and after, and what is taken back.

A load's birth is the revision of its rows as well, and the id of its commit. It dies before its commit: then it leaves packs
that vacuum removes; or after it: then it is finished by whoever compacts (`adoption.py`).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import compress

from dataknobs_data.creations import Creations
from dataknobs_data.documents import to_record
from dataknobs_data.engine import Settled
from dataknobs_data.exceptions import OutcomeUnknownError
from dataknobs_data.record_likes import as_record
from dataknobs_data.records import Record
from dataknobs_data.s3.calls import Deadline
from dataknobs_data.s3.layout import Parts
from dataknobs_data.s3.objects import Found, Grave, Stored
from dataknobs_data.s3.steps import step
from dataknobs_data.s3.store import Fault, Listed
from dataknobs_data.s3.table.rows import Rows
from dataknobs_data.s3.table.shape import Shape
from dataknobs_data.s3.tiered.front import standing
from dataknobs_data.s3.tiered.own_ids import OwnIds
from dataknobs_data.s3.tiered.rewriting import documents_in, reshaped, taken_back, without_ids
from dataknobs_data.s3.tiered.sending import LongJob, PackSender
from dataknobs_data.s3.tiered.tiers import Tiers

OPERATION = "LOAD"

LISTED_AT_ONCE = 2000
"""Ids from which all objects are listed instead of looked for by their ids."""


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """A record that is not in a job's packs any more, or does not count there."""

    index: int
    id: str
    record: Record


class Fronts:
    """Which of many ids have an object: looked for in the first window, listed all at once from the second on."""

    def __init__(self, parts: Parts, name: str) -> None:
        """`name`: the step of the protocol."""
        self._parts = parts
        self._name = name
        self._asked = False
        self._all: dict[str, Listed] | None = None

    def lines(self, ids: Sequence[str]) -> dict[str, Listed]:
        """Those that have one, or had one when all were listed."""
        with step(self._name):
            if not self._asked:
                self._asked = bool(ids)
                return self._parts.presence.of(ids)
            if self._all is None:
                self._all = self._parts.lister.records()
        return {id: self._all[id] for id in ids if id in self._all}


def objects_of(parts: Parts, ids: Sequence[OwnIds], deadline: Deadline | None) -> dict[str, Listed]:
    """The objects that these ids have now."""
    if sum(own.count for own in ids) < LISTED_AT_ONCE:
        return parts.presence.of([id for own in ids for id in own.every()], deadline)
    listed = parts.lister.records(deadline=deadline)
    return {id: listed[id] for own in ids for id in own.among(listed)}


@dataclass(frozen=True)
class Newcomers:
    """The records of a load: rows of its birth. `own`: which of their ids users gave them."""

    tiers: Tiers
    job: LongJob
    sender: PackSender
    own: OwnIds

    @staticmethod
    def of(tiers: Tiers, job: LongJob) -> Newcomers:
        """Those of a job that begins."""
        return Newcomers(tiers, job, PackSender(tiers, job), OwnIds())

    def add(self, creations: Creations, indexes: Sequence[int]) -> list[Settled]:
        """Takes creations of ids that nobody has, with their places in the input. Those that cannot be stored fail alone."""
        rows, errors = Rows.created(creations, self.job.id, self.job.now)
        if not all(creations.generated):
            self.sender.load = self.job.id
        good = [index for row, index in enumerate(indexes) if row not in errors] if errors else indexes
        failed = {indexes[row]: error for row, error in errors.items()} | self.sender.add(rows, good)
        if self.sender.load:
            self._take(creations, indexes, failed)
        if not failed:
            return []
        return [
            Settled(index, failed[index], as_record(given), id)
            for index, given, id in zip(indexes, creations.given, creations.ids, strict=True)
            if index in failed
        ]

    def _take(self, creations: Creations, indexes: Sequence[int], failed: Collection[int]) -> None:
        ids = creations.ids
        if failed or any(creations.generated):
            own = [
                not generated and index not in failed
                for index, generated in zip(indexes, creations.generated, strict=True)
            ]
            ids, indexes = list(compress(ids, own)), list(compress(indexes, own))
        self.own.take(ids, indexes)

    def fit(self, table: Shape) -> None:
        """Where somebody has given the table a column of another type meanwhile, the packs are made anew."""
        self.sender.packs = reshaped(self.tiers, table, self.sender.packs, self.sender.load)

    def withdraw(self, ids: Collection[str]) -> list[Withdrawn]:
        """Takes these ids out of the packs, before the commit."""
        found = self._withdrawn(ids)
        if found:
            self.sender.packs = without_ids(self.tiers, self.sender.packs, ids, self.sender.load)
        return found

    def _withdrawn(self, ids: Collection[str]) -> list[Withdrawn]:
        if not ids:
            return []
        rows = documents_in(self.tiers, self.sender.packs, ids)
        found = [Withdrawn(index, id, to_record(rows[id])) for id, index in self.own.indexes(ids)]
        self.own.drop(ids)
        self.sender.withdraw(one.index for one in found)
        return found

    def check(self, deadline: Deadline) -> list[Withdrawn]:
        """After the commit: whoever created one of the ids at the same time keeps it. Those, taken out of the table again.

        Raises OutcomeUnknownError when that could not be looked up.
        """
        if not self.own:
            return []
        parts, birth = self.tiers.parts, self.job.id
        try:
            with step("load.check"):
                lines = objects_of(parts, [self.own], deadline)
            with step("load.judge"):
                lost = [id for id, line in lines.items() if foreign_to(birth, standing(parts.objects, id, line))]
            withdrawn = self._withdrawn(lost)
            if lost:
                with step("load.undo"):
                    taken_back(self.tiers, birth, lost, deadline)
            with step("load.finish"):
                self.tiers.journals.finish(birth, deadline)
        except Fault as fault:
            raise OutcomeUnknownError(
                f"the load {birth} is in the table, but whether somebody else has created one of its ids at the same time "
                f"could not be looked up ({fault}); compact() settles that: read such records before relying on them",
                job=birth,
            ) from fault
        return withdrawn


def foreign_to(birth: str, found: Found) -> bool:
    """Whether the object says that a load of that birth lost its id to somebody (the model's `foreign_to`)."""
    if isinstance(found, Stored):
        return found.document.born != birth
    return isinstance(found, Grave) and birth in found.tombstone.kills and found.tombstone.kills != {birth}
