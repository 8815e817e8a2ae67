"""`get_version` and `expected_version`: compare and set."""

from __future__ import annotations

import pytest

from dataknobs_data.database import SyncDatabase
from dataknobs_data.exceptions import ConcurrencyError, DuplicateRecordError
from dataknobs_data.records import Record


def version_of(db: SyncDatabase, id: str) -> str:
    """The version of a record that exists."""
    version = db.get_version(id)
    assert version
    return version


def test_every_write_makes_a_new_version(db: SyncDatabase) -> None:
    db.create(Record({"n": 1}, id="a"))
    seen = [version_of(db, "a")]
    assert version_of(db, "a") == seen[0], "reading makes none"
    for write in (
        lambda: db.update("a", Record({"n": 1})),
        lambda: db.upsert("a", Record({"n": 1})),
        lambda: db.batch_update([("a", Record({"n": 1}))]),
        lambda: db.delete("a") and db.create(Record({"n": 1}, id="a")),
    ):
        write()
        seen.append(version_of(db, "a"))
    assert len(set(seen)) == len(seen)


def test_writes_at_the_expected_version_go_through(db: SyncDatabase) -> None:
    db.create(Record({"n": 1}, id="a"))
    assert db.update("a", Record({"n": 2}), expected_version=version_of(db, "a")) is True
    assert db.upsert("a", Record({"n": 3}), expected_version=version_of(db, "a")) == "a"
    assert db.upsert(Record({"n": 4}, id="a"), expected_version=version_of(db, "a")) == "a"
    found = db.read("a")
    assert found is not None
    assert found["n"] == 4
    assert db.delete("a", expected_version=version_of(db, "a")) is True
    assert db.read("a") is None


def test_a_stale_version_is_refused_and_changes_nothing(db: SyncDatabase) -> None:
    db.create(Record({"n": 1}, id="a"))
    stale = version_of(db, "a")
    db.update("a", Record({"n": 2}))
    actual = version_of(db, "a")
    for write in (
        lambda: db.update("a", Record({"n": 3}), expected_version=stale),
        lambda: db.upsert("a", Record({"n": 3}), expected_version=stale),
        lambda: db.delete("a", expected_version=stale),
    ):
        with pytest.raises(ConcurrencyError, match="read it again") as caught:
            write()
        assert not isinstance(caught.value, DuplicateRecordError)
        assert caught.value.context == {"id": "a", "expected_version": stale, "actual_version": actual}
    found = db.read("a")
    assert found is not None
    assert found["n"] == 2
    assert version_of(db, "a") == actual


def test_a_version_of_a_record_that_is_gone_is_stale(db: SyncDatabase) -> None:
    db.create(Record({"n": 1}, id="a"))
    stale = version_of(db, "a")
    db.delete("a")
    for write in (
        lambda: db.update("a", Record({"n": 2}), expected_version=stale),
        lambda: db.upsert("a", Record({"n": 2}), expected_version=stale),
        lambda: db.delete("a", expected_version=stale),
    ):
        with pytest.raises(ConcurrencyError, match="does not exist") as caught:
            write()
        assert caught.value.context["actual_version"] is None
    assert db.list_ids() == []


def test_a_version_of_the_record_s_former_life_is_stale(db: SyncDatabase) -> None:
    db.create(Record({"n": 1}, id="a"))
    stale = version_of(db, "a")
    db.delete("a")
    db.create(Record({"n": 1}, id="a"))
    with pytest.raises(ConcurrencyError):
        db.update("a", Record({"n": 2}), expected_version=stale)


def test_a_version_that_never_was_is_stale(db: SyncDatabase) -> None:
    db.create(Record({"n": 1}, id="a"))
    for version in ("nonsense", "", '"; --'):
        with pytest.raises(ConcurrencyError):
            db.delete("a", expected_version=version)
    assert db.exists("a")
