"""The ids of a load: which came before, whatever is left of those."""

from __future__ import annotations

import random
from collections.abc import Iterable

import pytest

from dataknobs_data.s3.tiered import own_ids
from dataknobs_data.s3.tiered.hashes import Hashes
from dataknobs_data.s3.tiered.own_ids import OwnIds


def repeats_of(windows: Iterable[list[str]]) -> tuple[list[set[int]], OwnIds]:
    """What it says of window after window, each taken without its repeats."""
    own, found, count = OwnIds(), [], 0
    for window in windows:
        places = own.repeats(window)
        found.append(places)
        first = [(id, count + place) for place, id in enumerate(window) if place not in places]
        own.take([id for id, _ in first], [index for _, index in first])
        count += len(window)
    return found, own


def by_a_set(windows: Iterable[list[str]]) -> list[set[int]]:
    """The same, by keeping all ids."""
    seen: set[str] = set()
    found: list[set[int]] = []
    for window in windows:
        places = set()
        for place, id in enumerate(window):
            if id in seen:
                places.add(place)
            seen.add(id)
        found.append(places)
    return found


@pytest.mark.parametrize("recent", [1, 7, 1 << 17])
def test_repeats_are_found_in_any_order(recent: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_ids, "RECENT_MAX", recent)
    for seed in range(100):
        chance = random.Random(seed)
        windows = [[f"{chance.randrange(60):02}" for _ in range(chance.randrange(12))] for _ in range(8)]
        windows = [sorted(set(window)) if chance.random() < 0.5 else window for window in windows]
        found, own = repeats_of(windows)
        assert found == by_a_set(windows)
        assert sorted(own.every()) == sorted({id for window in windows for id in window})


def test_ascending_ids_are_not_held_apart() -> None:
    found, own = repeats_of([["a", "b"], ["c"], ["d", "e"]])
    assert found == [set(), set(), set()]
    assert own._recent is None
    assert own.repeats(["b", "f", "a"]) == {0, 2}


def test_ids_of_one_hash_are_no_repeats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_ids, "RECENT_MAX", 1)
    monkeypatch.setattr(own_ids, "_hashes", lambda ids: [7 for _ in ids])
    found, _ = repeats_of([["b", "a"], ["d", "c"], ["c", "x", "b"]])
    assert found == [set(), set(), {0, 2}]


def test_dropped_ids_are_no_longer_among_them_but_still_repeat() -> None:
    _, own = repeats_of([["b", "a", "c"]])
    own.drop(["a"])
    assert list(own.every()) == ["b", "c"]
    assert own.among(["a", "c", "x"]) == ["c"]
    assert dict(own.indexes(["a", "c"])) == {"a": 1, "c": 2}
    assert own.repeats(["a"]) == {0}


def test_hashes_grow_and_find_what_they_have() -> None:
    chance = random.Random(1)
    numbers = {chance.randrange(-(2**63), 2**63) or 1 for _ in range(5000)} | set(range(-2000, 0))
    hashes = Hashes()
    hashes.add(numbers)
    hashes.add(list(numbers)[:100])
    assert hashes.among(numbers) == numbers
    assert hashes.among(range(1, 2000)) == numbers & set(range(1, 2000))
