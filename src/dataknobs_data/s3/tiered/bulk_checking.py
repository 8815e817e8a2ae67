"""What a bulk update does after its commit about compare-and-sets that ran beside it (tests/model/cas.py)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from dataknobs_data.documents import Document
from dataknobs_data.exceptions import DataFormatError, OutcomeUnknownError, SnapshotExpiredError
from dataknobs_data.s3.calls import Deadline
from dataknobs_data.s3.marks import Mark
from dataknobs_data.s3.objects import Found, Grave, Stored, mark_on
from dataknobs_data.s3.putting import Put
from dataknobs_data.s3.steps import step
from dataknobs_data.s3.store import Fault, Match
from dataknobs_data.s3.tiered.loading import objects_of
from dataknobs_data.s3.tiered.packing import Uploaded
from dataknobs_data.s3.tiered.places import fresh
from dataknobs_data.s3.tiered.replaced import Replaced
from dataknobs_data.s3.tiered.rewriting import documents_in
from dataknobs_data.s3.tiered.tiers import Tiers
from dataknobs_data.s3.tombstones import Tombstone


class Check:
    """Of one bulk update that has been committed.

    job       its id: the revision of its rows
    replaced  the rows that it has replaced
    packs     that have its new versions
    """

    def __init__(self, tiers: Tiers, job: str, replaced: Replaced, packs: Sequence[Uploaded]) -> None:
        self._tiers = tiers
        self._parts = tiers.parts
        self._putter = tiers.parts.putter(tiers.can)
        self._job = job
        self._replaced = replaced
        self._packs = packs
        self._seals: set[str] = set()

    def deleted(self, deadline: Deadline) -> set[str]:
        """The ids of which a delete with an expected version came first. What came after a document of a compare-and-set is
        put in front of it. Raises OutcomeUnknownError when that could not be done.
        """
        if not self._replaced.own:
            return set()
        try:
            with step("bulk_update.check"):
                lines = objects_of(self._parts, [self._replaced.own], deadline)
            before = self._replaced.revisions(lines)
            return {id for id in lines if not self._counts(id, before[id], deadline)}
        except (Fault, SnapshotExpiredError, DataFormatError) as error:
            raise OutcomeUnknownError(
                f"the bulk update {self._job} is in the table, but whether somebody has changed one of its records by "
                f"expected_version at the same time could not be looked up ({error}): read such records before relying on them",
                job=self._job,
            ) from error

    def _counts(self, id: str, before: str, deadline: Deadline) -> bool:
        """Whether the new version of a record that has an object now is what came last, or was overwritten. `before`: the
        revision of the row that it replaced.
        """
        while True:  # the deadline ends this
            found = self._look(id, deadline)
            mark = mark_on(found)
            if found is None or mark is None:
                return True
            if mark.over == self._job:
                return not (isinstance(found, Grave) and found.tombstone.revision in self._seals)  # its answer was lost
            row = self._row(id, found, deadline)
            if (
                row is not None and row.revision == mark.over != before
            ):  # `before` again: put back, and folded over ours
                return True
            made, counts = self._settle(id, found, row, before, deadline)
            if made.fault is None:
                return counts

    def _look(self, id: str, deadline: Deadline) -> Found:
        with step("bulk_update.judge"):
            return self._parts.objects.look_or_outline(id, deadline)

    def _row(self, id: str, found: Stored | Grave, deadline: Deadline) -> Document | None:
        rows = fresh(self._tiers.table, deadline, "bulk_update.row", lambda view: view.documents([id]).get(id, []))
        births = {found.document.born} if isinstance(found, Stored) else found.tombstone.kills
        return next((row for row, _ in rows if row.born in births), None)

    def _settle(
        self, id: str, found: Stored | Grave, row: Document | None, before: str, deadline: Deadline
    ) -> tuple[Put, bool]:
        """Puts over the object what counts, on the condition that it is as it was found; whether this update's version does."""
        mark = mark_on(found)
        assert mark is not None
        condition = Match(found.etag)
        if isinstance(found, Grave):
            first = row is not None and row.revision == self._job and mark.over == before
            if first or row is None or row.revision == before:
                return self._seal(id, found, mark, first, deadline), False
            name, replaces = mark.settles or found.tombstone.revision, found.tombstone.kills - {row.born}
        else:
            name, replaces = found.document.revision, found.document.replaces
            if row is None or row.revision in (name, before):  # a compaction came by
                ours = documents_in(self._tiers, self._packs, [id])[id]
                with step("bulk_update.apply"):
                    return self._putter.put(replace(ours, replaces=replaces), condition, deadline), True
        with step("bulk_update.restore"):
            document = replace(row, replaces=replaces)
            return self._putter.put(document, condition, deadline, mark=Mark(row.revision, name)), True

    def _seal(self, id: str, found: Grave, mark: Mark, first: bool, deadline: Deadline) -> Put:
        settles = (mark.settles or found.tombstone.revision) if first else None
        runtime = self._parts.runtime
        tombstone = Tombstone(found.tombstone.kills, runtime.new_id(), Mark(self._job, settles))
        self._seals.add(tombstone.revision)
        with step("bulk_update.seal"):
            return self._putter.bury(id, tombstone, Match(found.etag), runtime.timestamp(), deadline)
