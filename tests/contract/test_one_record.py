"""create, read, exists, update, upsert, delete: what they answer and what is there afterwards."""

from __future__ import annotations

import time
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dataknobs_data.backends.memory import MemoryDatabase
from dataknobs_data.database import SyncDatabase
from dataknobs_data.exceptions import ConcurrencyError, DataknobsDataError, DuplicateRecordError, RecordValidationError
from dataknobs_data.fields import Field, FieldType
from dataknobs_data.records import Record
from tests.contract.exactness import exact_record

ALICE = {"name": "Alice", "email": "alice@example.com", "age": 30}


def instant_of(record: Record | None, stamp: str) -> datetime:
    """A stamp of a record that was read; it must be aware, in UTC."""
    assert record is not None
    moment = datetime.fromisoformat(record.metadata[stamp])
    assert moment.utcoffset() == timedelta(0)
    return moment


# ---------------------------------------------------------------------------------------------- create and read
def test_what_is_created_can_be_read(db: SyncDatabase) -> None:
    id = db.create(Record(ALICE, id="user-1"))
    assert id == "user-1"
    found = db.read("user-1")
    assert found is not None
    assert found.data == ALICE
    assert found.id == "user-1"


@pytest.mark.parametrize(
    "record",
    [
        Record({"x": 1}, id="own"),
        Record({"x": 1}, storage_id="own"),
        Record({"x": 1}, metadata={"id": "own"}),
        Record({"x": 1, "id": "own"}),
        Record({"x": 1, "record_id": "own"}),
    ],
    ids=["id", "storage_id", "metadata", "field id", "field record_id"],
)
def test_a_record_names_its_own_id_in_several_ways(db: SyncDatabase, record: Record) -> None:
    data = record.data
    assert db.create(record) == "own"
    found = db.read("own")
    assert found is not None
    assert (found.id, found.data) == ("own", data)


def test_ids_that_the_database_makes_are_unique_and_sort_by_time(db: SyncDatabase) -> None:
    ids = [db.create(Record({"n": n})) for n in range(5)]
    assert len(set(ids)) == 5
    assert ids == sorted(ids)
    assert db.list_ids() == ids


def test_what_does_not_exist_is_none_or_false(db: SyncDatabase) -> None:
    assert db.read("nobody") is None
    assert db.exists("nobody") is False
    assert db.get_version("nobody") is None
    assert db.delete("nobody") is False
    assert db.update("nobody", Record(ALICE)) is False
    assert db.exists("nobody") is False, "an update must not create"
    assert db.count() == 0


def test_exists_says_true_and_false_themselves(db: SyncDatabase) -> None:
    db.create(Record(ALICE, id="user-1"))
    assert db.exists("user-1") is True


def test_a_second_create_is_refused_and_overwrites_nothing(db: SyncDatabase) -> None:
    db.create(Record({"name": "first"}, id="taken"))
    version = db.get_version("taken")
    with pytest.raises(DuplicateRecordError, match="taken") as caught:
        db.create(Record({"name": "second"}, id="taken"))
    assert isinstance(caught.value, ConcurrencyError)
    assert isinstance(caught.value, ValueError)
    assert caught.value.context["id"] == "taken"
    found = db.read("taken")
    assert found is not None
    assert found.data == {"name": "first"}
    assert db.get_version("taken") == version


def test_a_record_without_fields_is_a_record(db: SyncDatabase) -> None:
    db.create(Record({}, id="empty"))
    found = db.read("empty")
    assert found is not None
    assert found.data == {}


@pytest.mark.parametrize("thing", [None, ["name", "Alice"], "Alice", 5])
def test_only_records_can_be_stored(db: SyncDatabase, thing: Any) -> None:
    for write in (db.create, db.upsert, lambda record: db.update("x", record)):
        with pytest.raises(RecordValidationError, match="Record"):
            write(thing)
    assert db.count() == 0


# ---------------------------------------------------------------------------------------------- update, upsert, delete
def test_an_update_replaces_fields_and_metadata(db: SyncDatabase) -> None:
    db.create(Record(ALICE, metadata={"source": "import"}, id="user-1"))
    assert db.update("user-1", Record({"name": "Alicia"}, metadata={"reviewed": True})) is True
    found = db.read("user-1")
    assert found is not None
    assert found.data == {"name": "Alicia"}
    assert found.metadata["reviewed"] is True
    assert "source" not in found.metadata


def test_an_update_goes_where_it_is_told_whatever_id_the_record_names(db: SyncDatabase) -> None:
    db.create(Record({"n": 1}, id="a"))
    assert db.update("a", Record({"n": 2}, id="b")) is True
    assert db.read("b") is None
    assert db.list_ids() == ["a"]


def test_the_requirement_s_read_change_update(db: SyncDatabase) -> None:
    db.create(Record(ALICE, id="user-1"))
    record = db.read("user-1")
    assert record is not None
    record.fields["email"] = "alice.smith@example.com"
    assert db.update("user-1", record) is True
    again = db.read("user-1")
    assert again is not None
    assert again.get_value("email") == "alice.smith@example.com"
    assert again.data == {**ALICE, "email": "alice.smith@example.com"}


def test_upsert_creates_and_replaces(db: SyncDatabase) -> None:
    assert db.upsert(Record({"n": 1}, id="a")) == "a"
    assert db.upsert("a", Record({"n": 2})) == "a"
    assert db.upsert("b", Record({"n": 3})) == "b"
    assert [(record.id, record["n"]) for record in db.all()] == [("a", 2), ("b", 3)]


def test_upsert_makes_an_id_where_there_is_none(db: SyncDatabase) -> None:
    id = db.upsert(Record({"n": 1}))
    assert db.read(id) is not None


def test_delete_says_whether_there_was_one(db: SyncDatabase) -> None:
    db.create(Record(ALICE, id="user-1"))
    assert db.delete("user-1") is True
    assert db.delete("user-1") is False
    assert db.read("user-1") is None
    assert db.exists("user-1") is False
    assert db.get_version("user-1") is None
    assert db.list_ids() == []


def test_an_id_can_be_used_again_after_a_delete(db: SyncDatabase) -> None:
    db.create(Record({"n": 1}, metadata={"created_at": "2020-01-01T00:00:00Z"}, id="a"))
    db.delete("a")
    assert db.create(Record({"n": 2}, id="a")) == "a"
    found = db.read("a")
    assert found is not None
    assert found["n"] == 2
    assert instant_of(found, "created_at").year > 2020, "a new record, not the old one again"


# ---------------------------------------------------------------------------------------------- nothing is shared
def test_the_caller_s_record_is_not_changed(db: SyncDatabase) -> None:
    record = Record({"name": "Alice", "tags": ["a"]}, metadata={"deep": {"x": [1]}})
    before = deepcopy(record)
    id = db.create(record)
    db.update(id, record)
    db.upsert(id, record)
    db.batch_upsert([(id, record)])
    assert record.id is None
    assert exact_record(record) == exact_record(before)
    assert record.metadata == before.metadata


def test_what_was_written_can_be_changed_without_changing_what_is_stored(db: SyncDatabase) -> None:
    tags, deep = ["a"], {"x": [1]}
    record = Record({"tags": tags, "raw": bytearray(b"ab")}, metadata={"deep": deep}, id="r")
    db.create(record)
    tags.append("b")
    deep["x"].append(2)
    record["raw"].extend(b"cd")
    record["new"] = 1
    found = db.read("r")
    assert found is not None
    assert found.data == {"tags": ["a"], "raw": bytearray(b"ab")}
    assert found.metadata["deep"] == {"x": [1]}


def test_what_was_read_can_be_changed_without_changing_what_is_stored(db: SyncDatabase) -> None:
    db.create(Record({"tags": ["a"], "set": {1}, "pair": ([1], 2)}, metadata={"deep": {"x": [1]}}, id="r"))
    before = exact_record(db.read("r"))
    [searched], [batched], [streamed] = db.search(), db.batch_read(["r"]), list(db.stream_read())
    for found in (db.read("r"), searched, batched, streamed):
        assert found is not None
        found["tags"].append("b")
        found["set"].add(2)
        found["pair"][0].append(3)
        found.metadata["deep"]["x"].append(2)
        found.metadata["created_at"] = "never"
    assert exact_record(db.read("r")) == before
    assert instant_of(db.read("r"), "created_at")


# ---------------------------------------------------------------------------------------------- stamps and metadata
def test_every_record_has_its_id_and_stamps_in_its_metadata(db: SyncDatabase) -> None:
    earlier = datetime.now(UTC)
    db.create(Record(ALICE, id="user-1"))
    later = datetime.now(UTC)
    [searched], [batched], [streamed] = db.search(), db.batch_read(["user-1"]), list(db.stream_read())
    for found in (db.read("user-1"), searched, batched, streamed):
        assert found is not None
        assert found.metadata["id"] == "user-1"
        assert earlier <= instant_of(found, "created_at") <= later
        assert instant_of(found, "updated_at") == instant_of(found, "created_at")


def test_created_at_survives_updates_and_updated_at_moves(db: SyncDatabase) -> None:
    db.create(Record(ALICE, id="user-1"))
    created = db.read("user-1")
    seen = [instant_of(created, "updated_at")]
    for change in (
        lambda: db.update("user-1", Record({"n": 1})),
        lambda: db.upsert("user-1", Record({"n": 2}, metadata={"created_at": "1999-01-01T00:00:00Z"})),
        lambda: db.batch_update([("user-1", Record({"n": 3}))]),
    ):
        time.sleep(0.002)
        change()
        found = db.read("user-1")
        assert instant_of(found, "created_at") == instant_of(created, "created_at")
        seen.append(instant_of(found, "updated_at"))
    assert seen == sorted(set(seen))


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("2020-05-01T12:00:00Z", datetime(2020, 5, 1, 12, tzinfo=UTC)),
        ("2020-05-01T12:00:00.123456+02:00", datetime(2020, 5, 1, 10, 0, 0, 123456, tzinfo=UTC)),
        ("2020-05-01", datetime(2020, 5, 1, tzinfo=UTC)),
        (datetime(2020, 5, 1, 12), datetime(2020, 5, 1, 12, tzinfo=UTC)),
    ],
)
def test_a_record_that_is_imported_keeps_its_created_at(db: SyncDatabase, given: Any, kept: datetime) -> None:
    db.create(Record(ALICE, metadata={"created_at": given}, id="user-1"))
    assert instant_of(db.read("user-1"), "created_at") == kept
    assert instant_of(db.read("user-1"), "updated_at").year > 2020


@pytest.mark.parametrize("given", ["yesterday", 5, None, "2020-02-31", "0001-01-01T00:00+14:00"])
def test_a_created_at_that_is_no_instant_is_replaced(db: SyncDatabase, given: Any) -> None:
    db.create(Record(ALICE, metadata={"created_at": given}, id="user-1"))
    assert instant_of(db.read("user-1"), "created_at").year > 2020


def test_fields_named_like_stamps_are_the_user_s(db: SyncDatabase) -> None:
    data = {"id": "user-123", "created_at": "2024-01-01T00:00:00Z", "updated_at": None, "metadata": {"id": 1}}
    db.create(Record(data))
    found = db.read("user-123")
    assert found is not None
    assert found.data == data


def test_metadata_comes_back_and_does_not_pile_up(db: SyncDatabase) -> None:
    metadata = {"created_by": "admin", "version": "1.0", "nested": {"a": [1, None]}, "empty": "", "none": None}
    db.create(Record(ALICE, metadata=metadata, id="user-1"))
    for _ in range(3):
        found = db.read("user-1")
        assert found is not None
        assert found.metadata.keys() == {*metadata, "id", "created_at", "updated_at"}
        assert {name: found.metadata[name] for name in metadata} == metadata
        db.update("user-1", found)


def test_declared_types_field_metadata_and_field_order_come_back(db: SyncDatabase) -> None:
    record = Record(
        {
            "zeta": 1,
            "price": Field("price", "5", FieldType.INTEGER, {"unit": "EUR", "history": [1, 2]}),
            "alpha": Field("alpha", None, FieldType.DATETIME),
            "note": Field("note", "short", FieldType.TEXT),
            "middle": {"z": 1, "a": 2},
        },
        metadata={"z": 1, "a": 2},
        id="r",
    )
    db.create(record)
    assert exact_record(db.read("r")) == exact_record(record)
    db.update("r", record.project(["note", "zeta"]))
    found = db.read("r")
    assert found is not None
    assert found.field_names() == ["note", "zeta"]


# ---------------------------------------------------------------------------------------------- moving records
def test_the_requirement_s_archive_by_hand(db: SyncDatabase) -> None:
    source = MemoryDatabase()
    source.batch_create(
        [Record({"n": n}, metadata={"created_at": f"202{n}-01-01T00:00:00Z"}, id=f"r{n}") for n in range(3)]
    )
    old = source.search()
    db.batch_create(old)
    for record in old:
        assert source.delete(record.metadata["id"])
    assert source.count() == 0
    assert [(record.id, record["n"], instant_of(record, "created_at").year) for record in db.all()] == [
        ("r0", 0, 2020),
        ("r1", 1, 2021),
        ("r2", 2, 2022),
    ]


# ---------------------------------------------------------------------------------------------- life of the object
def test_a_closed_database_opens_again_when_it_is_used(db: SyncDatabase) -> None:
    db.create(Record(ALICE, id="user-1"))
    db.close()
    db.close()
    found = db.read("user-1")
    assert found is not None
    assert found.data == ALICE


def test_a_database_is_a_context_manager(db: SyncDatabase) -> None:
    with db as same:
        same.create(Record(ALICE, id="user-1"))
    assert db.exists("user-1")


def test_a_version_that_never_was_is_never_answered_with_another(db: SyncDatabase) -> None:
    db.create(Record(ALICE, id="user-1"))
    try:
        found = db.read("user-1", version_id="no-such-version")
    except DataknobsDataError as error:
        assert "user-1" in str(error)  # noqa: PT017  stores without versions refuse, others find none
    else:
        assert found is None


@pytest.mark.usefixtures("shared")
def test_another_database_object_sees_everything(open_database: Any) -> None:
    first, second = open_database(), open_database()
    first.create(Record({"n": 1}, metadata={"m": 1}, id="a"))
    assert exact_record(second.read("a")) == exact_record(first.read("a"))
    second.update("a", Record({"n": 2}))
    assert first.read("a")["n"] == 2
    second.delete("a")
    assert first.read("a") is None
    assert [record.id for record in first.search()] == []
    first.create(Record({"n": 3}, id="a"))
    assert second.search()[0]["n"] == 3
