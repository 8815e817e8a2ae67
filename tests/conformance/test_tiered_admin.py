"""What the helpers of S3 say and do where a record may lie in a pack, be a tombstone, or have lost its object to compaction."""

from __future__ import annotations

import json
from typing import Any
from urllib.request import urlopen

import pytest

from dataknobs_data.backends.s3 import S3Database
from dataknobs_data.exceptions import (
    BatchError,
    ConfigurationError,
    DatabaseOperationError,
    RecordArchivedError,
    RecordNotFoundError,
)
from dataknobs_data.query import Query
from dataknobs_data.records import Record
from dataknobs_data.s3.admin.lifecycle.dangers import endangering
from dataknobs_data.s3.archive.states import RestoreState
from dataknobs_data.s3.keys import Keys
from dataknobs_data.s3.tags import NOT_SHARED
from tests.edge_server import EdgeServer
from tests.s3_bench import S3Bench
from tests.servers import new_bucket_name

TIERED = {"layout": "tiered", "pack_threshold": 3}
on_moto = pytest.mark.parametrize("s3_server", ["moto_server"], indirect=True)
on_seaweed = pytest.mark.parametrize("s3_server", ["seaweed"], indirect=True)


def filled(bench: S3Bench, **over: Any) -> S3Database:
    """A database with `hot`, an object; `a` to `e` in a pack, of which `d` is deleted and `e` updated; `gone`, deleted."""
    db = bench.open(**TIERED, **over)
    db.batch_create([Record({"n": n}, {"team": "blue", "n": n}, id=id) for n, id in enumerate("abcde")])
    db.create(Record({"n": 7}, {"team": "red"}, id="hot"))
    db.create(Record({}, id="gone"))
    db.batch_delete(["d", "gone"])
    db.update("e", Record({"n": 5}, {"team": "green"}))
    return db


@pytest.fixture
def db(bench: S3Bench) -> S3Database:
    """See `filled`."""
    return filled(bench)


def pack_keys(bench: S3Bench) -> list[str]:
    """The keys of all packs."""
    return [bench.prefix + path for path in bench.paths() if path.startswith("_table/packs/")]


def archive(bench: S3Bench, key: str) -> None:
    """Puts an object into an archive class, as a lifecycle rule does."""
    bench.client.copy_object(
        Bucket=bench.bucket, Key=key, CopySource={"Bucket": bench.bucket, "Key": key}, StorageClass="GLACIER"
    )


# ---------------------------------------------------------------------------------------------- tags
def test_tags_of_a_packed_record_are_its_packs(bench: S3Bench, db: S3Database) -> None:
    packed = db.tags("a")
    assert packed is not None
    assert packed == {"team": "blue"}
    assert packed.pack == pack_keys(bench)[0]
    assert packed.skipped == {"id": NOT_SHARED, "created_at": NOT_SHARED, "n": NOT_SHARED}
    hot = db.tags("hot")
    assert hot is not None
    assert (hot["id"], hot["team"], hot.pack, hot.skipped) == ("hot", "red", None, {})
    assert db.tags("e")["team"] == "green"  # type: ignore[index]
    assert [db.tags(id) for id in ("d", "gone", "never")] == [None] * 3


# ---------------------------------------------------------------------------------------------- addresses
def test_an_address_of_a_packed_record_is_refused_and_says_what_to_do(bench: S3Bench, db: S3Database) -> None:
    for id in ("hot", "e"):
        with urlopen(db.presign(id)) as answer:
            assert json.load(answer)["id"] == id
    with pytest.raises(DatabaseOperationError, match=r"in a pack with others .*update\(\)") as refused:
        db.presign("a")
    assert refused.value.context["pack"] == pack_keys(bench)[0]
    for id in ("d", "gone", "never"):
        with pytest.raises(RecordNotFoundError):
            db.presign(id)
    before = db.usage
    assert "versionId=v" in db.presign("a", version_id="v")
    assert db.usage == before
    db.presign("hot")
    assert db.usage.since(before).requests == {"HeadObject": 1}


# ---------------------------------------------------------------------------------------------- headers
def test_encryption_of_a_packed_record_is_its_packs(bench: S3Bench) -> None:
    db = filled(bench, encryption="SSE-S3")
    assert {db.encryption.of(id).name for id in ("a", "e", "hot")} == {"SSE-S3"}  # type: ignore[union-attr]
    assert [db.encryption.of(id) for id in ("d", "gone", "never")] == [None] * 3
    db.compact(full=True)
    for path in bench.paths():
        head = bench.client.head_object(Bucket=bench.bucket, Key=bench.prefix + path)
        assert head.get("ServerSideEncryption") == "AES256", f"all is encrypted that is written: {path}"


def test_the_default_encryption_says_what_becomes_of_packs(own: S3Bench) -> None:
    notes = own.open(**TIERED).encryption.set("SSE-S3", dry_run=True).notes
    assert any("compact()" in note for note in notes)


def test_locks_are_for_objects(own: S3Bench) -> None:
    db = own.open(**TIERED)
    db.enable_versioning()
    plan = db.object_lock.enable(mode="GOVERNANCE", days=1, dry_run=True)
    assert any("packs, tombstones" in note for note in plan.notes)
    assert db.object_lock.enable().applied
    db.batch_create([Record({"n": 1}, id=id) for id in "abc"])
    db.create(Record({"n": 1}, id="hot"))
    with pytest.raises(DatabaseOperationError, match="no object that could be locked alone"):
        db.object_lock.hold("a")
    status = db.object_lock.status("a")
    assert status is not None
    assert (status.pack, status.mode, status.hold) == (pack_keys(own)[0], None, False)
    with pytest.raises(BatchError) as partly:
        db.object_lock.hold(["hot", "a"])
    assert set(partly.value.failed) == {1}
    held = db.object_lock.status("hot")
    assert held is not None
    assert (held.hold, held.pack) == (True, None)
    assert db.delete("hot")
    assert db.object_lock.status("hot") is None
    with pytest.raises(RecordNotFoundError):
        db.object_lock.hold("hot")
    assert [one.version_id for one in db.history("hot")][-1] == held.version_id


@on_moto
def test_locked_packs_do_not_stop_compaction_and_vacuum(own: S3Bench) -> None:
    db = own.connect(**TIERED)
    own.client.put_bucket_versioning(Bucket=own.bucket, VersioningConfiguration={"Status": "Enabled"})
    db.object_lock.enable(mode="GOVERNANCE", days=1)  # moto's server wants the bucket to be empty; AWS does not
    db.batch_create([Record({"n": 1}, id=id) for id in "abcdef"])
    db.batch_delete(["a", "b"])
    before = pack_keys(own)
    assert db.compact(full=True).rewritten == 1
    own.client.delete_objects(Bucket=own.bucket, Delete={"Objects": [{"Key": key} for key in before]})
    assert sorted(db.list_ids()) == ["c", "d", "e", "f"]


# ---------------------------------------------------------------------------------------------- archives
def test_packed_records_are_readable_and_tombstones_are_no_records(bench: S3Bench, db: S3Database) -> None:
    ids = ["a", "hot", "e", "d", "gone", "never"]
    found = {one.id: one for one in db.restore_status(ids)}
    assert [found[id].state for id in ids] == [RestoreState.NOT_ARCHIVED] * 3 + [RestoreState.MISSING] * 3
    assert [found[id].pack for id in ids] == [pack_keys(bench)[0], None, None, None, None, None]
    assert db.restore_status(Query()) == []
    done = db.restore(ids)
    assert (set(done.not_archived), set(done.missing)) == ({"a", "hot", "e"}, {"d", "gone", "never"})
    assert db.restore(Query()).counts() == {}
    before = db.usage
    db.explain.restore(["a", "b", "c"])
    assert db.usage.since(before).requests["HeadObject"] <= 4, "one for each record, one for the pack"


@on_moto
def test_a_record_in_an_archived_pack_is_restored_with_its_pack(bench: S3Bench) -> None:
    db = bench.open(**TIERED, storage_class="GLACIER")
    db.batch_create([Record({"n": n}, {"team": "blue"}, id=id) for n, id in enumerate("abcd")])
    db.create(Record({"n": 7}, id="hot"))
    db.delete("d")
    pack = pack_keys(bench)[0]
    with pytest.raises(RecordArchivedError):
        db.read("a")
    found = {one.id: one for one in db.restore_status(["a", "b", "d"])}
    assert (found["a"].state, found["a"].pack, found["a"].readable) == (RestoreState.ARCHIVED, pack, False)
    assert found["d"].state is RestoreState.MISSING
    assert db.restore(Query().filter("n", "<", 5), dry_run=True).packs == {pack: "requested"}
    plan = db.restore(["a", "b", "c"], dry_run=True)
    assert (plan.estimate.objects, set(plan.requested)) == (1, {"a", "b", "c"})
    before = db.usage
    done = db.restore(["a", "b", "c", "hot"], wait=True)
    assert db.usage.since(before).requests["RestoreObject"] == 2, "the pack once, and an object"
    assert set(done.restored) == {"a", "b", "c", "hot"}
    assert db.read("a")["n"] == 0  # type: ignore[index]
    assert db.tags("a").pack == pack  # type: ignore[union-attr]


@on_moto
def test_an_archived_pack_without_companion_says_so(bench: S3Bench, db: S3Database) -> None:
    archive(bench, pack_keys(bench)[0])
    fresh = bench.connect(**TIERED)
    with pytest.raises(RecordArchivedError):
        fresh.restore_status("a")
    with pytest.raises(RecordArchivedError):
        fresh.tags("a")
    assert fresh.read("hot")["n"] == 7  # type: ignore[index]


# ---------------------------------------------------------------------------------------------- costs
def test_storage_is_reckoned_for_packs_as_wholes_and_without_tombstones(bench: S3Bench, db: S3Database) -> None:
    estimate = db.explain.storage("GLACIER")
    sizes = {path: line for path in bench.paths() if (line := _size(bench, path))}
    pack = pack_keys(bench)[0].removeprefix(bench.prefix)
    assert estimate.objects == 3
    assert estimate.bytes == sizes["hot.json"] + sizes["e.json"] + sizes[pack]
    assert "1 pack and 2 records with an object of its own" in estimate.notes[0]
    assert any("1 of 1 packs have no companion" in note for note in estimate.notes)
    assert db.explain.storage("STANDARD_IA", Query().filter("id", "starts_with", "h")).objects == 1
    assert db.explain.storage("STANDARD_IA", Query().filter("id", "starts_with", "b")).objects == 1
    assert db.explain.storage("STANDARD_IA", Query().filter("id", "in", ["hot", "gone", "d"])).objects == 2


def _size(bench: S3Bench, path: str) -> int:
    return bench.client.head_object(Bucket=bench.bucket, Key=bench.prefix + path)["ContentLength"]


def test_packed_records_pay_for_equal_parts_of_the_packs(bench: S3Bench, db: S3Database) -> None:
    shares = {share.value: share for share in db.cost_tags.split("team")}
    assert {value: share.records for value, share in shares.items()} == {"blue": 3, "red": 1, "green": 1}
    assert shares["blue"].bytes == _size(bench, pack_keys(bench)[0].removeprefix(bench.prefix))
    assert shares["red"].bytes == _size(bench, "hot.json")
    by_n = {share.value: share.records for share in db.cost_tags.split("n")}
    assert by_n == {"0": 1, "1": 1, "2": 1, None: 2}


# ---------------------------------------------------------------------------------------------- lifecycle
def test_rules_move_packs_and_documents_stay(own: S3Bench) -> None:
    db = filled(own)
    packs, whole = own.prefix + "_table/packs/", own.prefix
    plan = db.lifecycle.preview(transition={"GLACIER": 30}, noncurrent_days=90, larger_than_bytes=1000)
    found = {rule["ID"].rpartition(":")[2]: rule for rule in plan.after["Rules"]}
    assert found["archive"]["Filter"]["And"] == {"Prefix": packs, "ObjectSizeGreaterThan": 1000}
    assert found["archive.noncurrent"]["Filter"]["And"]["Prefix"] == whole
    assert found["archive.uploads"]["Filter"] == {"Prefix": whole}
    notes = "\n".join(plan.notes)
    assert "of 1 pack that there are, 1 are large enough" in notes
    assert "records with objects of their own stay" in notes
    assert "1 of 1 packs have no companion" in notes
    assert "of 1 pack that there are, 0 are large enough" in "\n".join(
        db.lifecycle.preview(transition={"GLACIER": 9}).notes
    )
    assert not any("pack" in note for note in db.lifecycle.preview(noncurrent_days=3).notes)
    tagged = db.lifecycle.preview(transition={"STANDARD_IA": 30}, tags={"team": "blue"})
    assert any("tags that all its records share" in note for note in tagged.notes)
    with pytest.raises(ConfigurationError, match="leave id_prefix out"):
        db.lifecycle.preview(transition={"GLACIER": 30}, id_prefix="2024/")
    assert db.lifecycle.preview(noncurrent_days=30, id_prefix="2024/").changes
    with pytest.raises(ConfigurationError, match="records in packs"):
        db.lifecycle.add(expire_days=30, allow_deleting_records=True)
    merged = db.lifecycle.merge(
        {"Rules": [{"Status": "Enabled", "Transitions": [{"Days": 30, "StorageClass": "GLACIER"}]}]}, dry_run=True
    )
    assert [rule["Filter"]["And"]["Prefix"] for rule in merged.after["Rules"] if "Transitions" in rule] == [packs]


@on_seaweed
def test_a_rule_of_ours_endangers_nothing_and_rules_of_others_are_named(own: S3Bench) -> None:
    db = filled(own)
    ours = db.lifecycle.preview(transition={"GLACIER": 30}, noncurrent_days=3, larger_than_bytes=1000)
    assert endangering(ours.after["Rules"], Keys(own.prefix), tiered=True) == []
    assert db.lifecycle.add(noncurrent_days=3).applied
    assert db.lifecycle.dangers() == []
    theirs = {"ID": "all", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 7}}
    rules = [*db.lifecycle.rules(), theirs]
    own.client.put_bucket_lifecycle_configuration(Bucket=own.bucket, LifecycleConfiguration={"Rules": rules})  # type: ignore[typeddict-item]
    dangers = "\n".join(db.lifecycle.dangers())
    for file in ("records of this database", "format.json", "the table's log", "journals of loads", "tombstones"):
        assert f"rule 'all' deletes {own.prefix if file == 'format.json' else ''}" in dangers
        assert file in dangers
    assert any("tombstones" in note for note in db.lifecycle.add("more", noncurrent_days=9).notes)


# ---------------------------------------------------------------------------------------------- replication
@on_moto
def test_a_replica_has_the_table_too(own: S3Bench) -> None:
    db = filled(own)
    own.server.create_bucket(target := new_bucket_name())
    own.client.put_bucket_versioning(Bucket=target, VersioningConfiguration={"Status": "Enabled"})
    role = "arn:aws:iam::111122223333:role/replication"
    plan = db.replication.add(target, role=role, enable_versioning=True)
    assert plan.after["Rules"][0]["Filter"] == {"Prefix": own.prefix}
    assert any("in no order" in note for note in plan.notes)
    assert "not even the table's log" in "\n".join(
        db.replication.add(target, role=role, storage_class="GLACIER", dry_run=True).notes
    )
    with pytest.raises(ConfigurationError, match="delete_markers=False makes no sense"):
        db.replication.add(target, role=role, delete_markers=False)
    assert db.replication.status("a") is None
    with pytest.raises(RecordNotFoundError):
        db.replication.status("gone")


# ---------------------------------------------------------------------------------------------- the edge
def test_what_the_edge_has_of_tombstones_and_packs_says_nothing(bench: S3Bench, db: S3Database) -> None:
    with EdgeServer(bench.client, bench.bucket) as edge:
        reader = bench.connect(**TIERED, read_endpoint=edge.url)
        for _ in range(2):
            assert [found and found["n"] for found in reader.batch_read([*"abcde", "hot", "gone", "never"])] == [
                0, 1, 2, None, 5, 7, None, None,
            ]  # fmt: skip
            assert [reader.read(id) is None for id in ("a", "d", "gone", "never")] == [False, True, True, True]
        assert sorted(found.id for found in reader.search(Query())) == ["a", "b", "c", "e", "hot"]
        db.delete("a")
        db.create(Record({"n": 8}, id="gone"))
        later = bench.connect(**TIERED, read_endpoint=edge.url)
        assert later.read("a") is None, "the edge still has that there was no object"
        assert later.read("gone")["n"] == 8  # type: ignore[index]
