"""The objects layout, creating and replacing.

A write whose answer was lost is recognized by its revision or birth when the object is looked at; what even that cannot
tell is said with OutcomeUnknownError, never guessed.

One allowance: a creation whose answer was lost is sent again. If somebody read and deleted the record in between, it comes
back (docs/decisions/0004).
"""

from __future__ import annotations

import itertools

from dataknobs_data.documents import Change, Document, Verb, duplicate, resolve
from dataknobs_data.exceptions import ConcurrencyError, DatabaseOperationError, DataFormatError
from dataknobs_data.runtime import Runtime
from dataknobs_data.s3.calls import Caller, Deadline
from dataknobs_data.s3.lost import unknown_outcome
from dataknobs_data.s3.objects import Objects, Stored
from dataknobs_data.s3.putting import Putter
from dataknobs_data.s3.store import ABSENT, Fault, Kind, Match

REFUSALS_MAX = 5
"""Times in a row that a write may be refused for a record that then is not there, or is just as it was asked to be."""


class Changer:
    """Creates and replaces single documents. Raises Fault where the store fails."""

    def __init__(self, caller: Caller, runtime: Runtime, objects: Objects, putter: Putter) -> None:
        self._caller = caller
        self._runtime = runtime
        self._objects = objects
        self._put = putter.put
        self._can = putter.can

    def apply(self, change: Change) -> Document | None:
        """Carries out one change; None when it updates a record that does not exist."""
        deadline = self._caller.deadline()
        if change.verb is Verb.CREATE:
            return self._create(change, deadline)
        return self._replace(change, deadline)

    def _create(self, change: Change, deadline: Deadline) -> Document:
        document = resolve(change, None, self._runtime)
        assert document is not None
        if not self._can.conditional_put and self._objects.head(change.id, deadline):
            raise duplicate(change.id)
        for number in itertools.count():
            made = self._put(document, ABSENT, deadline)
            fault, deadline = made.fault, made.deadline
            if fault is None:
                return document
            if fault.answer_lost:
                return self._settle(document, fault, deadline, creating=True)
            if self._objects.head(change.id, deadline):
                raise duplicate(change.id) from fault
            self._refused(number, change.id, fault)
        raise AssertionError("the loop ends by itself")

    def _replace(self, change: Change, deadline: Deadline) -> Document | None:
        current = self._objects.held_copy(change.id) if self._can.conditional_put else None
        current = current or self._look(change, deadline)
        contradictions = 0
        for number in itertools.count():
            document, current = self._resolved(change, current, deadline)
            if document is None:
                return None
            made = self._put(document, Match(current.etag) if current else ABSENT, deadline)
            fault, deadline = made.fault, made.deadline
            if fault is None:
                return document
            if fault.answer_lost:
                return self._settle(document, fault, deadline, creating=current is None)
            found = self._look(change, deadline)
            if found is None and current is None:
                self._refused(number, change.id, fault)
            elif number:  # the first refusal may only mean that the copy in memory was old
                self._caller.pause(number)
            contradictions = contradictions + 1 if found and current and found.etag == current.etag else 0
            if contradictions == REFUSALS_MAX:
                raise contradicted(change.id, current.etag if current else None, fault) from fault
            current = found
        raise AssertionError("the loop ends by itself")

    def _look(self, change: Change, deadline: Deadline) -> Stored | None:
        return self._objects.fetch_or_outline(change.id, deadline, damaged=change.mends)

    def _resolved(
        self, change: Change, current: Stored | None, deadline: Deadline
    ) -> tuple[Document | None, Stored | None]:
        """What `change` makes of `current`, which is looked at again before a version is called stale."""
        try:
            return resolve(change, current.document if current else None, self._runtime), current
        except ConcurrencyError:
            if current is None or current.certain:
                raise
        current = self._look(change, deadline)
        return resolve(change, current.document if current else None, self._runtime), current

    def _refused(self, number: int, id: str, fault: Fault) -> None:
        """A write was refused because of a record that then was not there: deleted meanwhile, or never a record."""
        if number + 1 >= REFUSALS_MAX:
            raise unwritable(id, fault) from fault
        self._caller.pause(number)

    def _settle(self, document: Document, fault: Fault, deadline: Deadline, *, creating: bool) -> Document:
        """After a lost answer: the document if it was written, or the error that says what is known."""
        id = document.id
        try:
            now = self._objects.fetch_or_outline(id, deadline.for_a_look())
        except (Fault, DataFormatError) as second:
            raise unknown_outcome(id, f"it cannot be read either ({second})", fault) from fault
        found = now.document if now else None
        if found and found.revision == document.revision:
            return document
        if creating and found and document.born in {found.born, *found.replaces}:
            return document  # written, and changed by somebody since
        if creating and found and fault.kind is Kind.CONDITION:
            raise duplicate(id) from fault
        seen = f"version {found.revision} is there now" if found else "there is no such record now"
        raise unknown_outcome(id, seen, fault) from fault


def unwritable(id: str, fault: Fault) -> DatabaseOperationError:
    """The error of a write that is refused again and again though no record is there."""
    return DatabaseOperationError(
        f"record {id!r} cannot be written: the store says that something of its key is there, but no record is "
        f"({fault}); stores that keep keys as files cannot hold {id!r} beside ids that start with {id + '.json/'!r}",
        id=id,
    )


def contradicted(id: str, etag: str | None, fault: Fault) -> DatabaseOperationError:
    """The error of a write that is refused again and again though the object is as it was asked to be."""
    return DatabaseOperationError(
        f"record {id!r} cannot be replaced: the store shows it with the ETag {etag}, and refuses a write on the condition that "
        f"it has that ETag ({fault}); SeaweedFS 4.48 does so where versions were kept and versioning is suspended: "
        "enable_versioning() again",
        id=id,
    )
