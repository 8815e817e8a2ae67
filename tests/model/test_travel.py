"""Time travel against the model of the two tiers (docs/decisions/0010): what a view may look at, and what it must not."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from tests.model import tiers

Step = Any


def at(state: Any, local: Any) -> Any:
    """A view of an instant: object and log of one state."""
    return tiers.done(state, tiers.visible(state.hot, state.rows))


TRAVELER = (("read", None), at)
VERSION = (("read", None), tiers.scan)
"""A view of a version of the table: that log, and the object of a little later."""


@pytest.fixture(autouse=True)
def unbroken() -> Iterator[None]:
    tiers.BROKEN.clear()
    tiers.LIVE_LOADS.clear()
    yield
    tiers.BROKEN.clear()


def explored(where: str, names: tuple[str, ...], traveler: Step, *, mortal: bool = False) -> Any:
    """What breaks the promise where these act while somebody looks back."""
    programs = [tiers.KINDS[kind](f"{kind}{number}") for number, kind in enumerate(names)]
    dying = tuple(range(len(names))) if mortal else ()
    return tiers.explore(f"{where}: {names}", tiers.STARTS[where], [*programs, traveler], dying)


WRITERS = [kind for kind in tiers.KINDS if kind not in ("read", "scan")]


@pytest.mark.parametrize("where", tiers.STARTS)
@pytest.mark.parametrize("traveler", [TRAVELER, VERSION], ids=["instant", "version"])
def test_a_view_is_a_reader(where: str, traveler: Step) -> None:
    for names in itertools.combinations_with_replacement(WRITERS, 2):
        assert explored(where, names, traveler) is None
        assert explored(where, names, traveler, mortal=True) is None


@pytest.mark.parametrize(
    ("where", "names"),
    [
        ("nothing", ("create", "load", "compact")),
        ("a tombstone over a row", ("create", "delete", "compact")),
        ("a document over the row it replaces", ("update", "compact", "compact")),
    ],
    ids=str,
)
def test_what_several_contest_is_seen_once(where: str, names: tuple[str, ...]) -> None:
    assert explored(where, names, TRAVELER) is None


def test_the_grace_must_be_longer_than_a_second() -> None:
    """The objects of a version's view are those of its second's end: what that second folds must not be gone by then."""
    tiers.BROKEN.add("no grace before deleting")
    found = explored("an object", ("compact",), VERSION)
    assert found is not None, "the object is gone already, and the log that has its row came later"
    assert explored("an object", ("compact",), TRAVELER) is None, "an instant needs no grace"
