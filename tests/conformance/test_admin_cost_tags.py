"""The bucket's tags on real servers, and who costs what."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from dataknobs_data.exceptions import ConfigurationError, DatabaseConnectionError
from dataknobs_data.records import Record
from dataknobs_data.s3.costs.prices import default_prices
from tests.s3_bench import S3Bench
from tests.servers import S3Server, new_bucket_name, open_client
from tests.wire.faults import Answer, Lose
from tests.wire.proxy import WireProxy

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

on_moto = pytest.mark.parametrize("s3_server", ["moto_server"], indirect=True)


@pytest.fixture
def bench(s3_server: S3Server, proxy: WireProxy) -> Iterator[S3Bench]:
    """A bucket of its own: its tags are those of all of it."""
    with ExitStack() as ends:
        client: S3Client = ends.enter_context(open_client(s3_server))
        s3_server.create_bucket(bucket := new_bucket_name())
        yield S3Bench(s3_server, client, bucket, ends, proxy)


def tags_of(bench: S3Bench) -> dict[str, str]:
    found = bench.client.get_bucket_tagging(Bucket=bench.bucket)["TagSet"]
    return {tag["Key"]: tag.get("Value", "") for tag in found}


def put_tags(bench: S3Bench, **tags: str) -> None:
    pairs = [{"Key": key, "Value": value} for key, value in tags.items()]
    bench.client.put_bucket_tagging(Bucket=bench.bucket, Tagging={"TagSet": pairs})


def test_tags_are_shown_merged_and_removed(bench: S3Bench) -> None:
    put_tags(bench, owner="somebody else", empty="")
    db = bench.open()
    assert db.cost_tags.get() == {"owner": "somebody else", "empty": ""}
    plan = db.cost_tags.set({"project": "Trinity", "cost-center": "a/b: 1+1=2@x"}, dry_run=True)
    assert plan.changes
    assert '+  "project": "Trinity",' in plan.diff()
    assert tags_of(bench) == {"owner": "somebody else", "empty": ""}
    plan = db.cost_tags.set({"project": "Trinity", "cost-center": "a/b: 1+1=2@x"})
    assert plan.applied
    assert not any("kept something else" in note for note in plan.notes)
    assert tags_of(bench) == {
        "owner": "somebody else", "empty": "", "project": "Trinity", "cost-center": "a/b: 1+1=2@x",
    }  # fmt: skip
    assert not db.cost_tags.set({"project": "Trinity"}).changes
    assert db.cost_tags.remove("project", "cost-center").applied
    assert tags_of(bench) == {"owner": "somebody else", "empty": ""}
    assert not db.cost_tags.remove("project").changes
    assert db.cost_tags.remove("owner", "empty").after is None
    assert db.cost_tags.get() == {}
    bench.client.head_bucket(Bucket=bench.bucket)


@on_moto
@pytest.mark.parametrize(
    ("operation", "permission"),
    [
        ("GetBucketTagging", "s3:GetBucketTagging"),
        ("PutBucketTagging", "s3:PutBucketTagging"),
        ("DeleteBucketTagging", "s3:PutBucketTagging"),
    ],
)
def test_a_missing_permission_is_named_and_changes_nothing(bench: S3Bench, operation: str, permission: str) -> None:
    put_tags(bench, a="1")
    db = bench.open()
    bench.proxy.fault(Answer(403, "AccessDenied"), operation=operation, times=None)
    with pytest.raises(DatabaseConnectionError, match=f"grant this identity {permission}"):
        db.cost_tags.remove("a") if operation.startswith("Delete") else db.cost_tags.set({"b": "2"})
    assert tags_of(bench) == {"a": "1"}


@pytest.mark.parametrize("s3_server", ["seaweed"], indirect=True)
def test_a_permission_that_a_policy_takes_away_is_named(bench: S3Bench) -> None:
    denial = {"Effect": "Deny", "Principal": "*", "Action": ["s3:PutBucketTagging"]}
    statement = {**denial, "Resource": [f"arn:aws:s3:::{bench.bucket}"]}
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    db = bench.open()
    bench.client.put_bucket_policy(Bucket=bench.bucket, Policy=json.dumps(policy))
    with pytest.raises(DatabaseConnectionError, match="grant this identity s3:PutBucketTagging"):
        db.cost_tags.set({"a": "1"})
    assert db.cost_tags.get() == {}


@on_moto
def test_lost_answers_and_wrong_input(bench: S3Bench) -> None:
    db = bench.open()
    lost = bench.proxy.fault(Lose(), operation="PutBucketTagging")
    assert db.cost_tags.set({"a": "1"}).applied
    assert lost.hits == 1
    with bench.proxy.watch() as seen, pytest.raises(ConfigurationError, match="holds characters other than"):
        db.cost_tags.set({"a": "R&D"})
    assert not seen.requests


# ---------------------------------------------------------------------------------------------- who costs what
def test_records_are_split_by_a_metadata_name(bench: S3Bench) -> None:
    db = bench.open()
    blue = [Record({"text": "x" * 900}, {"team": "blue"}, id=f"b{number}") for number in range(3)]
    db.batch_create(
        [*blue, Record({}, {"team": "red"}, id="r"), Record({}, id="none"), Record({}, {"team": [1]}, id="l")]
    )
    sizes = {
        line["Key"].removeprefix(bench.prefix).removesuffix(".json"): line["Size"]
        for line in bench.client.list_objects_v2(Bucket=bench.bucket, Prefix=bench.prefix)["Contents"]
    }
    first, *others = db.cost_tags.split("team")
    assert (first.value, first.records, first.bytes) == ("blue", 3, sum(sizes[f"b{number}"] for number in range(3)))
    assert first.dollars_per_month == pytest.approx(3 * default_prices().month("STANDARD", sizes["b0"]), rel=0.01)
    assert {share.value: share.records for share in others} == {"red": 1, None: 2}
    assert sum(share.bytes for share in others) == sizes["r"] + sizes["none"] + sizes["l"]
    assert {share.value for share in db.cost_tags.split("nothing")} == {None}
    assert db.connect().cost_tags.split("team")[0] == first


def test_a_database_without_records_costs_nothing(bench: S3Bench) -> None:
    assert bench.open().cost_tags.split("team") == []


@on_moto
def test_archived_records_are_told_by_their_tags_or_named_unknown(bench: S3Bench) -> None:
    """moto refuses the tags of archived objects, AWS shows them: both answers."""
    db = bench.open()
    with bench.connect(storage_class="GLACIER") as cold:
        cold.create(Record({"text": "x" * 500}, {"team": "blue"}, id="cold"))
    db.create(Record({}, {"team": "blue"}, id="warm"))
    bench.put("damaged", b"{", Tagging="team=red")
    prices = default_prices()
    size = {
        id: bench.client.head_object(Bucket=bench.bucket, Key=bench.key(id))["ContentLength"] for id in db.list_ids()
    }
    archived = prices.month("GLACIER", size["cold"])
    found = {(share.value, share.known): (share.records, share.bytes) for share in db.cost_tags.split("team")}
    assert found == {("blue", True): (1, size["warm"]), ("red", True): (1, 1), (None, False): (1, size["cold"])}
    (unknown,) = (share for share in db.cost_tags.split("team") if not share.known)
    assert unknown.dollars_per_month == pytest.approx(archived)
    bench.proxy.fault(Answer(403, "AccessDenied"), operation="GetObjectTagging", times=None)
    with pytest.raises(DatabaseConnectionError, match="s3:GetObjectTagging"):
        db.cost_tags.split("team")


def test_damaged_records_are_told_by_their_tags(bench: S3Bench) -> None:
    db = bench.open()
    bench.put("damaged", b"{", Tagging="team=red")
    assert [(share.value, share.records, share.bytes) for share in db.cost_tags.split("team")] == [("red", 1, 1)]
