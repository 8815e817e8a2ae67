"""What records offer to SQL: which column a name is, what is read for it, and what becomes of what cannot be read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from os import urandom
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from dataknobs_data.backends.memory import MemoryDatabase
from dataknobs_data.backends.s3 import S3Database
from dataknobs_data.exceptions import (
    DataFormatError,
    DataknobsDataError,
    QueryError,
    RecordArchivedError,
    SnapshotExpiredError,
)
from dataknobs_data.records import Record
from dataknobs_data.s3.relations import spool
from dataknobs_data.s3.relations.openers import relation_of
from dataknobs_data.s3.store import Fault, Kind
from dataknobs_data.s3.table import packs
from dataknobs_data.s3.table.actions import Action
from dataknobs_data.s3.table.log import Job
from dataknobs_data.s3.table.snapshot import Snapshot
from dataknobs_data.select.relation import Relation
from tests.unit.tiered_world import KEYS, TieredWorld

NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)


@pytest.fixture
def world() -> TieredWorld:
    return TieredWorld()


@pytest.fixture
def database(world: TieredWorld) -> Iterator[S3Database]:
    with world.open() as opened:
        yield opened


def load(database: Any, *values: Any, first: str = "r", **same: Any) -> None:
    """One pack of records with a field `v`; absent where the value is `...`."""
    database.batch_upsert(
        [
            (f"{first}{n}", Record({**same, **({} if value is ... else {"v": value})}, id=f"{first}{n}"))
            for n, value in enumerate(values)
        ]
    )


def column(database: Any, *path: str | int) -> tuple[pa.DataType, list[Any]]:
    """The type of a column, and its values in the order of ids."""
    relation = relation_of(database._ready(), 1 << 20)
    binding = relation.bind([path, ("_id",)], False)
    name = binding.columns[path]
    table = pa.Table.from_batches(relation.scan(binding, ["_id", name], None))
    relation.close()
    return binding.schema.field(name).type, table.sort_by("_id")[name].to_pylist()


def rows(relation: Relation, name: str, condition: pc.Expression | None = None) -> list[Any]:
    """The values of a column."""
    binding = relation.bind([(name,)], False)
    return [value for batch in relation.scan(binding, [name], condition) for value in batch[name].to_pylist()]


# ---------------------------------------------------------------------------------------------- typed, or text
@pytest.mark.parametrize(
    ("values", "kind", "shown"),
    [
        ([1, 2, None], pa.int64(), [1, 2, None]),
        ([1, 2, ...], pa.int64(), [1, 2, None]),
        ([1, 2, "x"], pa.string(), ["1", "2", "x"]),
        ([1, 2, 2.5], pa.float64(), [1.0, 2.0, 2.5]),
        ([1.5, 2.5, 2], pa.float64(), [1.5, 2.5, 2.0]),
        ([1.5, 2.5, 2**53 + 1], pa.string(), ["1.5", "2.5", "9007199254740993"]),
        ([2**53 + 1, 2, 2.5], pa.string(), ["9007199254740993", "2", "2.5"]),
        ([1, 2, 2**70], pa.string(), ["1", "2", str(2**70)]),
        ([True, False, "yes"], pa.string(), ["true", "false", "yes"]),
        ([NOON, NOON, None], pa.timestamp("us", "UTC"), [NOON, NOON, None]),
        (
            [NOON, NOON.replace(microsecond=5), "soon"],
            pa.string(),
            ["2024-05-01T12:00:00+00:00", "2024-05-01T12:00:00.000005+00:00", "soon"],
        ),
        ([date(2024, 5, 1), date(2024, 5, 2), 7], pa.string(), ["2024-05-01", "2024-05-02", "7"]),
        ([b"abc", b"", "x"], pa.string(), ["YWJj", "", "x"]),
        ([1.5, float("nan"), "x"], pa.string(), ["1.5", "NaN", "x"]),
        (["a", "b", ["c", 1]], pa.string(), ["a", "b", '["c",1]']),
        ([["a"], {"b": 1}, [None]], pa.string(), ['["a"]', '{"b":1}', "[null]"]),
    ],
)
def test_a_column_is_typed_where_no_value_disagrees(
    database: S3Database, values: list[Any], kind: pa.DataType, shown: list[Any]
) -> None:
    load(database, *values)
    assert column(database, "v") == (kind, shown)
    for id in database.list_ids():
        record = database.read(id)
        assert record
        database.update(id, record)  # all of it in single objects now
    assert column(database, "v") == (kind, shown)


def test_dead_values_do_not_disagree(database: S3Database) -> None:
    load(database, 1, 2, "x")
    database.update("r2", Record({"v": 3}))
    assert column(database, "v") == (pa.int64(), [1, 2, 3])
    database.delete("r2")
    assert column(database, "v") == (pa.int64(), [1, 2])
    database.update("r1", Record({"v": "y"}))
    assert column(database, "v") == (pa.string(), ["1", "y"])


def test_a_column_that_a_pack_is_too_old_for_is_read_from_its_rest(database: S3Database) -> None:
    database.batch_create([Record({"n": n} | ({"v": 7} if n == 0 else {}), id=f"a{n:02}") for n in range(20)])
    load(database, 1, 2, first="b")
    kind, found = column(database, "v")
    assert (kind, found) == (pa.int64(), [7, *[None] * 19, 1, 2])


def test_what_was_found_out_of_a_pack_is_remembered(world: TieredWorld, database: S3Database) -> None:
    load(database, 1, 2, None)
    with world.open(cache_bytes=0) as reader:
        assert column(reader, "v")[1] == [1, 2, None]
        world.sent()
        relation = relation_of(reader._ready(), 0)
        relation.bind([("v",)], False)
        assert world.sent()["GetObject"] == 0
        assert rows(relation, "v") == [1, 2, None]


# ---------------------------------------------------------------------------------------------- names
def test_paths_lead_into_what_is_nested(database: S3Database) -> None:
    load(database, {"City": "Oslo", "x": [{"y": 1}]}, {"city": "Bern", "City": "Rome"}, "text")
    assert column(database, "v", "City")[1] == ["Oslo", "Rome", None]
    assert column(database, "v", "city")[1] == ["Oslo", "Bern", None]
    assert column(database, "V", "x", 0, "y")[1] == ["1", None, None]


def test_a_path_into_a_column_without_nested_values_is_none(database: S3Database) -> None:
    load(database, "a", "b")
    assert not relation_of(database._ready(), 0).bind([("v", "x"), ("nothing",)], False).columns


def test_names_mean_the_field_in_that_case_then_in_any(database: S3Database) -> None:
    database.batch_create([Record({"Name": "upper", "name": "lower"}, id=str(n)) for n in range(2)])
    relation = relation_of(database._ready(), 0)
    assert rows(relation, "Name") == ["upper", "upper"]
    assert rows(relation, "name") == ["lower", "lower"]
    with pytest.raises(QueryError, match="'Name' or 'name': write it in exactly that case"):
        relation.bind([("NAME",)], False)
    with pytest.raises(QueryError, match="differ only in case"):
        relation.bind([("Name",), ("name",)], False)
    with pytest.raises(QueryError, match="differ only in case"):
        relation.bind([("name",)], True)


def test_columns_of_the_system_can_be_named(database: S3Database) -> None:
    database.batch_create([Record({"v": n}, {"team": "blue", "of": {"x": n}}, f"r{n}") for n in range(2)])
    assert column(database, "id")[1] == ["r0", "r1"]
    assert column(database, "_created_at")[0] == pa.timestamp("us", "UTC")
    assert column(database, "metadata", "team")[1] == ["blue", "blue"]
    assert column(database, "_metadata", "of", "x")[1] == ["0", "1"]
    star = relation_of(database._ready(), 0).bind([("_ID",), ("v",)], True)
    assert star.schema.names == ["v", "_rest", "_id"]
    assert (star.hidden, star.columns) == ({"_id"}, {("_ID",): "_id", ("v",): "v"})


def test_id_is_the_field_where_there_is_one(database: S3Database) -> None:
    database.batch_create([Record({"id": f"field {n}"}, id=f"r{n}") for n in range(2)])
    assert column(database, "ID")[1] == ["field 0", "field 1"]


def test_rest_is_the_fields_without_a_column(database: S3Database) -> None:
    load(database, {"x": 1}, ["a"], n=1)
    database.create(Record({"n": "other", "_own": None}, id="z"))
    assert column(database, "_rest")[1] == ['{"v":{"x":1}}', '{"v":["a"]}', '{"_own":null}']


# ---------------------------------------------------------------------------------------------- what is read
def test_counting_reads_no_record(world: TieredWorld, database: S3Database) -> None:
    load(database, *range(9))
    database.update("r3", Record({"v": 0}))
    database.delete("r4")
    database.create(Record({"v": 1}))
    with world.open() as reader:
        reader._ready()
        world.store.keys.clear()
        relation = relation_of(reader._ready(), 0)
        binding = relation.bind([], False)
        counted = sum(batch.num_rows for batch in relation.scan(binding, binding.schema.names, None))
        assert counted == 9
        documents = {KEYS.id(key) for operation, key in world.store.keys if operation == "GetObject"} - {None}
        assert documents == {"r4"}, "the tombstone"
    memory = MemoryDatabase()
    load(memory, 1, 2)
    relation = relation_of(memory._ready(), 0)
    assert sum(batch.num_rows for batch in relation.scan(relation.bind([], False), ["_"], None)) == 2


def test_packs_and_row_groups_that_cannot_match_are_not_read(world: TieredWorld, database: S3Database) -> None:
    with patch.object(packs, "GROUP_ROWS_MAX", 10):
        load(database, *range(100), first="a", t="x" * 40)
    load(database, *range(1000, 1003), first="b")
    with world.open(cache_bytes=0) as reader:
        relation = relation_of(reader._ready(), 0)
        assert rows(relation, "v", pc.field("v") > 999) == [1000, 1001, 1002]
        world.store.keys.clear()
        assert sorted(rows(relation, "v", (pc.field("v") >= 42) & (pc.field("v") < 44))) == [42, 43]
        read = [key for operation, key in world.store.keys if operation == "GetObject"]
        assert len(read) == 2, "the pack's end and one row group"
        assert sorted(rows(relation, "v", pc.field("v").is_null())) == []


def test_bounds_do_not_hide_values_that_lie_outside(database: S3Database) -> None:
    load(database, 1, 2, 500.5)
    relation = relation_of(database._ready(), 0)
    assert rows(relation, "v", pc.field("v") > 100.0) == [500.5]


def test_columns_behind_a_condition_are_read_where_it_is_true(world: TieredWorld, database: S3Database) -> None:
    with patch.object(packs, "GROUP_ROWS_MAX", 10):
        load(database, *[(n * 7) % 100 for n in range(100)], first="a")
    with world.open() as reader:
        relation = relation_of(reader._ready(), 0)
        binding = relation.bind([("v",), ("_id",)], False)
        table = pa.Table.from_batches(relation.scan(binding, ["_id"], pc.field("v") == 21))
        assert table["_id"].to_pylist() == ["a3"]


def test_bounds_do_not_hide_rows_without_a_value(database: S3Database) -> None:
    load(database, 1, 2, ...)
    relation = relation_of(database._ready(), 1 << 20)
    assert rows(relation, "v", pc.field("v").is_null()) == [None]
    assert rows(relation, "v", (pc.field("v") > 7) | pc.field("v").is_null()) == [None]
    assert rows(relation, "v", pc.field("v") > 7) == []
    relation.close()


def test_what_is_fetched_for_a_condition_alone_first_shows_no_dead_row(database: S3Database) -> None:
    """Its other columns are much more than those that the condition speaks of."""
    texts = [urandom(3000).hex() for _ in range(40)]
    load(database, *texts, n=1)
    database.delete("r3")
    database.update("r5", Record({"v": "changed", "n": 2}))
    relation = relation_of(database._ready(), 1 << 20)
    binding = relation.bind([("v",), ("n",)], False)
    found = [value for batch in relation.scan(binding, ["v"], pc.field("n") == 1) for value in batch["v"].to_pylist()]
    assert sorted(found) == sorted(text for number, text in enumerate(texts) if number not in (3, 5))
    relation.close()


# ---------------------------------------------------------------------------------------------- what cannot be read
@pytest.mark.parametrize(
    ("kind", "error"), [(Kind.ARCHIVED, RecordArchivedError), (Kind.MISSING, SnapshotExpiredError)]
)
def test_packs_that_cannot_be_read(
    world: TieredWorld,
    database: S3Database,
    kind: Kind,
    error: type[DataknobsDataError],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    load(database, 1, 2)

    def refused(key: str, *span: Any) -> bytes:
        raise Fault(kind, "so it is", status=403, code=None)

    monkeypatch.setattr(world.store, "get_range", refused)
    with world.open(max_retries=0) as reader, pytest.raises(error):
        rows(relation_of(reader._ready(), 0), "v")


def test_a_damaged_pack_is_named(world: TieredWorld, database: S3Database) -> None:
    load(database, 1, 2)
    (key,) = (key for key in world.store.objects if key.startswith(KEYS.packs))
    body, etag, options = world.store.objects[key]
    world.store.objects[key] = body[:20] + b"damage" + body[26:], etag, options
    with world.open() as reader, pytest.raises(DataFormatError, match=key):
        rows(relation_of(reader._ready(), 0), "_id")


def test_a_damaged_document_is_named(world: TieredWorld, database: S3Database) -> None:
    database.create(Record({"v": 1}, id="a"))
    body, _, options = world.store.objects[KEYS.record("a")]
    world.store.objects[KEYS.record("a")] = b"{" + b" " * (len(body) - 1), "other", options
    with world.open() as reader, pytest.raises(DataFormatError, match="record 'a'"):
        rows(relation_of(reader._ready(), 0), "v")


# ---------------------------------------------------------------------------------------------- memory
def test_what_memory_has_no_room_for_goes_to_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(spool.tempfile, "tempdir", str(tmp_path))
    database = MemoryDatabase()
    load(database, *range(2000), t="x" * 100)
    relation = relation_of(database._ready(), 1000)
    assert sorted(rows(relation, "v")) == list(range(2000))
    (file,) = tmp_path.iterdir()
    assert file.stat().st_size > 200_000
    assert sorted(rows(relation, "v", pc.field("v") > 1990)) == list(range(1991, 2000))
    relation.close()
    relation.close()
    assert not list(tmp_path.iterdir())


def test_a_scan_that_is_left_ends(database: S3Database) -> None:
    for first in "abc":
        load(database, 1, 2, first=first)
    relation = relation_of(database._ready(), 0)
    scan = relation.scan(relation.bind([("v",)], False), ["v"], None)
    assert next(scan).num_rows
    scan.close()  # type: ignore[attr-defined]
    assert len(rows(relation, "v")) == 6


def test_packs_without_statistics_are_counted_by_their_footers(world: TieredWorld, database: S3Database) -> None:
    load(database, 1, 2, 3)
    load(database, 4, 5, first="s")
    database.delete("s0")

    def bare(snapshot: Snapshot) -> list[Action]:
        return [replace(add, stats=None) for add in snapshot.packs.values()]

    database._ready().layout.table.log.commit_with(bare, Job("job", "WRITE"))  # type: ignore[attr-defined]
    for one in (database, world.open()):
        assert one.count() == len(one.all()) == 4
        assert one.select_query("SELECT count(*) AS n FROM S3Object").to_arrow()["n"].to_pylist() == [4]
