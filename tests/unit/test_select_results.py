"""Rows as they stream out of a statement: their values, their end, and what is left behind."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pyarrow as pa
import pytest

from dataknobs_data.exceptions import ConfigurationError, DatabaseOperationError, DataFormatError, QueryError
from dataknobs_data.runtime import Runtime
from dataknobs_data.select.sandbox import Limits
from tests.unit.select_tables import LIMITS, Numbers, Plain, rows, run, statement, value


@pytest.fixture(autouse=True)
def nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No temporary folder, no thread."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = set(threading.enumerate())

    def left() -> list[object]:
        ours = [thread for thread in threading.enumerate() if thread not in before and thread.name == "dataknobs-sql"]
        return [*tmp_path.iterdir(), *ours]

    yield
    if left():
        gc.collect()  # takes half a second beside all that other tests have loaded
    assert left() == []


# ---------------------------------------------------------------------------------------------- values
@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("1", 1), ("1.5::DOUBLE", 1.5), ("'x'", "x"), ("true", True), ("NULL", None), ("1.50::DECIMAL(4, 2)", Decimal("1.50")),
        ("sum(1)", 1), ("sum(NULL::BIGINT)", None), ("170141183460469231731687303715884105727::HUGEINT / 1", 1.7014118346046923e38),
        ("12345678901234567890123::HUGEINT", 12345678901234567890123), ("18446744073709551615::UBIGINT", 2**64 - 1),
        ("'ab'::BLOB", b"ab"), ("DATE '2020-02-29'", date(2020, 2, 29)), ("TIME '10:11:12.5'", clock(10, 11, 12, 500000)),
        ("TIMESTAMPTZ '2020-01-01 01:00:00+01'", datetime(2020, 1, 1, tzinfo=UTC)), ("TIMESTAMP '2020-01-01 00:00:01'", datetime(2020, 1, 1, 0, 0, 1)),
        ("TIMESTAMP_NS '2020-01-01 00:00:00.123456789'", datetime(2020, 1, 1, 0, 0, 0, 123456)), ("TIMESTAMP_S '2020-01-01'", datetime(2020, 1, 1)),
        ("INTERVAL '1 day 2 hours'", timedelta(days=1, hours=2)), ("'8637c03c-2be1-4fe3-af2f-015f7394c662'::UUID", UUID("8637c03c-2be1-4fe3-af2f-015f7394c662")),
        ("[1, NULL, 3]", [1, None, 3]), ("{'a': [1], 'b': {'c': 'x'}}", {"a": [1], "b": {"c": "x"}}), ("MAP {'k': 1}", {"k": 1}),
        ("NULL::MAP(VARCHAR, INTEGER)", None), ("'x'::ENUM('x', 'y')", "x"), ("'{\"a\": 1}'::JSON", '{"a": 1}'), ("[1, 2]::INTEGER[2]", [1, 2]),
        ("NULL::UUID", None), ("NULL::TIMESTAMPTZ", None), ("NULL::INTERVAL", None), ("'ü☃'", "ü☃"), ("''", ""),
    ],
)  # fmt: skip
def test_values_are_pythons(expression: str, expected: Any) -> None:
    found = value(f"SELECT {expression} AS x")
    assert found == expected
    assert type(found) is type(expected)


def test_instants_are_in_utc() -> None:
    assert value("SELECT now()").tzinfo is UTC
    assert value("SELECT current_date") == datetime.now(UTC).date()


@pytest.mark.parametrize("expression", ["'infinity'::TIMESTAMPTZ", "DATE '10000-01-01'", "'-infinity'::TIMESTAMP"])
def test_values_that_python_does_not_have(expression: str) -> None:
    with pytest.raises(QueryError, match="to_arrow"):
        rows(f"SELECT {expression} AS x")
    assert run(f"SELECT {expression} AS x").to_arrow().num_rows == 1


def test_columns_of_one_name_are_told_apart() -> None:
    found = run("SELECT 1 AS a, 2 AS a, 3 AS a_1, 4 AS a, 5 AS A")
    assert found.columns == ["a", "a_2", "a_1", "a_3", "A"]
    assert list(found) == [{"a": 1, "a_2": 2, "a_1": 3, "a_3": 4, "A": 5}]
    assert run("SELECT 1 AS a, 2 AS a").to_pandas().columns.tolist() == ["a", "a_1"]


# ---------------------------------------------------------------------------------------------- other forms
def test_frames() -> None:
    sql = (
        "SELECT sum(n) AS s, count(*) AS c, avg(n) AS a, sum(n) * 100000000000000000000::HUGEINT AS huge FROM S3Object"
    )
    arrow = run(sql, S3Object=Numbers(1, 4)).to_arrow()
    assert arrow.schema.types[:3] == [pa.decimal128(38, 0), pa.int64(), pa.float64()]
    pandas = run(sql, S3Object=Numbers(1, 4)).to_pandas()
    assert (pandas["s"].dtype, pandas["s"][0], pandas["huge"][0]) == ("int64", 6, Decimal("6e20"))
    polars = run(sql, S3Object=Numbers(1, 4)).to_polars()
    assert polars["s"].to_list() == [6]
    assert polars.columns == ["s", "c", "a", "huge"]


def test_nothing_found_has_its_columns() -> None:
    sql = "SELECT n, text FROM S3Object WHERE n < 0"
    assert rows(sql, S3Object=Numbers(1)) == []
    assert run(sql, S3Object=Numbers(1)).to_arrow().schema.names == ["n", "text"]
    assert list(run(sql, S3Object=Numbers(1)).to_pandas().columns) == ["n", "text"]
    assert run(sql, S3Object=Numbers(1)).to_polars().shape == (0, 2)


@pytest.mark.parametrize(("package", "call"), [("pandas", "to_pandas"), ("polars", "to_polars")])
def test_frames_need_their_package(package: str, call: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with run("SELECT 1") as found, pytest.raises(ConfigurationError, match=f"needs {package}: pip install {package}"):
        getattr(found, call)()


def test_duckdb_missing_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(ConfigurationError, match=r"SQL needs duckdb: pip install '\.\[sql\]'"):
        run("SELECT 1")


def test_records_unfold() -> None:
    table = pa.table(
        {
            "_id": ["7"],
            "name": ["Ann"],
            "age": pa.array([None], pa.int64()),
            "_rest": ['{"address":{"city":"Rome"},"nothing":null}'],
            "_metadata": ['{"by":"me"}'],
            "_created_at": pa.array([datetime(2020, 1, 1, tzinfo=UTC)], pa.timestamp("us", "UTC")),
        }
    )
    (record,) = run(
        "SELECT _id, *, _metadata, _created_at FROM S3Object",
        S3Object=Plain(table, ["_id", "_metadata", "_created_at"]),
    ).records()
    assert (record.id, record.data) == ("7", {"name": "Ann", "address": {"city": "Rome"}, "nothing": None})
    assert record.metadata["by"] == "me"
    assert record.metadata["created_at"] == "2020-01-01T00:00:00.000000Z"
    (record,) = run("SELECT count(*) AS c, max(age) AS age FROM S3Object", S3Object=Plain(table)).records()
    assert record.data == {"c": 1, "age": None}


# ---------------------------------------------------------------------------------------------- streaming
def test_rows_come_while_others_are_not_made_yet() -> None:
    numbers = Numbers(2000)
    with run("SELECT * FROM S3Object", S3Object=numbers) as found:
        assert next(found) == {"n": 0, "text": "the number 0"}
        assert numbers.made < 1000
        assert numbers.running == 1
    assert (numbers.running, numbers.closed) == (0, 1)


def test_a_million_rows_take_little_memory() -> None:
    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")

    rows("SELECT * FROM S3Object", S3Object=Numbers(20))
    before = resident()
    most, count = 0, 0
    for batch in run("SELECT *, repeat(text, 10) AS long FROM S3Object", S3Object=Numbers(1000)).batches():
        count += batch.num_rows
        most = max(most, resident() - before)
    assert count == 1_000_000
    assert most < 100 << 20, f"{most >> 20} MiB of some 200"


def test_a_limit_ends_the_reading() -> None:
    numbers = Numbers(5000)
    assert len(rows("SELECT n FROM S3Object LIMIT 10", S3Object=numbers)) == 10
    assert numbers.made < 1000
    assert numbers.running == 0


def test_what_was_read_is_gone_and_other_ways_give_the_rest() -> None:
    found = run("SELECT n FROM S3Object", S3Object=Numbers(30))
    first = next(found.batches()).num_rows
    assert found.to_arrow()["n"][0].as_py() == first
    for again in (found.to_arrow, lambda: list(found.batches()), lambda: next(found)):
        with pytest.raises(DatabaseOperationError, match="read to its end: run the query again"):
            again()


def test_an_iterator_that_has_ended_stays_so() -> None:
    found = run("SELECT 1 AS x")
    assert list(found) == [{"x": 1}]
    assert list(found) == []


@pytest.mark.parametrize("ending", ["close", "with", "drop", "error in the loop"])
def test_a_result_that_is_not_read_to_its_end(ending: str) -> None:
    numbers = Numbers(5000)
    found = run("SELECT * FROM S3Object", S3Object=numbers)
    next(found)
    match ending:
        case "close":
            found.close()
            found.close()
        case "with":
            with found:
                pass
        case "drop":
            del found
        case _:
            with pytest.raises(KeyError), found:
                raise KeyError
    assert (numbers.running, numbers.closed) == (0, 1)


def test_a_statement_that_fails_leaves_nothing() -> None:
    numbers = Numbers(10)
    for sql in (
        "SELECT nope FROM S3Object",
        "SELECT text::INTEGER FROM S3Object",
        "SELECT max(text::INTEGER) FROM S3Object",
    ):
        with pytest.raises(QueryError):
            rows(sql, S3Object=numbers)
    assert (numbers.running, numbers.closed) == (0, 3)


def test_a_relation_that_cannot_be_opened_closes_the_others() -> None:
    numbers = Numbers(10)

    def broken() -> Any:
        raise DataFormatError("no such thing")

    one = statement("SELECT * FROM a, z", a=numbers, z=Numbers())
    one._openers = {**one._openers, "z": broken}
    with pytest.raises(DataFormatError, match="no such thing"):
        one.run()
    assert (numbers.opened, numbers.closed) == (1, 1)


class Broken(Numbers):
    """Fails while it is read."""

    def batches(self, columns: Any, condition: Any) -> Iterator[pa.RecordBatch]:
        yield from super().batches(columns, condition)
        raise DataFormatError("pack 7 is damaged", key="7")


@pytest.mark.parametrize(
    "sql", ["SELECT * FROM S3Object", "SELECT count(*) FROM S3Object", "SELECT n FROM S3Object ORDER BY n DESC", "SELECT a.n FROM S3Object a JOIN S3Object b USING (n)"]
)  # fmt: skip
def test_an_error_of_reading_comes_out_as_itself(sql: str) -> None:
    broken = Broken(50)
    with pytest.raises(DataFormatError, match="pack 7 is damaged") as caught:
        rows(sql, S3Object=broken)
    assert caught.value.context == {"key": "7"}
    assert (broken.running, broken.closed) == (0, 1)


# ---------------------------------------------------------------------------------------------- time
@pytest.mark.parametrize("sql", ["SELECT n FROM S3Object", "SELECT range AS n FROM range(1000000)"])
def test_the_time_is_for_reading_too(sql: str) -> None:
    passed = 0.0
    runtime = Runtime(monotonic=lambda: passed)
    found = statement(sql, limits=Limits(seconds=10), runtime=runtime, S3Object=Numbers(500)).run()
    next(found.batches())
    passed = 11
    with pytest.raises(DatabaseOperationError, match="longer than it may"):
        found.to_arrow()
    with pytest.raises(DatabaseOperationError, match="is closed"):
        found.to_arrow()


def test_time_that_passes_in_reading_records_counts() -> None:
    passed = 0.0

    def pause() -> None:
        nonlocal passed
        passed += 4

    numbers = Numbers(100, pause=pause)
    one = statement(
        "SELECT count(*) FROM S3Object",
        limits=Limits(seconds=10),
        runtime=Runtime(monotonic=lambda: passed),
        S3Object=numbers,
    )
    with pytest.raises(DatabaseOperationError, match="longer than it may"):
        one.run()
    assert numbers.made == 3
    assert (numbers.running, numbers.closed) == (0, 1)


# ---------------------------------------------------------------------------------------------- other threads
def test_another_thread_ends_it() -> None:
    one = statement("SELECT count(*) FROM range(1000000000000000)")
    timer = threading.Timer(0.3, one.cancel)
    timer.start()
    with pytest.raises(DatabaseOperationError, match="canceled"):
        one.run()
    timer.join()
    with pytest.raises(DatabaseOperationError, match="canceled"):
        one.run()


def test_closing_in_another_thread_while_it_is_read() -> None:
    numbers = Numbers(100_000, pause=lambda: time.sleep(0.001))
    found = run("SELECT * FROM S3Object", S3Object=numbers)
    timer = threading.Timer(0.3, found.close)
    timer.start()
    with pytest.raises(DatabaseOperationError):
        found.to_arrow()
    timer.join()
    assert (numbers.running, numbers.closed) == (0, 1)


def test_statements_side_by_side() -> None:
    """Each has a DuckDB of its own; scans run in DuckDB's threads, and use others while they hold none of Python's locks."""
    found: list[int] = []

    def work() -> None:
        found.append(value("SELECT sum(a.n) FROM S3Object a JOIN S3Object b USING (n)", S3Object=Numbers(20)))

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert found == [sum(range(20_000))] * 6


def test_python_goes_on_while_duckdb_computes() -> None:
    ticks, over = 0, threading.Event()

    def tick() -> None:
        nonlocal ticks
        while not over.wait(0.005):
            ticks += 1

    ticking = threading.Thread(target=tick)
    ticking.start()
    with pytest.raises(DatabaseOperationError):
        rows("SELECT count(*) FROM range(1000000000000000)", limits=Limits(LIMITS.memory_bytes, 0.5))
    over.set()
    ticking.join()
    assert ticks > 15


def test_ctrl_c_ends_it() -> None:
    code = """
import os, signal, threading, time
from tests.unit.select_tables import rows
rows("SELECT 1")
for sql in ("SELECT count(*) FROM range(1000000000000000)", "SELECT * FROM range(1000000000000000) t(i) WHERE i < 0"):
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
    began = time.monotonic()
    try:
        rows(sql)
    except KeyboardInterrupt:
        print("interrupted", time.monotonic() - began < 5, [one.name for one in threading.enumerate() if "sql" in one.name])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert (done.stdout.splitlines(), done.stderr) == (["interrupted True []"] * 2, "")
