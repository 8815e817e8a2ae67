"""Lifecycle rules on real servers: SeaweedFS keeps every filter but moves nothing, moto moves but forgets sizes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from dataknobs_data.backends.s3 import AsyncS3Database, S3Database
from dataknobs_data.exceptions import DatabaseConnectionError, IncompatibleStoreError
from dataknobs_data.records import Record
from tests.servers import S3Server, make_config
from tests.wire.proxy import Answer, Lose, WireProxy

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

THEIRS: list[Any] = [
    {"ID": "logs", "Status": "Enabled", "Prefix": "logs/", "Expiration": {"Days": 7}},
    {
        "ID": "tagged & <odd>",
        "Status": "Disabled",
        "Filter": {
            "And": {
                "Prefix": "odd/",
                "Tags": [{"Key": "b", "Value": "2"}, {"Key": "a", "Value": "1"}],
                "ObjectSizeGreaterThan": 5,
                "ObjectSizeLessThan": 500,
            }
        },
        "Expiration": {"Date": "2030-01-01T00:00:00Z"},
        "NoncurrentVersionExpiration": {"NoncurrentDays": 3, "NewerNoncurrentVersions": 2},
    },
    {"Status": "Enabled", "Filter": {}, "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 3}},
]
MOTO = pytest.mark.parametrize("s3_server", ["moto_server"], indirect=True)


@pytest.fixture
def db(s3_config: dict[str, Any]) -> Iterator[S3Database]:
    with S3Database({**s3_config, "layout": "objects"}) as database:
        yield database


def kept(client: S3Client, bucket: str) -> dict[str, Any]:
    """What the store has, without dates as objects."""
    answer: Any = client.get_bucket_lifecycle_configuration(Bucket=bucket)
    for rule in answer["Rules"]:
        if "Date" in rule.get("Expiration", {}):
            rule["Expiration"]["Date"] = f"{rule['Expiration']['Date']:%Y-%m-%dT%H:%M:%SZ}"
    return {name: value for name, value in answer.items() if name != "ResponseMetadata"}


def put_theirs(client: S3Client, bucket: str) -> None:
    client.put_bucket_lifecycle_configuration(
        Bucket=bucket,
        LifecycleConfiguration={"Rules": THEIRS},
        TransitionDefaultMinimumObjectSize="varies_by_storage_class",
    )


def test_others_rules_and_the_buckets_minimum_survive_to_the_letter(
    db: S3Database, s3_client: S3Client, s3_config: dict[str, Any]
) -> None:
    bucket = s3_config["bucket"]
    put_theirs(s3_client, bucket)
    assert kept(s3_client, bucket)["Rules"] == THEIRS

    plan = db.lifecycle.add("old-versions", noncurrent_days=30, noncurrent_keep=3)
    assert plan.applied
    assert not any("the store kept something else" in note for note in plan.notes)
    trash = db.lifecycle.add(
        "trash", expire_days=2, id_prefix="tmp/", tags={"kind": "tmp"}, allow_deleting_records=True
    )
    found = kept(s3_client, bucket)
    assert found["Rules"][:3] == THEIRS
    assert found["Rules"][3:] == db.lifecycle.ours()
    assert found == trash.after
    assert found["TransitionDefaultMinimumObjectSize"] == "varies_by_storage_class"

    assert not db.lifecycle.add("old-versions", noncurrent_days=30, noncurrent_keep=3).changes
    assert not db.lifecycle.merge({"Rules": db.lifecycle.ours()}, allow_deleting_records=True).changes
    assert kept(s3_client, bucket) == found

    db.lifecycle.remove()
    assert kept(s3_client, bucket) == {"Rules": THEIRS, "TransitionDefaultMinimumObjectSize": "varies_by_storage_class"}


def test_what_is_written_is_what_was_shown_and_the_last_rule_takes_the_configuration_along(
    db: S3Database, s3_client: S3Client, s3_config: dict[str, Any]
) -> None:
    bucket = s3_config["bucket"]
    wanted: dict[str, Any] = {"expire_days": 9, "noncurrent_days": 5, "allow_deleting_records": True}
    preview = db.lifecycle.preview(**wanted)
    assert preview.changes
    assert not preview.applied
    assert db.lifecycle.rules() == []
    assert db.lifecycle.add(**wanted).after == preview.after
    assert kept(s3_client, bucket)["Rules"] == preview.after["Rules"] == db.lifecycle.rules()

    assert db.lifecycle.remove(dry_run=True).after is None
    assert len(db.lifecycle.rules()) == 3
    assert db.lifecycle.remove().after is None
    assert db.lifecycle.rules() == []
    assert not db.lifecycle.remove().changes


def test_the_smallest_record_is_larger_than_every_control_file(
    db: S3Database, s3_client: S3Client, s3_config: dict[str, Any]
) -> None:
    """Which is what the filters stand on."""
    db.create(Record({}, id="a"))
    lines = s3_client.list_objects_v2(Bucket=s3_config["bucket"])["Contents"]
    sizes = {line["Key"]: line["Size"] for line in lines}
    assert sizes.pop("records/a.json") > 128
    assert sizes
    assert all(size < 128 for size in sizes.values())


def test_a_store_that_moves_nothing_says_so_and_nothing_is_changed(
    db: S3Database, s3_client: S3Client, s3_config: dict[str, Any]
) -> None:
    put_theirs(s3_client, s3_config["bucket"])
    before = kept(s3_client, s3_config["bucket"])
    with pytest.raises(IncompatibleStoreError, match="rules that move objects between storage classes"):
        db.lifecycle.add(transition={"GLACIER": 30})
    assert kept(s3_client, s3_config["bucket"]) == before


@MOTO
def test_moves_are_kept_and_where_the_store_forgets_the_size_that_is_said(
    db: S3Database, s3_client: S3Client, s3_config: dict[str, Any]
) -> None:
    theirs: Any = {
        "ID": "x",
        "Status": "Enabled",
        "Prefix": "x/",
        "Transitions": [{"Days": 3, "StorageClass": "GLACIER"}],
    }
    s3_client.put_bucket_lifecycle_configuration(Bucket=s3_config["bucket"], LifecycleConfiguration={"Rules": [theirs]})
    plan = db.lifecycle.add(transition={"STANDARD_IA": 30, "GLACIER": 90}, noncurrent_transition={"GLACIER": 1})
    rules = kept(s3_client, s3_config["bucket"])["Rules"]
    assert rules[0] == theirs
    assert rules[1]["Transitions"] == [
        {"Days": 30, "StorageClass": "STANDARD_IA"},
        {"Days": 90, "StorageClass": "GLACIER"},
    ]
    assert rules[1]["NoncurrentVersionTransitions"] == [{"NoncurrentDays": 1, "StorageClass": "GLACIER"}]
    assert plan.after["Rules"][1]["Filter"]["And"]["ObjectSizeGreaterThan"] == 131072
    differing = [note for note in plan.notes if "the store kept something else" in note]
    assert len(differing) == 1
    assert '-          "ObjectSizeGreaterThan": 131072' in differing[0]


@MOTO
def test_a_store_that_forgets_the_size_is_found_out_to_endanger_control_files(db: S3Database) -> None:
    plan = db.lifecycle.add("trash", expire_days=2, allow_deleting_records=True)
    assert any(
        "as the store kept it, rule 'dataknobs-data:records/:trash.expire' deletes" in note for note in plan.notes
    )


def test_the_other_color_does_the_same(s3_config: dict[str, Any]) -> None:
    async def run() -> tuple[bool, list[str]]:
        async with AsyncS3Database(s3_config) as database:
            plan = await database.lifecycle.add("old", noncurrent_days=3)
            return plan.applied, [rule["ID"] for rule in await database.lifecycle.ours()]

    assert asyncio.run(run()) == (True, [f"dataknobs-data:records/:old.{part}" for part in ("noncurrent", "uploads")])


# ---------------------------------------------------------------------------------------------- what fails
@pytest.fixture
def wire(s3_server: S3Server, s3_config: dict[str, Any], proxy: WireProxy) -> Iterator[S3Database]:
    config = make_config(s3_server, bucket=s3_config["bucket"], endpoint_url=proxy.endpoint, layout="objects")
    with S3Database(config) as database:
        database.lifecycle.add("old", noncurrent_days=1)
        yield database
        proxy.reset()


@pytest.mark.parametrize(
    ("operation", "permission"),
    [
        ("GetBucketLifecycleConfiguration", "s3:GetLifecycleConfiguration"),
        ("PutBucketLifecycleConfiguration", "s3:PutLifecycleConfiguration"),
        ("DeleteBucketLifecycleConfiguration", "s3:PutLifecycleConfiguration"),
    ],
)
def test_a_missing_permission_is_named(wire: S3Database, proxy: WireProxy, operation: str, permission: str) -> None:
    denied = proxy.fault(Answer(403, "AccessDenied"), operation=operation, times=None)
    with pytest.raises(DatabaseConnectionError) as caught:
        wire.lifecycle.remove() if operation.startswith("Delete") else wire.lifecycle.add("new", noncurrent_days=2)
    assert denied.hits == 1
    assert str(caught.value).endswith(f"grant this identity {permission}")
    assert caught.value.context["permission"] == permission


def test_who_may_not_see_versions_may_set_rules_for_them(wire: S3Database, proxy: WireProxy) -> None:
    denied = proxy.fault(Answer(403, "AccessDenied"), operation="GetBucketVersioning", times=None)
    plan = wire.lifecycle.add("new", noncurrent_days=2)
    assert plan.applied
    assert denied.hits == 1
    assert any("grant this identity s3:GetBucketVersioning" in note for note in plan.notes)


@pytest.mark.parametrize("operation", ["PutBucketLifecycleConfiguration", "DeleteBucketLifecycleConfiguration"])
def test_a_lost_answer_is_asked_for_again(wire: S3Database, proxy: WireProxy, operation: str) -> None:
    lost = proxy.fault(Lose(), operation=operation)
    plan = wire.lifecycle.remove() if operation.startswith("Delete") else wire.lifecycle.add("old", noncurrent_days=2)
    assert plan.applied
    assert lost.hits == 1
    assert [rule["NoncurrentVersionExpiration"]["NoncurrentDays"] for rule in wire.lifecycle.ours()[:1]] == (
        [] if operation.startswith("Delete") else [2]
    )


def test_a_change_is_one_look_one_write_and_one_look(wire: S3Database, proxy: WireProxy) -> None:
    with proxy.watch() as seen:
        wire.lifecycle.add("new", expire_days=4, allow_deleting_records=True)
    assert seen.counts() == {
        "GetBucketVersioning": 1,
        "GetBucketLifecycleConfiguration": 2,
        "PutBucketLifecycleConfiguration": 1,
    }
    with proxy.watch() as seen:
        wire.lifecycle.preview("other", abort_uploads_days=4)
    assert seen.counts() == {"GetBucketLifecycleConfiguration": 1}


def test_a_bucket_that_is_not_there(s3_server: S3Server, bucket_name: str) -> None:
    config = make_config(s3_server, bucket=bucket_name, create_bucket=False)
    with pytest.raises(DatabaseConnectionError, match="no such bucket"), S3Database(config) as database:
        database.lifecycle.rules()
