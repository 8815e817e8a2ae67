"""Policy documents, pure: least privilege by the settings, statements beside others', what is refused before it is sent."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import pytest

from dataknobs_data.exceptions import ConfigurationError, IncompatibleStoreError
from dataknobs_data.s3.admin.control import PERMISSIONS
from dataknobs_data.s3.admin.policy.documents import Scope, literally, principal_of
from dataknobs_data.s3.admin.policy.merging import POLICY_BYTES_MAX, VERSION, canonical, same
from dataknobs_data.s3.admin.policy.section import (
    FOREIGN_NOTE,
    KEY_NOTE,
    PARTS_NOTE,
    PUBLIC_NOTE,
    SERVICE_NOTE,
    UPLOAD_NOTE,
    BucketPolicy,
)
from dataknobs_data.s3.store import Fault, Kind
from tests.unit.s3_bucket import FakeBucket, unset

ACCOUNT = "111122223333"
KEY = "11111111-2222-3333-4444-555555555555"
ARN = f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/{KEY}"
THEIRS: dict[str, Any] = {
    "Effect": "Allow",
    "Principal": {"AWS": "AIDAJQABLZS4A3QDU576Q"},
    "NotAction": ["s3:*"],
    "Resource": "arn:aws:s3:::source/x",
    "Condition": {"Bool": {"aws:MultiFactorAuthPresent": True}},
}


def policy(document: Any = None, **over: Any) -> tuple[BucketPolicy, FakeBucket]:
    """The helper on a bucket with this policy, which keeps what is written."""

    def read(_: Any) -> Any:
        if bucket.document is None:
            raise unset()
        return {"Policy": bucket.document}

    def write(parameters: Any) -> Any:
        bucket.document = parameters.get("Policy")
        return {}

    answers = {"GetBucketPolicy": read, "PutBucketPolicy": write, "DeleteBucketPolicy": write}
    bucket: Any = FakeBucket(answers, **over)
    bucket.document = None if document is None else json.dumps(document)
    return BucketPolicy(bucket.control_plane), bucket


def statements(document: dict[str, Any]) -> dict[str, Any]:
    return {one["Sid"]: one for one in document["Statement"]}


# ---------------------------------------------------------------------------------------------- identities
def test_the_least_is_exactly_this() -> None:
    document = policy()[0].identity("write")
    assert document == {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "Objects",
                "Effect": "Allow",
                "Action": [
                    *("s3:AbortMultipartUpload", "s3:DeleteObject", "s3:GetObject", "s3:GetObjectTagging"),
                    *("s3:PutObject", "s3:PutObjectTagging"),
                ],
                "Resource": "arn:aws:s3:::source/records/*",
            },
            {
                "Sid": "List",
                "Effect": "Allow",
                "Action": ["s3:ListBucket"],
                "Resource": "arn:aws:s3:::source",
                "Condition": {"StringLike": {"s3:prefix": "records/*"}},
            },
        ],
    }


def test_it_follows_the_settings() -> None:
    read = statements(policy(tags=False, prefix="")[0].identity("read"))
    assert read["Objects"]["Action"] == ["s3:GetObject"]
    assert read["Objects"]["Resource"] == "arn:aws:s3:::source/*"
    assert "Condition" not in read["List"], "there is no prefix to limit it to"
    assert "s3:PutObjectTagging" in str(policy(tags=["team"])[0].identity())
    assert statements(policy(create_bucket=True)[0].identity())["Bucket"]["Action"] == ["s3:CreateBucket"]
    assert "Bucket" not in statements(policy(create_bucket=True)[0].identity("read"))
    more = statements(policy()[0].identity("read", versions=True, restore=True))
    assert more["List"]["Action"] == ["s3:ListBucket", "s3:ListBucketVersions"]
    assert more["Objects"]["Action"] == [
        *("s3:GetObject", "s3:GetObjectTagging", "s3:GetObjectVersion", "s3:RestoreObject")
    ]


def test_an_expected_owner_keeps_it_out_of_strangers_buckets() -> None:
    document = statements(policy(expected_bucket_owner=ACCOUNT, encryption=ARN)[0].identity("admin"))
    for sid in ("Objects", "List", "Bucket"):
        assert document[sid]["Condition"]["StringEquals"] == {"aws:ResourceAccount": ACCOUNT}
    assert document["List"]["Condition"]["StringLike"] == {"s3:prefix": "records/*"}
    assert "aws:ResourceAccount" not in str(document["Key"]), "the key may be another account's"


def test_an_administrator_may_do_all_that_helpers_send() -> None:
    document = statements(policy()[0].identity("admin"))
    granted = {action for one in document.values() for action in one["Action"]}
    needed = {action for text in PERMISSIONS.values() for action in text.split(" and ")}
    assert needed - granted == {"iam:PassRole"}
    assert granted.isdisjoint({"s3:BypassGovernanceRetention", "s3:*", "s3:DeleteObjectVersion"})
    assert all("Object" not in action or "Bucket" in action for action in document["Bucket"]["Action"])
    assert {"s3:PutObjectRetention", "s3:RestoreObject", "s3:GetObjectVersion"} <= set(document["Objects"]["Action"])
    assert {"s3:PutBucketPolicy", "s3:GetBucketObjectLockConfiguration"} <= set(document["Bucket"]["Action"])


VIA = {"StringEquals": {"kms:ViaService": "s3.us-east-1.amazonaws.com"}}
ALIAS = {"ForAnyValue:StringEquals": {"kms:ResourceAliases": "alias/mine"}}


@pytest.mark.parametrize(
    ("encryption", "resource", "condition"),
    [
        (ARN, ARN, VIA),
        (KEY, f"arn:aws:kms:us-east-1:*:key/{KEY}", VIA),
        (f"DSSE-KMS:{KEY}", f"arn:aws:kms:us-east-1:*:key/{KEY}", VIA),
        ("alias/mine", "arn:aws:kms:us-east-1:*:key/*", {**VIA, **ALIAS}),
        (f"arn:aws:kms:eu-west-1:{ACCOUNT}:alias/mine", f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/*", {**VIA, **ALIAS}),
    ],
)
def test_a_key_is_used_through_s3_only(encryption: str, resource: str, condition: dict[str, Any]) -> None:
    helper = policy(encryption=encryption)[0]
    key = statements(helper.identity("write"))["Key"]
    assert (key["Resource"], key["Condition"]) == (resource, condition)
    assert key["Action"] == ["kms:Decrypt", "kms:GenerateDataKey"], "parts are put together by decrypting"
    assert statements(helper.identity("read"))["Key"]["Action"] == ["kms:Decrypt"]


@pytest.mark.parametrize("encryption", [None, "SSE-S3", "SSE-KMS"])
def test_without_a_key_of_ones_own_there_is_nothing_about_keys(encryption: str | None) -> None:
    assert "kms" not in str(policy(encryption=encryption)[0].identity("admin"))


@pytest.mark.parametrize(
    ("endpoint", "region", "partition", "found"),
    [
        ("https://s3.us-east-1.amazonaws.com", None, "aws", "us-east-1"),
        ("https://s3.amazonaws.com", None, "aws", None),
        ("https://s3.cn-north-1.amazonaws.com.cn", None, "aws-cn", "cn-north-1"),
        ("https://s3-fips.dualstack.us-gov-west-1.amazonaws.com", None, "aws-us-gov", "us-gov-west-1"),
        ("https://s3.dualstack.eu-west-1.amazonaws.com", None, "aws", "eu-west-1"),
        ("https://s3.us-iso-east-1.c2s.ic.gov", None, "aws-iso", "us-iso-east-1"),
        ("https://s3.amazonaws.com", "cn-northwest-1", "aws-cn", "cn-northwest-1"),
        ("http://127.0.0.1:8333", None, "aws", None),
    ],
)
def test_the_partition_is_that_of_the_region(
    endpoint: str, region: str | None, partition: str, found: str | None
) -> None:
    bucket = FakeBucket({}, endpoint=endpoint, region=region)
    scope = Scope.of(bucket.control_plane.settings, endpoint)
    assert (scope.partition, scope.region, scope.bucket_arn) == (partition, found, f"arn:{partition}:s3:::source")


def test_a_key_is_used_through_s3_only_where_the_region_is_not_known_too() -> None:
    key = statements(policy(encryption=ARN, endpoint="https://s3.amazonaws.com")[0].identity())["Key"]
    assert key["Condition"] == {"StringLike": {"kms:ViaService": "s3.*.amazonaws.com"}}


def test_a_key_in_china_is_used_through_s3_there() -> None:
    helper = policy(encryption=KEY, endpoint="https://s3.cn-north-1.amazonaws.com.cn")[0]
    key = statements(helper.identity())["Key"]
    assert key["Condition"]["StringEquals"] == {"kms:ViaService": "s3.cn-north-1.amazonaws.com.cn"}
    assert key["Resource"].startswith("arn:aws-cn:kms:cn-north-1:*:key/")


def test_a_prefix_means_itself() -> None:
    assert literally("a*b?c$d") == "a${*}b${?}c${$}d"
    document = statements(policy(prefix="a*/")[0].identity())
    assert document["Objects"]["Resource"] == "arn:aws:s3:::source/a${*}/*"
    assert document["List"]["Condition"] == {"StringLike": {"s3:prefix": "a${*}/*"}}


def test_an_access_point_has_its_own_arns_and_its_own_policy() -> None:
    arn = f"arn:aws:s3:eu-west-1:{ACCOUNT}:accesspoint/mine"
    bucket = FakeBucket({})
    object.__setattr__(bucket.control_plane.settings, "bucket", arn)
    helper = BucketPolicy(bucket.control_plane)
    document = statements(helper.identity("read"))
    assert (document["Objects"]["Resource"], document["List"]["Resource"]) == (f"{arn}/object/records/*", arn)
    for change in (lambda: helper.grant(ACCOUNT), helper.require_tls, helper.remove, lambda: helper.generate(ACCOUNT)):
        with pytest.raises(ConfigurationError, match="is an access point"):
            change()
    assert bucket.sent == []


# ---------------------------------------------------------------------------------------------- principals
@pytest.mark.parametrize(
    ("text", "principal"),
    [
        (ACCOUNT, {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}),
        (f"arn:aws:iam::{ACCOUNT}:root", {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}),
        (f"arn:aws:iam::{ACCOUNT}:role/a/b+c@d.e_f-g", {"AWS": f"arn:aws:iam::{ACCOUNT}:role/a/b+c@d.e_f-g"}),
        (f"arn:aws:sts::{ACCOUNT}:assumed-role/r/session", {"AWS": f"arn:aws:sts::{ACCOUNT}:assumed-role/r/session"}),
        ("service:cloudfront.amazonaws.com", {"Service": "cloudfront.amazonaws.com"}),
    ],
)
def test_principals(text: str, principal: Any) -> None:
    assert principal_of(text, Scope("b", "", "aws", None, None)) == principal


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("*", "everybody on the Internet"),
        ("1234", "is none of: an account"),
        ("", "is none of: an account"),
        ("alice", "is none of: an account"),
        (f"arn:aws:iam::{ACCOUNT}:user/*", "without wildcards"),
        (f"arn:aws:iam::{ACCOUNT}:group/all", "is none of"),
        ("arn:aws:iam::1:root", "is none of"),
        ("service:evil.example.com", "is none of"),
        (f"arn:aws-cn:iam::{ACCOUNT}:root", "partition aws-cn, the bucket in aws"),
    ],
)
def test_other_principals_are_refused_before_anything_is_sent(text: str, message: str) -> None:
    helper, bucket = policy()
    with pytest.raises(ConfigurationError, match=message):
        helper.grant(text)
    assert bucket.sent == []


def test_everybody_must_be_meant() -> None:
    plan = policy()[0].grant("*", allow_public=True, dry_run=True)
    assert {one["Principal"] for one in plan.after["Statement"]} == {"*"}
    assert plan.notes == (PUBLIC_NOTE,)


def test_a_service_comes_on_somebodys_behalf() -> None:
    service = "service:logging.s3.amazonaws.com"
    assert policy()[0].grant(service, dry_run=True).notes == (SERVICE_NOTE,)
    named = policy()[0].grant(service, source=f"arn:aws:s3:::{ACCOUNT}", dry_run=True)
    assert named.notes == ()
    assert named.after["Statement"][0]["Condition"] == {"ArnLike": {"aws:SourceArn": f"arn:aws:s3:::{ACCOUNT}"}}
    owned = policy(expected_bucket_owner=ACCOUNT)[0].grant(service, dry_run=True)
    assert owned.notes == ()
    assert owned.after["Statement"][0]["Condition"] == {"StringEquals": {"aws:SourceAccount": ACCOUNT}}
    with pytest.raises(ConfigurationError, match="neither an account"):
        policy()[0].grant(service, source="me")


def test_what_else_the_other_needs_is_noted() -> None:
    assert policy()[0].grant(ACCOUNT, dry_run=True).notes == (FOREIGN_NOTE,)
    assert policy(encryption=ARN)[0].grant(ACCOUNT, dry_run=True).notes == (KEY_NOTE, FOREIGN_NOTE)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"access": "reed"}, r"unknown access 'reed'; did you mean 'read'\?"),
        ({"access": "admin"}, "unknown access 'admin'"),
        ({"name": "require_tls"}, "cannot be called"),
        ({"name": "require_encryption"}, "cannot be called"),
    ],
)
def test_wrong_grants_are_refused_before_anything_is_sent(arguments: dict[str, Any], message: str) -> None:
    helper, bucket = policy()
    with pytest.raises(ConfigurationError, match=message):
        helper.grant(ACCOUNT, **arguments)
    with pytest.raises(ConfigurationError, match="unknown access 'wirte'"):
        helper.identity("wirte")
    assert bucket.sent == []


def test_the_document_can_be_had_without_the_bucket() -> None:
    helper, bucket = policy()
    document = helper.generate(ACCOUNT, "write")
    assert bucket.sent == []
    assert document == helper.grant(ACCOUNT, "write", dry_run=True).after


# ---------------------------------------------------------------------------------------------- denials
def test_tls_is_required_of_everybody() -> None:
    helper, bucket = policy()
    assert helper.require_tls().applied
    (statement,) = json.loads(bucket.document)["Statement"]  # type: ignore[attr-defined]
    assert statement["Resource"] == ["arn:aws:s3:::source", "arn:aws:s3:::source/*"]
    assert (statement["Effect"], statement["Principal"], statement["Action"]) == ("Deny", "*", "s3:*")
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert helper.remove("require_tls").after is None


def test_what_would_lock_us_out_is_refused_before_anything_is_sent() -> None:
    helper, bucket = policy(endpoint="http://127.0.0.1:8333")
    with pytest.raises(ConfigurationError, match=r"require_tls would lock this database out.*without TLS"):
        helper.require_tls()
    with pytest.raises(ConfigurationError, match="require_encryption would lock this database out"):
        helper.require_encryption()
    assert bucket.sent == []


SSE = "s3:x-amz-server-side-encryption"


@pytest.mark.parametrize(
    ("encryption", "conditions"),
    [
        ("SSE-S3", [{SSE: "AES256"}]),
        ("SSE-KMS", [{SSE: "aws:kms"}]),
        ("DSSE-KMS", [{SSE: "aws:kms:dsse"}]),
        (ARN, [{SSE: "aws:kms"}, {f"{SSE}-aws-kms-key-id": ARN}]),
        (KEY, [{SSE: "aws:kms"}]),
        (f"arn:aws:kms:eu-west-1:{ACCOUNT}:alias/mine", [{SSE: "aws:kms"}]),
    ],
)
def test_the_encryption_required_is_the_one_we_send(encryption: str, conditions: list[Any]) -> None:
    plan = policy(encryption=encryption)[0].require_encryption(dry_run=True)
    assert [one["Condition"]["StringNotEquals"] for one in plan.after["Statement"]] == conditions
    for one in plan.after["Statement"]:
        assert (one["Effect"], one["Action"]) == ("Deny", "s3:PutObject")
        assert one["Resource"] == "arn:aws:s3:::source/records/*", "not of other prefixes"
        assert one["Sid"].isalnum()
    assert plan.notes == (UPLOAD_NOTE,)
    elsewhere = policy(encryption=encryption, endpoint="http://127.0.0.1:8333")[0]
    assert elsewhere.require_encryption(dry_run=True).notes == (UPLOAD_NOTE, PARTS_NOTE)


# ---------------------------------------------------------------------------------------------- beside others
def test_others_are_written_back_as_they_were() -> None:
    before = {"Version": VERSION, "Id": "x", "Statement": [THEIRS]}
    helper, bucket = policy(before)
    kept = deepcopy(before)
    plan = helper.grant(ACCOUNT)
    assert plan.before == kept
    after = json.loads(bucket.document)  # type: ignore[attr-defined]
    assert (after["Id"], after["Statement"][0], len(after["Statement"])) == ("x", THEIRS, 3)
    assert helper.remove().applied
    assert json.loads(bucket.document) == kept  # type: ignore[attr-defined]


def test_a_single_statement_may_stand_without_a_list() -> None:
    helper, bucket = policy({"Version": VERSION, "Statement": THEIRS})
    assert helper.remove().changes is False
    assert helper.remove().notes == ("the policy holds no statement of this database",)
    assert helper.remove("laoder").notes == ("the policy holds no statement of this database called 'laoder'",)
    helper.grant(ACCOUNT)
    assert helper.grant(ACCOUNT).notes == ()
    assert json.loads(bucket.document)["Statement"][0] == THEIRS  # type: ignore[attr-defined]


def test_grants_are_told_apart_by_name_and_prefix() -> None:
    helper, bucket = policy()
    helper.grant(ACCOUNT)
    helper.grant(ACCOUNT, "write", name="other")
    helper.grant(ACCOUNT, "write")
    document = json.loads(bucket.document)  # type: ignore[attr-defined]
    assert len(document["Statement"]) == 4
    assert all(one["Sid"].isalnum() for one in document["Statement"])
    neighbor, theirs = policy(document, prefix="records/nested/")
    assert not neighbor.remove().changes
    assert not neighbor.remove("other").changes
    assert helper.remove("other").applied
    assert len(json.loads(bucket.document)["Statement"]) == 2  # type: ignore[attr-defined]
    assert theirs.operations == ["GetBucketPolicy", "GetBucketPolicy"]


def test_what_would_be_too_long_is_not_sent() -> None:
    long = {**THEIRS, "Resource": [f"arn:aws:s3:::source/{number:0100}" for number in range(163)]}
    helper, bucket = policy({"Version": VERSION, "Statement": [long]})
    before = bucket.document  # type: ignore[attr-defined]
    assert len(before) < POLICY_BYTES_MAX
    with pytest.raises(ConfigurationError, match=r"would have 20,\d{3} bytes, S3 allows 20,480"):
        helper.grant(ACCOUNT, dry_run=True)
    assert bucket.operations == ["GetBucketPolicy"]


def test_an_old_version_of_the_language_is_not_changed_behind_others_backs() -> None:
    old = {"Version": "2008-10-17", "Statement": [THEIRS]}
    assert policy(old)[0].grant(ACCOUNT, dry_run=True).after["Version"] == "2008-10-17"
    with pytest.raises(ConfigurationError, match="no way to say a prefix with"):
        policy(old, prefix="a*/")[0].grant(ACCOUNT)


def test_spellings_of_one_statement_are_the_same() -> None:
    plain = {
        "Sid": "A",
        "Effect": "Allow",
        "Principal": {"AWS": [f"arn:aws:iam::{ACCOUNT}:root"]},
        "Action": ["s3:GetObject", "s3:ListBucket"],
        "Resource": ["a"],
        "Condition": {"Bool": {"aws:SecureTransport": ["true"]}},
    }
    respelled = {
        **plain,
        "Principal": {"AWS": ACCOUNT},
        "Action": ["s3:listbucket", "s3:GetObject"],
        "Resource": "a",
        "Condition": {"Bool": {"AWS:SecureTransport": True}},
    }
    assert canonical(plain) == canonical(respelled)
    assert canonical({"Principal": "*"}) == canonical({"Principal": {"AWS": ["*"]}, "Condition": {}})
    for key, value in (
        ("Action", "s3:GetObject"),
        ("Effect", "Deny"),
        ("Resource", "A"),
        ("Sid", "B"),
        ("Condition", {}),
    ):
        assert canonical(plain) != canonical({**plain, key: value}), key
    document = {"Version": VERSION, "Statement": [plain, THEIRS]}
    assert same(document, {"Version": VERSION, "Statement": [THEIRS, respelled]})
    assert not same(document, {"Version": VERSION, "Statement": [plain]})
    assert not same(document, {**document, "Version": "2008-10-17"})
    assert not same(document, None)
    assert same(None, None)


def test_a_store_that_respells_is_not_written_to_again() -> None:
    helper, bucket = policy()
    helper.grant(ACCOUNT)
    document = json.loads(bucket.document)  # type: ignore[attr-defined]
    for one in document["Statement"]:
        one["Action"] = one["Action"][0] if len(one["Action"]) == 1 else one["Action"][::-1]
        one["Principal"] = {"AWS": [one["Principal"]["AWS"]]}
    bucket.document = json.dumps(document)  # type: ignore[attr-defined]
    assert not helper.grant(ACCOUNT).changes
    assert bucket.operations.count("PutBucketPolicy") == 1


def test_a_store_that_loses_a_statement_is_noticed() -> None:
    helper, bucket = policy()
    bucket.answers["PutBucketPolicy"] = {}
    plan = helper.grant(ACCOUNT)
    assert plan.applied
    assert "the store kept something else" in plan.notes[-1]


def test_a_store_without_policies_says_so() -> None:
    helper, bucket = policy()
    bucket.answers["GetBucketPolicy"] = Fault(Kind.UNSUPPORTED, "HTTP 501, NotImplemented", status=501)
    with pytest.raises(IncompatibleStoreError, match="does not implement"):
        helper.grant(ACCOUNT)
