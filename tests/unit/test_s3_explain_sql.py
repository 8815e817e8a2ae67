"""Estimates of statements in SQL, held against what is then sent."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from dataknobs_data.backends.s3 import AsyncS3Database, S3Database
from dataknobs_data.exceptions import QueryError, RecordArchivedError
from dataknobs_data.records import Record
from tests.unit.test_s3_explain_work import archived_pack, check, check_range, records, spent
from tests.unit.tiered_fakes import Processes

pytestmark = pytest.mark.thorough


@pytest.fixture(scope="module")
def filled() -> Iterator[Processes]:
    """Three packs, one of them with a field outside of columns, and 160 objects, one of them with a field of its own."""
    with closing(Processes(pack_threshold=200, cache_bytes=64 << 20, max_workers=4)) as made:
        database = made.database()
        for number, start in enumerate(("a-", "b-", "c-")):
            batch = records(2000, start=start)
            for record in batch:
                record["n"] += 2000 * number
                record["text"] *= 6
                if number == 1 and record["n"] % 50 == 0:
                    record["odd"] = [1, 2]
            database.batch_create(batch)
        for number in range(160):
            rare = {"rare": 1} if number == 120 else {}
            database.create(Record({"n": 100_000 + number, "v": 0.5, "city": "Essen", **rare}, id=f"h-{number:03}"))
        yield made


@pytest.fixture(scope="module")
def loose() -> Iterator[Processes]:
    """300 objects."""
    with closing(Processes(layout="objects", max_workers=4, cache_bytes=64 << 20)) as made:
        made.database().batch_create(records(300))
        yield made


def select(database: S3Database, sql: str, params: Any = None, **how: Any) -> None:
    with database.select_query(sql, params, **how) as result:
        for _ in result.batches():
            pass


DECIDED = {
    "all": "SELECT * FROM S3Object",
    "how many": "SELECT count(*) FROM S3Object",
    "grouped": "SELECT city, avg(v) FROM S3Object GROUP BY city",
    "one row group": "SELECT n, text FROM S3Object WHERE n BETWEEN 2600 AND 2610",
    "a text": "SELECT text FROM S3Object WHERE city = 'Berlin'",
    "a share": "SELECT * FROM S3Object WHERE v < 0.5",
    "none": "SELECT text FROM S3Object WHERE n > 1000000",
    "not handed over": "SELECT text FROM S3Object WHERE text LIKE '%7%'",
    "sorted": "SELECT n FROM S3Object ORDER BY v DESC LIMIT 5",
    "with itself": "SELECT a.n FROM S3Object a JOIN S3Object b ON a.n = b.n WHERE b.n < 100",
    "outside of columns": "SELECT s.odd[0] FROM S3Object s",
    "in an object": "SELECT rare FROM S3Object",
}


@pytest.mark.parametrize("cache_bytes", [64 << 20, 0])
@pytest.mark.parametrize("name", DECIDED)
def test_a_statement_sends_what_was_said(filled: Processes, name: str, cache_bytes: int) -> None:
    database = filled.database(cache_bytes=cache_bytes)
    for _ in ("cold", "warm"):
        check(database.explain.select_query(DECIDED[name]), spent(database, select, database, DECIDED[name]))


@pytest.mark.parametrize("name", ["all", "how many", "a share"])
def test_a_statement_over_objects_sends_what_was_said(loose: Processes, name: str) -> None:
    database = loose.database()
    for _ in ("cold", "warm"):
        check(database.explain.select_query(DECIDED[name]), spent(database, select, database, DECIDED[name]))


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM S3Object LIMIT 5",
        "SELECT text FROM S3Object WHERE text LIKE '%77%' LIMIT 3",
        "SELECT text FROM S3Object WHERE v < 0.002",
        "SELECT text FROM S3Object WHERE city = 'Celle' AND v > 0.999",
    ],
)
def test_where_content_decides_the_range_holds(filled: Processes, sql: str) -> None:
    for cache_bytes in (64 << 20, 0):
        database = filled.database(cache_bytes=cache_bytes)
        check_range(database.explain.select_query(sql), spent(database, select, database, sql))


def test_packs_are_told_by_name_and_parameters_count(filled: Processes) -> None:
    database, sql = filled.database(), "SELECT text FROM S3Object WHERE n = ?"
    estimate = database.explain.select_query(sql, [2600])
    assert (len(estimate.packs_read), len(estimate.packs_pruned), estimate.groups) == (1, 2, 1)
    check(estimate, spent(database, select, database, sql, [2600]))


def test_few_objects_are_read_to_know_what_fields_there_are(filled: Processes) -> None:
    database = filled.database()
    estimate = database.explain.select_query("SELECT city FROM S3Object")
    assert estimate.documents == 60, "100 of them are in memory now"
    check(estimate, spent(database, select, database, "SELECT city FROM S3Object"))


def test_what_makes_no_sense_is_refused_as_it_would_be(filled: Processes) -> None:
    with pytest.raises(QueryError, match="rares"):
        filled.database().explain.select_query("SELECT rares FROM S3Object")
    with pytest.raises(QueryError):
        filled.database().explain.select_query("DROP TABLE S3Object")


@pytest.mark.parametrize("skips", [False, True])
def test_packs_in_an_archive_are_named_and_left_out(
    filled: Processes, monkeypatch: pytest.MonkeyPatch, skips: bool
) -> None:
    pack, database, sql = archived_pack(filled, monkeypatch), filled.database(), "SELECT n FROM S3Object"
    estimate = database.explain.select_query(sql, archived="skip" if skips else "raise")
    assert any(pack in note for note in estimate.notes)
    assert any("of select_query(…, archived='skip')" in note for note in estimate.notes) is not skips
    check(estimate, spent(database, lambda: select(database, sql, archived="skip")))
    with pytest.raises(RecordArchivedError) as caught:
        select(database, sql)
    assert skips or str(caught.value) in estimate.notes


def test_it_is_awaited_in_the_other_color(filled: Processes) -> None:
    async def explained() -> None:
        database = AsyncS3Database({"bucket": "bucket"})
        database.sync = filled.database()
        estimate = await database.explain.select_query("SELECT count(*) FROM S3Object")
        assert estimate.requests["ListObjectsV2"] == 2
        assert (await database.explain.batch_create([Record({"a": 1})])).requests == {"PutObject": 1}
        await database.close()

    asyncio.run(explained())
