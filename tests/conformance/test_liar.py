"""JuiceFS's gateway (MinIO's code over its own file system) ignores conditions and answers success to all of them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from dataknobs_data.backends.s3 import S3Database
from dataknobs_data.exceptions import DuplicateRecordError, IncompatibleStoreError
from dataknobs_data.query import Query
from dataknobs_data.records import Record
from tests.s3_bench import Places, S3Bench, records, s3_places
from tests.servers import JuiceFSServer

__all__ = ["s3_places"]


@pytest.fixture
def liar(juicefs: JuiceFSServer, s3_places: Places) -> Iterator[S3Bench]:
    with ExitStack() as ends:
        yield S3Bench(juicefs, *s3_places[juicefs], ends)


@pytest.mark.parametrize(
    "write",
    [
        lambda db: db.create(Record({})),
        lambda db: db.upsert("x", Record({})),
        lambda db: db.update("x", Record({})),
        lambda db: db.delete("x"),
        lambda db: db.batch_create(records(3)),
        lambda db: db.batch_delete(["x", "y"]),
        lambda db: db.clear(),
    ],
)
def test_it_is_found_out_before_anything_is_written(liar: S3Bench, write: Callable[[S3Database], object]) -> None:
    liar.put("x", {"data": {"a": 1}})
    db = liar.connect()
    for _ in range(2):  # and not forgotten
        with pytest.raises(IncompatibleStoreError) as caught:
            write(db)
    assert "ignores the conditions If-None-Match and If-Match on PUT" in str(caught.value)
    assert "concurrent writers would silently overwrite each other" in str(caught.value)
    assert "use another store, or accept that with require_conditions: false" in str(caught.value)
    assert caught.value.context["condition"] == "conditional PUT"
    assert liar.paths() == ["x.json"], "neither a record nor a trace of the probe"


def test_reading_needs_no_conditions(liar: S3Bench) -> None:
    liar.put("x", {"data": {"a": 1}})
    db = liar.connect()
    assert (db.read("x") or Record())["a"] == 1
    assert db.count() == 1
    assert db.exists("x")
    assert [record.id for record in db.search(Query().filter("a", "=", 1))] == ["x"]


def test_who_accepts_it_can_write(liar: S3Bench, caplog: pytest.LogCaptureFixture) -> None:
    db = liar.connect(require_conditions=False)
    db.create(Record({"a": 1}, {"team": "blue"}, id="x"))
    with pytest.raises(DuplicateRecordError):
        db.create(Record({"a": 2}, id="x"))
    assert liar.stored("x")["data"] == {"a": 1}
    liar.connect(require_conditions=False).update("x", Record({"a": 2}))
    assert (db.read("x") or Record())["a"] == 2
    assert db.update("x", Record({"a": 3}))
    assert not db.update("nothing", Record({}))
    assert db.upsert("y", Record({"a": 4})) == "y"
    assert db.batch_create(records(5)) == [f"r-{n:06}" for n in range(5)]
    assert db.batch_delete(["r-000001", "nothing"]) == [True, False]
    assert db.count() == 6
    with caplog.at_level(logging.WARNING, "dataknobs_data"):
        assert db.delete("x") is True
        assert db.delete("x") is False
    warned = [record.getMessage() for record in caplog.records]
    assert len(warned) == 1
    assert "this store has no conditional DELETE" in warned[0]
    with pytest.raises(IncompatibleStoreError, match=r"delete\(expected_version=…\) cannot be kept safe"):
        db.delete("y", expected_version=db.get_version("y"))
    assert db.exists("y")
    assert db.clear() == 5
