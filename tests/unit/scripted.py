"""An engine that fails as a script says, for what no real store does on demand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from dataknobs_data.backends.memory import MemoryEngine
from dataknobs_data.database import SyncDatabase
from dataknobs_data.documents import Change, Deletion
from dataknobs_data.engine import Engine, Outcome
from dataknobs_data.exceptions import DataknobsDataError
from dataknobs_data.runtime import Runtime

Script = Callable[[Sequence[Any]], DataknobsDataError | None]
"""Sees each window; an error that it raises is the store's, one that it answers stands in place of every outcome."""


class ScriptedEngine(MemoryEngine):
    """A memory engine that asks its script first. `windows` holds the ids of every window that it was given."""

    def __init__(self, script: Script, runtime: Runtime) -> None:
        super().__init__(runtime)
        self._script = script
        self.windows: list[list[str]] = []

    def apply_many(self, changes: Sequence[Change]) -> list[Outcome]:
        self.windows.append([change.id for change in changes])
        error = self._script(changes)
        return [error] * len(changes) if error else super().apply_many(changes)

    def delete_many(self, deletions: Sequence[Deletion]) -> list[bool | DataknobsDataError]:
        self.windows.append([deletion.id for deletion in deletions])
        error = self._script(deletions)
        return [error] * len(deletions) if error else super().delete_many(deletions)


class ScriptedDatabase(SyncDatabase):
    """A database on a ScriptedEngine."""

    backend = "scripted"

    def __init__(self, script: Script = lambda window: None, runtime: Runtime | None = None) -> None:
        self._script = script
        super().__init__({}, runtime=runtime)

    def make_engine(self, config: dict[str, Any], runtime: Runtime) -> Engine:  # type: ignore[override]
        self.engine = ScriptedEngine(self._script, runtime)
        return self.engine


def fail_from(number: int, error: DataknobsDataError, *, raised: bool = True) -> Script:
    """A script that fails every window from the one of that number on (the first is 1)."""
    count = 0

    def script(window: Sequence[Any]) -> DataknobsDataError | None:
        nonlocal count
        count += 1
        if count < number:
            return None
        if raised:
            raise error
        return error

    return script
