"""Buckets that keep versions, in the tiered layout: deletions are tombstones, and delete markers only say what was packed."""

from __future__ import annotations

from typing import Any

import pytest

from dataknobs_data.backends.s3 import S3Database
from dataknobs_data.exceptions import RecordNotFoundError
from dataknobs_data.records import Record
from dataknobs_data.s3.tiered.reports import CompactReport
from dataknobs_data.s3.tombstones import Tombstone
from tests.s3_bench import S3Bench

TIERED = {"layout": "tiered", "pack_threshold": 3}

pytestmark = pytest.mark.usefixtures("long_after")


@pytest.fixture
def bench(own: S3Bench) -> S3Bench:
    """A bucket of its own: what is switched here is switched for all of it."""
    return own


@pytest.fixture
def db(bench: S3Bench) -> S3Database:
    """An empty database in a bucket that keeps versions."""
    database = bench.open(author="the tests", **TIERED)
    assert database.enable_versioning().applied
    return database


def read(db: S3Database, id: str, version_id: str | None = None) -> Any:
    """The data of a record, None where there is none."""
    found = db.read(id, version_id=version_id)
    return found.data if found else None


def told(db: S3Database, id: str) -> list[tuple[bool, bool, Any]]:
    """Of each version whether it is a deletion, whether it is the latest, and what it says."""
    return [(one.is_delete_marker, one.is_latest, read(db, id, one.version_id)) for one in db.history(id)]


def compact(bench: S3Bench, *, full: bool = False) -> CompactReport:
    """Packs all objects, and deletes them."""
    return bench.connect(**TIERED).compact(full=full, wait=True)


def load(db: S3Database, *ids: str, n: int = 0) -> None:
    """Records in a pack; at least three ids."""
    assert db.batch_create([Record({"n": n}, id=id) for id in ids]) == list(ids)
    assert all(db.tags(id).pack for id in ids)


def test_a_tombstone_is_a_deletion_and_reads_as_none(bench: S3Bench, db: S3Database) -> None:
    db.create(Record({"n": 1}, id="x"))
    created = db.get_version("x")
    db.update("x", Record({"n": 2}))
    assert db.delete("x")
    assert told(db, "x") == [(True, True, None), (False, False, {"n": 2}), (False, False, {"n": 1})]
    deleted, _, first = db.history("x")
    assert (deleted.revision, deleted.author, deleted.size_bytes) == (None, None, 0)
    assert (first.revision, first.author) == (created, "the tests")
    with pytest.raises(RecordNotFoundError, match="it is a deletion"):
        db.revert("x", deleted.version_id)
    assert db.revert("x", first.version_id).data == {"n": 1}
    assert told(db, "x")[0] == (False, True, {"n": 1})


def test_undelete_over_a_tombstone(bench: S3Bench, db: S3Database) -> None:
    db.create(Record({"n": 1}, {"team": "blue"}, id="x"))
    db.update("x", Record({"n": 2}, {"team": "blue"}))
    created_at = db.read("x").metadata["created_at"]
    assert not db.undelete("x")
    db.delete("x")
    assert db.undelete("x", dry_run=True)
    assert read(db, "x") is None
    assert db.undelete("x")
    found = db.read("x")
    assert (found.data, found.metadata["team"], found.metadata["created_at"]) == ({"n": 2}, "blue", created_at)
    assert not db.undelete("x")
    with pytest.raises(RecordNotFoundError, match="enable_versioning"):
        db.undelete("never")


def test_a_history_costs_one_listing_and_a_look_at_each_version(bench: S3Bench, db: S3Database) -> None:
    db.create(Record({}, id="x"))
    db.delete("x")
    db.create(Record({}, id="x"))
    before = db.usage
    assert len(db.history("x")) == 3
    assert db.usage.since(before).requests == {"ListObjectVersions": 1, "HeadObject": 3}


def test_what_compaction_takes_away_is_not_deleted(bench: S3Bench, db: S3Database) -> None:
    db.create(Record({"n": 1}, id="x"))
    db.update("x", Record({"n": 2}))
    report = compact(bench)
    assert (report.folded, report.dropped) == (1, 1)
    assert "x.json" not in bench.paths()
    assert told(db, "x") == [(False, True, {"n": 2}), (False, False, {"n": 1})]
    assert [one.is_delete_marker for one in db.history("x", limit=1)] == [False]
    assert not db.undelete("x", dry_run=True)
    assert db.revert("x", db.history("x")[-1].version_id).data == {"n": 1}
    assert read(db, "x") == {"n": 1}
    assert told(db, "x")[0] == (False, True, {"n": 1})


def test_what_was_packed_and_then_deleted_comes_back_while_its_row_proves_what_it_was(
    bench: S3Bench, db: S3Database
) -> None:
    db.batch_create([Record({"n": 0}, id=f"other{number}") for number in range(40)])
    db.create(Record({"n": 1}, id="x"))
    compact(bench)
    db.delete("x")
    assert told(db, "x") == [(True, True, None), (False, False, {"n": 1})]
    assert db.undelete("x", dry_run=True)
    assert db.undelete("x")
    assert read(db, "x") == {"n": 1}


def test_what_was_changed_in_its_pack_is_brought_back_as_it_was_there(bench: S3Bench, db: S3Database) -> None:
    db.create(Record({"n": 1}, id="x"))
    load(db, "a", "b", "c")
    compact(bench, full=True)
    db.batch_update([(id, Record({"n": 2})) for id in ("a", "b", "c", "x")])
    assert db.tags("x").pack
    assert told(db, "x") == [(False, False, {"n": 1})], "no version of an object is what the pack has"
    db.delete("x")
    assert db.undelete("x", dry_run=True)
    assert read(db, "x") is None
    assert db.undelete("x")
    assert read(db, "x") == {"n": 2}
    assert db.revert("x", db.history("x")[-1].version_id).data == {"n": 1}


def test_a_record_that_was_only_ever_packed_has_no_versions(bench: S3Bench, db: S3Database) -> None:
    load(db, "a", "b", "c")
    assert db.history("a") == []
    assert not db.undelete("a")
    db.delete("a")
    assert told(db, "a") == [(True, True, None)]
    compact(bench, full=True)
    assert told(db, "a") == [(True, True, None)]
    assert db.undelete("a", dry_run=True)
    assert read(db, "a") is None
    assert db.undelete("a")
    assert read(db, "a") == {"n": 0}
    assert not db.undelete("a")


def test_another_record_of_the_id_is_not_taken_for_what_was_deleted(bench: S3Bench, db: S3Database) -> None:
    """One life as an object, a second in a pack alone."""
    db.create(Record({"n": 1}, id="x"))
    db.delete("x")
    compact(bench)
    load(db, "x", "y", "z", n=2)
    assert told(db, "x") == [(True, False, None), (False, False, {"n": 1})]
    assert not db.undelete("x")
    db.delete("x")
    assert db.undelete("x")
    assert read(db, "x") == {"n": 2}


def test_what_clear_took_away_is_deleted(bench: S3Bench, db: S3Database) -> None:
    db.create(Record({"n": 1}, id="x"))
    assert db.clear() == 1
    assert told(db, "x") == [(True, True, None), (False, False, {"n": 1})]
    with pytest.raises(RecordNotFoundError, match="revert"):
        db.undelete("x")
    assert db.revert("x", db.history("x")[-1].version_id).data == {"n": 1}


@pytest.mark.parametrize("s3_server", ["seaweed"], indirect=True)  # moto forgets versions while they are suspended
def test_what_was_deleted_while_versioning_was_suspended_may_be_gone(bench: S3Bench, db: S3Database) -> None:
    """Deleted by another client: SeaweedFS 4.48 refuses conditions now and then while versioning is suspended."""
    db.create(Record({"n": 1}, id="x"))
    old = db.history("x")[0].version_id
    db.suspend_versioning()
    tombstone = Tombstone(frozenset({bench.stored("x")["born"]}), "a revision")
    bench.put("x", tombstone.encode(), Metadata=tombstone.headers())
    assert read(db, "x") is None
    with pytest.raises(RecordNotFoundError, match="while versioning was suspended"):
        db.undelete("x")
    assert db.revert("x", old).data == {"n": 1}


def test_without_versions_a_deletion_is_for_good(bench: S3Bench) -> None:
    db = bench.open(**TIERED)
    db.create(Record({"n": 1}, id="x"))
    assert told(db, "x")[0][:2] == (False, True)
    db.delete("x")
    assert [one.is_delete_marker for one in db.history("x")] == [True]
    with pytest.raises(RecordNotFoundError):
        db.undelete("x")
