"""A pack as a portion: which of its row groups are read, which of their columns when, and what becomes of hidden rows."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import accumulate

import pyarrow as pa

from dataknobs_data.exceptions import DataFormatError
from dataknobs_data.s3.relations.columns import bound, stored_for
from dataknobs_data.s3.relations.conditions import Chosen
from dataknobs_data.s3.relations.portions import Portion, Task, forms_in, handed
from dataknobs_data.s3.relations.pruning import guaranteed, surviving
from dataknobs_data.s3.table.groups import group_facts
from dataknobs_data.s3.table.outside import EXACT, Forms, KnownForms
from dataknobs_data.s3.table.packs import GROUP_BYTES
from dataknobs_data.s3.table.shape import ID, REST
from dataknobs_data.s3.table.sweep import Guard
from dataknobs_data.s3.tiered.catalog import Packed
from dataknobs_data.s3.tiered.front import Front
from dataknobs_data.s3.tiered.table import View
from dataknobs_data.streaming import windows

TASK_BYTES = 4 << 20
"""Of rows that are read at a time, about."""

GROUPS_MAX = 32
"""Row groups that are read at a time."""

SAMPLE = 16
"""Row groups that are held against a condition first: where none of them can be left out, hardly any other can."""

_NONE = "_none"
"""Name of the column of a table of which only the number of rows counts."""


class PackPortion(Portion):
    """The rows of a pack that are not hidden. Raises public errors that name it."""

    def __init__(self, pack: Packed, view: View, front: Front, guard: Guard, known: KnownForms) -> None:
        super().__init__()
        self.kinds = pack.shape.kinds
        self.rest_names = pack.rest_names
        self.null_names = pack.null_names
        self.pack = pack
        self._reader = view.reader(pack)
        self._front = front
        self._guard = guard
        self._known = known
        self._late = True

    # ------------------------------------------------------------------ what `_rest` holds
    def _found_forms(self, names: Collection[str]) -> Mapping[str, Forms]:
        path = self.pack.path
        found = {name: forms for name in names if (forms := self._known.get(path, name)) is not None}
        asked = [name for name in names if name not in found]
        if asked:
            found |= (new := super()._found_forms(asked))
            if self._guard(lambda: True, False):  # of a pack that is left out they say nothing
                self._known.put(path, new)
        return found

    def living_forms(self, names: Collection[str]) -> Mapping[str, Forms]:
        forms = self.find_forms(names)
        if not forms or not self._front.is_near(*self.pack.bounds):
            return forms
        return forms_in(self._rests(hidden=False), names)

    def _rests(self, *, hidden: bool = True) -> Iterator[pa.ChunkedArray]:
        none: Sequence[int] = ()
        needs = {REST} if hidden else {REST, ID, *self._front.needs}
        for groups in windows(self._guard(lambda: self._reader.groups, none), GROUPS_MAX):
            nothing = self.pack.shape.arrow.empty_table()
            table = self._guard(partial(self._reader.read, groups, sorted(needs), hold=True), nothing)
            yield (table if hidden else self._front.visible(table))[REST]

    def has_wide(self, name: str) -> bool:
        stats = self.pack.stats
        if (stats is None or name not in stats.nulls) and not self._guard(
            lambda: name in self._reader.shape.kinds, False
        ):
            return False  # the column is younger than the pack
        if stats is None:
            return True
        if stats.nulls.get(name) == stats.records:
            return False
        low, high = stats.least.get(name), stats.most.get(name)
        return low is None or high is None or not (low >= -EXACT and high <= EXACT)

    # ------------------------------------------------------------------ which rows
    def may_answer(self, chosen: Chosen) -> bool:
        stats = [self.pack.stats]
        return chosen.condition is None or bool(surviving(chosen.condition, chosen.asked, self, stats))

    def tasks(self, chosen: Chosen) -> Iterable[Task]:
        none: list[Task] = []
        return self._guard(lambda: self._tasks(chosen), none)

    def _tasks(self, chosen: Chosen) -> list[Task]:
        self._check(chosen)
        share = max(len(self._needs(chosen)), 1) / self._reader.metadata.num_columns
        together = max(1, min(GROUPS_MAX, int(TASK_BYTES / (GROUP_BYTES * share))))
        return [partial(self._guarded, some, chosen) for some in windows(self._groups(chosen), together)]

    def _groups(self, chosen: Chosen) -> Sequence[int]:
        """The row groups in which the condition may be true."""
        every = self._reader.groups
        if chosen.condition is None:
            return every
        some = every[:: max(1, len(every) // SAMPLE)]
        if len(self._surviving(chosen, some)) == len(some):
            return every
        return self._surviving(chosen, every)

    def _surviving(self, chosen: Chosen, groups: Sequence[int]) -> list[int]:
        fields = {field for column in chosen.asked if (field := guaranteed(column, self))}
        whole = self.pack.stats
        facts = (group_facts(self._reader, group, self.rest_names, whole, fields).stats for group in groups)
        assert chosen.condition is not None
        return [groups[place] for place in surviving(chosen.condition, chosen.asked, self, facts)]

    def _guarded(self, groups: Sequence[int], chosen: Chosen) -> list[pa.RecordBatch]:
        none: list[pa.RecordBatch] = []
        return self._guard(lambda: self._read(groups, chosen), none)

    def _needs(self, chosen: Chosen) -> set[str]:
        return stored_for(self, [*chosen.columns, *chosen.asked])

    def _check(self, chosen: Chosen) -> None:
        own = self._reader.shape.kinds
        for name in self._needs(chosen) & own.keys():
            if own[name] is not self.kinds.get(name):
                raise DataFormatError(
                    f"{self._reader.name}: its column {name!r} of type {own[name].delta} is not in the table's schema",
                    column=name,
                )

    # ------------------------------------------------------------------ rows
    def _read(self, groups: Sequence[int], chosen: Chosen) -> list[pa.RecordBatch]:
        hidden = {ID, *self._front.needs} if self._may_hide(groups) else set()
        if chosen.condition is not None and not hidden and self._late and self._is_less(groups, chosen):
            return self._read_late(groups, chosen)
        table = self._fetch(groups, self._needs(chosen) | hidden)
        table = self._front.visible(table) if hidden else table
        return handed(table, self, chosen, chosen.mask(bound(table, self, chosen.asked)))

    def _is_less(self, groups: Sequence[int], chosen: Chosen) -> bool:
        """Whether the columns that the condition speaks of are much less to fetch than all that are needed."""
        first, every = stored_for(self, chosen.asked), self._needs(chosen)
        some, whole = (sum(length for _, length in self._reader.spans(groups, names)) for names in (first, every))
        return 2 * some <= whole

    def _read_late(self, groups: Sequence[int], chosen: Chosen) -> list[pa.RecordBatch]:
        """The columns that the condition speaks of, then of the row groups that have rows for it the others."""
        first = stored_for(self, chosen.asked)
        table = self._fetch(groups, first)
        mask = chosen.mask(bound(table, self, chosen.asked))
        if mask is not None:
            ends = list(accumulate(map(self._rows_in, groups)))
            spans = [(start, end - start) for start, end in zip([0, *ends], ends, strict=False)]
            alive = [place for place, span in enumerate(spans) if mask.slice(*span).true_count]
            self._late = 2 * len(alive) <= len(groups)
            if not alive:
                return []
            if len(alive) < len(groups):
                table = pa.concat_tables(table.slice(*spans[place]) for place in alive)
                mask = pa.concat_arrays([mask.slice(*spans[place]) for place in alive])
                groups = [groups[place] for place in alive]
        later = self._needs(chosen) - first
        rest = self._fetch(groups, later) if later else pa.table({})
        for name in rest.column_names:
            table = table.append_column(name, rest[name])
        return handed(table, self, chosen, mask)

    def _rows_in(self, group: int) -> int:
        return int(self._reader.metadata.row_group(group).num_rows)

    def _fetch(self, groups: Sequence[int], names: set[str]) -> pa.Table:
        """Stored columns, those that the pack has."""
        if not names & set(self._reader.shape.columns):  # only the number of rows counts
            return pa.table({_NONE: pa.nulls(sum(map(self._rows_in, groups)))})
        return self._reader.read(groups, sorted(names), hold=True)

    # ------------------------------------------------------------------ hidden rows
    def _may_hide(self, groups: Sequence[int]) -> bool:
        if not self._front.is_near(*self.pack.bounds):
            return False
        bounds = self._reader.id_bounds
        return any(self._front.is_near(*bounds[group]) for group in groups)
