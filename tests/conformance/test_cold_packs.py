"""Packs in archive classes, from the first load to the search after a restore: on moto's server, which knows Glacier."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from dataknobs_data.backends.s3 import AsyncS3Database, S3Database
from dataknobs_data.exceptions import ConfigurationError, QueryError, RecordArchivedError
from dataknobs_data.query import Query
from dataknobs_data.records import Record
from tests.s3_bench import S3Bench

pytestmark = pytest.mark.parametrize("s3_server", ["moto_server"], indirect=True)

TIERED = {"layout": "tiered", "pack_threshold": 2, "cache_ttl": 0}
COLD = {**TIERED, "storage_class": "GLACIER"}


def load(db: S3Database, first: int, count: int, **over: Any) -> list[str]:
    """Records with ids that sort as their numbers do: one pack."""
    return db.batch_create(Record({"n": n, "city": "Oslo"}, id=f"r{n:03}", **over) for n in range(first, first + count))


def packs(bench: S3Bench) -> list[str]:
    """The keys of all packs, in the order in which they were written."""
    return sorted(bench.prefix + path for path in bench.paths() if path.startswith("_table/packs/"))


def archive(bench: S3Bench, *keys: str) -> None:
    """As a lifecycle rule does it."""
    for key in keys:
        source: Any = {"Bucket": bench.bucket, "Key": key}
        bench.client.copy_object(Bucket=bench.bucket, Key=key, CopySource=source, StorageClass="GLACIER")


def caught(call: Callable[..., object], *arguments: Any, **more: Any) -> RecordArchivedError:
    with pytest.raises(RecordArchivedError) as error:
        call(*arguments, **more)
    return error.value


@pytest.fixture
def cold(bench: S3Bench) -> S3Database:
    """Three packs of ten records, in GLACIER since they were written."""
    db = bench.open(**COLD)
    for first in (0, 10, 20):
        load(db, first, 10)
    return db


@pytest.fixture
def reads(bench: S3Bench, cold: S3Database) -> Iterator[list[str]]:
    """The keys of packs that are asked for."""
    seen: list[str] = []
    store: Any = cold._s3().control.caller._store
    ranges = store.get_range

    def get_range(key: str, *span: Any) -> Any:
        seen.append(key)
        return ranges(key, *span)

    store.get_range = get_range
    yield seen
    assert [key for key in seen if "/_ids/" in key], "their companions were"
    assert not [key for key in seen if "/packs/" in key], "archived packs were asked for"


# ---------------------------------------------------------------------------------------------- what works without content
def test_packs_go_to_the_class_and_companions_do_not(bench: S3Bench, cold: S3Database) -> None:
    listed = bench.client.list_objects_v2(Bucket=bench.bucket, Prefix=bench.prefix)["Contents"]
    found = {line["Key"].removeprefix(bench.prefix): line["StorageClass"] for line in listed}
    assert {found[path] for path in found if "/packs/" in path} == {"GLACIER"}
    assert {found[path] for path in found if "/packs/" not in path} == {"STANDARD"}
    assert len([path for path in found if "/_ids/" in path]) == 3


@pytest.mark.usefixtures("reads")
def test_records_are_counted_listed_changed_and_deleted_in_archives(bench: S3Bench, cold: S3Database) -> None:
    assert cold.count() == 30
    assert (cold.exists("r007"), cold.exists("r999")) == (True, False)
    assert cold.list_ids("r00") == [f"r00{n}" for n in range(10)]
    versions = {id: cold.get_version(id) for id in ("r001", "r002")}
    assert all(versions.values())
    assert cold.update("r001", Record({"n": -1}), expected_version=versions["r001"])
    assert cold.upsert("r002", Record({"n": -2})) == "r002"
    assert cold.delete("r003")
    assert not cold.delete("r003")
    assert not cold.update("r999", Record({}))
    assert cold.batch_delete(["r004", "r005", "r998"]) == [True, True, False]
    updates = [(f"r{n:03}", Record({"n": -n})) for n in (11, 12, 13, 14)]
    assert cold.batch_update([*updates, ("r997", Record({}))]) == [True] * 4 + [False]
    assert cold.batch_upsert(Record({"n": -n}, id=f"r{n:03}") for n in (21, 22, 40, 41)) == [
        "r021",
        "r022",
        "r040",
        "r041",
    ]
    assert cold.count() == 29
    assert cold.get_version("r001") != versions["r001"]
    assert load_again(cold) == {"r000"}, "an id that is taken in an archive is taken"


def load_again(db: S3Database) -> set[str | None]:
    result = db.stream_write([Record({"n": 0}, id=id) for id in ("r000", "r050", "r051")])
    return {id for _, id, _ in result.errors}


def test_updates_keep_when_a_record_was_created(bench: S3Bench, cold: S3Database) -> None:
    imported = "2019-05-01T00:00:00.000000Z"
    load(cold, 100, 3, metadata={"created_at": imported})
    cold.update("r100", Record({"n": 1}))
    cold.batch_update([("r101", Record({"n": 1})), ("r102", Record({"n": 1}))])
    found = cold.restore(["r100", "r101", "r102"], wait=True)
    assert set(found.restored) == {"r100", "r101", "r102"}
    for record in cold.batch_read(["r100", "r101", "r102"]):
        assert record is not None
        assert record.metadata["created_at"] == imported


# ---------------------------------------------------------------------------------------------- reading
@pytest.mark.parametrize(
    "query",
    [Query(), Query().filter("n", "<", 25), Query().sort("n", "DESC").limit(3), Query().filter("n", "<", 25).sort("n")],
)
def test_a_search_names_the_packs_and_what_restoring_them_costs(bench: S3Bench, cold: S3Database, query: Query) -> None:
    for read in (cold.search, cold.count, lambda query: list(cold.stream_read(query))):
        if read == cold.count and query.expression is None:
            continue
        error = caught(read, query)
        assert error.context["packs"] == packs(bench)
        assert error.context["records"] == 30
        assert error.context["bytes"] == sum(
            bench.client.head_object(Bucket=bench.bucket, Key=key)["ContentLength"] for key in packs(bench)
        )
        assert packs(bench)[0] in str(error)
        assert "3 of 3 packs" in str(error)
        assert "Standard: $0.00015, 3 to 5 hours" in str(error)
        assert [offer.tier for offer in error.context["estimate"].offers] == ["Expedited", "Standard", "Bulk"]
        assert "db.restore(error)" in str(error)


def test_packs_that_cannot_hold_what_is_asked_for_are_not_named(bench: S3Bench, cold: S3Database) -> None:
    error = caught(cold.search, Query().filter("n", ">", 25))
    assert error.context["packs"] == packs(bench)[2:]
    assert "1 of 1 pack " in str(error)
    assert cold.search(Query().filter("n", ">", 100)) == []


def test_readable_packs_are_not_named(bench: S3Bench) -> None:
    db = bench.open(**TIERED)
    for first in (0, 10, 20):
        load(db, first, 10)
    archive(bench, packs(bench)[1])
    db = bench.connect(**TIERED)
    error = caught(db.search)
    assert error.context["packs"] == packs(bench)[1:2]
    assert "1 of 3 packs" in str(error)
    found = db.search(archived="skip")
    assert [record["n"] for record in found] == [*range(10), *range(20, 30)]
    assert [error.context["packs"] for error in found.errors] == [packs(bench)[1:2]]
    best = db.search(Query().sort("n", "DESC").limit(12), archived="skip")
    assert [record["n"] for record in best] == [*range(29, 19, -1), 9, 8]


def test_what_is_skipped_is_said(bench: S3Bench, cold: S3Database, caplog: pytest.LogCaptureFixture) -> None:
    cold.update("r001", Record({"n": -1}))
    warm = bench.connect(**TIERED)
    warm.create(Record({"n": 7}, id="warm"))
    some = Query().filter("n", ">", -5)
    with caplog.at_level(logging.WARNING, "dataknobs_data.s3"):
        found = warm.search(some, archived="skip")
    assert [record.id for record in found] == ["warm"]
    (error,) = found.errors
    assert (error.context["packs"], error.context["ids"]) == (packs(bench), ["r001"])
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    caplog.clear()
    with caplog.at_level(logging.WARNING, "dataknobs_data.s3"):
        assert warm.count(some, archived="skip") == 1
        assert [record.id for record in warm.stream_read(some, archived="skip")] == ["warm"]
    said = [record.getMessage() for record in caplog.records]
    assert [text.split(" went on ")[0] for text in said] == ["count", "stream_read"]
    assert all("3 of 3 packs" in text and "1 record with an object of its own ('r001')" in text for text in said)
    with pytest.raises(ConfigurationError, match="'raise' or 'skip'"):
        warm.search(archived="ignore")  # type: ignore[arg-type]


def test_the_same_for_asyncio(bench: S3Bench, cold: S3Database) -> None:
    async def run() -> None:
        async with AsyncS3Database(bench.config(**TIERED)) as db:
            await db.create(Record({"n": 7}, id="warm"))
            with pytest.raises(RecordArchivedError):
                await db.search()
            found = await db.search(Query().filter("n", ">", 5), archived="skip")
            assert [record.id for record in found] == ["warm"]
            assert len(found.errors) == 1
            assert await db.count(Query().filter("n", ">", 5), archived="skip") == 1
            assert [record.id async for record in db.stream_read(archived="skip")] == ["warm"]
            assert (await db.restore(found.errors[0], wait=True)).done
            assert len(await db.search()) == 31

    asyncio.run(run())


# ---------------------------------------------------------------------------------------------- restoring
def test_a_query_restores_the_packs_that_may_answer_it(bench: S3Bench, cold: S3Database) -> None:
    query = Query().filter("n", "between", (12, 22))
    plan = cold.restore(query, days=3, dry_run=True)
    assert plan.packs == dict.fromkeys(packs(bench)[1:], "requested")
    assert plan.estimate.objects == 2
    assert any("which of their records the query finds" in note for note in plan.estimate.notes)
    assert plan.summary() == "2 packs: 2 to be requested"
    assert plan.estimate.time == "3 to 5 hours"
    assert [status.state for status in cold.restore_status(query)] == ["archived"] * 2
    assert [status.pack for status in cold.restore_status(query)] == packs(bench)[1:]
    before = cold.usage
    done = cold.restore(plan, days=3, wait=True)
    assert cold.usage.since(before).requests["RestoreObject"] == 2
    assert (done.packs, done.done) == (dict.fromkeys(packs(bench)[1:], "restored"), True)
    assert [status.readable for status in cold.restore_status(query)] == [True] * 2
    assert [record["n"] for record in cold.search(query)] == list(range(12, 23))
    assert caught(cold.search).context["packs"] == packs(bench)[:1]


def test_the_error_of_a_read_can_be_restored(bench: S3Bench, cold: S3Database) -> None:
    cold.create(Record({"n": 7}, id="alone"))
    cold = bench.connect(**COLD)  # which has not the document in memory
    error = caught(cold.search, Query().filter("n", "<", 8))
    assert (error.context["packs"], error.context["ids"]) == (packs(bench)[:1], ["alone"])
    done = cold.restore(error, wait=True)
    assert (done.restored, list(done.packs)) == (("alone",), packs(bench)[:1])
    assert len(cold.search(Query().filter("n", "<", 8))) == 9
    error = caught(cold.read, "r015")
    assert packs(bench)[1] in str(error)
    assert cold.restore(error, wait=True).packs == {packs(bench)[1]: "restored"}
    assert cold.read("r015")["n"] == 15  # type: ignore[index]
    with pytest.raises(QueryError, match="names no records and no packs"):
        cold.restore(RecordArchivedError("somebody's own"))


def test_it_works_end_to_end_in_an_archive_class(bench: S3Bench) -> None:
    db = bench.open(**COLD)
    db.create(Record({"n": 1}, id="a"))
    load(db, 0, 20)
    assert db.count() == 21
    assert db.exists("a")
    assert db.update("r001", Record({"n": 100}))
    assert db.delete("r002")
    assert db.count() == 20
    db = bench.connect(**COLD)
    error = caught(db.search)
    assert set(error.context["ids"]) == {"a", "r001"}
    assert db.restore(error, wait=True).done
    assert sorted(record["n"] for record in db.search()) == sorted([1, 100, 0, *range(3, 20)])
    assert db.read("r001")["n"] == 100  # type: ignore[index]


# ---------------------------------------------------------------------------------------------- rules that archive packs
def companions(bench: S3Bench) -> int:
    return sum("/_ids/" in path for path in bench.paths())


def test_packs_get_companions_before_a_rule_archives_them(own: S3Bench) -> None:
    db = own.open(**TIERED)
    for first in (0, 10):
        load(db, first, 10)
    rule = {"transition": {"GLACIER": 30}, "larger_than_bytes": 1000}
    assert "2 of 2 packs have no companion" in "\n".join(db.lifecycle.preview(**rule).notes)  # type: ignore[arg-type]
    assert companions(own) == 0, "a dry run"
    assert db.lifecycle.add(transition={"STANDARD_IA": 30}).applied
    assert companions(own) == 0, "nothing is unreadable there"
    plan = db.lifecycle.add(**rule)  # type: ignore[arg-type]
    assert any("2 packs got a companion" in note for note in plan.notes)
    assert not any("no companion" in note for note in plan.notes)
    assert companions(own) == 2
    other = own.connect(**TIERED)
    load(other, 20, 10)
    assert companions(own) == 3, "whoever knows the table writes them from now on"
    load(db, 30, 10)
    assert companions(own) == 4
    assert db.lifecycle.dangers() == []
    archive(own, *packs(own))
    other = own.connect(**TIERED)
    assert (other.count(), len(other.list_ids()), other.exists("r015")) == (40, 40, True)
    assert other.update("r015", Record({"n": -1}))
    assert other.delete("r016")
    assert other.batch_update([(f"r{n:03}", Record({"n": -1})) for n in range(3)]) == [True] * 3
    assert other.count() == 39
    assert caught(other.search).context["packs"] == packs(own)


def test_rules_of_others_that_archive_packs_are_named(own: S3Bench, caplog: pytest.LogCaptureFixture) -> None:
    db = own.open(**TIERED)
    load(db, 0, 10)
    where = {"Prefix": f"{own.prefix}_table/packs/"}
    move = {"Days": 30, "StorageClass": "GLACIER"}
    theirs: Any = {"Rules": [{"ID": "theirs", "Status": "Enabled", "Filter": where, "Transitions": [move]}]}
    own.client.put_bucket_lifecycle_configuration(Bucket=own.bucket, LifecycleConfiguration=theirs)
    (danger,) = db.lifecycle.dangers()
    assert "rule 'theirs' archives packs to GLACIER after 30 days, which have no companions" in danger
    assert db.compact().warnings == (danger,)
    assert db.lifecycle.write_companions() == 1
    assert db.lifecycle.write_companions() == 0
    assert db.lifecycle.dangers() == []
    with pytest.raises(ConfigurationError, match="layout 'objects'"):
        own.connect(prefix="elsewhere/", layout="objects").lifecycle.write_companions()


def test_companions_of_packs_that_are_archived_already_are_asked_for(own: S3Bench) -> None:
    db = own.open(**TIERED)
    load(db, 0, 10)
    load(db, 10, 10)
    archive(own, packs(own)[0])
    db = own.connect(**TIERED)
    plan = db.lifecycle.add(transition={"GLACIER": 30})
    assert any(
        "1 pack without companion in an archive already" in note and packs(own)[0] in note for note in plan.notes
    )
    assert companions(own) == 1
    assert db.restore(Query(), wait=True).packs == {packs(own)[0]: "restored"}
    assert db.lifecycle.write_companions() == 1
    assert db.lifecycle.dangers() == []


# ---------------------------------------------------------------------------------------------- compaction, vacuum
def test_compaction_leaves_archived_packs_alone_until_they_are_restored(bench: S3Bench) -> None:
    db = bench.open(**TIERED)
    db.lifecycle.write_companions()
    for first in (0, 10, 20):
        load(db, first, 10)
    archive(bench, *packs(bench)[:2])
    db = bench.connect(**TIERED)
    for id in ("r000", "r001", "r020"):
        db.delete(id)
    db.update("r002", Record({"n": -2}))
    db.create(Record({"n": 5}, id="new"))
    report = db.compact(full=True)
    assert (report.archived, report.rewritten) == (2, 1)
    assert (report.folded, report.buried) == (1, 1), "what has nothing to do with archived packs"
    ((reason, number),) = report.left.items()
    assert (number, "archived" in reason) == (3, True)
    assert db.count() == 28
    assert not db.exists("r000"), "its tombstone stays"
    stats = db.stats()
    assert stats.classes == {"GLACIER": 2, "STANDARD": 1}
    assert stats.without_companion == 0
    assert any("compact, once restored: 2 packs" in advice for advice in stats.advice)
    assert db.restore(Query(), wait=True).done
    report = db.compact(full=True)
    assert (report.archived, report.folded, report.buried, dict(report.left)) == (0, 1, 2, {})
    assert sorted(record["n"] for record in db.search()) == sorted([-2, 5, *range(3, 20), *range(21, 30)])


def test_compaction_of_packs_without_companions_goes_on_too(bench: S3Bench) -> None:
    db = bench.open(**TIERED)
    for first in (0, 10, 20):
        load(db, first, 10)
    archive(bench, packs(bench)[1])
    db = bench.connect(**TIERED)
    db.create(Record({"n": 5}, id="a"))
    assert db.compact(full=True).archived == 1
    assert len(packs(bench)) == 4
    error = caught(db.delete, "r011")
    assert packs(bench)[1] in str(error)
    assert db.restore(error, wait=True).done
    assert db.delete("r011")
    assert db.compact(full=True).archived == 0
    assert db.count() == 30


# ---------------------------------------------------------------------------------------------- SQL
def test_sql_names_the_archived_packs_that_may_have_such_rows(bench: S3Bench, cold: S3Database) -> None:
    assert cold.select_query("SELECT count(*) AS n FROM S3Object").to_arrow().to_pylist() == [{"n": 30}]
    error = caught(lambda: list(cold.select_query("SELECT n FROM S3Object s WHERE s.n >= 10")))
    assert error.context["packs"] == packs(bench)[1:]
    assert "2 of 2 packs" in str(error)
    assert cold.restore(error, wait=True).done
    found = cold.select_query("SELECT sum(n) AS total FROM S3Object s WHERE s.n >= ?", [10])
    assert list(found) == [{"total": sum(range(10, 30))}]
    assert caught(lambda: list(cold.select_query("SELECT * FROM S3Object"))).context["packs"] == packs(bench)[:1]


def test_sql_skips_what_is_archived_when_it_is_told_to(
    bench: S3Bench, cold: S3Database, caplog: pytest.LogCaptureFixture
) -> None:
    cold.create(Record({"n": 100}, id="cold"))
    db = bench.connect(**TIERED)
    db.create(Record({"n": 7}, id="warm"))
    with caplog.at_level(logging.WARNING, "dataknobs_data.s3"):
        found = db.select_query("SELECT _id, n FROM S3Object", archived="skip")
        assert list(found) == [{"_id": "warm", "n": 7}]
        found.close()
    (error,) = found.skipped
    assert isinstance(error, RecordArchivedError)
    assert (error.context["packs"], error.context["ids"]) == (packs(bench), ["cold"])
    assert [record.getMessage().split(":")[0] for record in caplog.records] == ["SQL went on without what is archived"]

    async def run() -> None:
        async with AsyncS3Database(bench.config(**TIERED)) as other:
            found = await other.select_query("SELECT n FROM S3Object WHERE n < 9", archived="skip")
            assert [row async for row in found] == [{"n": 7}]
            assert [error.context["packs"] for error in found.skipped] == [packs(bench)]

    asyncio.run(run())
