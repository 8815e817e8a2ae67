"""Migrations: what arrives, what is left out, what is said on the way."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dataknobs_data.backends.file import FileDatabase
from dataknobs_data.backends.memory import MemoryDatabase
from dataknobs_data.documents import Document
from dataknobs_data.engine import ErrorSink
from dataknobs_data.exceptions import (
    ConfigurationError,
    DatabaseConnectionError,
    DatabaseOperationError,
    DataknobsDataError,
    DuplicateRecordError,
    MigrationError,
)
from dataknobs_data.fields import Field, FieldType
from dataknobs_data.migration import MigrationProgress, Migrator, Transformer
from dataknobs_data.query import Query
from dataknobs_data.records import Record
from tests.contract.exactness import exact_record
from tests.unit.scripted import ScriptedDatabase, fail_from
from tests.unit.ticking import ticking_runtime


def numbered(count: int) -> MemoryDatabase:
    """A database of r00, r01, …"""
    db = MemoryDatabase()
    db.batch_create(
        Record({"n": n}, {"created_at": "2020-01-01T00:00:00Z", "m": n}, id=f"r{n:02}") for n in range(count)
    )
    return db


# ---------------------------------------------------------------------------------------------- Migrator
def test_everything_arrives_with_its_id_metadata_and_creation_date(tmp_path: Path) -> None:
    source, target = numbered(25), FileDatabase.from_config({"path": tmp_path / "x.csv"})
    done = Migrator().migrate(source, target, batch_size=10)
    assert (done.total, done.processed, done.succeeded, done.failed, done.skipped) == (25, 25, 25, 0, 0)
    assert (done.percent, done.stopped, list(done.errors)) == (100.0, False, [])
    assert [exact_record(record) for record in target.all()] == [exact_record(record) for record in source.all()]
    assert {record.metadata["created_at"] for record in target.all()} == {"2020-01-01T00:00:00.000000Z"}
    assert source.count() == 25, "nothing is deleted"


def test_a_query_chooses_what_is_migrated() -> None:
    target = MemoryDatabase()
    done = Migrator().migrate(numbered(25), target, query=Query().filter("n", ">=", 20).sort("n", "DESC").limit(3))
    assert (done.total, done.processed, done.succeeded) == (3, 3, 3)
    assert target.list_ids() == ["r22", "r23", "r24"]


def test_progress_is_told_after_each_batch() -> None:
    seen: list[MigrationProgress] = []
    Migrator(ticking_runtime()).migrate(numbered(25), MemoryDatabase(), batch_size=10, on_progress=seen.append)
    assert [(one.processed, one.total, one.percent) for one in seen] == [
        (10, 25, 40.0),
        (20, 25, 80.0),
        (25, 25, 100.0),
    ]
    assert [one.duration for one in seen] == [1.0, 2.0, 3.0]


def test_where_counting_would_mean_reading_the_total_is_not_known_before_the_end() -> None:
    seen: list[MigrationProgress] = []
    query = Query().filter("n", "<", 10)
    done = Migrator().migrate(numbered(25), MemoryDatabase(), query=query, on_progress=seen.append)
    assert [(one.total, one.percent) for one in seen] == [(None, None)]
    assert (done.total, done.percent) == (10, 100.0)


def test_nothing_to_migrate_is_done_at_once() -> None:
    done = Migrator().migrate(MemoryDatabase(), MemoryDatabase(), on_progress=lambda progress: None)
    assert (done.total, done.processed, done.percent) == (0, 0, 100.0)


@pytest.mark.parametrize(
    ("policy", "counts", "kept"), [("insert", (2, 1, 0), -1), ("upsert", (3, 0, 0), 1), ("skip", (2, 0, 1), -1)]
)
def test_ids_that_the_target_has(policy: str, counts: tuple[int, int, int], kept: int) -> None:
    target = MemoryDatabase()
    target.create(Record({"n": -1}, id="r01"))
    done = Migrator().migrate(numbered(3), target, on_conflict=policy)
    assert (done.succeeded, done.failed, done.skipped) == counts
    assert [record["n"] for record in target.all()] == [0, kept, 2]
    assert [(id, type(error)) for id, error in done.errors] == ([("r01", DuplicateRecordError)] if done.failed else [])


def test_a_transform_changes_leaves_out_and_fails_single_records() -> None:
    def transform(record: Record) -> Record | None:
        if record["n"] == 1:
            return None
        record["half"] = 10 // record["n"]
        return record

    source, target = numbered(4), MemoryDatabase()
    done = Migrator().migrate(source, target, transform=transform, batch_size=2)
    assert (done.processed, done.succeeded, done.failed, done.skipped) == (4, 2, 1, 1)
    [(id, error)] = done.errors
    assert id == "r00"
    assert isinstance(error, MigrationError)
    assert "record 'r00': the transform failed: ZeroDivisionError" in str(error)
    assert isinstance(error.__cause__, ZeroDivisionError)
    assert [record.data for record in target.all()] == [{"n": 2, "half": 5}, {"n": 3, "half": 3}]
    assert source.read("r02").data == {"n": 2}  # type: ignore[union-attr]


def test_a_transform_that_answers_something_else_fails_by_name() -> None:
    done = Migrator().migrate(numbered(1), MemoryDatabase(), transform=lambda record: record.data)  # type: ignore[arg-type, return-value]
    assert "it answered a dict, not a Record or None" in str(done.errors[0][1])


@pytest.mark.parametrize("where", ["transform", "target"])
def test_on_error_sees_each_failure_and_may_end_the_migration(where: str) -> None:
    seen: list[tuple[str | None, type[DataknobsDataError]]] = []

    def on_error(error: DataknobsDataError, record: Record) -> bool:
        seen.append((record.id, type(error)))
        return len(seen) < 2

    def transform(record: Record) -> Record:
        assert record["n"] not in (3, 5)
        return record

    target = MemoryDatabase()
    if where == "target":
        target.batch_create([Record({}, id="r03"), Record({}, id="r05")])
    done = Migrator().migrate(
        numbered(20), target, transform if where == "transform" else None, batch_size=4, on_error=on_error
    )
    expected = MigrationError if where == "transform" else DuplicateRecordError
    assert seen == [("r03", expected), ("r05", expected)]
    assert [(id, type(error)) for id, error in done.errors] == seen
    assert done.stopped
    assert done.processed in (6, 8), "it ends in or after the batch"
    assert done.total is None
    assert done.failed == 2


def test_a_target_that_fails_breaks_the_migration_off_and_says_where() -> None:
    target = ScriptedDatabase(fail_from(3, DatabaseConnectionError("gone")))
    with pytest.raises(MigrationError, match="broke off after 30 records") as caught:
        Migrator().migrate(numbered(50), target, batch_size=10)
    assert caught.value.context == {"processed": 30, "succeeded": 20, "failed": 10, "skipped": 0}
    assert target.count() == 20


class BrokenSource(ScriptedDatabase):
    """A database whose scan fails after `good` records."""

    def __init__(self, good: int) -> None:
        super().__init__()
        self.batch_create(Record({"n": n}, id=f"r{n:02}") for n in range(50))
        scan = self.engine.scan

        def broken(query: Query, on_damage: ErrorSink | None = None) -> Iterator[Document]:
            for number, document in enumerate(scan(query, on_damage)):
                if number == good:
                    raise DatabaseOperationError("the source failed")
                yield document

        self.engine.scan = broken  # type: ignore[method-assign]


def test_a_source_that_fails_breaks_the_migration_off_and_says_where() -> None:
    target = MemoryDatabase()
    with pytest.raises(MigrationError, match=r"after 20 records .*: the source failed") as caught:
        Migrator().migrate(BrokenSource(25), target, batch_size=10)
    assert isinstance(caught.value.__cause__, DatabaseOperationError)
    assert target.count() == 20


def test_an_error_in_on_progress_comes_through_and_leaves_no_thread() -> None:
    def on_progress(progress: MigrationProgress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Migrator().migrate(numbered(50), MemoryDatabase(), batch_size=5, on_progress=on_progress)
    assert not any(thread.name == "dataknobs-prefetch" for thread in threading.enumerate())


def test_reading_and_writing_overlap() -> None:
    """The second batch is read while the first is being written."""
    source, target = numbered(4), ScriptedDatabase()
    read, waited = threading.Event(), []
    scan = source._engine.scan

    def watched(query: Query, on_damage: ErrorSink | None = None) -> Iterator[Document]:
        for document in scan(query, on_damage):
            if document.id == "r03":
                read.set()
            yield document

    def wait(window: Any) -> None:
        waited.append(read.wait(timeout=10))

    source._engine.scan = watched  # type: ignore[method-assign]
    target.engine._script = wait
    Migrator().migrate(source, target, batch_size=2)
    assert waited == [True, True]


@pytest.mark.parametrize("settings", [{"batch_size": 0}, {"on_conflict": "replace"}])
def test_wrong_settings_are_named(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        Migrator().migrate(numbered(1), MemoryDatabase(), **settings)


# ---------------------------------------------------------------------------------------------- Transformer
def test_steps_are_done_in_order() -> None:
    transformer = (
        Transformer()
        .rename("mail", "email")
        .map("email", str.lower)
        .exclude("password", "no such field")
        .add("source", "import")
        .add("domain", lambda record: record["email"].partition("@")[2])
    )
    record = Record({"mail": "A@X.ORG", "password": "p", "n": 1}, {"m": 1}, id="r")
    before = exact_record(record)
    made = transformer(record)
    assert list(made.data.items()) == [("email", "a@x.org"), ("n", 1), ("source", "import"), ("domain", "x.org")]
    assert (made.id, made.metadata) == ("r", {"m": 1})
    assert exact_record(record) == before, "the record that was given is not changed"


def test_fields_that_are_not_there_are_left_alone() -> None:
    made = Transformer().rename("a", "b").map("c", len).exclude("d")(Record({"x": 1}))
    assert made.data == {"x": 1}


def test_a_rename_keeps_place_type_and_metadata_and_displaces_the_other() -> None:
    record = Record({"a": Field("a", "1", FieldType.TEXT, {"u": 1}), "b": 2, "c": 3})
    made = Transformer().rename("a", "c")(record)
    assert list(made.data.items()) == [("c", "1"), ("b", 2)]
    assert (made.fields["c"].type, made.fields["c"].metadata) == (FieldType.TEXT, {"u": 1})
    assert Transformer().rename("a", "a")(record).data == record.data


def test_a_mapped_value_has_the_type_that_it_shows() -> None:
    record = Record({"n": Field("n", "5", FieldType.TEXT, {"u": 1})})
    made = Transformer().map("n", int)(record)
    assert (made["n"], made.fields["n"].type, made.fields["n"].metadata) == (5, FieldType.INTEGER, {"u": 1})


def test_a_record_keeps_the_id_that_a_step_takes_away() -> None:
    assert Transformer().exclude("id")(Record({"id": "r", "n": 1})).id == "r"


def test_a_transformer_is_a_transform() -> None:
    target = MemoryDatabase()
    Migrator().migrate(numbered(2), target, Transformer().rename("n", "number"))
    assert [record.data for record in target.all()] == [{"number": 0}, {"number": 1}]
