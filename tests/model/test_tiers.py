"""The protocol of the two tiers keeps its promise, and the checker would notice if it did not."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.model import tiers_promise as model
from tests.model.explorer import check


@pytest.fixture(autouse=True)
def unbroken() -> Iterator[None]:
    """No mistake but the one that a test builds in."""
    model.BROKEN.clear()
    yield
    model.BROKEN.clear()


@pytest.mark.parametrize("start", model.STARTS)
def test_every_interleaving_of_two_and_three_actors_with_crashes_is_linearizable_and_comes_to_rest(start: str) -> None:
    checked = check(model.scenarios(start))
    assert checked.problems == []
    assert checked.states > 30_000, "it did look"


@pytest.mark.parametrize("mistake", model.MISTAKES)
def test_a_mistake_is_found(mistake: str) -> None:
    model.BROKEN.add(mistake)
    assert check(model.scenarios(), stop_at_first=True).problems


@pytest.mark.soak
@pytest.mark.parametrize("start", model.STARTS)
def test_every_interleaving_of_four_actors(start: str) -> None:
    """`make test` has only those of model.FOURS."""
    checked = check(model.all_fours(start))
    assert {problem[0] for problem in checked.problems} == (model.LEFT_OPEN if start == "nothing" else set())
    assert checked.states > 500_000
