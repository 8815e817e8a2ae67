"""What a scan reads of packs: which of them, and which of their rows."""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa

from dataknobs_data.engine import ErrorSink
from dataknobs_data.exceptions import DataknobsDataError
from dataknobs_data.expressions import Expression
from dataknobs_data.s3.table.filtering import may_match_rows
from dataknobs_data.s3.table.groups import group_facts
from dataknobs_data.s3.table.locations import columns_for
from dataknobs_data.s3.table.prune import may_match
from dataknobs_data.s3.table.reading import PackReader
from dataknobs_data.s3.table.sweep import Guard, Source
from dataknobs_data.s3.tiered.catalog import Packed
from dataknobs_data.s3.tiered.front import Front
from dataknobs_data.s3.tiered.table import View
from dataknobs_data.sql.bounds import prefix_end


def chosen(view: View, expression: Expression | None, prefix: str) -> list[Packed]:
    """The packs that may hold such records."""
    end = prefix_end(prefix) if prefix else None
    found = []
    for pack in view.packs:
        low, high = pack.bounds
        within = (high is None or high >= prefix) and (end is None or low is None or low < end)
        if within and (pack.facts is None or may_match(expression, pack.facts)):
            found.append(pack)
    return found


def source_of(
    reader: PackReader, pack: Packed, prefix: str, front: Front, guard: Guard, expression: Expression | None = None
) -> Source:
    """The rows of a pack that are not hidden, and may match."""

    def groups(opened: PackReader) -> Iterable[int]:
        return (
            group
            for group in opened.groups
            if may_match(expression, group_facts(opened, group, pack.rest_names, pack.stats))
        )

    def keep(table: pa.Table) -> pa.Table:
        table = front.visible(table)
        may = may_match_rows(expression, table, reader.shape.kinds, pack.rest_names) if expression else None
        return table if may is None else table.filter(may)

    needs = set(front.needs)
    if expression:
        needs |= columns_for(expression, (), pack.shape.kinds, pack.rest_names)
    return Source(
        reader,
        pack.bounds[0] or "",
        groups if expression else None,
        prefix,
        prefix_end(prefix) if prefix else None,
        keep if front or expression else None,
        needs,
        pack.rest_names,
        guard=guard,
    )


def once(on_damage: ErrorSink) -> ErrorSink:
    """Tells of nothing twice: a scan may begin again, and a pack is read in parts."""
    told: set[str] = set()

    def tell(error: DataknobsDataError) -> None:
        if str(error) not in told:
            told.add(str(error))
            on_damage(error)

    return tell
