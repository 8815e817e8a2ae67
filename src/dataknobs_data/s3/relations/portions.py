"""What a relation's rows come in: a window of documents, or a pack. All rows of a portion have the same columns."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

import pyarrow as pa
import pyarrow.compute as pc

from dataknobs_data.s3.relations.columns import bound
from dataknobs_data.s3.relations.conditions import Chosen
from dataknobs_data.s3.relations.spool import Kept
from dataknobs_data.s3.table.kinds import Kind
from dataknobs_data.s3.table.outside import ALL, EXACT, Forms, Outside
from dataknobs_data.s3.table.shape import REST, Shape
from dataknobs_data.s3.table.shredding import Shredded

Task = Callable[[], list[pa.RecordBatch]]
"""Reads some rows of a portion, at any time, beside others."""


class Portion(ABC):
    """Some of a relation's rows.

    kinds                    its user columns
    rest_names, null_names   as in `packs.Pack`
    """

    kinds: Mapping[str, Kind]
    rest_names: frozenset[str] | None
    null_names: frozenset[str]

    def __init__(self) -> None:
        self._forms: dict[str, Forms] = {}

    def may_answer(self, chosen: Chosen) -> bool:
        """Whether it may have rows that are chosen, as far as is known without reading it."""
        return True

    # ------------------------------------------------------------------ what `_rest` holds
    def lies_outside(self, name: str) -> bool:
        """Whether a value of that field that is not null may lie in `_rest`."""
        if self.rest_names is not None and name not in self.rest_names:
            return False
        return bool(self._forms.get(name, True))

    def find_forms(self, names: Iterable[str]) -> Mapping[str, Forms]:
        """Of the values of these fields that lie in `_rest`, those of hidden rows among them. They are remembered."""
        asked = [name for name in names if name not in self._forms and self.lies_outside(name)]
        if asked:
            self._forms |= self._found_forms(asked)
        return {name: forms for name in names if (forms := self._forms.get(name))}

    def _found_forms(self, names: Collection[str]) -> Mapping[str, Forms]:
        return forms_in(self._rests(), names)

    def living_forms(self, names: Collection[str]) -> Mapping[str, Forms]:
        """As `find_forms`, of rows that are not hidden."""
        return self.find_forms(names)

    def names(self) -> Collection[str]:
        """Of all fields: those of columns, and those in `_rest`."""
        if self.rest_names is not None:
            return {*self.kinds, *self.rest_names, *self.null_names}
        return set(self.kinds).union(*(Outside(rest, ALL).names() for rest in self._rests()))

    @abstractmethod
    def _rests(self) -> Iterator[pa.ChunkedArray]:
        """`_rest` of all rows, a few at a time."""

    # ------------------------------------------------------------------ rows
    @abstractmethod
    def has_wide(self, name: str) -> bool:
        """Whether a column of integers may hold one that a double does not."""

    @abstractmethod
    def tasks(self, chosen: Chosen) -> Iterable[Task]:
        """What is to be read of it."""


def forms_in(rests: Iterable[pa.ChunkedArray], names: Collection[str]) -> dict[str, Forms]:
    """The forms in all of these."""
    found: dict[str, Forms] = dict.fromkeys(names, frozenset())
    for rest in rests:
        for name, forms in Outside(rest, names).forms(names).items():
            found[name] |= forms
    return found


class Window(Portion):
    """Documents as columns, kept until the relation is closed."""

    def __init__(self, kept: Kept, shredded: Shredded, shape: Shape) -> None:
        super().__init__()
        self._kept = kept
        self.rows = shredded.table.num_rows
        self.kinds = shape.kinds
        self.rest_names = frozenset(shredded.rest_names)
        self.null_names = frozenset(shredded.null_names)

    def _rests(self) -> Iterator[pa.ChunkedArray]:
        yield self._kept()[REST]

    def has_wide(self, name: str) -> bool:
        found = pc.min_max(self._kept()[name]).as_py()
        return found["min"] is not None and not (found["min"] >= -EXACT and found["max"] <= EXACT)

    def tasks(self, chosen: Chosen) -> Iterable[Task]:
        return [lambda: self._read(chosen)]

    def _read(self, chosen: Chosen) -> list[pa.RecordBatch]:
        table = self._kept()
        return handed(table, self, chosen, chosen.mask(bound(table, self, chosen.asked)))


def handed(table: pa.Table, portion: Portion, chosen: Chosen, mask: pa.BooleanArray | None) -> list[pa.RecordBatch]:
    """What a scan hands out of stored rows. `mask`: of which of them; None: of all."""
    return batches(bound(table if mask is None else table.filter(mask), portion, chosen.columns))


def batches(table: pa.Table) -> list[pa.RecordBatch]:
    """In few parts: DuckDB takes its time for each."""
    return table.combine_chunks().to_batches() if table.num_rows else []
