"""The code takes the steps of the protocol's model, in every order that two of its operations can take them in."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from dataknobs_data.s3.putting import Put, Putter
from dataknobs_data.s3.steps import current_step
from dataknobs_data.s3.store import Match
from dataknobs_data.s3.tiered import loading
from dataknobs_data.s3.tiered.fences import Ages
from dataknobs_data.s3.tiered.journals import Journals
from dataknobs_data.s3.tiered.loading import Newcomers
from dataknobs_data.s3.tiered.places import Places
from dataknobs_data.s3.tiered.publishing import Publication
from tests.model.replay import LOOKED_AT, replay, replay_at_random
from tests.model.stores import Mismatch, Store
from tests.model.tiers_promise import STARTS
from tests.model.turns import KINDS, covering


def fits(names: Sequence[str]) -> bool:
    """A compaction that begins long after another one, and shall find what that has left, has no others beside it."""
    return sum(KINDS[name].part == "compact" for name in names) < 2 or not any(KINDS[name].late for name in names)


PAIRS = [*filter(fits, itertools.combinations_with_replacement(KINDS, 2))]


@pytest.mark.parametrize("start", STARTS)
def test_two_operations_take_every_step_that_the_model_takes(start: str) -> None:
    taken = sum(replay_all(start, names) for names in PAIRS)
    assert taken > 500, "it did go through it"


def replay_all(start: str, names: Sequence[str]) -> int:
    """Takes every step that there is; returns how many were taken."""
    taken = 0
    for schedule in covering(start, names):
        replay(start, names, schedule)
        taken += len(schedule)
    return taken


def chosen(seed: int, size: int) -> tuple[str, list[str]]:
    """Where it begins and who acts."""
    chance = random.Random(seed)
    start = chance.choice([*STARTS])
    while not fits(names := chance.choices([*KINDS], k=size)):
        pass
    return start, names


@pytest.mark.parametrize("block", range(3))
def test_three_operations_follow_the_model(block: int) -> None:
    for seed in range(block * 100, block * 100 + 100):
        replay_at_random(*chosen(seed, 3), seed, one_dies=False)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_what_is_left_of_an_operation_that_dies_is_what_the_model_leaves(size: int) -> None:
    for seed in range(100):
        replay_at_random(*chosen(seed, size), seed, one_dies=True)


# ---------------------------------------------------------------------------------------------- the harness can fail
@pytest.fixture(autouse=True)
def enough_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock stands still here. When a compaction may fold what several creations contest, the explorer of the model says."""
    monkeypatch.setattr(Ages, "is_outlived", lambda self, line: True)


def skip_looks(monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    """The log is not looked at in that step."""
    births = Places.births

    def look(self: Places, id: str, deadline: Any, name: str) -> frozenset[str]:
        return frozenset() if name == step else births(self, id, deadline, name)

    monkeypatch.setattr(Places, "births", look)


def ignore_looks(monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    """What is found in that step is not heeded: all requests are the right ones."""
    births = Places.births

    def look(self: Places, id: str, deadline: Any, name: str) -> frozenset[str]:
        found = births(self, id, deadline, name)
        return frozenset() if name == step else found

    monkeypatch.setattr(Places, "births", look)


def undo_unconditionally(monkeypatch: pytest.MonkeyPatch) -> None:
    bury = Putter.bury

    def careless(self: Putter, id: str, tombstone: Any, condition: Any, now: str, deadline: Any) -> Put:
        return bury(self, id, tombstone, None if current_step() == "create.undo" else condition, now, deadline)

    monkeypatch.setattr(Putter, "bury", careless)


def delete_unconditionally(monkeypatch: pytest.MonkeyPatch) -> None:
    bury = Putter.bury

    def careless(self: Putter, id: str, tombstone: Any, condition: Any, now: str, deadline: Any) -> Put:
        return bury(self, id, tombstone, None if isinstance(condition, Match) else condition, now, deadline)

    monkeypatch.setattr(Putter, "bury", careless)


def forget_other_kills(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tombstone over another kills one birth only."""
    bury = Putter.bury

    def careless(self: Putter, id: str, tombstone: Any, condition: Any, now: str, deadline: Any) -> Put:
        return bury(self, id, replace(tombstone, kills=frozenset({max(tombstone.kills)})), condition, now, deadline)

    monkeypatch.setattr(Putter, "bury", careless)


def hide_every_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tombstone hides rows whose births it does not kill."""
    for method in ("row", "behind"):
        looked = getattr(Places, method)

        def look(self: Places, id: str, deadline: Any, name: str, kills: Any = (), looked: Any = looked) -> Any:
            found = looked(self, id, deadline, name, kills)
            return None if kills else found

        monkeypatch.setattr(Places, method, look)


def load_without_looking_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Newcomers, "check", lambda self, deadline: [])


def load_that_keeps_what_it_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "foreign_to", lambda birth, found: False)


def load_that_does_not_say_that_it_is_finished(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Journals, "finish", lambda self, birth, deadline=None: None)


def drop_unconditionally(monkeypatch: pytest.MonkeyPatch) -> None:
    delete = Store.delete
    monkeypatch.setattr(Store, "delete", lambda self, key, condition: delete(self, key, None))


def commit_after_any_conflict(monkeypatch: pytest.MonkeyPatch) -> None:
    """A compaction does not look again when others have committed."""
    monkeypatch.setattr(Publication, "_check_apart", lambda *args: None)


Break = Callable[[pytest.MonkeyPatch], None]
MISTAKES: dict[str, tuple[Break, str, tuple[str, ...]]] = {
    "create does not look again": (lambda m: skip_looks(m, "create.check"), "nothing", ("create", "load")),
    "create does not heed what it finds": (lambda m: ignore_looks(m, "create.check"), "nothing", ("create", "load")),
    "create does not look behind a tombstone": (
        lambda m: ignore_looks(m, "create.behind"),
        "a lost creator's tombstone before a live row",
        ("create", "read"),
    ),
    "create takes back unconditionally": (undo_unconditionally, "nothing", ("create", "load", "update")),
    "delete is unconditional": (delete_unconditionally, "an object", ("delete", "update")),
    "a tombstone kills its own birth only": (
        forget_other_kills,
        "a document over the row it replaces",
        ("delete", "read"),
    ),
    "a tombstone hides every row": (
        hide_every_row,
        "a lost creator's tombstone before a live row",
        ("update", "read"),
    ),
    "a load does not look again": (load_without_looking_again, "nothing", ("create", "load")),
    "a load does not heed what it finds": (load_that_keeps_what_it_lost, "nothing", ("create", "load")),
    "a load does not say that it is finished": (
        load_that_does_not_say_that_it_is_finished,
        "nothing",
        ("load", "read"),
    ),
    "a compaction deletes unconditionally": (drop_unconditionally, "an object", ("update", "late compact")),
    "a compaction does not look again": (commit_after_any_conflict, "an object", ("compact", "compact")),
    "a change does not look behind a young record": (
        lambda m: skip_looks(m, "change.young"),
        "nothing",
        ("create", "update"),
    ),
    "a change does not heed what lies behind a young record": (
        lambda m: ignore_looks(m, "change.young"),
        "nothing",
        ("create", "load", "delete"),
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_found(monkeypatch: pytest.MonkeyPatch, mistake: str) -> None:
    build_in, start, names = MISTAKES[mistake]
    build_in(monkeypatch)
    LOOKED_AT.clear()
    with pytest.raises(Mismatch):
        replay_all(start, names)
