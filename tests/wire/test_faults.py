"""What the user is told when requests fail, and what is in the store afterwards."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from dataknobs_data.backends.s3 import S3Database
from dataknobs_data.exceptions import (
    BatchError,
    ConcurrencyError,
    ConfigurationError,
    DatabaseConnectionError,
    DatabaseOperationError,
    DataFormatError,
    DataknobsDataError,
    DuplicateRecordError,
    OutcomeUnknownError,
    RecordValidationError,
    SerializationError,
    ThrottledError,
)
from dataknobs_data.query import Query
from dataknobs_data.records import Record
from dataknobs_data.s3.calls import BACKOFF_SECONDS_MAX
from tests.s3_bench import S3Bench, records, sent
from tests.servers import new_bucket_name
from tests.wire.proxy import Answer, Delay, Hang, Lose, Refuse, Request, Truncate, WireProxy

PUT, GET, HEAD = "PutObject", "GetObject", "HeadObject"
DELETE, DELETES, LIST = "DeleteObject", "DeleteObjects", "ListObjectsV2"
MIB = 1024 * 1024
SHORT = {"timeout": 1.0, "deadline": 2.0}
BUSY_SECONDS = 1.3
"""How much later than its deadline an operation may end on a busy machine."""
"""Seconds, of settings for tests that wait for them to be over."""

BOTH_SERVERS = pytest.mark.parametrize("s3_server", ["seaweed", "moto_server"], indirect=True)


@pytest.fixture
def db(bench: S3Bench) -> S3Database:
    return bench.open()


def before(proxy: WireProxy, operation: str, nth: int, do: Callable[[], object]) -> None:
    """Lets somebody else act just before the nth request of that operation reaches the store. To be said first."""
    seen = 0

    def act(request: Request) -> bool:
        nonlocal seen
        if request.operation == operation:
            seen += 1
            if seen == nth:
                do()
        return False

    proxy.fault(Delay(0), when=act)


def version_in(bench: S3Bench, id: str) -> str:
    revision: str = bench.stored(id)["revision"]
    return revision


# ---------------------------------------------------------------------------------------------- lost answers
@BOTH_SERVERS
@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("id", [None, "own"])
def test_a_create_whose_answer_was_lost_is_a_create(bench: S3Bench, id: str | None, times: int) -> None:
    db = bench.open()
    lost = bench.proxy.fault(Lose(), operation=PUT, times=times)
    with bench.proxy.watch() as seen:
        created = db.create(Record({"a": 1}, id=id))
    assert lost.hits == times
    assert sent(seen) == {PUT: times + 1, GET: 1}
    assert bench.ids() == [created]
    assert bench.stored(created)["data"] == {"a": 1}
    assert db.get_version(created) == version_in(bench, created)


def test_a_large_create_whose_answer_was_lost_is_a_create(bench: S3Bench, db: S3Database) -> None:
    lost = bench.proxy.fault(Lose(), operation="CompleteMultipartUpload")
    data = "x" * 6 * MIB
    assert db.create(Record({"data": data}, id="large")) == "large"
    assert lost.hits == 1
    assert bench.stored("large")["data"]["data"] == data
    assert bench.ids() == ["large"]


@pytest.mark.parametrize("operation", ["CreateMultipartUpload", "UploadPart"])
def test_lost_answers_before_the_end_of_an_upload_change_nothing(
    bench: S3Bench, db: S3Database, operation: str
) -> None:
    bench.proxy.fault(Lose(), operation=operation)
    data = "x" * 6 * MIB
    db.create(Record({"data": data}, id="large"))
    assert bench.stored("large")["data"]["data"] == data


def test_a_lost_create_that_somebody_has_changed_since_is_a_create(bench: S3Bench, db: S3Database) -> None:
    other = bench.past()
    before(bench.proxy, PUT, 2, lambda: other.update("x", Record({"a": 2})))
    bench.proxy.fault(Lose(), operation=PUT)
    assert db.create(Record({"a": 1}, id="x")) == "x"
    assert bench.stored("x")["data"] == {"a": 2}


@BOTH_SERVERS
def test_a_lost_create_of_a_taken_id_is_a_duplicate(bench: S3Bench) -> None:
    db = bench.open()
    bench.past().create(Record({"mine": False}, id="x"))
    bench.proxy.fault(Lose(), operation=PUT)
    with pytest.raises(DuplicateRecordError, match="record 'x' exists already"):
        db.create(Record({"mine": True}, id="x"))
    assert bench.stored("x")["data"] == {"mine": False}


@BOTH_SERVERS
@pytest.mark.parametrize("write", ["update", "upsert"])
def test_a_change_whose_answer_was_lost_is_a_change(bench: S3Bench, write: str) -> None:
    db = bench.open()
    db.create(Record({"a": 1}, id="x"))
    lost = bench.proxy.fault(Lose(), operation=PUT)
    assert getattr(db, write)("x", Record({"a": 2})) in (True, "x")
    assert lost.hits == 1
    assert bench.stored("x")["data"] == {"a": 2}
    assert db.get_version("x") == version_in(bench, "x")


def test_an_update_with_version_whose_answer_was_lost_is_an_update(bench: S3Bench, db: S3Database) -> None:
    db.create(Record({"a": 1}, id="x"))
    version = db.get_version("x")
    bench.proxy.fault(Lose(), operation=PUT)
    assert db.update("x", Record({"a": 2}), expected_version=version)
    assert bench.stored("x")["data"] == {"a": 2}


@pytest.mark.parametrize("write", ["update", "upsert"])
def test_a_lost_change_that_somebody_overwrote_cannot_be_told(bench: S3Bench, db: S3Database, write: str) -> None:
    db.create(Record({"a": 1}, id="x"))
    other = bench.past()
    before(bench.proxy, PUT, 2, lambda: other.update("x", Record({"a": 3})))
    bench.proxy.fault(Lose(), operation=PUT)
    with pytest.raises(OutcomeUnknownError) as caught:
        getattr(db, write)("x", Record({"a": 2}))
    assert f"version {version_in(bench, 'x')} is there now" in str(caught.value)
    assert "record 'x': a write was sent, but its answer was lost" in str(caught.value)
    assert "read the record before writing again" in str(caught.value)
    assert caught.value.context["id"] == "x"
    assert bench.stored("x")["data"] == {"a": 3}


def test_a_lost_change_of_what_somebody_deleted_cannot_be_told(bench: S3Bench, db: S3Database) -> None:
    db.create(Record({"a": 1}, id="x"))
    other = bench.past()
    before(bench.proxy, PUT, 2, lambda: other.delete("x"))
    bench.proxy.fault(Lose(), operation=PUT)
    with pytest.raises(OutcomeUnknownError, match="there is no such record now"):
        db.update("x", Record({"a": 2}))
    assert bench.ids() == []


def test_a_write_that_can_no_longer_be_looked_at_cannot_be_told(bench: S3Bench) -> None:
    db = bench.open(**SHORT)
    bench.proxy.fault(Lose(), operation=PUT, times=None)
    bench.proxy.fault(Answer(403, "AccessDenied"), operation=GET, times=None)
    with pytest.raises(OutcomeUnknownError, match=r"it cannot be read either \(access denied"):
        db.create(Record({}, id="x"))
    assert bench.ids() == ["x"]


@BOTH_SERVERS
@pytest.mark.parametrize("times", [1, 2])
def test_a_delete_whose_answer_was_lost_is_a_delete(bench: S3Bench, times: int) -> None:
    db = bench.open()
    db.create(Record({}, id="x"))
    lost = bench.proxy.fault(Lose(), operation=DELETE, times=times)
    assert db.delete("x") is True
    assert lost.hits >= 1
    assert bench.ids() == []


@BOTH_SERVERS
def test_a_delete_with_version_whose_answer_was_lost_is_a_delete(bench: S3Bench) -> None:
    db = bench.open()
    db.create(Record({}, id="x"))
    bench.proxy.fault(Lose(), operation=DELETE)
    assert db.delete("x", expected_version=db.get_version("x")) is True
    assert bench.ids() == []


@BOTH_SERVERS
def test_a_lost_delete_does_not_delete_what_was_created_since(bench: S3Bench) -> None:
    """The answer to the first attempt is lost, somebody creates the id again: a blind second attempt would delete that."""
    db, other = bench.open(), bench.past()
    other.create(Record({"a": "old"}, id="x"))
    after_the_first_delete = 0

    def recreate(request: Request) -> bool:
        nonlocal after_the_first_delete
        after_the_first_delete += bool(request.operation == DELETE or after_the_first_delete)
        if after_the_first_delete == 2:
            other.create(Record({"a": "new"}, id="x"))
        return False

    bench.proxy.fault(Delay(0), when=recreate)
    bench.proxy.fault(Lose(), operation=DELETE)
    with pytest.raises(OutcomeUnknownError, match="a record of that id is there now"):
        db.delete("x")
    assert bench.stored("x")["data"] == {"a": "new"}


@pytest.mark.parametrize("held", [True, False])
def test_a_delete_that_failed_unapplied_is_sent_again_for_what_was_there_before(bench: S3Bench, held: bool) -> None:
    """Known by its ETag, or by its age on the store's clock."""
    db = bench.open()
    (db if held else bench.past()).create(Record({}, id="x"))
    if not held:
        time.sleep(2.1)
    bench.proxy.fault(Refuse(), operation=DELETE)
    with bench.proxy.watch() as seen:
        assert db.delete("x") is True
    first, second = (request.headers["if-match"] for request in seen.requests if request.operation == DELETE)
    assert first == "*"
    assert second.startswith('"')
    assert bench.ids() == []


def test_lost_answers_in_a_batch_are_no_failures(bench: S3Bench, db: S3Database) -> None:
    for nth in (3, 20, 41):
        bench.proxy.fault(Lose(), operation=PUT, nth=nth)
    ids = db.batch_create(records(40))
    assert sorted(bench.ids()) == ids == [f"r-{n:06}" for n in range(40)]
    bench.proxy.fault(Lose(), operation=DELETES)
    assert db.batch_delete(ids) == [True] * 40
    assert bench.ids() == []


# ---------------------------------------------------------------------------------------------- passing troubles
ONCE_FAULTS = [Refuse(), Answer(500, "InternalError"), Answer(503, "SlowDown"), Answer(502, "BadGateway")]


def use_everything(db: S3Database) -> list[Any]:
    """One operation of every kind, and its answers."""
    db.create(Record({"n": 1}, id="x"))
    return [
        db.read("x").data if db.read("x") else None,  # type: ignore[union-attr]
        db.update("x", Record({"n": 2})),
        db.exists("x"),
        db.count(),
        [record.id for record in db.search()],
        db.list_ids("x"),
        db.batch_create(records(3)),
        db.batch_delete(["r-000000", "r-000001"]),
        db.delete("x"),
        db.clear(),
    ]


@pytest.mark.parametrize("fault", ONCE_FAULTS, ids=repr)
def test_what_passes_is_not_noticed(bench: S3Bench, db: S3Database, fault: Any) -> None:
    smooth = use_everything(db)
    failed: set[str] = set()

    def first_of_its_kind(request: Request) -> bool:
        new = request.operation not in failed
        failed.add(request.operation)
        return new

    bench.proxy.fault(fault, when=first_of_its_kind, times=None)
    assert use_everything(db) == smooth
    assert {PUT, GET, HEAD, DELETE, DELETES, LIST} <= failed


def test_a_burst_of_slow_down_is_waited_for(bench: S3Bench, db: S3Database) -> None:
    slow = bench.proxy.fault(Answer(503, "SlowDown"), operation=PUT, times=15)
    db.batch_create(records(20))
    assert slow.hits == 15
    assert len(bench.ids()) == 20


def test_slow_down_without_end_is_said_within_the_deadline(bench: S3Bench) -> None:
    db = bench.open(**SHORT)
    bench.proxy.fault(Answer(503, "SlowDown"), times=None)
    for call in (lambda: db.create(Record({})), lambda: db.read("x"), db.count, db.search, lambda: db.delete("x")):
        began = time.monotonic()
        with pytest.raises(ThrottledError) as caught:
            call()
        assert time.monotonic() - began < 2 + BUSY_SECONDS
        assert "the store asks to slow down (" in str(caught.value)
        assert "wait and try again, or lower max_workers" in str(caught.value)
    bench.proxy.reset()
    time.sleep(BACKOFF_SECONDS_MAX)  # the last pause that the store asked for may be longer than so short a deadline
    assert db.count() == 0, "nothing was written, and it works again"


def test_errors_of_the_store_without_end_are_said(bench: S3Bench) -> None:
    db = bench.open(**SHORT)
    bench.past().create(Record({}, id="x"))
    bench.proxy.fault(Answer(500, "InternalError"), times=None)
    for call in (lambda: db.read("x"), db.count, db.search, lambda: db.exists("x"), db.list_ids):
        with pytest.raises(DatabaseOperationError, match="the store failed"):
            call()


# ---------------------------------------------------------------------------------------------- broken answers
def test_a_truncated_document_is_read_again(bench: S3Bench, db: S3Database) -> None:
    bench.past().create(Record({"text": "x" * 5000}, id="x"))
    cut = bench.proxy.fault(Truncate(1000), operation=GET)
    record = db.read("x")
    assert cut.hits == 1
    assert record is not None
    assert record["text"] == "x" * 5000


def test_a_truncated_listing_is_read_again(bench: S3Bench, db: S3Database) -> None:
    bench.past().batch_create(records(30))
    cut = bench.proxy.fault(Truncate(500), operation=LIST)
    assert db.count() == 30
    assert cut.hits == 1


def test_answers_that_stay_truncated_are_no_answers(bench: S3Bench) -> None:
    db = bench.open(**SHORT)
    bench.past().batch_create(records(3, text="x" * 5000))
    bench.proxy.fault(Truncate(500), times=None)
    for call in (lambda: db.read("r-000001"), db.count, db.search, db.list_ids):
        with pytest.raises(
            (DatabaseConnectionError, DatabaseOperationError), match=r"connection broke|the store failed"
        ):
            call()


@pytest.mark.parametrize("status", [200, 400])
def test_an_answer_that_is_no_listing_is_not_an_empty_one(bench: S3Bench, status: int) -> None:
    db = bench.open(max_retries=1)
    bench.past().batch_create(records(3))
    bench.proxy.fault(Answer(status, "Odd"), operation=LIST, times=None)
    for call in (db.count, db.search, db.list_ids, db.clear, lambda: db.batch_delete([f"x{n}" for n in range(30)])):
        with pytest.raises(DataknobsDataError):
            call()
    assert len(bench.ids()) == 3


def test_a_redirect_is_said_and_not_followed_in_circles(bench: S3Bench) -> None:
    """As of a server that wants https."""
    db = bench.open()
    moved = {"Location": f"https://127.0.0.1:{bench.server.port}/"}
    bench.proxy.fault(Answer(301, "MovedPermanently", headers=moved), times=None)
    for call in (db.count, lambda: db.delete("x"), S3Database(bench.config()).count):
        with bench.proxy.watch() as seen, pytest.raises(ConfigurationError) as caught:
            call()
        assert "or endpoint_url to where this address redirects" in str(caught.value)
        assert seen.counts().total() <= 2


def test_a_completion_that_fails_after_its_200_is_no_success(bench: S3Bench, db: S3Database) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html: 200 may carry an error."""
    failed = bench.proxy.fault(Answer(200, "InternalError"), operation="CompleteMultipartUpload")
    db.create(Record({"data": "x" * 6 * MIB}, id="large"))
    assert failed.hits == 1
    assert len(bench.stored("large")["data"]["data"]) == 6 * MIB


# ---------------------------------------------------------------------------------------------- hanging
CALLS: dict[str, Callable[[S3Database], object]] = {
    "create": lambda db: db.create(Record({}, id="new")),
    "read": lambda db: db.read("x"),
    "update": lambda db: db.update("x", Record({"a": 2})),
    "upsert": lambda db: db.upsert("y", Record({"a": 2})),
    "delete": lambda db: db.delete("x"),
    "exists": lambda db: db.exists("x"),
    "get_version": lambda db: db.get_version("x"),
    "count": lambda db: db.count(),
    "search": lambda db: db.search(),
    "list_ids": lambda db: db.list_ids(),
    "clear": lambda db: db.clear(),
    "batch_create": lambda db: db.batch_create(records(5)),
    "batch_delete": lambda db: db.batch_delete(["x", "y"]),
    "tags": lambda db: db.tags("x"),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_store_that_hangs_ends_the_operation_within_its_deadline(bench: S3Bench, name: str) -> None:
    db = bench.open(timeout=0.5, deadline=1.0)
    bench.past().create(Record({"a": 1}, id="x"))
    bench.proxy.fault(Hang(), times=None)
    began = time.monotonic()
    with pytest.raises((DatabaseConnectionError, OutcomeUnknownError, BatchError), match="connection broke"):
        CALLS[name](db)
    assert time.monotonic() - began < 1.0 + BUSY_SECONDS


def test_slow_steps_together_end_within_the_deadline(bench: S3Bench) -> None:
    """Somebody else is always faster, until the PUT hangs and so does the look at what came of it."""
    db, other = bench.open(timeout=3.0, deadline=6.0), bench.past()
    other.create(Record({"a": 0}, id="x"))
    before(bench.proxy, PUT, 1, lambda: other.update("x", Record({"a": 1})))
    before(bench.proxy, PUT, 2, lambda: other.update("x", Record({"a": 2})))
    bench.proxy.fault(Delay(0.6), operation=GET, times=3)
    bench.proxy.fault(Hang(), operation=PUT, nth=3)
    bench.proxy.fault(Answer(500, "InternalError"), operation=GET, times=2)
    bench.proxy.fault(Hang(), operation=GET, times=None)
    began = time.monotonic()
    with pytest.raises(OutcomeUnknownError):
        db.update("x", Record({"a": 3}))
    assert time.monotonic() - began < 6.0 + BUSY_SECONDS


def test_threads_behind_a_hanging_store_end_too(bench: S3Bench) -> None:
    db = bench.open(timeout=0.4, deadline=0.8, max_workers=2)
    bench.proxy.fault(Hang(), times=None)
    took: list[float] = []

    def read() -> None:
        began = time.monotonic()
        with pytest.raises(DataknobsDataError):
            db.read("x")
        took.append(time.monotonic() - began)

    threads = [threading.Thread(target=read) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(took) == 12
    assert max(took) < 0.8 + BUSY_SECONDS


def test_an_answer_that_comes_in_time_is_waited_for(bench: S3Bench, db: S3Database) -> None:
    bench.proxy.fault(Delay(0.5), operation=PUT)
    assert db.create(Record({}, id="x")) == "x"


# ---------------------------------------------------------------------------------------------- refused
def test_access_denied_in_the_middle_of_a_search_is_an_error_that_names_the_record(
    bench: S3Bench, db: S3Database
) -> None:
    bench.past().batch_create(records(20))
    bench.proxy.fault(Answer(403, "AccessDenied"), operation=GET, key=bench.key("r-000013"), times=None)
    for call in (db.search, db.all, lambda: list(db.stream_read()), lambda: db.batch_read(["r-000001", "r-000013"])):
        with pytest.raises(DatabaseConnectionError) as caught:
            call()
        assert "reading record 'r-000013'" in str(caught.value)
        assert "access denied (HTTP 403, AccessDenied, injected by the proxy)" in str(caught.value)
        assert "grant this identity the request in the bucket policy or IAM" in str(caught.value)
        assert caught.value.context["id"] == "r-000013"
    with pytest.raises(DatabaseConnectionError):
        db.search(on_error="collect")  # only damage is collected


def test_a_listing_that_fails_on_its_second_page_is_no_short_listing(bench: S3Bench, db: S3Database) -> None:
    bench.past().batch_create(records(1005))
    bench.proxy.fault(Answer(403, "AccessDenied"), operation=LIST, nth=2, times=None)
    with pytest.raises(DatabaseConnectionError, match="listing records"):
        db.count()
    bench.proxy.reset()
    assert db.count() == 1005


def test_a_write_that_is_denied_is_said_and_changes_nothing(bench: S3Bench, db: S3Database) -> None:
    bench.proxy.fault(Answer(403, "AccessDenied"), operation=PUT, times=None)
    with bench.proxy.watch() as seen, pytest.raises(DatabaseConnectionError, match="writing record 'x'"):
        db.create(Record({}, id="x"))
    assert sent(seen) == {PUT: 1}
    assert bench.ids() == []


def test_a_batch_names_what_was_refused_and_does_the_rest(bench: S3Bench, db: S3Database) -> None:
    bench.proxy.fault(Answer(403, "AccessDenied"), key=bench.key("r-000004"), times=None)
    with pytest.raises(BatchError) as caught:
        db.batch_create(records(10))
    assert caught.value.failed_indices == [4]
    assert caught.value.failed[4][0] == "r-000004"
    assert isinstance(caught.value.failed[4][1], DatabaseConnectionError)
    assert not caught.value.stopped
    assert "1 of 10 records failed, the others are done. First: index 4, id 'r-000004': writing" in str(caught.value)
    assert sorted(bench.ids()) == sorted(caught.value.succeeded.values())
    assert len(bench.ids()) == 9


def test_a_batch_delete_names_what_was_refused(bench: S3Bench, db: S3Database) -> None:
    bench.past().batch_create(records(15))
    bench.proxy.fault(Answer(403, "AccessDenied"), operation=DELETES)
    with pytest.raises((BatchError, DatabaseConnectionError), match="access denied"):
        db.batch_delete([f"r-{n:06}" for n in range(15)])
    assert len(bench.ids()) == 15


def test_a_batch_stops_when_the_store_is_gone(bench: S3Bench) -> None:
    db = bench.open(max_retries=0)
    bench.proxy.fault(Refuse(), when=lambda request: request.key > bench.key("r-000999"), times=None)
    taken = 0

    def supply() -> Any:
        nonlocal taken
        for record in records(5000):
            taken += 1
            yield record

    with pytest.raises(BatchError) as caught:
        db.batch_create(supply())
    assert caught.value.stopped
    assert len(caught.value.succeeded) == 1000
    assert taken == 2000
    assert "Nothing after index 1999 was attempted." in str(caught.value)
    assert len(bench.ids()) == 1000


# ---------------------------------------------------------------------------------------------- no way in
def test_a_bucket_that_was_deleted_meanwhile_is_no_empty_database(bench: S3Bench) -> None:
    bucket = new_bucket_name()
    bench.server.create_bucket(bucket)
    with S3Database(bench.config(bucket=bucket)) as db:
        db.create(Record({"a": 1}, id="x"))
        for line in bench.client.list_objects_v2(Bucket=bucket)["Contents"]:
            bench.client.delete_object(Bucket=bucket, Key=line["Key"])
        bench.client.delete_bucket(Bucket=bucket)
        for name, call in CALLS.items():
            with pytest.raises((DatabaseConnectionError, BatchError)) as caught:
                call(db)
            assert "no such bucket" in str(caught.value), name
            assert bucket in str(caught.value), name


def test_a_missing_bucket_is_made_or_said(bench: S3Bench) -> None:
    missing = new_bucket_name()
    with pytest.raises(DatabaseConnectionError) as caught:
        S3Database(bench.config(bucket=missing, create_bucket=False)).count()
    assert "no such bucket" in str(caught.value)
    assert "create it (aws s3 mb s3://NAME), correct the name, or set create_bucket: true" in str(caught.value)
    with pytest.raises(DatabaseConnectionError, match="no such bucket"):
        S3Database(bench.config(bucket=missing, create_bucket=False)).create(Record({}))
    for create in (True, None):
        with S3Database(bench.config(bucket=new_bucket_name(), create_bucket=create)) as made:
            assert made.count() == 0


@pytest.mark.parametrize("bucket", ["UPPER_case", "a/b", "ümlaut", "x"])
def test_an_impossible_bucket_name_is_a_wrong_setting(bench: S3Bench, bucket: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        S3Database(bench.config(bucket=bucket)).count()
    assert bucket in str(caught.value)
    assert caught.value.context["key"] == "bucket"


@pytest.mark.parametrize(
    ("over", "says"),
    [
        ({"secret_access_key": "wrong-secret"}, "SignatureDoesNotMatch"),
        ({"access_key_id": "nobody"}, "InvalidAccessKeyId"),
    ],
)
def test_wrong_credentials_are_said(bench: S3Bench, over: dict[str, Any], says: str) -> None:
    with bench.proxy.watch() as seen, pytest.raises(DatabaseConnectionError) as caught:
        S3Database(bench.config(**over)).count()
    assert f"the credentials are missing or wrong (HTTP 403, {says}" in str(caught.value) or (
        "access denied" in str(caught.value)  # an answer to HEAD has no body to say more
    )
    assert "wrong-secret" not in str(caught.value)
    assert seen.counts().total() <= 2


def test_without_credentials_nothing_is_sent(bench: S3Bench) -> None:
    config = {key: value for key, value in bench.config().items() if "key" not in key}
    with bench.proxy.watch() as seen, pytest.raises(DatabaseConnectionError, match="no AWS credentials found: set acc"):
        S3Database(config).count()
    assert sent(seen) == {}


def test_an_unreachable_endpoint_is_said_within_the_deadline(bench: S3Bench) -> None:
    port = bench.proxy.port
    bench.proxy.stop()
    began = time.monotonic()
    with pytest.raises(DatabaseConnectionError) as caught:
        S3Database(bench.config(endpoint_url=f"http://127.0.0.1:{port}", **SHORT)).count()
    assert time.monotonic() - began < 2 + BUSY_SECONDS
    assert "no connection could be made" in str(caught.value)
    assert "check endpoint_url, region and network" in str(caught.value)


def test_a_store_that_goes_away_and_comes_back(bench: S3Bench) -> None:
    db = bench.open(**SHORT)
    gone = bench.proxy.fault(Refuse(), times=None)
    with pytest.raises(DatabaseConnectionError):
        db.read("x")
    assert gone.hits > 1
    bench.proxy.reset()
    assert db.create(Record({}, id="x")) == "x"


# ---------------------------------------------------------------------------------------------- damage
DAMAGE = {
    "half": b'{"format": 1, "id": "bad", "data": {"a"',
    "empty": b"",
    "text": b"hello",
    "list": b"[1, 2]",
    "no data": b'{"format": 1, "id": "bad"}',
    "newer": b'{"format": 99, "data": {}}',
    "type": b'{"data": {"d": "not a date"}, "types": {"/data/d": "date"}}',
    "binary": b"\x89PNG\x00\xff",
    "deep": b'{"data":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_document_raises_and_can_be_collected(bench: S3Bench, db: S3Database, damage: str) -> None:
    db.batch_create(records(5))
    bench.put("bad", DAMAGE[damage])
    for call in (
        lambda: db.read("bad"),
        db.search,
        lambda: db.update("bad", Record({})),
        lambda: db.get_version("bad"),
    ):
        with pytest.raises(DataFormatError) as caught:
            call()
        assert "'bad'" in str(caught.value)
        assert caught.value.context["id"] == "bad"
    found = db.search(Query().filter("n", ">=", 2), on_error="collect")
    assert [record["n"] for record in found] == [2, 3, 4]
    assert [error.context["id"] for error in found.errors] == ["bad"]
    assert db.count() == 6
    assert db.exists("bad")
    assert db.delete("bad"), "what is damaged can be deleted"
    assert len(db.search()) == 5


def test_nothing_damaged_is_written_over_unseen(bench: S3Bench, db: S3Database) -> None:
    bench.put("bad", b"precious, but no JSON")
    for write in (lambda: db.update("bad", Record({})), lambda: db.upsert("bad", Record({}))):
        with pytest.raises(DataFormatError):
            write()
    with pytest.raises(DuplicateRecordError):
        db.create(Record({}, id="bad"))
    body = bench.client.get_object(Bucket=bench.bucket, Key=bench.key("bad"))["Body"].read()
    assert body == b"precious, but no JSON"


# ---------------------------------------------------------------------------------------------- bad input
CYCLE: list[Any] = []
CYCLE.append(CYCLE)


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda db: db.create(Record({}, id="x" * 1100)), RecordValidationError, "is too long: its key takes 1"),
        (lambda db: db.create(Record({}, id="x" * 300)), RecordValidationError, "at most 255 bytes with its '.json'; nothing was sent"),
        (lambda db: db.create(Record({}, id="\ud800")), RecordValidationError, "holds a lone surrogate"),
        (lambda db: db.create(Record({}, id="")), RecordValidationError, "a record id must not be empty"),
        (lambda db: db.read(""), RecordValidationError, "a record id must not be empty"),
        (lambda db: db.read(7), RecordValidationError, "a record id must be a string, not int: 7"),
        (lambda db: db.delete(None), RecordValidationError, "a record id must be a string, not NoneType"),
        (lambda db: db.create(["a", 1]), RecordValidationError, "expected a Record, not list: wrap it as Record({…})"),
        (lambda db: db.create(Record({"a": object()})), SerializationError, "the value at /data/a is a builtins.object, which has no faithful stored form"),
        (lambda db: db.create(Record({"a": {"b": [1, lambda: 0]}})), SerializationError, "the value at /data/a/b/1 is a builtins.function"),
        (lambda db: db.create(Record({"a": {1: 2}})), SerializationError, "the dict at /data/a has the key 1: keys must be strings"),
        (lambda db: db.create(Record({"a": "\ud800"})), SerializationError, "the text at /data/a holds a lone surrogate"),
        (lambda db: db.create(Record({"a": CYCLE})), SerializationError, "nested too deeply or contains itself"),
        (lambda db: db.create(Record({}, {"m": object()})), SerializationError, "the value at /metadata/m is a builtins.object"),
        (lambda db: db.upsert("x", Record({"a": object()})), SerializationError, "the value at /data/a"),
        (lambda db: db.search("name = 'x'"), DataknobsDataError, "a query must be a Query, not str"),
        (lambda db: db.search(on_error="ignore"), ConfigurationError, "on_error must be 'raise' or 'collect', not 'ignore'"),
    ],
)  # fmt: skip
def test_bad_input_is_said_before_anything_is_sent(
    bench: S3Bench, db: S3Database, call: Callable[[Any], object], error: type[Exception], says: str
) -> None:
    with pytest.raises(RecordValidationError):
        db.create(Record({}, id="y" * 300))  # the first long id asks the store, once
    db.upsert("x", Record({}))
    with bench.proxy.watch() as seen, pytest.raises(error) as caught:
        call(db)
    assert says in str(caught.value)
    assert sent(seen) == {}


def test_a_batch_sends_what_it_can_and_names_what_it_cannot(bench: S3Bench, db: S3Database) -> None:
    mixed: list[Any] = [
        Record({"a": 1}, id="a"),
        Record({"a": object()}, id="b"),
        ["no record"],
        Record({}, id="c" * 1100),
    ]
    with bench.proxy.watch() as seen, pytest.raises(BatchError) as caught:
        db.batch_create([*mixed, Record({}, id="e")])
    assert sent(seen) == {PUT: 2}
    assert caught.value.failed_indices == [1, 2, 3]
    assert caught.value.succeeded == {0: "a", 4: "e"}
    assert [type(error) for _, error in caught.value.failed.values()] == [
        SerializationError,
        RecordValidationError,
        RecordValidationError,
    ]


def test_metadata_that_cannot_be_a_tag_is_kept_skipped_warned_about_and_reported(
    bench: S3Bench, db: S3Database, caplog: pytest.LogCaptureFixture
) -> None:
    metadata = {"ok": "yes", "list": [1, 2], "long": "x" * 300, "odd": "a&b=c", "none": None, "n!me": "v"}
    with caplog.at_level(logging.WARNING, "dataknobs_data"):
        for number in range(2):
            db.create(Record({}, metadata, id=f"x{number}"))
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 5
    assert "metadata 'list' is not mirrored as an object tag: a list is no single value (said once" in "\n".join(said)
    report = db.tags("x1")
    assert report is not None
    assert report.keys() == {"id", "created_at", "ok"}
    assert report.skipped.keys() == {"list", "long", "odd", "none", "n!me"}
    record = db.read("x1")
    assert record is not None
    assert metadata.items() <= record.metadata.items()


def test_a_stale_version_changes_nothing(bench: S3Bench, db: S3Database) -> None:
    db.create(Record({"a": 1}, id="x"))
    stale = db.get_version("x")
    bench.past().update("x", Record({"a": 2}))
    for write in (
        lambda: db.update("x", Record({"a": 3}), expected_version=stale),
        lambda: db.upsert("x", Record({"a": 3}), expected_version=stale),
        lambda: db.delete("x", expected_version=stale),
    ):
        with pytest.raises(ConcurrencyError) as caught:
            write()
        assert caught.value.context == {
            "id": "x",
            "expected_version": stale,
            "actual_version": version_in(bench, "x"),
        }
    for write in (
        lambda: db.update("y", Record({}), expected_version=stale),
        lambda: db.delete("y", expected_version="v"),
    ):
        with pytest.raises(ConcurrencyError, match="but it does not exist"):
            write()
    assert bench.stored("x")["data"] == {"a": 2}


# ---------------------------------------------------------------------------------------------- 403 for what is missing
@pytest.mark.parametrize("operation", [GET, "HeadObject"])
def test_who_may_list_only_the_prefix_learns_what_is_missing_by_a_listing(bench: S3Bench, operation: str) -> None:
    """S3 answers 403 for a missing object to whom it does not let list the whole bucket."""
    db = bench.open()
    db.create(Record({}, id="x"))
    look = db.read if operation == GET else db.exists
    bench.proxy.fault(Answer(403, "AccessDenied"), operation=operation, times=None)
    with bench.proxy.watch() as seen:
        assert not look("x.json")
        assert not look("never")
    assert seen.counts()["ListObjectsV2"] == 2
    with pytest.raises(DatabaseConnectionError, match="denied"):
        look("x")


@pytest.mark.parametrize("operation", [GET, "HeadObject"])
def test_who_may_not_even_list_is_denied(bench: S3Bench, operation: str) -> None:
    db = bench.open()
    bench.proxy.fault(
        Answer(403, "AccessDenied"), when=lambda request: request.operation in (operation, "ListObjectsV2"), times=None
    )
    with pytest.raises(DatabaseConnectionError, match="denied"):
        (db.read if operation == GET else db.exists)("never")
