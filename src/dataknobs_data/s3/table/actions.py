"""What a commit of the table says, as values, and its JSON lines.

Format: https://github.com/delta-io/delta/blob/master/PROTOCOL.md, sections "Delta Log Entries" and "Actions". Fields and
actions that are not named here are ignored, as its "Protocol Evolution" demands: whatever a reader has to know comes with a
protocol version or a feature, and `features.py` refuses those.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, unquote

import orjson

from dataknobs_data.exceptions import DataFormatError

Json = Mapping[str, Any]

_UNRESERVED = "/-_.!~*'()=@&+$,;"
"""What needs no escape in a path, beside letters and digits: RFC 2396, sections 2.3 and 3.3. (A colon may look like a scheme's.)"""

_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:|/")


@dataclass(frozen=True, slots=True)
class Protocol:
    """What one has to know to read and to write the table. Features only where the versions are 3 and 7."""

    reader: int = 1
    writer: int = 2
    reader_features: tuple[str, ...] = ()
    writer_features: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MetaData:
    """The table itself. `schema`: Delta's schema JSON; `created`: milliseconds since 1970."""

    id: str
    schema: str
    configuration: Mapping[str, str] = field(default_factory=dict)
    created: int | None = None
    name: str | None = None
    description: str | None = None
    partition_columns: tuple[str, ...] = ()
    provider: str = "parquet"


@dataclass(frozen=True, slots=True)
class Add:
    """A file that belongs to the table from now on.

    path      below the table's folder, not percent-encoded
    size      bytes; `modified`: milliseconds since 1970, by its writer's clock
    stats     Delta's statistics JSON; None: nothing is known of its rows
    """

    path: str
    size: int
    modified: int
    stats: str | None = None
    tags: Mapping[str, str] | None = None
    data_change: bool = True

    def removed(self, at: int, *, data_change: bool = True) -> Remove:
        """What takes it out of the table again, at a time in milliseconds since 1970."""
        return Remove(self.path, at, self.size, self.tags, data_change)


@dataclass(frozen=True, slots=True)
class Remove:
    """A file that no longer belongs to the table since `at` (milliseconds since 1970, by its remover's clock)."""

    path: str
    at: int | None
    size: int | None = None
    tags: Mapping[str, str] | None = None
    data_change: bool = True


@dataclass(frozen=True, slots=True)
class Txn:
    """How far an application has come; the newest counts."""

    app: str
    version: int
    updated: int | None = None


Action = Protocol | MetaData | Add | Remove | Txn


# ---------------------------------------------------------------------------------------------- values to JSON
def encode(info: Json, actions: Iterable[Action]) -> bytes:
    """The JSON lines of a commit, its commit info first."""
    lines = [{"commitInfo": info}, *map(to_json, actions)]
    return b"".join(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE) for line in lines)


def to_json(action: Action) -> dict[str, dict[str, Any]]:
    """One action as Delta writes it, under its name."""
    name, write = _WRITERS[type(action)]
    return {name: write(action)}


def _protocol_json(action: Protocol) -> dict[str, Any]:
    return {
        "minReaderVersion": action.reader,
        "minWriterVersion": action.writer,
        **({"readerFeatures": list(action.reader_features)} if action.reader >= 3 else {}),
        **({"writerFeatures": list(action.writer_features)} if action.writer >= 7 else {}),
    }


def _metadata_json(action: MetaData) -> dict[str, Any]:
    return {
        "id": action.id,
        "name": action.name,
        "description": action.description,
        "format": {"provider": action.provider, "options": {}},
        "schemaString": action.schema,
        "partitionColumns": list(action.partition_columns),
        "configuration": dict(action.configuration),
        "createdTime": action.created,
    }


def _add_json(action: Add) -> dict[str, Any]:
    return {
        "path": encoded(action.path),
        "partitionValues": {},
        "size": action.size,
        "modificationTime": action.modified,
        "dataChange": action.data_change,
        **({"stats": action.stats} if action.stats is not None else {}),
        **({"tags": dict(action.tags)} if action.tags is not None else {}),
    }


def _remove_json(action: Remove) -> dict[str, Any]:
    extended = {"partitionValues": {}, "size": action.size, "tags": dict(action.tags or {})}
    return {
        "path": encoded(action.path),
        **({"deletionTimestamp": action.at} if action.at is not None else {}),
        "dataChange": action.data_change,
        "extendedFileMetadata": action.size is not None,
        **(extended if action.size is not None else {}),
    }


def _txn_json(action: Txn) -> dict[str, Any]:
    updated = {"lastUpdated": action.updated} if action.updated is not None else {}
    return {"appId": action.app, "version": action.version, **updated}


_WRITERS: dict[type, tuple[str, Callable[[Any], dict[str, Any]]]] = {
    Protocol: ("protocol", _protocol_json),
    MetaData: ("metaData", _metadata_json),
    Add: ("add", _add_json),
    Remove: ("remove", _remove_json),
    Txn: ("txn", _txn_json),
}


# ---------------------------------------------------------------------------------------------- JSON to values
def decode(body: bytes | memoryview, key: str) -> tuple[Json, list[Action]]:
    """Commit info (empty where there is none) and actions of a commit. Raises DataFormatError naming key and line."""
    info: Json = {}
    actions: list[Action] = []
    lines = bytes(body).split(b"\n")
    if not any(map(bytes.strip, lines)):
        raise DataFormatError(f"{key}: the commit is empty", key=key)
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            for name, content in orjson.loads(line).items():
                if name == "commitInfo" and content is not None:
                    info = dict(content)
                elif name in READERS and content is not None:
                    actions.append(READERS[name](content))
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            raise DataFormatError(f"{key}, line {number}: a damaged commit: {error}", key=key) from error
    return info, actions


def _read_protocol(content: Json) -> Protocol:
    return Protocol(
        _whole(content["minReaderVersion"]),
        _whole(content["minWriterVersion"]),
        _names(content.get("readerFeatures")),
        _names(content.get("writerFeatures")),
    )


def _read_metadata(content: Json) -> MetaData:
    return MetaData(
        id=_text(content["id"]),
        schema=_text(content["schemaString"]),
        configuration=_pairs(content.get("configuration")) or {},
        created=_maybe_whole(content.get("createdTime")),
        name=content.get("name"),
        description=content.get("description"),
        partition_columns=_names(content.get("partitionColumns")),
        provider=_text(content["format"]["provider"]),
    )


def _read_add(content: Json) -> Add:
    _check_vector(content)
    stats = content.get("stats")
    return Add(
        path=decoded(content["path"]),
        size=_whole(content["size"]),
        modified=_whole(content["modificationTime"]),
        stats=None if stats is None else _text(stats),
        tags=_pairs(content.get("tags")),
        data_change=bool(content["dataChange"]),
    )


def _read_remove(content: Json) -> Remove:
    _check_vector(content)
    return Remove(
        path=decoded(content["path"]),
        at=_maybe_whole(content.get("deletionTimestamp")),
        size=_maybe_whole(content.get("size")),
        tags=_pairs(content.get("tags")),
        data_change=bool(content["dataChange"]),
    )


def _read_txn(content: Json) -> Txn:
    return Txn(_text(content["appId"]), _whole(content["version"]), _maybe_whole(content.get("lastUpdated")))


READERS: Mapping[str, Callable[[Json], Action]] = {
    "protocol": _read_protocol,
    "metaData": _read_metadata,
    "add": _read_add,
    "remove": _read_remove,
    "txn": _read_txn,
}
"""By the name under which the action stands."""


# ---------------------------------------------------------------------------------------------- parts
def encoded(path: str) -> str:
    """A path as it stands in the log: a URI reference."""
    return quote(path, safe=_UNRESERVED)


def decoded(path: Any) -> str:
    """A path from the log as it stands in a key. Raises ValueError when it leads out of the table."""
    plain = unquote(_text(path), errors="strict")
    if _ABSOLUTE.match(path) or ".." in plain.split("/"):
        raise ValueError(f"the file {path!r} lies outside of the table, which this package does not read")
    return plain


def _check_vector(content: Json) -> None:
    if content.get("deletionVector") is not None:
        raise ValueError(f"the file {content.get('path')!r} has a deletion vector, which this package does not read")


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"text was to come, not {value!r:.80}")
    return value


def _whole(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"a whole number was to come, not {value!r:.80}")
    return value


def _maybe_whole(value: Any) -> int | None:
    return None if value is None else _whole(value)


def _pairs(value: Any) -> dict[str, str] | None:
    """A map from JSON, where it is an object, or from Parquet, where it is a list of pairs."""
    return None if value is None else dict(value)


def _names(value: Sequence[Any] | None) -> tuple[str, ...]:
    return tuple(map(_text, value or ()))
