"""What Arrow is promised of packs leaves out no row: with promises == without, for any filter."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from hypothesis import given
from hypothesis import strategies as st

from dataknobs_data.s3.table.actions import Add
from dataknobs_data.s3.table.packs import encode
from dataknobs_data.s3.table.shape import ID, REST, Shape, grow
from dataknobs_data.s3.tiered.catalog import Packed
from dataknobs_data.s3.tiered.dataset import promise
from tests.properties.test_filtering import COLUMNS, columnar

OPERANDS: dict[str, Sequence[Any]] = {
    "string": [*COLUMNS["texts"], *COLUMNS["dates"]],
    "long": COLUMNS["integers"],
    # pyarrow 26 concludes from a <= 0 that a < NaN
    "double": [one for one in COLUMNS["doubles"] if not math.isnan(one)],
    "boolean": COLUMNS["truths"],
    "timestamp": [*COLUMNS["moments"], datetime.min.replace(tzinfo=UTC)],
    "date": [*COLUMNS["days"], date(2024, 5, 2)],
    "binary": COLUMNS["bytes"],
}


@st.composite
def conditions(draw: st.DrawFn, shape: Shape) -> pc.Expression:
    """On columns of the table, of every form that Arrow simplifies by what it is promised."""
    name = draw(st.sampled_from([*shape.kinds, ID, REST]))
    kind, column = shape.columns[name], pc.field(name)
    operand = pa.scalar(draw(st.sampled_from(OPERANDS[kind.delta])), kind.arrow)
    leaves = {
        "==": column == operand,
        "!=": column != operand,
        "<": column < operand,
        "<=": column <= operand,
        ">": column > operand,
        ">=": column >= operand,
        "null": column.is_null(),
        "nan": column.is_null(nan_is_null=True),
        "valid": column.is_valid(),
        "in": column.isin([operand]),
    }
    if kind.delta != "double":
        del leaves["nan"]
    leaf = leaves[draw(st.sampled_from(sorted(leaves)))]
    how = draw(st.sampled_from(["", "", "", "not", "and", "or"]))
    if how in ("and", "or"):
        other = draw(conditions(shape))
        return leaf & other if how == "and" else leaf | other
    return ~leaf if how == "not" else leaf


@given(st.data(), st.lists(columnar(), min_size=1, max_size=3))
def test_a_filter_finds_the_same_with_promises_and_without(data: st.DataObject, loads: list[Any]) -> None:
    shape, packs = Shape(), []
    for documents in loads:
        shape = grow(shape, documents)
        packs.append(encode(documents, shape))

    def dataset(promised: bool) -> ds.FileSystemDataset:
        form, fragments = ds.ParquetFileFormat(), []
        for pack in packs:
            add = Add("packs/x.parquet", pack.size, 0, pack.stats.to_json())
            known = promise(Packed(add, shape), shape) if promised else None
            fragments.append(form.make_fragment(pa.BufferReader(pack.body), partition_expression=known))
        return ds.FileSystemDataset(fragments, shape.arrow, form)

    with_promises, without = dataset(True), dataset(False)
    for condition in data.draw(st.lists(conditions(shape), min_size=10, max_size=20)):
        found, wanted = (
            sorted(one.to_table(columns=[ID], filter=condition)[ID].to_pylist()) for one in (with_promises, without)
        )
        assert found == wanted, str(condition)


def test_this_test_would_notice_a_promise_that_no_row_fulfills() -> None:
    form, table = ds.ParquetFileFormat(), pa.table({"x": [1, 2]})
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    fragment = form.make_fragment(
        pa.BufferReader(sink.getvalue()), partition_expression=pc.field("x") >= pa.scalar(None, pa.int64())
    )
    found = ds.FileSystemDataset([fragment], table.schema, form).to_table(filter=pc.field("x") == 1)
    assert found.num_rows == 0, "what deltalake promises where a bound is missing"
