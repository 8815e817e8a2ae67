"""Many creations beside each other: they look at the log together, once before the first PUT and once after the last."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from dataknobs_data.documents import Change, Document, Verb
from dataknobs_data.engine import Outcome
from dataknobs_data.exceptions import DataknobsDataError
from dataknobs_data.s3.calls import Deadline
from dataknobs_data.s3.layout import Guard, Parts
from dataknobs_data.s3.store import Fault
from dataknobs_data.s3.tiered.changing import Changer, Unchecked
from dataknobs_data.s3.tiered.places import Places, fresh
from dataknobs_data.streaming import windows

ROUNDS = 10
"""PUTs that a thread makes between two looks: together they take much less than a deadline."""

Births = Mapping[str, frozenset[str]]


class Together:
    """Carries out changes of distinct ids. Raises Fault where the first look of all fails."""

    def __init__(self, parts: Parts, places: Places, changer: Changer) -> None:
        self._parts = parts
        self._places = places
        self._changer = changer

    def apply_many(self, changes: Sequence[Change], guard: Guard) -> list[Outcome]:
        """See layout.Writers."""
        outcomes: list[Outcome] = []
        for window in windows(changes, ROUNDS * self._parts.many.workers):
            try:
                outcomes += self._window(window, guard)
            except (Fault, DataknobsDataError) as error:  # nothing of this window was sent
                if not outcomes:
                    raise
                return [*outcomes, *self._failed(changes[len(outcomes) :], guard, error)]
        return outcomes

    def _failed(self, changes: Sequence[Change], guard: Guard, error: Fault | DataknobsDataError) -> Iterator[Outcome]:
        def fail() -> Document:
            raise error

        return (guard(change.id, fail) for change in changes)

    def _window(self, changes: Sequence[Change], guard: Guard) -> Iterator[Outcome]:
        deadline = self._parts.caller.deadline()
        own = [change.id for change in changes if change.verb is Verb.CREATE and not change.generated]
        births = self._births(own, "create.start", deadline) if len(own) > 1 else {}

        def put(change: Change) -> Outcome | Unchecked:
            if change.id not in births:
                return guard(change.id, lambda: self._changer.apply(change))
            return guard(change.id, lambda: self._changer.creation(change).put(deadline, births[change.id]))

        return self._checked(list(self._parts.many.map(put, changes)), guard, deadline)

    def _checked(self, made: Sequence[Outcome | Unchecked], guard: Guard, deadline: Deadline) -> Iterator[Outcome]:
        ids = [one.id for one in made if isinstance(one, Unchecked)]
        try:
            births = self._births(ids, "create.check", deadline) if ids else {}
        except (Fault, DataknobsDataError):
            births = {}  # each looks for itself, and says what came of it

        def check(one: Outcome | Unchecked) -> Outcome:
            return guard(one.id, lambda: one.check(births.get(one.id))) if isinstance(one, Unchecked) else one

        return self._parts.many.map(check, made, lambda one: not isinstance(one, Unchecked) or one.id in births)

    def _births(self, ids: Iterable[str], name: str, deadline: Deadline) -> Births:
        rows = fresh(self._places.table, deadline, name, lambda view: view.rows(ids))
        return {id: frozenset(row.born for row in rows.get(id, ())) for id in ids}
