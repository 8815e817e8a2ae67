"""What a backend has to do. All else (records, ids, batches, streams, async) is built on it once, in database.py.

An engine is blocking and safe to call from many threads. It keeps `Document`s and decides what a write becomes by
calling `documents.resolve` while the write is atomic. It never sees the caller's own containers again after a call
returns.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from dataknobs_data.documents import Change, Deletion, Document, Verb, check_version
from dataknobs_data.exceptions import (
    DatabaseConnectionError,
    DatabaseOperationError,
    DataknobsDataError,
    OutcomeUnknownError,
    ThrottledError,
)
from dataknobs_data.matching import compile_expression, order
from dataknobs_data.query import Query
from dataknobs_data.records import Record

Outcome = Document | DataknobsDataError | None
"""What became of one change: the document now stored, None (update of a missing record), or why it failed."""

ErrorSink = Callable[[DataknobsDataError], None]
"""Takes the error of one damaged record during a scan, so that the scan can go on."""

_UNANSWERED = (DatabaseConnectionError, ThrottledError, OutcomeUnknownError)


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of one change of a bulk.

    index    which one, counted from 0 over all that were added
    outcome  True: it is written; False: it found nothing to change; or why it failed
    record   only with an error: what could not be written
    id       only with an error: the id it has, or would have got
    """

    index: int
    outcome: bool | DataknobsDataError
    record: Record | None = None
    id: str | None = None


class Bulk(ABC):
    """Changes of any number on their way into a store. Nothing of them need stand there before `finish`.

    They have the one verb the bulk was asked for and expect no version. Ids may repeat, in one `add` or over several; the
    change that was added later is carried out later. Each change is settled once at most, in any order. The caller takes
    every answer to its end before it calls again, one call at a time, so an answer may be a generator that works
    as it is read.

    A failure of the store as a whole raises out of `add` or `finish`: the bulk is over, and what it has not settled by
    then failed with that error. The caller then calls `abandon`, as after any other exception in between.
    """

    @abstractmethod
    def add(self, changes: Sequence[Change]) -> Iterable[Settled]:
        """Takes more changes; says what has become of these and earlier ones, as far as it is known by now."""

    @abstractmethod
    def finish(self) -> Iterable[Settled]:
        """Carries out the rest, and says what became of it. What is never settled is written (True)."""

    @abstractmethod
    def abandon(self) -> None:
        """Gives up what is not carried out yet: nothing of it becomes visible.

        Raises nothing: what cannot be tidied up now is left to whoever tidies the store. Where the store is perhaps about
        to make the changes visible (a lost answer to a commit), they are left alone.
        """


class EachWindow(Bulk):
    """Carries out every `add` at once, by `apply`: an engine's `apply_many` or `delete_many`.

    It raises when the store failed as a whole, and when it answered nothing of a window: going on would only turn the
    rest of the input into more of the same. Then everything that was added is settled.
    """

    def __init__(self, apply: Callable[[Sequence[Any]], Sequence[Outcome | bool]]) -> None:
        self._apply = apply
        self._added = 0

    def add(self, changes: Sequence[Change | Deletion]) -> Iterator[Settled]:
        failure: DataknobsDataError | None = None
        silence: DataknobsDataError | None = None
        answered = False
        for group in self._rounds(changes):
            outcomes: Sequence[Outcome | bool] = [failure] * len(group)
            if failure is None:
                try:
                    outcomes = self._apply([change for _, change in group])
                except DataknobsDataError as error:
                    failure, outcomes = error, [error] * len(group)
            for (index, change), outcome in zip(group, outcomes, strict=True):
                yield _settled(index, change, outcome)
                if isinstance(outcome, _UNANSWERED):
                    silence = outcome
                else:
                    answered = True
        ended = failure or (None if answered else silence)
        if ended:
            raise ended

    def finish(self) -> Sequence[Settled]:
        return ()

    def abandon(self) -> None: ...

    def _rounds(self, changes: Sequence[Change | Deletion]) -> list[list[tuple[int, Change | Deletion]]]:
        """Splits into rounds in which every id stands once; a second change of an id waits for the first."""
        rounds: list[list[tuple[int, Change | Deletion]]] = []
        seen: dict[str, int] = {}
        for index, change in enumerate(changes, self._added):
            turn = seen.get(change.id, 0)
            seen[change.id] = turn + 1
            if turn == len(rounds):
                rounds.append([])
            rounds[turn].append((index, change))
        self._added += len(changes)
        return rounds


def _settled(index: int, change: Change | Deletion, outcome: Outcome | bool) -> Settled:
    if isinstance(outcome, DataknobsDataError):
        return Settled(index, outcome, change.record if isinstance(change, Change) else None, change.id)
    return Settled(index, outcome is not None and outcome is not False)


class Engine(ABC):
    """The port between a database and its store. What comes as a sequence fits in memory; `bulk` takes any number."""

    concurrency = 8
    """Operations that may run side by side before one waits for another."""

    @abstractmethod
    def open(self) -> None:
        """Connects. Called before anything else, and again after `close` or a fork. Raises DatabaseConnectionError or ConfigurationError."""

    @abstractmethod
    def close(self) -> None:
        """Lets go of every connection, thread and file."""

    def forked(self) -> None:  # noqa: B027  many keep nothing that a child may not use
        """This process is a child: what is open is its parent's, to be left alone. `open` is called before anything else."""

    @abstractmethod
    def get_many(self, ids: Sequence[str]) -> list[Document | None]:
        """The documents of `ids`, in their order; None where there is none. Any failure raises."""

    @abstractmethod
    def apply_many(self, changes: Sequence[Change]) -> list[Outcome]:
        """Applies `changes` (distinct ids) and says for each what became of it, in their order.

        A failure that concerns one change stands in its place; a failure of the store as a whole raises.
        """

    def bulk(self, verb: Verb) -> Bulk:
        """A way in for changes of that verb, of any number; sends nothing yet. Here each window is carried out at once.

        An engine that can make all of them visible in one step overrides this.
        """
        return EachWindow(self.apply_many)

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
