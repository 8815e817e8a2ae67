"""What "exactly the same value" means: Python's `==` calls 1, 1.0 and True equal, and NaN unequal to itself."""

from __future__ import annotations

from datetime import datetime, time
from typing import Any

from dataknobs_data.records import Record


def exact(value: Any) -> Any:
    """A form that is equal for two values exactly when nobody can tell them apart: types, order, zones and NaN included."""
    kind = type(value).__name__
    if isinstance(value, dict):
        return kind, [(key, exact(item)) for key, item in value.items()]
    if isinstance(value, list | tuple):
        return kind, [exact(item) for item in value]
    if isinstance(value, set | frozenset):
        return kind, sorted(map(repr, map(exact, value)))
    if isinstance(value, datetime | time):
        return kind, value.isoformat(), getattr(value.tzinfo, "key", str(value.tzinfo))
    return kind, repr(value)


def exact_record(record: Record | None) -> Any:
    """The same for what a record holds besides its stamps: values, order, declared types, field metadata, metadata."""
    assert record is not None
    metadata = {key: value for key, value in record.metadata.items() if key not in ("id", "created_at", "updated_at")}
    fields = [(name, exact(field.value), field.type, exact(field.metadata)) for name, field in record.fields.items()]
    return record.id, fields, exact(metadata)
