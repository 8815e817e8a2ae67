"""What the table is after a certain commit. PROTOCOL.md, "Action Reconciliation": the newest word on each thing counts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from dataknobs_data.exceptions import DataFormatError
from dataknobs_data.s3.table.actions import Action, Add, MetaData, Protocol, Remove, Txn
from dataknobs_data.s3.table.features import check_readable

JOB = "dataknobsJob"
"""The field of a commit info that says whose commit it is. (`job` would be Spark's, and a struct.)"""

COMMITS_KEPT = 1000
"""Commits that a snapshot remembers, the newest."""


@dataclass(frozen=True, slots=True)
class Commit:
    """One entry of the log. `modified`: by the store's clock; None for one's own until the log was looked at again.
    `info` is None where the entry was not read, because a checkpoint has its state.
    """

    version: int
    etag: str
    modified: datetime | None
    info: Mapping[str, Any] | None

    @property
    def job(self) -> str | None:
        """The id of the job that made it, if it was one of this package's."""
        return (self.info or {}).get(JOB)


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the log with all that it says."""

    commit: Commit
    actions: Sequence[Action]


@dataclass(frozen=True, slots=True)
class State:
    """The table without its history, as a checkpoint holds it. Files by path."""

    protocol: Protocol | None = None
    metadata: MetaData | None = None
    packs: Mapping[str, Add] = field(default_factory=dict)
    removed: Mapping[str, Remove] = field(default_factory=dict)
    txns: Mapping[str, Txn] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """How many actions it takes to say all of it."""
        return 2 + len(self.packs) + len(self.removed) + len(self.txns)

    def after(self, actions: Iterable[Action]) -> State:
        """The state that `actions`, in this order, make of it."""
        protocol, metadata = self.protocol, self.metadata
        packs, removed, txns = dict(self.packs), dict(self.removed), dict(self.txns)
        for action in actions:
            if isinstance(action, Add):
                packs[action.path] = action
                removed.pop(action.path, None)
            elif isinstance(action, Remove):
                packs.pop(action.path, None)
                removed[action.path] = action
            elif isinstance(action, Protocol):
                protocol = action
            elif isinstance(action, MetaData):
                metadata = action
            else:
                txns[action.app] = action
        return State(protocol, metadata, packs, removed, txns)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The table after its commit `version`. Nothing of it ever changes.

    packs      the files of the table by path; `removed`: those no longer of it, until a checkpoint forgets them
    commits    the newest at most COMMITS_KEPT commits, oldest first, without gaps; the last is this version's
    seen       when the log was last looked at and had this version, on the runtime's wall clock
    """

    protocol: Protocol
    metadata: MetaData
    packs: Mapping[str, Add]
    removed: Mapping[str, Remove]
    txns: Mapping[str, Txn]
    commits: tuple[Commit, ...]
    seen: datetime

    @property
    def version(self) -> int:
        """How many commits came before this one."""
        return self.commits[-1].version

    @property
    def schema(self) -> str:
        """Delta's schema JSON."""
        return self.metadata.schema

    def state(self) -> State:
        """As a checkpoint holds it."""
        return State(self.protocol, self.metadata, self.packs, self.removed, self.txns)

    def after(self, entries: Sequence[Entry], seen: datetime, place: str) -> Snapshot:
        """The snapshot that the next entries of the log make of it."""
        state = self.state().after(action for entry in entries for action in entry.actions)
        commits = self.commits + tuple(entry.commit for entry in entries)
        return snapshot_of(state, commits, seen, place)


def snapshot_of(state: State, commits: Sequence[Commit], seen: datetime, place: str) -> Snapshot:
    """A snapshot of a state that is whole. Raises DataFormatError when it is not, or cannot be read here."""
    if state.protocol is None or state.metadata is None:
        lacking = "protocol" if state.protocol is None else "metaData"
        raise DataFormatError(
            f"{place}: the log never says the table's {lacking}: its beginning is damaged", place=place
        )
    check_readable(state.protocol, state.metadata, place)
    kept = tuple(commits[-COMMITS_KEPT:])
    return Snapshot(state.protocol, state.metadata, state.packs, state.removed, state.txns, kept, seen)
