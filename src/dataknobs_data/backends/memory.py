"""Records in this process's memory: the simplest engine, and the yardstick for the others."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from dataknobs_data.aio import AsyncDatabase
from dataknobs_data.codec import as_read
from dataknobs_data.database import SyncDatabase
from dataknobs_data.documents import Change, Deletion, Document, resolve
from dataknobs_data.engine import Engine, ErrorSink, Outcome, attempt_delete, run_query
from dataknobs_data.exceptions import DataknobsDataError
from dataknobs_data.query import Query
from dataknobs_data.runtime import Runtime
from dataknobs_data.settings import read_settings


@dataclass(frozen=True)
class NoSettings:
    """A memory database has nothing to set."""


class MemoryEngine(Engine):
    """A dict of documents under one lock, each as a reader of its stored form would get it.

    Subclasses override `reading` and `writing` to hold more than the lock, and `saved` to make changes durable before
    they are told.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._documents: dict[str, Document] = {}
        self._lock = threading.RLock()

    def open(self) -> None: ...

    def close(self) -> None: ...

    def forked(self) -> None:
        self._lock = threading.RLock()

    def __repr__(self) -> str:
        return f"with {len(self._documents)} records"

    def reading(self) -> AbstractContextManager[object]:
        """Held while documents are read."""
        return self._lock

    def writing(self) -> AbstractContextManager[object]:
        """Held while documents are changed and saved."""
        return self._lock

    def saved(self, before: dict[str, Document | None]) -> None:
        """Called under the lock with what the changed ids held before, for a subclass that keeps them elsewhere.

        Where it raises, nothing was saved, and the subclass sees to it that `_documents` says so.
        """

    def get_many(self, ids: Sequence[str]) -> list[Document | None]:
        with self.reading():
            return [self._documents.get(id) for id in ids]

    def apply_many(self, changes: Sequence[Change]) -> list[Outcome]:
        with self.writing():
            before = {change.id: self._documents.get(change.id) for change in changes}
            outcomes = [self._apply(change) for change in changes]
            failure = self._failure_to_save(before)
        return [failure if failure and isinstance(o, Document) else o for o in outcomes]

    def _apply(self, change: Change) -> Outcome:
        try:
            document = resolve(change, self._documents.get(change.id), self._runtime)
            if document is not None:
                document = self._documents[change.id] = as_read(document)
        except DataknobsDataError as error:
            return error
        return document

    def delete_many(self, deletions: Sequence[Deletion]) -> list[bool | DataknobsDataError]:
        with self.writing():
            before = {deletion.id: self._documents.get(deletion.id) for deletion in deletions}
            outcomes = [attempt_delete(deletion, before[deletion.id]) for deletion in deletions]
            for deletion, outcome in zip(deletions, outcomes, strict=True):
                if outcome is True:
                    del self._documents[deletion.id]
            failure = self._failure_to_save(before)
        return [failure if failure and outcome is True else outcome for outcome in outcomes]

    def _failure_to_save(self, before: dict[str, Document | None]) -> DataknobsDataError | None:
        try:
            self.saved(before)
        except DataknobsDataError as error:
            return error
        return None

    def scan(self, query: Query, on_damage: ErrorSink | None = None) -> Iterator[Document]:
        with self.reading():
            snapshot = sorted(self._documents.items())
        return run_query((document for _, document in snapshot), query)

    def list_ids(self, prefix: str) -> Iterator[str]:
        with self.reading():
            ids = sorted(self._documents)
        return (id for id in ids if id.startswith(prefix))

    def clear(self) -> int:
        with self.writing():
            before: dict[str, Document | None] = dict(self._documents)
            self._documents.clear()
            failure = self._failure_to_save(before)
        if failure:
            raise failure
        return len(before)


class MemoryDatabase(SyncDatabase):
    """Records in this process's memory. Takes no settings; two databases share nothing."""

    backend = "memory"

    @classmethod
    def make_engine(cls, config: dict[str, Any], runtime: Runtime) -> Engine:
        read_settings(NoSettings, cls.backend, config)
        return MemoryEngine(runtime)


class AsyncMemoryDatabase(AsyncDatabase):
    """`MemoryDatabase` for asyncio."""

    sync_class = MemoryDatabase


SyncMemoryDatabase = MemoryDatabase
