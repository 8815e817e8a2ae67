"""Marks and journals of loads: what a listing tells, by how many requests, and that nothing undoes a finish."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataknobs_data.exceptions import DataFormatError
from dataknobs_data.s3.store import Fault, Kind, Page, PutOptions
from dataknobs_data.s3.tiered.journals import HEARTBEAT_MAX, JOURNAL_LIVE, Journals, LoadFolder, OpenJournal
from tests.unit.log_fakes import KEYS, Break, LogStore, Table


def put(table: Table, key: str, body: bytes = b"{}") -> None:
    """A file by somebody else."""
    table.store.put(key, body, PutOptions(), None)


def journals(table: Table) -> Journals:
    """Another process."""
    return Journals(table.caller(), KEYS)


def test_a_load_that_says_how_far_it_is() -> None:
    table = Table()
    ours, theirs = journals(table), journals(table)
    ours.open("B1", ["packs/b.parquet", "packs/a.parquet"], job="job-1")
    assert table.store.objects[KEYS.load_journal("B1")][0] == (
        b'{"format":1,"finished":false,"job":"job-1","packs":["packs/a.parquet","packs/b.parquet"]}'
    )
    assert theirs.finished(["B1"]) == set()
    table.world.seconds += 60
    ours.open("B1", ["packs/a.parquet"])
    begun = table.store.time
    assert theirs.open_journals(["B1"]) == [OpenJournal("B1", frozenset({"packs/a.parquet"}), None, begun)]
    table.world.seconds += 60
    ours.finish("B1")
    assert table.store.objects[KEYS.load("B1")][0] == b'{"format":1,"finished":true}'
    assert theirs.finished(["B1"]) == {"B1"}
    assert theirs.folder() == LoadFolder({"B1": table.store.time}, {"B1": begun})
    ours.close(["B1"])
    assert theirs.folder() == LoadFolder({"B1": table.store.time}, {})
    assert theirs.open_journals(["B1"]) == []


def test_a_late_heartbeat_undoes_no_finish() -> None:
    table = Table()
    journals(table).finish("B1")
    journals(table).open("B1", [])
    assert journals(table).finished(["B1"]) == {"B1"}


@pytest.mark.parametrize("before", [True, False])
def test_a_lost_answer_is_asked_for_again(before: bool) -> None:
    table = Table(max_retries=1)
    table.store.breaks = [Break(Kind.NETWORK, before=before, times=1, operation="PutObject")]
    journals(table).finish("B1")
    assert table.requests() == ["PutObject"] * (1 if before else 2)
    assert journals(table).finished(["B1"]) == {"B1"}


def test_what_was_seen_finished_is_not_asked_for_again() -> None:
    table = Table()
    ours = journals(table)
    ours.finish("B1")
    journals(table).finish("B2")
    table.requests()
    assert ours.finished(["B1"]) == {"B1"}
    assert ours.finished([]) == set()
    assert table.requests() == []
    assert ours.finished(["B1", "B2", "B3"]) == {"B1", "B2"}
    assert ours.finished(["B1", "B2"]) == {"B1", "B2"}
    assert table.requests() == ["ListObjectsV2"]
    ours.forget(["B1"])
    assert table.requests() == ["DeleteObjects"]
    assert ours.finished(["B1"]) == set()
    journals(table).finish("B3")
    assert ours.finished(["B3"]) == {"B3"}, "that something is not finished is never remembered"


def with_marks(births: list[str], page_size: int) -> Table:
    table = Table()
    table.store.page_size = page_size
    for birth in births:
        put(table, KEYS.load(birth))
    table.requests()
    return table


def test_the_folder_is_listed_from_the_first_birth_to_the_last() -> None:
    table = with_marks([f"B{number:04}" for number in range(100)], page_size=10)
    assert journals(table).finished([f"B{n:04}" for n in range(40, 60)]) == {f"B{n:04}" for n in range(40, 60)}
    assert table.requests() == ["ListObjectsV2"] * 2
    assert journals(table).finished(["B0003", "B0090"]) == {"B0003", "B0090"}
    assert table.requests() == ["ListObjectsV2"] * 2, "what lies between them is not listed"


@given(st.integers(0, 2**32))
@settings(max_examples=200)
def test_any_births_among_any_marks(seed: int) -> None:
    dice = random.Random(seed)
    births = [f"B{number}" for number in range(40)]
    there = dice.sample(births, dice.randrange(40))
    table = with_marks(there, page_size=dice.randrange(1, 12))
    for birth in dice.sample(births, dice.randrange(10)):
        put(table, KEYS.load_journal(birth))
        put(table, f"{KEYS.loads}{birth}-stranger")
        put(table, f"{KEYS.loads}{birth}/stranger.json")
    asked = dice.sample(births, dice.randrange(40))
    table.requests()
    assert journals(table).finished(asked) == set(asked) & set(there)
    pages = -(-len(table.store.objects) // table.store.page_size)
    assert len(table.requests()) <= pages + 1
    folder = journals(table).folder()
    assert folder.marks.keys() == set(there)


def test_empty_pages_are_not_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where much was deleted, S3 may answer with a page that has a token and nothing else."""
    table = with_marks(["B1", "B2"], page_size=10)
    plain = table.store.list_page

    def stutter(prefix: str, *, token: str | None = None, start_after: str | None = None) -> Page:
        return plain(prefix, start_after=token) if token else Page([], start_after)

    monkeypatch.setattr(table.store, "list_page", stutter)
    assert journals(table).finished(["B1", "B2", "B3"]) == {"B1", "B2"}


def test_many_are_forgotten_a_thousand_keys_to_a_request() -> None:
    births = [f"B{number:04}" for number in range(1001)]
    table = with_marks(births, page_size=1000)
    journals(table).forget(births[1:])
    assert table.requests() == ["DeleteObjects"] * 2
    assert list(table.store.objects) == [KEYS.load("B0000")]


@pytest.mark.parametrize("refused", [Kind.DENIED, Kind.SERVER])
def test_failed_requests_are_never_an_answer(refused: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    table = Table(max_retries=0)
    ours = journals(table)
    ours.open("B1", [])
    calls = (
        lambda: ours.finished(["B1"]),
        ours.folder,
        lambda: ours.open_journals(["B1"]),
        lambda: ours.open("B1", []),
        lambda: ours.finish("B1"),
        lambda: ours.close(["B1"]),
    )
    for call in calls:
        table.store.breaks = [Break(refused, times=100)]
        with pytest.raises(Fault) as caught:
            call()
        assert caught.value.kind is refused
    table.store.breaks = []
    monkeypatch.setattr(LogStore, "delete_many", lambda self, keys: {keys[0]: Fault(refused, "no")})
    with pytest.raises(Fault):
        ours.forget(["B1"])


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"", "empty document"),
        (b"[]", "list indices"),
        (b'{"format":1}', "'packs'"),
        (b'{"format":2,"packs":[],"job":null}', "its format 2 is not known to this version, which knows 1: upgrade"),
        (b'{"format":1,"packs":"a","job":null}', "its packs are no list of paths"),
        (b'{"format":1,"packs":[1],"job":null}', "its packs are no list of paths"),
    ],
)
def test_a_damaged_journal_is_named(body: bytes, told: str) -> None:
    table = Table()
    put(table, KEYS.load_journal("B1"), body)
    with pytest.raises(DataFormatError) as caught:
        journals(table).open_journals(["B1"])
    assert f"{KEYS.load_journal('B1')}: a journal that cannot be read: " in str(caught.value)
    assert told in str(caught.value)


def test_heartbeats_stop_before_vacuum_takes_the_load_for_dead() -> None:
    assert timedelta(minutes=2) < HEARTBEAT_MAX < JOURNAL_LIVE
