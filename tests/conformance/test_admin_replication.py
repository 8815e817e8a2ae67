"""Replication on real servers: moto keeps configurations (and copies nothing), SeaweedFS does not know them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import pytest

from dataknobs_data.backends.s3 import AsyncS3Database, S3Database
from dataknobs_data.exceptions import (
    ConfigurationError,
    DatabaseConnectionError,
    IncompatibleStoreError,
    RecordNotFoundError,
)
from dataknobs_data.records import Record
from dataknobs_data.runtime import Runtime
from tests.s3_bench import S3Bench
from tests.servers import S3Server, new_bucket_name, open_client
from tests.wire.faults import Answer, Lose
from tests.wire.proxy import WireProxy

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

ROLE = "arn:aws:iam::123456789012:role/replication"
KMS = "arn:aws:kms:eu-west-1:123456789012:key/11111111-2222-3333-4444-555555555555"
on_moto = pytest.mark.parametrize("s3_server", ["moto_server"], indirect=True)
on_seaweed = pytest.mark.parametrize("s3_server", ["seaweed"], indirect=True)


@pytest.fixture
def bench(s3_server: S3Server, proxy: WireProxy) -> Iterator[S3Bench]:
    """A bucket of its own: what is configured is configured for all of it."""
    with ExitStack() as ends:
        client: S3Client = ends.enter_context(open_client(s3_server))
        s3_server.create_bucket(bucket := new_bucket_name())
        yield S3Bench(s3_server, client, bucket, ends, proxy)


@pytest.fixture
def db(bench: S3Bench) -> Iterator[S3Database]:
    """A database that does not wait between its looks at what moto will never show."""
    with S3Database(bench.config(), runtime=Runtime(sleep=lambda seconds: None)) as database:
        yield database


@pytest.fixture
def target(bench: S3Bench) -> str:
    """A bucket to replicate to; it and the source keep versions."""
    bench.server.create_bucket(name := new_bucket_name())
    for bucket in (name, bench.bucket):
        keep_versions(bench, bucket)
    return name


def keep_versions(bench: S3Bench, bucket: str) -> None:
    bench.client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})


def rule_of_others(target: str) -> Any:
    """Of the parts that moto keeps."""
    return {
        "ID": "theirs",
        "Priority": 4,
        "Filter": {"Prefix": ""},
        "Status": "Disabled",
        "Destination": {"Bucket": f"arn:aws:s3:::{target}", "StorageClass": "GLACIER_IR"},
        "DeleteMarkerReplication": {"Status": "Disabled"},
    }


def configure(bench: S3Bench, *rules: Any) -> None:
    bench.client.put_bucket_replication(
        Bucket=bench.bucket, ReplicationConfiguration={"Role": ROLE, "Rules": list(rules)}
    )


def bodies_of(db: S3Database, operation: str) -> list[ElementTree.Element]:
    """The XML of the requests of this operation that are sent from now on."""
    bodies: list[ElementTree.Element] = []
    store: Any = db._s3()._caller._store
    store._client.meta.events.register(
        f"before-send.s3.{operation}", lambda request, **_: bodies.append(ElementTree.fromstring(request.body))
    )
    return bodies


def text(body: ElementTree.Element, path: str) -> list[str | None]:
    return [one.text for one in body.iterfind("/".join(f"{{*}}{part}" for part in path.split("/")))]


@on_moto
def test_a_rule_is_shown_added_changed_and_removed_beside_others(bench: S3Bench, db: S3Database, target: str) -> None:
    theirs = rule_of_others(target)
    configure(bench, theirs)
    sent = bodies_of(db, "PutBucketReplication")
    plan = db.replication.add(target, role=ROLE, dry_run=True)
    assert (plan.changes, plan.applied, sent) == (True, False, [])
    assert '+      "ID": "dataknobs-data:' in plan.diff()
    assert db.replication.rules() == [theirs]

    plan = db.replication.add(target, role=ROLE, storage_class="STANDARD_IA")
    assert plan.applied
    (body,) = sent
    assert text(body, "Role") == [ROLE]
    assert text(body, "Rule/ID") == ["theirs", f"dataknobs-data:{bench.prefix}:replica"]
    assert text(body, "Rule/Filter/Prefix") == ["", bench.prefix] or text(body, "Rule/Filter/Prefix") == [
        None,
        bench.prefix,
    ]
    assert text(body, "Rule/Priority") == ["4", "5"]
    assert text(body, "Rule/DeleteMarkerReplication/Status") == ["Disabled", "Enabled"]
    note = next(note for note in plan.notes if "kept something else" in note)
    assert f'-        "Prefix": "{bench.prefix}"' in note, "moto drops prefixes and deletions: that is said"

    assert db.replication.rules()[0] == theirs
    (ours,) = db.replication.ours()
    assert ours["Priority"] == 5
    assert ours["Destination"] == {"Bucket": f"arn:aws:s3:::{target}", "StorageClass": "STANDARD_IA"}

    db.replication.add(target, role=ROLE, kms_key=KMS)
    assert text(sent[-1], "Rule/Priority") == ["4", "5"]
    assert text(sent[-1], "Rule/SourceSelectionCriteria/SseKmsEncryptedObjects/Status") == ["Enabled"]
    assert text(sent[-1], "Rule/Destination/EncryptionConfiguration/ReplicaKmsKeyID") == [KMS]

    assert not db.replication.remove("other").changes
    assert db.replication.remove(dry_run=True).changes
    assert len(db.replication.rules()) == 2
    assert db.replication.remove().applied
    assert bench.client.get_bucket_replication(Bucket=bench.bucket)["ReplicationConfiguration"] == {
        "Role": ROLE,
        "Rules": [theirs],
    }


@on_moto
def test_the_last_rule_goes_with_the_configuration(bench: S3Bench, db: S3Database, target: str) -> None:
    db.replication.add(f"arn:aws:s3:::{target}", role=ROLE)
    assert db.replication.remove().after is None
    assert db.replication.rules() == []
    with bench.proxy.watch() as seen:
        assert not db.replication.remove().changes
    assert seen.counts() == {"GetBucketReplication": 1}
    bench.client.head_bucket(Bucket=bench.bucket)


@on_moto
def test_every_option_reaches_the_store(bench: S3Bench, db: S3Database, target: str) -> None:
    sent = bodies_of(db, "PutBucketReplication")
    db.replication.add(
        target, role=ROLE, account="123456789012", time_control=True, delete_markers=False, name="second"
    )
    (body,) = sent
    assert text(body, "Rule/Destination/AccessControlTranslation/Owner") == ["Destination"]
    assert text(body, "Rule/Destination/ReplicationTime/Time/Minutes") == ["15"]
    assert text(body, "Rule/Destination/Metrics/EventThreshold/Minutes") == ["15"]
    assert text(body, "Rule/DeleteMarkerReplication/Status") == ["Disabled"]


@on_moto
def test_both_buckets_must_keep_versions(bench: S3Bench, db: S3Database) -> None:
    bench.server.create_bucket(other := new_bucket_name())
    with pytest.raises(ConfigurationError, match=r"enable_versioning\(\) first"):
        db.replication.add(other, role=ROLE)
    with pytest.raises(ConfigurationError, match=f"put-bucket-versioning --bucket {other}"):
        db.replication.add(other, role=ROLE, enable_versioning=True, dry_run=True)
    assert db.versioning() is None
    keep_versions(bench, other)
    plan = db.replication.add(other, role=ROLE, enable_versioning=True)
    assert plan.applied
    assert plan.notes[0] == "versioning of this bucket is switched on now"
    assert db.versioning() == "Enabled"
    db.create(Record({"a": 1}, id="x"))
    assert db.delete("x"), "what the store can do was found out anew"
    with pytest.raises(DatabaseConnectionError, match="there is no bucket 'nobody-has-this-one'"):
        db.replication.add("nobody-has-this-one", role=ROLE)


@on_moto
@pytest.mark.parametrize(
    ("operation", "permission"),
    [
        ("GetBucketReplication", "s3:GetReplicationConfiguration"),
        ("PutBucketReplication", "s3:PutReplicationConfiguration and iam:PassRole"),
    ],
)
def test_a_missing_permission_is_named_and_changes_nothing(
    bench: S3Bench, db: S3Database, target: str, operation: str, permission: str
) -> None:
    theirs = rule_of_others(target)
    configure(bench, theirs)
    bench.proxy.fault(Answer(403, "AccessDenied"), operation=operation, times=None)
    with pytest.raises(DatabaseConnectionError, match=permission) as caught:
        db.replication.add(target, role=ROLE)
    assert caught.value.context["permission"] == permission
    assert bench.client.get_bucket_replication(Bucket=bench.bucket)["ReplicationConfiguration"]["Rules"] == [theirs]


@on_moto
def test_a_target_out_of_sight_and_lost_answers(bench: S3Bench, db: S3Database, target: str) -> None:
    bench.proxy.fault(Answer(403, "AccessDenied"), operation="GetBucketVersioning", bucket=target)
    lost = bench.proxy.fault(Lose(), operation="PutBucketReplication")
    plan = db.replication.add(target, role=ROLE)
    assert plan.applied
    assert lost.hits == 1
    assert "could not be looked up (access denied); it must" in plan.notes[0]
    assert len(db.replication.ours()) == 1
    lost = bench.proxy.fault(Lose(), operation="DeleteBucketReplication")
    assert db.replication.remove().applied
    assert lost.hits == 1
    assert db.replication.rules() == []


@on_moto
def test_the_status_of_a_record(bench: S3Bench, db: S3Database) -> None:
    db.create(Record({}, id="x"))
    assert db.replication.status("x") is None
    with pytest.raises(RecordNotFoundError, match="there is no record 'y'"):
        db.replication.status("y")


@on_seaweed
def test_a_store_that_knows_no_replication_says_so_and_keeps_its_bucket(
    bench: S3Bench, db: S3Database, target: str
) -> None:
    """SeaweedFS 4.48 takes DELETE ?replication for the deletion of the bucket: nobody sends that unseen."""
    with bench.proxy.watch() as seen:
        with pytest.raises(IncompatibleStoreError, match="knows no replication configurations"):
            db.replication.add(target, role=ROLE)
        assert not db.replication.remove().changes
        assert db.replication.rules() == []
    assert "DeleteBucketReplication" not in seen.counts()
    bench.client.head_bucket(Bucket=bench.bucket)


@on_moto
def test_awaited(bench: S3Bench, target: str) -> None:
    async def main() -> None:
        async with AsyncS3Database(bench.config(), runtime=Runtime(sleep=lambda seconds: None)) as db:
            plan = await db.replication.add(target, role=ROLE, dry_run=True)
            assert plan.changes
            assert await db.replication.rules() == []
            documents = await db.replication.role_documents(target)
            assert documents.permissions["Version"] == "2012-10-17"

    asyncio.run(main())
