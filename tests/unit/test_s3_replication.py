"""Replication: what the configuration becomes, what is refused before anything is sent, and the role's documents."""

from __future__ import annotations

import json
import shlex
from copy import deepcopy
from typing import Any

import pytest

from dataknobs_data.exceptions import (
    ConfigurationError,
    DatabaseConnectionError,
    DatabaseOperationError,
    DataknobsDataError,
    IncompatibleStoreError,
    RecordNotFoundError,
)
from dataknobs_data.s3.admin.replication.rule import Wish, adding, removing, rule_id_start, rule_name
from dataknobs_data.s3.admin.replication.section import Replication
from dataknobs_data.s3.store import Fault, Kind
from tests.unit.s3_bucket import FakeBucket, denied, unset
from tests.unit.s3_fakes import settings

ROLE = "arn:aws:iam::123456789012:role/replication"
OTHER_ROLE = "arn:aws:iam::123456789012:role/other"
KMS = "arn:aws:kms:eu-west-1:210987654321:key/11111111-2222-3333-4444-555555555555"
START = rule_id_start("records/")
THEIRS: dict[str, Any] = {
    "ID": "theirs",
    "Priority": 7,
    "Filter": {"And": {"Prefix": "logs/", "Tags": [{"Key": "a", "Value": "b"}]}},
    "Status": "Disabled",
    "SourceSelectionCriteria": {"ReplicaModifications": {"Status": "Enabled"}},
    "Destination": {"Bucket": "arn:aws:s3:::elsewhere", "StorageClass": "GLACIER_IR"},
    "DeleteMarkerReplication": {"Status": "Disabled"},
}
V1: dict[str, Any] = {"ID": "old", "Prefix": "x/", "Status": "Enabled", "Destination": {"Bucket": "arn:aws:s3:::y"}}


def wish(**over: Any) -> Wish:
    given: dict[str, Any] = {
        "prefix": "records/",
        "source": "source",
        "to_bucket": "target",
        "partition": "aws",
        "role": ROLE,
        "name": "replica",
        "account": None,
        "storage_class": None,
        "kms_key": None,
        "delete_markers": True,
        "time_control": False,
    }
    return Wish.checked(**{**given, **over})


def added(before: Any, encryption: str | None = None, **over: Any) -> tuple[Any, list[str]]:
    kept = deepcopy(before)
    decided = adding(wish(**over), START, encryption)(before)
    assert before == kept, "what was read is not changed: the plan shows it"
    return decided


OURS: dict[str, Any] = {
    "ID": "dataknobs-data:records/:replica",
    "Priority": 1,
    "Filter": {"Prefix": "records/"},
    "Status": "Enabled",
    "Destination": {"Bucket": "arn:aws:s3:::target"},
    "DeleteMarkerReplication": {"Status": "Enabled"},
}


# ---------------------------------------------------------------------------------------------- adding
def test_the_first_rule_copies_this_prefix_and_its_deletions() -> None:
    after, notes = added(None)
    assert after == {"Role": ROLE, "Rules": [OURS]}
    said = " ".join(notes)
    assert "Batch Replication" in said
    assert "what a lifecycle rule deletes here stays there" in said
    assert "bucket 'target', the same prefix 'records/'" in said
    assert "lives on" not in said
    assert "NOT copied" not in said


def test_every_option_stands_in_the_rule_as_s3_wants_it() -> None:
    after, notes = added(
        None, account="210987654321", storage_class="GLACIER", kms_key=KMS, delete_markers=False, time_control=True
    )
    assert after["Rules"] == [
        {
            "ID": "dataknobs-data:records/:replica",
            "Priority": 1,
            "Filter": {"Prefix": "records/"},
            "Status": "Enabled",
            "SourceSelectionCriteria": {"SseKmsEncryptedObjects": {"Status": "Enabled"}},
            "Destination": {
                "Bucket": "arn:aws:s3:::target",
                "Account": "210987654321",
                "AccessControlTranslation": {"Owner": "Destination"},
                "StorageClass": "GLACIER",
                "EncryptionConfiguration": {"ReplicaKmsKeyID": KMS},
                "ReplicationTime": {"Status": "Enabled", "Time": {"Minutes": 15}},
                "Metrics": {"Status": "Enabled", "EventThreshold": {"Minutes": 15}},
            },
            "DeleteMarkerReplication": {"Status": "Disabled"},
        }
    ]
    said = " ".join(notes)
    for part in ("lives on there", "Time Control is paid for", "must be restored before"):
        assert part in said


def test_rules_of_others_stay_as_they_are_and_count_for_the_priority() -> None:
    before = {"Role": ROLE, "Rules": [THEIRS, {**THEIRS, "ID": "dataknobs-data:other/:replica", "Priority": 3}]}
    after, _ = added(before)
    assert after == {"Role": ROLE, "Rules": [*before["Rules"], {**OURS, "Priority": 8}]}
    assert added({**before, "Later": 1})[0]["Later"] == 1, "what S3 may add to configurations one day"


def test_changing_our_rule_keeps_its_place_and_priority() -> None:
    before = {"Role": ROLE, "Rules": [{**OURS, "Priority": 4, "Status": "Disabled"}, THEIRS]}
    after, _ = added(before, storage_class="STANDARD_IA")
    changed = {**OURS, "Priority": 4, "Destination": {"Bucket": "arn:aws:s3:::target", "StorageClass": "STANDARD_IA"}}
    assert after["Rules"] == [changed, THEIRS]
    assert added(after, storage_class="STANDARD_IA")[0] == after, "twice is once"


def test_a_second_target_is_a_second_rule() -> None:
    first, _ = added(None)
    after, _ = added(first, to_bucket="arn:aws-cn:s3:::third", name="china")
    assert [rule["Priority"] for rule in after["Rules"]] == [1, 2]
    assert after["Rules"][1]["Destination"] == {"Bucket": "arn:aws-cn:s3:::third"}
    assert after["Rules"][1]["ID"] == START + "china"


def test_one_role_serves_all_rules_of_a_bucket() -> None:
    with pytest.raises(ConfigurationError, match=f"use the role {OTHER_ROLE}.*pass that role"):
        added({"Role": OTHER_ROLE, "Rules": [THEIRS]})
    after, _ = added({"Role": OTHER_ROLE, "Rules": [OURS]})
    assert after["Role"] == ROLE, "where the only rule is the one that is changed, nobody else is touched"


def test_rules_of_the_earlier_form_are_not_mixed_with_ours() -> None:
    with pytest.raises(ConfigurationError, match=r"earlier form.*: old.*Filter, Priority and DeleteMarkerReplication"):
        added({"Role": ROLE, "Rules": [V1]})
    assert removing(START, None)({"Role": ROLE, "Rules": [V1]})[0] == {"Role": ROLE, "Rules": [V1]}


def test_no_more_rules_than_s3_allows() -> None:
    rules = [{**THEIRS, "ID": str(number), "Priority": number} for number in range(1000)]
    with pytest.raises(ConfigurationError, match="has 1000 rules"):
        added({"Role": ROLE, "Rules": rules})


@pytest.mark.parametrize(("prefix", "meets"), [("", True), ("rec", True), ("records/2024/", True), ("logs/", False)])
def test_a_rule_for_the_same_objects_and_target_is_pointed_out(prefix: str, meets: bool) -> None:
    other = {**THEIRS, "Filter": {"Prefix": prefix}, "Destination": {"Bucket": "arn:aws:s3:::target"}}
    _, notes = added({"Role": ROLE, "Rules": [other]})
    assert any("rule 'theirs' copies some of the same objects" in note for note in notes) is meets
    _, notes = added({"Role": ROLE, "Rules": [{**other, "Destination": {"Bucket": "arn:aws:s3:::x"}}]})
    assert not any("same objects" in note for note in notes)


@pytest.mark.parametrize(("setting", "left_out"), [(None, False), ("SSE-S3", False), ("SSE-KMS", True), (KMS, True)])
def test_what_is_encrypted_with_kms_is_not_copied_without_a_key_there(setting: str | None, left_out: bool) -> None:
    assert any("NOT copied" in note for note in added(None, setting)[1]) is left_out
    assert not any("NOT copied" in note for note in added(None, setting, kms_key=KMS)[1])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"to_bucket": "source"}, "own bucket"),
        ({"to_bucket": "arn:aws:s3:::source"}, "own bucket"),
        ({"to_bucket": "s3://target/prefix"}, "neither a bucket's name nor its ARN"),
        ({"to_bucket": "arn:aws:iam::1:role/x"}, "neither a bucket's name nor its ARN"),
        ({"to_bucket": ""}, "neither a bucket's name"),
        ({"role": "replication"}, r"no ARN of an IAM role.*role_documents\(\)"),
        ({"role": "arn:aws:iam::123456789012:user/me"}, "no ARN of an IAM role"),
        ({"name": "a:b"}, "name 'a:b' must be"),
        ({"name": ""}, "must be 1 to 40"),
        ({"name": "x" * 41}, "must be 1 to 40"),
        ({"account": "1234"}, "12 digits"),
        ({"storage_class": "STANDARD-IA"}, "did you mean 'STANDARD_IA'"),
        ({"storage_class": "OUTPOSTS"}, "none that replicas may have"),
        ({"kms_key": "alias/mine"}, "must be the ARN of a KMS key"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_sent(wrong: dict[str, Any], message: str) -> None:
    bucket = FakeBucket({})
    options = {"to_bucket": "target", "role": ROLE, **wrong}
    with pytest.raises(ConfigurationError, match=message):
        Replication(bucket.control_plane).add(options.pop("to_bucket"), **options)
    assert bucket.sent == []


# ---------------------------------------------------------------------------------------------- removing
def test_removing_takes_this_databases_rules_only() -> None:
    stay = [THEIRS, {**OURS, "ID": "dataknobs-data:records/2024/:replica"}, {**OURS, "ID": "dataknobs-data::replica"}]
    before = {"Role": ROLE, "Rules": [stay[0], OURS, stay[1], {**OURS, "ID": START + "second"}, stay[2]]}
    after, notes = removing(START, None)(before)
    assert after == {"Role": ROLE, "Rules": stay}
    assert notes == ["the replicas that there are stay"]
    after, _ = removing(START, "second")(before)
    assert [rule["ID"] for rule in after["Rules"]] == ["theirs", OURS["ID"], stay[1]["ID"], stay[2]["ID"]]
    assert removing(START, None)({"Role": ROLE, "Rules": [OURS]})[0] is None


def test_removing_what_is_not_there_changes_nothing_and_names_what_is() -> None:
    before = {"Role": ROLE, "Rules": [OURS]}
    assert removing(START, "replca")(before) == (
        before,
        ["there is no rule 'replca' of this database; there are: replica"],
    )
    assert removing(START, None)(None) == (None, ["this database has no rule"])


@pytest.mark.parametrize("prefix", ["", "records/", "a:b/", "x" * 900 + "/"])
def test_a_rule_id_says_whose_it_is_and_fits(prefix: str) -> None:
    id = rule_id_start(prefix) + "n" * 40
    assert len(id) <= 255
    assert rule_name({"ID": id}, rule_id_start(prefix)) == "n" * 40
    for other in ("", "records/", "a:b/", "b/", "x" * 901 + "/", "records/2024/"):
        if other != prefix:
            assert rule_name({"ID": id}, rule_id_start(other)) is None


# ---------------------------------------------------------------------------------------------- the requests
ENABLED = {"Status": "Enabled"}


def versions(source: Any = ENABLED, target: Any = ENABLED) -> Any:
    def answer(parameters: dict[str, Any]) -> dict[str, Any]:
        found = target if parameters.get("Bucket") == "target" else source
        if isinstance(found, Fault):
            raise found
        assert isinstance(found, dict)
        return found

    return answer


def bucket_with(configuration: Any = None, **answers: Any) -> FakeBucket:
    """A bucket that keeps what is put, as AWS does."""
    stored: dict[str, Any] = {"now": configuration}

    def get(parameters: dict[str, Any]) -> dict[str, Any]:
        if stored["now"] is None:
            raise unset("ReplicationConfigurationNotFoundError")
        return {"ReplicationConfiguration": deepcopy(stored["now"])}

    def put(parameters: dict[str, Any]) -> dict[str, Any]:
        kept = parameters["ReplicationConfiguration"]
        stored["now"] = {**kept, "Rules": kept["Rules"][::-1]}
        return {}

    def delete(parameters: dict[str, Any]) -> dict[str, Any]:
        stored["now"] = None
        return {}

    return FakeBucket(
        {
            "GetBucketVersioning": versions(),
            "GetBucketReplication": get,
            "PutBucketReplication": put,
            "DeleteBucketReplication": delete,
            **answers,
        }
    )


def test_a_rule_is_added_changed_and_removed() -> None:
    bucket = bucket_with({"Role": ROLE, "Rules": [THEIRS]})
    replication = Replication(bucket.control_plane)
    plan = replication.add("target", role=ROLE)
    assert plan.applied
    assert not any("store kept" in note for note in plan.notes), "the order of rules means nothing"
    assert {"Bucket": "target"} in [parameters for _, parameters in bucket.sent]
    assert replication.ours() == [{**OURS, "Priority": 8}]
    assert len(replication.rules()) == 2
    again = replication.add("target", role=ROLE)
    assert (again.changes, again.applied) == (False, False)
    assert replication.remove().applied
    assert replication.rules() == [THEIRS]
    assert bucket.operations.count("PutBucketReplication") == 2
    assert "DeleteBucketReplication" not in bucket.operations


def test_the_last_rule_goes_with_the_configuration_and_nothing_unseen_is_deleted() -> None:
    """A store that does not know `?replication` takes that DELETE for the bucket's."""
    bucket = bucket_with()
    replication = Replication(bucket.control_plane)
    assert not replication.remove().changes
    assert not replication.remove("replica").changes
    assert "DeleteBucketReplication" not in bucket.operations
    replication.add("target", role=ROLE)
    assert replication.remove(dry_run=True).after is None
    assert "DeleteBucketReplication" not in bucket.operations
    assert replication.remove().applied
    assert replication.rules() == []


def test_a_dry_run_sends_no_change() -> None:
    bucket = bucket_with(GetBucketVersioning=versions(source={}))
    plan = Replication(bucket.control_plane).add("target", role=ROLE, enable_versioning=True, dry_run=True)
    assert plan.changes
    assert plan.notes[0] == "versioning of this bucket will be switched on"
    assert all(operation.startswith("Get") for operation in bucket.operations)


def test_a_source_without_versions_is_refused_or_switched() -> None:
    bucket = bucket_with(GetBucketVersioning=versions(source={"Status": "Suspended"}), PutBucketVersioning={})
    told: list[bool] = []
    replication = Replication(bucket.control_plane, lambda: told.append(True))
    with pytest.raises(ConfigurationError, match=r"enable_versioning\(\) first.*enable_versioning=True"):
        replication.add("target", role=ROLE)
    assert not told
    plan = replication.add("target", role=ROLE, enable_versioning=True)
    assert plan.applied
    assert plan.notes[0] == "versioning of this bucket is switched on now"
    assert told == [True], "what the store can do is found out anew"
    assert bucket.operations.index("PutBucketVersioning") < bucket.operations.index("PutBucketReplication")


def test_versioning_is_not_switched_for_a_rule_that_cannot_be() -> None:
    bucket = bucket_with({"Role": OTHER_ROLE, "Rules": [THEIRS]}, GetBucketVersioning=versions(source={}))
    with pytest.raises(ConfigurationError, match="share one"):
        Replication(bucket.control_plane).add("target", role=ROLE, enable_versioning=True)
    assert "PutBucketVersioning" not in bucket.operations


@pytest.mark.parametrize(
    "target", [{}, Fault(Kind.NO_BUCKET, "HTTP 404, NoSuchBucket", status=404, code="NoSuchBucket")]
)
def test_versioning_is_not_switched_for_a_target_that_cannot_be(target: Any) -> None:
    bucket = bucket_with(GetBucketVersioning=versions(source={}, target=target), PutBucketVersioning={})
    with pytest.raises(DataknobsDataError, match="bucket 'target'"):
        Replication(bucket.control_plane).add("target", role=ROLE, enable_versioning=True)
    assert "PutBucketVersioning" not in bucket.operations


def test_a_target_without_versions_or_that_is_not_there_is_refused() -> None:
    bucket = bucket_with(GetBucketVersioning=versions(target={}))
    with pytest.raises(ConfigurationError, match="put-bucket-versioning --bucket target"):
        Replication(bucket.control_plane).add("target", role=ROLE)
    gone = Fault(Kind.NO_BUCKET, "HTTP 404, NoSuchBucket", status=404, code="NoSuchBucket")
    bucket = bucket_with(GetBucketVersioning=versions(target=gone))
    with pytest.raises(DatabaseConnectionError, match="there is no bucket 'target' to replicate to"):
        Replication(bucket.control_plane).add("target", role=ROLE)
    broken = Fault(Kind.REFUSED, "HTTP 400, Strange", status=400, code="Strange")
    bucket = bucket_with(GetBucketVersioning=versions(target=broken))
    with pytest.raises(DatabaseOperationError, match=r"whether the target bucket 'target' keeps versions.*Strange"):
        Replication(bucket.control_plane).add("target", role=ROLE)


@pytest.mark.parametrize("fault", [denied(), Fault(Kind.REGION, "HTTP 301", status=301, code="PermanentRedirect")])
def test_a_target_that_cannot_be_looked_at_is_noted(fault: Fault) -> None:
    bucket = bucket_with(GetBucketVersioning=versions(target=fault))
    plan = Replication(bucket.control_plane).add("target", role=ROLE, account="210987654321")
    assert plan.applied
    assert f"could not be looked up ({fault.kind.value}); it must" in plan.notes[0]
    looked = [parameters for _, parameters in bucket.sent if parameters.get("Bucket") == "target"]
    assert looked == [{"Bucket": "target", "ExpectedBucketOwner": "210987654321"}]


@pytest.mark.parametrize("code", ["BucketAlreadyExists", "BucketAlreadyOwnedByYou"])
def test_a_store_that_takes_it_for_a_new_bucket_is_told_from_one_that_replicates(code: str) -> None:
    bucket = bucket_with(PutBucketReplication=Fault(Kind.CONDITION, f"HTTP 409, {code}", status=409, code=code))
    with pytest.raises(IncompatibleStoreError, match=r"knows no replication configurations.*the store's own tools"):
        Replication(bucket.control_plane).add("target", role=ROLE)


@pytest.mark.parametrize(
    ("operation", "permission"),
    [
        ("GetBucketReplication", "s3:GetReplicationConfiguration"),
        ("PutBucketReplication", "s3:PutReplicationConfiguration and iam:PassRole"),
    ],
)
def test_a_missing_permission_is_named(operation: str, permission: str) -> None:
    bucket = bucket_with(**{operation: denied()})
    with pytest.raises(DatabaseConnectionError, match=f"grant this identity {permission}"):
        Replication(bucket.control_plane).add("target", role=ROLE)


@pytest.mark.parametrize("status", ["PENDING", "COMPLETED", "FAILED", "REPLICA", None])
def test_the_status_of_a_record_is_that_of_its_headers(status: str | None) -> None:
    bucket = FakeBucket({"HeadObject": {"ReplicationStatus": status} if status else {}})
    assert Replication(bucket.control_plane).status("a/b") == status
    assert bucket.sent == [("HeadObject", {"Key": "records/a/b.json"})]


def test_the_status_of_a_record_that_is_not_there_is_no_status() -> None:
    missing = Fault(Kind.MISSING, "HTTP 404", status=404)
    bucket = FakeBucket({"HeadObject": missing, "HeadBucket": {}})
    with pytest.raises(RecordNotFoundError, match="there is no record 'x'"):
        Replication(bucket.control_plane).status("x")
    bucket = FakeBucket({"HeadObject": missing, "HeadBucket": Fault(Kind.NO_BUCKET, "HTTP 404", status=404)})
    with pytest.raises(DatabaseConnectionError, match="no such bucket"):
        Replication(bucket.control_plane).status("x")


# ---------------------------------------------------------------------------------------------- the role
def documents(prefix: str = "records/", to: str = "target", encryption: str | None = None, **options: Any) -> Any:
    bucket = FakeBucket({}, prefix=prefix, encryption=encryption, region="us-east-1")
    found = Replication(bucket.control_plane).role_documents(to, **options)
    assert bucket.sent == []
    return found


def test_the_role_may_copy_this_databases_records_and_nothing_else() -> None:
    found = documents()
    assert found.trust["Statement"] == [
        {"Effect": "Allow", "Principal": {"Service": "s3.amazonaws.com"}, "Action": "sts:AssumeRole"}
    ]
    allowed = {(action, s["Resource"]) for s in found.permissions["Statement"] for action in s["Action"]}
    source, target = "arn:aws:s3:::source/records/*", "arn:aws:s3:::target/records/*"
    assert allowed == {
        ("s3:GetReplicationConfiguration", "arn:aws:s3:::source"),
        ("s3:ListBucket", "arn:aws:s3:::source"),
        ("s3:GetObjectVersionForReplication", source),
        ("s3:GetObjectVersionAcl", source),
        ("s3:GetObjectVersionTagging", source),
        ("s3:GetObjectRetention", source),
        ("s3:GetObjectLegalHold", source),
        ("s3:ReplicateObject", target),
        ("s3:ReplicateDelete", target),
        ("s3:ReplicateTags", target),
    }
    assert found.target_policy is None


def test_with_kms_it_may_decrypt_here_and_encrypt_there_through_s3_only() -> None:
    here = "arn:aws:kms:us-east-1:123456789012:key/99999999-2222-3333-4444-555555555555"
    *_, decrypt, encrypt = documents(encryption=here, kms_key=KMS).permissions["Statement"]
    assert (decrypt["Action"], decrypt["Resource"]) == (["kms:Decrypt"], here)
    assert decrypt["Condition"]["StringLike"] == {
        "kms:ViaService": "s3.us-east-1.amazonaws.com",
        "kms:EncryptionContext:aws:s3:arn": ["arn:aws:s3:::source", "arn:aws:s3:::source/records/*"],
    }
    assert (encrypt["Action"], encrypt["Resource"]) == (["kms:Encrypt", "kms:GenerateDataKey"], KMS)
    assert encrypt["Condition"]["StringLike"] == {
        "kms:ViaService": "s3.eu-west-1.amazonaws.com",
        "kms:EncryptionContext:aws:s3:arn": ["arn:aws:s3:::target", "arn:aws:s3:::target/records/*"],
    }
    *_, decrypt, encrypt = documents(encryption="SSE-KMS", kms_key=KMS.replace("key/", "alias/")).permissions[
        "Statement"
    ]
    assert decrypt["Resource"] == encrypt["Resource"] == "*", "IAM wants the ARN of a key; the conditions bound it"


def test_another_account_must_agree_and_then_owns_the_replicas() -> None:
    with pytest.raises(ConfigurationError, match="must name the role in its policy: pass role="):
        documents(account="210987654321")
    found = documents(account="210987654321", role=ROLE)
    assert "s3:ObjectOwnerOverrideToBucketOwner" in found.permissions["Statement"][2]["Action"]
    objects, bucket = found.target_policy["Statement"]
    assert objects["Principal"] == bucket["Principal"] == {"AWS": ROLE}
    assert objects["Resource"] == "arn:aws:s3:::target/records/*"
    assert set(objects["Action"]) == {
        "s3:ReplicateObject", "s3:ReplicateDelete", "s3:ReplicateTags", "s3:ObjectOwnerOverrideToBucketOwner",
    }  # fmt: skip
    assert (bucket["Action"], bucket["Resource"]) == (
        ["s3:GetBucketVersioning", "s3:ListBucket"],
        "arn:aws:s3:::target",
    )


def test_wildcards_and_variables_in_a_prefix_stand_for_themselves() -> None:
    found = documents(prefix="a*b?/${aws:username}/", account="210987654321", role=ROLE, kms_key=KMS)
    path = "a${*}b${?}/${$}{aws:username}/*"
    _, read, write, decrypt, encrypt = found.permissions["Statement"]
    assert (read["Resource"], write["Resource"]) == (f"arn:aws:s3:::source/{path}", f"arn:aws:s3:::target/{path}")
    assert found.target_policy["Statement"][0]["Resource"] == f"arn:aws:s3:::target/{path}"
    for key, bucket in ((decrypt, "source"), (encrypt, "target")):
        context = key["Condition"]["StringLike"]["kms:EncryptionContext:aws:s3:arn"]
        assert context == [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/{path}"]


@pytest.mark.parametrize(
    ("region", "partition", "service"),
    [
        ("cn-north-1", "aws-cn", "s3.cn-north-1.amazonaws.com.cn"),
        ("us-gov-west-1", "aws-us-gov", "s3.us-gov-west-1.amazonaws.com"),
    ],
)
def test_a_bucket_by_its_name_is_in_the_partition_of_this_one(region: str, partition: str, service: str) -> None:
    bucket = bucket_with()
    bucket.control_plane.settings = settings(bucket="source", prefix="records/", region=region)
    replication = Replication(bucket.control_plane)
    plan = replication.add("target", role=ROLE.replace(":aws:", f":{partition}:"))
    assert plan.after["Rules"][0]["Destination"]["Bucket"] == f"arn:{partition}:s3:::target"
    found = replication.role_documents("target", kms_key=KMS.replace(":aws:", f":{partition}:"))
    assert {s["Resource"].split(":")[1] for s in found.permissions["Statement"][:3]} == {partition}
    assert found.permissions["Statement"][3]["Condition"]["StringLike"]["kms:ViaService"] == service


def test_the_commands_hand_the_documents_over_unharmed() -> None:
    found = documents(prefix="it's/$HOME/")
    create, put, get = (shlex.split(line) for line in found.commands("my role"))
    assert create[:5] == ["aws", "iam", "create-role", "--role-name", "my role"]
    assert json.loads(create[-1]) == found.trust
    assert json.loads(put[-1]) == found.permissions
    assert "it's/${$}HOME/*" in put[-1]
    assert get[-2:] == ["--output", "text"]


@pytest.mark.parametrize("wrong", [{"to": "s3://x"}, {"account": "1"}, {"kms_key": "x"}, {"role": "x"}])
def test_documents_of_what_makes_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="replication: "):
        documents(**wrong)
