"""What a compaction does with each object in front of the table, by what lies behind it (the model's `fold`)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

from dataknobs_data.exceptions import DataFormatError
from dataknobs_data.s3.archive.states import ARCHIVES
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

    fold      documents that become rows; `dead` are rows that go, by pack: id and birth
    bury      tombstones whose rows go
    void      untouched documents of creators that died in a race with a finished load
    drop      objects that were folded by an earlier compaction, long enough ago to be deleted
    waiting   folded by an earlier one, but not long enough ago; `unfenced` are those among them that no commit has shut in yet:
              another compaction may have read what stood there before them, and commit that (tests/model/cas.py)
    left      stay as they are, and why
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


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a document says that has rows behind it."""

    born: str
    revision: str
    replaces: frozenset[str]
    untouched: bool


class Planner:
    """Decides what becomes of each object.

    remembered  ids of objects that this process has folded itself, and that only wait
    """

    def __init__(self, front: Front, rows: Rows, ages: Ages, remembered: Collection[str]) -> None:
        self._front = front
        self._rows = rows
        self._ages = ages
        self._fence, self._quiet = ages.fence(), ages.is_quiet()
        self._remembered = remembered
        self._seen: dict[str, _Seen | str] = {}
        self._archived: Collection[str] = ()

    def look(self, objects: Objects, many: FanOut) -> None:
        """Looks at the documents that have rows behind them; those without are folded whatever they say."""
        behind = [id for id in self._front.documents if id in self._rows and id not in self._remembered]

        def look(id: str) -> _Seen | str:
            found = seen(objects, id, self._front.documents[id])
            if isinstance(found, str):
                return found
            document = found.document
            return _Seen(document.born, document.revision, document.replaces, is_untouched(found))

        self._seen = dict(zip(behind, many.map(look, behind), strict=True))

    def new_ids(self) -> list[str]:
        """Of the documents that become rows wherever their packs are."""
        return [id for id in self._front.documents if id not in self._rows and id not in self._remembered]

    def dead(self) -> Counter[str]:
        """How many rows of each pack, by path, could go."""
        killed = (row for id in self._front.tombstones if not self._is_young(id) for row in self._killed(id))
        folded = (row for id in self._seen for row in self._foldable(id))
        return Counter(row.pack.path for row in chain(killed, folded))

    def _killed(self, id: str) -> list[Row]:
        return [row for row in self._rows.get(id, ()) if row.born in self._front.graves[id]]

    def _is_young(self, id: str) -> bool:
        """As `_is_contested`, of a tombstone."""
        return len(self._front.graves[id]) > 1 and not self._ages.is_outlived(self._front.tombstones[id])

    def _foreign(self, id: str, document: _Seen) -> list[Row]:
        dead = document.replaces | {document.born}
        return [row for row in self._rows[id] if row.born not in dead]

    def _foldable(self, id: str) -> Sequence[Row]:
        document, rows = self._seen[id], self._rows[id]
        if isinstance(document, str) or self._foreign(id, document) or _is_folded(document, rows):
            return ()
        return () if self._is_contested(id, document) else rows

    def _is_contested(self, id: str, document: _Seen) -> bool:
        """Whether rows of other creations would go, whose creators may still have to see that they were not alone."""
        others = any(row.born in document.replaces for row in self._rows[id])
        return others and not self._ages.is_outlived(self._front.documents[id])

    def plan(
        self,
        rewritten: frozenset[str],
        is_void: Callable[[Listed, Sequence[Row]], bool],
        archived: Collection[str] = frozenset(),
    ) -> Plan:
        """What to do when the packs of these paths are made anew. `is_void`: whether an untouched document before rows of
        others is that of a creator that died. `archived`: paths of packs that would be made anew, if they could be read.
        """
        plan = Plan()
        self._archived = archived
        for id, line in self._front.tombstones.items():
            self._tombstone(plan, id, line, rewritten)
        for id, line in self._front.documents.items():
            if id in self._remembered:
                plan.waiting[id] = line
            elif id not in self._rows:
                plan.fold[id] = line
            else:
                self._document(plan, id, line, rewritten, is_void)
        return plan

    def _tombstone(self, plan: Plan, id: str, line: Listed, rewritten: frozenset[str]) -> None:
        killed = self._killed(id)
        if id in self._remembered:
            plan.waiting[id] = line
        elif not killed:
            self._folded(plan, id, line)
        elif self._is_young(id):
            plan.left[id] = CONTESTED
        elif _all_in(killed, rewritten):
            plan.bury[id] = line
            plan.kill(killed)
        else:
            plan.left[id] = self._reason(killed)

    def _document(
        self,
        plan: Plan,
        id: str,
        line: Listed,
        rewritten: frozenset[str],
        is_void: Callable[[Listed, Sequence[Row]], bool],
    ) -> None:
        document, rows = self._seen[id], self._rows[id]
        if isinstance(document, str):
            plan.left[id] = document
        elif foreign := self._foreign(id, document):
            if document.untouched and is_void(line, foreign):
                plan.void[id] = line
            else:
                plan.left[id] = FOREIGN
        elif _is_folded(document, rows):
            self._folded(plan, id, line)
        elif self._is_contested(id, document):
            plan.left[id] = CONTESTED
        elif _all_in(rows, rewritten):
            plan.fold[id] = line
            plan.kill(rows)
        else:
            plan.left[id] = self._reason(rows)

    def _reason(self, rows: Iterable[Row]) -> str:
        """Why an object stays in front of these rows."""
        return COLD_BEHIND if any(row.pack.path in self._archived for row in rows) else UNWORTHY

    def _folded(self, plan: Plan, id: str, line: Listed) -> None:
        """Without it there is the same to see: it goes, or waits until commits that shut it in are old enough."""
        fenced = self._fence is not None and line.modified < self._fence
        (plan.drop if fenced and self._quiet else plan.waiting)[id] = line
        if not fenced:
            plan.unfenced[id] = line


def _is_folded(document: _Seen, rows: Sequence[Row]) -> bool:
    return [row.revision for row in rows] == [document.revision]


def _all_in(rows: Sequence[Row], rewritten: frozenset[str]) -> bool:
    return all(row.pack.path in rewritten for row in rows)


FOREIGN = "a row of another creation lies behind it"
CONTESTED = "it stands for several creations of one id, and has not stood for a whole deadline yet"
CHANGED = "it has just been changed"
DAMAGED = "it makes no sense: reading it says why"
ARCHIVED = "it lies in an archive storage class"
COLD_BEHIND = "a pack behind it is archived: restore(query) makes it readable, and compact() can make it anew then"
UNWORTHY = "the packs behind it have too few dead rows to be made anew; compact(full=True) does"


def seen(objects: Objects, id: str, line: Listed) -> Stored | str:
    """The document behind a line of a listing, if it still is the same; else why it stays as it is."""
    if line.storage_class in ARCHIVES:
        return ARCHIVED
    try:
        found = objects.look_listed(id, line)
    except DataFormatError:
        return DAMAGED
    except Fault as fault:
        if fault.kind is not Kind.ARCHIVED:
            raise
        return ARCHIVED
    if not isinstance(found, Stored) or found.etag != line.etag:
        return CHANGED
    return found
