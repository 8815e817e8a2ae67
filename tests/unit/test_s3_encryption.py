"""Encryption: its names, and what a bucket's default becomes."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from dataknobs_data.exceptions import ConfigurationError, DatabaseConnectionError
from dataknobs_data.s3.admin.encryption import BucketEncryption, ObjectEncryption, is_stores_own, removing, setting
from dataknobs_data.s3.encryption import Encryption
from dataknobs_data.s3.settings import s3_settings
from dataknobs_data.s3.store import Fault, Kind, Page
from tests.unit.s3_bucket import FakeBucket, denied, unset

ARN = "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555"
UUID = "11111111-2222-3333-4444-555555555555"
OWN = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}, "BucketKeyEnabled": False}]}
BLOCKED = {"BlockedEncryptionTypes": {"EncryptionType": ["SSE-C"]}}


# ---------------------------------------------------------------------------------------------- names
@pytest.mark.parametrize(
    ("text", "expected", "name"),
    [
        ("SSE-S3", Encryption("AES256"), "SSE-S3"),
        ("aes256", Encryption("AES256"), "SSE-S3"),
        ("SSE-KMS", Encryption("aws:kms"), "SSE-KMS"),
        ("aws:kms", Encryption("aws:kms"), "SSE-KMS"),
        ("dsse-kms", Encryption("aws:kms:dsse"), "DSSE-KMS"),
        ("aws:kms:dsse", Encryption("aws:kms:dsse"), "DSSE-KMS"),
        (ARN, Encryption("aws:kms", ARN), "SSE-KMS"),
        (UUID, Encryption("aws:kms", UUID), "SSE-KMS"),
        ("alias/mine", Encryption("aws:kms", "alias/mine"), "SSE-KMS"),
        (f"DSSE-KMS:{ARN}", Encryption("aws:kms:dsse", ARN), "DSSE-KMS"),
        ("SSE-KMS:sse-key", Encryption("aws:kms", "sse-key"), "SSE-KMS"),
        ("a-minio-key", Encryption("aws:kms", "a-minio-key"), "SSE-KMS"),
    ],
)
def test_one_table_of_names_for_settings_and_buckets(text: str, expected: Encryption, name: str) -> None:
    found = Encryption.parse(text)
    assert found == expected
    assert expected.name == name
    assert s3_settings({"bucket": "b", "encryption": text}).encryption == text


@pytest.mark.parametrize(
    "wrong", ["SSE", "SSE-KSM", "sse_s3", "AES-256", "aws:kmss", "DSSE", "a key", "ключ", "DSSE-KMS:"]
)
def test_what_is_nearly_a_name_is_no_key(wrong: str) -> None:
    """Else a typing error would be a KMS key that every write fails for."""
    for use in (Encryption.parse, lambda text: s3_settings({"bucket": "b", "encryption": text})):
        with pytest.raises(ConfigurationError, match="is none of SSE-S3, SSE-KMS, DSSE-KMS") as caught:
            use(wrong)
        assert caught.value.context["key"] == "encryption"


def test_bucket_keys_go_with_sse_kms_only() -> None:
    assert Encryption("aws:kms", ARN).parameters() == {
        "ServerSideEncryption": "aws:kms",
        "SSEKMSKeyId": ARN,
        "BucketKeyEnabled": True,
    }
    assert Encryption("aws:kms:dsse", ARN).parameters() == {"ServerSideEncryption": "aws:kms:dsse", "SSEKMSKeyId": ARN}
    assert Encryption("AES256").parameters() == {"ServerSideEncryption": "AES256"}


# ---------------------------------------------------------------------------------------------- decisions
def after_setting(before: Any, text: str, bucket_key: bool = True) -> tuple[Any, list[str]]:
    wish = Encryption.parse(text)
    assert wish
    kept = deepcopy(before)
    decided = setting(wish, bucket_key)(before)
    assert before == kept, "what was read is not changed: the plan shows it"
    return decided


@pytest.mark.parametrize(
    ("text", "bucket_key", "default", "key_enabled", "says"),
    [
        ("SSE-S3", True, {"SSEAlgorithm": "AES256"}, False, []),
        ("SSE-KMS", True, {"SSEAlgorithm": "aws:kms"}, True, ["up to 99%", "aws/s3", "kms:GenerateDataKey"]),
        (ARN, True, {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": ARN}, True, ["up to 99%", "kms:Decrypt"]),
        (ARN, False, {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": ARN}, False, ["without a bucket key"]),
        ("alias/x", True, {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "alias/x"}, True, ["not given as an ARN"]),
        ("DSSE-KMS", True, {"SSEAlgorithm": "aws:kms:dsse"}, False, ["knows no bucket keys"]),
    ],
)
def test_the_default_as_s3_wants_it_and_what_to_know(
    text: str, bucket_key: bool, default: Any, key_enabled: bool, says: list[str]
) -> None:
    after, notes = after_setting(None, text, bucket_key)
    assert after == {"Rules": [{"ApplyServerSideEncryptionByDefault": default, "BucketKeyEnabled": key_enabled}]}
    assert notes[0].startswith("objects that there are stay as they are")
    for part in says:
        assert any(part in note for note in notes), part
    if text == ARN:
        assert not any("ARN:" in note or "aws/s3" in note for note in notes)


def test_what_else_the_rule_says_stays() -> None:
    before = {"Rules": [{**OWN["Rules"][0], **BLOCKED}]}
    after, _ = after_setting(before, "SSE-KMS")
    assert after["Rules"] == [
        {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}, "BucketKeyEnabled": True, **BLOCKED}
    ]
    back, _ = removing(after)
    assert back == before, "a DELETE would take the block along"
    assert removing(before) == (before, []), "nothing to change"
    only_blocked = {"Rules": [dict(BLOCKED)]}
    assert removing(only_blocked)[0] == only_blocked


def test_an_old_key_goes_with_its_algorithm() -> None:
    before, _ = after_setting(None, ARN)
    after, _ = after_setting(before, "SSE-S3")
    assert after == OWN


def test_what_is_so_already_is_no_change() -> None:
    short = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]}
    for before in (OWN, short):
        assert after_setting(before, "SSE-S3")[0] == before
        assert removing(before)[0] == before
        assert is_stores_own(before)
    assert is_stores_own(None)
    assert removing(None) == (None, [])
    assert not is_stores_own(after_setting(None, "SSE-KMS")[0])


# ---------------------------------------------------------------------------------------------- the requests
def aws_bucket(**answers: Any) -> FakeBucket:
    """A bucket on AWS: without a configuration it shows its own default, https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketEncryption.html."""
    stored: dict[str, Any] = {"now": OWN}

    def put(parameters: dict[str, Any]) -> dict[str, Any]:
        stored["now"] = parameters["ServerSideEncryptionConfiguration"]
        return {}

    def delete(parameters: dict[str, Any]) -> dict[str, Any]:
        stored["now"] = OWN
        return {}

    def get(parameters: dict[str, Any]) -> dict[str, Any]:
        return {"ServerSideEncryptionConfiguration": deepcopy(stored["now"])}

    return FakeBucket(
        {"GetBucketEncryption": get, "PutBucketEncryption": put, "DeleteBucketEncryption": delete, **answers}
    )


def test_on_aws_going_back_shows_sse_s3_and_that_is_no_difference() -> None:
    bucket = aws_bucket()
    encryption = BucketEncryption(bucket.control_plane)
    assert not encryption.remove().changes
    plan = encryption.set(ARN)
    assert plan.applied
    assert not any("a store without a KMS" in note for note in plan.notes)
    assert not encryption.set(ARN).changes
    plan = encryption.remove()
    assert plan.applied
    assert plan.after is None
    assert not any("kept something else" in note for note in plan.notes)
    assert encryption.get() == OWN
    assert [one for one in bucket.operations if not one.startswith("Get")] == [
        "PutBucketEncryption",
        "DeleteBucketEncryption",
    ]


def test_a_default_that_did_not_go_is_noted() -> None:
    bucket = aws_bucket(DeleteBucketEncryption={})
    encryption = BucketEncryption(bucket.control_plane)
    encryption.set(ARN)
    assert any("kept something else" in note for note in encryption.remove().notes)


@pytest.mark.parametrize(
    ("operation", "permission"),
    [
        ("GetBucketEncryption", "s3:GetEncryptionConfiguration"),
        ("PutBucketEncryption", "s3:PutEncryptionConfiguration"),
        ("DeleteBucketEncryption", "s3:PutEncryptionConfiguration"),
    ],
)
def test_a_missing_permission_is_named(operation: str, permission: str) -> None:
    bucket = aws_bucket()
    encryption = BucketEncryption(bucket.control_plane)
    if operation == "DeleteBucketEncryption":
        encryption.set(ARN)
    bucket.answers[operation] = denied()
    with pytest.raises(DatabaseConnectionError, match=f"grant this identity {permission}"):
        encryption.remove() if operation.startswith("Delete") else encryption.set("SSE-KMS")


@pytest.mark.parametrize("wrong", ["", "SSE", "aes"])
def test_wrong_input_sends_nothing(wrong: str) -> None:
    bucket = FakeBucket({})
    with pytest.raises(ConfigurationError, match="SSE-KMS"):
        BucketEncryption(bucket.control_plane).set(wrong)
    assert bucket.sent == []


def test_a_store_that_names_no_default_has_none() -> None:
    bucket = FakeBucket({"GetBucketEncryption": unset()})
    assert BucketEncryption(bucket.control_plane).get() is None


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, ObjectEncryption(None, None, None, False)),
        ({"ServerSideEncryption": "AES256"}, ObjectEncryption("SSE-S3", "AES256", None, False)),
        (
            {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": ARN, "BucketKeyEnabled": True},
            ObjectEncryption("SSE-KMS", "aws:kms", ARN, True),
        ),
        ({"ServerSideEncryption": "aws:kms:dsse"}, ObjectEncryption("DSSE-KMS", "aws:kms:dsse", None, False)),
        ({"ServerSideEncryption": "aws:fsx"}, ObjectEncryption("aws:fsx", "aws:fsx", None, False)),
        ({"SSECustomerAlgorithm": "AES256"}, ObjectEncryption("SSE-C", "AES256", None, False)),
    ],
)
def test_how_an_object_is_encrypted(headers: dict[str, Any], expected: ObjectEncryption) -> None:
    bucket = FakeBucket({"HeadObject": headers})
    assert BucketEncryption(bucket.control_plane).of("x") == expected


def test_there_is_no_encryption_of_what_is_not_there() -> None:
    bucket = FakeBucket({"HeadObject": Fault(Kind.MISSING, "HTTP 404", status=404), "HeadBucket": {}})
    assert BucketEncryption(bucket.control_plane).of("x") is None
    assert bucket.operations == ["HeadObject", "HeadBucket"]
    bucket = FakeBucket({"HeadObject": denied()})
    with pytest.raises(DatabaseConnectionError, match="s3:GetObject"):
        BucketEncryption(bucket.control_plane).of("x")
    bucket = FakeBucket({"HeadObject": denied(), "ListObjectsV2": Page([], None), "HeadBucket": denied()})
    assert BucketEncryption(bucket.control_plane).of("x") is None, "who may list the prefix only is told 403 for that"
