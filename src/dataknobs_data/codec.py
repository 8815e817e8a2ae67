"""Record document ⇄ JSON bytes, without losing a Python type.

A document is plain JSON that any tool can read. What JSON lacks (date-times, dates, times, time spans, decimals, bytes,
UUIDs, sets, tuples, NaN and infinities, integers beyond 64 bits) is written in its human-readable form, and `types`
says by JSON Pointer (RFC 6901) what it was: `{"data": {"due": "2024-05-01"}, "types": {"/data/due": "date"}}`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dataknobs_data.documents import Document
from dataknobs_data.exceptions import DataFormatError
from dataknobs_data.fields import FieldType
from dataknobs_data.json_values import dump, escape_pointer, loads, restore, to_json

__all__ = [
    "FORMAT",
    "as_read",
    "decode",
    "dump",
    "encode",
    "escape_pointer",
    "from_tree",
    "loads",
    "restore",
    "to_json",
    "to_tree",
]

FORMAT = 1
"""Version of the document format that this package writes; it reads this and older ones."""


# ---------------------------------------------------------------------------------------------- documents
def encode(document: Document) -> bytes:
    """The JSON document of a record, UTF-8.

    Raises SerializationError, naming path and type, for a value that has no faithful form.
    """
    return dump(to_tree(document), document.id)


def to_tree(document: Document) -> dict[str, Any]:
    """What `encode` writes, as plain JSON values: for stores that keep the parts of a document apart."""
    types: dict[str, str] = {}
    body: dict[str, Any] = {
        "format": FORMAT,
        "id": document.id,
        "data": to_json(document.data, "/data", types),
        "metadata": to_json(document.metadata, "/metadata", types),
        "created_at": document.created_at,
        "updated_at": document.updated_at,
        "born": document.born,
        "replaces": sorted(document.replaces),
        "revision": document.revision,
    }
    if document.fields:
        body["fields"] = to_json(document.fields, "/fields", types)
    body["types"] = types
    return body


def decode(body: bytes | memoryview, *, id: str, birth: str, modified: str) -> Document:
    """The document behind JSON bytes.

    `id` is what the key says and wins over the document's own; `birth` and `modified` stand in where a document of
    another writer has no `born`, `revision` or timestamps. Raises DataFormatError for anything that is not a document.
    """
    return from_tree(_load_object(body, id), id=id, birth=birth, modified=modified)


def from_tree(tree: dict[str, Any], *, id: str, birth: str, modified: str) -> Document:
    """As `decode`, from the JSON values of a document; it changes and keeps them."""
    if tree.get("format", FORMAT) not in range(1, FORMAT + 1):
        raise DataFormatError(
            f"record {id!r}: document format {tree['format']!r} is not known to this version (it knows 1 to {FORMAT}); "
            "upgrade dataknobs-data",
            id=id,
        )
    _restore_types(tree, id)
    data = tree["data"] if "data" in tree else _foreign_fields(tree)
    metadata = tree.get("metadata") or {}
    if not isinstance(data, dict) or not isinstance(metadata, dict):
        raise DataFormatError(f"record {id!r}: not a record document: it has no 'data' object", id=id)
    if "" in data:
        raise DataFormatError(f"record {id!r}: damaged document: a field has no name", id=id)
    return Document(
        id=id,
        data=data,
        metadata=metadata,
        created_at=str(tree.get("created_at") or metadata.get("created_at") or modified),
        updated_at=str(tree.get("updated_at") or metadata.get("updated_at") or modified),
        born=str(tree.get("born") or birth),
        replaces=_births(tree, id),
        revision=str(tree.get("revision") or birth),
        fields=_field_extras(tree, id) if "data" in tree else {},
    )


def as_read(document: Document) -> Document:
    """What a reader of the stored form is given for `document`. Raises SerializationError as `encode` does."""
    return decode(encode(document), id=document.id, birth=document.born, modified=document.updated_at)


def _load_object(body: bytes | memoryview, id: str) -> dict[str, Any]:
    try:
        tree = loads(body)
    except ValueError as error:
        raise DataFormatError(f"record {id!r}: damaged document ({len(body)} bytes): {error}", id=id) from error
    if not isinstance(tree, dict):
        raise DataFormatError(f"record {id!r}: not a record document: its JSON is no object", id=id)
    return tree


def _restore_types(tree: dict[str, Any], id: str) -> None:
    types = tree.get("types") or {}
    if not isinstance(types, dict):
        raise DataFormatError(f"record {id!r}: damaged document: 'types' is no object", id=id)
    restore(tree, types, id)


def _births(tree: Mapping[str, Any], id: str) -> frozenset[str]:
    replaces = tree.get("replaces") or []
    if isinstance(replaces, list) and all(isinstance(birth, str) for birth in replaces):
        return frozenset(replaces)
    raise DataFormatError(f"record {id!r}: damaged document: 'replaces' is no list of strings", id=id)


def _field_extras(tree: Mapping[str, Any], id: str) -> dict[str, Any]:
    extras = tree.get("fields") or {}
    if isinstance(extras, dict) and all(map(_is_field_extra, extras.values())):
        return extras
    raise DataFormatError(f"record {id!r}: damaged document: 'fields' says what no field can be", id=id)


def _is_field_extra(extra: Any) -> bool:
    return (
        isinstance(extra, dict)
        and isinstance(kind := extra.get("type", FieldType.STRING), str)
        and kind in FieldType._value2member_map_
        and isinstance(extra.get("metadata", {}), dict)
    )


def _foreign_fields(tree: Mapping[str, Any]) -> Any:
    """`fields` of other writers: name → value, or name → {"value": …}."""
    fields = tree.get("fields")
    if not isinstance(fields, dict):
        return None
    return {k: v["value"] if isinstance(v, dict) and "value" in v else v for k, v in fields.items()}
