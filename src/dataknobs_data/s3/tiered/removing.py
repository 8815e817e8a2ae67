"""Deleting over both tiers: a tombstone takes the record's place, by a conditional PUT.

The order of requests is that of tests/model/tiers.py (`change`), and each bears its step's name. Nothing is deleted here: the
compactor takes tombstones away. Of many records the looks go together: a listing where it saves anything, then one look at the
log, and a second listing for those that neither has, for they may have moved in between.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from dataknobs_data.documents import Deletion, Document, check_version
from dataknobs_data.exceptions import DataknobsDataError
from dataknobs_data.runtime import Runtime
from dataknobs_data.s3.calls import Caller, Deadline
from dataknobs_data.s3.layout import ErrorOf, Parts
from dataknobs_data.s3.lost import unknown_outcome
from dataknobs_data.s3.objects import Found, Grave, Stored
from dataknobs_data.s3.putting import Putter
from dataknobs_data.s3.steps import step
from dataknobs_data.s3.store import Fault, Kind, Listed
from dataknobs_data.s3.tiered.deciding import ExistingChange, after_loss, held_copy, there_now
from dataknobs_data.s3.tiered.places import Places, alive, fresh, is_untouched
from dataknobs_data.s3.tiered.table import Row
from dataknobs_data.s3.tombstones import Tombstone

Failure = Fault | DataknobsDataError

BY_OTHERS = "*"
"""In place of an ETag: others have written since."""

T = TypeVar("T")


@dataclass(frozen=True)
class Seen:
    """What looks at many records found of one: what stands in front, and then the rows behind it (None: nobody looked).
    `deadline`: of an operation that began before the first of the looks.
    """

    found: Found
    rows: Sequence[Row] | None
    deadline: Deadline


class TieredRemover:
    """Deletes records. Raises Fault where the store fails."""

    def __init__(self, parts: Parts, places: Places, putter: Putter) -> None:
        self._parts = parts
        self._places = places
        self._putter = putter

    def delete(self, deletion: Deletion) -> bool:
        """Deletes one record; False where there is none."""
        return self._removal(deletion).run()

    def _removal(self, deletion: Deletion) -> _Removal:
        return _Removal(self._parts.caller, self._parts.runtime, self._places, self._putter, deletion)

    def delete_many(self, ids: Sequence[str], error_of: ErrorOf) -> list[bool | DataknobsDataError]:
        """See layout.Writers."""
        seen = self._seen(ids)

        def delete(id: str) -> bool | Failure:
            one = seen.get(id, False)
            return self._kept(lambda: self._removal(Deletion(id)).run(one)) if isinstance(one, Seen) else one

        def outcome(id: str) -> bool | DataknobsDataError:
            try:
                answer = delete(id)
                return error_of(id, answer) if isinstance(answer, Fault) else answer
            finally:
                self._parts.clock.tick(self._parts.keys.record(id))

        return list(self._parts.many.map(outcome, ids))

    # ------------------------------------------------------------------ looking together
    def _seen(self, ids: Sequence[str]) -> dict[str, Seen | Failure]:
        """Of each id what stands there, or why that cannot be told; ids of which nothing does are not among the keys."""
        began = self._parts.caller.deadline()
        fronts = self._fronts(ids)
        rows = self._rows(fronts)
        seen: dict[str, Seen | Failure] = {}
        for id, found in fronts.items():
            if isinstance(found, Failure):
                seen[id] = found
            elif found is not None or id in rows:
                seen[id] = Seen(found, rows.get(id, ()), began)
        for id, found in self._fronts([id for id in ids if id not in seen], "change.again").items():
            if found is not None:
                seen[id] = found if isinstance(found, Failure) else Seen(found, None, began)
        return seen

    def _fronts(self, ids: Sequence[str], name: str = "change.start") -> dict[str, Found | Failure]:
        """What stands in front; objects that a listing of few pages does not show are not asked for."""
        found: dict[str, Found | Failure] = {id: held_copy(self._places, self._putter, id) for id in ids}
        unknown = [id for id in ids if found[id] is None]
        with step(name):
            there = self._parts.presence.listed_in_few(unknown)
        asked = unknown if there is None else list(there)
        found.update(zip(asked, self._parts.many.map(lambda id: self._front(id, there, name), asked), strict=True))
        return found

    def _front(self, id: str, there: Mapping[str, Listed] | None, name: str) -> Found | Failure:
        objects = self._places.objects
        if there is not None and objects.holds(there[id]):
            return self._kept(lambda: objects.look_listed(id, there[id]))
        return self._kept(lambda: self._places.front(id, self._parts.caller.deadline(), name, damaged=True))

    def _rows(self, fronts: Mapping[str, Found | Failure]) -> dict[str, list[Row]]:
        ids = [id for id, found in fronts.items() if _hides_rows(found)]
        return fresh(self._places.table, None, "change.table", lambda view: view.rows(ids)) if ids else {}

    def _kept(self, call: Callable[[], T]) -> T | Failure:
        try:
            return call()
        except (Fault, DataknobsDataError) as error:
            return error


def _hides_rows(found: Found | Failure) -> bool:
    """Whether it matters what lies behind."""
    return found is None or isinstance(found, Grave) or (isinstance(found, Stored) and is_untouched(found))


class _Removal(ExistingChange):
    """One delete: a tombstone takes the record's place."""

    def __init__(self, caller: Caller, runtime: Runtime, places: Places, putter: Putter, deletion: Deletion) -> None:
        super().__init__(caller, runtime, places, putter, deletion.id, deletion.expected_version)
        self._damaged = True
        self._rows: Sequence[Row] | None = None

    def run(self, seen: Seen | None = None) -> bool:
        """Whether there was such a record. `seen`: what was found of it, unless that was too long ago."""
        if seen is None or self._runtime.monotonic() >= seen.deadline.last_start:
            deadline = self._caller.deadline()
            found = held_copy(self._places, self._putter, self._id) or self._look(deadline)
        else:
            deadline, found, self._rows = seen.deadline, seen.found, seen.rows
        in_a_row = 0
        for number in itertools.count():
            decided = self._write_for(found, deadline)
            self._rows = None
            if decided is None:
                check_version(self._id, self._expected, None)
                return False
            write, name = decided
            if isinstance(found, Stored) and not found.certain and self._expected not in (None, write.current.revision):
                found = self._look(deadline)
                continue
            check_version(self._id, self._expected, write.current.revision)
            kills = write.replaces | {write.current.born}
            tombstone = Tombstone(kills, self._runtime.new_id(), write.mark, write.current.revision)
            with step(name):
                made = self._putter.bury(self._id, tombstone, write.condition, self._runtime.timestamp(), deadline)
            etag = made.etag
            if made.fault and made.fault.answer_lost:
                etag = self._settled(tombstone, write.current.born, made.fault, deadline)
            if made.fault is None or etag:
                if etag != BY_OTHERS:
                    self._prove(write, tombstone.revision, etag, deadline)
                return True
            before, found = found, self._look(deadline)
            in_a_row = self._refused(number, before, found, made.fault, in_a_row)
        raise AssertionError("the deadline ends this")

    def _births(self, deadline: Deadline) -> frozenset[str]:
        return super()._births(deadline) if self._rows is None else frozenset(row.born for row in self._rows)

    def _behind(self, deadline: Deadline, name: str, kills: frozenset[str]) -> Document | None:
        if self._rows is None:
            row = self._places.row(self._id, deadline, name, kills)
        else:
            row = alive(self._id, self._rows, kills)
        return Document(self._id, {}, {}, "", "", row.born, row.revision) if row else None

    def _settled(self, tombstone: Tombstone, born: str, fault: Fault, deadline: Deadline) -> str:
        """After a lost answer: the tombstone's ETag, or BY_OTHERS where this birth is dead now though something else stands
        there; "": it was not written, and cannot be any more.
        """
        found = after_loss(self._places, self._id, fault, deadline)
        if isinstance(found, Grave) and found.tombstone.revision == tombstone.revision:
            return found.etag
        if isinstance(found, Grave) and born in found.tombstone.kills:
            return BY_OTHERS
        if isinstance(found, Stored) and born in found.document.replaces:
            return BY_OTHERS  # deleted, and created again by somebody since
        self._proof.settled(found, tombstone.revision)
        if fault.kind is Kind.CONDITION and found is not None:
            return ""
        raise unknown_outcome(self._id, there_now(found), fault) from fault
