"""The way in for writes of any number: few go one by one, many as packs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext

from dataknobs_data.documents import Change, Verb
from dataknobs_data.engine import Bulk, EachWindow, Outcome, Settled
from dataknobs_data.s3.faults import translated
from dataknobs_data.s3.tiered.bulk_loading import Load
from dataknobs_data.s3.tiered.bulk_updating import BulkUpdate
from dataknobs_data.s3.tiered.tiers import Tiers

ApplyMany = Callable[[Sequence[Change]], Sequence[Outcome]]


class TieredBulk(Bulk):
    """Holds changes until there are so many that packs are worth it. Raises public errors.

    tiers  made when the first of them is sent
    """

    def __init__(self, verb: Verb, apply: ApplyMany, tiers: Callable[[], Tiers], threshold: int) -> None:
        self._verb = verb
        self._apply = apply
        self._tiers = tiers
        self._threshold = threshold
        self._held: list[Change] = []
        self._run: Bulk | None = None

    def add(self, changes: Sequence[Change]) -> Iterator[Settled]:
        """See Bulk."""
        if self._run is None:
            if len(self._held) + len(changes) < self._threshold:
                self._held += changes
                return
            self._run = self._begin()
        held, self._held = self._held, []
        yield from self._public(self._run.add([*held, *changes] if held else changes))

    def _begin(self) -> Bulk:
        tiers = self._tiers()
        with self._translated():
            if self._verb is Verb.CREATE:
                return Load(tiers, self._apply)
            return BulkUpdate(tiers, self._verb, self._apply)

    def finish(self) -> Iterator[Settled]:
        """See Bulk."""
        if self._run is None:
            self._run = EachWindow(self._apply)
            yield from self._public(self._run.add(self._held) if self._held else ())
        yield from self._public(self._run.finish())

    def abandon(self) -> None:
        """See Bulk."""
        if self._run is not None:
            self._run.abandon()

    def _public(self, settled: Iterable[Settled]) -> Iterator[Settled]:
        with nullcontext() if isinstance(self._run, EachWindow) else self._translated():
            yield from settled

    def _translated(self) -> AbstractContextManager[None]:
        return translated(f"a bulk {self._verb}", self._tiers().parts.place)
