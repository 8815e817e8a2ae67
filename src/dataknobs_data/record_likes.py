"""What databases take for records: records, and mappings in their place, of which no Record need be made."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from itertools import chain
from typing import Any

from dataknobs_data.exceptions import RecordValidationError
from dataknobs_data.fields import Field
from dataknobs_data.records import Record, id_among

RecordLike = Record | Mapping[str, Any]
"""What databases store: a record, or a mapping `data` in the place of `Record(data)`."""


def as_record(given: Any) -> Record:
    """The record that `given` is or stands for. Raises RecordValidationError."""
    if not isinstance(given, Record) and isinstance(given, Mapping):
        return Record(given)
    return checked(given)


def checked(record: Any) -> Record:
    """`record` if it is one. Raises RecordValidationError."""
    if isinstance(record, Record):
        return record
    raise RecordValidationError(f"expected a Record, not {type(record).__name__}: wrap it as Record({{…}})")


def id_of(given: Any) -> str | None:
    """The id of the record that `given` is or stands for; None also where there is none."""
    try:
        return as_record(given).id
    except RecordValidationError:
        return None


def are_plain_dicts(given: Collection[Any]) -> bool:
    """Whether all are dicts of which `Record` would make records that are plain: it need not be made then."""
    if set(map(type, given)) != {dict}:
        return False
    names: set[Any] = set().union(*given)
    if "" in names or not all(isinstance(name, str) for name in names):
        return False
    return {Field}.isdisjoint(map(type, chain.from_iterable(map(dict.values, given))))


def ids_in(plain_dicts: Iterable[dict[str, Any]]) -> list[str | None]:
    """The ids that their records have."""
    return [id_among(data.get) if "id" in data or "record_id" in data else None for data in plain_dicts]
