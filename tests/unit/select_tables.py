"""Relations over plain Arrow tables, for tests of SQL without any store."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from dataknobs_data.runtime import Runtime
from dataknobs_data.select.relation import Binding, Path
from dataknobs_data.select.results import SqlResult
from dataknobs_data.select.running import Parameters, Statement
from dataknobs_data.select.sandbox import Limits

LIMITS = Limits(256 << 20, 20.0)


class Plain:
    """Its columns are those of a table; `hidden` ones are no part of a star, `deep` maps paths to columns that stand for them."""

    def __init__(self, table: pa.Table, hidden: Collection[str] = (), deep: Mapping[Path, str] | None = None) -> None:
        self.table = table
        self.hidden = set(hidden)
        self.deep = dict(deep or {})
        self.asked: list[tuple[frozenset[Path], bool]] = []
        self.scans: list[tuple[list[str], str]] = []
        self.opened = self.running = self.closed = 0

    @property
    def names(self) -> Collection[str]:
        return self.table.column_names

    def bind(self, paths: Collection[Path], star: bool) -> Binding:
        self.asked.append((frozenset(paths), star))
        lower = {name.lower(): name for name in self.table.column_names}
        columns = {
            path: lower[str(path[0]).lower()] for path in paths if len(path) == 1 and str(path[0]).lower() in lower
        }
        columns |= {path: self.deep[path] for path in paths if path in self.deep}
        shown = [name for name in self.table.column_names if star and name not in self.hidden]
        named = set(columns.values()) | set(shown)
        fields = [field for field in self.table.schema if field.name in named] or [pa.field("counted", pa.bool_())]
        hidden = {field.name for field in fields} - set(shown)
        return Binding(pa.schema(fields), frozenset(hidden), columns)

    def scan(
        self, binding: Binding, columns: Sequence[str], condition: pc.Expression | None
    ) -> Iterator[pa.RecordBatch]:
        self.scans.append((list(columns), str(condition)))
        self.running += 1
        try:
            yield from self.batches(columns, condition)
        finally:
            self.running -= 1

    def batches(self, columns: Sequence[str], condition: pc.Expression | None) -> Iterator[pa.RecordBatch]:
        table = self.table
        if "counted" not in table.column_names:
            table = table.append_column("counted", pa.nulls(table.num_rows, pa.bool_()))
        yield from ds.dataset(table).to_table(columns=list(columns), filter=condition).to_batches(max_chunksize=1000)

    def close(self) -> None:
        self.closed += 1


class Numbers(Plain):
    """`n` from 0 on and a text, made while they are read."""

    def __init__(self, batches: int = 100, rows: int = 1000, pause: Any = None) -> None:
        super().__init__(pa.table({"n": pa.array([], pa.int64()), "text": pa.array([], pa.string())}))
        self._shape = batches, rows
        self._pause = pause
        self.made = 0

    def batches(self, columns: Sequence[str], condition: pc.Expression | None) -> Iterator[pa.RecordBatch]:
        batches, rows = self._shape
        for start in range(0, batches * rows, rows):
            if self._pause:
                self._pause()
            self.made += 1
            texts = pa.array([f"the number {number}" for number in range(start, start + rows)])
            counted = pa.nulls(rows, pa.bool_())
            table = pa.table({"n": pa.array(range(start, start + rows)), "text": texts, "counted": counted})
            if condition is not None:
                table = table.filter(condition)
            yield from table.select(list(columns)).to_batches()


def statement(
    sql: str, params: Parameters = None, limits: Limits = LIMITS, runtime: Runtime | None = None, **relations: Plain
) -> Statement:
    """`S3Object` is there if it is named."""

    def opener(relation: Plain) -> Any:
        def opened() -> Plain:
            relation.opened += 1
            return relation

        return opened

    return Statement(sql, params, {name: opener(one) for name, one in relations.items()}, limits, runtime or Runtime())


def run(sql: str, params: Parameters = None, limits: Limits = LIMITS, **relations: Plain) -> SqlResult:
    """What a statement finds."""
    return statement(sql, params, limits, **relations).run()


def rows(sql: str, params: Parameters = None, limits: Limits = LIMITS, **relations: Plain) -> list[dict[str, Any]]:
    """All rows of a statement."""
    return list(run(sql, params, limits, **relations))


def value(sql: str, params: Parameters = None, **relations: Plain) -> Any:
    """Of the one column of the one row."""
    ((found,),) = [row.values() for row in rows(sql, params, **relations)]
    return found
