"""What a compaction does with each object in front of the table, by what lies behind it (the model's `fold`)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from dataknobs_data.exceptions import DataFormatError
from dataknobs_data.s3.fanout import FanOut
from dataknobs_data.s3.objects import Objects, Stored
from dataknobs_data.s3.store import Fault, Kind, Listed
from dataknobs_data.s3.tiered.fences import Ages
from dataknobs_data.s3.tiered.front import Front
from dataknobs_data.s3.tiered.places import is_untouched
from dataknobs_data.s3.tiered.table import Row

Rows = Mapping[str, Sequence[Row]]


@dataclass
class Plan:
    """What to do with the objects, by id.

    fold     documents that become rows; `dead` rows that go, by pack: id and birth
    bury     tombstones whose rows go, or are gone
    void     untouched documents of creators that died in a race with a finished load
    drop     objects that were folded by an earlier compaction, long enough ago to be deleted
    waiting  folded by an earlier one, but not long enough ago; `unfenced` are those of them that no commit has shut in yet
    left     stay as they are
    """

    fold: dict[str, Listed] = field(default_factory=dict)
    bury: dict[str, Listed] = field(default_factory=dict)
    void: dict[str, Listed] = field(default_factory=dict)
    drop: dict[str, Listed] = field(default_factory=dict)
    waiting: dict[str, Listed] = field(default_factory=dict)
    unfenced: dict[str, Listed] = field(default_factory=dict)
    left: dict[str, str] = field(default_factory=dict)
    dead: dict[str, set[tuple[str, str]]] = field(default_factory=dict)

    def kill(self, rows: Iterable[Row]) -> None:
        """These rows go."""
        for row in rows:
            self.dead.setdefault(row.pack.path, set()).add((row.id, row.born))

    @property
    def needs_fence(self) -> bool:
        """Whether a commit, even one that changes nothing, brings objects nearer to being deleted."""
        return bool(self.fold or self.bury or self.unfenced)


class Planner:
    """Decides. `rewritten`: paths of the packs that are going to be made anew."""

    def __init__(
        self,
        front: Front,
        rows: Rows,
        ages: Ages,
        rewritten: frozenset[str],
        is_void: Callable[[Listed, Sequence[Row]], bool],
    ) -> None:
        self._front = front
        self._rows = rows
        self._fence, self._newest = ages.fence(), ages.newest()
        self._rewritten = rewritten
        self._is_void = is_void

    def plan(self, objects: Objects, many: FanOut) -> Plan:
        """Looks at the documents that have rows behind them; those without are folded as they are."""
        plan = Plan()
        for id, line in self._front.tombstones.items():
            self._tombstone(plan, id, line)
        behind = [id for id in self._front.documents if id in self._rows]
        plan.fold.update((id, line) for id, line in self._front.documents.items() if id not in self._rows)

        def look(id: str) -> Stored | str:
            return seen(objects, id, self._front.documents[id])

        for id, found in zip(behind, many.map(look, behind), strict=True):
            if isinstance(found, str):
                plan.left[id] = found
            else:
                self._document(plan, id, found)
        return plan

    def _tombstone(self, plan: Plan, id: str, line: Listed) -> None:
        killed = [row for row in self._rows.get(id, ()) if row.born in self._front.graves[id]]
        if not killed:
            self._folded(plan, id, line)
        elif self._go(killed):
            plan.bury[id] = line
            plan.kill(killed)
        else:
            plan.left[id] = UNWORTHY

    def _document(self, plan: Plan, id: str, found: Stored) -> None:
        rows, line, document = self._rows[id], self._front.documents[id], found.document
        dead = document.replaces | {document.born}
        foreign = [row for row in rows if row.born not in dead]
        if foreign:
            if is_untouched(found) and self._is_void(line, foreign):
                plan.void[id] = line
            else:
                plan.left[id] = "a row of another creation lies behind it"
        elif [row.revision for row in rows] == [document.revision]:
            self._folded(plan, id, line)
        elif self._go(rows):
            plan.fold[id] = line
            plan.kill(rows)
        else:
            plan.left[id] = UNWORTHY

    def _folded(self, plan: Plan, id: str, line: Listed) -> None:
        """Nothing of it is missing in the table: it goes, or waits for a commit to be old enough."""
        if self._fence is not None and line.modified < self._fence:
            plan.drop[id] = line
            return
        plan.waiting[id] = line
        if self._newest is None or line.modified >= self._newest:
            plan.unfenced[id] = line

    def _go(self, rows: Sequence[Row]) -> bool:
        return all(row.pack.path in self._rewritten for row in rows)


UNWORTHY = "the packs behind it have too few dead rows to be made anew; compact(full=True) does"


def seen(objects: Objects, id: str, line: Listed) -> Stored | str:
    """The document behind a line of a listing, if it still is the same; else why it stays as it is."""
    try:
        found = objects.look_listed(id, line)
    except DataFormatError as error:
        return str(error)
    except Fault as fault:
        if fault.kind is not Kind.ARCHIVED:
            raise
        return "it lies in an archive storage class"
    if not isinstance(found, Stored) or found.etag != line.etag:
        return "it has just been changed"
    return found
