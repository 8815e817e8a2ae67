"""Mappings in the place of records: everywhere they mean `Record(mapping)`."""

from __future__ import annotations

import asyncio
import copy
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from dataknobs_data.aio import AsyncDatabase
from dataknobs_data.database import SyncDatabase
from dataknobs_data.exceptions import BatchError, RecordValidationError
from dataknobs_data.fields import Field
from dataknobs_data.records import Record
from dataknobs_data.registry import load_backend
from dataknobs_data.streaming import StreamConfig
from tests.unit.s3_fakes import FakeWorld
from tests.unit.tiered_fakes import Processes

DATAS: list[Mapping[str, Any]] = [
    {"id": "a", "name": "Alice", "tags": ["x", {"y": [1, None]}], "address": {"city": "Berlin"}},
    {"record_id": 7, "metadata": {"id": "no"}, "_id": "no", "_metadata": {"team": "blue"}, "created_at": "2020-01-01"},
    {"id": None, "record_id": "b", "when": datetime(2024, 5, 1, tzinfo=UTC), "day": date(2024, 5, 1), "é.ü": b"\x00"},
    {"id": 0, "fields": {"name": {"name": "name", "value": 1}}, "n": 2**70, "price": Decimal("1.10")},
    {"id": "c", "name": 5, "nothing": None},
    {"id": "d", "late": 1, "name": "order"},
    {"name": "order", "late": 1, "id": "e"},
]
SPECIAL: list[Mapping[str, Any]] = [
    MappingProxyType({"id": "f", "n": 1}),
    OrderedDict(n=1, id="g"),
    {"id": Field("key", "h"), "n": Field("n", 1, "float", {"unit": "m"})},
]
SENSELESS: list[Any] = [
    {"": 1},
    {1: 2},
    {"id": ""},
    {"id": "\ud800"},
    {"id": "x", "n": object},
    None,
    5,
    "text",
    ["n"],
]


def shown(db: SyncDatabase) -> list[Any]:
    """Every record as it is read, without the times."""
    return [
        (
            record.id,
            record.data,
            list(record),
            {name: (field.type, field.metadata) for name, field in record.fields.items()},
            sorted(record.metadata),
        )
        for record in db.all()
    ]


def as_given(datas: list[Any]) -> list[Any]:
    return datas


def as_records(datas: list[Any]) -> list[Any]:
    """The same, wrapped."""
    return [Record(data) for data in datas]


@pytest.fixture(params=["memory", "json", "csv", "parquet", "sqlite", "s3-objects", "s3-packed"])
def two(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[SyncDatabase, SyncDatabase]]:
    """Two empty databases of one backend, which make the same ids."""
    with ExitStack() as stack:
        yield tuple(stack.enter_context(made(request.param, tmp_path / name)) for name in ("one", "other"))  # type: ignore[misc]


@contextmanager
def made(backend: str, folder: Path) -> Iterator[SyncDatabase]:
    if backend.startswith("s3"):
        processes = Processes(layout="objects" if backend == "s3-objects" else "tiered")
        with closing(processes):
            yield processes.database()
        return
    kind, config = {
        "memory": ("memory", {}),
        "sqlite": ("sqlite", {"path": f"{folder}.db"}),
    }.get(backend, ("file", {"path": f"{folder}.{backend}"}))
    settings: dict[str, Any] = dict(config)
    made = load_backend(kind)(settings, runtime=FakeWorld().runtime)
    with made as database:
        yield database


CALLS: dict[str, Callable[[SyncDatabase, list[Any]], Any]] = {
    "create": lambda db, items: [db.create(item) for item in items],
    "upsert": lambda db, items: [db.upsert(item) for item in items],
    "upsert of id and mapping": lambda db, items: [db.upsert(f"u{n}", item) for n, item in enumerate(items)],
    "batch_create": lambda db, items: db.batch_create(items),
    "batch_create of an iterator": lambda db, items: db.batch_create(iter(items)),
    "batch_upsert": lambda db, items: db.batch_upsert(items),
    "batch_upsert of pairs": lambda db, items: db.batch_upsert([(f"p{n}", item) for n, item in enumerate(items)]),
    "stream_write": lambda db, items: vars(db.stream_write(items)) | {"duration": 0},
    "stream_write in small batches": lambda db, items: vars(db.stream_write(items, SMALL)) | {"duration": 0},
    "stream_write that upserts": lambda db, items: vars(db.stream_write(items, UPSERT)) | {"duration": 0},
}
SMALL, UPSERT = StreamConfig(batch_size=2), StreamConfig(on_conflict="upsert")


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_a_mapping_means_the_record_of_it(two: tuple[SyncDatabase, SyncDatabase], call: Callable[..., Any]) -> None:
    for datas in (DATAS, SPECIAL, [*DATAS, *SPECIAL]):
        one, other = two
        assert call(one, as_given(datas)) == call(other, as_records(datas))
        assert shown(one) == shown(other)
        assert one.clear() == other.clear() == len(datas)


def test_without_an_id_one_is_made_and_the_mapping_is_not_changed(two: tuple[SyncDatabase, SyncDatabase]) -> None:
    data: dict[str, Any] = {"name": "Alice", "tags": ["x"]}
    before = copy.deepcopy(data)
    ids = [two[0].create(data), two[0].upsert(data), *two[0].batch_create([data] * 5), *two[0].batch_upsert([data])]
    assert len(set(ids)) == 8
    assert data == before
    data["tags"].append("later")
    assert all(record.data == before for record in two[0].batch_read(ids) if record)
    assert two[0].count() == 8


@pytest.mark.parametrize("senseless", SENSELESS, ids=repr)
@pytest.mark.parametrize("verb", ["batch_create", "batch_upsert"])
def test_errors_name_the_item(two: tuple[SyncDatabase, SyncDatabase], senseless: Any, verb: str) -> None:
    db, other = two
    with pytest.raises(BatchError) as caught:
        getattr(db, verb)([{"id": "a", "n": 1}, {"id": "b", "n": 1}, senseless, {"id": "c", "n": 1}])
    assert caught.value.failed_indices == [2]
    assert db.list_ids() == ["a", "b", "c"]
    id, error = caught.value.failed[2]
    with pytest.raises(type(error)) as alone:
        other.create(senseless)
    assert str(error) == str(alone.value)
    if isinstance(senseless, dict):
        assert id == senseless.get("id")


def test_on_error_gets_the_record_that_could_not_be_written(two: tuple[SyncDatabase, SyncDatabase]) -> None:
    seen: list[Any] = []
    config = StreamConfig(on_error=lambda error, record: seen.append(record))
    result = two[0].stream_write([{"id": "a"}, {"id": "b", "n": object()}, {"id": "a", "n": 2}, {"id": "c"}], config)
    assert (result.successful, result.failed_indices) == (2, [1, 2])
    assert sorted(record.id for record in seen) == ["a", "b"]
    assert all(isinstance(record, Record) for record in seen)


def test_a_mapping_in_place_of_many_or_to_update_is_refused() -> None:
    db = SyncDatabase.from_backend("memory")
    for call in (db.batch_create, db.batch_upsert, db.stream_write):
        with pytest.raises(RecordValidationError, match="expected a list"):
            call({"id": "a"})
    with pytest.raises(RecordValidationError, match="expected a Record, not dict"):
        db.update("a", {"n": 1})  # type: ignore[arg-type]  # would it replace the fields, or be put over them?


def test_in_asyncio_too() -> None:
    async def act() -> list[str]:
        async def source() -> AsyncIterator[dict[str, Any]]:
            for n in range(5):
                yield {"id": f"s{n}"}

        async with AsyncDatabase.from_backend("memory") as db:
            await db.create({"id": "c"})
            await db.upsert({"id": "u"})
            await db.batch_create([{"id": "b"}])
            await db.batch_upsert([{"id": "v"}, ("w", {"n": 1})])
            assert (await db.stream_write(source())).successful == 5
            return await db.list_ids()

    assert asyncio.run(act()) == ["b", "c", "s0", "s1", "s2", "s3", "s4", "u", "v", "w"]


def test_a_load_makes_no_records_of_plain_dicts(monkeypatch: pytest.MonkeyPatch) -> None:
    with made("s3-packed", Path()) as db:
        monkeypatch.setattr(Record, "__init__", lambda *_, **__: pytest.fail("a Record was made"))
        ids = db.batch_create([{"id": f"{n:03}", "n": n} for n in range(100)])
        ids += db.batch_create([{"n": n} for n in range(100)])
    assert len(set(ids)) == 200


def test_an_estimate_takes_them_too() -> None:
    with closing(Processes()) as processes:
        db = processes.database()
        for count in (None, 50):
            given = [{"id": f"{n:03}", "n": n} for n in range(20)]
            ours, theirs = (
                db.explain.batch_create(given, count=count),
                db.explain.batch_create(as_records(given), count=count),
            )
            assert (ours.records, ours.packs, ours.objects) == (theirs.records, theirs.packs, theirs.objects)
