"""What the footer of a pack says of one row group, for `prune.may_match`.

Parquet's statistics: https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift, `Statistics`.
Writers may leave them out, or write shorter bounds that hold as well.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from dataknobs_data.s3.table.bounds import Stats
from dataknobs_data.s3.table.prune import PackFacts
from dataknobs_data.s3.table.reading import PackReader, bounds_of
from dataknobs_data.s3.table.shape import ID


def group_facts(
    reader: PackReader,
    group: int,
    rest_names: frozenset[str] | None,
    whole: Stats | None = None,
    names: Collection[str] | None = None,
) -> PackFacts:
    """What is known of that row group of a pack.

    whole  the log's statistics of the pack. Parquet's bounds of doubles do not tell of NaN; the log's do, by being absent,
           so without `whole` nothing is known of doubles
    names  of the columns that matter, if not all do
    """
    row_group, kinds = reader.metadata.row_group(group), reader.shape.kinds
    least: dict[str, Any] = {}
    most: dict[str, Any] = {}
    nulls: dict[str, int] = {}
    for place, name in enumerate(reader.metadata.schema.names):
        if (name != ID and name not in kinds) or (names is not None and name not in names):
            continue
        statistics = row_group.column(place).statistics
        if statistics is None:
            continue
        if statistics.has_null_count:
            nulls[name] = statistics.null_count
        if name == ID or kinds[name].delta != "double" or (whole and name in whole.least and name in whole.most):
            least[name], most[name] = bounds_of(statistics)
    return PackFacts(kinds, Stats(row_group.num_rows, least, most, nulls), rest_names)
