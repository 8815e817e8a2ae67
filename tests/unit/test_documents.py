"""What create, update and upsert make of a document, and what a document hands out."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from dataknobs_data.documents import (
    Change,
    Document,
    Verb,
    check_id,
    check_version,
    resolve,
    to_record,
    unshared,
    user_metadata,
)
from dataknobs_data.exceptions import (
    ConcurrencyError,
    DuplicateRecordError,
    RecordValidationError,
    SerializationError,
)
from dataknobs_data.fields import Field, FieldType
from dataknobs_data.paths import MISSING
from dataknobs_data.records import Record
from dataknobs_data.runtime import Runtime, UlidFactory, iso_utc
from tests.unit.ticking import ticking_runtime

T1, T2 = "2024-05-01T12:00:01.000000Z", "2024-05-01T12:00:02.000000Z"


def create(record: Record, runtime: Runtime, **more: Any) -> Document:
    """The first version."""
    document = resolve(Change(Verb.CREATE, record.id or "r", record, **more), None, runtime)
    assert document is not None
    return document


# ---------------------------------------------------------------------------------------------- resolve
def test_a_first_version() -> None:
    document = create(Record({"n": 1}, {"m": 1, "updated_at": "never", "id": "other"}, id="r"), ticking_runtime())
    assert document == Document(
        id="r", data={"n": 1}, metadata={"m": 1}, created_at=T1, updated_at=T1, born="id-1", revision="id-1"
    )


def test_a_generated_id_is_its_own_birth() -> None:
    document = create(Record({}, id="r"), ticking_runtime(), generated=True)
    assert (document.born, document.revision) == ("r", "id-1")


@pytest.mark.parametrize("verb", [Verb.UPDATE, Verb.UPSERT])
def test_a_next_version_keeps_birth_and_creation_and_replaces_the_rest(verb: Verb) -> None:
    runtime = ticking_runtime()
    first = create(Record({"n": Field("n", 1, FieldType.TEXT)}, {"m": 1}), runtime)
    second = resolve(Change(verb, "r", Record({"k": 2}, {"created_at": "1999-01-01"})), first, runtime)
    assert second == Document(
        id="r", data={"k": 2}, metadata={}, created_at=T1, updated_at=T2, born=first.born, revision="id-2"
    )


def test_what_stands_in_the_way() -> None:
    runtime = ticking_runtime()
    current = create(Record({}), runtime)
    assert resolve(Change(Verb.UPDATE, "r", Record({})), None, runtime) is None
    assert resolve(Change(Verb.UPSERT, "r", Record({})), None, runtime) is not None
    with pytest.raises(DuplicateRecordError, match="'r' exists already"):
        resolve(Change(Verb.CREATE, "r", Record({})), current, runtime)
    with pytest.raises(ConcurrencyError, match="expected at version v, but it is at id-1"):
        resolve(Change(Verb.UPDATE, "r", Record({}), "v"), current, runtime)
    with pytest.raises(ConcurrencyError, match="does not exist"):
        resolve(Change(Verb.UPSERT, "r", Record({}), "v"), None, runtime)
    assert resolve(Change(Verb.UPDATE, "r", Record({}), current.revision), current, runtime) is not None


def test_a_version_that_nobody_expects_is_any() -> None:
    check_version("r", None, "v")
    check_version("r", None, None)
    check_version("r", "v", "v")
    with pytest.raises(ConcurrencyError) as caught:
        check_version("r", "v", "w")
    assert caught.value.context == {"id": "r", "expected_version": "v", "actual_version": "w"}


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("2020-01-01T00:00:00+01:00", "2019-12-31T23:00:00.000000Z"),
        (datetime(2020, 1, 1, tzinfo=UTC), "2020-01-01T00:00:00.000000Z"),
        ("soon", T1),
        ("0001-01-01T00:00+14:00", T1),
        (None, T1),
    ],
)
def test_created_at_is_taken_over_where_it_is_an_instant(given: Any, kept: str) -> None:
    assert create(Record({}, {"created_at": given}), ticking_runtime()).created_at == kept


def test_only_types_and_metadata_that_the_value_does_not_tell_are_kept() -> None:
    record = Record(
        {"a": Field("a", 1, FieldType.INTEGER), "b": Field("b", 1, FieldType.FLOAT), "c": Field("c", 1, None, {"u": 1})}
    )
    assert create(record, ticking_runtime()).fields == {"b": {"type": "float"}, "c": {"metadata": {"u": 1}}}


# ---------------------------------------------------------------------------------------------- handing out
def test_values_by_query_name() -> None:
    document = create(
        Record({"id": "meta", "a": {"b": 1, "c.d": 2}, "a.b": 3, "n": None}, {"m": {"x": 1}, "id": "meta"}),
        ticking_runtime(),
    )
    expected = {
        "id": "meta", "a": {"b": 1, "c.d": 2}, "a.b": 3, "a.c.d": 2, "n": None, "n.x": MISSING, "no": MISSING,
        "metadata": MISSING, "metadata.m.x": 1, "metadata.m": {"x": 1}, "metadata.id": "meta", "metadata.no": MISSING,
        "metadata.created_at": T1, "metadata.updated_at": T1,
    }  # fmt: skip
    assert {name: document.value(name) for name in expected} == expected


def test_a_field_called_metadata_hides_the_metadata() -> None:
    document = create(Record({"metadata": {"x": "field"}}, {"x": "metadata", "y": 1}), ticking_runtime())
    assert document.value("metadata.x") == "field"
    assert document.value("metadata.y") is MISSING


def test_values_of_a_document_and_of_its_record_agree() -> None:
    document = create(Record({"a": {"b": 1}, "c.d": 2}, {"m": [1], "e": {"f": 3}}, id="r"), ticking_runtime())
    record = to_record(document)
    for name in (
        "a",
        "a.b",
        "c.d",
        "metadata.m",
        "metadata.e.f",
        "metadata.created_at",
        "metadata.id",
        "id",
        "none",
        "a.x",
    ):
        value = document.value(name)
        assert record.id == value if name == "id" else record.get_value(name, MISSING) == value


def test_stamps_stand_in_the_metadata_of_a_record_and_are_not_the_user_s() -> None:
    record = to_record(create(Record({}, {"m": 1}), ticking_runtime()))
    assert record.metadata == {"m": 1, "id": "r", "created_at": T1, "updated_at": T1}
    assert user_metadata(record.metadata) == {"m": 1}


# ---------------------------------------------------------------------------------------------- small things
def test_copies_share_no_container() -> None:
    value = {"list": [{"x": [1]}], "set": {1}, "raw": bytearray(b"a"), "pair": ([1], 2), "text": "x"}
    copy = unshared(value)
    assert copy == value
    copy["list"][0]["x"].append(2)
    copy["set"].add(2)
    copy["raw"].extend(b"b")
    copy["pair"][0].append(2)
    assert value == {"list": [{"x": [1]}], "set": {1}, "raw": bytearray(b"a"), "pair": ([1], 2), "text": "x"}


def test_a_value_that_contains_itself_is_refused() -> None:
    loop: dict[str, Any] = {}
    loop["self"] = [loop]
    with pytest.raises(SerializationError, match="contains itself"):
        unshared(loop)


@pytest.mark.parametrize(
    ("id", "message"),
    [("", "must not be empty"), (None, "not NoneType"), (5, "not int: 5"), ("a\udfff", "lone surrogate")],
)
def test_what_cannot_be_an_id(id: Any, message: str) -> None:
    with pytest.raises(RecordValidationError, match=message):
        check_id(id)


@pytest.mark.parametrize("id", ["x", " ", "/", "\0", "ä", "a" * 5000])
def test_what_can_be_an_id(id: str) -> None:
    assert check_id(id) == id


# ---------------------------------------------------------------------------------------------- ids and time
def test_ulids_sort_by_time_and_never_repeat() -> None:
    moments = iter(
        [datetime(2024, 5, 1, tzinfo=UTC)] * 3 + [datetime(2024, 4, 1, tzinfo=UTC), datetime(2024, 5, 2, tzinfo=UTC)]
    )
    make = UlidFactory(lambda: next(moments), lambda count: b"\xff" * count)
    ids = [make() for _ in range(5)]
    assert ids == sorted(set(ids)), "not even when the clock stands still, goes back, or the random part overflows"
    assert all(len(id) == 26 for id in ids)


def test_a_ulid_says_when_it_was_made() -> None:
    make = UlidFactory(lambda: datetime(2016, 7, 30, 23, 54, 10, 259_000, tzinfo=UTC), bytes)
    assert make() == "01ARZ3NDEK0000000000000000"


def test_instants_are_written_in_utc_to_the_microsecond() -> None:
    assert iso_utc(datetime.fromisoformat("2024-05-01T14:00:00+02:00")) == "2024-05-01T12:00:00.000000Z"
    assert Runtime(now=lambda: datetime(2024, 5, 1, tzinfo=UTC)).timestamp() == "2024-05-01T00:00:00.000000Z"
