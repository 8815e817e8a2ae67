"""Every interleaving of a few actors on one store, with crashes, held against what was promised.

An actor is a program: step(state, loc) -> (state, loc), where each step is ONE atomic request to the store. `loc` is a tuple
that begins with the program counter; it is START at first, and ("done", result) in the end, or DEAD where the actor died.

What is left out would find nothing else:
  - of the order of calls and returns only this counts: who had returned before who was called. And whoever is called right
    before its first step is promised the most;
  - what an actor remembers of old ETags and versions: one that is not the current one will never be it again;
  - which of several actors of one kind begins first: they are alike;
  - the death of who changes nothing: it is as if it had not been there, and fewer actors are scenarios of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from typing import Any, NamedTuple

Loc = tuple[Any, ...]
Step = Callable[[Any, Loc], tuple[Any, Loc]]

IDLE, START, DEAD = ("idle",), ("start",), ("dead",)
PASSIVE = {"read", "scan"}
"""Kinds of actors that change nothing."""


class Etag(int):
    """Of an object."""


class Version(int):
    """Of the log."""


def aged(value: Any, etag: int | None, version: int) -> Any:
    """A tuple, however deep, in which of ETags and versions only that is left which counts: whether they are these."""
    if isinstance(value, Etag):
        return Etag(1 if value == etag else -1)
    if isinstance(value, Version):
        return Version(1 if value == version else -1)
    if not isinstance(value, tuple):
        return value
    parts = [aged(part, etag, version) for part in value]
    return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)


class Impossible(Exception):
    """A step met what must never be there."""


class Configuration(NamedTuple):
    """Everything but who had returned before who was called. clock: what a scenario has to know of the past all the same."""

    state: Any
    locs: tuple[Loc, ...]
    clock: Any
    may_die: bool

    def under_way(self) -> list[int]:
        """Who has begun, and not ended."""
        return [number for number, loc in enumerate(self.locs) if loc[0] not in ("idle", "done", "dead")]

    def at(self, number: int, loc: Loc) -> tuple[Loc, ...]:
        """All locs, with another one for that actor."""
        return (*self.locs[:number], loc, *self.locs[number + 1 :])


class Scenario:
    """Actors, and where they begin. Subclasses say how time passes, and what was promised.

    State has to have `hot` (None, or something with an ETag), `ver` (the version of the log) and `etags`, the next ETag.
    """

    def __init__(
        self, title: str, state: Any, clock: Any, actors: Sequence[tuple[str, str, Step]], deaths: bool
    ) -> None:
        self.title = title + (", one may die" if deaths else "")
        self.kinds = [kind for kind, _, _ in actors]
        self.names = [name for _, name, _ in actors]
        self._steps = [step for _, _, step in actors]
        self._elder_twins = [[m for m in range(n) if self.kinds[m] == kind] for n, kind in enumerate(self.kinds)]
        self._aged = cache(aged)
        self.first = self._without_numbers(Configuration(state, (IDLE,) * len(actors), clock, deaths))

    def waits(self, now: Configuration, number: int) -> bool:
        """Whether that actor lets time pass before its next step."""
        raise NotImplementedError

    def clock(self, before: Configuration, now: Configuration, number: int) -> Any:
        """What it is after that actor's step."""
        return None

    def broken_promise(self, end: Configuration, befores: Sequence[int]) -> str | None:
        """What is wrong at an end. befores: for each actor, in bits, who had returned when it was called."""
        raise NotImplementedError

    def step(self, now: Configuration, number: int) -> tuple[Any, Loc]:
        """An actor's next one."""
        return self._steps[number](now.state, now.locs[number])

    def moves(self, now: Configuration) -> Iterator[tuple[Configuration, int, bool]]:
        """All that may come next, by whom, and whether that one is called by it."""
        for number, loc in enumerate(now.locs):
            if loc == IDLE:
                if all(now.locs[twin] != IDLE for twin in self._elder_twins[number]):
                    begun = now._replace(locs=now.at(number, START))
                    yield from ((then, number, True) for then in self._after(begun, number))
            elif loc[0] not in ("done", "dead") and not self.waits(now, number):
                yield from ((then, number, False) for then in self._after(now, number))
                if now.may_die and self.kinds[number] not in PASSIVE:
                    yield now._replace(locs=now.at(number, DEAD), may_die=False), number, False

    def _after(self, before: Configuration, number: int) -> Iterator[Configuration]:
        state, loc = self.step(before, number)
        if loc != IDLE:  # it found something to begin with
            now = before._replace(state=state, locs=before.at(number, loc))
            yield self._without_numbers(now._replace(clock=self.clock(before, now, number)))

    def _without_numbers(self, now: Configuration) -> Configuration:
        etag = now.state.hot.etag if now.state.hot else None
        state = now.state._replace(hot=self._aged(now.state.hot, etag, 0), ver=Version(1), etags=2)
        return now._replace(state=state, locs=tuple(self._aged(loc, etag, now.state.ver) for loc in now.locs))


class Explorer:
    """Goes through a scenario. Nodes are numbers: that of a configuration, and in the lowest bits who returned before whom."""

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        self._size = len(scenario.kinds)
        self._bits = self._size**2
        self._numbers = {scenario.first: 0}
        self._configurations = [scenario.first]
        self._ways: dict[int, list[tuple[int, int]]] = {}
        self.came_from = {0: 0}
        self.ends = 0

    def explore(self) -> list[str]:
        """What is wrong, and the steps that lead there; nothing where the promise is kept."""
        stack, came_from = [0], self.came_from
        while stack:
            node = stack.pop()
            try:
                ways = self._ways_from(node >> self._bits)
                problem = None if ways else self._judge(node)
            except Impossible as error:
                problem = str(error)
            if problem:
                return [self._scenario.title, *self._way_to(node), problem]
            past = node & ((1 << self._bits) - 1)
            for configuration, calls in ways:
                after = configuration | past | calls
                if after not in came_from:
                    came_from[after] = node
                    stack.append(after)
        return []

    def _ways_from(self, number: int) -> list[tuple[int, int]]:
        """Of each way, in bits: to which configuration, and who had returned before the one that is called."""
        if (ways := self._ways.get(number)) is None:
            now = self._configurations[number]
            returned = sum(1 << n for n, loc in enumerate(now.locs) if loc[0] == "done")
            ways = self._ways[number] = [
                (self._number(then) << self._bits, returned << self._size * actor if called else 0)
                for then, actor, called in self._scenario.moves(now)
            ]
        return ways

    def _number(self, configuration: Configuration) -> int:
        number = self._numbers.setdefault(configuration, len(self._numbers))
        if number == len(self._configurations):
            self._configurations.append(configuration)
        return number

    def _judge(self, node: int) -> str | None:
        self.ends += 1
        befores = [node >> self._size * n & ((1 << self._size) - 1) for n in range(self._size)]
        return self._scenario.broken_promise(self._configurations[node >> self._bits], befores)

    def _way_to(self, node: int) -> list[str]:
        lines: list[str] = []
        while node:
            before, now = (self._configurations[one >> self._bits] for one in (self.came_from[node], node))
            actor = next(actor for then, actor, _ in self._scenario.moves(before) if then == now)
            lines.append(f"{self._scenario.names[actor]}: {before.locs[actor][0]} -> {now.locs[actor]}")
            node = self.came_from[node]
        return lines[::-1]


class Checked(NamedTuple):
    """What came of some scenarios; a problem is told in lines."""

    problems: list[list[str]]
    states: int
    ends: int


def check(scenarios: Iterable[Scenario], *, stop_at_first: bool = False) -> Checked:
    """Goes through all of them, or as far as the first one that breaks the promise."""
    problems, states, ends = [], 0, 0
    for scenario in scenarios:
        explorer = Explorer(scenario)
        problem = explorer.explore()
        states, ends = states + len(explorer.came_from), ends + explorer.ends
        problems += [problem] if problem else []
        if problem and stop_at_first:
            break
    return Checked(problems, states, ends)
