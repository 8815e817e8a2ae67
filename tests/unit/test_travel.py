"""Time travel: which moments can be answered, what is said of others, and that nothing is written."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest

from dataknobs_data.backends.s3 import AsyncS3Past, S3Database, S3Past
from dataknobs_data.exceptions import (
    ConfigurationError,
    DatabaseConnectionError,
    IncompatibleStoreError,
    QueryError,
    RecordNotFoundError,
    TimeTravelError,
)
from dataknobs_data.query import Query
from dataknobs_data.records import Record
from dataknobs_data.s3.place import Place
from dataknobs_data.s3.store import Fault, Kind, ListedVersion, PutOptions, VersionPage
from dataknobs_data.s3.table.held import HeldColumns
from dataknobs_data.s3.tiered import compaction
from dataknobs_data.s3.travel.moment import Moment, second_of
from dataknobs_data.s3.travel.past import Past
from tests.unit.s3_fakes import START, DictStore, FakeWorld, caller
from tests.unit.tiered_world import KEYS, OPERATION_OVER
from tests.unit.versioned_world import Version, VersionedStore, VersionedWorld

SECOND, DAY = timedelta(seconds=1), timedelta(days=1)
DENIED = Fault(Kind.DENIED, "HTTP 403, AccessDenied", status=403, code="AccessDenied")


def load(db: S3Database, *values: int) -> list[str]:
    """Records in a pack."""
    return db.batch_create([Record({"v": value}, id=f"p{value}") for value in values])


def values(db: S3Database) -> dict[str, Any]:
    return {str(record.id): record["v"] for record in db.all()}


def refused(call: Callable[[], Any]) -> TimeTravelError:
    with pytest.raises(TimeTravelError) as found:
        call()
    return found.value


@pytest.fixture
def world() -> VersionedWorld:
    return VersionedWorld()


@pytest.fixture
def db(world: VersionedWorld) -> S3Database:
    return world.open(author="alice")


# ---------------------------------------------------------------------------------------------- what is meant
def test_a_second_is_meant_in_utc() -> None:
    noon = datetime(2026, 1, 31, 12, tzinfo=UTC)
    same: list[Any] = [noon, noon.replace(microsecond=999_999), "2026-01-31T12:00:00.7Z", "2026-01-31T13:00:00+01:00"]
    same += [datetime(2026, 1, 31, 12), noon.astimezone()]
    assert {second_of(one) for one in same} == {noon}
    assert second_of(date(2026, 1, 31)) == second_of("2026-01-31") == datetime(2026, 1, 31, tzinfo=UTC)
    moment = Moment(noon)
    assert [moment.has(noon + SECOND * shift) for shift in (-1, 0, 0.999, 1)] == [True, True, True, False]


@pytest.mark.parametrize(
    "asked",
    [{}, {"table_version": 0, "timestamp": "2026-01-01"}, {"timestamp": "yesterday"}, {"timestamp": 1_700_000_000}]
    + [{"table_version": version} for version in (-1, True, "3", 1.0)],
)
def test_what_makes_no_sense_is_said_without_a_request(world: VersionedWorld, asked: Any) -> None:
    db = world.open()
    world.sent()
    with pytest.raises(QueryError, match=r"at\("):
        db.at(**asked)
    assert not world.sent()


def test_what_is_yet_to_come_is_refused_and_the_present_second_waited_for(
    world: VersionedWorld, db: S3Database
) -> None:
    db.create(Record({"v": 1}, id="x"))
    assert "yet to come: the store's clock says" in str(refused(lambda: db.at(timestamp=world.now + 2 * SECOND)))
    world.world.slept.clear()
    past = db.at(timestamp=world.now)
    assert world.world.slept == [1.0]
    assert (values(past), past.timestamp) == ({"x": 1}, world.now - SECOND)
    db.at(timestamp=world.now - SECOND)
    assert world.world.slept == [1.0]


# ---------------------------------------------------------------------------------------------- what is shown
def test_both_tiers_as_they_were(world: VersionedWorld, db: S3Database) -> None:
    world.passes(60)
    db.create(Record({"v": 1}, id="hot"))
    load(db, 1, 2, 3)
    then = world.now
    revision = db.get_version("p2")
    world.passes(10)
    db.update("hot", Record({"v": 10}))
    db.update("p1", Record({"v": 11}))
    db.delete("p2")
    db.compact(full=True, wait=True)
    world.passes(10)
    db.delete("hot")
    past = db.at(timestamp=then)
    assert values(past) == {"hot": 1, "p1": 1, "p2": 2, "p3": 3}
    assert (past.get_version("p2"), past.count(), past.table_version) == (revision, 4, 0)
    assert [one.id for one in past.search(Query().filter("v", "<", 2).sort("id", "DESC"))] == ["p1", "hot"]
    assert [one and one["v"] for one in past.batch_read(["p2", "nobody", "hot"])] == [2, None, 1]
    assert [one["v"] for one in past.stream_read(Query().sort("v", "DESC").limit(2))] == [3, 2]
    assert values(db) == {"p1": 11, "p3": 3}
    assert [one.version for one in past.log()] == [0]
    rows = past.select_query("SELECT _id, v FROM S3Object s WHERE s.v < ? ORDER BY v DESC, _id", [3])
    assert [(one["_id"], one["v"]) for one in rows] == [("p2", 2), ("hot", 1), ("p1", 1)]
    joined = db.sql("SELECT count(*) AS n FROM S3Object o JOIN past p ON o._id = p._id", past=past)
    assert [row["n"] for row in joined] == [2]
    before = db.at(timestamp=then - 11 * SECOND)
    assert (values(before), before.count(), before.table_version, before.log()) == ({}, 0, None, [])


def test_a_version_of_the_table_is_that_commit_also_where_others_came_in_its_second(
    world: VersionedWorld, db: S3Database
) -> None:
    for version in range(3):
        load(db, *range(10 * version, 10 * version + 3))
    db.create(Record({"v": 1}, id="hot"))
    shown = [
        (db.at(table_version=version).table_version, len(values(db.at(table_version=version)))) for version in range(3)
    ]
    assert shown == [(0, 4), (1, 7), (2, 10)], "objects are those at the end of the second"
    past = db.at(timestamp=db.log()[0].at)
    assert (past.table_version, past.count()) == (2, 10)


def test_an_update_and_a_deletion_within_one_second_show_its_end(world: VersionedWorld, db: S3Database) -> None:
    for value in range(3):
        db.upsert("x", Record({"v": value}))
    first = world.now
    world.passes(1)
    db.update("x", Record({"v": 3}))
    db.delete("x")
    second = world.now
    world.passes(1)
    assert (values(db.at(timestamp=first)), values(db.at(timestamp=second))) == ({"x": 2}, {})


def test_the_objects_layout_travels_too() -> None:
    world = VersionedWorld()
    world.store.put(KEYS.format, b'{"format": 1, "layout": "objects"}', PutOptions(), None)
    db = world.open(layout="objects")
    db.batch_create([Record({"v": value}, id=f"o{value}") for value in range(5)])
    then = world.now
    world.passes(5)
    db.update("o1", Record({"v": 11}))
    db.batch_delete(["o2", "o3"])
    past = db.at(timestamp=then)
    assert values(past) == {f"o{value}": value for value in range(5)}
    assert (past.count(), past.exists("o2"), past.list_ids("o3"), past.table_version) == (5, True, ["o3"], None)
    assert past.read("o1")["v"] == 1  # type: ignore[index]
    with pytest.raises(ConfigurationError, match=r"no table.*at\(timestamp=…\)"):
        db.at(table_version=0)
    assert "yet" not in repr(past)


@pytest.mark.parametrize("order", [*permutations(range(3))])
def test_stores_list_versions_in_any_order(order: tuple[int, ...]) -> None:
    """SeaweedFS 4.48 has the version "null" last, moto 5.2 delete markers."""
    lines = [
        ListedVersion("records/x.json", f"v{number}", START + number * SECOND, number == 2, number == 1, None)
        for number in range(3)
    ]
    past = Past(caller(DictStore(), FakeWorld()), Place("bucket", "http://127.0.0.1:9"), KEYS, Moment(START + SECOND))
    assert past.standing([lines[number] for number in order]) is None, "the newest of then is a delete marker"


def test_a_view_keeps_what_it_has_read(world: VersionedWorld, db: S3Database) -> None:
    load(db, 1, 2, 3)
    db.create(Record({"v": 9}, id="hot"))
    then = world.now
    world.passes(5)
    db.update("hot", Record({"v": 10}))
    world.sent()
    past = db.at(timestamp=then)
    assert world.sent() == Counter({
        "GetBucketVersioning": 1,
        "GetBucketLifecycleConfiguration": 1,
        "ListObjectVersions": 3,  # the mark, the log's hint, the log
        "GetObject": 1,  # of the log's one commit
        "ListObjectsV2": 2,  # whether there are later commits; packs
    })  # fmt: skip
    for id, first in (("hot", {"GetObject": 1}), ("p1", {"GetObject": 2}), ("nobody", {})):
        past.read(id)
        assert world.sent() == Counter(ListObjectVersions=1, **first), id
        past.read(id)
        assert world.sent() == Counter(), f"{id}: nothing of the past changes"
    values(past)
    assert world.sent()["ListObjectVersions"] == 1


def test_a_view_for_asyncio(world: VersionedWorld) -> None:
    async def run() -> tuple[Any, ...]:
        from dataknobs_data.backends.s3 import AsyncS3Database

        db = AsyncS3Database.from_config({"bucket": "b"})
        db.sync = world.open()
        await db.create(Record({"v": 1}, id="x"))
        past = await db.at(timestamp=world.now)
        await db.delete("x")
        found = await past.read("x")
        await past.close()
        await db.close()
        return past, found and found["v"], past.timestamp < world.now, past.table_version, past.notes

    past, *rest = asyncio.run(run())
    assert isinstance(past, AsyncS3Past)
    assert isinstance(past.sync, S3Past)
    assert rest == [1, True, None, ()]


WRITES: dict[str, Callable[[S3Database], Any]] = {
    "create": lambda past: past.create(Record({})),
    "update": lambda past: past.update("x", Record({})),
    "upsert": lambda past: past.upsert("x", Record({})),
    "delete": lambda past: past.delete("x"),
    "batch_create": lambda past: past.batch_create([Record({})] * 5),
    "batch_update": lambda past: past.batch_update([("x", Record({}))]),
    "batch_delete": lambda past: past.batch_delete(["x", "y"]),
    "stream_write": lambda past: past.stream_write([Record({})]),
    "clear": lambda past: past.clear(),
    "compact": lambda past: past.compact(),
    "vacuum": lambda past: past.vacuum(),
    "undelete": lambda past: past.undelete("x"),
    "enable_versioning": lambda past: past.enable_versioning(),
    "lifecycle": lambda past: past.lifecycle.add("old", noncurrent_days=3),
    "at": lambda past: past.at(timestamp="2026-01-01"),
}


@pytest.mark.parametrize("name", WRITES)
def test_the_past_does_not_change(world: VersionedWorld, db: S3Database, name: str) -> None:
    db.create(Record({"v": 1}, id="x"))
    past = db.at(timestamp=world.now)
    before = {key: list(lines) for key, lines in world.store.versions.items()}
    assert "the database that at() was called on" in str(refused(lambda: WRITES[name](past)))
    assert world.store.versions == before


# ---------------------------------------------------------------------------------------------- since when
def test_a_bucket_without_versions_has_no_past() -> None:
    world = VersionedWorld(enabled=False)
    db = world.open()
    load(db, 1, 2, 3)
    for asked in ({"timestamp": world.now}, {"table_version": 0}):
        error = refused(lambda asked=asked: db.at(**asked))  # type: ignore[misc]
        assert "keeps no versions" in str(error)
        assert "enable_versioning()" in str(error)
        assert error.context["earliest"] is None


def test_versioning_that_was_switched_on_later() -> None:
    world = VersionedWorld(enabled=False)
    db = world.open()
    db.create(Record({"v": 1}, id="x"))
    early = world.now
    world.passes(100)
    assert db.enable_versioning().applied
    on = world.now
    world.passes(2000)
    error = refused(lambda: db.at(timestamp=early))
    assert error.context["earliest"] == on + timedelta(minutes=15), "AWS says to wait so long"
    assert "switched on later" in str(error)
    assert "2026-01-01T00:16:50Z" in str(error)
    assert values(db.at(timestamp=error.context["earliest"])) == {"x": 1}


def test_the_oldest_version_proves_it_where_somebody_else_has_switched_it_on() -> None:
    world = VersionedWorld(enabled=False)
    db = world.open()
    db.create(Record({"v": 1}, id="x"))
    world.store.status = "Enabled"
    assert "nothing proves" in str(refused(lambda: db.at(timestamp=world.now - SECOND)))
    world.passes(100)
    db.update("x", Record({"v": 2}))
    proved = world.now + timedelta(minutes=15)
    world.passes(1000)
    db.create(Record({"v": 3}, id="a"))
    world.passes(100)
    db.enable_versioning()
    world.passes(10_000)
    assert refused(lambda: db.at(timestamp=proved - SECOND)).context["earliest"] == proved
    assert values(db.at(timestamp=proved)) == {"x": 2}
    assert values(db.at(timestamp=proved + 300 * SECOND)) == {"x": 2, "a": 3}


def test_an_upload_in_parts_proves_nothing_for_it_has_the_time_when_it_began() -> None:
    world = VersionedWorld(enabled=False)
    db = world.open()
    world.store.status = "Enabled"
    db.create(Record({"v": 1}, id="x"))
    world.store.versions[KEYS.record("x")] = [
        Version(one.id, one.at, one.body, '"abc-2"', one.options) for one in world.store.versions[KEYS.record("x")]
    ]
    world.store.forget(lambda key, version: version.id != "null" and key != KEYS.record("x"))
    world.passes(5000)
    assert "nothing proves" in str(refused(lambda: db.at(timestamp=world.now - SECOND)))


def test_what_was_overwritten_while_versioning_was_suspended(world: VersionedWorld, db: S3Database) -> None:
    db.create(Record({"v": 1}, id="x"))
    db.create(Record({"v": 1}, id="y"))
    then = world.now
    world.passes(10)
    db.suspend_versioning()
    db.update("x", Record({"v": 2}))
    world.passes(10)
    db.update("x", Record({"v": 3}))
    last = world.now
    world.passes(10)
    db.enable_versioning()
    db.update("x", Record({"v": 4}))
    world.passes(10)
    past = db.at(timestamp=then)
    assert past.read("y")["v"] == 1, "it has left its trace"  # type: ignore[index]
    for call in (lambda: past.read("x"), past.all, past.count, past.list_ids):
        error = refused(call)
        assert "while versioning was suspended" in str(error)
        assert error.context["earliest"] == last
    assert values(db.at(timestamp=last)) == {"x": 3, "y": 1}
    assert values(db.at(timestamp=last + SECOND)) == {"x": 3, "y": 1}
    db.suspend_versioning()
    assert values(db.at(timestamp=last)) == {"x": 3, "y": 1}, "as long as nobody writes"


def test_whoever_may_not_see_the_switch_sees_it_by_the_versions(world: VersionedWorld, db: S3Database) -> None:
    world.store.may_see_status = False
    db.create(Record({"v": 1}, id="x"))
    world.passes(5)
    world.sent()
    assert values(db.at(timestamp=world.now - 5 * SECOND)) == {"x": 1}
    assert world.sent()["HeadObject"] == 1
    world.store.objects.pop(KEYS.format)
    with pytest.raises(DatabaseConnectionError, match="GetBucketVersioning"):
        db.at(timestamp=world.now - 5 * SECOND)


def test_a_store_without_a_clock(world: VersionedWorld, db: S3Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world.store, "control", lambda operation, **_: {"Status": "Enabled"})
    with pytest.raises(IncompatibleStoreError, match="does not tell its time"):
        db.at(timestamp="2026-01-01")


# ---------------------------------------------------------------------------------------------- until when
def rule(days: int, prefix: str = "", status: str = "Enabled") -> dict[str, Any]:
    return {
        "ID": "old",
        "Status": status,
        "Filter": {"Prefix": prefix},
        "NoncurrentVersionExpiration": {"NoncurrentDays": days},
    }


def test_a_rule_that_deletes_old_versions(world: VersionedWorld, db: S3Database) -> None:
    db.create(Record({"v": 1}, id="x"))
    then = world.now
    world.passes(5 * 86400)
    world.store.rules = [rule(7), rule(2, "other/"), rule(3, status="Disabled"), {"ID": "a", "Status": "Enabled"}]
    assert values(db.at(timestamp=then)) == {"x": 1}
    world.store.rules = [rule(7), rule(4, "records/")]
    error = refused(lambda: db.at(timestamp=then))
    assert "deletes old versions after 4 days" in str(error)
    assert error.context["earliest"] == world.now - 4 * DAY
    assert values(db.at(timestamp=error.context["earliest"])) == {"x": 1}


def test_rules_that_may_not_be_seen(world: VersionedWorld, db: S3Database) -> None:
    db.create(Record({"v": 1}, id="x"))
    world.store.rules = DENIED
    past = db.at(timestamp=world.now)
    assert values(past) == {"x": 1}
    (note,) = past.notes
    assert "could not be seen" in note
    assert "s3:GetLifecycleConfiguration" in note


def test_a_version_that_is_gone_is_no_empty_answer(world: VersionedWorld, db: S3Database) -> None:
    db.create(Record({"v": 1}, id="x"))
    then = world.now
    world.passes(5)
    db.update("x", Record({"v": 2}))
    past = db.at(timestamp=then)
    past.list_ids()
    world.store.forget(lambda key, version: key == KEYS.record("x") and version.at == then)
    listed = db.at(timestamp=then)
    assert values(listed) == {}, "nobody can know what somebody has deleted for good"
    store = world.store

    def expire(operation: str, key: str) -> None:
        if operation == "GetObject" and key == KEYS.record("x"):
            store.forget(lambda key, version: key == KEYS.record("x"))

    store.meanwhile = expire
    world.passes(5)
    assert "has been deleted" in str(refused(db.at(timestamp=world.now - SECOND).all))


# ---------------------------------------------------------------------------------------------- the table
def test_versions_of_the_table_that_there_are_not(world: VersionedWorld, db: S3Database) -> None:
    assert "there is no table" in str(refused(lambda: db.at(table_version=0)))
    load(db, 1, 2, 3)
    assert "the newest version of the table is 0" in str(refused(lambda: db.at(table_version=1)))


def aged(world: VersionedWorld, db: S3Database) -> list[datetime]:
    """A log that was cleaned; when its commits were made."""
    made = []
    for number in range(12):
        load(db, *range(10 * number, 10 * number + 3))
        made.append(world.now)
        world.passes(86400)
        db.compact(full=True, wait=True)
    return made


def test_a_log_that_was_cleaned_is_read_from_its_versions(
    world: VersionedWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compaction, "CHECKPOINT_EVERY", 3)
    db = world.open(log_retention=2)
    made = aged(world, db)
    first = min(one.version for one in db.log(1000))
    assert first > 1, "the log was cleaned"
    assert len(values(db.at(timestamp=made[0]))) == 3
    assert len(values(db.at(table_version=1))) == 3
    old = [key for key in world.store.versions if KEYS.log_name(key)]
    world.store.forget(lambda key, version: key in old and key not in world.store.objects)
    for asked in ({"timestamp": made[1]}, {"table_version": 1}):
        error = refused(lambda asked=asked: db.at(**asked))  # type: ignore[misc]
        assert "cleaned away" in str(error)
        assert error.context["earliest_version"] == first
        assert f"table version {first}" in str(error)
    again = db.at(table_version=error.context["earliest_version"])
    assert again.timestamp == error.context["earliest"]
    assert len(values(again)) % 3 == 0


def test_packs_that_were_vacuumed_are_read_by_version(world: VersionedWorld, db: S3Database) -> None:
    ids = load(db, 1, 2, 3)
    then = world.now
    for value in (20, 30):
        world.passes(86400)
        db.batch_update([(id, Record({"v": value})) for id in ids])
        db.compact(full=True)
    world.passes(3 * 86400)
    assert db.vacuum(retention=DAY).files > 1
    past = db.at(timestamp=then)
    assert values(past) == {"p1": 1, "p2": 2, "p3": 3}
    assert past.read("p2")["v"] == 2  # type: ignore[index]
    world.store.forget(lambda key, version: KEYS.table_path(key) is not None and key not in world.store.objects)
    error = refused(lambda: db.at(timestamp=then))
    assert "1 of its 1 packs have been vacuumed" in str(error)
    earliest = error.context["earliest_version"]
    assert set(values(db.at(table_version=earliest)).values()) == {30}
    assert refused(lambda: db.at(table_version=earliest - 1)).context["earliest_version"] == earliest
    assert values(db.at(timestamp=error.context["earliest"])) == values(db)


def test_what_lay_in_a_pack_when_it_was_deleted_comes_back(world: VersionedWorld, db: S3Database) -> None:
    ids = load(db, 1, 2, 3)
    db.batch_update([(id, Record({"v": 20}, metadata={"team": "blue"})) for id in ids])
    created_at = db.read("p1").metadata["created_at"]  # type: ignore[union-attr]
    world.passes(5)
    assert db.delete("p1")
    db.batch_delete(["p2", "p3"])
    world.passes(3600)
    db.compact(full=True, wait=True)
    assert db.undelete("p1", dry_run=True)
    assert values(db) == {}
    assert db.undelete("p1")
    found = db.read("p1")
    assert found is not None
    assert (found["v"], found.metadata["team"], found.metadata["created_at"]) == (20, "blue", created_at)
    world.passes(3600)
    load(db, 2, 4, 5)
    world.passes(1)
    db.clear()
    world.passes(5)
    with pytest.raises(RecordNotFoundError, match="cleared since"):
        db.undelete("p2")
    with pytest.raises(RecordNotFoundError, match="cleared since"):
        db.undelete("p3")
    assert values(db.at(timestamp=world.now - 6 * SECOND)).keys() == {"p1", "p2", "p4", "p5"}


def test_a_compaction_in_the_second_of_a_deletion_hides_nothing(world: VersionedWorld, db: S3Database) -> None:
    load(db, 1, 2, 3)
    world.passes(5)
    second = world.now
    db.delete("p1")
    for _ in range(2):
        db.compact(full=True)
    assert world.now < second + SECOND
    assert world.births("p1") == {}
    assert db.undelete("p1")
    assert values(db) == {"p1": 1, "p2": 2, "p3": 3}


def test_what_is_left_of_nothing_is_not_brought_back(world: VersionedWorld, db: S3Database) -> None:
    load(db, 1, 2, 3)
    world.passes(5)
    db.delete("p1")
    world.passes(3600)
    db.compact(full=True, wait=True)
    world.store.rules = [rule(1)]
    world.passes(2 * 86400)
    for dry_run in (True, False):
        with pytest.raises(RecordNotFoundError, match="cannot be brought back"):
            db.undelete("p1", dry_run=dry_run)


def test_a_row_that_was_changed_before_the_deletion_is_not_brought_back(world: VersionedWorld, db: S3Database) -> None:
    """Of the change there was an object, of which somebody deleted all versions."""
    load(db, 1, 2, 3)
    world.passes(5)
    db.update("p1", Record({"v": 10}))
    db.delete("p1")
    db.delete("p2")
    key = KEYS.record("p1")
    world.store.forget(lambda one, line: one == key and "kills" not in line.options.metadata)
    with pytest.raises(RecordNotFoundError, match="before it was changed for the last time"):
        db.undelete("p1")
    assert db.undelete("p2")
    assert values(db) == {"p2": 2, "p3": 3}


def test_a_database_in_the_place_of_one_that_was_deleted_by_hand(world: VersionedWorld, db: S3Database) -> None:
    load(db, 1, 2, 3)
    world.passes(5)
    load(db, 4, 5)
    then = world.now
    world.passes(5)
    for key, lines in list(world.store.versions.items()):
        if lines[0].body is not None:
            world.store.delete(key, None)
    world.passes(5)
    again = world.open()
    load(again, 6, 7, 8)
    world.passes(5)
    assert values(again.at(timestamp=then)) == {"p1": 1, "p2": 2, "p3": 3, "p4": 4, "p5": 5}
    assert values(again.at(table_version=0)) == values(again) == {"p6": 6, "p7": 7, "p8": 8}


def test_a_view_does_not_outlive_the_versions_it_shows(world: VersionedWorld, db: S3Database) -> None:
    db.create(Record({"v": 1}, id="x"))
    then = world.now
    world.passes(5)
    db.delete("x")
    world.passes(5 * 86400)
    world.store.rules = [rule(6)]
    past = db.at(timestamp=then)
    world.passes(86400 - 60)
    assert past.exists("x")
    assert values(past) == {"x": 1}
    world.passes(60)
    assert "may have deleted versions" in str(refused(past.all))


def test_the_retention_of_the_log_is_a_setting(world: VersionedWorld) -> None:
    assert world.open(log_retention=timedelta(hours=36))._s3().parts.settings.log_retention == 1.5
    assert world.open(log_retention="7")._s3().parts.settings.log_retention == 7
    for wrong in (0.5, timedelta(hours=23)):
        with pytest.raises(ConfigurationError, match=r"log_retention .*must be 1 or more"):
            world.open(log_retention=wrong)


def test_the_log_says_who_and_how_much(world: VersionedWorld, db: S3Database) -> None:
    ids = load(db, 1, 2, 3)
    world.open(author="bob").batch_update([(id, Record({"v": 5})) for id in ids])
    world.open().batch_create([Record({"v": 1})] * 3)
    told = [(one.operation, one.author, one.rows, one.rows_removed) for one in db.log()]
    assert told == [("LOAD", None, 3, 0), ("BULK UPDATE", "bob", 3, 3), ("LOAD", "alice", 3, 0)]
    assert len({one.job for one in db.log()}) == 3


def test_columns_of_the_past_make_room_for_one_another(db: S3Database, monkeypatch: pytest.MonkeyPatch) -> None:
    load(db, 1, 2)
    past = db.at(table_version=0)
    turns: list[HeldColumns] = []

    def begin(held: HeldColumns) -> None:
        turns.append(held)

    monkeypatch.setattr(HeldColumns, "begin", begin)
    for _ in range(2):
        past.search(Query().filter("v", ">", 1))
    assert len(turns) == 2
    assert len(set(map(id, turns))) == 1


def test_undelete_where_a_store_tells_markers_last(
    world: VersionedWorld, db: S3Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As moto 5.2 does: of one second, a tombstone then seems to follow the object that had been folded before."""
    db.enable_versioning()
    db.create(Record({"v": 1}, id="x"))
    load(db, 1, 2, 3)
    while world.hot():
        world.passes(OPERATION_OVER)
        world.open().compact(full=True)
    db.batch_update([(id, Record({"v": 2})) for id in ("p1", "p2", "x")])
    db.delete("x")
    listed = VersionedStore.list_versions

    def markers_last(store: VersionedStore, prefix: str, *, after: Any = None) -> VersionPage:
        page = listed(store, prefix, after=after)
        return VersionPage(sorted(page.items, key=lambda line: (line.key, line.is_delete_marker)), page.after)

    monkeypatch.setattr(VersionedStore, "list_versions", markers_last)
    tombstone, marker, *_ = world.store.versions[KEYS.record("x")]
    assert (tombstone.at, marker.body) == (marker.at, None)
    assert db.undelete("x")
    assert values(db)["x"] == 2
