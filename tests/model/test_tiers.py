"""The protocol of the two tiers keeps its promise, and the checker would notice if it did not."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.model import tiers


@pytest.fixture(autouse=True)
def unbroken() -> Iterator[None]:
    """No mistake but the one that a test builds in."""
    tiers.BROKEN.clear()
    yield
    tiers.BROKEN.clear()


@pytest.mark.parametrize("start", tiers.STARTS)
def test_every_interleaving_of_two_and_three_actors_with_crashes_is_linearizable_and_comes_to_rest(start: str) -> None:
    before = tiers.explore.states
    assert tiers.check(only=start) == []
    assert tiers.explore.states - before > 10_000, "it did look"


@pytest.mark.parametrize("mistake", tiers.MISTAKES)
def test_a_mistake_is_found(mistake: str) -> None:
    tiers.BROKEN.add(mistake)
    assert tiers.check(stop_at_first=True)
