"""What actors do: operations of the code beside programs of the model, and schedules by which they take turns."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from dataknobs_data.backends.s3 import S3Database
from dataknobs_data.exceptions import BatchError, DuplicateRecordError
from dataknobs_data.records import Record
from tests.model import tiers
from tests.model.stores import RECORD, folded_in_model
from tests.model.tiers_promise import STARTS

FIRST_ETAG = 1
"""In the model, of the object that is there from the start."""


# ---------------------------------------------------------------------------------------------- operations
@dataclass(frozen=True)
class Kind:
    """An operation by the code, and by the model.

    part    what the names of its steps begin with in the code; `singly`: those that it takes as if it were a single one
    held    it begins with a copy of the document that was read before
    late    it begins when there has been a compaction, long ago
    """

    part: str
    operation: Callable[[S3Database, str], Any]
    program: Callable[[str], Callable[[Any, Any], Any]]
    held: bool = False
    singly: str = ""
    late: bool = False

    @property
    def settings(self) -> dict[str, Any]:
        return {} if self.held else {"cache_bytes": 0}

    def step_name(self, loc: Any) -> str:
        """The code's name for a program counter of the model."""
        return f"{self.singly}.{loc[1]}" if loc[0] == "single" else f"{self.part}.{loc[0]}"


def _record(name: str) -> Record:
    return Record({"v": name}, id=RECORD)


def _create(database: S3Database, name: str) -> str:
    try:
        database.create(_record(name))
    except DuplicateRecordError:
        return "duplicate"
    return "ok"


def _load(database: S3Database, name: str) -> str:
    try:
        database.batch_create([_record(name)])
    except BatchError as error:
        if not isinstance(error.failed[0][1], DuplicateRecordError):
            raise
        return "duplicate"
    return "ok"


def _update(database: S3Database, name: str) -> bool:
    return database.update(RECORD, _record(name))


def _bulk_update(database: S3Database, name: str) -> bool:
    (found,) = database.batch_update([(RECORD, _record(name))])
    return found


def _delete(database: S3Database, name: str) -> bool:
    return database.delete(RECORD)


def _compact(database: S3Database, name: str) -> None:
    database.compact()


def _compact_in_model(s: Any, loc: Any) -> Any:
    """A compaction beside others: they have only begun, so nothing is old enough to be adopted or deleted yet."""
    tiers.LIVE_LOADS.update(s.tags)
    s, loc = tiers.compact(s, loc)
    tiers.LIVE_LOADS.clear()
    return s, ("done", None) if loc[0] in ("drop", "void") else loc


def _late_in_model(s: Any, loc: Any) -> Any:
    """A compaction long after another one: what that has folded, and nobody has changed since, is deleted."""
    if loc[0] == "object" and s.hot is not None and s.hot.etag == FIRST_ETAG:
        return s, ("drop", s.hot)
    return tiers.compact(s, loc) if loc[0] == "drop" else _compact_in_model(s, loc)


def read(database: S3Database, name: str = "") -> str | None:
    record = database.read(RECORD)
    return record["v"] if record else None


KINDS = {
    "create": Kind("create", _create, tiers.create),
    "load": Kind("load", _load, tiers.load, singly="create"),
    "update": Kind("change", _update, tiers.change),
    "delete": Kind("change", _delete, lambda name: tiers.change(None)),
    "bulk update": Kind("bulk_update", _bulk_update, tiers.bulk_update, singly="change"),
    "compact": Kind("compact", _compact, lambda name: _compact_in_model),
    "late compact": Kind("compact", _compact, lambda name: _late_in_model, late=True),
    "read": Kind("read", read, lambda name: tiers.read),
    "held update": Kind("change", _update, tiers.change, held=True),
    "held delete": Kind("change", _delete, lambda name: tiers.change(None), held=True),
}


# ---------------------------------------------------------------------------------------------- the model's side
class Programs:
    """The model's side of a run, without the code: states are pairs of the store and the actors' program counters."""

    def __init__(self, start: str, names: Sequence[str]) -> None:
        self.kinds = [KINDS[name] for name in names]
        if any(kind.late for kind in self.kinds):  # what is old enough to be deleted is so for all
            self.kinds = [KINDS["late compact"] if name == "compact" else KINDS[name] for name in names]
        self.names = [f"{name.replace(' ', '-')}{number}" for number, name in enumerate(names)]
        self.programs = [kind.program(name) for kind, name in zip(self.kinds, self.names, strict=True)]
        self.start = STARTS[start]
        self.late = any(kind.late for kind in self.kinds)
        if self.late:
            self.start = folded_in_model(self.start)._replace(etags=FIRST_ETAG + 1)
        begun = ("start",)
        held = isinstance(self.start.hot, tiers.Doc)
        locs = [
            program(self.start, begun)[1] if kind.held and held else begun
            for kind, program in zip(self.kinds, self.programs, strict=True)
        ]
        self.first = (self.start, tuple(locs))

    def live(self, node: Any) -> list[int]:
        """Whose turn it may be."""
        return [number for number, loc in enumerate(node[1]) if loc[0] not in ("done", "dead")]

    def after(self, node: Any, number: int) -> Any:
        """The state after a step of that actor."""
        state, locs = node
        state, loc = self.programs[number](state, locs[number])
        return state, (*locs[:number], loc, *locs[number + 1 :])

    def without(self, node: Any, number: int) -> Any:
        """The state after the death of that actor."""
        state, locs = node
        return state, (*locs[:number], ("dead",), *locs[number + 1 :])


def covering(start: str, names: Sequence[str]) -> Iterator[list[int]]:
    """Schedules by which every step that any interleaving can take, in whatever state, is taken at least once."""
    programs = Programs(start, names)
    ways: dict[Any, list[int]] = {programs.first: []}
    left: dict[Any, set[int]] = {}
    waiting = deque([programs.first])
    while waiting:  # breadth first: the shortest way to each state
        node = waiting.popleft()
        left[node] = set(programs.live(node))
        for number in left[node]:
            after = programs.after(node, number)
            if after not in ways:
                ways[after] = [*ways[node], number]
                waiting.append(after)
    for target in reversed(ways):  # the far ones first: the ways there take the steps of many others
        while left[target]:
            schedule, node, way = [], programs.first, deque([*ways[target], min(left[target])])
            while live := programs.live(node):
                number = way.popleft() if way else min(left[node] or live)
                left[node].discard(number)
                schedule.append(number)
                node = programs.after(node, number)
            yield schedule
