"""The condition that DuckDB pushes into a scan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import acero

from dataknobs_data.s3.relations.columns import Column


def mentioned(condition: pc.Expression | None, columns: Sequence[Column]) -> list[Column]:
    """Those of these columns that the condition speaks of. An expression does not say it, but cannot be applied without."""
    if condition is None:
        return []
    text = str(condition)
    near = [column for column in columns if column.name in text]
    return [column for column in near if not _applies(condition, [other for other in near if other is not column])]


def _applies(condition: pc.Expression, columns: Sequence[Column]) -> bool:
    empty = pa.schema([(column.name, column.type) for column in columns]).empty_table()
    try:
        empty.filter(condition)
    except pa.ArrowInvalid:
        return False
    return True


@dataclass(frozen=True)
class Chosen:
    """What a scan wants.

    columns    to hand out, in this order
    condition  which rows, if not all
    asked      the columns that it speaks of
    """

    columns: Sequence[Column]
    condition: pc.Expression | None
    asked: Sequence[Column]

    @classmethod
    def of(cls, columns: Sequence[Column], condition: pc.Expression | None, among: Sequence[Column]) -> Chosen:
        """`among`: all that there are."""
        return cls(columns, condition, mentioned(condition, among))

    def mask(self, table: pa.Table) -> pa.BooleanArray | None:
        """For which rows the condition is true; None: all. The table has the columns that are asked."""
        if self.condition is None:
            return None
        plan = [
            acero.Declaration("table_source", acero.TableSourceNodeOptions(table.combine_chunks())),
            acero.Declaration("project", acero.ProjectNodeOptions([self.condition], ["kept"])),
        ]  # several times as fast as Table.filter(condition)
        return acero.Declaration.from_sequence(plan).to_table(use_threads=False)["kept"].combine_chunks()
