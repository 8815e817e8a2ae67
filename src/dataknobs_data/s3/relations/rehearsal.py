"""A relation that is rehearsed: names are bound by what there is, rows are made up, and those that are handed out are null."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

import pyarrow as pa
import pyarrow.compute as pc

from dataknobs_data.s3.rehearsal.script import Matches, Script, Sql
from dataknobs_data.s3.relations.columns import Column
from dataknobs_data.s3.relations.conditions import Chosen
from dataknobs_data.s3.relations.records import Records, Source
from dataknobs_data.select.relation import Binding, Path

_TEXT = re.compile(r'"((?:[^"\\]|\\.)*)"')
"""How Arrow writes a text in a condition."""


@dataclass(frozen=True)
class RehearsedChosen(Chosen):
    """What a scan wants. Of made-up rows it finds as many as `script` says: by their values only where that is LIKELY."""

    script: Script

    def mask(self, table: pa.Table) -> pa.BooleanArray | None:
        assert self.script.sql is not None
        matches = self.script.matches
        if self.condition is None or matches is Matches.ALL:
            return None
        if matches is Matches.NOTHING:
            return pa.array([False] * table.num_rows, pa.bool_())
        return super().mask(table) if matches is Matches.LIKELY else _sparse(table.num_rows, self.script.sql)


def _sparse(count: int, sql: Sql) -> pa.BooleanArray:
    """One row of row groups that are not read together."""
    starts = {end - size for end, size in zip(accumulate(sql.rows), sql.rows, strict=True)}
    chosen = set(sorted(starts)[:: sql.stride])
    return pa.array([place in chosen for place in range(count)], pa.bool_())


class RehearsedRecords(Records):
    """See Records."""

    def __init__(self, source: Source, script: Script) -> None:
        super().__init__(source)
        assert script.sql is not None
        self._script = script
        self._sql: Sql = script.sql

    def bind(self, paths: Collection[Path], star: bool) -> Binding:
        self._sql.looks = True
        try:
            return super().bind(paths, star)
        finally:
            self._sql.looks = False

    def _chosen(self, columns: Sequence[Column], condition: pc.Expression | None, among: Sequence[Column]) -> Chosen:
        chosen = super()._chosen(columns, condition, among)
        if condition is not None:
            self._sql.texts.update(_TEXT.findall(str(condition)))
        return RehearsedChosen(chosen.columns, chosen.condition, chosen.asked, self._script)

    def scan(
        self, binding: Binding, columns: Sequence[str], condition: pc.Expression | None
    ) -> Iterator[pa.RecordBatch]:
        schema = pa.schema([binding.schema.field(name) for name in columns])
        left = self._sql.handed
        for batch in super().scan(binding, columns, condition):
            rows = min(left, batch.num_rows)
            left -= rows
            if rows:
                yield pa.RecordBatch.from_arrays([pa.nulls(rows, field.type) for field in schema], schema=schema)
            if self._sql.early:
                return
