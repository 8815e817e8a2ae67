"""What the pages advise for answers that are lost is right when they are: these cannot be lost at will on a page."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

import pytest

from dataknobs_data import OutcomeUnknownError, Record
from dataknobs_data.backends.memory import MemoryDatabase
from tests.docs.blocks import blocks_of
from tests.docs.conftest import ROOT

LOST = OutcomeUnknownError("the answer was lost")


class Losing(MemoryDatabase):
    """Loses the answers to updates, as the test says: to those that were applied, or to those that were not."""

    losses: list[str]

    def update(self, id: str, record: Record, *, expected_version: str | None = None) -> bool:
        what = self.losses.pop(0) if self.losses else ""
        if what == "before":
            raise LOST
        done = super().update(id, record, expected_version=expected_version)
        if what == "after":
            raise LOST
        return done


def function(page: str, name: str) -> Callable[..., Any]:
    """A function as a page has it, with what its block imports."""
    for block in blocks_of(ROOT / page):
        tree = ast.parse(block.text) if block.kind == "python" else ast.Module([], [])
        wanted = [one for one in tree.body if isinstance(one, ast.ImportFrom | ast.FunctionDef)]
        if any(isinstance(one, ast.FunctionDef) and one.name == name for one in wanted):
            namespace: dict[str, Any] = {}
            exec(compile(ast.Module(wanted, []), page, "exec"), namespace)
            found: Callable[..., Any] = namespace[name]
            return found
    raise AssertionError(f"{page} has no function {name}")


@pytest.mark.parametrize("losses", [[], ["after"], ["before"], ["before", "after"], ["before"] * 9])
def test_a_payment_is_made_once_whatever_becomes_of_the_answers(losses: list[str]) -> None:
    pay = function("docs/howto/10-retries.md", "pay")
    db = Losing()
    db.losses = losses
    db.create(Record({"id": "a1", "balance": 0, "payments": {}}))
    assert pay(db, "a1", "p1", 10)["balance"] == 10
    assert pay(db, "a1", "p1", 10)["balance"] == 10
    assert pay(db, "a1", "p2", 5)["payments"] == {"p1": 10, "p2": 5}


def test_a_payment_that_never_goes_through_is_given_up() -> None:
    pay = function("docs/howto/10-retries.md", "pay")
    db = Losing()
    db.losses = ["before"] * 10
    db.create(Record({"id": "a1", "balance": 0, "payments": {}}))
    with pytest.raises(TimeoutError, match="a1 is changed too often"):
        pay(db, "a1", "p1", 10)
