"""A record: named fields in order, metadata beside them, and an id."""

from __future__ import annotations

import copy
import reprlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Self

from dataknobs_data.exceptions import RecordValidationError
from dataknobs_data.field_map import FieldMap
from dataknobs_data.fields import Field, FieldType
from dataknobs_data.paths import MISSING, find
from dataknobs_data.spelling import did_you_mean

_FIELDS = frozenset({Field})


class Record:
    """Named values in order, with metadata and an id.

        record = Record({"name": "Alice", "address": {"city": "Berlin"}}, metadata={"source": "import"}, id="user-1")
        record["name"], record.name, record.get_value("address.city"), record.fields["name"].type

    `data` maps names to plain values or `Field`s; the mapping and its fields are copied, the values are not. Names are
    non-empty strings, else RecordValidationError. Attribute access reads fields whose names are no attribute of the
    class and do not start with `_`. A record is always true, also one without fields: `if record := db.read(id)` works.
    """

    __slots__ = ("_id", "_map", "_metadata", "_plain")

    def __init__(
        self,
        data: Mapping[str, Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
        id: str | None = None,
        storage_id: str | None = None,
    ) -> None:
        # Fields cost several times what values do, and most records are only ever asked for values.
        plain: dict[str, Any] = dict(data) if type(data) is dict else _copied("data", data)
        self._plain: dict[str, Any] | None = plain
        self._map: FieldMap | None = None
        try:
            "".join(plain)  # the fastest way to see that all names are strings
            is_plain = "" not in plain and _FIELDS.isdisjoint(map(type, plain.values()))
        except TypeError:
            is_plain = False
        if not is_plain:
            self._become_fields()
        self._metadata: dict[str, Any] | None = _copied("metadata", metadata) if metadata is not None else None
        if id is None:
            id = storage_id
        self._id = None if id is None else str(id)

    @property
    def _fields(self) -> FieldMap:
        return self._become_fields() if self._map is None else self._map

    def _become_fields(self) -> FieldMap:
        self._map = FieldMap(self._plain or {})
        self._plain = None
        return self._map

    @property
    def is_plain(self) -> bool:
        """Whether its fields have, for sure, neither a declared type nor metadata."""
        return self._plain is not None

    # ------------------------------------------------------------------------------------------ identity
    @property
    def id(self) -> str | None:
        """The explicit id, else `metadata["id"]`, else the field `id`, else `record_id`, as a string; else None."""
        if self._id is not None:
            return self._id
        candidate = self._metadata.get("id") if self._metadata else None
        return id_among(self._value) if candidate is None else str(candidate)

    @id.setter
    def id(self, id: Any) -> None:
        self._id = None if id is None else str(id)

    def _value(self, name: str) -> Any:
        if self._plain is not None:
            return self._plain.get(name)
        return self._fields[name].value if name in self._fields else None

    @property
    def storage_id(self) -> str | None:
        """The same as `id`."""
        return self.id

    @storage_id.setter
    def storage_id(self, id: Any) -> None:
        self.id = id

    @property
    def metadata(self) -> dict[str, Any]:
        """What belongs to the record and is no field: a dict of its own."""
        if self._metadata is None:
            self._metadata = {}  # made only where it is asked for, because most records have none
        return self._metadata

    @metadata.setter
    def metadata(self, metadata: dict[str, Any]) -> None:
        self._metadata = metadata

    # ------------------------------------------------------------------------------------------ fields
    @property
    def fields(self) -> FieldMap:
        """The fields by name. `record.fields["email"] = "x"` sets the value; `record.fields["email"].value` is it."""
        return self._fields

    @property
    def data(self) -> dict[str, Any]:
        """A new dict of name → value."""
        if self._plain is not None:
            return self._plain.copy()
        return {name: field.value for name, field in self._fields.items()}

    def field_names(self) -> list[str]:
        """The names, in order."""
        return list(self)

    def has_field(self, name: str) -> bool:
        """Whether there is a field of exactly that name."""
        return name in self

    def get_field(self, name: str) -> Field | None:
        """The field of exactly that name, or None."""
        field: Field | None = self._fields.get(name)
        return field

    def set_field(
        self,
        name: str,
        value: Any,
        type: FieldType | str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        """Puts a new field (or `value`, where that is a Field) in place of the one of that name."""
        self._fields[name] = value if isinstance(value, Field) else Field(name, value, type, metadata)

    def remove_field(self, name: str) -> bool:
        """Removes a field; False where there is none."""
        if name not in self:
            return False
        del self[name]
        return True

    def get_value(self, name: str, default: Any = None) -> Any:
        """The value of a field, of a dotted path into one, or of `metadata.x`; `default` where there is none.

        A field of exactly that name comes before a path, and a dict in a field `metadata` before the metadata.
        """
        if name in self:
            return self[name]
        if "." not in name:
            return default
        found = find(name, self.data, self.metadata)
        return default if found is MISSING else found

    def set_value(self, name: str, value: Any) -> None:
        """The same as `record[name] = value`; the name is taken literally, dots too."""
        self._fields[name] = value

    def validate(self) -> bool:
        """Whether every value fits its field's type."""
        return all(field.validate() for field in self._fields.values())

    # ------------------------------------------------------------------------------------------ as a mapping of values
    def __getitem__(self, name: str) -> Any:
        if self._plain is not None and name in self._plain:
            return self._plain[name]
        return self._fields[name].value

    def __setitem__(self, name: str, value: Any) -> None:
        self._fields[name] = value

    def __delitem__(self, name: str) -> None:
        del self._fields[name]

    def __contains__(self, name: object) -> bool:
        return name in (self._fields if self._plain is None else self._plain)

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields if self._plain is None else self._plain)

    def __len__(self) -> int:
        return len(self._fields if self._plain is None else self._plain)

    def __bool__(self) -> bool:
        return True

    def __getattr__(self, name: str) -> Any:
        # Only called for what is no attribute. Underscores are Python's own look-ups, some before `_fields` exists.
        if name.startswith("_"):
            raise AttributeError(f"Record has no attribute {name!r}")
        if name in self:
            return self[name]
        raise AttributeError(f"Record has no attribute or field {name!r}; {did_you_mean(name, self._fields)}")

    # ------------------------------------------------------------------------------------------ other records
    def copy(self, deep: bool = True) -> Record:
        """A record of its own; `deep` copies the values too."""
        metadata = copy.deepcopy(self.metadata) if deep else self.metadata
        return Record({name: field.copy(deep) for name, field in self._fields.items()}, metadata, self._id)

    def __copy__(self) -> Record:
        return self.copy(deep=False)

    def project(self, names: Sequence[str]) -> Record:
        """A record of these fields only, in this order, with the same id and metadata.

        A dotted path becomes a field of that name; names that have no value are left out.
        """
        if isinstance(names, str):
            raise RecordValidationError(f"project takes a list of names, not the string {names!r}")
        kept: dict[str, Any] = {}
        for name in names:
            value = self._fields[name] if name in self else self.get_value(name, MISSING)
            if value is not MISSING:
                kept[name] = value
        return Record(kept, self.metadata, self.id)

    def merge(self, other: Record, overwrite: bool = True) -> Record:
        """A new record with this one's id and the fields and metadata of both; `overwrite`: the other's win."""
        added = {name: field for name, field in other._fields.items() if overwrite or name not in self._fields}
        noted = {name: value for name, value in other.metadata.items() if overwrite or name not in self.metadata}
        return Record({**self._fields, **added}, {**self.metadata, **noted}, self.id)

    # ------------------------------------------------------------------------------------------ as a dict
    def to_dict(self, include_metadata: bool = False, flatten: bool = True) -> dict[str, Any]:
        """The record as a dict; the values as they are.

        Flat: `{name: value}`, and with `include_metadata` also `_id` and `_metadata`. Not flat: `{"id", "fields":
        {name: {"name", "value", "type", "metadata"}}}`, and with `include_metadata` also `metadata`.
        """
        if flatten:
            return {**self.data, "_id": self.id, "_metadata": dict(self.metadata)} if include_metadata else self.data
        form = {"id": self.id, "fields": {name: field.to_dict() for name, field in self._fields.items()}}
        return {**form, "metadata": dict(self.metadata)} if include_metadata else form

    @classmethod
    def from_dict(cls, source: Mapping[str, Any]) -> Self:
        """The record behind either form of `to_dict`. With `include_metadata` it equals the one it was made from."""
        if not isinstance(source, Mapping):
            raise RecordValidationError(f"a record is made from a mapping, not {type(source).__name__}")
        if _is_unflattened(source):
            data: dict[str, Any] = {name: Field.from_dict(form) for name, form in source["fields"].items()}
            return cls(data, source.get("metadata"), source.get("id"))
        data = dict(source)
        return cls(metadata=data.pop("_metadata", None), id=data.pop("_id", None), data=data)

    # ------------------------------------------------------------------------------------------ Python's own
    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Record):
            return NotImplemented
        return self.id == other.id and self.metadata == other.metadata and self.data == other.data

    __hash__ = None  # type: ignore[assignment]  # records change

    def __repr__(self) -> str:
        values = ", ".join(f"{name!r}: {reprlib.repr(value)}" for name, value in self.data.items())
        return f"Record({{{values}}}, id={self.id!r})"


def id_among(value: Callable[[str], Any]) -> str | None:
    """The id that fields say, as a string. `value`: gives that of a field, None where there is none."""
    candidate = value("id")
    if candidate is None:
        candidate = value("record_id")
    return None if candidate is None else str(candidate)


def ids_of(records: Iterable[Record]) -> list[str | None]:
    """The id of each record; faster than to ask one after the other."""
    return [
        record._id
        if record._id is not None
        or not (record._metadata or (plain := record._plain) is None or "id" in plain or "record_id" in plain)
        else record.id
        for record in records
    ]


def bare_data(records: Iterable[Record]) -> list[dict[str, Any] | None]:
    """The values of each record that `is_plain` and has no metadata, None for others. Not copies: to be read at once."""
    return [None if record._metadata else record._plain for record in records]


def _copied(what: str, given: Mapping[str, Any] | None) -> dict[str, Any]:
    if given is None:
        return {}
    if isinstance(given, Mapping):
        return dict(given)
    raise RecordValidationError(f"the {what} of a record must be a mapping, not {type(given).__name__}")


def _is_unflattened(source: Mapping[str, Any]) -> bool:
    fields = source.get("fields")
    if not {"id", "fields"} <= source.keys() <= {"id", "fields", "metadata"} or not isinstance(fields, Mapping):
        return False
    return all(isinstance(form, Mapping) and {"name", "value"} <= form.keys() for form in fields.values())
