"""select_query() and sql(): records of both tiers, joined with those of other databases, in both colors."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from dataknobs_data.aio import AsyncDatabase
from dataknobs_data.backends.memory import AsyncMemoryDatabase, MemoryDatabase
from dataknobs_data.backends.s3 import AsyncS3Database, AsyncSqlResult, S3Database, SqlResult
from dataknobs_data.backends.sqlite import SQLiteDatabase
from dataknobs_data.database import SyncDatabase
from dataknobs_data.exceptions import ConfigurationError, DatabaseOperationError, QueryError
from dataknobs_data.records import Record
from tests.s3_bench import S3Bench

SEAWEED = pytest.mark.parametrize("s3_server", ["seaweed"], indirect=True)
LAYOUTS = pytest.mark.parametrize("layout", ["objects", "tiered"])

ORDERS = [Record({"customer": f"c{n % 3}", "amount": n, "note": {"by": f"u{n % 2}"}}, id=f"o{n}") for n in range(12)]
CUSTOMERS = [
    Record({"name": name, "land": land}, id=f"c{n}")
    for n, (name, land) in enumerate([("Ann", "IT"), ("Bob", "NO"), ("Cid", "FR")])
]


def orders(bench: S3Bench, layout: str, **over: Any) -> S3Database:
    """Ten of them came in one batch, one is changed and one deleted since, two are new."""
    db = bench.open(layout=layout, pack_threshold=5, **over)
    db.batch_create(ORDERS[:10])
    db.update("o1", Record({"customer": "c1", "amount": 100}))
    db.delete("o2")
    for record in ORDERS[10:]:
        db.create(record)
    return db


def other(kind: str, bench: S3Bench, tmp_path: Path) -> SyncDatabase:
    """Customers in a database of that kind."""
    made: SyncDatabase
    match kind:
        case "memory":
            made = MemoryDatabase()
        case "sqlite":
            made = SQLiteDatabase({"path": str(tmp_path / "customers.db")})
        case _:
            made = bench.connect(prefix=f"{bench.prefix}other/", layout="objects")
    made.batch_create(CUSTOMERS)
    return made


JOINED = """
SELECT c.name, count(*) AS n, sum(o.amount) AS total, min(o.note.by) AS by
FROM S3Object o JOIN customers c ON o.customer = c.id WHERE c.land <> $land GROUP BY c.name ORDER BY total DESC
"""


@SEAWEED
@LAYOUTS
@pytest.mark.parametrize("kind", ["memory", "sqlite", "s3"])
def test_databases_are_joined(bench: S3Bench, layout: str, kind: str, tmp_path: Path) -> None:
    db = orders(bench, layout)
    with other(kind, bench, tmp_path) as customers:
        assert list(db.sql(JOINED, {"land": "FR"}, customers=customers)) == [
            {"name": "Bob", "n": 4, "total": 121, "by": "u0"},
            {"name": "Ann", "n": 4, "total": 18, "by": "u0"},
        ]


@pytest.mark.parametrize("layout", ["objects", "tiered"])
def test_the_live_records_and_nothing_else(bench: S3Bench, layout: str) -> None:
    db = orders(bench, layout)
    found = db.select_query("SELECT id, amount FROM S3Object[*] s WHERE s.amount > ? ORDER BY amount", [8])
    assert isinstance(found, SqlResult)
    assert list(found) == [
        {"id": "o9", "amount": 9},
        {"id": "o10", "amount": 10},
        {"id": "o11", "amount": 11},
        {"id": "o1", "amount": 100},
    ]
    assert list(db.select_query("SELECT count(*) AS n FROM S3Object")) == [{"n": 11}]
    ((record),) = db.select_query("SELECT *, _id, _created_at FROM S3Object WHERE _id = 'o3'").records()
    stored = db.read("o3")
    assert stored is not None
    assert (record.id, record.data) == ("o3", stored.data)
    assert record.metadata["created_at"] == stored.metadata["created_at"]


@SEAWEED
@LAYOUTS
def test_in_asyncio(bench: S3Bench, layout: str) -> None:
    orders(bench, layout)

    async def main() -> None:
        async with AsyncS3Database(bench.config()) as db, AsyncMemoryDatabase() as customers:
            await customers.batch_create(CUSTOMERS)
            found = await db.sql(JOINED, {"land": "FR"}, customers=customers)
            assert isinstance(found, AsyncSqlResult)
            assert [row["total"] async for row in found] == [121, 18]
            assert (await (await db.select_query("SELECT * FROM S3Object")).to_arrow()).num_rows == 11
            async with await db.select_query("SELECT id FROM S3Object ORDER BY amount") as some:
                assert (await anext(some))["id"] == "o0"
            with pytest.raises(QueryError, match="no field 'amuont'; did you mean 'amount'"):
                await db.select_query("SELECT amuont FROM S3Object")
            endless = asyncio.create_task(db.select_query("SELECT count(*) FROM range(1000000000000000), S3Object"))
            await asyncio.sleep(0.5)
            endless.cancel()
            with pytest.raises(asyncio.CancelledError):
                await endless
            assert await db.count() == 11

    asyncio.run(main())


@SEAWEED
def test_what_cannot_be_a_table(bench: S3Bench) -> None:
    db = bench.open()
    with pytest.raises(ConfigurationError, match=r"sql\(\): things is a list, but must be a database"):
        db.sql("SELECT 1", things=[1])  # type: ignore[arg-type]
    with pytest.raises(QueryError, match="differ only in case"):
        db.sql("SELECT 1", s3object=db)
    with pytest.raises(QueryError, match="there is no table 'custmers'; did you mean 'customers'"):
        db.sql("SELECT * FROM custmers", customers=db)
    assert list(db.sql("SELECT count(*) AS n FROM S3Object a, again b", again=db)) == [{"n": 0}]


@SEAWEED
def test_time_is_a_setting_or_an_argument(bench: S3Bench) -> None:
    db = bench.open(query_timeout=0.3, memory_limit="100MB")
    endless = "SELECT count(*) FROM range(1000000000000000)"
    with pytest.raises(DatabaseOperationError, match="query_timeout"):
        db.select_query(endless)
    with pytest.raises(DatabaseOperationError, match="more than the 75000000 bytes that memory_limit leaves it"):
        db.select_query("SELECT list(i) FROM range(10000000000) t(i)", timeout=20)
    with pytest.raises(QueryError, match="timeout is -1"):
        db.select_query("SELECT 1", timeout=-1)


@SEAWEED
def test_a_statement_that_names_no_records_reads_none(bench: S3Bench) -> None:
    db = bench.open()
    before = db.usage
    assert list(db.sql("SELECT 1 AS x", other=db)) == [{"x": 1}]
    with pytest.raises(QueryError):
        db.select_query("DELETE FROM S3Object")
    assert db.usage.since(before).requests == {}


def test_both_colors_say_the_same() -> None:
    from inspect import signature

    for name in ("select_query", "sql"):
        blocking, awaited = (signature(getattr(cls, name)).parameters for cls in (S3Database, AsyncS3Database))
        assert [(one.name, one.kind, one.default) for one in blocking.values()] == [
            (one.name, one.kind, one.default) for one in awaited.values()
        ]
    assert issubclass(AsyncS3Database, AsyncDatabase)
