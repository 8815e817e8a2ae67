"""Creating, replacing and deleting single records over both tiers: always a conditional PUT of the record's object.

The order of requests is that of tests/model/tiers.py (`create`, `change`), and each bears its step's name. An object is never
deleted here: a deleted record leaves a tombstone, which compaction takes away. So a write that was sent twice cannot bring
back what was deleted in between, and what came of a lost answer can nearly always be told from the births that stand there.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace

from dataknobs_data.documents import Change, Deletion, Document, Verb, check_version, duplicate, resolve
from dataknobs_data.exceptions import ConcurrencyError, DataFormatError, DuplicateRecordError
from dataknobs_data.runtime import Runtime
from dataknobs_data.s3.calls import Caller, Deadline
from dataknobs_data.s3.changing import REFUSALS_MAX, contradicted, unwritable
from dataknobs_data.s3.lost import unknown_outcome
from dataknobs_data.s3.objects import Found, Grave, Stored
from dataknobs_data.s3.putting import Put, Putter
from dataknobs_data.s3.steps import step
from dataknobs_data.s3.store import ABSENT, Condition, Fault, Kind, Match
from dataknobs_data.s3.tiered.places import Places, is_untouched
from dataknobs_data.s3.tombstones import Tombstone

NOTHING: frozenset[str] = frozenset()


class Changer:
    """Changes single records. Raises Fault where the store fails."""

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

    def delete(self, deletion: Deletion) -> bool:
        """Deletes one record; False where there is none."""
        return _Removal(self._caller, self._runtime, self._places, self._putter, deletion).run()

    def _create(self, change: Change, deadline: Deadline) -> Document:
        return _Creation(self._caller, self._runtime, self._places, self._putter, change).run(deadline)

    def _replace(self, change: Change, deadline: Deadline) -> Document | None:
        return _Replacement(self._caller, self._runtime, self._places, self._putter, change).run(deadline)


class _Creation:
    """One create (the model's `create`)."""

    def __init__(self, caller: Caller, runtime: Runtime, places: Places, putter: Putter, change: Change) -> None:
        self._caller = caller
        self._runtime = runtime
        self._places = places
        self._putter = putter
        self._id = change.id
        self._generated = change.generated
        document = resolve(change, None, runtime)
        assert document is not None, "only an update can find nothing"
        self._document = document

    def run(self, deadline: Deadline) -> Document:
        """The document that is stored now. Raises DuplicateRecordError."""
        for number in itertools.count():
            if not self._generated and self._places.births(self._id, deadline, "create.start"):
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
                    return self._checked(made, NOTHING)
                deadline = made.deadline
                if (settled := self._settled(made, NOTHING)) is not None:
                    return settled
                found = self._places.front(self._id, deadline, "create.look")
                if found is None and number + 1 >= REFUSALS_MAX:
                    raise unwritable(self._id, made.fault) from made.fault
            if isinstance(found, Stored):
                raise duplicate(self._id)
            if isinstance(found, Grave) and (document := self._over(found, deadline)) is not None:
                return document
            self._caller.pause(number)
        raise AssertionError("the deadline ends this")

    def _over(self, grave: Grave, deadline: Deadline) -> Document | None:
        """Over a tombstone; None where somebody else was first."""
        kills = grave.tombstone.kills
        if self._places.births(self._id, deadline, "create.behind") - kills:
            raise duplicate(self._id)
        made = self._put(kills, Match(grave.etag), deadline, "create.replace")
        if made.fault is None:
            return self._checked(made, kills)
        return self._settled(made, kills)

    def _put(self, replaces: frozenset[str], condition: Condition, deadline: Deadline, name: str) -> Put:
        self._document = replace(self._document, replaces=replaces)
        with step(name):
            return self._putter.put(self._document, condition, deadline)

    def _checked(self, made: Put, kills: frozenset[str]) -> Document:
        """Looks again: a row of another birth means that this lost, and takes its object back."""
        if self._generated:
            return self._document
        foreign = self._places.births(self._id, made.deadline, "create.check") - kills - {self._document.born}
        if not foreign:
            return self._document
        tombstone = Tombstone(kills | {self._document.born}, self._runtime.new_id())
        with step("create.undo"):
            undone = self._putter.bury(self._id, tombstone, Match(made.etag), self._runtime.timestamp(), made.deadline)
        if undone.fault and undone.fault.answer_lost:
            raise unknown_outcome(self._id, "a load of that id was first, and taking this back failed", undone.fault)
        raise duplicate(self._id)

    def _settled(self, made: Put, kills: frozenset[str]) -> Document | None:
        """After a failed PUT: the document if it was written all the same; None: look again."""
        fault = made.fault
        assert fault is not None
        if not fault.answer_lost:
            return None
        found = _after_loss(self._places, self._id, fault, made.deadline)
        if isinstance(found, Stored):
            if found.document.revision == self._document.revision:
                return self._checked(Put(found.etag, None, made.deadline), kills)
            if self._document.born in {found.document.born, *found.document.replaces}:
                return self._document  # written, and changed by somebody since
        if isinstance(found, Grave) and self._document.born in found.tombstone.kills:
            return self._document  # written, and deleted by somebody since
        if fault.kind is Kind.CONDITION:
            return None
        raise unknown_outcome(self._id, _seen(found), fault) from fault


class _Write:
    """What a change of an existing record is about to put, over what. Births that it declares dead are `replaces`."""

    def __init__(self, current: Document, condition: Condition, replaces: frozenset[str]) -> None:
        self.current = current
        self.condition = condition
        self.replaces = replaces - {current.born}


class _Change:
    """One change of an existing record (the model's `change`): what update and delete have in common."""

    def __init__(self, caller: Caller, runtime: Runtime, places: Places, putter: Putter, id: str) -> None:
        self._caller = caller
        self._runtime = runtime
        self._places = places
        self._putter = putter
        self._id = id
        self._damaged = False
        self._needs_content = True

    def _found_write(self, found: Found, deadline: Deadline) -> tuple[_Write, str] | Found | None:
        """What to write over what was found, with the step's name; None: there is no such record. What was found instead
        where both looks found nothing and the record may have moved between them.
        """
        if isinstance(found, Stored):
            replaces = found.document.replaces
            if is_untouched(found):
                replaces |= self._places.births(self._id, deadline, "change.young")
            return _Write(found.document, Match(found.etag), replaces), "change.match"
        if isinstance(found, Grave):
            kills = found.tombstone.kills
            behind = self._behind(deadline, "change.behind", kills)
            return (_Write(behind, Match(found.etag), kills), "change.over") if behind else None
        behind = self._behind(deadline, "change.table", NOTHING)
        if behind is not None:
            return _Write(behind, ABSENT, NOTHING), "change.fresh"
        return self._places.front(self._id, deadline, "change.again")

    def _write_for(self, found: Found, deadline: Deadline) -> tuple[_Write, str] | None:
        while True:
            decided = self._found_write(found, deadline)
            if decided is None or isinstance(decided, tuple):
                return decided
            found = decided

    def _behind(self, deadline: Deadline, name: str, kills: frozenset[str]) -> Document | None:
        if self._needs_content:
            return self._places.behind(self._id, deadline, name, kills)
        row = self._places.row(self._id, deadline, name, kills)
        return Document(self._id, {}, {}, "", "", row.born, row.revision) if row else None

    def _look(self, deadline: Deadline) -> Found:
        return self._places.front(self._id, deadline, "change.start", damaged=self._damaged)

    def _still(self, write: _Write, deadline: Deadline) -> Callable[[], bool] | None:
        """Of a record in the table nothing but its row says whether it is as it was."""
        if write.condition is not ABSENT:
            return None

        def unchanged() -> bool:
            row = self._places.row(self._id, self._caller.deadline(), "change.table")
            return row is not None and row.revision == write.current.revision

        return unchanged

    def _refused(self, number: int, before: Found, found: Found, fault: Fault, in_a_row: int) -> int:
        """After a refusal: how many in a row made no sense. Raises where they are too many."""
        same = (found is None and before is None) or (
            isinstance(found, Stored | Grave) and isinstance(before, Stored | Grave) and found.etag == before.etag
        )
        if not same:
            if number:  # the first refusal may only mean that the copy in memory was old
                self._caller.pause(number)
            return 0
        if in_a_row + 1 >= REFUSALS_MAX:
            error = unwritable(self._id, fault) if found is None else contradicted(self._id, found.etag, fault)
            raise error from fault
        self._caller.pause(number)
        return in_a_row + 1


class _Replacement(_Change):
    """One update."""

    def __init__(self, caller: Caller, runtime: Runtime, places: Places, putter: Putter, change: Change) -> None:
        super().__init__(caller, runtime, places, putter, change.id)
        self._change = change
        self._damaged = change.mends

    def run(self, deadline: Deadline) -> Document | None:
        """The document that is stored now; None where there is no such record."""
        held = self._places.objects.held_copy(self._id) if self._putter.can.conditional_put else None
        found: Found = held or self._look(deadline)
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
                made = self._putter.put(document, write.condition, deadline, self._still(write, deadline))
            deadline = made.deadline
            if made.fault is None:
                return document
            if made.fault.answer_lost:
                return self._settled(document, made.fault, deadline)
            before, found = found, self._look(deadline)
            in_a_row = self._refused(number, before, found, made.fault, in_a_row)
        raise AssertionError("the deadline ends this")

    def _settled(self, document: Document, fault: Fault, deadline: Deadline) -> Document:
        found = _after_loss(self._places, self._id, fault, deadline)
        if isinstance(found, Stored) and found.document.revision == document.revision:
            return document
        raise unknown_outcome(self._id, _seen(found), fault) from fault


class _Removal(_Change):
    """One delete: a tombstone takes the record's place."""

    def __init__(self, caller: Caller, runtime: Runtime, places: Places, putter: Putter, deletion: Deletion) -> None:
        super().__init__(caller, runtime, places, putter, deletion.id)
        self._expected = deletion.expected_version
        self._damaged, self._needs_content = True, False

    def run(self) -> bool:
        """Whether there was such a record."""
        deadline = self._caller.deadline()
        held = self._places.objects.held_copy(self._id) if self._putter.can.conditional_put else None
        found: Found = held or self._look(deadline)
        in_a_row = 0
        for number in itertools.count():
            decided = self._write_for(found, deadline)
            if decided is None:
                check_version(self._id, self._expected, None)
                return False
            write, name = decided
            if isinstance(found, Stored) and not found.certain and self._expected not in (None, write.current.revision):
                found = self._look(deadline)
                continue
            check_version(self._id, self._expected, write.current.revision)
            tombstone = Tombstone(write.replaces | {write.current.born}, self._runtime.new_id())
            with step(name):
                made = self._putter.bury(self._id, tombstone, write.condition, self._runtime.timestamp(), deadline)
            if made.fault is None:
                return True
            if made.fault.answer_lost and self._settled(tombstone, write.current.born, made.fault, deadline):
                return True
            before, found = found, self._look(deadline)
            in_a_row = self._refused(number, before, found, made.fault, in_a_row)
        raise AssertionError("the deadline ends this")

    def _settled(self, tombstone: Tombstone, born: str, fault: Fault, deadline: Deadline) -> bool:
        """After a lost answer: whether this birth is dead now; False: it was not written, and cannot be any more."""
        found = _after_loss(self._places, self._id, fault, deadline)
        if isinstance(found, Grave) and (
            found.tombstone.revision == tombstone.revision or born in found.tombstone.kills
        ):
            return True
        if isinstance(found, Stored) and born in found.document.replaces:
            return True  # deleted, and created again by somebody since
        if fault.kind is Kind.CONDITION and found is not None:
            return False
        raise unknown_outcome(self._id, _seen(found), fault) from fault


def _after_loss(places: Places, id: str, fault: Fault, deadline: Deadline) -> Found:
    try:
        return places.objects.look_or_outline(id, deadline.for_a_look())
    except (Fault, DataFormatError) as second:
        raise unknown_outcome(id, f"it cannot be read either ({second})", fault) from fault


def _seen(found: Found) -> str:
    if isinstance(found, Stored):
        return f"version {found.document.revision} is there now"
    return "there is no such record now" if found is None else "it is deleted now"
