"""One change of an existing record, up to what is put over what (the model's `change`): what update and delete have in common."""

from __future__ import annotations

from collections.abc import Callable

from dataknobs_data.documents import Document
from dataknobs_data.exceptions import DataFormatError
from dataknobs_data.runtime import Runtime
from dataknobs_data.s3.calls import Caller, Deadline
from dataknobs_data.s3.changing import REFUSALS_MAX, contradicted, unwritable
from dataknobs_data.s3.lost import unknown_outcome
from dataknobs_data.s3.marks import Mark
from dataknobs_data.s3.objects import Found, Grave, Stored
from dataknobs_data.s3.putting import Putter
from dataknobs_data.s3.store import ABSENT, Condition, Fault, Match
from dataknobs_data.s3.tiered.places import Places, is_untouched
from dataknobs_data.s3.tiered.relying import Applied, Proof, Relied

NOTHING: frozenset[str] = frozenset()


class Write:
    """What a change of an existing record is about to put, over what. Births that it declares dead are `replaces`. `relied`:
    of a compare-and-set that bulk updates have to know of.
    """

    def __init__(
        self, current: Document, condition: Condition, replaces: frozenset[str], relied: Relied | None = None
    ) -> None:
        self.current = current
        self.condition = condition
        self.replaces = replaces - {current.born}
        self.relied = relied

    @property
    def mark(self) -> Mark | None:
        """What the object is to bear."""
        return self.relied.mark if self.relied else None


class ExistingChange:
    """One change of an existing record. `expected`: the version that it is to be at, if that matters."""

    def __init__(
        self, caller: Caller, runtime: Runtime, places: Places, putter: Putter, id: str, expected: str | None
    ) -> None:
        self._caller = caller
        self._runtime = runtime
        self._places = places
        self._putter = putter
        self._id = id
        self._expected = expected
        self._proof = Proof(places, putter, id, expected)
        self._damaged = False

    def _found_write(self, found: Found, deadline: Deadline) -> tuple[Write, str] | Found | None:
        """What to write over what was found, with the step's name; None: there is no such record. What was found instead
        where both looks found nothing and the record may have moved between them.
        """
        if isinstance(found, Stored):
            replaces = found.document.replaces
            if is_untouched(found):
                replaces |= self._births(deadline)
            relied = Relied(Mark(found.mark.over), None) if found.mark and self._expected is not None else None
            return Write(found.document, Match(found.etag), replaces, relied), "change.match"
        known = self._places.table.log.known
        since = known.version if known else -1
        if isinstance(found, Grave):
            kills = found.tombstone.kills
            behind = self._behind(deadline, "change.behind", kills)
            if behind is None:
                return None
            return Write(behind, Match(found.etag), kills, self._relied(behind, since)), "change.over"
        behind = self._behind(deadline, "change.table", NOTHING)
        if behind is not None:
            return Write(behind, ABSENT, NOTHING, self._relied(behind, since)), "change.fresh"
        return self._places.front(self._id, deadline, "change.again")

    def _relied(self, row: Document, since: int) -> Relied | None:
        return None if self._expected is None else Relied(Mark(row.revision), since)

    def _prove(self, write: Write, revision: str, etag: str, deadline: Deadline) -> None:
        """After the PUT of a compare-and-set. Raises where it does not count."""
        if write.relied:
            applied = Applied(revision, write.current.born, write.replaces, etag)
            self._proof.check(applied, write.relied, deadline)

    def _write_for(self, found: Found, deadline: Deadline) -> tuple[Write, str] | None:
        while True:
            decided = self._found_write(found, deadline)
            if decided is None or isinstance(decided, tuple):
                return decided
            found = decided

    def _births(self, deadline: Deadline) -> frozenset[str]:
        return self._places.births(self._id, deadline, "change.young")

    def _behind(self, deadline: Deadline, name: str, kills: frozenset[str]) -> Document | None:
        return self._places.current(self._id, deadline, name, kills)

    def _look(self, deadline: Deadline) -> Found:
        return self._places.front(self._id, deadline, "change.start", damaged=self._damaged)

    def _still(self, write: Write, deadline: Deadline) -> Callable[[], bool] | None:
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


def held_copy(places: Places, putter: Putter, id: str) -> Stored | None:
    """The copy in memory, where a write derived from it fails if it is old."""
    return places.objects.held_copy(id) if putter.can.conditional_put else None


def after_loss(places: Places, id: str, fault: Fault, deadline: Deadline) -> Found:
    """What is there after the answer to a write was lost. Raises OutcomeUnknownError where nobody says."""
    try:
        return places.objects.look_or_outline(id, deadline.for_a_look())
    except (Fault, DataFormatError) as second:
        raise unknown_outcome(id, f"it cannot be read either ({second})", fault) from fault


def there_now(found: Found) -> str:
    """What was found, in words."""
    if isinstance(found, Stored):
        return f"version {found.document.revision} is there now"
    return "there is no such record now" if found is None else "it is deleted now"
