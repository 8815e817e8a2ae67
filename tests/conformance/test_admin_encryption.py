"""What was asked for is what the store says: of the bucket's default and of this database's own wish, in parts, too."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from dataknobs_data.exceptions import (
    ConfigurationError,
    DatabaseConnectionError,
    DatabaseOperationError,
    IncompatibleStoreError,
)
from dataknobs_data.records import Record
from dataknobs_data.s3.admin.encryption import ObjectEncryption
from tests.s3_bench import S3Bench
from tests.servers import S3Server, new_bucket_name, open_client
from tests.wire.faults import Answer, Lose
from tests.wire.proxy import WireProxy

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

LARGE = "x" * 6 * 1024 * 1024
ARN = "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555"
on_moto = pytest.mark.parametrize("s3_server", ["moto_server"], indirect=True)
on_seaweed = pytest.mark.parametrize("s3_server", ["seaweed"], indirect=True)
S3S = ObjectEncryption("SSE-S3", "AES256", None, False)


@pytest.fixture
def bench(s3_server: S3Server, proxy: WireProxy) -> Iterator[S3Bench]:
    """A bucket of its own: what is configured is configured for all of it."""
    with ExitStack() as ends:
        client: S3Client = ends.enter_context(open_client(s3_server))
        s3_server.create_bucket(bucket := new_bucket_name())
        yield S3Bench(s3_server, client, bucket, ends, proxy)


def default_of(bench: S3Bench) -> Any:
    return bench.client.get_bucket_encryption(Bucket=bench.bucket)["ServerSideEncryptionConfiguration"]["Rules"]


def test_the_default_is_shown_set_and_removed(bench: S3Bench) -> None:
    db = bench.open()
    assert db.encryption.get() is None
    assert not db.encryption.remove().changes
    plan = db.encryption.set("SSE-KMS", dry_run=True)
    assert (plan.changes, plan.applied, db.encryption.get()) == (True, False, None)
    assert '+        "SSEAlgorithm": "aws:kms"' in plan.diff()
    assert any("a store without a KMS takes this setting" in note for note in plan.notes)

    plan = db.encryption.set(ARN)
    assert plan.applied
    assert not any("kept something else" in note for note in plan.notes)
    default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": ARN}
    assert default_of(bench) == [{"ApplyServerSideEncryptionByDefault": default, "BucketKeyEnabled": True}]
    assert not db.encryption.set(ARN).changes
    assert default_of(bench) == db.encryption.set(ARN, bucket_key=False, dry_run=True).before["Rules"]

    assert db.encryption.set("SSE-S3").applied
    plan = db.encryption.remove()
    assert not plan.changes, "that is S3's own default"
    db.encryption.set(ARN)
    assert db.encryption.remove().applied
    assert db.encryption.get() is None


def test_records_are_encrypted_as_the_bucket_says_when_they_are_written(bench: S3Bench) -> None:
    db = bench.open()
    db.create(Record({}, id="before"))
    db.encryption.set("SSE-S3")
    db.create(Record({}, id="after"))
    db.create(Record({"data": LARGE}, id="large"))
    assert db.encryption.of("before") in (None, ObjectEncryption(None, None, None, False), S3S)
    assert db.encryption.of("after") == S3S
    assert db.encryption.of("large") == S3S
    db.update("before", Record({"n": 2}))
    assert db.encryption.of("before") == S3S
    assert db.encryption.of("nobody") is None
    assert [record.id for record in db.search()] == ["after", "before", "large"]


def test_this_databases_own_wish_comes_first(bench: S3Bench) -> None:
    db = bench.open(encryption="SSE-S3")
    db.create(Record({}, id="small"))
    db.create(Record({"data": LARGE}, id="large"))
    assert db.encryption.get() is None
    assert db.encryption.of("small") == db.encryption.of("large") == S3S
    found = db.read("large")
    assert found is not None
    assert found["data"] == LARGE


@on_moto
@pytest.mark.parametrize(
    ("wish", "expected"),
    [
        ("SSE-KMS", ObjectEncryption("SSE-KMS", "aws:kms", None, True)),
        (ARN, ObjectEncryption("SSE-KMS", "aws:kms", ARN, True)),
        ("DSSE-KMS", ObjectEncryption("DSSE-KMS", "aws:kms:dsse", None, False)),
    ],
)
def test_kms_both_ways(bench: S3Bench, wish: str, expected: ObjectEncryption) -> None:
    """One table of names: the setting and the bucket's default lead to the same. moto forgets bucket keys of uploads."""
    own = bench.open(encryption=wish)
    own.create(Record({}, id="own"))
    own.create(Record({"data": LARGE}, id="large"))
    assert own.encryption.of("own") == expected
    large = own.encryption.of("large")
    assert large is not None
    assert (large.algorithm, large.kms_key) == (expected.algorithm, expected.kms_key)
    plain = bench.connect()
    assert plain.encryption.set(wish).applied
    plain.create(Record({}, id="by default"))
    assert plain.encryption.of("by default") == expected
    with bench.proxy.watch() as seen:
        own.update("large", Record({"data": LARGE}))
    (begun,) = (one.headers for one in seen.requests if one.operation == "CreateMultipartUpload")
    assert begun["x-amz-server-side-encryption"] == expected.algorithm
    assert begun.get("x-amz-server-side-encryption-bucket-key-enabled") == ("true" if expected.bucket_key else None)


@on_moto
def test_the_key_of_both_layers_is_asked_for(bench: S3Bench) -> None:
    """moto 5.2 forgets it of the objects, so it is looked for in the requests."""
    db = bench.open(encryption=f"DSSE-KMS:{ARN}")
    with bench.proxy.watch() as seen:
        db.create(Record({}, id="small"))
        db.create(Record({"data": LARGE}, id="large"))
    begun = [one for one in seen.requests if one.key in (bench.key("small"), bench.key("large"))]
    begun = [one for one in begun if one.operation in ("PutObject", "CreateMultipartUpload")]
    assert len(begun) == 2
    for one in begun:
        asked = {name: value for name, value in one.headers.items() if "server-side" in name}
        assert asked == {
            "x-amz-server-side-encryption": "aws:kms:dsse",
            "x-amz-server-side-encryption-aws-kms-key-id": ARN,
        }, one.operation
    db.encryption.set(f"DSSE-KMS:{ARN}")
    (rule,) = default_of(bench)
    assert rule["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "aws:kms:dsse", "KMSMasterKeyID": ARN}


@on_seaweed
def test_a_store_that_ignores_the_wish_is_found_out_before_the_first_write(bench: S3Bench) -> None:
    """SeaweedFS 4.48 answers success to DSSE-KMS and encrypts nothing."""
    db = bench.connect(encryption="DSSE-KMS")
    with pytest.raises(IncompatibleStoreError, match=r"ignores the setting encryption: 'DSSE-KMS'.*not encrypted"):
        db.create(Record({}, id="x"))
    assert bench.ids() == []
    assert not [path for path in bench.paths() if "probe" in path]


@on_moto
@pytest.mark.parametrize(
    ("operation", "permission"),
    [
        ("GetBucketEncryption", "s3:GetEncryptionConfiguration"),
        ("PutBucketEncryption", "s3:PutEncryptionConfiguration"),
        ("DeleteBucketEncryption", "s3:PutEncryptionConfiguration"),
    ],
)
def test_a_missing_permission_is_named_and_changes_nothing(bench: S3Bench, operation: str, permission: str) -> None:
    db = bench.open()
    db.encryption.set("SSE-KMS")
    before = default_of(bench)
    bench.proxy.fault(Answer(403, "AccessDenied"), operation=operation, times=None)
    with pytest.raises(DatabaseConnectionError, match=f"grant this identity {permission}"):
        db.encryption.remove() if operation.startswith("Delete") else db.encryption.set(ARN)
    assert default_of(bench) == before


@on_moto
def test_lost_answers_are_asked_for_again_and_an_unreadable_default_is_said(bench: S3Bench) -> None:
    db = bench.open()
    lost = bench.proxy.fault(Lose(), operation="PutBucketEncryption")
    assert db.encryption.set(ARN).applied
    assert lost.hits == 1
    bench.proxy.fault(Answer(403, "AccessDenied"), operation="GetBucketEncryption", nth=2, times=None)
    plan = db.encryption.set("SSE-KMS")
    assert plan.applied
    assert "it was written, but cannot be read back" in plan.notes[-1]


@on_seaweed
def test_what_the_store_cannot_do_is_said(bench: S3Bench) -> None:
    db = bench.open()
    with pytest.raises(DatabaseOperationError, match="InvalidEncryptionAlgorithmError"):
        db.encryption.set("DSSE-KMS")
    assert db.encryption.get() is None


@on_moto
def test_wrong_input_sends_nothing(bench: S3Bench) -> None:
    db = bench.open()
    with bench.proxy.watch() as seen, pytest.raises(ConfigurationError, match="is none of SSE-S3"):
        db.encryption.set("SSE-KSM")
    assert not seen.requests
