"""Batches over an engine: every record's own outcome, in input order, with equal ids kept in sequence."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

from dataknobs_data.documents import Change, Deletion, Document, check_id
from dataknobs_data.engine import Engine
from dataknobs_data.exceptions import (
    BatchError,
    DatabaseConnectionError,
    DataknobsDataError,
    OutcomeUnknownError,
    ThrottledError,
)

T = TypeVar("T", Change, Deletion)
Result = Document | bool | DataknobsDataError | None

_UNANSWERED = (DatabaseConnectionError, ThrottledError, OutcomeUnknownError)


class BatchRun:
    """What has come of a batch so far: per input index the id and either an answer or an error."""

    def __init__(self, operation: str) -> None:
        self._operation = operation
        self._ids: list[str | None] = []
        self._found: list[bool] = []
        self._errors: dict[int, DataknobsDataError] = {}
        self.stopped = False

    def add(self, id: str | None, result: Result) -> None:
        """Notes the outcome of the next record of the input."""
        if isinstance(result, DataknobsDataError):
            self._errors[len(self._ids)] = result
        self._ids.append(id)
        self._found.append(isinstance(result, Document) or result is True)

    def ids(self) -> list[str]:
        """The id of every record. Raises BatchError if any failed."""
        self._check()
        return [id for id in self._ids if id is not None]

    def found(self) -> list[bool]:
        """For every record whether there was one to change. Raises BatchError if any failed."""
        self._check()
        return self._found

    def _check(self) -> None:
        if self._errors:
            first, *others = self._errors.values()
            if self.stopped and len(self._errors) == len(self._ids) and all(one is first for one in others):
                raise first
            done = {i: id for i, id in enumerate(self._ids) if i not in self._errors and id is not None}
            failed = {i: (self._ids[i], error) for i, error in self._errors.items()}
            raise BatchError(self._operation, done, failed, stopped=self.stopped)


def change_batch(
    engine: Engine, operation: str, inputs: Iterable[list[Any]], to_change: Callable[[Any], Change]
) -> BatchRun:
    """Applies what `to_change` makes of each input, window by window."""
    return _run(operation, inputs, to_change, engine.apply_many)


def delete_batch(engine: Engine, inputs: Iterable[list[str]]) -> BatchRun:
    """Deletes ids, window by window."""
    return _run("batch_delete", inputs, lambda id: Deletion(check_id(id)), engine.delete_many)


def _run(
    operation: str,
    inputs: Iterable[list[Any]],
    make: Callable[[Any], T],
    apply: Callable[[Sequence[T]], Sequence[Result]],
) -> BatchRun:
    run = BatchRun(operation)
    for window in inputs:
        results, run.stopped = apply_window(window, make, apply)
        for id, result in results:
            run.add(id, result)
        if run.stopped:
            break
    return run


def apply_window(
    window: Sequence[Any], make: Callable[[Any], T], apply: Callable[[Sequence[T]], Sequence[Result]]
) -> tuple[list[tuple[str | None, Result]], bool]:
    """(id, outcome) for each item of a window, in order, and whether the store is gone.

    Items that make no sense fail alone. The store is gone when it failed as a whole, or answered nothing of the window:
    going on would only turn the rest of the input into more of the same.
    """
    results: list[tuple[str | None, Result]] = [(None, None)] * len(window)
    made: list[tuple[int, T]] = []
    for index, item in enumerate(window):
        try:
            made.append((index, make(item)))
        except DataknobsDataError as error:
            results[index] = (getattr(item, "id", None), error)
    failure: DataknobsDataError | None = None
    for group in _rounds(made):
        outcomes: Sequence[Result] = [failure] * len(group)
        if failure is None:
            try:
                outcomes = apply([one for _, one in group])
            except DataknobsDataError as error:
                failure, outcomes = error, [error] * len(group)
        for (index, one), outcome in zip(group, outcomes, strict=True):
            results[index] = (one.id, outcome)
    unanswered = bool(results) and all(isinstance(result, _UNANSWERED) for _, result in results)
    return results, failure is not None or unanswered


def _rounds(made: Sequence[tuple[int, T]]) -> Iterator[list[tuple[int, T]]]:
    """Splits into rounds in which every id stands once; a second change of an id waits for the first."""
    rounds: list[list[tuple[int, T]]] = []
    seen: dict[str, int] = {}
    for index, one in made:
        turn = seen.get(one.id, 0)
        seen[one.id] = turn + 1
        if turn == len(rounds):
            rounds.append([])
        rounds[turn].append((index, one))
    yield from rounds
