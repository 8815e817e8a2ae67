"""Every value comes back as exactly what it was."""

from __future__ import annotations

import enum
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings

from dataknobs_data.database import SyncDatabase
from dataknobs_data.exceptions import BatchError, SerializationError
from dataknobs_data.records import Record
from tests.contract.exactness import exact, exact_record
from tests.properties.strategies import records

BERLIN = ZoneInfo("Europe/Berlin")

VALUES: dict[str, Any] = {
    "none": None,
    "booleans": [True, False],
    "ints": [0, 1, -1, 2**31, 2**53 + 1, 2**63 - 1, -(2**63), 2**63, 2**64 - 1, 2**64, -(2**63) - 1, 10**400, -(10**30)],
    "floats": [0.0, -0.0, 1.0, 0.1, 1e308, 5e-324, -1.5, 1e22, 123456789.123456789],
    "not finite": [float("nan"), float("inf"), float("-inf")],
    "texts": ["", " ", "a", "null", "NaN", "10", "true", "[1]", '{"a": 1}', "2024-01-01", " padded ", "\t", "x" * 5000],
    "odd texts": ["line\nbreak", "\r\n", "\r", "\x00", "\x01\x7f", '"', "'", "\\", "ä a\u0308 ß 日本語 \U0001f600", "\ufeff", "\u2028"],
    "datetimes": [
        datetime(2024, 5, 1, 12, 30),
        datetime(2024, 5, 1, 12, 30, 15, 123456, tzinfo=UTC),
        datetime(2024, 5, 1, 12, 30, tzinfo=timezone(timedelta(hours=-3, minutes=-30))),
        datetime(2024, 5, 1, 12, 30, tzinfo=BERLIN),
        datetime(2024, 10, 27, 2, 30, tzinfo=BERLIN),
        datetime(2024, 10, 27, 2, 30, tzinfo=BERLIN, fold=1),
        datetime.min,
        datetime.max,
        datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14))),
    ],
    "dates": [date(2024, 2, 29), date.min, date.max],
    "times": [time(0), time(12, 30, 15, 1), time(12, tzinfo=UTC), time(12, tzinfo=BERLIN)],
    "spans": [timedelta(0), timedelta(days=-1, microseconds=1), timedelta.max, timedelta.min, timedelta(seconds=1.5)],
    "decimals": [Decimal("1.10"), Decimal("-0.00"), Decimal("1E+500"), Decimal("NaN"), Decimal("-Infinity"), Decimal(3)],
    "bytes": [b"", b"\x00\xff", bytes(range(256)), bytearray(b"ab")],
    "uuids": [UUID(int=0), UUID("12345678-1234-5678-1234-567812345678")],
    "sets": [set(), {1, 2}, {"a", 1, None}, frozenset(), frozenset({(1, 2), frozenset({3})}), {date(2024, 1, 1)}],
    "tuples": [(), (1,), (1, (2, [3]))],
    "lists": [[], [[]], [None, [1, "1", 1.0, True]]],
    "dicts": [{}, {"a": {}}, {"": 1, "a.b": 2, "a/b": 3, "~": 4, "~1": 5, "types": 6, "z": 7, "b": 8}],
    "deep": {"list": [{"when": datetime(2024, 5, 1, tzinfo=UTC), "set": {Decimal("1.5")}, "t": (b"x", {"n": 2**70})}]},
}  # fmt: skip

ODD_NAMES = ("id", "data", "metadata", "types", "_id", "_types", "a.b", "a/b", "~", " ", "Straße", "STRASSE", "0", "\n")


@pytest.mark.parametrize("kind", VALUES)
def test_values_come_back_exactly_as_fields_and_as_metadata(db: SyncDatabase, kind: str) -> None:
    items = VALUES[kind] if isinstance(VALUES[kind], list) else [VALUES[kind]]
    record = Record({f"field{n}": item for n, item in enumerate(items)}, metadata={"values": items}, id="r")
    db.create(record)
    assert exact_record(db.read("r")) == exact_record(record)
    assert exact_record(db.search()[0]) == exact_record(record)
    db.update("r", record)
    assert exact_record(db.batch_read(["r"])[0]) == exact_record(record)


def test_a_record_of_everything_comes_back_exactly(db: SyncDatabase) -> None:
    record = Record(VALUES, metadata=VALUES, id="r")
    db.batch_create([record])
    assert exact_record(next(iter(db.stream_read()))) == exact_record(record)


def test_records_with_different_fields_and_types_live_together(db: SyncDatabase) -> None:
    written = [
        Record({"a": 1, "b": "x"}, id="1"),
        Record({"a": "1", "c": [1]}, id="2"),
        Record({"a": None}, id="3"),
        Record({"b": ""}, id="4"),
        Record({}, id="5"),
        Record({"c": 1.0, "a": {"x": 1}, "b": b"x"}, id="6"),
    ]
    db.batch_create(written)
    assert [exact_record(found) for found in db.all()] == [exact_record(record) for record in written]


def test_fields_may_have_odd_names(db: SyncDatabase) -> None:
    record = Record({name: n for n, name in enumerate(ODD_NAMES)}, metadata=dict.fromkeys(ODD_NAMES, 1), id="r")
    db.create(record)
    found = db.read("r")
    assert found is not None
    assert found.data == record.data
    assert found.field_names() == record.field_names()
    assert {name: found.metadata[name] for name in ODD_NAMES if name != "id"} == dict.fromkeys(
        set(ODD_NAMES) - {"id"}, 1
    )


def test_a_large_record_comes_back(db: SyncDatabase) -> None:
    record = Record({"text": "ä" * 1_000_000, "raw": bytes(range(256)) * 4_000}, id="large")
    db.create(record)
    assert exact_record(db.read("large")) == exact_record(record)


class Color(enum.StrEnum):
    """Text with another name for it."""

    RED = "red"


class Size(enum.IntEnum):
    """A number with another name for it."""

    BIG = 9


def test_enumerations_of_texts_and_numbers_become_those(db: SyncDatabase) -> None:
    db.create(Record({"color": Color.RED, "size": Size.BIG, "by": {Color.RED: 1}}, id="r"))
    found = db.read("r")
    assert found is not None
    assert exact(found.data) == exact({"color": "red", "size": 9, "by": {"red": 1}})


@pytest.mark.parametrize(
    ("value", "named"),
    [
        (object(), "object"),
        (1 + 2j, "complex"),
        ({1: "x"}, "keys must be strings"),
        ("lone \ud800", "surrogate"),
        ([{"x": object()}], "/data/bad/0/x"),
    ],
)
def test_a_value_without_a_faithful_form_is_refused_by_name_and_nothing_is_written(
    db: SyncDatabase, value: Any, named: str
) -> None:
    db.create(Record({"n": 1}, id="kept"))
    for write in (
        db.create,
        db.upsert,
        lambda record: db.update("kept", record),
    ):
        with pytest.raises(SerializationError, match="/data/bad") as caught:
            write(Record({"good": 1, "bad": value}, id="r"))
        assert named in str(caught.value)
    with pytest.raises(BatchError) as batch:
        db.batch_create([Record({"bad": value}, id="r"), Record({"good": 1}, id="good")])
    assert isinstance(batch.value.failed[0][1], SerializationError)
    assert {record.id: record.data for record in db.all()} == {"kept": {"n": 1}, "good": {"good": 1}}


def test_a_value_that_contains_itself_is_refused(db: SyncDatabase) -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(SerializationError):
        db.create(Record({"loop": loop}, id="r"))
    assert db.count() == 0


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(record=records())
def test_whatever_can_be_stored_comes_back(db: SyncDatabase, record: Record) -> None:
    record.id = "r"
    db.upsert(record)
    assert exact_record(db.read("r")) == exact_record(record)
