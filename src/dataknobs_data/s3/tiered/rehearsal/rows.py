"""Rows made up for a scan, so many of each row group as a script says, with ids that tell where they lie."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pyarrow as pa

from dataknobs_data.matching import id_bounds
from dataknobs_data.s3.rehearsal.script import Matches, Script
from dataknobs_data.s3.table.groups import group_facts
from dataknobs_data.s3.table.parquet import end_of
from dataknobs_data.s3.table.prune import PackFacts, may_match, must_match
from dataknobs_data.s3.table.reading import PackReader
from dataknobs_data.s3.table.shape import ID, METADATA, SYSTEM
from dataknobs_data.s3.table.spans import GAP_MAX
from dataknobs_data.s3.tiered.catalog import Packed
from dataknobs_data.s3.tiered.rehearsal.best import best_counts
from dataknobs_data.s3.tiered.rehearsal.shares import distinct_in, share
from dataknobs_data.s3.tiered.rehearsal.values import arrow_bytes, nulls_of, values_of

_MADE_UP = "\x00\x7f"
"""Stands in ids of rows that were made up, before the numbers of row group and row."""


def group_of(id: str) -> int | None:
    """The row group of a row that was made up; None for a real id."""
    _, mark, numbers = id.rpartition(_MADE_UP)
    return int(numbers.split(":")[0]) if mark else None


def stride_of(reader: PackReader) -> int:
    """Row groups that lie so far apart are never read together."""
    last = reader.metadata.row_group(len(reader.groups) - 1) if reader.groups else None
    of_a_group = end_of(last) // len(reader.groups) if last else GAP_MAX
    return 2 + GAP_MAX // max(of_a_group, 1)


class RowsOf:
    """Of one pack."""

    def __init__(self, script: Script, pack: Packed) -> None:
        self.script = script
        self._pack = pack
        self._counts: dict[int, int] = {}
        self._start = id_bounds(script.query.expression).prefix

    def table(self, reader: PackReader, groups: Sequence[int], columns: Sequence[str] | None) -> pa.Table:
        """What is read of these row groups: ids, and as much of the rest as it takes to make documents of them, where all
        columns are asked for by their names. Nothing, where single rows are looked for: what they are is known."""
        self._note(reader, groups)
        if columns is None:
            return pa.table({ID: pa.array([], pa.string())})
        new = [group for group in (reader.groups if self._sorts else groups) if group not in self._counts]
        self._counts.update(zip(new, self._counted(reader, new), strict=True))
        ids = [id for group in groups for id in self._ids(reader, group)]
        table = pa.table({ID: pa.array(ids, pa.string())})
        return _filled(table, reader) if METADATA in columns else table

    def values(self, reader: PackReader, groups: Sequence[int], names: Sequence[str]) -> pa.Table:
        """Rows of these row groups, for a statement."""
        sql = self.script.sql
        assert sql is not None
        self._note(reader, groups)
        sql.rows = [reader.metadata.row_group(group).num_rows for group in groups]
        sql.stride = stride_of(reader)
        if self.script.matches is Matches.LIKELY:
            return values_of(reader, groups, names, sql.texts)
        return nulls_of(reader, sum(sql.rows), names)

    def _note(self, reader: PackReader, groups: Sequence[int]) -> None:
        self.script.packs.add(self._pack.path)
        for group in groups:
            self.script.groups[self._pack.path, group] = reader.metadata.row_group(group).num_rows

    def _ids(self, reader: PackReader, group: int) -> list[str]:
        low = max(reader.id_bounds[group][0] or "", self._start)
        return [f"{low}{_MADE_UP}{group}:{row:05d}" for row in range(self._counts[group])]

    # ------------------------------------------------------------------ how many
    @property
    def _sorts(self) -> bool:
        """Whether only the first few of all rows of the pack are found."""
        return bool(self.script.query.sort_specs) and self.script.query.limit_value is not None

    def _counted(self, reader: PackReader, groups: Sequence[int]) -> list[int]:
        query = self.script.query
        matching = [self._matching(reader, group) for group in groups]
        if not groups or not self._sorts:
            return matching
        first = query.offset_value + (query.limit_value or 0)
        counted = [(count, self._facts(reader, group)) for group, count in zip(groups, matching, strict=True)]
        return best_counts(self.script.matches, query.sort_specs[0], first, counted, stride_of(reader))

    def _facts(self, reader: PackReader, group: int) -> PackFacts:
        return group_facts(reader, group, self._pack.rest_names, self._pack.stats)

    def _matching(self, reader: PackReader, group: int) -> int:
        rows, matches = int(reader.metadata.row_group(group).num_rows), self.script.matches
        expression = self.script.query.expression
        if expression is None:
            return 0 if self.script.query.limit_value is None else rows
        facts = self._facts(reader, group)
        if not may_match(expression, facts):
            return 0
        if matches in (Matches.ALL, Matches.VAIN) or must_match(expression, facts):
            return self._likely(rows)
        if matches is Matches.LIKELY:
            return self._likely(rows * share(expression, facts, distinct_in(reader, group)))
        return int(matches is Matches.SPARSE and group % stride_of(reader) == 0)

    def _likely(self, number: float) -> int:
        """A whole number of rows; what is over counts with the next row group."""
        number /= self.script.thinned
        whole = int(number + self.script.carried)
        self.script.carried += number - whole
        return whole


def _filled(table: pa.Table, reader: PackReader) -> pa.Table:
    """With rows as wide as real ones, which decides how many are read ahead."""
    text = json.dumps({"": " " * _width(reader)})
    for name, kind in SYSTEM.items():
        if name not in (ID, METADATA):
            table = table.append_column(name, pa.nulls(table.num_rows, kind.arrow))
    return table.append_column(METADATA, pa.repeat(pa.scalar(text), table.num_rows))


def _width(reader: PackReader) -> int:
    """Bytes of a row, as Arrow holds it, where the pack has most in a row group."""
    groups = (reader.metadata.row_group(group) for group in reader.groups)
    group, names = max(groups, key=lambda one: int(one.num_rows)), reader.metadata.schema.names
    columns = (arrow_bytes(field.type, group.column(names.index(field.name))) for field in reader.shape.arrow)
    return sum(columns) // max(int(group.num_rows), 1)
