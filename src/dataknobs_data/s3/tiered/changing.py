"""Creating and replacing single records over both tiers: always a conditional PUT of the record's object.

The order of requests is that of tests/model/tiers.py (`create`, `change`), and each bears its step's name. An object is never
deleted here (see removing.py). So a write that was sent twice cannot bring back what was deleted in between, and what came
of a lost answer can nearly always be told from the births that stand there.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

from dataknobs_data.documents import Change, Document, Verb, check_version, duplicate, resolve
from dataknobs_data.exceptions import ConcurrencyError, DataknobsDataError, DuplicateRecordError, OutcomeUnknownError
from dataknobs_data.runtime import Runtime
from dataknobs_data.s3.calls import Caller, Deadline
from dataknobs_data.s3.changing import REFUSALS_MAX, unwritable
from dataknobs_data.s3.lost import unknown_outcome
from dataknobs_data.s3.objects import Found, Grave, Stored
from dataknobs_data.s3.putting import Put, Putter
from dataknobs_data.s3.steps import step
from dataknobs_data.s3.store import ABSENT, Condition, Fault, Kind, Match
from dataknobs_data.s3.tiered.deciding import NOTHING, ExistingChange, after_loss, held_copy, there_now
from dataknobs_data.s3.tiered.places import Places
from dataknobs_data.s3.tombstones import Tombstone


class Changer:
    """Creates and replaces single records. Raises Fault where the store fails."""

    def __init__(self, caller: Caller, runtime: Runtime, places: Places, putter: Putter) -> None:
        self._caller = caller
        self._runtime = runtime
        self._places = places
        self._putter = putter

    def apply(self, change: Change) -> Document | None:
        """Carries out one change; None when it updates a record that does not exist."""
        deadline = self._caller.deadline()
        if change.verb is Verb.CREATE:
            return self._create(change, deadline)
        for number in itertools.count():
            document = self._replace(change, deadline)
            if document is not None or change.verb is Verb.UPDATE:
                return document
            try:
                return self._create(replace(change, verb=Verb.CREATE, expected_version=None), deadline)
            except DuplicateRecordError:  # somebody else has created it meanwhile
                self._caller.pause(number)
        raise AssertionError("the deadline ends this")

    def creation(self, change: Change) -> Creation:
        """A create under an id of the user's own or a generated one, to be carried out."""
        return Creation(self._caller, self._runtime, self._places, self._putter, change)

    def _create(self, change: Change, deadline: Deadline) -> Document:
        made = self.creation(change).put(deadline)
        return made.check() if isinstance(made, Unchecked) else made

    def _replace(self, change: Change, deadline: Deadline) -> Document | None:
        return _Replacement(self._caller, self._runtime, self._places, self._putter, change).run(deadline)


@dataclass(frozen=True)
class Unchecked:
    """A document that was put where nobody had that id; whether somebody has loaded it meanwhile, the log says."""

    creation: Creation
    made: Put
    kills: frozenset[str]

    @property
    def id(self) -> str:
        """The record's."""
        return self.creation.id

    def check(self, births: frozenset[str] | None = None) -> Document:
        """The document that is stored. `births`: of the rows that a look at the log after the PUT has found. Raises
        DuplicateRecordError where one of them is another's: then this lost, and takes its object back.
        """
        return self.creation.check(self.made, self.kills, births)


class Creation:
    """One create (the model's `create`)."""

    def __init__(self, caller: Caller, runtime: Runtime, places: Places, putter: Putter, change: Change) -> None:
        self._caller = caller
        self._runtime = runtime
        self._places = places
        self._putter = putter
        self.id = self._id = change.id
        self._generated = change.generated
        document = resolve(change, None, runtime)
        assert document is not None, "only an update can find nothing"
        self._document = document

    def put(self, deadline: Deadline, births: frozenset[str] | None = None) -> Document | Unchecked:
        """Puts the document. Raises DuplicateRecordError. `births`: of the rows that a look at the log has found which began
        with `deadline`.
        """
        if births is not None and self._runtime.monotonic() >= deadline.last_start:
            deadline, births = self._caller.deadline(), None
        for number in itertools.count():
            if births is None:
                births = NOTHING if self._generated else self._places.births(self._id, deadline, "create.start")
            taken, births = births, None
            if taken:
                found = self._places.front(self._id, deadline, "create.glance")
                if found is None:
                    if self._places.births(self._id, deadline, "create.confirm"):
                        raise duplicate(self._id)
                    continue
            else:
                if not self._putter.can.conditional_put and self._places.front(self._id, deadline, "create.look"):
                    raise duplicate(self._id)
                made = self._put(NOTHING, ABSENT, deadline, "create.put")
                if made.fault is None:
                    return self._made(made, NOTHING)
                deadline = made.deadline
                if (settled := self._settled(made, NOTHING)) is not None:
                    return settled
                found = self._places.front(self._id, deadline, "create.look")
                if found is None and number + 1 >= REFUSALS_MAX:
                    raise unwritable(self._id, made.fault) from made.fault
            if isinstance(found, Stored):
                raise duplicate(self._id)
            if isinstance(found, Grave) and (replaced := self._over(found, deadline)) is not None:
                return replaced
            self._caller.pause(number)
        raise AssertionError("the deadline ends this")

    def _over(self, grave: Grave, deadline: Deadline) -> Document | Unchecked | None:
        """Over a tombstone; None where somebody else was first."""
        kills = grave.tombstone.kills
        if self._places.births(self._id, deadline, "create.behind") - kills:
            raise duplicate(self._id)
        made = self._put(kills, Match(grave.etag), deadline, "create.replace")
        if made.fault is None:
            return self._made(made, kills)
        return self._settled(made, kills)

    def _put(self, replaces: frozenset[str], condition: Condition, deadline: Deadline, name: str) -> Put:
        self._document = replace(self._document, replaces=replaces)
        with step(name):
            return self._putter.put(self._document, condition, deadline)

    def _made(self, made: Put, kills: frozenset[str]) -> Document | Unchecked:
        return self._document if self._generated else Unchecked(self, made, kills)

    def check(self, made: Put, kills: frozenset[str], births: frozenset[str] | None) -> Document:
        """See Unchecked.check."""
        try:
            if births is None:
                births = self._births_behind(made)
            if not births - kills - {self._document.born}:
                return self._document
            undone = self._undo(made, kills)
        except (Fault, DataknobsDataError) as error:
            raise OutcomeUnknownError(
                f"record {self._id!r} was written, but finding out whether a load of that id was first, or taking it back then, "
                f"failed ({error}); read the record before writing again",
                id=self._id,
            ) from error
        if undone.fault and undone.fault.answer_lost:
            raise unknown_outcome(self._id, "a load of that id was first, and taking this back failed", undone.fault)
        raise duplicate(self._id)

    def _births_behind(self, made: Put) -> frozenset[str]:
        """Of the rows behind the document. Where it was put too long ago (others beside it took their time), it must still
        stand when that is looked up, as if it had been put just now: a compaction takes away what a dead creator has left.
        """
        deadline = self._in_time(made)
        if deadline is made.deadline:
            return self._places.births(self._id, deadline, "create.check")
        head = self._places.objects.head(self._id, deadline)
        stands = head is not None and head.etag == made.etag
        if not stands and self._was_written(self._places.front(self._id, deadline, "create.look")):
            return NOTHING  # and changed or deleted by somebody since
        births = self._places.births(self._id, deadline, "create.check")
        if not stands and self._document.born not in births:
            raise Fault(Kind.LATE, "and it does not stand there any more")
        return births

    def _undo(self, made: Put, kills: frozenset[str]) -> Put:
        tombstone = Tombstone(kills | {self._document.born}, self._runtime.new_id())
        with step("create.undo"):
            return self._putter.bury(
                self._id, tombstone, Match(made.etag), self._runtime.timestamp(), self._in_time(made)
            )

    def _in_time(self, made: Put) -> Deadline:
        """The operation's deadline; a new one where that is over."""
        is_over = self._runtime.monotonic() >= made.deadline.last_start
        return self._caller.deadline() if is_over else made.deadline

    def _settled(self, made: Put, kills: frozenset[str]) -> Document | Unchecked | None:
        """After a failed PUT: the document if it was written all the same; None: look again."""
        fault = made.fault
        assert fault is not None
        if not fault.answer_lost:
            return None
        found = after_loss(self._places, self._id, fault, made.deadline)
        if isinstance(found, Stored) and found.document.revision == self._document.revision:
            return self._made(Put(found.etag, None, made.deadline), kills)
        if self._was_written(found):
            return self._document  # and changed or deleted by somebody since
        if fault.kind is Kind.CONDITION:
            return None
        raise unknown_outcome(self._id, there_now(found), fault) from fault

    def _was_written(self, found: Found) -> bool:
        if isinstance(found, Stored):
            return self._document.born in {found.document.born, *found.document.replaces}
        return isinstance(found, Grave) and self._document.born in found.tombstone.kills


class _Replacement(ExistingChange):
    """One update."""

    def __init__(self, caller: Caller, runtime: Runtime, places: Places, putter: Putter, change: Change) -> None:
        super().__init__(caller, runtime, places, putter, change.id, change.expected_version)
        self._change = change
        self._damaged = change.mends

    def run(self, deadline: Deadline) -> Document | None:
        """The document that is stored now; None where there is no such record."""
        found: Found = held_copy(self._places, self._putter, self._id) or self._look(deadline)
        in_a_row = 0
        for number in itertools.count():
            decided = self._write_for(found, deadline)
            if decided is None:
                check_version(self._id, self._change.expected_version, None)
                return None
            write, name = decided
            try:
                document = resolve(replace(self._change, verb=Verb.UPDATE), write.current, self._runtime)
            except ConcurrencyError:
                if not isinstance(found, Stored) or found.certain:
                    raise
                found = self._look(deadline)
                continue
            assert document is not None, "there is a record to update"
            document = replace(document, replaces=write.replaces)
            with step(name):
                still = self._still(write, deadline)
                made = self._putter.put(document, write.condition, deadline, still, write.mark)
            deadline = made.deadline
            if made.fault is None or made.fault.answer_lost:
                etag = self._settled(document, made.fault, deadline) if made.fault else made.etag
                self._prove(write, document.revision, etag, deadline)
                return document
            before, found = found, self._look(deadline)
            in_a_row = self._refused(number, before, found, made.fault, in_a_row)
        raise AssertionError("the deadline ends this")

    def _settled(self, document: Document, fault: Fault, deadline: Deadline) -> str:
        """After a lost answer: the ETag of what was put."""
        found = after_loss(self._places, self._id, fault, deadline)
        if isinstance(found, Stored) and found.document.revision == document.revision:
            return found.etag
        self._proof.settled(found, document.revision)
        raise unknown_outcome(self._id, there_now(found), fault) from fault
