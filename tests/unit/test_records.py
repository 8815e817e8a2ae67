"""Record: fields, values, paths, ids, copies, dict forms."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

from dataknobs_data.exceptions import RecordValidationError
from dataknobs_data.fields import Field, FieldType
from dataknobs_data.records import Record


@pytest.fixture
def alice() -> Record:
    return Record(
        {"name": "Alice", "address": {"city": "Berlin", "geo": {"lat": 52.5}}, "a.b": 1, "a": {"b": 2, "c": 3}},
        metadata={"source": "import", "deep": {"er": 1}},
        id="user-1",
    )


# ---------------------------------------------------------------------------------------------- the requirement's lines
def test_the_lines_of_the_s3_examples() -> None:
    record = Record({"id": "user-123", "name": "Alice", "email": "alice@example.com"})
    assert record.id == "user-123"
    assert record.get_value("name") == "Alice"
    record.fields["email"] = "alice.smith@example.com"
    assert record.fields["email"].value == record["email"] == "alice.smith@example.com"
    record.metadata["created_by"] = "admin"
    assert record.get_value("metadata.created_by") == "admin"


# ---------------------------------------------------------------------------------------------- fields
def test_fields_wrap_plain_values_and_keep_their_order() -> None:
    record = Record({"b": 1, "a": Field("a", 2, FieldType.FLOAT)})
    record.fields["c"] = 3
    assert list(record) == record.field_names() == list(record.fields) == ["b", "a", "c"]
    assert [field.type.value for field in record.fields.values()] == ["integer", "float", "integer"]
    assert record.data == {"b": 1, "a": 2, "c": 3}


def test_a_plain_value_keeps_the_declared_type_and_metadata_of_its_field() -> None:
    record = Record({"price": Field("price", 1.5, FieldType.FLOAT, {"unit": "EUR"})})
    record["price"] = 2
    assert record.fields["price"] == Field("price", 2, FieldType.FLOAT, {"unit": "EUR"})
    record.set_field("price", 3)
    assert record.fields["price"] == Field("price", 3, FieldType.INTEGER), "set_field puts a new field in its place"


def test_a_field_takes_the_name_it_is_stored_under() -> None:
    record = Record({"x": Field("y", 1)})
    record.fields["z"] = Field("y", 2)
    record.set_field("w", Field("y", 3))
    assert {name: field.name for name, field in record.fields.items()} == {"x": "x", "z": "z", "w": "w"}


def test_a_record_shares_no_field_with_the_mapping_it_was_made_from() -> None:
    first = Record({"x": 1})
    second = Record(first.fields)
    second["x"] = 2
    assert first["x"] == 1


def test_the_field_map_is_a_mapping() -> None:
    fields = Record({"x": 1}).fields
    fields.update({"y": 2, "z": 3})  # type: ignore[dict-item]  # plain values are welcome
    assert fields.pop("x").value == 1
    assert fields.setdefault("y", 5).value == 2  # type: ignore[arg-type]
    assert fields.get("nothing") is None
    assert {name: field.value for name, field in fields.items()} == {"y": 2, "z": 3}
    assert repr(fields) == "{'y': Field('y', 2, integer), 'z': Field('z', 3, integer)}"


@pytest.mark.parametrize("name", ["", 5, None, b"x", ("a",)])
def test_field_names_are_non_empty_strings(name: Any) -> None:
    with pytest.raises(RecordValidationError, match="a field name must be a non-empty string"):
        Record({name: 1})
    with pytest.raises(RecordValidationError, match="a field name must be a non-empty string"):
        Record().fields[name] = 1


def test_has_get_set_remove() -> None:
    record = Record({"x": 1})
    assert record.has_field("x")
    assert not record.has_field("y")
    assert record.get_field("x") == Field("x", 1)
    assert record.get_field("y") is None
    record.set_field("y", 2, "float", {"unit": "m"})
    assert record.get_field("y") == Field("y", 2, FieldType.FLOAT, {"unit": "m"})
    assert record.remove_field("x")
    assert not record.remove_field("x")
    assert record.field_names() == ["y"]


def test_validate_asks_every_field() -> None:
    record = Record({"x": 1, "n": Field("n", 1, FieldType.INTEGER)})
    assert record.validate()
    record["n"] = "one"
    assert not record.validate()


# ---------------------------------------------------------------------------------------------- values
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("name", "Alice"),
        ("address.city", "Berlin"),
        ("address.geo.lat", 52.5),
        ("a.b", 1),
        ("a.c", 3),
        ("metadata.source", "import"),
        ("metadata.deep.er", 1),
        ("nothing", "default"),
        ("address.street", "default"),
        ("name.first", "default"),
        ("metadata", "default"),
        ("metadata.nothing", "default"),
        ("", "default"),
        (".", "default"),
    ],
)
def test_get_value_follows_paths(alice: Record, name: str, value: Any) -> None:
    assert alice.get_value(name, "default") == value


def test_none_is_a_value() -> None:
    record = Record({"x": None, "y": {"z": None}})
    assert record.get_value("x", "default") is None
    assert record.get_value("y.z", "default") is None


def test_a_dict_in_a_field_called_metadata_hides_the_metadata() -> None:
    assert Record({"metadata": {"x": 1}}, metadata={"x": 2, "y": 3}).get_value("metadata.x") == 1
    assert Record({"metadata": {"x": 1}}, metadata={"x": 2, "y": 3}).get_value("metadata.y") is None
    assert Record({"metadata": "text"}, metadata={"x": 2}).get_value("metadata.x") == 2
    assert Record({"metadata.x": 1}, metadata={"x": 2}).get_value("metadata.x") == 1


def test_set_value_takes_names_literally(alice: Record) -> None:
    alice.set_value("address.city", "Bonn")
    assert alice["address.city"] == alice.get_value("address.city") == "Bonn"
    assert alice["address"]["city"] == "Berlin"


def test_a_record_is_a_mapping_of_values() -> None:
    record = Record({"x": 1})
    record["y"] = 2
    del record["x"]
    assert ("y" in record, "x" in record, len(record), list(record), record["y"]) == (True, False, 1, ["y"], 2)
    with pytest.raises(KeyError, match="no field 'yy'; did you mean 'y'"):
        record["yy"]
    with pytest.raises(KeyError, match="no field 'x'"):
        del record["x"]


def test_attributes_read_fields_and_never_hide_the_class() -> None:
    record = Record({"name": "Alice", "copy": 1, "_x": 2, "data": 3})
    assert record.name == "Alice"
    assert callable(record.copy)
    assert record.data["data"] == 3
    with pytest.raises(AttributeError, match=r"Record has no attribute or field 'nmae'; did you mean 'name'\?"):
        _ = record.nmae
    with pytest.raises(AttributeError, match="Record has no attribute '_x'"):
        _ = record._x
    with pytest.raises(AttributeError):
        record.name = "Bob"  # type: ignore[attr-defined]
    assert not hasattr(Record(), "anything")


def test_a_record_is_true_also_without_fields() -> None:
    assert Record()
    assert len(Record()) == 0


@pytest.mark.parametrize(("part", "value"), [("data", [1]), ("data", "text"), ("metadata", [("a", 1)])])
def test_data_and_metadata_must_be_mappings(part: str, value: Any) -> None:
    with pytest.raises(
        RecordValidationError, match=f"the {part} of a record must be a mapping, not {type(value).__name__}"
    ):
        Record(**{part: value})


# ---------------------------------------------------------------------------------------------- id
@pytest.mark.parametrize(
    ("record", "id"),
    [
        (Record({"id": "d", "record_id": "r"}, {"id": "m"}, id="e"), "e"),
        (Record({"id": "d", "record_id": "r"}, {"id": "m"}, storage_id="s"), "s"),
        (Record({"id": "d", "record_id": "r"}, {"id": "m"}), "m"),
        (Record({"id": 7, "record_id": "r"}), "7"),
        (Record({"id": None, "record_id": "r"}), "r"),
        (Record({"x": 1}), None),
    ],
)
def test_where_the_id_comes_from(record: Record, id: str | None) -> None:
    assert record.id == record.storage_id == id


def test_the_id_can_be_set_and_taken_back() -> None:
    record = Record({"id": "d"})
    record.id = "e"
    assert (record.id, record["id"]) == ("e", "d")
    record.storage_id = "s"
    assert record.id == "s"
    record.id = None
    assert record.id == "d"


# ---------------------------------------------------------------------------------------------- other records
def test_a_copy_shares_nothing_unless_shallow(alice: Record) -> None:
    deep, shallow = alice.copy(), alice.copy(deep=False)
    assert deep == shallow == copy.copy(alice) == copy.deepcopy(alice) == pickle.loads(pickle.dumps(alice)) == alice
    alice["address"]["city"] = "Bonn"
    alice["name"] = "Bob"
    alice.metadata["source"] = "hand"
    assert (deep["address"]["city"], deep["name"], deep.metadata["source"]) == ("Berlin", "Alice", "import")
    assert (shallow["address"]["city"], shallow["name"], shallow.metadata["source"]) == ("Bonn", "Alice", "import")


def test_project_keeps_id_metadata_and_the_order_asked_for(alice: Record) -> None:
    projected = alice.project(["address.city", "nothing", "name"])
    assert list(projected.data.items()) == [("address.city", "Berlin"), ("name", "Alice")]
    assert (projected.id, projected.metadata) == (alice.id, alice.metadata)
    assert Record({"id": 7, "x": 1}).project(["x"]).id == "7"
    typed = Record({"n": Field("n", 1, FieldType.FLOAT)}).project(["n"])
    assert typed.fields["n"].type is FieldType.FLOAT
    with pytest.raises(RecordValidationError, match="takes a list of names, not the string 'name'"):
        alice.project("name")


def test_merge() -> None:
    first = Record({"a": 1, "b": 1}, {"x": 1, "y": 1}, id="first")
    second = Record({"b": 2, "c": 2}, {"y": 2, "z": 2}, id="second")
    assert first.merge(second) == Record({"a": 1, "b": 2, "c": 2}, {"x": 1, "y": 2, "z": 2}, id="first")
    assert first.merge(second, overwrite=False) == Record(
        {"a": 1, "b": 1, "c": 2}, {"x": 1, "y": 1, "z": 2}, id="first"
    )
    assert first.data == {"a": 1, "b": 1}, "neither record changes"
    assert list(first.merge(second).metadata) == ["x", "y", "z"]


# ---------------------------------------------------------------------------------------------- dict forms
def test_dict_forms(alice: Record) -> None:
    record = Record({"n": Field("n", 1, FieldType.FLOAT, {"unit": "m"})}, {"v": 1}, id="a")
    field = {"name": "n", "value": 1, "type": "float", "metadata": {"unit": "m"}}
    assert record.to_dict() == {"n": 1}
    assert record.to_dict(include_metadata=True) == {"n": 1, "_id": "a", "_metadata": {"v": 1}}
    assert record.to_dict(flatten=False) == {"id": "a", "fields": {"n": field}}
    assert record.to_dict(include_metadata=True, flatten=False) == {
        "id": "a",
        "fields": {"n": field},
        "metadata": {"v": 1},
    }
    for one in (record, alice, Record()):
        for flatten in (True, False):
            assert Record.from_dict(one.to_dict(include_metadata=True, flatten=flatten)) == one
    assert Record.from_dict(record.to_dict(flatten=False)).fields == record.fields


@pytest.mark.parametrize("data", [{"fields": {"a": 1}}, {"id": "x", "fields": {"a": 1}}, {"id": "x", "fields": [1]}])
def test_a_field_called_fields_is_only_a_field(data: dict[str, Any]) -> None:
    assert Record.from_dict(data).data == data


def test_from_dict_wants_a_mapping() -> None:
    with pytest.raises(RecordValidationError, match="a record is made from a mapping, not list"):
        Record.from_dict([1])  # type: ignore[arg-type]


def test_equality_is_of_data_metadata_and_id() -> None:
    record = Record({"a": 1, "b": 2}, {"m": 1}, id="x")
    assert record == Record({"b": 2, "a": 1}, {"m": 1}, id="x")
    assert record == Record({"b": 2, "a": 1}, {"m": 1}, storage_id="x")
    for other in (
        Record({"a": 1, "b": 3}, {"m": 1}, id="x"),
        Record({"a": 1, "b": 2}, {"m": 2}, id="x"),
        Record({"a": 1, "b": 2}, {"m": 1}, id="y"),
        {"a": 1, "b": 2},
    ):
        assert record != other
    with pytest.raises(TypeError, match="unhashable"):
        hash(record)


def test_the_repr_is_short_however_long_the_values() -> None:
    assert repr(Record({"b": 1, "a": "x"}, id="i")) == "Record({'b': 1, 'a': 'x'}, id='i')"
    assert len(repr(Record({"x": "y" * 10_000_000}))) < 100
