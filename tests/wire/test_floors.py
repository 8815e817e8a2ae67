"""The fewest requests each operation can do with, counted on the wire: neither more nor, by accident, fewer.

The numbers are the contract of the objects layout. What is done once a process (looking whether the bucket is there,
the probe, the format file) is done beforehand.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from dataknobs_data.backends.s3 import S3Database
from dataknobs_data.query import Filter, Query
from dataknobs_data.records import Record
from tests.s3_bench import S3Bench, records, sent
from tests.wire.proxy import Delay

PUT, GET, HEAD = "PutObject", "GetObject", "HeadObject"
DELETE, DELETES, LIST = "DeleteObject", "DeleteObjects", "ListObjectsV2"
MIB = 1024 * 1024


@pytest.fixture
def db(bench: S3Bench) -> S3Database:
    return bench.open()


# ---------------------------------------------------------------------------------------------- one record
def test_create_is_one_put_with_tags_and_condition_in_its_headers(bench: S3Bench, db: S3Database) -> None:
    for record in (Record({"a": 1}, {"team": "blue"}), Record({"a": 1}, {"team": "blue"}, id="own")):
        with bench.proxy.watch() as seen:
            id = db.create(record)
        assert sent(seen) == {PUT: 1}
        (request,) = seen.requests
        assert request.key == bench.key(id)
        assert request.headers["if-none-match"] == "*"
        assert f"id={id}" in request.headers["x-amz-tagging"]
        assert "team=blue" in request.headers["x-amz-tagging"]
        assert request.headers["content-type"] == "application/json"
        assert request.headers["x-amz-meta-born"]
        assert request.headers["x-amz-meta-revision"] == db.get_version(id)


def test_a_duplicate_is_one_put_and_a_look(bench: S3Bench, db: S3Database) -> None:
    db.create(Record({}, id="x"))
    with bench.proxy.watch() as seen, pytest.raises(ValueError, match="exists already"):
        db.create(Record({}, id="x"))
    assert sent(seen) == {PUT: 1, HEAD: 1}


def test_read_is_one_get_and_of_a_held_copy_only_a_question(bench: S3Bench, db: S3Database) -> None:
    bench.past().create(Record({"text": "x" * 2000}, id="x"))
    with bench.proxy.watch() as seen:
        assert db.read("x")
    assert sent(seen) == {GET: 1}
    assert seen.requests[0].response_bytes > 2000
    with bench.proxy.watch() as seen:
        assert db.read("x")
    assert sent(seen) == {GET: 1}
    assert (seen.requests[0].status, seen.requests[0].response_bytes) == (304, 0)
    assert seen.requests[0].headers["if-none-match"].startswith('"')


def test_what_this_process_wrote_it_holds(bench: S3Bench, db: S3Database) -> None:
    db.create(Record({"a": 1}, id="x"))
    with bench.proxy.watch() as seen:
        db.read("x")
    assert [request.status for request in seen.requests] == [304]


def test_a_missing_record_is_one_get(bench: S3Bench, db: S3Database) -> None:
    with bench.proxy.watch() as seen:
        assert db.read("nothing") is None
    assert sent(seen) == {GET: 1}


def test_a_read_sees_what_somebody_else_wrote(bench: S3Bench, db: S3Database) -> None:
    db.create(Record({"a": 1}, id="x"))
    bench.past().update("x", Record({"a": 2}))
    with bench.proxy.watch() as seen:
        record = db.read("x")
    assert record is not None
    assert record["a"] == 2
    assert [request.status for request in seen.requests] == [200]


def test_exists_is_one_head(bench: S3Bench, db: S3Database) -> None:
    db.create(Record({}, id="x"))
    with bench.proxy.watch() as seen:
        assert db.exists("x")
    assert sent(seen) == {HEAD: 1}


def test_an_update_of_a_held_record_is_one_put(bench: S3Bench, db: S3Database) -> None:
    db.create(Record({"a": 1}, id="x"))
    for number in (2, 3):
        with bench.proxy.watch() as seen:
            assert db.update("x", Record({"a": number}))
        assert sent(seen) == {PUT: 1}
        assert seen.requests[0].headers["if-match"].startswith('"')


def test_an_update_of_a_record_not_held_is_a_get_and_a_put(bench: S3Bench, db: S3Database) -> None:
    bench.past().create(Record({"a": 1}, id="x"))
    with bench.proxy.watch() as seen:
        assert db.update("x", Record({"a": 2}))
    assert sent(seen) == {GET: 1, PUT: 1}


def test_an_update_of_an_old_copy_is_a_put_that_fails_a_get_and_a_put(bench: S3Bench, db: S3Database) -> None:
    db.create(Record({"a": 1}, id="x"))
    bench.past().update("x", Record({"a": 2}))
    with bench.proxy.watch() as seen:
        assert db.update("x", Record({"a": 3}))
    assert sent(seen) == {PUT: 2, GET: 1}
    assert [request.status for request in seen.requests if request.operation == PUT] == [412, 200]


def test_an_update_of_a_missing_record_is_one_get(bench: S3Bench, db: S3Database) -> None:
    with bench.proxy.watch() as seen:
        assert not db.update("nothing", Record({}))
    assert sent(seen) == {GET: 1}


def test_an_upsert_is_one_put_when_held_and_a_get_and_a_put_when_not(bench: S3Bench, db: S3Database) -> None:
    with bench.proxy.watch() as seen:
        db.upsert(Record({"a": 1}, id="x"))
    assert sent(seen) == {GET: 1, PUT: 1}
    with bench.proxy.watch() as seen:
        db.upsert(Record({"a": 2}, id="x"))
    assert sent(seen) == {PUT: 1}


def test_a_stale_version_of_a_held_record_needs_one_get_to_be_sure(bench: S3Bench, db: S3Database) -> None:
    db.create(Record({"a": 1}, id="x"))
    version = db.get_version("x")
    with bench.proxy.watch() as seen:
        assert db.update("x", Record({"a": 2}), expected_version=version)
    assert sent(seen) == {PUT: 1}
    with bench.proxy.watch() as seen, pytest.raises(Exception, match="was expected at version"):
        db.update("x", Record({"a": 3}), expected_version=version)
    assert sent(seen) == {GET: 1}


def test_delete_is_one_conditional_delete(bench: S3Bench, db: S3Database) -> None:
    db.create(Record({}, id="x"))
    for answer in (True, False):
        with bench.proxy.watch() as seen:
            assert db.delete("x") is answer
        assert sent(seen)[DELETE] == 1
        assert seen.requests[0].headers["if-match"] == "*"
        assert len(seen.requests) <= (1 if answer else 2)  # a missing record may be a missing bucket


@pytest.mark.parametrize("s3_server", ["moto_server"], indirect=True)
def test_where_any_match_is_refused_delete_is_a_head_and_a_delete(bench: S3Bench) -> None:
    db = bench.open()
    db.create(Record({}, id="x"))
    with bench.proxy.watch() as seen:
        assert db.delete("x")
    assert sent(seen) == {HEAD: 1, DELETE: 1}
    assert seen.requests[1].headers["if-match"].startswith('"')


def test_delete_of_a_held_version_is_one_delete(bench: S3Bench, db: S3Database) -> None:
    db.create(Record({}, id="x"))
    version = db.get_version("x")
    with bench.proxy.watch() as seen:
        assert db.delete("x", expected_version=version)
    assert sent(seen) == {DELETE: 1}


def test_tags_are_read_by_one_request_more_than_the_record(bench: S3Bench, db: S3Database) -> None:
    db.create(Record({}, {"team": "blue"}, id="x"))
    with bench.proxy.watch() as seen:
        assert db.tags("x")
    assert sent(seen) == {GET: 1, "GetObjectTagging": 1}


@pytest.mark.parametrize(("size", "parts"), [(5 * MIB, 2), (12 * MIB, 3)])
def test_a_large_record_is_its_parts_and_two(bench: S3Bench, db: S3Database, size: int, parts: int) -> None:
    """And three for the lock under which it is completed, on stores that are not AWS."""
    with bench.proxy.watch() as seen:
        db.create(Record({"data": "x" * size}, {"team": "blue"}, id="large"))
    lock = {PUT: 1, HEAD: 1, DELETE: 1}
    assert sent(seen) == {"CreateMultipartUpload": 1, "UploadPart": parts, "CompleteMultipartUpload": 1, **lock}
    assert "team=blue" in seen.requests[0].headers["x-amz-tagging"]
    assert seen.requests[-2].headers["if-none-match"] == "*"
    with bench.proxy.watch() as seen:
        assert db.read("large")
    assert sent(seen) == {GET: 1}


# ---------------------------------------------------------------------------------------------- many records
def test_batch_create_is_one_put_a_record(bench: S3Bench, db: S3Database) -> None:
    with bench.proxy.watch() as seen:
        db.batch_create(Record({"n": number}, {"team": "blue"}) for number in range(1000))
    assert sent(seen) == {PUT: 1000}
    assert 2 <= seen.max_in_flight <= 10


def test_batch_read_is_one_get_a_record(bench: S3Bench, db: S3Database) -> None:
    ids = bench.past().batch_create(records(30))
    with bench.proxy.watch() as seen:
        assert len(db.batch_read([*ids, "nothing"])) == 31
    assert sent(seen) == {GET: 31}
    assert 2 <= seen.max_in_flight <= 10


def test_batch_delete_of_few_looks_at_each(bench: S3Bench, db: S3Database) -> None:
    """10 HEADs, because nothing is known of how many pages a listing would take."""
    ids = bench.past().batch_create(records(30))
    with bench.proxy.watch() as seen:
        assert db.batch_delete(ids[:10]) == [True] * 10
    assert sent(seen) == {HEAD: 10, DELETES: 1}


def test_batch_delete_of_many_lists(bench: S3Bench, db: S3Database) -> None:
    """11 HEADs against 1 LIST for each 1,000 keys."""
    ids = bench.past().batch_create(records(30))
    with bench.proxy.watch() as seen:
        assert db.batch_delete([*ids[:20], "r-nothing"]) == [True] * 20 + [False]
    assert sent(seen) == {LIST: 1, DELETES: 1}
    assert seen.requests[0].query["prefix"] == bench.prefix + "r-"


def test_batch_delete_takes_what_is_fewer_once_the_size_is_known(bench: S3Bench, db: S3Database) -> None:
    bench.past().batch_create(records(1005))
    assert db.count() == 1005
    with bench.proxy.watch() as seen:  # 2 pages, 2 ids: as few HEADs
        assert db.batch_delete(["r-000001", "r-001001"]) == [True] * 2
    assert sent(seen) == {HEAD: 2, DELETES: 1}
    with bench.proxy.watch() as seen:  # 2 pages, 3 ids: no more LISTs than that
        assert db.batch_delete(["r-000002", "r-000003", "r-001002"]) == [True] * 3
    assert sent(seen)[LIST] <= 2
    assert sent(seen).keys() == {LIST, DELETES}
    with bench.proxy.watch() as seen:
        assert db.clear() == 1000
    assert sent(seen) == {LIST: 2, DELETES: 1}


def test_batch_delete_of_one_is_a_delete(bench: S3Bench, db: S3Database) -> None:
    ids = bench.past().batch_create(records(1))
    with bench.proxy.watch() as seen:
        assert db.batch_delete(ids) == [True]
    assert sent(seen) == {DELETE: 1}


# ---------------------------------------------------------------------------------------------- counting, searching
def test_count_lists_a_thousand_keys_at_a_time_and_then_nothing(bench: S3Bench, db: S3Database) -> None:
    bench.past().batch_create(records(1000))
    with bench.proxy.watch() as seen:
        assert db.count() == 1000
    assert sent(seen) == {LIST: 2}, "with the format file there are 1,001 keys"
    with bench.proxy.watch() as seen:
        assert db.count() == 1000
        assert len(db.list_ids()) == 1000
        assert len(db.list_ids("r-0001")) == 100
        assert db.count(Query().limit(5)) == 5
    assert sent(seen) == {}
    db.delete("r-000000")
    with bench.proxy.watch() as seen:
        assert db.count() == 999
    assert sent(seen) == {LIST: 1}


def test_without_a_cache_every_count_lists(bench: S3Bench) -> None:
    db = bench.open(cache_ttl=0)
    for _ in range(2):
        with bench.proxy.watch() as seen:
            db.count()
        assert sent(seen) == {LIST: 1}


def test_ids_by_prefix_list_only_the_prefix(bench: S3Bench, db: S3Database) -> None:
    bench.past().batch_create(Record({}, id=f"{year}/{n}") for year in (2023, 2024) for n in range(3))
    with bench.proxy.watch() as seen:
        assert db.list_ids("2024/") == ["2024/0", "2024/1", "2024/2"]
    assert sent(seen) == {LIST: 1}
    assert seen.requests[0].query["prefix"] == bench.prefix + "2024/"


def test_a_search_fetches_what_changed_and_nothing_else(bench: S3Bench, db: S3Database) -> None:
    other = bench.past()
    other.batch_create(records(25))
    query = Query().filter("n", ">=", 5)
    with bench.proxy.watch() as seen:
        assert len(db.search(query)) == 20
    assert sent(seen) == {LIST: 1, GET: 25}
    assert 2 <= seen.max_in_flight <= 10
    with bench.proxy.watch() as seen:
        assert len(db.search(query)) == 20
    assert sent(seen) == {LIST: 1}
    other.update("r-000007", Record({"n": 1}))
    with bench.proxy.watch() as seen:
        assert len(db.search(query)) == 19
    assert sent(seen) == {LIST: 1, GET: 1}
    assert [request.key for request in seen.requests if request.operation == GET] == [bench.key("r-000007")]


def test_a_limit_without_a_sort_stops_the_gets(bench: S3Bench, db: S3Database) -> None:
    bench.past().batch_create(records(200))
    with bench.proxy.watch() as seen:
        assert [record.id for record in db.search(Query().limit(3).offset(2))] == ["r-000002", "r-000003", "r-000004"]
    assert sent(seen) == {LIST: 1, GET: 5}
    with bench.proxy.watch() as seen:
        assert len(db.search(Query().filter("n", ">=", 0).limit(10))) == 10
    assert sent(seen)[LIST] == 1
    assert sent(seen)[GET] <= 10 + 3 * 10, "no further than the windows that were on their way"
    with bench.proxy.watch() as seen:
        assert db.search(Query().limit(0)) == []
    assert GET not in sent(seen)


def test_an_id_prefix_is_pushed_into_the_listing(bench: S3Bench, db: S3Database) -> None:
    bench.past().batch_create(Record({"x": n}, id=f"{kind}-{n}") for kind in ("a", "b") for n in range(5))
    with bench.proxy.watch() as seen:
        found = db.search(Query().filter("id", "starts_with", "b-").filter("x", ">", 2))
    assert [record.id for record in found] == ["b-3", "b-4"]
    assert sent(seen) == {LIST: 1, GET: 5}
    assert seen.requests[0].query["prefix"] == bench.prefix + "b-"


def test_named_ids_need_no_listing(bench: S3Bench, db: S3Database) -> None:
    bench.past().batch_create(records(20))
    with bench.proxy.watch() as seen:
        assert [record.id for record in db.search(Query().filter("id", "=", "r-000003"))] == ["r-000003"]
    assert sent(seen) == {GET: 1}
    query = Query().filter("id", "in", ["r-000004", "nothing", "r-000005"]).filter("n", ">", 0)
    with bench.proxy.watch() as seen:
        assert len(db.search(query)) == 2
        assert db.count(query) == 2
    assert sent(seen) == {GET: 6}
    with bench.proxy.watch() as seen:
        assert db.search(Query().filter("id", "in", [])) == []
        assert db.search(Query().filter("id", "=", "a").filter("id", "=", "b")) == []
        assert db.search(Query().filter("id", "=", 3)) == []
    assert sent(seen) == {}


def test_an_alternative_to_the_id_is_no_bound(bench: S3Bench, db: S3Database) -> None:
    bench.past().batch_create(records(5))
    with bench.proxy.watch() as seen:
        found = db.search(Query().filter("id", "=", "r-000001").or_(Filter("n", "=", 2)))
    assert [record.id for record in found] == ["r-000001", "r-000002"]
    assert sent(seen) == {LIST: 1, GET: 5}


def test_a_stream_reads_no_further_than_it_is_asked(bench: S3Bench, db: S3Database) -> None:
    bench.past().batch_create(records(300))
    with bench.proxy.watch() as seen:
        stream = db.stream_read()
        assert next(iter(stream)).id == "r-000000"
        stream.close()  # type: ignore[attr-defined]
    assert sent(seen)[LIST] == 1


# ---------------------------------------------------------------------------------------------- at once
def test_fifty_threads_have_max_workers_requests_in_flight(bench: S3Bench) -> None:
    db = bench.open(max_workers=4)
    bench.proxy.fault(Delay(0.02), operation=PUT, times=None)
    with bench.proxy.watch() as seen:
        threads = [threading.Thread(target=db.create, args=(Record({}, id=f"t{n}"),)) for n in range(50)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sent(seen) == {PUT: 50}
    assert seen.max_in_flight == 4
    assert db.count() == 50


def test_batches_and_single_operations_share_the_limit(bench: S3Bench) -> None:
    db = bench.open(max_workers=3)
    bench.proxy.fault(Delay(0.01), times=None)

    def jobs() -> Iterator[threading.Thread]:
        yield threading.Thread(target=db.batch_create, args=(records(15),))
        yield threading.Thread(target=db.search)
        yield threading.Thread(target=db.create, args=(Record({"data": "x" * 6 * MIB}, id="large"),))
        for number in range(10):
            yield threading.Thread(target=db.upsert, args=(Record({}, id=f"u{number}"),))

    with bench.proxy.watch() as seen:
        threads = list(jobs())
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert seen.max_in_flight == 3
    assert db.count() == 26


def test_usage_is_what_was_sent(bench: S3Bench, db: S3Database) -> None:
    before = db.usage
    with bench.proxy.watch() as seen:
        db.batch_create(records(20))
        db.search()
        db.update("r-000001", Record({"n": 7}))
        db.read("nothing")
        db.delete("r-000002")
        db.create(Record({"data": "x" * 6 * MIB}, id="large"))
        db.count()
    used = db.usage.since(before)
    assert used.requests == sent(seen)
    assert used.bytes_sent == sum(r.body_bytes for r in seen.requests if r.operation in (PUT, "UploadPart"))
    assert used.dollars > 0


def test_a_second_database_of_this_process_asks_only_for_bucket_and_format(bench: S3Bench, db: S3Database) -> None:
    second = S3Database(bench.config())
    with bench.proxy.watch() as seen:
        second.create(Record({}, id="x"))
    assert sent(seen) == {"HeadBucket": 1, GET: 1, PUT: 1}
    second.close()
