"""Which tables this package reads and writes: those that need nothing it does not do.

Delta's versions and features: PROTOCOL.md, "Table Features", "Reader Version Requirements", "Writer Version Requirements".
"""

from __future__ import annotations

from collections.abc import Sequence

from dataknobs_data.exceptions import DataFormatError
from dataknobs_data.s3.table.actions import Action, Add, MetaData, Protocol, Remove

_READER_MAX, _READER_WITH_FEATURES = 1, 3
_WRITER_MAX, _WRITER_WITH_FEATURES = 2, 7

WRITES = frozenset({"appendOnly", "invariants"})
"""Features that ask something of writers, and are honored here; both are part of writer version 2."""

_SINCE_WRITER = {3: "checkConstraints", 4: "changeDataFeed, generatedColumns", 5: "columnMapping", 6: "identityColumns"}


def check_readable(protocol: Protocol, metadata: MetaData, place: str) -> None:
    """Raises DataFormatError naming what of this table nobody here could read rightly. `place`: the log, for messages."""
    if protocol.reader == _READER_WITH_FEATURES:
        _refuse(place, "read", sorted(protocol.reader_features))
    elif protocol.reader == 2:
        if metadata.configuration.get("delta.columnMapping.mode", "none") != "none":
            _refuse(place, "read", ["columnMapping"])
    elif protocol.reader > _READER_MAX:
        _refuse(place, "read", [f"reader version {protocol.reader}"])
    if metadata.partition_columns:
        _refuse(place, "read", [f"partitioning by {', '.join(metadata.partition_columns)}"])
    if metadata.provider != "parquet":
        _refuse(place, "read", [f"files of format {metadata.provider}"])


def check_writable(protocol: Protocol, metadata: MetaData, place: str) -> None:
    """Raises DataFormatError naming what this table asks of writers that is not done here."""
    if protocol.writer == _WRITER_WITH_FEATURES:
        _refuse(place, "write", sorted({*protocol.writer_features} - WRITES))
    elif protocol.writer > _WRITER_MAX:
        implied = ", ".join(names for since, names in _SINCE_WRITER.items() if since <= protocol.writer)
        _refuse(place, "write", [f"writer version {protocol.writer} ({implied})"])
    if '"delta.invariants"' in metadata.schema:
        _refuse(place, "write", ["column invariants"])


def check_commit(metadata: MetaData, actions: Sequence[Action], place: str) -> None:
    """Raises DataFormatError for a commit that this table forbids, ValueError for one that no table may have."""
    paths = [action.path for action in actions if isinstance(action, Add | Remove)]
    if len(set(paths)) < len(paths):
        raise ValueError(f"a commit names a file twice: {paths}")
    append_only = metadata.configuration.get("delta.appendOnly") == "true"
    if append_only and any(isinstance(action, Remove) and action.data_change for action in actions):
        raise DataFormatError(
            f"{place}: somebody made this table append-only (delta.appendOnly), so nothing of it can be changed or deleted",
            place=place,
        )


def _refuse(place: str, verb: str, unknown: Sequence[str]) -> None:
    if unknown:
        raise DataFormatError(
            f"{place}: this table has {', '.join(unknown)}, with which this package cannot {verb} it; "
            "another program has changed the table: use that one, or upgrade dataknobs-data",
            features=list(unknown),
        )
