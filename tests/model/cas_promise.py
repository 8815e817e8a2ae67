"""What is promised of compare-and-sets beside bulk updates (see cas.py), and the scenarios in which it is checked."""

import itertools
from collections.abc import Iterator, Sequence
from functools import cache

from tests.model import explorer, register
from tests.model.cas import (
    BROKEN,
    DONE,
    MISTAKES,
    REFUSED,
    ROW,
    UNKNOWN,
    Doc,
    Tomb,
    bulk,
    cas,
    change,
    compact,
    on_what_is_there,
    read,
    visible,
)
from tests.model.explorer import Configuration
from tests.model.register import Op, overlap

__all__ = ["BROKEN", "KINDS", "MISTAKES", "scenarios"]

KINDS = {
    "cas": lambda name: cas(name, Doc),
    "cas delete": lambda name: cas(name, Tomb),
    "cas on what is there": lambda name: on_what_is_there(cas(name, Doc)),
    "cas delete on what is there": lambda name: on_what_is_there(cas(name, Tomb)),
    "update": lambda name: change(name, Doc),
    "delete": lambda name: change(name, Tomb),
    "bulk": bulk,
    "read": lambda name: read,
    "compact": lambda name: compact,
}


# ------------------------------------------------------------------ one register with versions; an argument: (name, expected)
def put_by(op: Op) -> str | None:
    """What there is after an operation that does something."""
    return None if "delete" in op.kind else op.arg[0]


def outcomes(op: Op, value: str | None) -> list[str | None]:
    """The values that there may be after an operation with that result."""
    if op.kind == "read":
        return [value] if op.result == value else []
    if op.kind.startswith("cas"):
        if op.result == DONE:
            return [put_by(op)] if value == op.arg[1] else []
        return [value] if value != op.arg[1] else []
    return [put_by(op) if op.result else value] if op.result == (value is not None) else []


def excused(ops: Sequence[Op], place: int) -> bool:
    """Whether what an operation saw may have been there for a moment only. The last operation is the reader who comes last."""
    op = ops[place]
    for one in (one for number, one in enumerate(ops) if overlap(ops, place, number)):
        doomed = one.kind.startswith("cas") and one.result == REFUSED
        unfound = one.kind == "bulk" and not one.result
        if not doomed and not unfound:
            continue
        if op.kind == "read" and place != len(ops) - 1 and op.result == put_by(one):
            return True
        if op.result == REFUSED or (op.result is False and doomed and put_by(one) is None):
            return True
    return False


def linearizable(ops: Sequence[Op]) -> bool:
    """Whether all answers can be true, but for what is allowed beyond that."""
    excuses = [op.known and excused(ops, place) for place, op in enumerate(ops)]

    def leaves(place: int, value: str | None) -> Iterator[str | None]:
        op = ops[place]
        if op.known:
            yield from outcomes(op, value)
        elif op.kind != "read":
            yield put_by(op)
        if excuses[place]:
            yield value

    return register.linearizable(ROW.row, ops, leaves)


# ------------------------------------------------------------------ scenarios
class Scenario(explorer.Scenario):
    """Some actors on a record that lies in the table."""

    def __init__(self, kinds: Sequence[str], *, deaths: bool) -> None:
        names = [f"{kind}{number}" for number, kind in enumerate(kinds)]
        actors = [(kind, name, KINDS[kind](name)) for kind, name in zip(kinds, names, strict=True)]
        self._linearizable = cache(linearizable)
        super().__init__(" | ".join(kinds), ROW, None, actors, deaths)

    def waits(self, now: Configuration, number: int) -> bool:
        others = [one for one in now.under_way() if self.kinds[one] != "compact"]
        return now.locs[number][0] == "drop" and bool(others)  # the grace period outlasts them

    def broken_promise(self, end: Configuration, befores: Sequence[int]) -> str | None:
        ops = self._told(end, befores)
        return (
            None
            if self._linearizable(ops)
            else f"no order explains what they were told, and {ops[-1].result} in the end"
        )

    def _told(self, end: Configuration, befores: Sequence[int]) -> tuple[Op, ...]:
        """What everybody was told who was called, and then who reads when all is over."""
        called = [n for n, loc in enumerate(end.locs) if loc[0] != "idle" and self.kinds[n] != "compact"]
        ops = []
        for number in called:
            _, result, expected, *_ = (*end.locs[number], None, None)
            before = sum(1 << place for place, one in enumerate(called) if befores[number] >> one & 1)
            known = end.locs[number][0] == "done" and result != UNKNOWN
            ops.append(Op(self.kinds[number], (self.names[number], expected), result, known, before))
        last = Op("read", (None, None), visible(end.state), True, (1 << len(ops)) - 1)
        return (*ops, last)


FOURS = (
    ("cas", "bulk", "bulk", "read"),
    ("cas", "bulk", "bulk", "cas on what is there"),
    ("cas delete", "bulk", "bulk", "update"),
    ("cas delete", "bulk", "bulk", "compact"),
    ("cas", "bulk", "compact", "compact"),
)


def scenarios() -> Iterator[Scenario]:
    """Who acts: the small ones first, which catch most mistakes."""
    pairs, triples = (itertools.combinations_with_replacement(KINDS, size) for size in (2, 3))
    for kinds in (*pairs, *FOURS, *triples):
        if "bulk" in kinds and any(kind.startswith("cas") for kind in kinds):
            yield Scenario(kinds, deaths=len(kinds) < 4)
