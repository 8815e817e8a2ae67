"""Which fields get columns, and what the log says of them."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa
import pytest

from dataknobs_data.documents import Document
from dataknobs_data.exceptions import DataFormatError
from dataknobs_data.s3.table.shape import COLUMNS_MAX, SYSTEM, Shape, folded, grow, may_be_column

NOW = "2026-01-01T00:00:00.000000Z"


def documents(*datas: dict[str, Any]) -> list[Document]:
    """Documents with these data."""
    return [Document(f"{place:06}", data, {}, NOW, NOW, "b", "r") for place, data in enumerate(datas)]


def grown(*datas: dict[str, Any]) -> dict[str, str]:
    """The user columns that the empty table gets for them."""
    return dict(grow(Shape(), documents(*datas)).fields)


def test_a_scalar_field_gets_a_column_of_its_type() -> None:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    assert grown({"s": "x", "i": 1, "f": 1.5, "b": True, "t": moment, "d": date(2026, 1, 1), "y": b"x"}) == {
        "s": "string",
        "i": "long",
        "f": "double",
        "b": "boolean",
        "t": "timestamp",
        "d": "date",
        "y": "binary",
    }


@pytest.mark.parametrize("value", [None, [1], {"x": 1}, 2**63, -(2**63) - 1, datetime(2026, 1, 1), (1,), {1}], ids=repr)
def test_a_value_that_no_column_takes_makes_none(value: Any) -> None:
    assert grown({"x": value}) == {}


def test_columns_stand_in_the_order_in_which_fields_first_occur() -> None:
    assert list(grown({"b": 1}, {"a": 1, "b": 1}, {"c": 1})) == ["b", "a", "c"]


def test_the_most_frequent_type_is_the_columns() -> None:
    assert grown({"x": 1}, {"x": "a"}, {"x": "b"}) == {"x": "string"}


def test_a_table_keeps_its_columns_and_their_types() -> None:
    shape = Shape((("x", "long"),))
    assert grow(shape, documents({"x": "a", "y": 1})).fields == (("x", "long"), ("y", "long"))


@pytest.mark.parametrize(
    "name", ["", "_x", "a b", "a,b", "a;b", "a{b", "a}b", "a(b", "a)b", "a\nb", "a\tb", "a=b", "a\0", "a\x7f", "\ud800"]
)
def test_names_that_some_reader_refuses_get_no_column(name: str) -> None:
    assert not may_be_column(name)
    assert grown({name: 1}) == {}


def test_dots_and_letters_of_all_alphabets_are_fine() -> None:
    assert list(grown({"a.b": 1, "Straße": 1, "日本": 1})) == ["a.b", "Straße", "日本"]


@pytest.mark.parametrize(("one", "other"), [("id", "ID"), ("Straße", "STRASSE"), ("ı", "I"), ("ς", "Σ")])
def test_of_names_that_differ_in_case_one_gets_a_column(one: str, other: str) -> None:
    assert folded(one) == folded(other)
    assert list(grown({one: 1, other: 1})) == [one]
    assert grow(Shape(((one, "long"),)), documents({other: 1})).fields == ((one, "long"),)


def test_a_field_in_one_record_of_a_thousand_gets_no_column() -> None:
    rare = documents(
        *({"x": 1} for _ in range(990)), *({"x": 1, "rare": 1} for _ in range(9)), {"x": 1, "rare": 1, "y": 2}
    )
    assert dict(grow(Shape(), rare).fields) == {"x": "long", "rare": "long"}
    assert dict(grow(Shape(), rare[2:995]).fields) == {"x": "long"}


def test_of_ten_records_two_must_have_the_field() -> None:
    assert grown(*({"x": 1} for _ in range(8)), {"once": 1}, {"x": 1}) == {"x": "long"}


def test_five_thousand_names_make_no_five_thousand_columns() -> None:
    wide = {f"f{place}": 1 for place in range(5000)}
    assert len(grown(wide)) == COLUMNS_MAX
    assert grown(*({f"f{place}": 1, "same": 1} for place in range(5000))) == {"same": "long"}
    full = grow(Shape(), documents(wide))
    assert grow(full, documents({"late": 1})) is full


def test_the_most_frequent_names_come_first_where_there_are_too_many() -> None:
    many = {f"f{place}": 1 for place in range(COLUMNS_MAX)}
    names = grown({**many, "often": 1}, {"often": 1})
    assert len(names) == COLUMNS_MAX
    assert "often" in names
    assert f"f{COLUMNS_MAX - 1}" not in names


def test_the_log_reads_back_what_it_was_told() -> None:
    shape = Shape((("a.b", "long"), ("ä", "timestamp")))
    tree = json.loads(shape.schema_string())
    assert [field["name"] for field in tree["fields"]] == [*SYSTEM, "a.b", "ä"]
    assert all(field["nullable"] and field["metadata"] == {} for field in tree["fields"])
    assert Shape.from_schema_string(shape.schema_string()) == shape == Shape.from_arrow(shape.arrow)


def test_arrows_wider_types_are_the_same_columns() -> None:
    shape = Shape((("s", "string"), ("y", "binary")))
    wider = {pa.string(): pa.large_string(), pa.binary(): pa.binary_view()}
    schema = pa.schema([(field.name, wider.get(field.type, field.type)) for field in shape.arrow])
    assert Shape.from_arrow(schema) == shape
    coded = schema.set(0, pa.field("_id", pa.dictionary(pa.int32(), pa.large_string())))
    assert Shape.from_arrow(coded) == shape


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"fields": [1]}', '{"fields": []}'])
def test_a_damaged_schema_is_an_error(text: str) -> None:
    with pytest.raises(DataFormatError, match=r"schema is damaged|not a table of records"):
        Shape.from_schema_string(text)


def test_a_column_of_another_writers_type_is_named() -> None:
    text = Shape((("price", "long"),)).schema_string().replace('"price","type":"long"', '"price","type":"decimal(9,2)"')
    with pytest.raises(DataFormatError, match=r"'price' has the type 'decimal\(9,2\)'"):
        Shape.from_schema_string(text)


def test_a_shape_extends_those_it_grew_from() -> None:
    one, more, other = Shape((("a", "long"),)), Shape((("a", "long"), ("b", "long"))), Shape((("a", "string"),))
    assert more.extends(one)
    assert one.extends(one)
    assert not one.extends(more)
    assert not other.extends(one)
