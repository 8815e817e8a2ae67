"""What the protocol of the two tiers promises (see tiers.py), and the scenarios in which it is checked."""

import itertools
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, NamedTuple

from tests.model import explorer, register
from tests.model.explorer import Configuration, Etag, Loc, Version
from tests.model.register import Op, overlap
from tests.model.tiers import (
    BROKEN,
    LIVE_LOADS,
    MISTAKES,
    NOTHING,
    Doc,
    State,
    Tomb,
    births,
    bulk_update,
    change,
    come_to_rest,
    compact,
    contested,
    create,
    load,
    read,
    run_alone,
    scan,
    visible,
)

__all__ = ["BROKEN", "KINDS", "LEFT_OPEN", "MISTAKES", "STARTS", "all_fours", "scenarios"]

KINDS = {  # the operation that each of them is for the register, and its program
    "create": lambda v: (("create", v), create(v)),
    "load": lambda v: (("create", v), load(v)),
    "update": lambda v: (("update", v), change(v)),
    "bulk update": lambda v: (("update", v), bulk_update(v)),
    "delete": lambda v: (("delete", None), change(None)),
    "read": lambda v: (("read", None), read),
    "scan": lambda v: (("read", None), scan),
    "compact": lambda v: (("compact", None), compact),
}


def at_first(hot: Any = None, row: tuple[str, str] | None = None, commits: int = 0) -> State:
    """A store of which all rows are those of finished births."""
    return State(hot, frozenset({row} if row else ()), Version(commits), 2, frozenset({"b0"} if commits else ()))


FIRST, B0 = Etag(1), frozenset({"b0"})
STARTS = {
    "nothing": at_first(),
    "an object": at_first(Doc("old", "b0", NOTHING, FIRST)),
    "a row": at_first(None, ("old", "b0"), 1),
    "an object over its row": at_first(Doc("new", "b0", NOTHING, FIRST), ("old", "b0"), 1),
    "a tombstone over a row": at_first(Tomb(B0, FIRST), ("old", "b0"), 1),
    "a lost creator's tombstone before a live row": at_first(Tomb(frozenset({"x"}), FIRST), ("old", "b0"), 1),
    "a document over the row it replaces": at_first(Doc("new", "b1", B0, FIRST), ("old", "b0"), 1),
    "a tombstone alone": at_first(Tomb(B0, FIRST), commits=2),
}
FOURS = (
    ("a tombstone over a row", ("create", "delete", "compact", "compact")),
    ("an object", ("delete", "create", "compact", "compact")),
    ("a row", ("update", "delete", "create", "compact")),
    ("nothing", ("create", "load", "read", "compact")),
    ("nothing", ("create", "load", "update", "compact")),
    ("nothing", ("create", "load", "delete", "compact")),
)

LEFT_OPEN = {
    f"nothing: create | load | {two} | {other}"
    for two, others in (
        ("update", ("update", "bulk update", "delete", "read", "scan")),
        ("bulk update", ("bulk update", "delete", "read", "scan")),
    )
    for other in others
}
"""Of four actors: see tiers.py, "Left open"."""


# ------------------------------------------------------------------ one register
def apply(op: Op, value: Any) -> tuple[Any, Any]:
    """The result of an operation on the register, and its value after that."""
    if op.kind == "create":
        return ("ok", op.arg) if value is None else ("duplicate", value)
    if op.kind == "update":
        return (True, op.arg) if value is not None else (False, None)
    if op.kind == "delete":
        return (True, None) if value is not None else (False, None)
    return value, value  # read


def linearizable(initial: Any, ops: Sequence[Op]) -> bool:
    """Whether all answers can be true, but for what is allowed beyond that. The last operation is the reader who comes last."""
    places = range(len(ops))
    creators = [place for place in places if ops[place].kind == "create"]
    rivals = [[one for one in creators if overlap(ops, place, one)] for place in places]

    def was_there_for_a_moment(creator: int) -> bool:
        return bool(rivals[creator]) and (not ops[creator].known or ops[creator].result == "duplicate")

    def leaves(place: int, value: Any) -> Iterator[Any]:
        op = ops[place]
        result, after = apply(op, value)
        if not op.known or result == op.result:
            yield after
        if op.kind == "create" and op.result == "duplicate" and rivals[place]:
            yield from {value, op.arg if value is None else value}
        if op.kind == "delete" and op.result is True:
            yield from (None for one in places if ops[one].kind == "delete" and overlap(ops, place, one))
        if op.kind == "read" and place != places[-1]:
            yield from (value for one in rivals[place] if ops[one].arg == op.result and was_there_for_a_moment(one))

    return register.linearizable(initial, ops, leaves)


# ------------------------------------------------------------------ time
class Clock(NamedTuple):
    """Operations that are still under way, as sets of bits, and were so before something happened.

    changed   the last change of the store
    put       the last change of its object
    awaited   for each actor: the commit after which it waits before it deletes
    """

    changed: int
    put: int
    awaited: tuple[int, ...]


class Scenario(explorer.Scenario):
    """Some actors on a store with that start."""

    def __init__(self, where: str, kinds: Sequence[str], *, deaths: bool) -> None:
        start = STARTS[where]
        if isinstance(start.hot, Tomb) and "tombstones share an ETag" in BROKEN:
            start = start._replace(hot=start.hot._replace(etag=0))
        names = [f"{kind}{number}" for number, kind in enumerate(kinds)]
        self._ops, programs = zip(*(KINDS[kind](name) for kind, name in zip(kinds, names, strict=True)), strict=True)
        self._compactors = [number for number, kind in enumerate(kinds) if kind == "compact"]
        self._nobody = Clock(0, 0, (0,) * len(kinds))
        self._initial = visible(start.hot, start.rows)
        self._linearizable, self._come_to_rest = cache(linearizable), cache(come_to_rest)
        title = f"{where}: {' | '.join(kinds)}"
        super().__init__(title, start, self._nobody, [*zip(kinds, names, programs, strict=True)], deaths)

    def _running(self, now: Configuration) -> int:
        """Operations under way, for which compactions have to wait."""
        return sum(1 << number for number in now.under_way() if number not in self._compactors)

    def waits(self, now: Configuration, number: int) -> bool:
        loc = now.locs[number]
        if number not in self._compactors or loc[0] not in ("object", "drop"):
            return False
        if loc[0] == "drop":  # the grace period outlasts every operation that began before it
            return bool(now.clock.awaited[number] & self._running(now)) and "no grace before deleting" not in BROKEN
        # what is contested is left until the deadline of whoever began before it was put is over
        young = now.clock.put & self._running(now) and "compactor folds what is contested at once" not in BROKEN
        return bool(young) and contested(now.state.hot, loc[2])

    def clock(self, before: Configuration, now: Configuration, number: int) -> Clock:
        if all(now.locs[compactor][0] in ("done", "dead") for compactor in self._compactors):
            return self._nobody
        running, still = self._running(before), self._running(now)
        changed, put, awaited = before.clock
        fence = changed if before.locs[number][0] == "void" else running
        if (now.state.hot, now.state.ver) != (before.state.hot, before.state.ver):
            changed = running
        if now.state.hot != before.state.hot:
            put = running
        if now.locs[number][0] in ("drop", "done"):
            fences = fence if now.locs[number][0] == "drop" else 0
            awaited = (*awaited[:number], fences, *awaited[number + 1 :])
        return Clock(changed & still, put & still, tuple(one & still for one in awaited))

    def step(self, now: Configuration, number: int) -> tuple[Any, Loc]:
        LIVE_LOADS.clear()
        if number in self._compactors and "adoption of a load that still runs" not in BROKEN:
            LIVE_LOADS.update(self._ops[one][1] for one in now.under_way() if self._ops[one][0] == "create")
        return super().step(now, number)

    def broken_promise(self, end: Configuration, befores: Sequence[int]) -> str | None:
        LIVE_LOADS.clear()
        state = end.state
        if any(loc[0] == "dead" and self._ops[number][0] == "create" for number, loc in enumerate(end.locs)):
            kinds = [kind for kind, _ in self._ops]
            if kinds.count("create") > 1 and {"update", "delete"} & {*kinds}:
                return None
            state = run_alone(state, compact)  # heals at the next compaction
        value = visible(state.hot, state.rows)
        if not self._linearizable(self._initial, self._told(end, befores, value)):
            return f"no order explains what they were told, and {value!r} in the end"
        rest = self._come_to_rest(state)
        if rest.hot is None and births(rest.rows) <= rest.fin and visible(None, rest.rows) == value:
            return None
        return f"does not come to rest with {value!r}, but with {rest}"

    def _told(self, end: Configuration, befores: Sequence[int], value: Any) -> tuple[Op, ...]:
        """What everybody was told, and then who reads that value when all is over."""
        places = [number for number in range(len(end.locs)) if number not in self._compactors]
        ops = []
        for number in places:
            before = sum(1 << place for place, one in enumerate(places) if befores[number] >> one & 1)
            known = end.locs[number][0] == "done"
            ops.append(Op(*self._ops[number], end.locs[number][1] if known else None, known, before))
        everybody = sum(1 << place for place, op in enumerate(ops) if op.known)
        return (*ops, Op("read", None, value, True, everybody))


def scenarios(only: str | None = None) -> Iterator[Scenario]:
    """Where it begins and who acts: the small ones first, which catch most mistakes. `only`: those that begin there."""
    pairs, triples = ([*itertools.combinations_with_replacement(KINDS, size)] for size in (2, 3))
    for where, kinds in (*itertools.product(STARTS, pairs), *FOURS, *itertools.product(STARTS, triples)):
        if only in (None, where):
            yield Scenario(where, kinds, deaths=True)


def all_fours(only: str) -> Iterator[Scenario]:
    """All four that may act there; nobody dies."""
    yield from (Scenario(only, kinds, deaths=False) for kinds in itertools.combinations_with_replacement(KINDS, 4))
