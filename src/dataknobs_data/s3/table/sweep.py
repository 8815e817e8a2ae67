"""Which row groups of many packs are read when: in the order of the least id that each can hold.

A pack is opened only when it is its turn, so that whoever stops early has neither rows nor footers of the others read.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from typing import NamedTuple, Protocol, TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from dataknobs_data.exceptions import DataFormatError
from dataknobs_data.s3.table.reading import PackReader
from dataknobs_data.s3.table.shape import BORN, ID, Shape

A = TypeVar("A")
B = TypeVar("B")

PACK = "_pack"
"""Name of the column that says which source a row came from."""

OPENED_MAX = 16
"""Packs that are opened side by side."""

_UNOPENED = -1


class Fan(Protocol):
    """As `map`, perhaps a few calls ahead: `FanOut.map`, of a pool that the readers' `ranges` do not use."""

    def __call__(self, call: Callable[[A], B], items: Iterable[A], /) -> Iterator[B]: ...


class Guard(Protocol):
    """Carries out what is read of a pack, or answers `otherwise` where it bears that this fails."""

    def __call__(self, call: Callable[[], A], otherwise: A, /) -> A: ...


def _unguarded(call: Callable[[], A], otherwise: A) -> A:
    return call()


@dataclass(frozen=True)
class Source:
    """One pack, and which of its rows are wanted.

    least        no id in the pack is lower, says the log; "": not known, so the pack is opened first of all
    groups       the row groups to read, asked when the pack is opened; None: all
    start, end   only ids from `start` on and below `end`; None: without end
    keep         leaves out rows; asked for each row group, with at least the columns asked for and those of `needs`
    needs        columns that `keep` looks at
    rest_names, null_names   as in `packs.Pack`
    guard        carries out all that is read of it
    gone         how many rows `keep` leaves out, where that is known
    """

    reader: PackReader
    least: str = ""
    groups: Callable[[PackReader], Iterable[int]] | None = None
    start: str = ""
    end: str | None = None
    keep: Callable[[pa.Table], pa.Table] | None = None
    needs: Collection[str] = ()
    rest_names: frozenset[str] | None = None
    null_names: frozenset[str] = frozenset()
    guard: Guard = _unguarded
    gone: int = 0


def without(dead: Iterable[tuple[str, str]]) -> Callable[[pa.Table], pa.Table]:
    """A `Source.keep` (it needs BORN) that leaves out the rows of these ids and births."""
    gone = frozenset(dead)
    ids = sorted({id for id, _ in gone})
    values = pa.array(ids, pa.string())

    def keep(table: pa.Table) -> pa.Table:
        found = pc.min_max(table[ID])
        low, high = (found[end].as_py() for end in ("min", "max"))
        near = slice(0, 0) if low is None else slice(bisect_left(ids, low), bisect_right(ids, high))
        if near.start == near.stop:
            return table
        named = pc.is_in(table[ID], value_set=values[near]).combine_chunks()
        rows = table.select([ID, BORN]).filter(named)
        alive = [pair not in gone for pair in zip(rows[ID].to_pylist(), rows[BORN].to_pylist(), strict=True)]
        if all(alive):
            return table
        return table.filter(pc.replace_with_mask(pc.invert(named), named, pa.array(alive, pa.bool_())))

    return keep


def place_of(table: pa.Table, id: str, *, after: bool = False) -> int:
    """Where in rows that are in order `id` stands or would stand; `after`: behind all rows of it."""
    ids, search = table[ID], bisect_right if after else bisect_left
    return search(range(table.num_rows), id, key=lambda place: ids[place].as_py())


def _sorted(table: pa.Table) -> pa.Table:
    """Rows as they should stand in a pack; another program may have rewritten it in any order."""
    ids = table[ID]
    if pc.all(pc.less_equal(ids[:-1], ids[1:]), min_count=0).as_py():
        return table
    return table.take(pc.sort_indices(ids))


class Piece(NamedTuple):
    """Rows in order, of one source. `width`: of a row, in bytes, on the average; Arrow takes its time to count them."""

    number: int
    first: str
    width: float
    table: pa.Table


class Part(NamedTuple):
    """A row group to read (or a pack to open) and the least id that it can hold."""

    least: str
    number: int
    group: int


class Sweep:
    """What is to be read, in order."""

    def __init__(self, sources: Sequence[Source], shape: Shape, schema: pa.Schema, fan: Fan) -> None:
        self._sources = sources
        self._shape = shape
        self._schema = schema
        self._fan = fan
        self._queue = [
            Part(max(source.least, source.start), number, _UNOPENED) for number, source in enumerate(sources)
        ]
        heapify(self._queue)
        self._begun: deque[str] = deque()
        self._together = 1

    @property
    def least(self) -> str | None:
        """No row that is still to come has a lower id; None: none is to come."""
        if self._begun:
            return self._begun[0]
        return self._queue[0].least if self._queue else None

    def parts(self) -> Iterator[Part]:
        """Row groups in the order of their least ids."""
        while self._queue:
            if self._queue[0].group == _UNOPENED:
                self._open()
                continue
            part = heappop(self._queue)
            self._begun.append(part.least)
            yield part

    def arrived(self) -> None:
        """The first part whose rows had not arrived has done so."""
        self._begun.popleft()

    def _open(self) -> None:
        """Opens the next pack, and the longer the sweep goes on, the more of those that follow."""
        ready: list[Part] = []
        while self._queue and self._queue[0].group == _UNOPENED and len(ready) < self._together:
            ready.append(heappop(self._queue))
        self._together = min(2 * self._together, OPENED_MAX)
        for parts in self._fan(self._groups, ready):
            for part in parts:
                heappush(self._queue, part)

    def _groups(self, pack: Part) -> list[Part]:
        none: list[Part] = []
        source = self._sources[pack.number]
        return source.guard(lambda: self._groups_of(source, pack), none)

    def _groups_of(self, source: Source, pack: Part) -> list[Part]:
        self._check(source.reader)
        bounds = source.reader.id_bounds
        parts = []
        for group in source.reader.groups if source.groups is None else source.groups(source.reader):
            least, most = bounds[group]
            behind = source.end is not None and (least or "") >= source.end
            if not behind and (most is None or most >= source.start):
                parts.append(Part(max(least or "", pack.least), pack.number, group))
        return parts

    def _check(self, reader: PackReader) -> None:
        for name, kind in reader.shape.kinds.items() if not reader.is_companion else ():
            if self._shape.kinds.get(name) is not kind:
                raise DataFormatError(
                    f"{reader.name}: its column {name!r} of type {kind.delta} is not in the table's schema", column=name
                )

    def read(self, part: Part) -> Piece | None:
        """The rows wanted of a row group."""
        source = self._sources[part.number]
        return source.guard(lambda: self._read(source, part), None)

    def _read(self, source: Source, part: Part) -> Piece | None:
        table = source.reader.read([part.group], [*self._schema.names, *source.needs])
        table = _sorted(table.set_column(table.column_names.index(ID), ID, table[ID].cast(pa.string())))
        start = place_of(table, source.start) if source.start else 0
        table = table.slice(start, None if source.end is None else max(place_of(table, source.end) - start, 0))
        if source.keep is not None:
            table = source.keep(table)
        if not table.num_rows:
            return None
        table = self._typed(table, part.number)
        return Piece(part.number, table[ID][0].as_py(), table.nbytes / table.num_rows, table)

    def _typed(self, table: pa.Table, number: int) -> pa.Table:
        """The columns wanted of those that are there, with the types that ours have: other programs have wider ones."""
        if PACK in self._schema.names:
            table = table.append_column(PACK, pa.repeat(pa.scalar(number, pa.int32()), table.num_rows))
        known = set(table.column_names)
        schema = pa.schema([field for field in self._schema if field.name in known])
        return table.select(schema.names).cast(schema)
