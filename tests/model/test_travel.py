"""Time travel against the model of the two tiers (docs/decisions/0010): what a view may look at, and what it must not."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from tests.model import tiers_promise as model
from tests.model.explorer import check
from tests.model.tiers import done, visible

WRITERS = [kind for kind in model.KINDS if kind not in ("read", "scan")]


def at(state: Any, loc: Any) -> Any:
    """A view of an instant: object and log of one state. One of a version of the table is the model's `scan`."""
    return done(state, visible(state.hot, state.rows))


@pytest.fixture(autouse=True)
def traveler(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whoever reads looks at both tiers in one moment."""
    monkeypatch.setitem(model.KINDS, "read", lambda value: (("read", None), at))
    model.BROKEN.clear()
    yield
    model.BROKEN.clear()


@pytest.mark.parametrize("start", model.STARTS)
def test_a_view_of_an_instant_is_a_reader(start: str) -> None:
    writers = itertools.combinations_with_replacement(WRITERS, 2)
    checked = check(model.Scenario(start, (*kinds, "read"), deaths=True) for kinds in writers)
    assert checked.problems == []
    assert checked.states > 2_000, "it did look"


@pytest.mark.parametrize(
    ("start", "kinds"),
    [
        ("nothing", ("create", "load", "compact")),
        ("a tombstone over a row", ("create", "delete", "compact")),
        ("a document over the row it replaces", ("update", "compact", "compact")),
    ],
    ids=str,
)
def test_what_several_contest_is_seen_once(start: str, kinds: tuple[str, ...]) -> None:
    assert check([model.Scenario(start, (*kinds, "read"), deaths=False)]).problems == []


def test_the_grace_must_be_longer_than_a_second() -> None:
    """The objects of a version's view are those of its second's end: what that second folds must not be gone by then."""
    model.BROKEN.add("no grace before deleting")
    found = check([model.Scenario("an object", ("compact", "scan"), deaths=False)]).problems
    assert found, "the object is gone already, and the log that has its row came later"
    assert not check([model.Scenario("an object", ("compact", "read"), deaths=False)]).problems, (
        "an instant needs no grace"
    )
