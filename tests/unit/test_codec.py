"""The JSON document of a record: what stands in it, what of others' is read, what is damage."""

from __future__ import annotations

import json
import zoneinfo
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal, localcontext
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from dataknobs_data.codec import FORMAT, as_read, decode, encode, escape_pointer
from dataknobs_data.documents import Document, to_record
from dataknobs_data.exceptions import DataFormatError, SerializationError
from tests.contract.exactness import exact

STAMP = "2024-05-01T12:00:00.000000Z"


def document(data: dict[str, Any] | None = None, **parts: Any) -> Document:
    """A document with these parts, the others being dull."""
    dull = {"id": "r", "metadata": {}, "created_at": STAMP, "updated_at": STAMP, "born": "B", "revision": "R"}
    return Document(data=data or {}, **{**dull, **parts})


def read(tree: Any, **context: str) -> Document:
    """What `decode` makes of a JSON value."""
    return decode(json.dumps(tree).encode(), **{"id": "r", "birth": "etag:1", "modified": STAMP, **context})


# ---------------------------------------------------------------------------------------------- what is written
def test_a_document_is_plain_json_in_the_order_of_the_format() -> None:
    written = json.loads(encode(document({"b": 1, "a": "x"}, metadata={"m": True}, replaces=frozenset({"Y", "X"}))))
    assert list(written.items()) == [
        ("format", FORMAT),
        ("id", "r"),
        ("data", {"b": 1, "a": "x"}),
        ("metadata", {"m": True}),
        ("created_at", STAMP),
        ("updated_at", STAMP),
        ("born", "B"),
        ("replaces", ["X", "Y"]),
        ("revision", "R"),
        ("types", {}),
    ]
    assert list(written["data"]) == ["b", "a"]


@pytest.mark.parametrize(
    ("value", "text", "kind"),
    [
        (datetime(2024, 5, 1, 12, 30), "2024-05-01T12:30:00", "datetime"),
        (datetime(2024, 5, 1, 12, 30, tzinfo=UTC), "2024-05-01T12:30:00+00:00", "datetime"),
        (
            datetime(2024, 5, 1, tzinfo=ZoneInfo("Europe/Berlin")),
            "2024-05-01T00:00:00+02:00[Europe/Berlin]",
            "datetime",
        ),
        (date(2024, 5, 1), "2024-05-01", "date"),
        (time(12, 30), "12:30:00", "time"),
        (timedelta(minutes=90, microseconds=1), "PT5400.000001S", "timedelta"),
        (Decimal("1.10"), "1.10", "Decimal"),
        (b"\x00\xff", "AP8=", "bytes"),
        (bytearray(b"ab"), "YWI=", "bytearray"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001", "UUID"),
        ({3, 1, 2}, [1, 2, 3], "set"),
        (frozenset("a"), ["a"], "frozenset"),
        ((1, "x"), [1, "x"], "tuple"),
        (float("nan"), "NaN", "float"),
        (float("-inf"), "-Infinity", "float"),
        (2**64, "18446744073709551616", "int"),
    ],
)
def test_what_json_lacks_is_readable_text_and_a_type(value: Any, text: Any, kind: str) -> None:
    written = json.loads(encode(document({"x": value})))
    assert written["data"] == {"x": text}
    assert written["types"] == {"/data/x": kind}
    assert exact(as_read(document({"x": value})).data) == exact({"x": value})


def test_types_are_named_by_json_pointer() -> None:
    day = date(2024, 5, 1)
    data = {"a/b": {"~": [0, day]}, "": {"": day}, "set": {(day, 1)}}
    types = json.loads(encode(document(data, metadata={"m": day})))["types"]
    assert types == {
        "/data/a~1b/~0/1": "date",
        "/data//": "date",
        "/data/set": "set",
        "/data/set/0": "tuple",
        "/data/set/0/0": "date",
        "/metadata/m": "date",
    }
    assert escape_pointer("~/") == "~0~1"


def test_an_int_too_long_for_decimal_text_survives() -> None:
    value = -(7**20_000)
    assert json.loads(encode(document({"x": value})))["data"]["x"].startswith("-0x")
    assert as_read(document({"x": value})).data["x"] == value


@pytest.mark.parametrize("fold", [0, 1])
def test_both_halves_of_the_repeated_hour_are_kept_apart(fold: int) -> None:
    value = datetime(2024, 10, 27, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"), fold=fold)
    found = as_read(document({"x": value})).data["x"]
    assert (found.fold, found.utcoffset()) == (fold, value.utcoffset())


def test_where_a_zone_s_rules_have_changed_since_the_instant_counts() -> None:
    tree = {"data": {"x": "2024-05-01T12:00:00+05:00[Europe/Berlin]"}, "types": {"/data/x": "datetime"}}
    found = read(tree).data["x"]
    assert found == datetime(2024, 5, 1, 7, tzinfo=UTC)
    assert found.tzinfo == ZoneInfo("Europe/Berlin")


def test_the_caller_s_decimal_context_changes_nothing() -> None:
    data = {"span": timedelta.max, "back": timedelta.min, "number": Decimal("1.23456789012345678901234567890123456789")}
    with localcontext(prec=3):
        assert exact(as_read(document(data)).data) == exact(data)


# ---------------------------------------------------------------------------------------------- what is refused
@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"x": object()}, "/data/x is a builtins.object"),
        ({"x": [1, {"y": 1j}]}, "/data/x/1/y is a builtins.complex"),
        ({"x": {1: "a"}}, "/data/x has the key 1: keys must be strings"),
        ({"x": "a\ud800"}, "/data/x holds a lone surrogate"),
        ({"x": {"\ud800": 1}}, "/data/x holds a lone surrogate"),
        ({"x": {object}}, "/data/x/0"),
    ],
)
def test_a_value_without_a_faithful_form_is_named_by_its_path(data: dict[str, Any], message: str) -> None:
    with pytest.raises(SerializationError) as caught:
        encode(document(data))
    assert message in str(caught.value)


@pytest.mark.parametrize("depth", [400, 100_000])
def test_a_value_nested_too_deeply_is_refused(depth: int) -> None:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    with pytest.raises(SerializationError):
        encode(document({"x": value}))


# ---------------------------------------------------------------------------------------------- what others wrote
def test_the_key_s_id_wins_and_stand_ins_fill_what_is_missing() -> None:
    found = read({"id": "other", "data": {"n": 1}}, birth="etag:abc", modified="2020-01-01T00:00:00Z")
    assert (found.id, found.born, found.revision) == ("r", "etag:abc", "etag:abc")
    assert found.created_at == found.updated_at == "2020-01-01T00:00:00Z"
    assert found.metadata == {}


@pytest.mark.parametrize(
    "tree",
    [
        {"fields": {"name": "Alice", "age": {"value": 30}}},
        {"fields": {"name": {"name": "name", "value": "Alice", "type": "string"}, "age": 30}},
        {"data": {"name": "Alice", "age": 30}},
    ],
)
def test_documents_in_others_shapes_are_read(tree: dict[str, Any]) -> None:
    stamps = {"created_at": "2020-01-01T00:00:00", "m": 1}
    found = to_record(read({**tree, "metadata": stamps}))
    assert found.data == {"name": "Alice", "age": 30}
    assert found.metadata == {"id": "r", "created_at": "2020-01-01T00:00:00", "updated_at": STAMP, "m": 1}


def test_json_that_only_python_writes_is_read() -> None:
    found = decode(b'{"data": {"x": NaN, "y": -Infinity, "z": "NaN"}}', id="r", birth="", modified="")
    assert exact(found.data) == exact({"x": float("nan"), "y": float("-inf"), "z": "NaN"})


# ---------------------------------------------------------------------------------------------- damage
@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", r"damaged document \(0 bytes\)"),
        (b'{"data": {"x": 1', "damaged document"),
        (b'{"data": {"x": "NaN', "damaged document"),
        (b"\xff\xfe", "damaged document"),
        (b"[]", "its JSON is no object"),
        (b'"text"', "its JSON is no object"),
        (b"{}", "no 'data' object"),
        (b'{"data": [1]}', "no 'data' object"),
        (b'{"data": {}, "metadata": "m"}', "no 'data' object"),
        (b'{"fields": 5}', "no 'data' object"),
        (b'{"data": {}, "format": 2}', "format 2 is not known.*upgrade"),
        (b'{"data": {}, "format": "x"}', "format 'x' is not known"),
        (b'{"data": {}, "types": []}', "valid"),
        (b'{"data": {}, "types": [1]}', "'types' is no object"),
        (b'{"data": {}, "replaces": "XY"}', "'replaces' is no list"),
        (b'{"data": {}, "replaces": [1]}', "'replaces' is no list"),
        (b'{"data": {"x": 1}, "fields": {"x": {"type": "no such"}}}', "'fields' says"),
        (b'{"data": {"x": 1}, "fields": {"x": 5}}', "'fields' says"),
        (b'{"data": {"x": 1}, "fields": {"x": {"metadata": 5}}}', "'fields' says"),
    ],
)
def test_what_is_no_document_is_damage(body: bytes, message: str) -> None:
    if message == "valid":
        assert decode(body, id="r", birth="b", modified=STAMP).data == {}
        return
    with pytest.raises(DataFormatError, match=message) as caught:
        decode(body, id="some id", birth="b", modified=STAMP)
    assert "'some id'" in str(caught.value)
    assert caught.value.context["id"] == "some id"


@pytest.mark.parametrize("value", ["soon", "", 5, None, True, [], {}, [1], "PT1S", "99999-01-01", "1e999999999", "[x]"])
@pytest.mark.parametrize(
    "kind", ["datetime", "date", "time", "timedelta", "Decimal", "bytes", "UUID", "int", "float", "no such"]
)
def test_a_value_that_is_not_of_its_type_is_damage_or_a_value(kind: str, value: Any) -> None:
    try:
        found = read({"data": {"x": value}, "types": {"/data/x": kind}}).data["x"]
    except DataFormatError as error:
        assert f"/data/x is no {kind}" in str(error)  # noqa: PT017  either answer is right
    else:
        assert type(found).__name__ == kind


@pytest.mark.parametrize(
    "pointer", ["", "/", "x", "/data/y", "/data/x/0", "/data/x/y/z", "/nothing", "/data/list/9", "/data/list/a"]
)
def test_a_type_of_a_value_that_is_not_there_is_damage(pointer: str) -> None:
    with pytest.raises(DataFormatError, match="damaged document"):
        read({"data": {"x": 1, "list": [1]}, "types": {pointer: "date"}})


@pytest.mark.parametrize("zone", ["No/Such", "../../etc/passwd", "/etc/passwd", "", "Europe", "\0"])
def test_a_zone_that_does_not_exist_is_damage_and_opens_no_other_file(
    zone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zoneinfo, "TZPATH", ())
    with pytest.raises(DataFormatError):
        read({"data": {"x": f"2024-05-01T12:00:00+00:00[{zone}]"}, "types": {"/data/x": "datetime"}})
