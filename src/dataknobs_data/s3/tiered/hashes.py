"""A set of hashes in 12 to 24 bytes each, where Python's own takes 64."""

from __future__ import annotations

from array import array
from collections.abc import Iterable

_FIRST = 1 << 10


class Hashes:
    """Numbers of 64 bits; zero is never among them. A table with open addressing: each lies at the first free place from
    the one that its lowest bits name.
    """

    def __init__(self) -> None:
        self._table = _empty(_FIRST)
        self._count = 0

    def add(self, numbers: Iterable[int]) -> None:
        """Takes more of them."""
        for number in numbers:
            if 3 * self._count >= 2 * len(self._table):
                self._grow()
            self._count += _put(self._table, number)

    def _grow(self) -> None:
        old, self._table = self._table, _empty(2 * len(self._table))
        for number in old:
            _put(self._table, number)

    def among(self, numbers: Iterable[int]) -> set[int]:
        """Those of the given ones that are in here."""
        table, last = self._table, len(self._table) - 1
        found: set[int] = set()
        for number in numbers:
            place = number & last
            while there := table[place]:
                if there == number:
                    found.add(number)
                    break
                place = (place + 1) & last
        return found


def _empty(places: int) -> array[int]:
    return array("q", bytes(8 * places))


def _put(table: array[int], number: int) -> bool:
    """Whether it is new. Nothing is put for zero."""
    last = len(table) - 1
    place = number & last
    while there := table[place]:
        if there == number:
            return False
        place = (place + 1) & last
    table[place] = number
    return number != 0
