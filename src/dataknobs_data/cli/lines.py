"""Records as JSON lines, out and in again.

A line is the record's data. With metadata it also has `_id`, `_metadata`, and in `_types` (by JSON Pointer) what JSON
cannot say: reading that line back gives the same record, dates and decimals included. Without, such values are their
readable text. A field that is itself called `_id`, `_metadata` or `_types` has one more underscore in its line.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from dataknobs_data.codec import dump, escape_pointer, restore, to_json
from dataknobs_data.exceptions import DataFormatError, RecordValidationError
from dataknobs_data.records import Record

ID, METADATA, TYPES = "_id", "_metadata", "_types"
_SPECIAL = re.compile(r"_+(?:id|metadata|types)")


def to_line(record: Record, *, metadata: bool) -> bytes:
    """A record as one line, with its end."""
    types: dict[str, str] = {}
    line: dict[str, Any] = {ID: record.id} if metadata else {}
    for name, value in record.data.items():
        shown = f"_{name}" if _SPECIAL.fullmatch(name) else name
        line[shown] = to_json(value, f"/{escape_pointer(shown)}", types)
    if metadata:
        line[METADATA] = to_json(record.metadata, f"/{METADATA}", types)
        if types:
            line[TYPES] = types
    return dump(line, record.id or "") + b"\n"


def from_line(line: bytes, id_field: str | None = None) -> Record:
    """The record behind a line; `id_field` names the field whose value is its id.

    Raises DataFormatError and RecordValidationError saying what is wrong with the line.
    """
    tree = _parsed(line)
    types = _popped(tree, TYPES)
    restore(tree, types, str(tree.get(ID)))
    metadata = _popped(tree, METADATA)
    id = _id(tree.pop(ID, None), f"its {ID!r}")
    data = {name[1:] if _SPECIAL.fullmatch(name) else name: value for name, value in tree.items()}
    if id_field is not None:
        id = _id(data.get(id_field), f"the field {id_field!r}")
        if id is None:
            raise RecordValidationError(f"it has no field {id_field!r} to take the id from", field=id_field)
    return Record(data, metadata, id)


def _parsed(line: bytes) -> dict[str, Any]:
    try:
        tree = json.loads(line)
    except ValueError as error:
        raise DataFormatError(f"it is no JSON: {error}") from error
    except RecursionError as error:
        raise DataFormatError("its JSON is nested too deeply") from error
    if isinstance(tree, list):
        raise DataFormatError("it is a JSON list; give one object a line, as `jq -c '.[]'` makes of a list")
    if not isinstance(tree, dict):
        raise DataFormatError("it is no JSON object")
    return tree


def _popped(tree: dict[str, Any], name: str) -> Mapping[str, Any]:
    part = tree.pop(name, None)
    if part is None or isinstance(part, dict):
        return part or {}
    raise DataFormatError(f"its {name!r} is no JSON object")


def _id(value: Any, what: str) -> str | None:
    if value is None or (isinstance(value, str | int) and not isinstance(value, bool)):
        return None if value is None else str(value)
    raise RecordValidationError(f"{what} is no text or whole number, so it cannot be an id: {value!r}")
