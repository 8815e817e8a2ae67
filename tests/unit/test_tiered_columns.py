"""Columns of the table where several loads bring new ones at the same time, and values that lie beside them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from dataknobs_data.query import Query
from dataknobs_data.records import Record
from dataknobs_data.s3.table.packs import REST_NAMES_MAX
from tests.unit.tiered_fakes import Processes

COUNT = 60


@pytest.fixture
def processes() -> Iterator[Processes]:
    with closing(Processes(pack_threshold=50)) as made:
        yield made


def loaded_side_by_side(processes: Processes, first: dict[str, Any], second: dict[str, Any]) -> dict[str, str]:
    """Two loads of which the second is committed while the first is under way; the table's columns then."""
    processes.database().batch_create([Record({"n": 0}) for _ in range(COUNT)])
    one, other = processes.database(), processes.database()
    with one.stream_writer() as early, other.stream_writer() as late:
        early.write([Record(first) for _ in range(COUNT)])
        late.write([Record(second) for _ in range(COUNT)])
        assert late.finish().successful == COUNT
        assert early.finish().successful == COUNT
    stats = processes.database().stats()
    assert (stats.rows, stats.documents) == (3 * COUNT, 0)
    return dict(stats.columns)


def found(processes: Processes, name: str) -> list[Any]:
    records = processes.database().all()
    return [record[name] for record in records if name in record]


def test_none_of_two_loads_loses_its_columns(processes: Processes) -> None:
    assert loaded_side_by_side(processes, {"a": 1}, {"b": "x"}) == {"n": "long", "a": "long", "b": "string"}
    assert (found(processes, "a"), found(processes, "b")) == ([1] * COUNT, ["x"] * COUNT)


def test_a_column_keeps_the_type_that_it_was_given_first(processes: Processes) -> None:
    assert loaded_side_by_side(processes, {"a": 1}, {"a": "x"}) == {"n": "long", "a": "string"}
    assert sorted(found(processes, "a"), key=str) == [1] * COUNT + ["x"] * COUNT


@pytest.mark.parametrize("compacted", [False, True])
def test_names_that_are_too_many_to_tell_hide_no_value(processes: Processes, compacted: bool) -> None:
    """Of such a pack the log does not say of which fields there are values beside the columns."""
    db = processes.database()
    others = {f"list{number}": [number] for number in range(REST_NAMES_MAX)}
    db.batch_create([Record({"a": "x", **others}), *(Record({"a": number}) for number in range(COUNT))])
    if compacted:
        db.batch_create([Record({"a": number}) for number in range(COUNT)])
        db.compact(full=True)
    assert dict(db.stats().columns) == {"a": "long"}
    assert len(db.search(Query().filter("a", "=", "x"))) == 1
    assert len(db.search(Query().filter("list7", "exists").filter("a", "not_in", [1, 2]))) == 1
    assert [row["a"] for row in db.select_query("SELECT a FROM S3Object WHERE a = 'x'")] == ["x"]


def test_bounds_that_tell_nothing_of_nan_hide_none(processes: Processes) -> None:
    """Parquet's, of row groups, do not."""
    db = processes.database()
    db.batch_create([Record({"a": float("nan") if number == 7 else 1.0}) for number in range(COUNT)])
    assert dict(db.stats().columns) == {"a": "double"}
    assert len(db.search(Query().filter("a", "!=", 1.0))) == 1
    assert len(db.search(Query().filter("a", "not_in", [1.0]))) == 1
    assert next(db.select_query("SELECT count(*) AS n FROM S3Object WHERE a <> 1.0"))["n"] == 1
    assert next(db.select_query("SELECT count(*) AS n FROM S3Object WHERE a > 1.0"))["n"] == 1


def test_a_pack_that_is_older_than_a_column_holds_no_value_of_it(processes: Processes) -> None:
    processes.database().batch_create([Record({"n": 0}) for _ in range(COUNT)])
    processes.database().batch_create([Record({"n": 1, "a": number or 0.0}) for number in range(COUNT, -1, -1)])
    db = processes.database()
    assert dict(db.stats().columns) == {"n": "long", "a": "long"}
    query, sql = Query().filter("a", ">=", 0), "SELECT a FROM S3Object WHERE a >= 0"
    assert (len(db.search(query)), len(list(db.select_query(sql)))) == (COUNT + 1, COUNT + 1)
    for estimate in (db.explain.search(query), db.explain.select_query(sql)):
        assert (estimate.groups, estimate.rows) == (1, COUNT + 1)
    assert str(db.select_query(sql).to_arrow().schema.field("a").type) == "double", "there are integers, and 0.0"
