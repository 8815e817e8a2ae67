"""A field: one named value of a record, with its type and whatever is to be said about it."""

from __future__ import annotations

import copy
import json
import reprlib
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

from dataknobs_data.exceptions import RecordValidationError
from dataknobs_data.instants import instant
from dataknobs_data.spelling import did_you_mean

TEXT_LENGTH = 1000
"""Strings of more characters than this are TEXT, others STRING."""


class FieldType(StrEnum):
    """What kind of value a field holds."""

    STRING = "string"
    INTEGER = "integer"
    FLOAT = "float"
    BOOLEAN = "boolean"
    DATETIME = "datetime"
    JSON = "json"
    BINARY = "binary"
    TEXT = "text"

    @classmethod
    def of(cls, value: Any) -> FieldType:
        """The type of a value: the first row of the table below that fits. Anything else, None too, is a STRING."""
        if isinstance(value, str):
            return cls.TEXT if len(value) > TEXT_LENGTH else cls.STRING
        return next((kind for kind, classes in _DETECTED if isinstance(value, classes)), cls.STRING)


_DETECTED: tuple[tuple[FieldType, tuple[type, ...]], ...] = (
    (FieldType.BOOLEAN, (bool,)),  # before INTEGER: Python's bools are ints
    (FieldType.INTEGER, (int,)),
    (FieldType.FLOAT, (float, Decimal)),
    (FieldType.DATETIME, (datetime, date)),
    (FieldType.JSON, (dict, list, tuple, set, frozenset)),
    (FieldType.BINARY, (bytes, bytearray)),
)


class Field:
    """A named value.

    `name` is fixed (see `renamed`). `type` is the declared one, or else follows from the value that the field has now.
    `metadata` is a plain dict for whatever belongs to the field and is not its value. Raises RecordValidationError for
    a name that is not a non-empty string and for a type that does not exist.
    """

    __slots__ = ("_declared", "_name", "metadata", "value")

    def __init__(
        self,
        name: str,
        value: Any,
        type: FieldType | str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        self._name = checked_name(name)
        self.value = value
        self._declared = None if type is None else _known_type(type, name)
        self.metadata: dict[str, Any] = dict(metadata) if metadata else {}

    @property
    def name(self) -> str:
        """The name, a non-empty string."""
        return self._name

    @property
    def type(self) -> FieldType:
        """The declared type, else the one that fits the value."""
        return self._declared or FieldType.of(self.value)

    @type.setter
    def type(self, type: FieldType | str | None) -> None:
        self._declared = None if type is None else _known_type(type, self.name)

    @property
    def declared(self) -> FieldType | None:
        """The declared type; None where the type follows from the value."""
        return self._declared

    def validate(self) -> bool:
        """Whether the value fits the type. None fits every type."""
        return self.value is None or _FITS[self.type](self.value)

    def convert_to(self, type: FieldType | str) -> Field:
        """This field with its value converted; None stays None. No fraction is cut off and no integer rounded.

        Raises RecordValidationError (a ValueError), naming field, value and target, where that is impossible.
        """
        target = _known_type(type, self.name)
        try:
            value = None if self.value is None else _CONVERT[target](self.value)
        except (ValueError, TypeError, ArithmeticError) as error:
            raise RecordValidationError(
                f"field {self.name!r}: cannot convert {self.value.__class__.__name__} "
                f"{reprlib.repr(self.value)} to {target}: {error}",
                field=self.name,
                target=target,
            ) from error
        return Field(self.name, value, target, self.metadata)

    def copy(self, deep: bool = True) -> Field:
        """A field of its own; `deep` copies the value and the metadata's values too."""
        if deep:
            return Field(self.name, copy.deepcopy(self.value), self._declared, copy.deepcopy(self.metadata))
        return Field(self.name, self.value, self._declared, self.metadata)

    def renamed(self, name: str) -> Field:
        """A field of its own, under another name, with the same value."""
        return Field(name, self.value, self._declared, self.metadata)

    def to_dict(self) -> dict[str, Any]:
        """`{"name", "value", "type", "metadata"}`; the value as it is. `from_dict` is the inverse."""
        return {"name": self.name, "value": self.value, "type": self.type.value, "metadata": dict(self.metadata)}

    @classmethod
    def from_dict(cls, source: Mapping[str, Any]) -> Field:
        """The field that `to_dict` wrote; `type` and `metadata` may be absent."""
        if not isinstance(source, Mapping) or not {"name", "value"} <= source.keys():
            raise RecordValidationError(f"not a field: {reprlib.repr(source)}; it needs 'name' and 'value'")
        return cls(source["name"], source["value"], source.get("type"), source.get("metadata"))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Field):
            return NotImplemented
        return self.to_dict() == other.to_dict()

    __hash__ = None  # type: ignore[assignment]  # fields change

    def __repr__(self) -> str:
        return f"Field({self.name!r}, {reprlib.repr(self.value)}, {self.type})"


def checked_name(name: Any) -> str:
    """`name` if it can name a field. Raises RecordValidationError."""
    if isinstance(name, str) and name:
        return name
    what = "an empty string" if name == "" else f"{type(name).__name__} {reprlib.repr(name)}"
    raise RecordValidationError(f"a field name must be a non-empty string, not {what}", field=name)


def _known_type(name: FieldType | str, field: str) -> FieldType:
    try:
        return FieldType(name)
    except ValueError:
        raise RecordValidationError(
            f"field {field!r}: unknown type {name!r}; {did_you_mean(name, FieldType)}", field=field
        ) from None


# ---------------------------------------------------------------------------------------------- what fits a type
def _is_text(value: Any) -> bool:
    return isinstance(value, (str, UUID, time, timedelta))


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return _is_integer(value) or isinstance(value, (float, Decimal))


def _is_json(value: Any) -> bool:
    return isinstance(value, (dict, list, tuple, set, frozenset, str, bool, int, float))


_FITS: dict[FieldType, Callable[[Any], bool]] = {
    FieldType.STRING: _is_text,
    FieldType.TEXT: _is_text,
    FieldType.INTEGER: _is_integer,
    FieldType.FLOAT: _is_number,
    FieldType.BOOLEAN: lambda value: isinstance(value, bool),
    FieldType.DATETIME: lambda value: instant(value) is not None,
    FieldType.JSON: _is_json,
    FieldType.BINARY: lambda value: isinstance(value, (bytes, bytearray)),
}


# ---------------------------------------------------------------------------------------------- conversions
_WORDS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


def _to_text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (bytes, bytearray)):
        return value.decode()
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    if isinstance(value, (dict, list, tuple)):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, (str, int, float, Decimal, UUID, timedelta)):
        return str(value)
    raise TypeError("it has no text form")


def _to_integer(value: Any) -> int:
    if isinstance(value, (int, str)):
        return int(value)
    if isinstance(value, (float, Decimal)):
        whole = int(value)
        if whole == value:
            return whole
        raise ValueError("it has a fraction")
    raise TypeError("it is no number")


def _to_float(value: Any) -> float:
    if not isinstance(value, (int, float, Decimal, str)):
        raise TypeError("it is no number")
    nearest = float(value)
    if isinstance(value, int) and nearest != value:
        raise ValueError("no float has that many digits")
    return nearest


def _to_boolean(value: Any) -> bool:
    if isinstance(value, str) and value.strip().lower() in _WORDS:
        return _WORDS[value.strip().lower()]
    if isinstance(value, (bool, int, float, Decimal)) and value in (0, 1):
        return bool(value)
    raise ValueError("only true/false, yes/no, on/off, 1/0 can be")


def _to_datetime(value: Any) -> date:
    if isinstance(value, date):
        return value
    moment = instant(value)
    if moment is None:
        raise ValueError("only ISO 8601 dates and date-times can be")
    return moment


def _to_json(value: Any) -> Any:
    if isinstance(value, str):
        return json.loads(value)
    if isinstance(value, (set, frozenset, tuple)):
        return list(value)
    if _is_json(value):
        return value
    raise TypeError("JSON has no such value")


def _to_binary(value: Any) -> bytes:
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, (bytes, bytearray)):
        return bytes(value)
    raise TypeError("only text and bytes can be")


_CONVERT: dict[FieldType, Callable[[Any], Any]] = {
    FieldType.STRING: _to_text,
    FieldType.TEXT: _to_text,
    FieldType.INTEGER: _to_integer,
    FieldType.FLOAT: _to_float,
    FieldType.BOOLEAN: _to_boolean,
    FieldType.DATETIME: _to_datetime,
    FieldType.JSON: _to_json,
    FieldType.BINARY: _to_binary,
}
