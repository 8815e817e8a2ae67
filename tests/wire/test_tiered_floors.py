"""The fewest requests each operation on both tiers can do with, counted on the wire: neither more nor, by accident, fewer.

As test_floors.py, for the tiered layout. What is done once a process (the bucket, the probe, the format file, and the first
look at a table that somebody else has made) is done beforehand. A look at the log is one LIST of its tail.
"""

from __future__ import annotations

from collections import Counter

import pytest

from dataknobs_data.backends.s3 import S3Database
from dataknobs_data.exceptions import ConcurrencyError
from dataknobs_data.query import Query
from dataknobs_data.records import Record
from tests.s3_bench import S3Bench, records
from tests.wire.proxy import Seen

PUT, GET, HEAD = "PutObject", "GetObject", "HeadObject"
LOOK, LISTING, RANGE = "look at the log", "listing", "range of a pack"


def sent(seen: Seen) -> dict[str, int]:
    """How many requests of each kind."""

    def kind(operation: str, key: str | None, prefix: str) -> str:
        if operation == "ListObjectsV2":
            return LOOK if prefix.endswith("_table/_delta_log/") else LISTING
        return RANGE if operation == GET and "/packs/" in (key or "") else operation

    return dict(Counter(kind(one.operation, one.key, one.query.get("prefix", "")) for one in seen.requests))


@pytest.fixture
def db(bench: S3Bench) -> S3Database:
    """One that holds no columns of packs, so that every range is seen."""
    db = bench.open(layout="tiered")
    db._engine._layout.table._readers._columns = None  # type: ignore[attr-defined]
    return db


@pytest.fixture
def packed(bench: S3Bench, db: S3Database) -> S3Database:
    """A database with 1,000 records in a pack, which it has not read yet."""
    bench.past().batch_create(records(1000))
    assert not db.exists("nothing")  # knows the log
    return db


def test_what_was_read_of_a_pack_is_held_for_packs_never_change(bench: S3Bench) -> None:
    db = bench.open(layout="tiered")
    bench.past().batch_create(records(1000))
    assert not db.exists("nothing")
    for ranges in ({RANGE: 2}, {}):
        with bench.proxy.watch() as seen:
            assert db.read("r-000500")
        assert sent(seen) == {GET: 1, LOOK: 1, **ranges}


# ---------------------------------------------------------------------------------------------- one record
def test_create_with_a_generated_id_is_one_put(bench: S3Bench, packed: S3Database) -> None:
    with bench.proxy.watch() as seen:
        packed.create(Record({"a": 1}))
    assert sent(seen) == {PUT: 1}
    assert seen.requests[0].headers["if-none-match"] == "*"


def test_create_with_an_own_id_looks_at_the_log_before_and_after(bench: S3Bench, db: S3Database) -> None:
    for filled in (False, True):
        if filled:
            bench.past().batch_create(records(1000))
            db.exists("nothing")
        with bench.proxy.watch() as seen:
            db.create(Record({"a": 1}, id=f"x{filled}"))
        assert sent(seen) == {LOOK: 2, PUT: 1}
        assert [one.operation for one in seen.requests] == ["ListObjectsV2", PUT, "ListObjectsV2"]


def test_a_hot_record_is_read_by_one_get(bench: S3Bench, packed: S3Database) -> None:
    bench.past().create(Record({"text": "x" * 2000}, id="x"))
    for status in (200, 304):
        with bench.proxy.watch() as seen:
            assert packed.read("x")
        assert sent(seen) == {GET: 1}
        assert seen.requests[0].status == status


def test_a_packed_record_is_read_by_a_get_a_look_and_two_ranges_or_one(bench: S3Bench, packed: S3Database) -> None:
    for ranges in (2, 1):
        with bench.proxy.watch() as seen:
            assert packed.read("r-000500")
        assert sent(seen) == {GET: 1, LOOK: 1, RANGE: ranges}
        assert next(one.status for one in seen.requests if one.operation == GET) == 404


def test_a_missing_record_is_a_get_and_a_look(bench: S3Bench, packed: S3Database) -> None:
    with bench.proxy.watch() as seen:
        assert packed.read("nothing") is None
    assert sent(seen) == {GET: 1, LOOK: 1}


def test_the_bloom_filter_answers_for_ids_between_those_of_a_pack(bench: S3Bench, packed: S3Database) -> None:
    packed.read("r-000500")
    with bench.proxy.watch() as seen:
        assert packed.batch_read([f"r-000500-{n}" for n in range(5)]) == [None] * 5
    assert sent(seen) in ({GET: 5, LOOK: 1}, {GET: 5, LOOK: 1, RANGE: 1}), "1 of 100 may be taken for one that is there"


def test_exists_is_a_head_and_for_packed_records_a_look_and_a_range(bench: S3Bench, packed: S3Database) -> None:
    packed.create(Record({}, id="x"))
    packed.read("r-000500")
    with bench.proxy.watch() as seen:
        assert packed.exists("x")
    assert sent(seen) == {HEAD: 1}
    with bench.proxy.watch() as seen:
        assert packed.exists("r-000501")
    assert sent(seen) == {HEAD: 1, LOOK: 1, RANGE: 1}


# ---------------------------------------------------------------------------------------------- changing one
def test_an_update_of_a_held_record_is_one_put_after_a_look_behind_its_first_version(
    bench: S3Bench, packed: S3Database
) -> None:
    packed.create(Record({"a": 1}, id="x"))
    for looks in ({LOOK: 1}, {}):
        with bench.proxy.watch() as seen:
            assert packed.update("x", Record({"a": 2}))
        assert sent(seen) == {**looks, PUT: 1}
    generated = packed.create(Record({"a": 1}))
    with bench.proxy.watch() as seen:
        assert packed.update(generated, Record({"a": 2}))
    assert sent(seen) == {PUT: 1}


def test_an_update_of_a_record_not_held_is_a_get_and_a_put(bench: S3Bench, packed: S3Database) -> None:
    other = bench.past()
    other.create(Record({"a": 1}, id="x"))
    with bench.proxy.watch() as seen:
        assert packed.update("x", Record({"a": 2}))
    assert sent(seen) == {GET: 1, LOOK: 1, PUT: 1}
    other.create(Record({"a": 1}, id="y"))
    other.update("y", Record({"a": 2}))
    with bench.proxy.watch() as seen:
        assert packed.update("y", Record({"a": 3}))
    assert sent(seen) == {GET: 1, PUT: 1}


def test_an_update_of_a_packed_record_is_a_read_and_a_put(bench: S3Bench, packed: S3Database) -> None:
    packed.read("r-000500")
    with bench.proxy.watch() as seen:
        assert packed.update("r-000501", Record({"a": 2}))
    assert sent(seen) == {GET: 1, LOOK: 1, RANGE: 1, PUT: 1}
    assert seen.requests[-1].headers["if-none-match"] == "*"


def test_an_update_of_a_missing_record_looks_once_more_for_one_that_moved(bench: S3Bench, packed: S3Database) -> None:
    with bench.proxy.watch() as seen:
        assert not packed.update("nothing", Record({}))
    assert sent(seen) == {GET: 2, LOOK: 1}


def test_a_stale_version_of_a_packed_record_is_told_without_a_write(bench: S3Bench, packed: S3Database) -> None:
    packed.read("r-000500")
    with bench.proxy.watch() as seen, pytest.raises(ConcurrencyError):
        packed.update("r-000500", Record({}), expected_version="old")
    assert sent(seen) == {GET: 1, LOOK: 1, RANGE: 1}


def test_a_change_by_version_of_a_packed_record_looks_at_the_log_once_more(bench: S3Bench, packed: S3Database) -> None:
    version = packed.get_version("r-000500")
    packed.read("r-000501")
    for change in (
        lambda: packed.update("r-000501", Record({"a": 2}), expected_version=version),
        lambda: packed.delete("r-000502", expected_version=version),
    ):
        with bench.proxy.watch() as seen:
            assert change()
        assert sent(seen) == {GET: 1, LOOK: 2, RANGE: 1, PUT: 1}
        assert seen.requests[-1].operation == "ListObjectsV2"


def test_delete_is_a_look_and_a_small_put(bench: S3Bench, packed: S3Database) -> None:
    generated = packed.create(Record({"a": 1}))
    with bench.proxy.watch() as seen:
        assert packed.delete(generated)
    assert sent(seen) == {PUT: 1}, "this process holds it"
    generated = bench.past().create(Record({"text": "x" * 5000}))
    with bench.proxy.watch() as seen:
        assert packed.delete(generated)
    assert sent(seen) == {GET: 1, PUT: 1}
    assert seen.requests[-1].body_bytes < 512
    packed.read("r-000500")
    with bench.proxy.watch() as seen:
        assert packed.delete("r-000501")
    assert sent(seen) == {GET: 1, LOOK: 1, RANGE: 1, PUT: 1}


# ---------------------------------------------------------------------------------------------- many records
def test_a_thousand_records_with_generated_ids_are_two_puts(bench: S3Bench, db: S3Database) -> None:
    for _ in range(2):
        with bench.proxy.watch() as seen:
            db.batch_create(Record({"n": number}, {"team": "blue"}) for number in range(1000))
        assert sent(seen) == {PUT: 2}
        pack, commit = seen.requests
        assert "team=blue" in pack.headers["x-amz-tagging"]
        assert commit.headers["if-none-match"] == "*"


def test_a_thousand_records_with_own_ids_are_three_puts_and_looks(bench: S3Bench, db: S3Database) -> None:
    for kind in ("a", "b"):
        with bench.proxy.watch() as seen:
            db.batch_create(Record({"n": number}, id=f"{kind}-{number:04}") for number in range(1000))
        assert sent(seen) == {LOOK: 1, LISTING: 2, PUT: 3}
        assert {one.query["prefix"] for one in seen.requests if one.operation == "ListObjectsV2"} == {
            f"{bench.prefix}_table/_delta_log/",
            f"{bench.prefix}{kind}-0",
        }


def test_fewer_than_the_threshold_are_one_put_a_record(bench: S3Bench, db: S3Database) -> None:
    with bench.proxy.watch() as seen:
        db.batch_create(Record({"n": number}) for number in range(199))
    assert sent(seen) == {PUT: 199}
    assert 2 <= seen.max_in_flight <= 10
    with bench.proxy.watch() as seen:
        db.batch_create(Record({"n": number}, id=f"own-{number:03}") for number in range(100))
    assert sent(seen) == {LOOK: 2, PUT: 100}
    assert {seen.requests[0].operation, seen.requests[-1].operation} == {"ListObjectsV2"}


def test_batch_read_asks_the_packs_for_all_at_once(bench: S3Bench, packed: S3Database) -> None:
    ids = [f"r-{number:06}" for number in range(100)]
    packed.read(ids[0])
    with bench.proxy.watch() as seen:
        assert all(packed.batch_read(ids))
    assert sent(seen) == {LISTING: 1, LOOK: 1, RANGE: 1}
    bench.past().update(ids[7], Record({"n": -7}))
    with bench.proxy.watch() as seen:
        assert all(packed.batch_read(ids))
    assert sent(seen) == {LISTING: 1, GET: 1, LOOK: 1, RANGE: 1}
    with bench.proxy.watch() as seen:
        assert all(packed.batch_read(ids[:9]))
    assert sent(seen) == {GET: 9, LOOK: 1, RANGE: 1}, "a page of a listing stands for ten reads"


def test_batch_delete_looks_for_all_at_once(bench: S3Bench, packed: S3Database) -> None:
    ids = [f"r-{number:06}" for number in range(100)]
    packed.read(ids[0])
    with bench.proxy.watch() as seen:
        assert packed.batch_delete(ids[:30]) == [True] * 30
    assert sent(seen) == {LISTING: 1, LOOK: 1, RANGE: 1, PUT: 30}
    assert {one.headers["if-none-match"] for one in seen.requests if one.operation == PUT} == {"*"}
    with bench.proxy.watch() as seen:
        assert packed.batch_delete([*ids[20:50], "r-nothing"]) == [False] * 10 + [True] * 20 + [False]
    assert sent(seen) == {LISTING: 1, LOOK: 1, RANGE: 1, GET: 1, PUT: 20}, "one may have moved"
    assert packed.count() == 950


def test_batch_delete_of_hot_records_asks_for_the_births_of_each(bench: S3Bench, packed: S3Database) -> None:
    ids = bench.past().batch_create(Record({"n": number}) for number in range(30))
    with bench.proxy.watch() as seen:
        assert packed.batch_delete(ids) == [True] * 30
    assert sent(seen) == {LISTING: 1, GET: 30, PUT: 30}
    held = packed.batch_create(Record({"n": number}) for number in range(30))
    with bench.proxy.watch() as seen:
        assert packed.batch_delete(held) == [True] * 30
    assert sent(seen) == {PUT: 30}


# ---------------------------------------------------------------------------------------------- counting, searching
def test_count_is_a_listing_and_a_look_and_then_nothing(bench: S3Bench, packed: S3Database) -> None:
    with bench.proxy.watch() as seen:
        assert packed.count() == 1000
    assert sent(seen) == {LISTING: 1, LOOK: 1}
    with bench.proxy.watch() as seen:
        assert packed.count() == 1000
    assert sent(seen) == {}
    packed.create(Record({}, id="zzz"))
    with bench.proxy.watch() as seen:
        assert packed.count() == 1001
    assert sent(seen) == {LISTING: 1, LOOK: 1}, "the pack holds no such id"
    packed.update("r-000500", Record({}))
    with bench.proxy.watch() as seen:
        assert packed.count() == 1001
    assert sent(seen) == {LISTING: 1, LOOK: 1, RANGE: 1}, "and this one it holds"


def test_ids_are_one_column_of_the_packs(bench: S3Bench, packed: S3Database) -> None:
    packed.read("r-000500")
    with bench.proxy.watch() as seen:
        assert len(packed.list_ids()) == 1000
    assert sent(seen) == {LISTING: 1, LOOK: 1, RANGE: 1}
    with bench.proxy.watch() as seen:
        assert len(packed.list_ids("r-0005")) == 100
    assert sent(seen) == {}


def test_a_search_reads_packs_that_can_match_and_objects_that_changed(bench: S3Bench, packed: S3Database) -> None:
    other = bench.past()
    other.batch_create(Record({"n": 5000 + number}, id=f"s-{number:06}") for number in range(1000))
    other.update("r-000007", Record({"n": 7}))
    packed.read("r-000500")  # and the newest commit
    query = Query().filter("n", "<", 10)
    with bench.proxy.watch() as seen:
        assert len(packed.search(query)) == 10
    assert sent(seen) == {LISTING: 1, LOOK: 1, GET: 1, RANGE: 2}, (
        "one pack of the two, by its column n and then by rows"
    )
    with bench.proxy.watch() as seen:
        assert len(packed.search(query)) == 10
    assert sent(seen) == {LISTING: 1, LOOK: 1, RANGE: 2}


def test_a_limit_without_a_sort_stops_the_ranges(bench: S3Bench, db: S3Database) -> None:
    for kind in ("r", "s"):
        bench.past().batch_create(Record({"text": f"{n}" * 200}, id=f"{kind}-{n:06}") for n in range(1000))
    db.read("r-000500")
    with bench.proxy.watch() as seen:
        assert [one.id for one in db.search(Query().limit(3))] == ["r-000000", "r-000001", "r-000002"]
    assert sent(seen) == {LISTING: 1, LOOK: 1, RANGE: 1}


def test_named_ids_need_no_listing(bench: S3Bench, packed: S3Database) -> None:
    packed.read("r-000500")
    with bench.proxy.watch() as seen:
        assert [one.id for one in packed.search(Query().filter("id", "=", "r-000003"))] == ["r-000003"]
    assert sent(seen) == {GET: 1, LOOK: 1, RANGE: 1}
    with bench.proxy.watch() as seen:
        assert len(packed.search(Query().filter("id", "in", ["r-000004", "nothing", "r-000005"]))) == 2
    assert sent(seen) == {GET: 3, LOOK: 1, RANGE: 1}


def test_usage_is_what_was_sent(bench: S3Bench, packed: S3Database) -> None:
    before = packed.usage
    with bench.proxy.watch() as seen:
        packed.batch_create(Record({"n": number}) for number in range(1000))
        packed.read("r-000002")
        packed.update("r-000001", Record({"n": 7}))
        packed.delete("r-000002")
        packed.count()
    used = packed.usage.since(before)
    assert used.requests == seen.counts()
    assert used.bytes_sent == sum(one.body_bytes for one in seen.requests if one.operation == PUT)
