"""The stored form of a record, and the one place that says what create, update and upsert make of it.

Every backend keeps `Document`s and calls `resolve` while it holds whatever makes its write atomic (a lock, a
transaction, an ETag), so all of them give the same answers.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

from dataknobs_data.exceptions import ConcurrencyError, DuplicateRecordError, RecordValidationError, SerializationError
from dataknobs_data.fields import Field, FieldType
from dataknobs_data.instants import instant
from dataknobs_data.paths import MISSING, find
from dataknobs_data.records import Record
from dataknobs_data.runtime import Runtime, iso_utc

_WITHOUT_PARTS = frozenset(
    {str, int, float, bool, type(None), bytes, datetime, date, time, timedelta, Decimal, UUID, frozenset}
)
"""Types of values that nobody can change."""

STAMPS = ("id", "created_at", "updated_at")
"""Names in a record's metadata that the database fills in; everything else there is the user's."""


@dataclass(slots=True)
class Document:
    """One stored version of a record. Treat it and its mappings as read-only: freezing would double what it costs to make.

    id          storage key
    data        field name → plain value, in the user's order
    metadata    the user's metadata without STAMPS
    created_at  ISO 8601, UTC; survives updates
    updated_at  ISO 8601, UTC
    born        birth: the creation this record goes back to; updates keep it. A generated id is its own birth, for nobody
                else can have it; the birth of another is the revision of its first version
    replaces    births of deleted records that this one stands in front of
    revision    new with every write; what `get_version` and `expected_version` speak of
    fields      explicit field types and field metadata, only where they differ from what the value says
    """

    id: str
    data: Mapping[str, Any]
    metadata: Mapping[str, Any]
    created_at: str
    updated_at: str
    born: str
    revision: str
    replaces: frozenset[str] = frozenset()
    fields: Mapping[str, Any] = field(default_factory=dict)

    def value(self, name: str) -> Any:
        """A value by query name (`field`, `a.b`, `id`, `metadata.x`), MISSING where there is none."""
        if name == "id":
            return self.id
        if name in self.data:
            return self.data[name]
        if "." not in name:
            return MISSING
        return find(name, self.data, self.full_metadata() if name.startswith("metadata.") else {})

    def full_metadata(self) -> dict[str, Any]:
        """The user's metadata with the database's STAMPS, which win; its containers are the document's own."""
        return {**self.metadata, "id": self.id, "created_at": self.created_at, "updated_at": self.updated_at}


class Verb(StrEnum):
    """What a change wants."""

    CREATE = "create"
    UPDATE = "update"
    UPSERT = "upsert"


@dataclass(slots=True)
class Change:
    """One write that a user asked for, to be treated as read-only. `generated`: the id was made by us, so nobody else can have it. `mends`: it may also
    replace a record that cannot be read.
    """

    verb: Verb
    id: str
    record: Record
    expected_version: str | None = None
    generated: bool = False
    mends: bool = False


@dataclass(frozen=True, slots=True)
class Deletion:
    """One delete that a user asked for."""

    id: str
    expected_version: str | None = None


def check_version(id: str, expected: str | None, actual: str | None) -> None:
    """Raises ConcurrencyError when a version was expected and another (or none) is there."""
    if expected is None or expected == actual:
        return
    found = f"it is at {actual}" if actual else "it does not exist"
    raise ConcurrencyError(
        f"record {id!r} was expected at version {expected}, but {found}; read it again before changing it",
        id=id,
        expected_version=expected,
        actual_version=actual,
    )


def resolve(change: Change, current: Document | None, runtime: Runtime) -> Document | None:
    """The document that `change` makes of `current`; None when it updates a record that does not exist.

    Raises DuplicateRecordError (create over an existing record) and ConcurrencyError (`expected_version`).
    """
    check_version(change.id, change.expected_version, current.revision if current else None)
    if current is None:
        return None if change.verb is Verb.UPDATE else _first_version(change, runtime)
    if change.verb is Verb.CREATE:
        raise duplicate(change.id)
    return _next_version(change, current, runtime)


def duplicate(id: str) -> DuplicateRecordError:
    """The error of a create whose id is taken."""
    return DuplicateRecordError(f"record {id!r} exists already; update it, or create under another id", id=id)


def _first_version(change: Change, runtime: Runtime) -> Document:
    revision = runtime.new_id()
    return first_version(change, change.id if change.generated else revision, revision, runtime.timestamp())


def first_version(change: Change, born: str, revision: str, now: str) -> Document:
    """The document that a creation makes. `now`: ISO 8601, UTC."""
    record = change.record
    return Document(
        id=change.id,
        data=_plain_data(record),
        metadata=user_metadata(record.metadata),
        created_at=_imported_instant(record) or now,
        updated_at=now,
        born=born,
        revision=revision,
        fields=_field_extras(record),
    )


def _imported_instant(record: Record) -> str | None:
    if not record.metadata:
        return None
    imported = instant(record.metadata.get("created_at"))
    try:
        return iso_utc(imported) if imported else None
    except OverflowError:  # an offset that leads out of the years 1 to 9999
        return None


def _next_version(change: Change, current: Document, runtime: Runtime) -> Document:
    return replace(
        current,
        data=_plain_data(change.record),
        metadata=user_metadata(change.record.metadata),
        updated_at=runtime.timestamp(),
        revision=runtime.new_id(),
        fields=_field_extras(change.record),
    )


def _plain_data(record: Record) -> dict[str, Any]:
    return _unshared_items(record.data)


def user_metadata(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """A record's metadata without what the database itself fills in."""
    return _unshared_items({name: value for name, value in metadata.items() if name not in STAMPS}) if metadata else {}


def _field_extras(record: Record) -> dict[str, Any]:
    extras: dict[str, Any] = {}
    if record.is_plain:
        return extras
    for name, one in record.fields.items():
        extra: dict[str, Any] = {}
        if one.declared is not None and one.declared is not FieldType.of(one.value):
            extra["type"] = one.declared.value
        if one.metadata:
            extra["metadata"] = unshared(one.metadata)
        if extra:
            extras[name] = extra
    return extras


def to_record(document: Document) -> Record:
    """The record that a user is handed: nothing shared with the document, with `.id` and the stamps in its metadata."""
    data = _unshared_items(dict(document.data))
    for name, extra in document.fields.items():
        if name in data:
            data[name] = _to_field(name, data[name], extra)
    return Record(data, metadata=unshared(document.full_metadata()), id=document.id)


def _to_field(name: str, value: Any, extra: Mapping[str, Any]) -> Field:
    kind = FieldType(extra["type"]) if "type" in extra else None
    return Field(name, value, kind, unshared(extra.get("metadata", {})))


def _unshared_items(items: dict[str, Any]) -> dict[str, Any]:
    """`items` itself, if none of its values can be changed; else a copy as `unshared` makes it."""
    return items if _WITHOUT_PARTS.issuperset(map(type, items.values())) else unshared(items)


def unshared(value: Any) -> Any:
    """A copy of `value` that shares no mutable container with it; far cheaper than deepcopy on plain values.

    Raises SerializationError for a value that contains itself.
    """
    try:
        return _copy(value)
    except RecursionError as error:
        raise SerializationError("a value is nested too deeply or contains itself") from error


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copy(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_copy(item) for item in value]
    if isinstance(value, (set, bytearray, tuple)):
        return copy.deepcopy(value)
    return value


def check_id(id: Any) -> str:
    """`id` if it can name a record. Raises RecordValidationError: ids are non-empty text that UTF-8 can hold."""
    if not isinstance(id, str):
        raise RecordValidationError(f"a record id must be a string, not {type(id).__name__}: {id!r}", id=id)
    if not id:
        raise RecordValidationError("a record id must not be empty", id=id)
    try:
        id.encode()
    except UnicodeEncodeError as error:
        raise RecordValidationError(
            f"record id {id!r} holds a lone surrogate, which UTF-8 cannot hold", id=id
        ) from error
    return id
