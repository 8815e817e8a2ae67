"""Buckets that keep versions: every operation as before, and what the history has, brought back."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest

from dataknobs_data.backends.s3 import S3Database
from dataknobs_data.exceptions import (
    ConcurrencyError,
    DatabaseConnectionError,
    DataFormatError,
    DuplicateRecordError,
    RecordNotFoundError,
    RecordValidationError,
)
from dataknobs_data.records import Record
from dataknobs_data.s3 import probe
from tests.s3_bench import S3Bench
from tests.servers import S3Server
from tests.wire.faults import Answer, Lose
from tests.wire.proxy import WireProxy

MIB = 1024 * 1024


@pytest.fixture
def bench(own: S3Bench) -> S3Bench:
    """A bucket of its own: what is switched here is switched for all of it."""
    return own


@pytest.fixture
def db(bench: S3Bench) -> S3Database:
    """An empty database in a bucket that keeps versions."""
    database = bench.open(author="the tests")
    assert database.enable_versioning().applied
    return database


def read(db: S3Database, id: str, version_id: str | None = None) -> Any:
    """The data of a record, None where there is none."""
    found = db.read(id, version_id=version_id)
    return found.data if found else None


# ---------------------------------------------------------------------------------------------- the switch
def test_versioning_is_shown_first_then_switched_on_then_left_alone(bench: S3Bench) -> None:
    db = bench.open()
    assert db.versioning() is None
    plan = db.enable_versioning(dry_run=True)
    assert (plan.before, plan.after, plan.changes, plan.applied) == (None, "Enabled", True, False)
    assert '+"Enabled"' in plan.diff()
    assert "Status" not in bench.client.get_bucket_versioning(Bucket=bench.bucket)
    assert db.enable_versioning().applied
    assert db.versioning() == bench.client.get_bucket_versioning(Bucket=bench.bucket)["Status"] == "Enabled"
    again = db.enable_versioning()
    assert (again.changes, again.applied, again.diff()) == (False, False, "")


@pytest.mark.parametrize("s3_server", ["seaweed"], indirect=True)
def test_versioning_that_was_never_on_is_not_suspended_and_what_was_kept_stays(bench: S3Bench) -> None:
    """What is written afterwards is not tried here: SeaweedFS 4.48 now and then refuses conditions, moto forgets versions."""
    db = bench.open()
    assert not db.suspend_versioning().changes, "a bucket that never kept versions has nothing to suspend"
    db.enable_versioning()
    db.create(Record({"n": 1}, id="x"))
    db.update("x", Record({"n": 2}))
    assert db.suspend_versioning().applied
    assert db.versioning() == "Suspended"
    assert [read(db, "x", version.version_id) for version in db.history("x")] == [{"n": 2}, {"n": 1}]
    assert db.enable_versioning().before == "Suspended"
    db.update("x", Record({"n": 3}))
    assert [read(db, "x", version.version_id)["n"] for version in db.history("x")] == [3, 2, 1]


def test_what_the_store_can_do_is_tried_again_in_the_changed_bucket(bench: S3Bench) -> None:
    db = bench.open()
    where = (bench.server.endpoint, bench.bucket)
    assert where in probe._known
    db.enable_versioning(dry_run=True)
    assert where in probe._known
    db.enable_versioning()
    assert where not in probe._known
    db.create(Record({}, id="x"))
    assert where in probe._known


# ---------------------------------------------------------------------------------------------- history
def test_history_tells_who_wrote_what_when_and_how_large(bench: S3Bench, db: S3Database) -> None:
    db.create(Record({"text": "first"}, id="x"))
    created = db.get_version("x")
    bench.connect(author="Zoë & co").update("x", Record({"text": "second" * 100}))
    db.delete("x")
    deleted, second, first = db.history("x")
    assert [one.is_delete_marker for one in (deleted, second, first)] == [True, False, False]
    assert [one.is_latest for one in (deleted, second, first)] == [True, False, False]
    assert (first.author, second.author, deleted.author) == ("the tests", "Zoë & co", None)
    assert first.revision == created != second.revision
    assert deleted.revision is None
    assert first.owner
    head = bench.client.head_object(Bucket=bench.bucket, Key=bench.key("x"), VersionId=second.version_id)
    assert (second.size_bytes, second.etag) == (head["ContentLength"], head["ETag"])
    assert second.at == head["LastModified"].replace(microsecond=second.at.microsecond)
    assert second.storage_class == "STANDARD"
    assert read(db, "x", first.version_id) == {"text": "first"}
    assert read(db, "x", deleted.version_id) is None


def test_history_is_of_one_record_and_can_be_cut(db: S3Database) -> None:
    for number in range(4):
        for id in ("a", "a.json", "a/b", "ab"):
            db.upsert(id, Record({"n": number}))
    assert len(db.history("a")) == len(db.history("a.json")) == len(db.history("a/b")) == 4
    assert [read(db, "a", one.version_id) for one in db.history("a", limit=2)] == [{"n": 3}, {"n": 2}]
    assert db.history("never") == []
    with pytest.raises(RecordValidationError):
        db.history("")


def test_a_record_from_before_versioning_has_a_history_too(bench: S3Bench) -> None:
    db = bench.open()
    db.create(Record({"n": 0}, id="x"))
    assert [one.version_id for one in db.history("x")] == ["null"]
    db.enable_versioning()
    db.update("x", Record({"n": 1}))
    assert [read(db, "x", one.version_id) for one in db.history("x")] == [{"n": 1}, {"n": 0}]
    assert db.revert("x", "null")["n"] == 0


@pytest.mark.parametrize("s3_server", ["seaweed"], indirect=True)  # moto takes twenty seconds
def test_a_history_of_more_than_a_page(bench: S3Bench, db: S3Database) -> None:
    for number in range(1003):
        db.upsert("x", Record({"n": number}))
    before = db.usage
    history = db.history("x")
    assert db.usage.since(before).requests == {"ListObjectVersions": 2, "HeadObject": 1003}
    assert len({one.version_id for one in history}) == 1003
    assert [read(db, "x", history[at].version_id)["n"] for at in (0, 1, 1002)] == [1002, 1001, 0]


def test_a_history_costs_one_listing_and_a_look_at_each_version(db: S3Database) -> None:
    db.create(Record({}, id="x"))
    db.update("x", Record({}))
    db.delete("x")
    before = db.usage
    db.history("x")
    assert db.usage.since(before).requests == {"ListObjectVersions": 1, "HeadObject": 2}


# ---------------------------------------------------------------------------------------------- revert
def test_revert_writes_the_old_version_on_top(db: S3Database) -> None:
    db.create(Record({"n": 1}, {"team": "blue"}, id="x"))
    db.update("x", Record({"n": 2}))
    old = db.history("x")[-1]
    created_at = db.read("x").metadata["created_at"]
    present = db.get_version("x")
    back = db.revert("x", old.version_id)
    assert back.data == read(db, "x") == {"n": 1}
    assert back.metadata["team"] == "blue"
    assert back.metadata["created_at"] == created_at
    assert db.get_version("x") not in (present, old.revision), "a revision is new with every write"
    assert len(db.history("x")) == 3
    assert db.tags("x")["team"] == "blue"


def test_revert_takes_part_in_compare_and_set(db: S3Database) -> None:
    db.create(Record({"n": 1}, id="x"))
    version = db.get_version("x")
    old = db.history("x")[0].version_id
    db.update("x", Record({"n": 2}))
    with pytest.raises(ConcurrencyError):
        db.revert("x", old, expected_version=version)
    assert read(db, "x") == {"n": 2}
    assert db.revert("x", old, expected_version=db.get_version("x")).data == {"n": 1}


def test_revert_brings_a_deleted_record_back(db: S3Database) -> None:
    db.create(Record({"n": 1}, id="x"))
    db.update("x", Record({"n": 2}))
    db.delete("x")
    deletion, _, first = db.history("x")
    with pytest.raises(RecordNotFoundError, match="deletion"):
        db.revert("x", deletion.version_id)
    assert read(db, "x") is None
    db.revert("x", first.version_id)
    assert read(db, "x") == {"n": 1}


@pytest.mark.parametrize("wrong", ["nope", "null", "00000000-0000-0000-0000-000000000000"])
def test_revert_to_a_version_that_never_was(db: S3Database, wrong: str) -> None:
    db.create(Record({"n": 1}, id="x"))
    with pytest.raises(RecordNotFoundError, match=r"history\(id\)"):
        db.revert("x", wrong)
    assert read(db, "x") == {"n": 1}


def test_revert_mends_a_record_that_is_damaged(bench: S3Bench, db: S3Database) -> None:
    db.create(Record({"n": 1}, id="x"))
    bench.put("x", b'{"format": 1, "da')
    with pytest.raises(DataFormatError):
        db.read("x")
    with pytest.raises(DataFormatError):
        db.update("x", Record({}))
    db.revert("x", db.history("x")[-1].version_id)
    assert read(db, "x") == {"n": 1}


# ---------------------------------------------------------------------------------------------- undelete
def test_undelete_brings_the_newest_version_back_once(db: S3Database) -> None:
    db.create(Record({"n": 1}, id="x"))
    db.update("x", Record({"n": 2}))
    created_at = db.read("x").metadata["created_at"]
    db.delete("x")
    assert db.undelete("x", dry_run=True)
    assert read(db, "x") is None
    assert db.undelete("x")
    assert read(db, "x") == {"n": 2}
    assert db.read("x").metadata["created_at"] == created_at
    assert not db.undelete("x")
    assert not db.undelete("x", dry_run=True)
    with pytest.raises(RecordNotFoundError, match="enable_versioning"):
        db.undelete("never")


def test_an_undelete_never_overwrites_what_was_created_meanwhile(db: S3Database, bench: S3Bench) -> None:
    db.create(Record({"n": 1}, id="x"))
    db.delete("x")
    other = bench.connect()

    class Interrupted(S3Database):
        """Somebody creates the record between its look and its write."""

    rival = Interrupted(bench.config())
    engine = rival._s3()
    asked = engine.get_at_version

    def create_meanwhile(id: str, version_id: str) -> Any:
        other.create(Record({"n": 99}, id=id))
        return asked(id, version_id)

    engine.get_at_version = create_meanwhile  # type: ignore[method-assign]
    with rival:
        assert not rival.undelete("x")
    assert read(db, "x") == {"n": 99}


def test_an_older_version_is_not_taken_for_what_was_deleted_while_versioning_was_suspended(
    db: S3Database, bench: S3Bench
) -> None:
    if bench.is_moto:
        pytest.skip("moto 5.2 forgets the versions below what is written while versioning is suspended")
    db.create(Record({"n": 1}, id="x"))
    old = db.history("x")[0].version_id
    db.suspend_versioning()
    bench.put("x", {"id": "x", "data": {"n": 2}})
    assert db.delete("x")
    for dry_run in (True, False):
        with pytest.raises(RecordNotFoundError, match="while versioning was suspended") as refused:
            db.undelete("x", dry_run=dry_run)
        assert refused.value.context["version_id"] == old
    assert read(db, "x") is None
    db.enable_versioning()
    assert db.revert("x", old).data == {"n": 1}


def test_bulk_deletes_can_be_undone(db: S3Database) -> None:
    ids = db.batch_create(Record({"n": number}, id=f"r{number}") for number in range(12))
    assert db.batch_delete(ids) == [True] * 12
    assert db.count() == 0
    assert all(db.undelete(id) for id in ids)
    assert [read(db, id) for id in ids] == [{"n": number} for number in range(12)]


# ---------------------------------------------------------------------------------------------- as before
def test_large_records_keep_their_versions(db: S3Database) -> None:
    db.create(Record({"data": "a" * 6 * MIB}, id="x"))
    db.update("x", Record({"data": "b" * 6 * MIB}))
    with pytest.raises(DuplicateRecordError):
        db.create(Record({"data": "c" * 6 * MIB}, id="x"))
    assert [read(db, "x", one.version_id)["data"][0] for one in db.history("x")] == ["b", "a"]
    db.revert("x", db.history("x")[-1].version_id)
    assert read(db, "x")["data"] == "a" * 6 * MIB


def test_deleted_is_deleted_for_everybody(db: S3Database) -> None:
    db.create(Record({"n": 1}, id="x"))
    assert db.delete("x")
    assert not db.delete("x")
    assert not db.exists("x")
    assert db.get_version("x") is None
    assert db.list_ids() == []
    assert list(db.search()) == []
    assert not db.update("x", Record({}))
    assert db.batch_delete(["x", "y"]) == [False, False]
    assert sum(one.is_delete_marker for one in db.history("x")) == 1, "a delete that finds nothing leaves no marker"
    db.create(Record({"n": 2}, id="x"))
    assert read(db, "x") == {"n": 2}


@pytest.mark.parametrize("seed", range(4))
def test_twenty_random_edits_deletes_and_reverts_leave_the_history_of_a_model(
    bench: S3Bench, db: S3Database, seed: int
) -> None:
    """The model: a list of what was written, None for a deletion, newest last."""
    dice, model = random.Random(f"{seed}-{bench.server.name}"), list[Any]()
    versions: list[str] = []
    for step in range(20):
        present = model[-1] if model else None
        old = [at for at, value in enumerate(model) if value is not None]
        verb = dice.choice(["edit", "edit", "delete", "revert", "undelete", "create"])
        if verb == "edit":
            db.upsert("x", Record({"n": step}))
            model.append({"n": step})
        elif verb == "create" and present is None:
            db.create(Record({"n": step}, id="x"))
            model.append({"n": step})
        elif verb == "delete":
            assert db.delete("x") == (present is not None)
            model += [None] if present is not None else []
        elif verb == "revert" and old:
            at = dice.choice(old)
            db.revert("x", versions[at])
            model.append(model[at])
        elif verb == "undelete" and old:
            assert db.undelete("x") == (present is None)
            model += [model[old[-1]]] if present is None else []
        assert read(db, "x") == (model[-1] if model else None)
        history = db.history("x")
        versions += [one.version_id for one in history if one.version_id not in versions]
        assert {one.version_id for one in history} == set(versions)
        assert [one.is_latest for one in history] == [True] + [False] * (len(model) - 1) if model else history == []
        assert [read(db, "x", version) for version in versions] == model
        if bench.server.name == "SeaweedFS":  # moto lists deletions after versions, and its clock shows seconds
            assert [one.version_id for one in reversed(history)] == versions
    assert len(model) > 5


# ---------------------------------------------------------------------------------------------- when it goes wrong
@pytest.fixture
def proxied(s3_server: S3Server, bench: S3Bench) -> Iterator[tuple[S3Database, WireProxy]]:
    """A database behind a proxy, in a bucket that keeps versions, with a record that has two."""
    with WireProxy(s3_server.port) as proxy:
        db = bench.open(endpoint_url=proxy.endpoint)
        db.enable_versioning()
        db.create(Record({"n": 1}, id="x"))
        db.update("x", Record({"n": 2}))
        yield db, proxy


DENIED = {
    "GetBucketVersioning": (lambda db: db.versioning(), "s3:GetBucketVersioning"),
    "PutBucketVersioning": (lambda db: db.suspend_versioning(), "s3:PutBucketVersioning"),
    "ListObjectVersions": (lambda db: db.history("x"), "s3:ListBucketVersions"),
    "HeadObject": (lambda db: db.history("x"), "s3:GetObjectVersion"),
    "undelete": (lambda db: db.undelete("x"), "s3:ListBucketVersions"),
}


@pytest.mark.parametrize("s3_server", ["seaweed"], indirect=True)
@pytest.mark.parametrize("request_name", DENIED)
def test_a_missing_permission_is_named(proxied: tuple[S3Database, WireProxy], request_name: str) -> None:
    db, proxy = proxied
    call, permission = DENIED[request_name]
    operation = "ListObjectVersions" if request_name == "undelete" else request_name
    proxy.fault(Answer(403, "AccessDenied"), operation=operation, times=None)
    with pytest.raises(DatabaseConnectionError, match=permission):
        call(db)
    proxy.reset()
    assert read(db, "x") == {"n": 2}


@pytest.mark.parametrize("s3_server", ["seaweed"], indirect=True)
def test_a_revert_whose_answer_is_lost_is_settled(proxied: tuple[S3Database, WireProxy]) -> None:
    db, proxy = proxied
    old = db.history("x")[-1].version_id
    proxy.fault(Lose(), operation="PutObject")
    assert db.revert("x", old).data == {"n": 1}
    assert read(db, "x") == {"n": 1}
    db.delete("x")
    proxy.fault(Lose(), operation="PutObject")
    assert db.undelete("x")
    assert read(db, "x") == {"n": 1}
