"""Checkpoints, and cleaning of the log behind them. For the compactor alone: nobody else writes or deletes such files.

Each request leaves a log that everybody can read, so it may end at any of them:

    1. PUT If-None-Match {version}.checkpoint.parquet     a file more, which listings find
    2. PUT If-Match _last_checkpoint                      a hint; it only ever goes forward
    3. DeleteObjects                                      of what lies before a checkpoint that is older than the retention

PROTOCOL.md, "Checkpoints", "Last Checkpoint File", "Metadata Cleanup".
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count, takewhile

import orjson

from dataknobs_data.exceptions import (
    ConfigurationError,
    DatabaseOperationError,
    DataFormatError,
    IncompatibleStoreError,
    SnapshotExpiredError,
)
from dataknobs_data.s3.calls import Caller, Deadline
from dataknobs_data.s3.keys import Keys
from dataknobs_data.s3.listing import PAGE_KEYS
from dataknobs_data.s3.store import ABSENT, Condition, Fault, Head, Kind, Match, PutOptions
from dataknobs_data.s3.table.checkpoint import checkpoint_bytes
from dataknobs_data.s3.table.features import check_writable
from dataknobs_data.s3.table.folder import CHECKPOINT, ENTRY, Folder, plan_of
from dataknobs_data.s3.table.opening import NO_HINT, LogReader, hinted_version
from dataknobs_data.s3.table.snapshot import Snapshot, State

LOG_RETENTION = timedelta(days=30)
"""As Delta's own `delta.logRetentionDuration`; https://docs.delta.io/latest/table-properties.html."""

LOG_RETENTION_MIN = timedelta(days=1)
"""Far longer than anybody commits on what was seen before (`log.STALE`)."""


class Upkeep:
    """Requests that keep a log short. They may run beside any number of readers, writers and others of their kind."""

    def __init__(self, caller: Caller, keys: Keys, reader: LogReader) -> None:
        self._caller = caller
        self._keys = keys
        self._reader = reader

    # ------------------------------------------------------------------ checkpoints
    def checkpoint(self, snapshot: Snapshot, tombstone_retention: timedelta, deadline: Deadline | None = None) -> None:
        """Writes the checkpoint of a snapshot, without the tombstones that are older than `tombstone_retention`: 1 HEAD,
        1 PUT, and 1 GET and 1 PUT for the hint.

        Raises DataFormatError where the commit of the snapshot was overwritten, or the table is not for this package to
        write, SnapshotExpiredError where the commit has been cleaned away.
        """
        check_writable(snapshot.protocol, snapshot.metadata, self._keys.log)
        now = self._clock(snapshot, deadline)
        state = _without_tombstones(snapshot.state(), now - tombstone_retention)
        body = checkpoint_bytes(state)
        try:
            self._put(self._keys.log_file(snapshot.version, CHECKPOINT), body, ABSENT, deadline)
        except Fault as fault:
            if fault.kind is not Kind.CONDITION:  # somebody, or an attempt whose answer was lost, wrote the same
                raise
        self._point_to(snapshot.version, state, deadline)

    def _clock(self, snapshot: Snapshot, deadline: Deadline | None) -> datetime:
        """The store's time; on the way it is seen whether the log still is what the snapshot was made of."""
        key = self._keys.log_file(snapshot.version, ENTRY)
        head = self._head(key, deadline)
        if head.etag != snapshot.commits[-1].etag:
            raise DataFormatError(
                f"{key} has been overwritten since it was read; there will be no checkpoint of what is not in the log",
                key=key,
            )
        return _now(head, key)

    def _point_to(self, version: int, state: State, deadline: Deadline | None) -> None:
        """Brings the hint forward to a checkpoint, if it is not there or further."""
        deadline = deadline or self._caller.deadline()
        hint = {"version": version, "size": state.size, "numOfAddFiles": len(state.packs)}
        for attempt in count():
            found, condition, denied = self._hint(deadline)
            if found >= version:
                return
            try:
                self._put(self._keys.last_checkpoint, orjson.dumps(hint), condition, deadline)
                return
            except Fault as fault:
                if fault.kind is not Kind.CONDITION:
                    raise
                if denied:  # so there is a hint, which may not be seen
                    raise denied from fault
            self._caller.pause(attempt)

    def _hint(self, deadline: Deadline) -> tuple[int, Condition, Fault | None]:
        """The version that the hint names (-1: none), the condition on which to replace it, and why it cannot be seen."""
        key = self._keys.last_checkpoint
        try:
            blob = self._caller.send("GetObject", lambda store: store.get(key), deadline)
        except Fault as fault:
            if fault.kind not in NO_HINT:
                raise
            return -1, ABSENT, fault if fault.kind is Kind.DENIED else None
        assert blob is not None, "no condition was sent"
        version = hinted_version(blob.body)
        return -1 if version is None else version, Match(blob.etag), None

    # ------------------------------------------------------------------ cleaning
    def clean(self, retention: timedelta = LOG_RETENTION, deadline: Deadline | None = None) -> int:
        """Deletes the files of the log before the newest checkpoint that is older than `retention` by the store's clock.

        Every version younger than that can still be read. Returns how many files; 0 where there is no such checkpoint.
        LISTs, 1 HEAD; where there is something to delete 2 GETs and a DeleteObjects for each 1,000 files. Raises
        ConfigurationError for less than a day, DataFormatError where the log is damaged: then nothing is deleted.
        """
        if retention < LOG_RETENTION_MIN:
            raise ConfigurationError(
                f"the log's retention is {retention}, but must be {LOG_RETENTION_MIN} or more: processes that sleep that long "
                "would lose commits",
                key="retention",
            )
        folder = self._reader.folder(0, deadline)
        if folder.is_empty:
            return 0
        plan_of(folder, self._keys.log)
        newest = folder.entries[max(folder.entries)].key
        first_kept = _first_kept(folder, _now(self._head(newest, deadline), newest) - retention)
        doomed = sorted(line.key for version, line in folder.files() if first_kept is not None and version < first_kept)
        if not doomed or first_kept is None:
            return 0
        # Whoever reads from now on begins there: it must be whole, and found by readers that trust the hint alone.
        self._point_to(first_kept, self._reader.checkpoint(first_kept, deadline), deadline)
        for start in range(0, len(doomed), PAGE_KEYS):
            self._delete(doomed[start : start + PAGE_KEYS], deadline)
        return len(doomed)

    def _delete(self, keys: list[str], deadline: Deadline | None) -> None:
        failed = self._caller.send("DeleteObjects", lambda store: store.delete_many(keys), deadline)
        for key, fault in failed.items():
            raise DatabaseOperationError(
                f"{key} could not be deleted, with {len(failed) - 1} more; the log is whole, clean it again: {fault}",
                key=key,
            ) from fault

    # ------------------------------------------------------------------ requests
    def _head(self, key: str, deadline: Deadline | None) -> Head:
        try:
            return self._caller.send("HeadObject", lambda store: store.head(key), deadline)
        except Fault as fault:
            if fault.kind is not Kind.MISSING:
                raise
            raise SnapshotExpiredError(f"{key} has been cleaned away: refresh, and begin again", key=key) from fault

    def _put(self, key: str, body: bytes, condition: Condition, deadline: Deadline | None) -> None:
        self._caller.send("PutObject", lambda store: store.put(key, body, PutOptions(), condition), deadline)


def _without_tombstones(state: State, before: datetime) -> State:
    """Of the files removed before that time (by their remover's clock) nothing is kept."""
    milliseconds = before.timestamp() * 1000
    kept = {path: remove for path, remove in state.removed.items() if (remove.at or 0) >= milliseconds}
    return replace(state, removed=kept)


def _first_kept(folder: Folder, cutoff: datetime) -> int | None:
    """The newest checkpoint, with its commit, of a version that was the newest one at `cutoff` or before it."""
    old = list(takewhile(lambda version: folder.entries[version].modified <= cutoff, sorted(folder.entries)))
    return max(
        (version for version in folder.checkpoints if old and version <= old[-1] and version in folder.entries),
        default=None,
    )


def _now(head: Head, key: str) -> datetime:
    if head.now is None:
        raise IncompatibleStoreError(
            f"{key}: this store does not tell its time (the header Date), so nothing has an age"
        )
    return head.now
