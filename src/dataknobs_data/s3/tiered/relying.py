"""What a compare-and-set over a row of the table does once its object was put (tests/model/cas.py): was that row the newest?

A bulk update gives rows other revisions by a commit, which the condition of a PUT does not see. So each looks again after its
own write, and where both were at it one of them is told so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NoReturn

from dataknobs_data.documents import Document, check_version
from dataknobs_data.exceptions import DataFormatError, OutcomeUnknownError, SnapshotExpiredError
from dataknobs_data.s3.calls import Deadline
from dataknobs_data.s3.lost import unknown_outcome
from dataknobs_data.s3.marks import Mark
from dataknobs_data.s3.objects import Found, Stored, mark_on
from dataknobs_data.s3.putting import Putter
from dataknobs_data.s3.steps import step
from dataknobs_data.s3.store import Fault, Match
from dataknobs_data.s3.tiered.bulk_updating import OPERATION as BULK_UPDATE
from dataknobs_data.s3.tiered.places import Places, RowLike, fresh
from dataknobs_data.s3.tiered.table import Row, View


@dataclass(frozen=True, slots=True)
class Relied:
    """What a compare-and-set relies on.

    mark   of its object
    since  a version of the log before its first look at the row; None: it has found an object that bore a mark
    """

    mark: Mark
    since: int | None


@dataclass(frozen=True, slots=True)
class Applied:
    """The object that it has put. `replaces`: births besides its own that the object declares dead."""

    revision: str
    born: str
    replaces: frozenset[str]
    etag: str


class Proof:
    """Of compare-and-sets of one record that expected that version."""

    def __init__(self, places: Places, putter: Putter, id: str, expected: str | None) -> None:
        self._places = places
        self._putter = putter
        self._id = id
        self._expected = expected

    def check(self, applied: Applied, relied: Relied, deadline: Deadline) -> None:
        """Comes back if the change counts. Raises ConcurrencyError where a bulk update was first, whose version is then put
        back in front; OutcomeUnknownError where nobody can tell.
        """
        deadline = deadline.for_a_look()
        try:
            back = self._newer_row(applied, relied, deadline)
            if back is None:
                return
            with step("change.restore"):
                document, mark = replace(back, replaces=applied.replaces), Mark(back.revision, applied.revision)
                made = self._putter.put(document, Match(applied.etag), deadline, mark=mark)
            if made.fault is None:
                self._lost(back.revision)
            with step("change.look"):
                found = self._places.objects.look_or_outline(self._id, deadline)
        except (Fault, DataFormatError, SnapshotExpiredError) as error:
            raise self._unknown(str(error)) from error
        if not self.settled(found, applied.revision):
            raise unknown_outcome(self._id, "others have changed the record since", made.fault) from made.fault

    def settled(self, found: Found, revision: str) -> bool:
        """Whether the object says that a bulk update let the compare-and-set of that revision come first; False: it says
        nothing of it. Raises ConcurrencyError where it says that it lost.
        """
        mark = mark_on(found)
        if mark is None or mark.settles != revision:
            return False
        if isinstance(found, Stored):
            self._lost(found.document.revision)
        return True

    def _lost(self, actual: str) -> NoReturn:
        check_version(self._id, self._expected, actual)
        raise AssertionError("a row that was replaced has another revision")

    def _newer_row(self, applied: Applied, relied: Relied, deadline: Deadline) -> Document | None:
        """The row that a bulk update has made of the one that this relies on; None where this counts."""
        table = self._places.table

        def look(view: View) -> Sequence[Row] | None:
            same = view.snapshot is not None and view.snapshot.version == relied.since
            return None if same else view.rows([self._id]).get(self._id, [])

        rows = fresh(table, deadline, "change.verify", look)
        if rows is None:
            return None
        row = _of(applied.born, rows)
        if row is not None and row.revision == relied.mark.over:
            return None
        if row is not None and row.revision != applied.revision:
            found = fresh(table, deadline, "change.verify", lambda view: view.documents([self._id]).get(self._id, []))
            document = _of(applied.born, [document for document, _ in found])
            if document is not None and document.revision != applied.revision:
                return document
        self._check_folded(relied, deadline)
        return None

    def _check_folded(self, relied: Relied, deadline: Deadline) -> None:
        """A compaction has folded the object in these moments. Raises OutcomeUnknownError unless there was no bulk update."""
        log = self._places.table.log
        snapshot = log.known
        if relied.since is None or snapshot is None:
            raise self._unknown("a compaction has folded it meanwhile")
        commits = log.commits_since(snapshot, relied.since, deadline)
        if any((commit.info or {}).get("operation") == BULK_UPDATE for commit in commits):
            raise self._unknown("a bulk update and a compaction were at it meanwhile")

    def _unknown(self, why: str) -> OutcomeUnknownError:
        return OutcomeUnknownError(
            f"record {self._id!r}: a change of version {self._expected} was applied, but whether a bulk update was first cannot "
            f"be told: {why}; read the record before writing again",
            id=self._id,
        )


def _of(born: str, rows: Sequence[RowLike]) -> RowLike | None:
    return next((row for row in rows if row.born == born), None)
