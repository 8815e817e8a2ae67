"""What a backend has to do. All else (records, ids, batches, streams, async) is built on it once, in database.py.

An engine is blocking and safe to call from many threads. It keeps `Document`s and decides what a write becomes by
calling `documents.resolve` while the write is atomic. It never sees the caller's own containers again after a call
returns.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from dataknobs_data.documents import Change, Deletion, Document, check_version
from dataknobs_data.exceptions import DatabaseOperationError, DataknobsDataError
from dataknobs_data.matching import compile_expression, order
from dataknobs_data.query import Query

Outcome = Document | DataknobsDataError | None
"""What became of one change: the document now stored, None (update of a missing record), or why it failed."""

ErrorSink = Callable[[DataknobsDataError], None]
"""Takes the error of one damaged record during a scan, so that the scan can go on."""


class Engine(ABC):
    """The port between a database and its store. Batches come in windows that fit in memory."""

    concurrency = 8
    """Operations that may run side by side before one waits for another."""

    @abstractmethod
    def open(self) -> None:
        """Connects. Called once, before anything else. Raises DatabaseConnectionError or ConfigurationError."""

    @abstractmethod
    def close(self) -> None:
        """Lets go of every connection, thread and file."""

    @abstractmethod
    def get_many(self, ids: Sequence[str]) -> list[Document | None]:
        """The documents of `ids`, in their order; None where there is none. Any failure raises."""

    @abstractmethod
    def apply_many(self, changes: Sequence[Change]) -> list[Outcome]:
        """Applies `changes` (distinct ids) and says for each what became of it, in their order.

        A failure that concerns one change stands in its place; a failure of the store as a whole raises.
        """

    @abstractmethod
    def delete_many(self, deletions: Sequence[Deletion]) -> list[bool | DataknobsDataError]:
        """Deletes (distinct ids); False where there was no record."""

    @abstractmethod
    def scan(self, query: Query, on_damage: ErrorSink | None = None) -> Iterator[Document]:
        """The documents that `query` asks for: filtered, sorted (by id without a sort), cut; not projected.

        Damaged documents go to `on_damage`, or raise DataFormatError where it is None.
        """

    @abstractmethod
    def list_ids(self, prefix: str) -> Iterator[str]:
        """Ids that start with `prefix`, by code point."""

    @abstractmethod
    def clear(self) -> int:
        """Deletes all records of this database and nothing else; how many there were."""

    def count(self, query: Query) -> int:
        """How many records `query` finds, its limit and offset included."""
        return sum(1 for _ in self.scan(query))

    def exists(self, id: str) -> bool:
        """Whether there is a record of that id."""
        return self.get_many([id])[0] is not None

    def get_version(self, id: str) -> str | None:
        """The record's revision, None where there is none."""
        document = self.get_many([id])[0]
        return document.revision if document else None

    def get_at_version(self, id: str, version_id: str) -> Document | None:
        """An older object version. Only stores that keep versions can answer."""
        raise DatabaseOperationError(
            f"record {id!r}: this backend keeps no older versions, so version_id={version_id!r} cannot be read", id=id
        )

    def report(self) -> dict[str, Any]:
        """What this engine has done so far, for people (requests sent, for instance)."""
        return {}


def run_query(documents: Iterator[Document], query: Query) -> Iterator[Document]:
    """Filters, sorts and cuts `documents` (given in id order) with the reference evaluator."""
    matching = compile_expression(query.expression)
    found: Iterator[Document] = (document for document in documents if matching(document))
    if query.sort_specs:
        found = iter(order(list(found), query.sort_specs))
    return cut(found, query.offset_value, query.limit_value)


def cut(documents: Iterator[Document], offset: int | None, limit: int | None) -> Iterator[Document]:
    """Skips `offset`, then yields at most `limit`, and asks for nothing beyond."""
    if limit == 0:
        return
    for position, document in enumerate(documents, start=1 - (offset or 0)):
        if position > 0:
            yield document
        if limit is not None and position >= limit:
            return


def attempt_delete(deletion: Deletion, current: Document | None) -> bool | DataknobsDataError:
    """Whether `deletion` may remove `current`: True, False where there is nothing, or the version's error."""
    return attempt_delete_of(deletion, current.revision if current else None)


def attempt_delete_of(deletion: Deletion, revision: str | None) -> bool | DataknobsDataError:
    """As `attempt_delete`, where only the revision of what is stored is known (None: nothing is)."""
    try:
        check_version(deletion.id, deletion.expected_version, revision)
    except DataknobsDataError as error:
        return error
    return revision is not None
