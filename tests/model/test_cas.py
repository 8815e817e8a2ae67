"""Compare-and-sets beside bulk updates keep their promise in the model, and the checker would notice if they did not."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.model import cas


@pytest.fixture(autouse=True)
def unbroken() -> Iterator[None]:
    """No mistake but the one that a test builds in."""
    cas.BROKEN.clear()
    yield
    cas.BROKEN.clear()


def test_every_interleaving_is_linearizable_with_versions() -> None:
    before = cas.explore.states
    assert cas.check() == []
    assert cas.explore.states - before > 1_000_000, "it did look"


@pytest.mark.parametrize("mistake", cas.MISTAKES)
def test_a_mistake_is_found(mistake: str) -> None:
    cas.BROKEN.add(mistake)
    assert cas.check(stop_at_first=True)
