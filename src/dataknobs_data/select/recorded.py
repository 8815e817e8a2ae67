"""Rows of a result → records."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import orjson

from dataknobs_data.records import Record
from dataknobs_data.runtime import iso_utc

ID, METADATA, REST = "_id", "_metadata", "_rest"
STAMPS = {"_created_at": "created_at", "_updated_at": "updated_at"}
MARKS = ("_born", "_revision")
"""Columns of the system; other names that begin like them are fields."""


def recorded(row: Mapping[str, Any]) -> Record:
    """The record that a row is: its columns are fields, but for those of the system. A row of whole records, which has `_rest`,
    has no field where a column is null; other rows have all.
    """
    system = {ID, METADATA, REST, *STAMPS, *MARKS}
    whole = REST in row
    data = {name: value for name, value in row.items() if name not in system and not (whole and value is None)}
    data.update(_unfolded(row.get(REST)))
    metadata = _unfolded(row.get(METADATA))
    for column, name in STAMPS.items():
        if isinstance(row.get(column), datetime):
            metadata[name] = iso_utc(row[column])
    return Record(data, metadata=metadata, id=row.get(ID))


def _unfolded(text: Any) -> dict[str, Any]:
    values = orjson.loads(text) if isinstance(text, str) and text else None
    return values if isinstance(values, dict) else {}
