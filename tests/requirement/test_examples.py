"""Every example of the requirement, run word for word, and what its comments promise.

`covers` is the table: it maps an example's heading to the tests of it. A heading without one fails.
"""

from __future__ import annotations

import re
import shlex
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from importlib.metadata import requires
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from dataknobs_data import (
    ConfigurationError,
    DatabaseFactory,
    IncompatibleStoreError,
    Query,
    Record,
    RecordArchivedError,
)
from dataknobs_data.backends.postgres import PostgresDatabase
from dataknobs_data.backends.s3 import S3Database
from dataknobs_data.embedded import PostgresServer
from dataknobs_data.runtime import Runtime
from dataknobs_data.s3.admin.versions import Version
from dataknobs_data.s3.costs.prices import default_prices
from tests.requirement.conftest import LOCALSTACK_PORT, World
from tests.requirement.text import EXAMPLES, SHA256, Run, digest

PUT, GET, LIST = "PutObject", "GetObject", "ListObjectsV2"
COVERED: dict[str, list[str]] = defaultdict(list)


def covers(heading: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Says which example a test is of, and hands it over as `example`."""

    def enter(test: Callable[..., None]) -> Callable[..., None]:
        COVERED[heading].append(test.__name__)
        return pytest.mark.parametrize("example", [pytest.param(EXAMPLES[heading], id=heading)])(test)

    return enter


def test_the_text_is_the_one_that_was_asked_for() -> None:
    assert digest() == SHA256


def test_every_example_of_the_text_is_covered() -> None:
    assert len(EXAMPLES) == 21
    assert COVERED.keys() == EXAMPLES.keys()


# ---------------------------------------------------------------------------------------------- Installation
@covers("Installation")
def test_the_extra_installs_what_the_backend_needs(example: str) -> None:
    pip, install, what = shlex.split(example)
    assert (pip, install) == ("pip", "install")
    asked = Requirement(what)
    wanted = [Requirement(line) for line in requires(asked.name) or ()]
    extras = [one for one in wanted if one.marker and one.marker.evaluate({"extra": next(iter(asked.extras))})]
    assert {"boto3", "obstore"} <= {one.name for one in extras}
    assert not any(one.name in ("boto3", "obstore") and not one.marker for one in wanted), "nobody else pays for it"


# ---------------------------------------------------------------------------------------------- Configuration
@covers("Basic Configuration")
def test_a_database_from_a_plain_configuration(example: str, world: World) -> None:
    bucket = world.bucket("my-data-bucket")
    db: S3Database = Run(example, {}).rest()["db"]
    with db:
        id = db.create(Record({"a": 1}))
    assert world.keys(bucket) == [f"records/{id}.json"]
    if world.proxy:
        scopes = {
            re.search(r"/(\S+?)/s3/aws4_request", request.headers["authorization"]) for request in world.proxy.requests
        }
        assert {scope[1].rpartition("/")[2] for scope in scopes if scope} == {"us-east-1"}


@covers("With Environment Variables")
def test_a_database_from_a_config_file_and_the_environment(
    example: str, world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / example.splitlines()[0].removeprefix("# ")
    path.write_text(example)
    for name in ("S3_BUCKET", "S3_PREFIX", "AWS_REGION", "S3_ENDPOINT", "S3_MAX_WORKERS"):
        monkeypatch.delenv(name, raising=False)

    with pytest.raises(ConfigurationError, match="the environment variable S3_BUCKET is not set"):
        DatabaseFactory.from_yaml(path)

    monkeypatch.setenv("S3_BUCKET", bucket := world.bucket())
    with DatabaseFactory.from_yaml(path).create_named("archive") as db:
        assert type(db) is S3Database
        assert db.concurrency == 10
        id = db.create(Record({"a": 1}))
    assert world.keys(bucket) == [f"data/{id}.json"]

    monkeypatch.setenv("S3_PREFIX", "elsewhere/")
    monkeypatch.setenv("S3_MAX_WORKERS", "3")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    if world.proxy:
        monkeypatch.delenv("AWS_ENDPOINT_URL")
        monkeypatch.setenv("S3_ENDPOINT", world.proxy.endpoint)
    with DatabaseFactory.from_yaml(path).create_named("archive") as db:
        assert db.concurrency == 3
        other = db.create(Record({"a": 1}))
    assert world.keys(bucket) == [f"data/{id}.json", f"elsewhere/{other}.json"]
    if world.proxy:
        assert "/eu-west-1/s3/" in world.proxy.requests[-1].headers["authorization"]


def at_its_port(world: World) -> dict[str, str]:
    """The endpoint of the examples, replaced where its port was not free."""
    return {} if world.port == LOCALSTACK_PORT else {f"localhost:{LOCALSTACK_PORT}": f"127.0.0.1:{world.port}"}


@covers("Using LocalStack for Testing")
def test_a_database_on_a_local_server(example: str, server_world: World) -> None:
    bucket = server_world.bucket("test-bucket")
    db: S3Database = Run(example, server_world.namespace(), at_its_port(server_world)).rest()["db"]
    with db:
        id = db.create(Record({"a": 1}))
        found = db.read(id)
    assert found is not None
    assert found["a"] == 1
    assert server_world.keys(bucket) == [f"records/{id}.json"]


@covers("Start LocalStack:")
def test_the_local_server_listens_where_the_examples_look(example: str) -> None:
    """docker is not run: these servers stand at the port that the command publishes, if it is free."""
    published = shlex.split(example)[shlex.split(example).index("-p") + 1]
    assert published == f"{LOCALSTACK_PORT}:{LOCALSTACK_PORT}"
    for heading in ("Using LocalStack for Testing", "Testing with LocalStack"):
        assert f"http://localhost:{LOCALSTACK_PORT}" in EXAMPLES[heading]


# ---------------------------------------------------------------------------------------------- Usage Examples
@covers("Basic CRUD Operations")
def test_create_read_update_delete(example: str, world: World, capsys: pytest.CaptureFixture[str]) -> None:
    bucket = world.bucket("my-bucket")
    run = Run(example, {})
    names = run.namespace
    run.before("# Read")
    assert names["record_id"] == "user-123"
    assert world.keys(bucket) == ["app/records/user-123.json"]
    run.before("# Update")
    assert capsys.readouterr().out == "Name: Alice\n"
    assert names["retrieved"].data == names["record"].data
    run.before("# Delete")
    updated = names["db"].read("user-123")
    assert updated["email"] == "alice.smith@example.com"
    assert updated["name"] == "Alice"
    assert updated["created_at"] == "2024-01-01T00:00:00Z"
    assert names["record"].fields["email"].value == "alice.smith@example.com"
    run.rest()
    assert names["db"].read("user-123") is None
    assert world.keys(bucket) == []
    names["db"].close()


@covers("Batch Operations")
def test_batches(example: str, world: World) -> None:
    db = world.database()
    run = Run(example, world.namespace(db))
    names = run.namespace
    with world.counting(db) as sent:
        run.before("# Parallel read")
    assert sent == Counter({PUT: 100}) + world.looks(2)
    assert names["record_ids"] == [f"user-{i}" for i in range(100)]
    if world.proxy:
        assert 2 <= world.proxy.max_in_flight <= 10, "10 workers by default"
    run.before("# Parallel delete")
    assert [record["name"] for record in names["retrieved"]] == [f"User {i}" for i in range(50)]
    with world.counting(db) as sent:
        run.rest()
    assert sent == ({PUT: 50} | world.looks(1) if world.is_tiered else {LIST: 1, "DeleteObjects": 1})
    assert names["results"] == [True] * 50
    assert db.list_ids() == sorted(names["record_ids"][:50])


@covers("Metadata and Tags")
def test_metadata_is_kept_and_mirrored_as_tags(example: str, world: World) -> None:
    db = world.database()
    names = Run(example, world.namespace(db)).rest()
    id = names["record_id"]
    found = db.read(id)
    assert found is not None
    assert found.data == {"name": "Important Document", "content": "..."}
    mine = {"created_by": "admin", "version": "1.0", "department": "Engineering"}
    assert mine.items() <= found.metadata.items()
    where = next(
        bucket["Name"]
        for bucket in world.client.list_buckets()["Buckets"]
        if f"records/{id}.json" in world.keys(bucket["Name"])
    )
    tags = world.client.get_object_tagging(Bucket=where, Key=f"records/{id}.json")["TagSet"]
    seen_in_the_console = {tag["Key"]: tag["Value"] for tag in tags}
    assert seen_in_the_console == {"id": id, "created_at": found.metadata["created_at"], **mine}
    assert db.tags(id) == seen_in_the_console


@covers("Searching and Filtering")
def test_search_downloads_what_it_does_not_hold_and_filters_here(example: str, world: World) -> None:
    bucket = world.bucket()
    with S3Database({"bucket": bucket}) as other:
        other.batch_create(
            Record(
                {
                    "department": "Engineering" if n % 2 else "Sales",
                    "active": n % 3 != 0,
                    "created_at": f"2024-01-{n % 28 + 1:02}T00:00:00Z",
                },
                id=f"r{n:02}",
            )
            for n in range(56)
        )
    db = S3Database({"bucket": bucket})
    world.opened.append(db.connect())
    run = Run(example, world.namespace(db))
    with world.counting(db) as sent:
        run.rest()
    found = run.namespace["results"]
    assert sent == Counter({LIST: 1, GET: 56}) + world.looks(first=True), "this downloads ALL objects"
    assert len(found) == 10
    assert all(record["department"] == "Engineering" and record["active"] for record in found)
    stamps = [record["created_at"] for record in found]
    assert stamps == sorted(stamps, reverse=True)
    matching = [r["created_at"] for r in db.all() if r["department"] == "Engineering" and r["active"]]
    assert stamps == sorted(matching, reverse=True)[:10]


# ---------------------------------------------------------------------------------------------- Performance
@covers("1. Batch Operations")
def test_single_creates_are_calls_one_after_the_other_and_a_batch_is_calls_side_by_side(
    example: str, world: World
) -> None:
    """`records` without ids, because the example creates them twice."""
    db = world.database()
    run = Run(example, world.namespace(db, records=[Record({"n": n}) for n in range(30)]))
    with world.counting(db) as sent:
        run.before("# Good: Batch operations")
    assert sent == {PUT: 30}, "One API call each"
    if world.proxy:
        with world.proxy.watch() as seen:
            run.rest()
        assert seen.counts() == {PUT: 30}
        assert 2 <= seen.max_in_flight <= 10
    else:
        run.rest()
    assert db.count() == 60


@covers("2. Prefix Organization")
def test_a_prefix_is_a_time_period_that_can_be_listed_alone(example: str, world: World) -> None:
    bucket = world.bucket("my-bucket")
    db: S3Database = Run(example, world.namespace()).rest()["db"]
    with db, S3Database({"bucket": bucket, "prefix": "data/2024/02/"}) as february:
        db.create(Record({}, id="january-1"))
        february.batch_create([Record({}, id="february-1"), Record({}, id="february-2")])
        assert db.list_ids() == ["january-1"]
        assert february.count() == 2
        if world.proxy:
            listings = [request.query["prefix"] for request in world.proxy.requests if request.operation == LIST]
            listings = [prefix for prefix in listings if not prefix.endswith("_delta_log/")]
            assert listings == ["data/2024/01/", "data/2024/02/"]
        with S3Database({"bucket": bucket, "prefix": "data/"}) as everything:
            assert everything.list_ids("2024/01/") == ["2024/01/january-1"]
            assert everything.count() == 3


@covers("3. Index Caching")
def test_a_listing_is_cached_for_sixty_seconds(example: str, world: World) -> None:
    clock = [0.0]
    bucket = world.bucket()
    with S3Database({"bucket": bucket}) as other:
        other.batch_create(Record({}) for _ in range(5))
    for config, lifetime in (({}, 60), ({"cache_ttl": 5}, 5)):
        db = S3Database({"bucket": bucket, **config}, runtime=Runtime(monotonic=lambda: clock[0]))
        world.opened.append(db.connect())
        run = Run(example, world.namespace(db))
        with world.counting(db) as sent:
            run.before("db.count()  # Subsequent calls: uses cache")
        assert sent == Counter({LIST: 1}) + world.looks(first=True), "First call: lists all objects"
        with world.counting(db) as sent:
            run.rest()
            clock[0] += lifetime - 0.1
            assert db.count() == 5
        assert sent == {}, "Subsequent calls: uses cache"
        clock[0] += 0.2
        with world.counting(db) as sent:
            assert db.count() == 5
        assert sent == Counter({LIST: 1}) + world.looks(), "Cache expires"


@covers("4. Multipart Upload")
def test_a_large_record_is_uploaded_in_parts(example: str, world: World) -> None:
    db = world.database()
    run = Run(example, world.namespace(db))
    with world.counting(db) as sent:
        run.rest()
    lock = {PUT: 1, "HeadObject": 1, "DeleteObject": 1}  # off AWS
    assert sent == {"CreateMultipartUpload": 1, "UploadPart": 3, "CompleteMultipartUpload": 1, **lock, **world.looks(2)}
    found = db.read("large-file")
    assert found is not None
    assert found["data"] == run.namespace["large_record"]["data"]
    with world.counting(db) as sent:
        db.create(Record({"data": "x" * (4 * 1024 * 1024)}))
    assert sent == {PUT: 1}, "for objects > 5MB"


# ---------------------------------------------------------------------------------------------- Cost
@covers("API Call Reduction")
def test_single_creates_and_batches_both_store_every_record(example: str, world: World) -> None:
    """The dollars of the comments are not S3's (PUT is $0.005 per 1,000); what is counted is counted right."""
    count = 100
    db = world.database()
    run = Run(example, world.namespace(db, records=[Record({"n": n}) for n in range(count)]))
    before = db.usage
    run.before("# Good: Batch create = ~100 PUT requests (with 10 workers)")
    assert db.usage.since(before).requests == {PUT: count}, "1000 individual creates = 1000 PUT requests"
    assert db.usage.since(before).dollars == pytest.approx(count * default_prices().per_request[PUT])
    run.rest()
    assert db.count() == 2 * count


@covers("API Call Reduction")
def test_a_batch_of_a_thousand_is_a_hundred_puts(example: str, world: World) -> None:
    """The second half of the example; its ratio, one PUT for ten records, whatever their number."""
    count = 1000 if world.is_tiered else 100
    db = world.database()
    run = Run(example, world.namespace(db, records=[]))
    run.before("db.batch_create(records)  # $0.04")
    run.namespace["records"] = [Record({"n": n}) for n in range(count)]
    with world.counting(db) as sent:
        run.rest()
    assert db.count() == count
    if world.is_tiered:
        assert sent == {PUT: 2}, "~100 PUT requests, says the example"
    else:
        assert sent == {PUT: count}, "without packs it is one for each"


@covers("Storage Classes")
def test_records_go_to_the_storage_class(example: str, world: World) -> None:
    bucket = world.bucket("archive-bucket")
    db: S3Database = Run(example, world.namespace()).rest()["db"]
    with db:
        id = db.create(Record({"a": 1}))
        assert world.client.head_object(Bucket=bucket, Key=f"archive/{id}.json")["StorageClass"] == "GLACIER"
        assert db.count() == 1
        assert db.exists(id)
        if world.has_archive:
            with pytest.raises(RecordArchivedError, match="restore it first"):
                db.read(id)
            assert db.restore(id, days=1, dry_run=True).requested == (id,)
            assert db.restore(id, days=1, wait=True, timeout=5).restored == (id,)
        found = db.read(id)
        assert found is not None
        assert found["a"] == 1
        assert db.delete(id)


@covers("Lifecycle Policies")
def test_a_lifecycle_rule_can_be_set_and_the_database_lives_with_it(example: str, world: World) -> None:
    """As it stands the rule names neither Filter nor Prefix, which S3's API wants: the empty prefix is what it means."""
    config = Run(example, {}).rest()["lifecycle_config"]
    if world.name == "seaweed":
        pytest.skip("SeaweedFS answers 501 to transitions")
    db = world.database()
    bucket = db._engine._settings.bucket  # type: ignore[attr-defined]
    rules = [{"Prefix": "", **rule} for rule in config["Rules"]]
    world.client.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": rules})
    (rule,) = world.client.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
    assert rule["Transitions"] == config["Rules"][0]["Transitions"]
    assert (rule["ID"], rule["Status"]) == ("ArchiveOldData", "Enabled")
    assert db.read(db.create(Record({"a": 1})))


@covers("Lifecycle Policies")
def test_the_examples_own_dictionary_becomes_a_rule_for_this_database(example: str, world: World) -> None:
    """It names no Filter, so it would move whatever lies in the bucket, control files too: that is corrected, and said."""
    config = Run(example, {}).rest()["lifecycle_config"]
    if world.name == "seaweed":
        pytest.skip("SeaweedFS answers 501 to transitions")
    db = world.database()
    plan = db.lifecycle.merge(config)
    assert plan.applied
    rules = world.client.get_bucket_lifecycle_configuration(Bucket=db._engine._settings.bucket)["Rules"]  # type: ignore[attr-defined]
    assert [rule["ID"].rpartition(":")[2] for rule in rules] == ["ArchiveOldData", "ArchiveOldData.uploads"]
    assert rules[0]["Transitions"] == config["Rules"][0]["Transitions"]
    what = "records/_table/packs/" if world.is_tiered else "records/"
    assert rules[0]["Filter"]["And"]["Prefix"] == what
    assert plan.after["Rules"][0]["Filter"] == {"And": {"Prefix": what, "ObjectSizeGreaterThan": 131072}}
    for said in ("has no Filter", "the ID 'ArchiveOldData' becomes", "unfinished uploads"):
        assert any(said in note for note in plan.notes), said
    db.lifecycle.remove()
    assert db.lifecycle.rules() == []


# ---------------------------------------------------------------------------------------------- Advanced
@covers("S3 Select Integration (Future)")
def test_select_query_finds_the_department(example: str, world: World) -> None:
    db = world.database()
    db.batch_create(Record({"department": name, "n": n}) for n, name in enumerate(["Engineering", "Sales"] * 5))
    names = Run(example, world.namespace(db)).rest()
    assert sorted(row["n"] for row in names["results"]) == [0, 2, 4, 6, 8]


@covers("Cross-Region Replication")
def test_a_database_lives_in_a_replicated_bucket_and_in_its_replica(example: str, world: World) -> None:
    """Two comments. The regions are theirs; the replicating is AWS's own, which neither server does."""
    primary_line, replica_line = example.splitlines()[1:]
    primary_region, replica_region = primary_line.rpartition(": ")[2], replica_line.rpartition(": ")[2]
    if world.name == "seaweed":
        pytest.skip("SeaweedFS answers 409 to a replication configuration")
    primary, replica = world.bucket(), new_bucket_in(world, replica_region)
    for name in (primary, replica):
        world.client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    destination: Any = {"Bucket": f"arn:aws:s3:::{replica}"}
    rule: Any = {"ID": "r", "Priority": 1, "Filter": {}, "Status": "Enabled", "Destination": destination}
    rule["DeleteMarkerReplication"] = {"Status": "Disabled"}
    configuration: Any = {"Role": "arn:aws:iam::123456789012:role/replication", "Rules": [rule]}
    world.client.put_bucket_replication(Bucket=primary, ReplicationConfiguration=configuration)
    with S3Database({"bucket": primary, "region": primary_region}) as here:
        here.create(Record({"a": 1}, id="x"))
    copied = world.client.get_object(Bucket=primary, Key="records/x.json")
    world.client.put_object(
        Bucket=replica, Key="records/x.json", Body=copied["Body"].read(), Metadata=copied["Metadata"]
    )
    with S3Database({"bucket": replica, "region": replica_region}) as there:
        found = there.read("x")
        assert found is not None
        assert found["a"] == 1
        assert there.update("x", Record({"a": 2}))


@covers("Cross-Region Replication")
def test_replication_between_the_two_regions_is_configured_by_us(example: str, world: World) -> None:
    """What the example leaves to the console. The store that knows no replication says so, and keeps its bucket."""
    primary_line, replica_line = example.splitlines()[1:]
    primary_region, replica_region = primary_line.rpartition(": ")[2], replica_line.rpartition(": ")[2]
    primary = world.bucket()
    replica = world.bucket() if world.name == "seaweed" else new_bucket_in(world, replica_region)
    role = "arn:aws:iam::123456789012:role/replication"
    quick = Runtime(sleep=lambda seconds: None)  # moto never shows what it drops of a rule
    with S3Database({"bucket": primary, "region": primary_region}, runtime=quick) as here:
        here.create(Record({"a": 1}, id="x"))
        with S3Database({"bucket": replica, "region": replica_region}) as there:
            assert there.enable_versioning().applied
        if world.name == "seaweed":
            with pytest.raises(IncompatibleStoreError, match="knows no replication configurations"):
                here.replication.add(replica, role=role, enable_versioning=True)
            assert here.replication.remove().changes is False
            assert here.read("x")
            return
        assert here.replication.add(replica, role=role, enable_versioning=True, dry_run=True).changes
        assert here.replication.rules() == []
        plan = here.replication.add(replica, role=role, enable_versioning=True)
        assert plan.applied
        assert plan.after["Rules"][0]["Filter"] == {"Prefix": "records/"}
        (rule,) = world.client.get_bucket_replication(Bucket=primary)["ReplicationConfiguration"]["Rules"]
        assert (rule["Status"], rule["Destination"]) == ("Enabled", {"Bucket": f"arn:aws:s3:::{replica}"})
        assert here.versioning() == "Enabled"
        assert here.replication.remove().applied
        assert here.replication.rules() == []
        assert here.delete("x")


def new_bucket_in(world: World, region: str) -> str:
    name = f"replica-{time.time_ns()}"
    place: Any = {"LocationConstraint": region}
    world.client.create_bucket(Bucket=name, CreateBucketConfiguration=place)
    return name


@covers("Versioning")
def test_versioning_is_switched_on_as_it_was_shown(example: str, world: World) -> None:
    """Two comments: "Enable versioning in S3 bucket" and what it is useful for, which the next test shows."""
    enable, useful = example.splitlines()
    assert (enable, useful) == ("# Enable versioning in S3 bucket", "# Useful for audit trails and recovery")
    bucket = world.bucket()
    with S3Database({"bucket": bucket}) as db:
        shown = db.enable_versioning(dry_run=True)
        assert (shown.before, shown.after, shown.applied) == (None, "Enabled", False)
        assert "Status" not in world.client.get_bucket_versioning(Bucket=bucket)
        done = db.enable_versioning()
        assert (done.before, done.after, done.applied) == (None, "Enabled", True)
        assert world.client.get_bucket_versioning(Bucket=bucket)["Status"] == db.versioning() == "Enabled"
        assert not db.enable_versioning().applied, "a second time there is nothing to change"


@covers("Versioning")
def test_older_versions_are_an_audit_trail_and_can_be_recovered(example: str, world: World) -> None:
    bucket = world.bucket()
    with (
        S3Database({"bucket": bucket, "author": "alice"}) as db,
        S3Database({"bucket": bucket, "author": "job"}) as job,
    ):
        db.enable_versioning()
        db.create(Record({"state": "first"}, id="x"))
        revisions = [db.get_version("x")]
        job.update("x", Record({"state": "second"}))
        revisions.append(db.get_version("x"))
        db.delete("x")

        trail = db.history("x")
        assert [one.author for one in trail] == [None, "job", "alice"], "who"
        assert [one.is_delete_marker for one in trail] == [True, False, False], "what"
        assert [one.revision for one in trail] == [None, *reversed(revisions)]
        assert [one.at for one in trail] == sorted((one.at for one in trail), reverse=True), "when"
        assert states(db, trail) == [None, "second", "first"]
        assert {one.version_id for one in trail} == stored_versions(world, bucket)

        assert db.read("x") is None
        assert db.undelete("x")
        assert not db.undelete("x"), "it is there"
        recovered = db.read("x")
        assert recovered is not None
        assert recovered["state"] == "second"
        assert db.revert("x", trail[-1].version_id)["state"] == "first"

        after = db.history("x")
        assert after[0].is_latest
        assert {one.version_id for one in after} == stored_versions(world, bucket)
        assert {one.version_id for one in trail} < {one.version_id for one in after}, "nothing of it is lost"
        if world.name == "seaweed":  # moto's times of one second do not tell deletions and writes apart
            assert states(db, after) == ["first", "second", None, "second", "first"]
        assert db.count() == 1


def states(db: S3Database, versions: list[Version]) -> list[str | None]:
    found = [db.read("x", version_id=one.version_id) for one in versions]
    return [record["state"] if record else None for record in found]


def stored_versions(world: World, bucket: str) -> set[str]:
    """As the store lists them."""
    listed = world.client.list_object_versions(Bucket=bucket, Prefix="records/x.json")
    return {line["VersionId"] for line in [*listed["Versions"], *listed.get("DeleteMarkers", [])]}


@covers("Testing with LocalStack")
def test_the_test_of_the_text_passes(example: str, server_world: World) -> None:
    bucket = server_world.bucket("test-bucket")
    names = Run(example, server_world.namespace(), at_its_port(server_world)).rest()
    assert names["test_db"].read(names["record_id"]) is None
    assert server_world.keys(bucket) == []
    names["test_db"].close()


# ---------------------------------------------------------------------------------------------- Migration
@pytest.fixture(scope="session")
def production(postgres: PostgresServer) -> PostgresServer:
    postgres.create_database("production")
    return postgres


@pytest.fixture
def source(production: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[PostgresDatabase]:
    """An empty table in the database that the example names, found by libpq's variables. Local time is not UTC."""
    for name in ("PGPORT", "PGUSER", "PGPASSWORD"):
        monkeypatch.setenv(name, production.environment()[name])
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    with PostgresDatabase({"host": "localhost", "database": "production"}) as database:
        database.clear()
        yield database
    monkeypatch.undo()
    time.tzset()


def rows_around(cutoff: datetime) -> tuple[list[Record], list[Record]]:
    """(older, not older) than the cutoff, by an hour, in every form that a row's time may have."""
    zone = timezone(timedelta(hours=5, minutes=30))
    forms: dict[str, Callable[[datetime], Any]] = {
        "naive": lambda moment: moment.replace(tzinfo=None).isoformat(),
        "seconds": lambda moment: moment.replace(tzinfo=None).isoformat(timespec="seconds"),
        "zulu": lambda moment: moment.isoformat().replace("+00:00", "Z"),
        "offset": lambda moment: moment.astimezone(zone).isoformat(),
        "space": lambda moment: moment.isoformat(sep=" "),
        "aware-object": lambda moment: moment.astimezone(zone),
        "naive-object": lambda moment: moment.replace(tzinfo=None),
    }
    hour = timedelta(hours=1)
    older = [Record({"created_at": form(cutoff - hour), "n": 1}, id=f"old-{name}") for name, form in forms.items()]
    newer = [Record({"created_at": form(cutoff + hour), "n": 2}, id=f"new-{name}") for name, form in forms.items()]
    older += [
        Record({"created_at": "2001-02-03"}, {"from": "a form"}, id="old-date"),
        Record({"created_at": "1999-12-31T23:59:59Z"}),
    ]
    newer += [
        Record({"created_at": "2999-01-01"}, id="new-date"),
        Record({"created_at": None}, id="none"),
        Record({"created_at": 5}, id="number"),
        Record({"created_at": "unknown"}, id="text"),
        Record({"updated_at": "2001-02-03T00:00:00Z"}, id="without"),
    ]
    return older, newer


@covers("Migration from Other Backends")
def test_exactly_the_old_rows_move_from_postgresql_to_s3(
    example: str, world: World, source: PostgresDatabase, capsys: pytest.CaptureFixture[str]
) -> None:
    """A naive time is read as UTC, the example's `datetime.now()` too: with local time behind UTC the cutoff is later."""
    bucket = world.bucket("archive-bucket")
    cutoff = (datetime.now() - timedelta(days=365)).replace(tzinfo=UTC)
    older, newer = rows_around(cutoff)
    moved = source.batch_create(older)
    source.batch_create(newer)
    before = {record.id: record.data for record in source.all()}
    names = Run(example, {"Query": Query}).rest()
    assert capsys.readouterr().out == f"Archived {len(older)} records to S3\n"
    archive = names["archive"]
    assert archive.list_ids() == sorted(moved)
    assert sorted(world.keys(bucket)) == sorted(f"postgres-backup/{id}.json" for id in moved)
    assert {record.id: record.data for record in archive.all()} == {id: before[id] for id in moved}
    archived = archive.read("old-date")
    assert archived.metadata["from"] == "a form"
    left = {record.id: record.data for record in source.all()}
    assert left == {id: data for id, data in before.items() if id not in moved}
    assert len(left) == len(newer)
    for database in (archive, names["source"]):
        database.close()
