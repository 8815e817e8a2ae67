"""Reading the log: its folder, its commits, and the whole of it when a process opens the table."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import orjson

from dataknobs_data.exceptions import SnapshotExpiredError
from dataknobs_data.runtime import Runtime
from dataknobs_data.s3.calls import Caller, Deadline
from dataknobs_data.s3.fanout import FanOut
from dataknobs_data.s3.keys import Keys
from dataknobs_data.s3.listing import Lister
from dataknobs_data.s3.store import Fault, Kind, Listed, Page
from dataknobs_data.s3.table.actions import decode
from dataknobs_data.s3.table.checkpoint import checkpoint_state
from dataknobs_data.s3.table.folder import CHECKPOINT, ENTRY, Folder, folder_of, plan_of
from dataknobs_data.s3.table.snapshot import Commit, Entry, Snapshot, State, snapshot_of
from dataknobs_data.snapshots import again

NO_HINT = (Kind.MISSING, Kind.DENIED)
"""Where not all of the bucket may be listed, S3 answers 403 for a missing object (API_GetObject, "Permissions")."""


class LogReader:
    """Requests that read the log. `fan`: threads of its own, which nobody uses who calls this."""

    def __init__(self, caller: Caller, keys: Keys, runtime: Runtime, fan: FanOut) -> None:
        self._caller = caller
        self._keys = keys
        self._runtime = runtime
        self._fan = fan
        self._lister = Lister(caller, keys)

    def folder(self, first: int, deadline: Deadline | None) -> Folder:
        """What lies in the log's folder from version `first` on: one LIST for each 1,000 files."""
        return self._sorted(self._lister.pages(self._keys.log, self._keys.log_from(first), deadline))

    def tail(self, first: int, deadline: Deadline | None) -> Folder:
        """As `folder`, where it is known that some of it is there."""
        return self._sorted(self._lister.folder(self._keys.log, self._keys.log_from(first), deadline))

    def _sorted(self, pages: Iterable[Page]) -> Folder:
        return folder_of((line for page in pages for line in page.items), self._keys)

    def entries(self, lines: Iterable[tuple[int, Listed]], deadline: Deadline | None) -> list[Entry]:
        """Commits by version and line of a listing, read side by side. Raises SnapshotExpiredError when one is gone."""
        return list(self._fan.map(lambda line: self._entry(*line, deadline), lines))

    def open(self, deadline: Deadline | None) -> Snapshot | None:
        """The newest snapshot, from nothing: 1 GET of the hint, then LIST, checkpoint and commits. None: there is no table.

        Raises DataFormatError where a part of the log is missing or damaged, SnapshotExpiredError when the log is cleaned
        away again and again while it is read.
        """
        return again(lambda: self._open(deadline))

    def _open(self, deadline: Deadline | None) -> Snapshot | None:
        seen = self._runtime.now()
        hinted = self._hint(deadline)
        folder, hinted_state = self._look(hinted, deadline)
        if folder.is_empty and hinted is None:
            return None
        plan = plan_of(folder, self._keys.log)
        state = hinted_state if plan.checkpoint == hinted else None
        if state is None and plan.checkpoint is not None:
            state = self.checkpoint(plan.checkpoint, deadline)
        entries = self.entries([(version, folder.entries[version]) for version in plan.versions], deadline)
        state = (state or State()).after(action for entry in entries for action in entry.actions)
        first = folder.entries.get(-1 if plan.checkpoint is None else plan.checkpoint)
        known = [Commit(plan.versions.start - 1, first.etag, first.modified, None)] if first else []
        return snapshot_of(state, [*known, *(entry.commit for entry in entries)], seen, self._keys.log)

    def _look(self, hinted: int | None, deadline: Deadline | None) -> tuple[Folder, State | None]:
        """The folder from the hinted checkpoint on, and that checkpoint, read side by side.

        It is only a hint: without that checkpoint, the folder from the beginning.
        """
        if hinted is not None:
            calls: list[Callable[[], Any]] = [
                lambda: self.folder(hinted, deadline),
                lambda: self._maybe_checkpoint(hinted, deadline),
            ]
            folder, state = self._fan.map(lambda call: call(), calls)
            if folder.checkpoints:
                return folder, state
        return self.folder(0, deadline), None

    def _hint(self, deadline: Deadline | None) -> int | None:
        try:
            return hinted_version(self._get(self._keys.last_checkpoint, deadline))
        except Fault as fault:
            if fault.kind in NO_HINT:
                return None
            raise

    def _maybe_checkpoint(self, version: int, deadline: Deadline | None) -> State | None:
        try:
            return self.checkpoint(version, deadline)
        except SnapshotExpiredError:
            return None

    def checkpoint(self, version: int, deadline: Deadline | None) -> State:
        """The state that the checkpoint of this version holds."""
        key = self._keys.log_file(version, CHECKPOINT)
        return checkpoint_state(self._get_or_expired(key, deadline), key)

    def _entry(self, version: int, line: Listed, deadline: Deadline | None) -> Entry:
        key = self._keys.log_file(version, ENTRY)
        info, actions = decode(self._get_or_expired(key, deadline), key)
        return Entry(Commit(version, line.etag, line.modified, info), actions)

    def _get_or_expired(self, key: str, deadline: Deadline | None) -> bytes | memoryview:
        try:
            return self._get(key, deadline)
        except Fault as fault:
            if fault.kind is not Kind.MISSING:
                raise
            raise SnapshotExpiredError(
                f"{key} has been cleaned away while the log was read: begin again", key=key
            ) from fault

    def _get(self, key: str, deadline: Deadline | None) -> bytes | memoryview:
        blob = self._caller.send("GetObject", lambda store: store.get(key), deadline)
        assert blob is not None, "no condition was sent"
        return blob.body


def hinted_version(body: bytes | memoryview) -> int | None:
    """The version that `_last_checkpoint` names, None where it is damaged: a listing then finds what it was to say.

    PROTOCOL.md, "Last Checkpoint File".
    """
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    version = content.get("version") if isinstance(content, dict) else None
    return version if isinstance(version, int) and version >= 0 else None
