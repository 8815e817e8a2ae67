"""Whether all that was told of one register can be true: whether there is one order of the operations that explains it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any, NamedTuple


class Op(NamedTuple):
    """An operation that was called.

    known   it has returned, and said what it did; otherwise it may have happened, or not
    before  in bits, by their places: the operations that had returned when it was called
    """

    kind: str
    arg: Any
    result: Any
    known: bool
    before: int


def overlap(ops: Sequence[Op], one: int, other: int) -> bool:
    """Whether there was a moment at which both were under way."""
    return one != other and not (ops[one].before >> other & 1 or ops[other].before >> one & 1)


def linearizable(initial: Any, ops: Sequence[Op], leaves: Callable[[int, Any], Iterable[Any]]) -> bool:
    """leaves(place, value): the values that this operation may leave where there was that one; none: it cannot come there."""
    known = sum(1 << place for place, op in enumerate(ops) if op.known)

    @cache
    def explained(value: Any, left: int) -> bool:
        if not left & known:
            return True
        return any(
            explained(after, left & ~(1 << place))
            for place, op in enumerate(ops)
            if left >> place & 1 and not op.before & left & known
            for after in leaves(place, value)
        )

    return explained(initial, (1 << len(ops)) - 1)
