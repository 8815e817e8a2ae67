"""The state of the table as one Parquet file, so that nobody has to read the log from its beginning.

Classic checkpoints after the V1 specification, which every reader of Delta tables knows: PROTOCOL.md, "Checkpoints", "V1
Spec", "Checkpoint Schema". A row is one action; it stands in the column of its name.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from dataknobs_data.exceptions import DataFormatError
from dataknobs_data.s3.table.actions import READERS, Action, to_json
from dataknobs_data.s3.table.snapshot import State

_MAP = pa.map_(pa.string(), pa.string())
_NAMES = pa.list_(pa.string())

_FILE = {"path": pa.string(), "partitionValues": _MAP, "size": pa.int64(), "dataChange": pa.bool_(), "tags": _MAP}

_COLUMNS: dict[str, dict[str, pa.DataType]] = {
    "txn": {"appId": pa.string(), "version": pa.int64(), "lastUpdated": pa.int64()},
    "add": {**_FILE, "modificationTime": pa.int64(), "stats": pa.string()},
    "remove": {**_FILE, "deletionTimestamp": pa.int64(), "extendedFileMetadata": pa.bool_()},
    "metaData": {
        "id": pa.string(),
        "name": pa.string(),
        "description": pa.string(),
        "format": pa.struct({"provider": pa.string(), "options": _MAP}),
        "schemaString": pa.string(),
        "partitionColumns": _NAMES,
        "configuration": _MAP,
        "createdTime": pa.int64(),
    },
    "protocol": {
        "minReaderVersion": pa.int32(),
        "minWriterVersion": pa.int32(),
        "readerFeatures": _NAMES,
        "writerFeatures": _NAMES,
    },
}

_VECTOR = "deletionVector"
_NOT_READ = frozenset({"partitionValues", "extendedFileMetadata"})


def checkpoint_bytes(state: State) -> bytes:
    """The Parquet file of a whole state."""
    assert state.protocol is not None
    assert state.metadata is not None
    actions: Iterable[Action] = chain(
        [state.protocol, state.metadata], state.txns.values(), state.removed.values(), state.packs.values()
    )
    rows = [_with_pairs(to_json(action)) for action in actions]
    columns = {name: pa.array([row.get(name) for row in rows], pa.struct(fields)) for name, fields in _COLUMNS.items()}
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue()


def checkpoint_state(body: bytes | memoryview, key: str) -> State:
    """The state that a checkpoint holds. Raises DataFormatError naming the key when it is damaged or of another kind."""
    try:
        table = pq.read_table(pa.BufferReader(body))
        if "checkpointMetadata" in table.column_names:
            raise ValueError("a checkpoint after the V2 specification, which this package does not read")
        return State().after(chain.from_iterable(_actions(table, name) for name in _COLUMNS))
    except (pa.ArrowException, ValueError, TypeError, LookupError) as error:
        raise DataFormatError(
            f"{key}: a checkpoint that cannot be read: {error}; where the log still has the commits from its beginning, "
            "delete this file",
            key=key,
        ) from error


def _actions(table: pa.Table, name: str) -> Iterator[Action]:
    """The actions in one column."""
    if name not in table.column_names:
        return
    column = table.column(name).drop_null().combine_chunks()
    known = [column.type.field(i).name for i in range(column.type.num_fields)]
    wanted = [field for field in (*_COLUMNS[name], _VECTOR) if field in known and field not in _NOT_READ]
    values = [column.field(field).to_pylist() for field in wanted]
    for row in zip(*values, strict=True):
        yield READERS[name](dict(zip(wanted, row, strict=True)))


def _with_pairs(row: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Maps as Arrow takes them."""
    return {name: {field: _pairs(value) for field, value in content.items()} for name, content in row.items()}


def _pairs(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {"provider": value["provider"], "options": []} if "provider" in value else list(value.items())
