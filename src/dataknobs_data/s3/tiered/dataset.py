"""The table as a dataset of pyarrow: its packs as they are, read by pyarrow, DuckDB, Polars and whatever else takes one.

Arrow leaves out packs by what it is promised of their rows. A promise is made here only where the log has a bound, and for
the rows that have a value: deltalake 1.6 promises `column >= null` where a bound is missing, which no row fulfills, so that a
filter on that column finds nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import reduce
from itertools import islice
from operator import and_

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from dataknobs_data.s3.layout import Parts
from dataknobs_data.s3.table.bounds import Stats
from dataknobs_data.s3.table.shape import Shape
from dataknobs_data.s3.tiered.catalog import Packed
from dataknobs_data.s3.tiered.pack_files import pack_files
from dataknobs_data.s3.tiered.table import View

PROMISED_MAX = 40
"""Columns, the table's first, that anything is promised of: each costs 25 µs a pack. (Spark's statistics end after 32.)"""

_AS_TEXT = ("timestamp", "date")
"""Types of columns whose bounds are text of ISO 8601 in the log."""

_BOUNDED = ("string", "long", "double", *_AS_TEXT)


class PackDataset(ds.FileSystemDataset):  # type: ignore[misc]  # pyarrow has no types
    """The rows of all packs of one version of the table. Can be read while the database is open.

    table_version  of the table; None: there is none yet, so there are no rows
    exact          whether these rows were exactly the database's records when it was made. Else there are objects in front of
                   the table: records that are missing here, and rows that are older than their record, or of deleted ones
    """

    table_version: int | None
    exact: bool


def pack_dataset(parts: Parts, view: View, *, exact: bool) -> PackDataset:
    """The packs of `view`. Sends nothing."""
    shape, packs = view.shape, list(view.packs)
    keys = [parts.keys.table_file(pack.path) for pack in packs]
    files = pack_files(parts, {key: pack.size for key, pack in zip(keys, packs, strict=True)})
    form = ds.ParquetFileFormat(
        default_fragment_scan_options=ds.ParquetFragmentScanOptions(page_checksum_verification=True)
    )
    fragments = [
        form.make_fragment(
            f"{parts.place.bucket}/{key}", files, partition_expression=promise(pack, shape), file_size=pack.size
        )
        for key, pack in zip(keys, packs, strict=True)
    ]
    dataset = PackDataset(fragments, shape.arrow, form, files)
    dataset.table_version = view.snapshot.version if view.snapshot else None
    dataset.exact = exact
    return dataset


def promise(pack: Packed, shape: Shape) -> pc.Expression | None:
    """What is true of every row of a pack; None where nothing is known."""
    return reduce(and_, _promises(pack.stats, shape)) if pack.stats else None


def _promises(stats: Stats, shape: Shape) -> Iterator[pc.Expression]:
    yield pc.scalar(True)
    for name, kind in islice(shape.columns.items(), PROMISED_MAX):
        if kind.delta not in _BOUNDED:
            continue
        bounds = list(_bounds(stats, name, kind.delta, kind.arrow))
        if bounds:
            within = reduce(and_, bounds)
            yield within if stats.nulls.get(name) == 0 else within | pc.field(name).is_null()


def _bounds(stats: Stats, name: str, delta: str, arrow: pa.DataType) -> Iterable[pc.Expression]:
    least, most = stats.least.get(name), stats.most.get(name)
    if least is not None:
        yield pc.field(name) >= _scalar(least, delta, arrow)
    if most is not None:
        yield pc.field(name) <= _scalar(most, delta, arrow)


def _scalar(value: object, delta: str, arrow: pa.DataType) -> pa.Scalar:
    return pa.scalar(value).cast(arrow) if delta in _AS_TEXT else pa.scalar(value, arrow)
