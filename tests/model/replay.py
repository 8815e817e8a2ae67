"""Runs of the code held against runs of the model (tiers.py): the same steps in the same order, by both.

Every actor is a thread with a database of its own, all of them on one store in memory. Requests that bear the name of a step
of the protocol (dataknobs_data.s3.steps) wait at a door until a scheduler says whose turn it is. The same step is then taken
in the model, and held against it: the name of each request is the model's program counter, what lies in the store is the
model's state after every step, operations end when the model's do and with the same results, and whoever reads in the end sees
what the model says. All other requests pass with the one before them: what they read never changes, or decides nothing.

An actor that is never let through its door again has died there.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from dataknobs_data.exceptions import DataknobsDataError
from dataknobs_data.query import Query
from tests.model import tiers
from tests.model.acting import Actor
from tests.model.stores import (
    PAUSE,
    RECORD,
    Mismatch,
    Observer,
    folded,
    open_database,
    prepared,
    seen_in_model,
)
from tests.model.turns import Programs, read
from tests.unit.s3_fakes import FakeWorld

STEPS = 7
"""After how many of them somebody dies at the latest; few operations take more."""

LOOKED_AT: set[Any] = set()
"""Ends that were held against the model's already: what is read there, and how it comes to rest."""


class Run:
    """One run of code and model together."""

    def __init__(self, start: str, names: Sequence[str]) -> None:
        self._world = FakeWorld(dice=0.0)
        self._programs = Programs(start, names)
        if self._programs.late:
            self._store = folded(start).copy(self._world)
            self._world.seconds += 2 * PAUSE
        else:  # a compaction begins a table with a commit of its own, which the model does not know
            self._store = prepared(start, table="compact" in names).copy(self._world)
        self.node = self._programs.first
        self._ids = map("rest_{}".format, itertools.count()).__next__
        self._title = f"{start}: {' | '.join(names)}"
        self._taken: list[str] = []
        self._observer = Observer(self._store, self._world)
        pairs = zip(self._programs.names, self._programs.kinds, strict=True)
        self._actors = [Actor(name, kind, self._store, self._world) for name, kind in pairs]

    def follow(self, choose: Callable[[list[int]], int], mortal: int | None = None, steps: int = 0) -> None:
        """Takes turns until all are done, and looks at the end. Raises Mismatch.

        choose  whose turn it is, of those who are given
        mortal  who dies after so many steps
        """
        try:
            for number, actor in enumerate(self._actors):
                actor.begin()
                self._compare(number)
            while live := self._programs.live(self.node):
                number = choose(live)
                if number == mortal and steps == 0:
                    self._taken.append(f"{self._programs.names[number]} dies before {self._actors[number].at}")
                    self.node = self._programs.without(self.node, number)
                    continue
                steps -= number == mortal
                self._step(number)
            self._look_at_the_end()
        finally:
            for actor in self._actors:
                actor.end()
            self._observer.close()

    def _step(self, number: int) -> None:
        self._taken.append(f"{self._programs.names[number]} {self._actors[number].at}")
        self.node = self._programs.after(self.node, number)
        self._actors[number].proceed()
        self._compare(number)

    def _compare(self, number: int) -> None:
        actor, loc = self._actors[number], self.node[1][number]
        name = self._programs.names[number]
        if loc[0] == "done":
            self._same(f"{name}: next step", actor.at, None)
            self._same(f"{name}: result", actor.result, loc[1])
        else:
            self._same(f"{name}: next step", actor.at or f"ends with {actor.result!r}", actor.kind.step_name(loc))
        self._same("the store", self._observer.look(), seen_in_model(self.node[0], self._programs.start))

    def _look_at_the_end(self) -> None:
        end = seen_in_model(self.node[0], self._programs.start), self._title
        if end not in LOOKED_AT:
            self._read_all()
            self._come_to_rest()
            LOOKED_AT.add(end)

    def _read_all(self) -> None:
        """What readers see who come last."""
        value = tiers.visible(self.node[0].hot, self.node[0].rows)
        there = [] if value is None else [RECORD]
        database = open_database(self._store, self._world.runtime, {})
        try:
            self._same("read", read(database), value)
            self._same("exists", database.exists(RECORD), value is not None)
            self._same("list_ids", list(database.list_ids()), there)
            self._same("count", database.count(), len(there))
            self._same("search", [record["v"] for record in database.search(Query())], [value] if there else [])
            self._same("get_version", database.get_version(RECORD) is not None, value is not None)
        except DataknobsDataError as error:
            raise Mismatch(f"{self._story()}\nreading: {error!r}") from error
        finally:
            database.close()

    def _come_to_rest(self) -> None:
        """When all are gone, compactions alone make the same of it as in the model."""
        tiers.LIVE_LOADS.clear()
        state = tiers.come_to_rest(self.node[0])
        for _ in range(3):
            self._world.seconds += PAUSE
            database = open_database(self._store, replace(self._world.runtime, new_id=self._ids), {})
            try:
                database.compact(wait=True)
            finally:
                database.close()
        found, wanted = self._observer.look(), seen_in_model(state, self._programs.start)
        self._same("the store at rest", replace(found, version=0), replace(wanted, version=0))
        self.node = (state, ())
        self._read_all()

    def _same(self, what: str, code: Any, model: Any) -> None:
        if code != model:
            raise Mismatch(f"{self._story()}\n{what}\n  code:  {code!r}\n  model: {model!r}")

    def _story(self) -> str:
        return "\n  ".join([self._title, *self._taken])


def replay(start: str, names: Sequence[str], schedule: Sequence[int]) -> None:
    """A run with these turns. Raises Mismatch."""
    turns = iter(schedule)
    Run(start, names).follow(lambda live: next(turns))


def replay_at_random(start: str, names: Sequence[str], seed: int, *, one_dies: bool) -> None:
    """A run with turns by chance, which the seed decides. Raises Mismatch."""
    chance = random.Random(seed)
    mortal = chance.randrange(len(names)) if one_dies else None
    Run(start, names).follow(chance.choice, mortal, chance.randrange(STEPS))
