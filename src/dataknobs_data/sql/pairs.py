"""Conditions in twos: what certainly matches, and what may.

SQL does not compare as Python does: it has its own idea of case, of numbers, of time zones, and what `types` tags it
can hardly read. So every condition is a pair. A row that `must` finds matches, a row that `may` does not find does not
match; between the two, `matching` decides. And, or and not work on pairs as they do on truth itself.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import False_, True_, and_, false, not_, or_, true

from dataknobs_data.sql.dialect import Test


@dataclass(frozen=True, slots=True)
class Pair:
    """Two SQL conditions of one meaning; neither is ever NULL."""

    must: Test
    may: Test

    @classmethod
    def exact(cls, test: Test) -> Pair:
        """A condition that SQL understands as we do."""
        return cls(test, test)

    def __and__(self, other: Pair) -> Pair:
        return Pair(_both(self.must, other.must), _both(self.may, other.may))

    def __or__(self, other: Pair) -> Pair:
        return Pair(_either(self.must, other.must), _either(self.may, other.may))

    def __invert__(self) -> Pair:
        return Pair(not_(self.may), not_(self.must))


ALWAYS = Pair.exact(true())
"""Matches everything."""

NEVER = Pair.exact(false())
"""Matches nothing."""

UNKNOWN = Pair(false(), true())
"""SQL cannot tell."""


def _both(one: Test, other: Test) -> Test:
    if isinstance(one, True_) or isinstance(other, False_):
        return other
    return one if isinstance(one, False_) or isinstance(other, True_) else and_(one, other)


def _either(one: Test, other: Test) -> Test:
    if isinstance(one, False_) or isinstance(other, True_):
        return other
    return one if isinstance(one, True_) or isinstance(other, False_) else or_(one, other)
