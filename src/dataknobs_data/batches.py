"""Batches over an engine: every record's own outcome, in input order, whenever the engine comes to say it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from dataknobs_data.creations import Creations
from dataknobs_data.documents import Change, Deletion, Verb, check_id
from dataknobs_data.engine import Bulk, EachWindow, Engine, Settled
from dataknobs_data.exceptions import BatchError, DataknobsDataError
from dataknobs_data.record_likes import id_of

Note = Callable[[int, Sequence[str | None]], object]
"""Told of the items that are taken, in order: the index of the first, and the ids of their records."""

MakeChanges = Callable[[Sequence[Any]], Sequence[Change]]
"""The changes that items ask for, one each. Raises DataknobsDataError where one of them makes no sense."""

Make = MakeChanges | Callable[[Sequence[Any]], Sequence[Deletion]]

BATCH = 1000
"""Records that a batch operation holds in memory at once."""

_PENDING, _WRITTEN, _MISSED = range(3)


class Feed:
    """Items of a caller's on their way into a bulk, counted from 0 as they are taken.

    It keeps nothing of them but a number for each that made no sense. `failure`: why the store as a whole failed; then all
    that was never settled failed with it, and nothing more is taken.
    """

    def __init__(self, bulk: Bulk, make: Make, note: Note | None = None) -> None:
        self._bulk = bulk
        self._make = make
        self._note = note
        self._added = 0
        self._gaps: list[int] = []
        self.taken = 0
        self.pending = 0
        self.over = False
        self.failure: DataknobsDataError | None = None

    def take(self, items: Sequence[Any]) -> Iterator[Settled]:
        """Adds what becomes of `items`; yields what is known by now, by input index. Those that make no sense fail alone."""
        first = self.taken
        changes, senseless = self._made(items)
        self.taken += len(items)
        if self._note:
            self._note(first, _ids(first, changes, senseless))
        yield from senseless
        self._added += len(changes)
        self.pending += len(changes)
        if changes:
            yield from self._known(lambda: self._bulk.add(changes))

    def _made(self, items: Sequence[Any]) -> tuple[Sequence[Any], list[Settled]]:
        try:
            return self._make(items), []
        except DataknobsDataError:
            pass  # one of them: one by one they say which
        changes: list[Any] = []
        senseless: list[Settled] = []
        for index, item in enumerate(items, self.taken):
            try:
                changes += self._make([item])
            except DataknobsDataError as error:
                self._gaps.append(self._added + len(changes))
                senseless.append(Settled(index, error, item, id_of(item)))
        return changes, senseless

    def finish(self) -> Iterator[Settled]:
        """Carries out the rest. Without a failure, what is then still pending is written."""
        if not self.over:
            yield from self._known(self._bulk.finish)
            self.over = True

    def abandon(self) -> None:
        """Gives up what is not carried out yet; harmless where nothing is."""
        if not self.over:
            self.over = True
            self._bulk.abandon()

    def _known(self, ask: Callable[[], Iterable[Settled]]) -> Iterator[Settled]:
        try:
            for one in ask():
                self.pending -= 1
                yield replace(one, index=one.index + bisect_right(self._gaps, one.index))
        except DataknobsDataError as error:
            self.failure = error
            self.abandon()


def _ids(first: int, changes: Sequence[Any], senseless: Sequence[Settled]) -> list[str | None]:
    """Those of all items of a window, in the order of the input."""
    ids: list[Any] = list(changes.ids) if isinstance(changes, Creations) else [change.id for change in changes]
    for one in senseless:
        ids.insert(one.index - first, one.id)
    return ids


class BatchRun:
    """What has come of a batch: per input index the id and how it went."""

    def __init__(self, operation: str) -> None:
        self._operation = operation
        self._ids: list[str | None] = []
        self._states = bytearray()
        self._errors: dict[int, DataknobsDataError] = {}
        self.stopped = False

    def note(self, first: int, ids: Sequence[str | None]) -> None:
        """Notes the next records of the input."""
        self._ids += ids
        self._states.extend(bytes([_PENDING]) * len(ids))

    def settle(self, news: Iterable[Settled]) -> None:
        """Notes what became of some."""
        for one in news:
            self._states[one.index] = _MISSED if one.outcome is False else _WRITTEN
            if isinstance(one.outcome, DataknobsDataError):
                self._errors[one.index] = one.outcome

    def stop(self, failure: DataknobsDataError) -> None:
        """The store as a whole failed: so did every record that is not settled."""
        self.stopped = True
        self._errors.update((index, failure) for index, state in enumerate(self._states) if state == _PENDING)

    def ids(self) -> list[str]:
        """The id of every record. Raises BatchError if any failed."""
        self._check()
        return [id for id in self._ids if id is not None]

    def found(self) -> list[bool]:
        """For every record whether there was one to change. Raises BatchError if any failed."""
        self._check()
        return [state != _MISSED for state in self._states]

    def _check(self) -> None:
        if self._errors:
            first, *others = self._errors.values()
            if self.stopped and len(self._errors) == len(self._ids) and all(one is first for one in others):
                raise first
            done = {i: id for i, id in enumerate(self._ids) if i not in self._errors and id is not None}
            failed = {i: (self._ids[i], self._errors[i]) for i in sorted(self._errors)}
            raise BatchError(self._operation, done, failed, stopped=self.stopped)


def change_batch(engine: Engine, verb: Verb, inputs: Iterable[Sequence[Any]], make: MakeChanges) -> BatchRun:
    """Puts what `make` makes of the inputs through one bulk. An exception of `inputs` abandons it."""
    return _run(f"batch_{verb}", inputs, make, engine.bulk(verb))


def delete_batch(engine: Engine, inputs: Iterable[Sequence[Any]]) -> BatchRun:
    """Deletes ids, window by window."""
    bulk = EachWindow(engine.delete_many)
    return _run("batch_delete", inputs, lambda ids: [Deletion(check_id(id)) for id in ids], bulk)


def _run(operation: str, inputs: Iterable[Sequence[Any]], make: Make, bulk: Bulk) -> BatchRun:
    run = BatchRun(operation)
    feed = Feed(bulk, make, run.note)
    try:
        for window in inputs:
            run.settle(feed.take(window))
            if feed.failure:
                break
        run.settle(feed.finish())
    finally:
        feed.abandon()
    if feed.failure:
        run.stop(feed.failure)
    return run
