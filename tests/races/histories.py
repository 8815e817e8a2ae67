"""Whether a history of one record is linearizable: whether there is one order of its operations that explains every answer.

Times are seconds of the machine's monotonic clock, which its processes share. Beyond the one register there are the allowances
of the model, and no others (tests/model/tiers.py, "Promise checked at every end").

Algorithm: just-in-time linearization, after G. Lowe, "Testing for linearizability" (Concurrency and Computation 29(4), 2017):
the events in the order of time; what can have been the state, with which of the operations under way already done.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

UNKNOWN = "unknown"
"""The answer of an operation that died, or whose outcome is not known: it may have happened, or may yet."""


@dataclass(frozen=True, slots=True)
class Op:
    """One operation. kind: create, update, put (an upsert), delete, read. `end` None: it never came back."""

    kind: str
    arg: Any
    result: Any
    begin: float
    end: float | None
    who: str = ""

    @property
    def unknown(self) -> bool:
        """Whether nobody was told what came of it."""
        return self.end is None or self.result == UNKNOWN


State = Any
Config = tuple[State, frozenset[int]]


def overlap(one: Op, other: Op) -> bool:
    """Whether there was a moment at which both were under way."""
    infinity = float("inf")
    ends = [infinity if op.unknown or op.end is None else op.end for op in (one, other)]
    return one is not other and one.begin < ends[1] and other.begin < ends[0]


class Checker:
    """The operations on one record, in any order; `initial` is what it was before them."""

    def __init__(self, ops: Sequence[Op], initial: State = None) -> None:
        self._ops = sorted(ops, key=lambda op: op.begin)
        self._initial = initial
        creations = [op for op in self._ops if op.kind in ("create", "put")]
        self._rivals = {op: [one for one in creations if overlap(op, one)] for op in self._ops}
        deletes = [op for op in self._ops if op.kind == "delete"]
        self._with_deletes = {op for op in deletes if any(overlap(op, one) for one in deletes)}

    def is_beyond(self) -> bool:
        """Whether a creator died while it had rivals: then the model does not say what third parties see."""
        return any(op.kind == "create" and op.unknown and self._rivals[op] for op in self._ops)

    def explain(self) -> str | None:
        """None where the history is linearizable; else the operation that nothing explains, and what was around it."""
        configs: set[Config] = {(self._initial, frozenset())}
        under_way: set[int] = set()
        for _, is_end, number in sorted(self._events()):
            if not is_end:
                under_way.add(number)
                continue
            configs = {(value, done - {number}) for value, done in self._closure(configs, under_way) if number in done}
            under_way.discard(number)
            if not configs:
                return self._report(number)
        return None

    def _events(self) -> Iterator[tuple[float, bool, int]]:
        for number, op in enumerate(self._ops):
            yield op.begin, False, number
            if op.end is not None and not op.unknown:
                yield op.end, True, number

    def _closure(self, configs: set[Config], under_way: set[int]) -> set[Config]:
        found, fresh = set(configs), list(configs)
        while fresh:
            value, done = fresh.pop()
            for number in under_way - done:
                for after in self._steps(self._ops[number], value):
                    config = (after, done | {number})
                    if config not in found:
                        found.add(config)
                        fresh.append(config)
        return found

    def _steps(self, op: Op, value: State) -> set[State]:
        """The states in which the operation may leave the record."""
        result, after = _apply(op, value)
        steps = {after} if op.unknown or result == op.result else set()
        if op.kind == "create" and op.result == "duplicate" and self._rivals[op]:
            steps |= {value, op.arg if value is None else value}
        if op.kind == "delete" and op.result is True and op in self._with_deletes:
            steps.add(None)
        if op.kind == "read" and self._saw_a_loser(op):
            steps.add(value)
        return steps

    def _saw_a_loser(self, op: Op) -> bool:
        return any(
            one.arg == op.result
            and one.kind == "create"
            and self._rivals[one]
            and (one.result == "duplicate" or one.unknown)
            for one in self._rivals[op]
        )

    def _report(self, number: int) -> str:
        op = self._ops[number]
        near = [one for one in self._ops if overlap(op, one) or one is op]
        before = [one for one in self._ops if one.end is not None and one.end <= op.begin][-6:]
        return "nothing explains " + "\n".join(map(str, [op, "before:", *before, "around:", *near]))


def _apply(op: Op, value: State) -> tuple[Any, State]:
    if op.kind == "create":
        return ("ok", op.arg) if value is None else ("duplicate", value)
    if op.kind == "put":
        return "ok", op.arg
    if op.kind == "update":
        return (True, op.arg) if value is not None else (False, None)
    if op.kind == "delete":
        return (True, None) if value is not None else (False, None)
    return value, value
