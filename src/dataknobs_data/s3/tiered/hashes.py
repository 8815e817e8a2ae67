"""A set of hashes in 12 to 24 bytes each, where Python's own takes 64."""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterable

_FIRST = 1 << 10


class Hashes:
    """Numbers of 64 bits, but for zero. A table with open addressing: each lies at the first free place from the one that
    its lowest bits name.
    """

    def __init__(self) -> None:
        self._table = _empty(_FIRST)
        self._count = 0

    def add(self, numbers: Collection[int]) -> None:
        """Takes more of them."""
        places = len(self._table)
        while 3 * (self._count + len(numbers)) > 2 * places:
            places *= 2
        if places > len(self._table):
            old, self._table = self._table, _empty(places)
            _fill(self._table, filter(None, old))
        self._count += _fill(self._table, numbers)

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


def _fill(table: array[int], numbers: Iterable[int]) -> int:
    """How many of them are new. One loop, since a call for each number would take several times as long."""
    last, new = len(table) - 1, 0
    for number in numbers:
        place = number & last
        while (there := table[place]) and there != number:
            place = (place + 1) & last
        if not there:
            table[place] = number
            new += 1
    return new
