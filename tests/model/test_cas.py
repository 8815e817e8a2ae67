"""Compare-and-sets beside bulk updates keep their promise in the model, and the checker would notice if they did not."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.model import cas_promise as model
from tests.model.explorer import check


@pytest.fixture(autouse=True)
def unbroken() -> Iterator[None]:
    """No mistake but the one that a test builds in."""
    model.BROKEN.clear()
    yield
    model.BROKEN.clear()


def test_every_interleaving_is_linearizable_with_versions() -> None:
    checked = check(model.scenarios())
    assert checked.problems == []
    assert checked.states > 100_000, "it did look"


@pytest.mark.parametrize("mistake", model.MISTAKES)
def test_a_mistake_is_found(mistake: str) -> None:
    model.BROKEN.add(mistake)
    assert check(model.scenarios(), stop_at_first=True).problems
