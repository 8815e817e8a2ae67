"""Field: types found and declared, fitting, converting, dict form."""

from __future__ import annotations

import copy
import pickle
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from dataknobs_data.exceptions import RecordValidationError
from dataknobs_data.fields import Field, FieldType

DETECTED = [
    ("Alice", FieldType.STRING),
    ("x" * 1000, FieldType.STRING),
    ("x" * 1001, FieldType.TEXT),
    (True, FieldType.BOOLEAN),
    (1, FieldType.INTEGER),
    (2**70, FieldType.INTEGER),
    (1.5, FieldType.FLOAT),
    (Decimal("1.5"), FieldType.FLOAT),
    (datetime(2024, 1, 1), FieldType.DATETIME),
    (date(2024, 1, 1), FieldType.DATETIME),
    ({"a": 1}, FieldType.JSON),
    ([1], FieldType.JSON),
    ((1,), FieldType.JSON),
    ({1}, FieldType.JSON),
    (b"x", FieldType.BINARY),
    (None, FieldType.STRING),
    (UUID(int=1), FieldType.STRING),
    (time(12), FieldType.STRING),
    (timedelta(1), FieldType.STRING),
]


@pytest.mark.parametrize(("value", "expected"), DETECTED)
def test_the_type_follows_from_the_value_and_fits_it(value: Any, expected: FieldType) -> None:
    field = Field("x", value)
    assert field.type is expected
    assert field.validate()


def test_an_undeclared_type_follows_the_value_and_a_declared_one_stays() -> None:
    found, declared = Field("x", 1), Field("x", 1, FieldType.INTEGER)
    found.value = declared.value = "one"
    assert (found.type, found.validate()) == (FieldType.STRING, True)
    assert (declared.type, declared.validate()) == (FieldType.INTEGER, False)
    declared.type = "string"
    assert declared.validate()


@pytest.mark.parametrize(
    ("value", "type", "fits"),
    [
        (None, FieldType.INTEGER, True),
        (True, FieldType.INTEGER, False),
        (1, FieldType.BOOLEAN, False),
        (1, FieldType.FLOAT, True),
        (1.0, FieldType.INTEGER, False),
        ("2024-01-01T00:00:00Z", FieldType.DATETIME, True),
        ("yesterday", FieldType.DATETIME, False),
        ("short", FieldType.TEXT, True),
        ("any", FieldType.JSON, True),
        (b"x", FieldType.JSON, False),
        ("x", FieldType.BINARY, False),
        (1, FieldType.STRING, False),
    ],
)
def test_validate_says_whether_the_value_fits(value: Any, type: FieldType, fits: bool) -> None:
    assert Field("x", value, type).validate() is fits


@pytest.mark.parametrize(
    ("value", "target", "expected"),
    [
        (" 42 ", FieldType.INTEGER, 42),
        (42.0, FieldType.INTEGER, 42),
        (Decimal(42), FieldType.INTEGER, 42),
        (True, FieldType.INTEGER, 1),
        ("1.5", FieldType.FLOAT, 1.5),
        (2, FieldType.FLOAT, 2.0),
        (Decimal("0.1"), FieldType.FLOAT, 0.1),
        (42, FieldType.STRING, "42"),
        (True, FieldType.STRING, "true"),
        (b"\xc3\xa4", FieldType.TEXT, "ä"),
        (date(2024, 1, 31), FieldType.STRING, "2024-01-31"),
        ({"a": ["ä"]}, FieldType.STRING, '{"a": ["ä"]}'),
        ("Yes", FieldType.BOOLEAN, True),
        ("off", FieldType.BOOLEAN, False),
        (0, FieldType.BOOLEAN, False),
        ("2024-01-31", FieldType.DATETIME, datetime(2024, 1, 31, tzinfo=UTC)),
        (date(2024, 1, 31), FieldType.DATETIME, date(2024, 1, 31)),
        ('{"a": [1]}', FieldType.JSON, {"a": [1]}),
        ((1, 2), FieldType.JSON, [1, 2]),
        ("ä", FieldType.BINARY, b"\xc3\xa4"),
        (None, FieldType.INTEGER, None),
    ],
)
def test_convert_to(value: Any, target: FieldType, expected: Any) -> None:
    field = Field("x", value, metadata={"unit": "m"})
    converted = field.convert_to(target)
    assert converted == Field("x", expected, target, {"unit": "m"})
    assert type(converted.value) is type(expected)
    assert converted.validate()
    assert field.value is value, "the field itself stays as it was"


@pytest.mark.parametrize(
    ("value", "target"),
    [
        ("abc", FieldType.INTEGER),
        (1.5, FieldType.INTEGER),
        (float("inf"), FieldType.INTEGER),
        (float("nan"), FieldType.INTEGER),
        (2**53 + 1, FieldType.FLOAT),
        (10**400, FieldType.FLOAT),
        ([1], FieldType.FLOAT),
        ("maybe", FieldType.BOOLEAN),
        (2, FieldType.BOOLEAN),
        ([], FieldType.BOOLEAN),
        ("2024", FieldType.DATETIME),
        (1700000000, FieldType.DATETIME),
        ("{", FieldType.JSON),
        (b"x", FieldType.JSON),
        (b"\xff", FieldType.STRING),
        ({1}, FieldType.STRING),
        (5, FieldType.BINARY),
    ],
)
def test_an_impossible_conversion_names_field_value_and_target(value: Any, target: FieldType) -> None:
    with pytest.raises(
        ValueError, match=f"^field 'age': cannot convert {type(value).__name__} .* to {target}: "
    ) as caught:
        Field("age", value).convert_to(target)
    assert isinstance(caught.value, RecordValidationError)
    assert caught.value.context == {"field": "age", "target": target}


def test_the_message_of_an_impossible_conversion_reads_well() -> None:
    with pytest.raises(RecordValidationError) as caught:
        Field("age", 1.5).convert_to("integer")
    assert str(caught.value) == "field 'age': cannot convert float 1.5 to integer: it has a fraction"


@pytest.mark.parametrize(
    ("name", "what"), [("", "an empty string"), (5, "int 5"), (None, "NoneType None"), (b"a", "bytes b'a'")]
)
def test_a_name_must_be_a_non_empty_string(name: Any, what: str) -> None:
    with pytest.raises(RecordValidationError, match=f"^a field name must be a non-empty string, not {what}$"):
        Field(name, 1)


def test_an_unknown_type_names_the_nearest() -> None:
    with pytest.raises(RecordValidationError, match=r"^field 'x': unknown type 'integr'; did you mean 'integer'\?$"):
        Field("x", 1, "integr")


def test_the_dict_form_and_back() -> None:
    field = Field("x", {"a": 1}, FieldType.JSON, {"unit": "m"})
    form = {"name": "x", "value": {"a": 1}, "type": "json", "metadata": {"unit": "m"}}
    assert field.to_dict() == form
    assert Field.from_dict(form) == field
    assert Field.from_dict({"name": "x", "value": 1}) == Field("x", 1)
    with pytest.raises(RecordValidationError, match="it needs 'name' and 'value'"):
        Field.from_dict({"name": "x"})


def test_copies_share_nothing_unless_shallow() -> None:
    field = Field("x", [1], metadata={"tags": ["a"]})
    deep, shallow = field.copy(), field.copy(deep=False)
    field.value.append(2)
    field.metadata["tags"].append("b")
    field.metadata["more"] = 1
    assert (deep.value, deep.metadata) == ([1], {"tags": ["a"]})
    assert (shallow.value, shallow.metadata) == ([1, 2], {"tags": ["a", "b"]})


def test_fields_differ_by_name_value_type_and_metadata() -> None:
    field = Field("x", 1)
    assert field == Field("x", 1) == pickle.loads(pickle.dumps(field)) == copy.deepcopy(field)
    for other in (Field("y", 1), Field("x", 2), Field("x", 1, FieldType.FLOAT), Field("x", 1, metadata={"a": 1}), 1):
        assert field != other
    with pytest.raises(TypeError, match="unhashable"):
        hash(field)


def test_the_repr_is_short_however_long_the_value() -> None:
    assert repr(Field("x", 1)) == "Field('x', 1, integer)"
    assert len(repr(Field("x", "y" * 10_000_000))) < 100
