"""What stands in the headers of requests, seen at a proxy: encryption, owner, class, region, tokens, checksums."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from typing import Any

import pytest

from dataknobs_data.records import Record
from tests.s3_bench import Places, S3Bench
from tests.servers import S3Server
from tests.wire.proxy import WireProxy

LARGE = "x" * 6 * 1024 * 1024
KEY_ARN = "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555"
ENCRYPTION, KMS_KEY = "x-amz-server-side-encryption", "x-amz-server-side-encryption-aws-kms-key-id"
BUCKET_KEY = "x-amz-server-side-encryption-bucket-key-enabled"

pytestmark = pytest.mark.parametrize("s3_server", ["moto_server"], indirect=True)  # it takes every setting


@pytest.fixture
def wire(s3_server: S3Server, proxy: WireProxy, s3_places: Places) -> Iterator[S3Bench]:
    with ExitStack() as ends:
        yield S3Bench(s3_server, *s3_places[s3_server], ends, proxy)


def writes(wire: S3Bench, **settings: Any) -> dict[str, Mapping[str, str]]:
    """The headers of what begins an object: of the PUT of a small record, and of the first request for a large one."""
    db = wire.open(**settings)
    with wire.proxy.watch() as seen:
        db.create(Record({}, id="small"))
        db.create(Record({"data": LARGE}, id="large"))
    return {
        request.operation: request.headers
        for request in seen.requests
        if request.operation in ("PutObject", "CreateMultipartUpload") and "_jobs/" not in request.key
    }


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        (None, {ENCRYPTION: None, KMS_KEY: None, BUCKET_KEY: None}),
        ("SSE-S3", {ENCRYPTION: "AES256", KMS_KEY: None, BUCKET_KEY: None}),
        ("AES256", {ENCRYPTION: "AES256"}),
        ("SSE-KMS", {ENCRYPTION: "aws:kms", KMS_KEY: None, BUCKET_KEY: "true"}),
        ("aws:kms", {ENCRYPTION: "aws:kms", KMS_KEY: None}),
        (KEY_ARN, {ENCRYPTION: "aws:kms", KMS_KEY: KEY_ARN, BUCKET_KEY: "true"}),
    ],
)
def test_encryption_is_asked_for_with_every_record(
    wire: S3Bench, setting: str | None, expected: dict[str, str | None]
) -> None:
    for operation, headers in writes(wire, encryption=setting).items():
        assert {name: headers.get(name) for name in expected} == expected, operation


def test_the_storage_class_is_that_of_every_record(wire: S3Bench) -> None:
    for operation, headers in writes(wire, storage_class="STANDARD_IA").items():
        assert headers["x-amz-storage-class"] == "STANDARD_IA", operation
    for operation, headers in writes(wire, prefix="other/").items():
        assert "x-amz-storage-class" not in headers, operation


def test_the_owner_is_named_in_every_request(wire: S3Bench) -> None:
    db = wire.connect(expected_bucket_owner="123456789012")
    with wire.proxy.watch() as seen:
        db.create(Record({"data": LARGE}, id="large"))
        db.read("large")
        db.update("large", Record({}))
        db.search()
        db.exists("large")
        db.tags("large")
        db.delete("large")
        db.batch_create(Record({}, id=str(n)) for n in range(3))
        db.batch_delete(["0", "1"])
    assert len({request.operation for request in seen.requests}) >= 10
    for request in seen.requests:
        assert request.headers.get("x-amz-expected-bucket-owner") == "123456789012", request.operation


def test_region_and_session_token_stand_in_every_signature(wire: S3Bench) -> None:
    db = wire.connect(region="eu-central-1", session_token="a-token")
    with wire.proxy.watch() as seen:
        db.create(Record({}, id="x"))
        db.read("x")
        db.count()
    for request in seen.requests:
        assert "/eu-central-1/s3/aws4_request" in request.headers["authorization"], request.operation
        assert request.headers["x-amz-security-token"] == "a-token", request.operation


def test_compatible_stores_get_no_checksums_that_they_might_not_know(wire: S3Bench) -> None:
    for operation, headers in writes(wire).items():
        assert not [name for name in headers if "checksum" in name], operation


def test_names_can_be_read_in_the_address(wire: S3Bench) -> None:
    """Path style: a local server has no host name for each bucket."""
    with wire.proxy.watch() as seen:
        wire.open().create(Record({}, id="x"))
    assert {request.bucket for request in seen.requests} == {wire.bucket}
    assert wire.key("x") in {request.key for request in seen.requests}
