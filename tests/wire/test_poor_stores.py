"""Stores that lack something: the proxy makes a good one refuse it, as real ones do."""

from __future__ import annotations

import logging

import pytest

from dataknobs_data.backends.s3 import S3Database
from dataknobs_data.exceptions import (
    ConcurrencyError,
    DatabaseOperationError,
    DataFormatError,
    DuplicateRecordError,
    IncompatibleStoreError,
)
from dataknobs_data.records import Record
from tests.s3_bench import S3Bench, records, sent
from tests.wire.proxy import Answer, Request

NOT_IMPLEMENTED = Answer(501, "NotImplemented")


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


def test_without_tags_records_are_written_without_and_it_is_said_once(
    bench: S3Bench, caplog: pytest.LogCaptureFixture
) -> None:
    """Cloudflare R2 and Backblaze B2 refuse the header."""
    bench.proxy.fault(NOT_IMPLEMENTED, when=lambda request: "x-amz-tagging" in request.headers, times=None)
    with caplog.at_level(logging.WARNING, "dataknobs_data"):
        db = bench.open()
        for number in range(3):
            db.create(Record({"n": number}, {"team": "blue", "list": [1]}, id=f"x{number}"))
        db.create(Record({"data": "x" * 6 * 1024 * 1024}, {"team": "blue"}, id="large"))
    assert len(said(caplog)) == 1
    assert said(caplog)[0].endswith("takes no object tags: records are written without (said once)")
    assert bench.stored("x1")["metadata"] == {"team": "blue", "list": [1]}
    for id in ("x1", "large"):
        assert bench.client.get_object_tagging(Bucket=bench.bucket, Key=bench.key(id))["TagSet"] == []
    with bench.proxy.watch() as seen:
        db.create(Record({}, id="y"))
    assert sent(seen) == {"PutObject": 1}


def test_where_tags_are_off_nothing_is_said_about_them(bench: S3Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.proxy.fault(NOT_IMPLEMENTED, when=lambda request: "x-amz-tagging" in request.headers, times=None)
    with caplog.at_level(logging.WARNING, "dataknobs_data"):
        bench.open(tags=False).create(Record({}, {"team": "blue"}))
    assert said(caplog) == []


def is_conditional_delete(request: Request) -> bool:
    return request.operation == "DeleteObject" and "if-match" in request.headers


def test_without_conditional_deletes_a_delete_looks_first_and_that_is_said_once(
    bench: S3Bench, caplog: pytest.LogCaptureFixture
) -> None:
    """LocalStack answers 501 to If-Match on DELETE."""
    bench.proxy.fault(NOT_IMPLEMENTED, when=is_conditional_delete, times=None)
    db = bench.open()
    db.batch_create(records(3))
    with caplog.at_level(logging.WARNING, "dataknobs_data"):
        with bench.proxy.watch() as seen:
            assert db.delete("r-000000") is True
        assert sent(seen) == {"HeadObject": 1, "DeleteObject": 1}
        assert db.delete("r-000000") is False
        assert db.delete("r-000001") is True
    assert len(said(caplog)) == 1
    assert "this store has no conditional DELETE" in said(caplog)[0]
    with bench.proxy.watch() as seen, pytest.raises(IncompatibleStoreError) as caught:
        db.delete("r-000002", expected_version=db.get_version("r-000002"))
    assert "delete(expected_version=…) cannot be kept safe; delete without it" in str(caught.value)
    assert caught.value.context["condition"] == "conditional DELETE"
    assert "DeleteObject" not in sent(seen)
    assert bench.ids() == ["r-000002"]


def test_creating_and_changing_are_as_safe_there_as_anywhere(bench: S3Bench) -> None:
    bench.proxy.fault(NOT_IMPLEMENTED, when=is_conditional_delete, times=None)
    db = bench.open()
    db.create(Record({"a": 1}, id="x"))
    with pytest.raises(DuplicateRecordError):
        db.create(Record({"a": 2}, id="x"))
    stale = db.get_version("x")
    bench.past().update("x", Record({"a": 3}))
    with pytest.raises(ConcurrencyError):
        db.update("x", Record({"a": 4}), expected_version=stale)
    assert bench.stored("x")["data"] == {"a": 3}


@pytest.mark.parametrize("header", ["if-none-match", "if-match"])
def test_a_store_that_refuses_conditions_on_put_is_refused(bench: S3Bench, header: str) -> None:
    bench.proxy.fault(NOT_IMPLEMENTED, when=lambda r: r.operation == "PutObject" and header in r.headers, times=None)
    db = S3Database(bench.config())
    with pytest.raises(
        IncompatibleStoreError, match="use another store, or accept that with require_conditions: false"
    ):
        db.create(Record({}, id="x"))
    assert bench.paths() == []
    db.close()


def test_a_bucket_that_may_not_be_looked_at_can_be_used(bench: S3Bench) -> None:
    """A policy may allow the objects but not HeadBucket."""
    bench.proxy.fault(Answer(403, "AccessDenied"), operation="HeadBucket", times=None)
    db = bench.open()
    db.create(Record({"a": 1}, id="x"))
    assert db.read("x") is not None
    assert not db.exists("y")
    assert db.delete("x")


def test_who_may_not_list_can_still_read_and_write_by_id(bench: S3Bench) -> None:
    """Without ListBucket, S3 answers 403 for a missing object: that is not "no such record"."""
    bench.proxy.fault(Answer(403, "AccessDenied"), operation="ListObjectsV2", times=None)
    bench.proxy.fault(
        Answer(403, "AccessDenied"), when=lambda r: r.operation == "GetObject" and "format.json" in r.key, times=None
    )
    db = bench.connect()
    db.create(Record({"a": 1}, id="x"))
    found = db.read("x")
    assert found is not None
    assert found["a"] == 1
    assert db.update("x", Record({"a": 2}))
    assert db.delete("x")


def test_a_store_that_refuses_the_very_etag_it_shows_is_said_to(bench: S3Bench) -> None:
    """SeaweedFS 4.48 does, now and then, where versioning is suspended."""
    db = bench.open()
    db.create(Record({"n": 1}, id="x"))
    bench.proxy.fault(Answer(412, "PreconditionFailed"), operation="PutObject", key=bench.key("x"), times=None)
    with pytest.raises(DatabaseOperationError, match=r"refuses a write on the condition.*enable_versioning\(\) again"):
        db.update("x", Record({"n": 2}))
    assert bench.stored("x")["data"] == {"n": 1}


def test_a_record_that_somebody_mended_can_be_updated(bench: S3Bench) -> None:
    """What was held of it while it was damaged must not stand in the way."""
    db = bench.open()
    db.create(Record({"n": 1}, id="x"))
    bench.put("x", b'{"format": 1, "da')
    with pytest.raises(DataFormatError):
        db.read("x")
    bench.put("x", {"data": {"n": 2}})
    assert db.update("x", Record({"n": 3}))
    assert bench.stored("x")["data"] == {"n": 3}


def test_refusals_with_a_rival_between_them_are_no_contradiction(bench: S3Bench) -> None:
    db = bench.open()
    db.create(Record({"n": 1}, id="x"))
    puts = 0

    def refuse(request: Request) -> bool:
        nonlocal puts
        if request.operation != "PutObject":
            return False
        puts += 1
        if puts == 5:
            bench.put("x", {"data": {"n": 2}})
        return puts < 10

    bench.proxy.fault(Answer(412, "PreconditionFailed"), when=refuse, times=None)
    assert db.update("x", Record({"n": 3}))
    assert puts == 10
    assert bench.stored("x")["data"] == {"n": 3}
