"""Buckets that lock: everything a database does in them, and locks on single records. Real servers, which refuse deletion."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from dataknobs_data.backends.s3 import S3Database
from dataknobs_data.exceptions import (
    BatchError,
    ConfigurationError,
    DatabaseConnectionError,
    DatabaseOperationError,
    RecordNotFoundError,
    RecordValidationError,
)
from dataknobs_data.records import Record
from dataknobs_data.s3.admin.object_lock import DEFAULT_NOTE, FOREVER_NOTE, BucketLock
from tests.s3_bench import S3Bench
from tests.servers import S3Server, new_bucket_name, open_client
from tests.wire.faults import Answer
from tests.wire.proxy import Request, WireProxy

BOTH = pytest.mark.parametrize("s3_server", ["seaweed", "moto_server"], indirect=True)
ON_SEAWEED = pytest.mark.parametrize("s3_server", ["seaweed"], indirect=True)
MIB = 1024 * 1024
DAY = timedelta(days=1)


def open_bench(server: S3Server, ends: ExitStack, *, locks: bool) -> S3Bench:
    client = ends.enter_context(open_client(server))
    client.create_bucket(Bucket=(bucket := new_bucket_name()), ObjectLockEnabledForBucket=locks)
    return S3Bench(server, client, bucket, ends)


@pytest.fixture
def plain(s3_server: S3Server) -> Iterator[S3Bench]:
    """A bucket of its own, as buckets are."""
    with ExitStack() as ends:
        yield open_bench(s3_server, ends, locks=False)


@pytest.fixture
def bench(s3_server: S3Server) -> Iterator[S3Bench]:
    """A bucket of its own that locks: moto can do that only to new ones."""
    with ExitStack() as ends:
        yield open_bench(s3_server, ends, locks=True)


def delete_version(bench: S3Bench, id: str, version_id: str, **more: Any) -> str | None:
    """Deletes one version for good; the error's code, None where it went."""
    try:
        bench.client.delete_object(Bucket=bench.bucket, Key=bench.key(id), VersionId=version_id, **more)
    except ClientError as error:
        return error.response["Error"]["Code"]
    return None


# ---------------------------------------------------------------------------------------------- the bucket
@ON_SEAWEED
def test_it_is_shown_first_then_switched_on_for_ever(plain: S3Bench) -> None:
    db = plain.open()
    assert db.object_lock.get() is None
    with pytest.raises(ConfigurationError, match=r"call enable_versioning\(\) first"):
        db.object_lock.enable()
    db.enable_versioning()
    dry = db.object_lock.enable(dry_run=True)
    assert (dry.changes, dry.applied, dry.notes, db.object_lock.get()) == (True, False, (FOREVER_NOTE,), None)
    assert db.object_lock.enable().applied
    assert db.object_lock.get() == BucketLock()
    assert not db.object_lock.enable().changes


@BOTH
def test_a_default_stays_until_it_is_changed_or_removed(bench: S3Bench) -> None:
    lock = bench.connect().object_lock  # moto changes it in empty buckets only
    assert not lock.enable(mode="GOVERNANCE", years=1, dry_run=True).applied
    assert lock.get() == BucketLock()
    plan = lock.enable(mode="GOVERNANCE", years=1)
    assert (plan.applied, plan.notes, lock.get()) == (True, (DEFAULT_NOTE,), BucketLock("GOVERNANCE", years=1))
    again = lock.enable(mode="GOVERNANCE", years=1)
    assert (again.changes, again.applied, again.notes) == (False, False, ())
    assert not lock.enable().changes, "nothing was said about a default"
    assert lock.enable(mode="GOVERNANCE", days=2).applied
    assert lock.get() == BucketLock("GOVERNANCE", days=2)
    assert not lock.remove_default(dry_run=True).applied
    assert lock.remove_default().applied
    assert not lock.remove_default().changes
    assert lock.get() == BucketLock()


@BOTH
def test_removing_a_default_where_nothing_locks_changes_nothing(plain: S3Bench) -> None:
    assert not plain.open().object_lock.remove_default().changes


@BOTH
@pytest.mark.parametrize("owner", [None, "123456789012"], ids=["obstore", "boto3"])  # an owner is for boto3 alone
def test_a_bucket_that_locks_what_is_written_takes_all_that_a_database_does(bench: S3Bench, owner: str | None) -> None:
    """moto refuses writes without a checksum there, in words close to AWS's; SeaweedFS takes them."""
    bench.client.put_object_lock_configuration(
        Bucket=bench.bucket,
        ObjectLockConfiguration={
            "ObjectLockEnabled": "Enabled",
            "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}},
        },
    )
    db = bench.open(expected_bucket_owner=owner)
    db.create(Record({"id": "r", "n": 1}, metadata={"team": "a"}))
    first = db.object_lock.status("r")
    assert first
    assert (first.mode, first.hold) == ("GOVERNANCE", False)
    assert first.until
    assert abs(first.until - datetime.now(UTC) - DAY) < timedelta(minutes=5)
    assert delete_version(bench, "r", first.version_id) == "AccessDenied"
    assert db.update("r", Record({"n": 2}))
    assert db.delete("r")
    assert db.read("r") is None
    assert db.undelete("r")
    assert db.read("r").data["n"] == 2  # type: ignore[union-attr]
    assert db.revert("r", first.version_id).data["n"] == 1
    ids = db.batch_create([Record({"n": number}) for number in range(12)])
    assert db.batch_delete(ids) == [True] * 12
    db.create(Record({"id": "large", "text": "x" * 6 * MIB}))
    assert db.update("large", Record({"text": "y" * 11 * MIB}))
    assert db.read("large").data["text"][-1] == "y"  # type: ignore[union-attr]
    if not bench.is_moto:  # which forgets the default when parts are put together
        assert delete_version(bench, "large", db.object_lock.status("large").version_id) == "AccessDenied"  # type: ignore[union-attr]
    assert db.clear() == 2


@ON_SEAWEED
def test_a_store_that_asks_for_checksums_gets_them_from_then_on(bench: S3Bench) -> None:
    """As Backblaze B2 and AWS ask, parts included: https://github.com/s3tools/s3cmd/issues/1436."""

    def bare(request: Request) -> bool:
        sums = [name for name in request.headers if name == "content-md5" or name.startswith("x-amz-checksum-")]
        return request.operation in ("PutObject", "UploadPart") and not sums

    words = "Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests with Object Lock parameters"
    with WireProxy(bench.server.port) as proxy:
        refused = proxy.fault(Answer(400, "InvalidRequest", words), bare, times=None)
        db = bench.open(endpoint_url=proxy.endpoint)
        assert refused.hits == 1
        db.batch_create([Record({"n": number}) for number in range(4)])
        db.create(Record({"id": "large", "text": "x" * 6 * MIB}))
        assert refused.hits == 1, "once is enough"
    with WireProxy(bench.server.port) as proxy:
        db = bench.open(endpoint_url=proxy.endpoint)
        refused = proxy.fault(Answer(400, "InvalidRequest", words), bare, times=None)
        db.create(Record({"id": "larger", "text": "x" * 11 * MIB}))
        assert db.read("larger").data["text"] == "x" * 11 * MIB  # type: ignore[union-attr]
        assert 1 <= refused.hits <= 3, "the parts that were on their way"


@ON_SEAWEED
def test_other_refusals_are_not_answered_with_checksums(bench: S3Bench) -> None:
    with WireProxy(bench.server.port) as proxy:
        db = bench.open(endpoint_url=proxy.endpoint)
        refused = proxy.fault(Answer(400, "InvalidRequest", "no"), operation="PutObject", times=None)
        with pytest.raises(DatabaseOperationError, match="InvalidRequest, no"):
            db.create(Record({}))
        assert refused.hits == 1
    with WireProxy(bench.server.port) as proxy:
        db = bench.open(endpoint_url=proxy.endpoint)
        refused = proxy.fault(
            Answer(400, "InvalidRequest", "Content-MD5 is required"), operation="PutObject", times=None
        )
        with pytest.raises(DatabaseOperationError, match="Content-MD5 is required"):
            db.create(Record({}))
        assert refused.hits == 3, "without, with SHA-256, with MD5, and no more"


# ---------------------------------------------------------------------------------------------- records
@BOTH
def test_a_retained_version_stays_whatever_becomes_of_the_record(bench: S3Bench) -> None:
    db = bench.open()
    db.create(Record({"id": "r", "n": 1}))
    until = (datetime.now(UTC) + 3 * DAY).replace(microsecond=0)
    (lock,) = db.object_lock.retain("r", until)
    assert (lock.id, lock.mode, lock.until, lock.hold) == ("r", "GOVERNANCE", until, False)
    assert db.object_lock.status("r") == lock
    assert delete_version(bench, "r", lock.version_id) == "AccessDenied"
    assert db.update("r", Record({"n": 2}))
    now = db.object_lock.status("r")
    assert now
    assert (now.mode, now.version_id == lock.version_id) == (None, False), "the new version is not locked"
    assert db.delete("r")
    assert db.object_lock.status("r") is None
    assert db.read("r", version_id=lock.version_id).data["n"] == 1  # type: ignore[union-attr]
    assert db.undelete("r")
    assert db.revert("r", lock.version_id).data["n"] == 1


@BOTH
def test_a_retention_is_made_longer_or_knowingly_shorter(bench: S3Bench) -> None:
    db = bench.open()
    db.create(Record({"id": "r"}))
    (first,) = db.object_lock.retain("r", 2)
    assert first.until
    assert db.object_lock.retain("r", first.until + DAY)[0].until == first.until + DAY
    with pytest.raises(DatabaseOperationError, match="say bypass=True"):
        db.object_lock.retain("r", DAY)
    (shorter,) = db.object_lock.retain("r", first.until - DAY, bypass=True)
    assert db.object_lock.status("r") == shorter


@BOTH
def test_compliance_must_be_meant_and_cannot_be_loosened(bench: S3Bench) -> None:
    db = bench.open()
    db.create(Record({"id": "r"}))
    for wanted in (
        lambda: db.object_lock.retain("r", 1, "COMPLIANCE"),
        lambda: db.object_lock.enable(mode="COMPLIANCE", days=1),
    ):
        with pytest.raises(ConfigurationError, match="irrevocable=True"):
            wanted()
    assert db.object_lock.status("r").mode is None  # type: ignore[union-attr]
    (lock,) = db.object_lock.retain("r", timedelta(seconds=20), "COMPLIANCE", irrevocable=True)
    assert delete_version(bench, "r", lock.version_id, BypassGovernanceRetention=True) == "AccessDenied"
    for until, mode in ((timedelta(seconds=5), "COMPLIANCE"), (DAY, "GOVERNANCE")):
        with pytest.raises(DatabaseOperationError, match="nobody can shorten or loosen"):
            db.object_lock.retain("r", until, mode, bypass=True, irrevocable=True)


@BOTH
def test_a_hold_keeps_until_it_is_released(bench: S3Bench) -> None:
    db = bench.open()
    db.batch_create([Record({"id": id}) for id in ("a", "b/c", "d")])
    locks = db.object_lock.hold(["a", "b/c"])
    assert [(lock.id, lock.hold) for lock in locks] == [("a", True), ("b/c", True)]
    assert db.object_lock.status("d").hold is False  # type: ignore[union-attr]
    assert delete_version(bench, "b/c", locks[1].version_id) == "AccessDenied"
    (free,) = db.object_lock.release("b/c")
    assert (free.hold, free.version_id) == (False, locks[1].version_id)
    assert delete_version(bench, "b/c", free.version_id) is None
    assert db.object_lock.status("a").hold  # type: ignore[union-attr]


@BOTH
def test_of_many_those_that_failed_are_named(bench: S3Bench) -> None:
    db = bench.open()
    db.batch_create([Record({"id": f"r{number}"}) for number in range(30)])
    with pytest.raises(BatchError) as caught:
        db.object_lock.hold([*(f"r{number}" for number in range(30)), "nobody"])
    assert (caught.value.failed_indices, len(caught.value.succeeded), caught.value.stopped) == ([30], 30, False)
    assert isinstance(caught.value.failed[30][1], RecordNotFoundError)
    assert all(db.object_lock.status(f"r{number}").hold for number in (0, 29))  # type: ignore[union-attr]
    with pytest.raises(RecordNotFoundError, match="record 'nobody': there is no such record"):
        db.object_lock.retain("nobody", 1)
    assert db.object_lock.release([]) == []


def test_an_id_that_makes_no_sense_stops_all_before_anything_is_sent(bench: S3Bench) -> None:
    db = bench.open()
    db.create(Record({"id": "r"}))
    with pytest.raises(RecordValidationError):
        db.object_lock.hold(["r", ""])
    assert not db.object_lock.status("r").hold  # type: ignore[union-attr]


@BOTH
def test_where_nothing_can_be_locked_it_says_why(plain: S3Bench) -> None:
    db = plain.open()
    db.create(Record({"id": "r"}))
    assert db.object_lock.status("r").mode is None  # type: ignore[union-attr]
    with pytest.raises(DatabaseOperationError, match="keeps no versions, so nothing can be locked"):
        db.object_lock.hold("r")


@pytest.mark.parametrize("s3_server", ["moto_server"], indirect=True)
def test_a_bucket_that_keeps_versions_but_cannot_lock_says_so(plain: S3Bench) -> None:
    db = plain.open()
    db.enable_versioning()
    db.create(Record({"id": "r"}))
    with pytest.raises(DatabaseOperationError, match=r"cannot lock\? object_lock\.enable\(\)"):
        db.object_lock.retain("r", 1)


@ON_SEAWEED
def test_the_version_that_was_looked_at_is_locked_and_told(bench: S3Bench) -> None:
    """Somebody updates the record between the look and the lock."""
    with WireProxy(bench.server.port) as proxy:
        db, rival = bench.open(endpoint_url=proxy.endpoint), bench.connect()
        db.create(Record({"id": "r", "n": 1}))
        seen = db.object_lock.status("r")
        once = iter([True])

        def meanwhile(request: Request) -> bool:
            if "legal-hold" in request.query and next(once, False):
                rival.update("r", Record({"n": 2}))
            return False

        proxy.fault(Answer(500, "never"), meanwhile)
        (lock,) = db.object_lock.hold("r")
        assert seen
        assert lock.version_id == seen.version_id
        assert db.object_lock.status("r").version_id != lock.version_id  # type: ignore[union-attr]
        assert not db.object_lock.status("r").hold  # type: ignore[union-attr]
        assert delete_version(bench, "r", lock.version_id) == "AccessDenied"


# ---------------------------------------------------------------------------------------------- permissions
def calls(db: S3Database) -> dict[str, Any]:
    """Part of the query, method, permission → what sends it."""
    lock = db.object_lock
    return {
        "object-lock GET s3:GetBucketObjectLockConfiguration": lock.get,
        "object-lock PUT s3:PutBucketObjectLockConfiguration": lambda: lock.enable(mode="GOVERNANCE", days=1),
        "versioning GET s3:GetBucketVersioning": lock.enable,
        "retention PUT s3:PutObjectRetention": lambda: lock.retain("r", 1),
        "legal-hold PUT s3:PutObjectLegalHold": lambda: lock.hold("r"),
        "retention PUT s3:PutObjectRetention and s3:BypassGovernanceRetention": lambda: lock.retain(
            "r", 1, bypass=True
        ),
    }


@ON_SEAWEED
def test_a_missing_permission_is_named(bench: S3Bench) -> None:
    with WireProxy(bench.server.port) as proxy:
        db = bench.open(endpoint_url=proxy.endpoint)
        db.create(Record({"id": "r"}))
        for name, call in calls(db).items():
            part, method, permission = name.split(" ", 2)
            fault = proxy.fault(
                Answer(403, "AccessDenied"),
                lambda request, part=part, method=method: part in request.query and request.method == method,  # type: ignore[misc]
            )
            with pytest.raises(DatabaseConnectionError, match=f"grant this identity {permission}$"):
                call()
            assert fault.hits == 1
        proxy.fault(Answer(403, "AccessDenied"), operation="HeadObject")
        with pytest.raises(DatabaseConnectionError, match="grant this identity s3:GetObject"):
            db.object_lock.status("r")


@ON_SEAWEED
def test_of_many_nothing_more_is_sent_where_the_store_answers_nothing(bench: S3Bench, monkeypatch: Any) -> None:
    monkeypatch.setattr("dataknobs_data.s3.admin.each.WINDOW", 5)
    with WireProxy(bench.server.port) as proxy:
        db = bench.open(endpoint_url=proxy.endpoint)
        fault = proxy.fault(Answer(403, "AccessDenied"), operation="HeadObject", times=None)
        proxy.fault(Answer(403, "AccessDenied"), operation="ListObjectsV2", times=None)
        with pytest.raises(BatchError, match="Nothing after index 4 was attempted") as caught:
            db.object_lock.hold([f"r{number}" for number in range(20)])
        assert (caught.value.stopped, fault.hits) == (True, 5)
