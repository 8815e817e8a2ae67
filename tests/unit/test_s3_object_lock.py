"""Object lock: what is refused before it is sent, what AWS hides in a HEAD, and checksums on AWS."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from dataknobs_data.exceptions import BatchError, ConfigurationError, DatabaseConnectionError
from dataknobs_data.s3.admin.lock_terms import check_default, end_of
from dataknobs_data.s3.admin.object_lock import ObjectLock
from dataknobs_data.s3.settings import s3_settings
from dataknobs_data.s3.store import Fault, Kind
from dataknobs_data.s3.stores.checksums import asks_for_checksum
from dataknobs_data.s3.stores.connection import open_store
from dataknobs_data.s3.stores.obs import ObstoreStore
from tests.unit.s3_bucket import FakeBucket, denied, unset

NOW = datetime(2026, 1, 1, 12, 0, 0, 500_000, tzinfo=UTC)
HEAD: dict[str, Any] = {"VersionId": "v1", "ETag": '"e"'}
RETAINED = {**HEAD, "ObjectLockMode": "GOVERNANCE", "ObjectLockRetainUntilDate": "2026-02-01T00:00:00.000Z"}
HELD = {**RETAINED, "ObjectLockLegalHoldStatus": "ON"}
CANNOT_LOCK = Fault(Kind.REFUSED, "Bucket is missing Object Lock Configuration", status=400, code="InvalidRequest")


# ---------------------------------------------------------------------------------------------- terms
def test_until_is_an_instant_a_duration_or_days() -> None:
    assert end_of(datetime(2026, 3, 1), NOW) == datetime(2026, 3, 1, tzinfo=UTC), "without a zone: UTC"
    assert end_of(timedelta(hours=2), NOW) == datetime(2026, 1, 1, 14, tzinfo=UTC), "whole seconds, as S3 keeps them"
    assert end_of(30, NOW) == datetime(2026, 1, 31, 12, tzinfo=UTC)
    elsewhere = datetime(2026, 3, 1, tzinfo=timezone(timedelta(hours=5)))
    assert end_of(elsewhere, NOW).isoformat() == "2026-02-28T19:00:00+00:00"
    assert end_of(36_500, NOW).year == 2125


@pytest.mark.parametrize(
    "until",
    [
        *(0, -1, True, 1.5, "30", 36_501, None),
        *(timedelta(0), timedelta(days=-1), timedelta(days=50_000), timedelta.max, timedelta(milliseconds=300)),
        *(datetime(2025, 12, 31, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC), NOW),
    ],
)
def test_other_ends_are_refused_before_anything_is_sent(until: Any) -> None:
    with pytest.raises(ConfigurationError, match="until"):
        end_of(until, NOW)


@pytest.mark.parametrize(
    ("mode", "days", "years", "message"),
    [
        ("GOVERNANCE", None, None, "either days or years"),
        ("GOVERNANCE", 1, 1, "either days or years"),
        ("GOVERNANCE", 0, None, "days must be a whole number from 1 to 36,500"),
        ("GOVERNANCE", None, 101, "years must be a whole number from 1 to 100"),
        ("GOVERNANCE", None, True, "years must be"),
        ("governance", 1, None, "did you mean 'GOVERNANCE'"),
        (None, 1, None, "give its mode too"),
        (None, None, 0, "give its mode too"),
    ],
)
def test_defaults_that_make_no_sense(mode: Any, days: Any, years: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        check_default(mode, days, years)


def test_wrong_modes_are_refused_before_anything_is_sent() -> None:
    bucket = FakeBucket({})
    lock = ObjectLock(bucket.control_plane)
    for call in (
        lambda: lock.retain("r", 1, "COMPLAINCE"),
        lambda: lock.retain("r", 1, "COMPLIANCE"),
        lambda: lock.retain("r", 0),
        lambda: lock.enable(mode="COMPLIANCE", days=1),
        lambda: lock.enable(days=1),
    ):
        with pytest.raises(ConfigurationError):
            call()
    assert bucket.sent == []


# ---------------------------------------------------------------------------------------------- on AWS
def status_of(head: dict[str, Any], **answers: Any) -> tuple[Any, list[str]]:
    bucket = FakeBucket({"HeadObject": head, **answers})
    return ObjectLock(bucket.control_plane).status("r"), bucket.operations


def test_what_head_shows_is_believed() -> None:
    lock, sent = status_of(HELD)
    assert (lock.mode, lock.until, lock.hold, sent) == (
        "GOVERNANCE",
        datetime(2026, 2, 1, tzinfo=UTC),
        True,
        ["HeadObject"],
    )


def test_what_head_does_not_show_is_asked_for() -> None:
    """API_HeadObject: those headers come only with s3:GetObjectRetention and s3:GetObjectLegalHold."""
    retention = {"Retention": {"Mode": "COMPLIANCE", "RetainUntilDate": "2026-03-01T00:00:00Z"}}
    lock, _ = status_of(HEAD, GetObjectRetention=retention, GetObjectLegalHold={"LegalHold": {"Status": "ON"}})
    assert (lock.mode, lock.until, lock.hold) == ("COMPLIANCE", datetime(2026, 3, 1, tzinfo=UTC), True)
    nothing, sent = status_of(
        HEAD, GetObjectRetention=unset("NoSuchObjectLockConfiguration"), GetObjectLegalHold=CANNOT_LOCK
    )
    assert (nothing.mode, nothing.until, nothing.hold, nothing.version_id) == (None, None, False, "v1")
    assert sent == ["HeadObject", "GetObjectRetention", "GetObjectLegalHold"]
    with pytest.raises(DatabaseConnectionError, match="grant this identity s3:GetObjectRetention"):
        status_of(HEAD, GetObjectRetention=denied())
    with pytest.raises(DatabaseConnectionError, match="grant this identity s3:GetObjectLegalHold"):
        status_of(RETAINED, GetObjectRetention=unset(), GetObjectLegalHold=denied())


def test_the_version_that_was_looked_at_is_the_one_that_is_locked() -> None:
    bucket = FakeBucket({"HeadObject": HEAD, "PutObjectRetention": {}, "PutObjectLegalHold": {}})
    locks = ObjectLock(bucket.control_plane)
    (lock,) = locks.retain("r", 30, bypass=True)
    locks.hold("r")
    retention, hold = bucket.sent[1][1], bucket.sent[3][1]
    assert retention == {
        "Key": "records/r.json",
        "VersionId": "v1",
        "Retention": {"Mode": "GOVERNANCE", "RetainUntilDate": lock.until},
        "BypassGovernanceRetention": True,
    }
    assert hold == {"Key": "records/r.json", "VersionId": "v1", "LegalHold": {"Status": "ON"}}


def test_a_batch_stops_where_the_store_answers_nothing_and_says_what_was_done() -> None:
    bucket = FakeBucket({"HeadObject": HEAD, "PutObjectLegalHold": denied()})
    with pytest.raises(BatchError, match="2 of 2 records failed") as caught:
        ObjectLock(bucket.control_plane).hold(["a", "b"])
    assert (caught.value.stopped, caught.value.succeeded) == (False, {}), "there was nothing more"


# ---------------------------------------------------------------------------------------------- checksums
KEYS = {"bucket": "bucket", "region": "eu-west-1", "access_key_id": "key", "secret_access_key": "secret"}


def writes(**over: Any) -> dict[str, Any]:
    store, _ = open_store(s3_settings({**KEYS, **over}))
    assert isinstance(store, ObstoreStore)
    config: Any = store._writes.config
    store.close()
    return dict(config)


def test_on_aws_every_write_has_a_checksum_and_elsewhere_none_that_was_not_asked_for() -> None:
    """AWS refuses PUTs without one where the bucket has a default retention; some other stores refuse those with one."""
    assert writes()["checksum_algorithm"].upper() == "SHA256"
    assert "checksum_algorithm" not in writes(endpoint_url="http://127.0.0.1:9")


@pytest.mark.parametrize(
    ("status", "text", "expected"),
    [
        (
            400,
            "HTTP 400, InvalidRequest, Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests",
            True,
        ),
        (400, "HTTP 400, InvalidRequest, Content-MD5 HTTP header is required for Put Part requests with", True),
        (
            400,
            "MissingUploadObjectWithObjectLockHeaders, Content-MD5 or x-amz-sdk-checksum-algorithm header required",
            True,
        ),
        (400, "HTTP 400, InvalidDigest, The Content-MD5 you specified is not valid", False),
        (400, "HTTP 400, InvalidRequest, a prefix is required", False),
        (403, "Content-MD5 is required", False),
        (None, "Content-MD5 is required", False),
    ],
)
def test_which_refusals_ask_for_a_checksum(status: int | None, text: str, expected: bool) -> None:
    assert asks_for_checksum(Fault(Kind.REFUSED, text, status=status)) is expected
