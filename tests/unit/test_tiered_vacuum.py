"""Vacuum: what it deletes, what it never deletes, and that it may end at any request."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataknobs_data.exceptions import (
    ConfigurationError,
    DatabaseOperationError,
    DataFormatError,
    IncompatibleStoreError,
)
from dataknobs_data.s3.keys import companion_of, pack_path
from dataknobs_data.s3.store import Fault, Head, Kind, PutOptions
from dataknobs_data.s3.table.actions import Action, Add, MetaData, Protocol, Remove
from dataknobs_data.s3.table.log import Log
from dataknobs_data.s3.tiered.catalog import LOAD
from dataknobs_data.s3.tiered.journals import JOURNAL_LIVE, Journals
from dataknobs_data.s3.tiered.vacuum import RETENTION, Vacuum, VacuumReport
from tests.unit.log_fakes import KEYS, SCHEMA, Break, LogStore, Table, pack, paths

HOUR, DAY, WEEK = timedelta(hours=1), timedelta(days=1), timedelta(days=7)
P = pack_path


def ids_path(name: str) -> str:
    return companion_of(P(name))


BODY = b"x" * 100


class World:
    """A table whose packs lie in the store, and processes that work with it."""

    def __init__(self, *, max_retries: int = 10) -> None:
        self.table = Table(max_retries=max_retries)
        self.store = self.table.store
        self.log: Log = self.table.made()

    def passes(self, time: timedelta) -> None:
        self.table.world.seconds += time.total_seconds()

    def put(self, *names: str, ids: bool = False) -> None:
        """Packs, perhaps with companions, that are not of the table yet."""
        for name in names:
            self.store.put(KEYS.table_file(P(name)), BODY, PutOptions(), None)
            if ids:
                self.store.put(KEYS.table_file(ids_path(name)), BODY[:10], PutOptions(), None)

    def commit(self, *actions: Action) -> None:
        made = self.log.commit_with(lambda snapshot: list(actions), self.table.job(), snapshot=self.log.known)
        assert made

    def load(self, *names: str, birth: str | None = None, ids: bool = False) -> None:
        """Packs of the table."""
        self.put(*names, ids=ids)
        self.commit(*(pack(P(name), tags={LOAD: birth} if birth else None) for name in names))

    def remove(self, *names: str) -> None:
        assert self.log.known
        self.commit(*(self.log.known.packs[P(name)].removed(0) for name in names))

    def journals(self) -> Journals:
        return Journals(self.table.caller(), KEYS)

    def vacuum(self, retention: timedelta = RETENTION, *, dry_run: bool = False) -> VacuumReport:
        """By a process of its own."""
        return self.vacuumer().run(retention, dry_run=dry_run)

    def vacuumer(self) -> Vacuum:
        return Vacuum(self.table.caller(), KEYS, self.table.log(), self.journals())

    def files(self) -> list[str]:
        """Paths of packs and companions."""
        return sorted(path for key in self.store.objects if (path := KEYS.table_path(key)))

    def loads(self) -> list[str]:
        return sorted(key.removeprefix(KEYS.loads) for key in self.store.objects if key.startswith(KEYS.loads))


# ---------------------------------------------------------------------------------------------- what goes
def test_packs_go_when_nobody_can_read_them_any_more() -> None:
    world = World()
    world.load("old", "kept", ids=True)
    world.passes(30 * DAY)
    world.remove("old")
    world.passes(WEEK - HOUR)
    assert world.vacuum() == VacuumReport(kept_for_readers=2)
    world.passes(HOUR)
    assert world.vacuum(dry_run=True) == VacuumReport(files=2, bytes=110, dry_run=True)
    assert world.files() == [ids_path("kept"), ids_path("old"), P("kept"), P("old")]
    assert world.vacuum() == VacuumReport(files=2, bytes=110)
    assert world.files() == [ids_path("kept"), P("kept")]
    assert world.vacuum() == VacuumReport()


def test_packs_that_nobody_committed_go_by_their_age() -> None:
    world = World()
    world.put("dead", ids=True)
    world.passes(WEEK - HOUR)
    assert world.vacuum() == VacuumReport(kept_young=2)
    world.passes(HOUR)
    assert world.vacuum().files == 2
    assert world.files() == []


def test_a_companion_goes_by_its_pack() -> None:
    world = World()
    world.load("kept")
    world.put("kept", "orphan", ids=True)
    del world.store.objects[KEYS.table_file(P("orphan"))]
    world.passes(WEEK)
    assert world.vacuum() == VacuumReport(files=1, bytes=10)
    assert world.files() == [ids_path("kept"), P("kept")]
    world.put("moved", ids=True)
    world.passes(WEEK)
    world.store.put(KEYS.table_file(P("moved")), BODY, PutOptions(), None)
    assert world.vacuum() == VacuumReport(kept_young=2), "the pack was written again, its companion was not"


def test_what_was_added_and_removed_again_within_the_retention_is_kept() -> None:
    world = World()
    world.put("brief")
    world.passes(30 * DAY)
    world.commit(pack(P("brief")))
    world.remove("brief")
    assert world.vacuum() == VacuumReport(kept_for_readers=1)


def test_files_of_others_are_not_touched() -> None:
    world = World()
    world.load("kept")
    others = ["packs/x.parquet.tmp", "packs/a/b.parquet", "part-0.parquet", "_ids/", "_change_data/x.parquet"]
    for path in others:
        world.store.put(KEYS.table_file(path), BODY, PutOptions(), None)
    world.passes(365 * DAY)
    before = set(world.store.objects)
    assert world.vacuum() == VacuumReport()
    assert set(world.store.objects) == before


def test_without_a_table_nothing_is_touched() -> None:
    world = World()
    world.put("waiting")
    for key in [key for key in world.store.objects if key.startswith(KEYS.log)]:
        del world.store.objects[key]
    world.passes(30 * DAY)
    assert world.vacuum() == VacuumReport()
    assert world.files() == [P("waiting")]


# ---------------------------------------------------------------------------------------------- loads
def test_packs_of_a_load_under_way_are_kept_while_its_heart_beats() -> None:
    world = World()
    world.journals().open("B1", [P("first"), P("second")])
    world.put("first", "second", "waste", ids=True)
    for _ in range(20):
        world.passes(12 * HOUR)
        world.journals().open("B1", [P("first"), P("second")])
    assert world.vacuum() == VacuumReport(files=2, bytes=110, kept_for_loads=4)
    world.passes(JOURNAL_LIVE - HOUR)
    assert world.vacuum() == VacuumReport(kept_for_loads=4)
    world.passes(HOUR)
    assert world.vacuum() == VacuumReport(files=4, bytes=220)
    assert world.loads() == ["B1.open.json"]
    world.passes(WEEK)
    assert world.vacuum() == VacuumReport(loads=1)
    assert world.loads() == []


def test_a_mark_goes_when_no_reader_can_meet_its_birth() -> None:
    world = World()
    world.load("of-b1", birth="B1")
    world.journals().finish("B1")
    world.passes(30 * DAY)
    assert world.vacuum() == VacuumReport()
    world.put("again")
    assert world.log.known
    world.commit(world.log.known.packs[P("of-b1")].removed(0), pack(P("again")))
    world.journals().finish("B0")  # of no pack, but of now
    assert world.vacuum(dry_run=True) == VacuumReport(kept_for_readers=1, dry_run=True)
    world.passes(WEEK)
    assert world.vacuum(dry_run=True) == VacuumReport(files=1, bytes=100, loads=2, dry_run=True)
    assert world.loads() == ["B0.json", "B1.json"]
    assert world.vacuum() == VacuumReport(files=1, bytes=100, loads=2)
    assert world.loads() == []


def test_marks_stay_where_a_commit_does_not_say_what_it_removed() -> None:
    world = World()
    world.load("of-b1", birth="B1")
    world.journals().finish("B1")
    world.passes(30 * DAY)
    world.commit(Remove(P("of-b1"), None))
    assert world.vacuum().loads == 0
    world.passes(WEEK)
    assert world.vacuum().loads == 1


def test_a_damaged_journal_stops_all() -> None:
    world = World()
    world.put("waste")
    world.store.put(KEYS.load_journal("B1"), b"[", PutOptions(), None)
    world.passes(30 * DAY)
    with pytest.raises(DataFormatError, match=r"B1\.open\.json: a journal that cannot be read"):
        world.vacuum()
    assert world.files() == [P("waste")]


# ---------------------------------------------------------------------------------------------- refusals
def test_less_than_a_day_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="retention is 23:59:59, but must be 1 day, 0:00:00 or more") as caught:
        World().vacuum(DAY - timedelta(seconds=1))
    assert caught.value.context["key"] == "retention"


def test_a_log_that_was_cleaned_within_the_retention_is_refused() -> None:
    world = World()
    world.load("old", "kept")
    world.passes(30 * DAY)
    world.remove("old")
    world.passes(2 * DAY)
    world.load("later")
    assert world.log.known
    world.table.upkeep(world.log).checkpoint(world.log.known, DAY)
    world.passes(2 * DAY)
    world.load("last")
    assert world.table.upkeep(world.log).clean(DAY) == 3
    with pytest.raises(ConfigurationError, match="the log has been cleaned and reaches back 2 days, 0:00:00 only"):
        world.vacuum()
    assert P("old") in world.files()
    assert world.vacuum(2 * DAY).files == 1
    assert P("old") not in world.files()


def test_a_gap_in_the_log_behind_its_checkpoint_is_refused() -> None:
    world = World()
    world.load("old")
    world.remove("old")
    assert world.log.known
    world.table.upkeep(world.log).checkpoint(world.log.known, WEEK)
    world.put("waste")
    del world.store.objects[KEYS.log_file(1, "json")]
    with pytest.raises(ConfigurationError, match="nothing was deleted"):
        world.vacuum()
    world.passes(30 * DAY)
    assert world.vacuum().files == 2, "now all that was cleaned is older than the retention"


def test_a_table_that_is_not_for_this_package_to_write() -> None:
    world = World()
    world.put("waste")
    world.passes(30 * DAY)
    world.commit(Protocol(1, 7, (), ("appendOnly", "rowTracking")), MetaData("id", SCHEMA))
    with pytest.raises(DataFormatError, match="rowTracking"):
        world.vacuum()
    assert world.files() == [P("waste")]


def test_a_store_without_a_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    world.put("waste")
    world.passes(30 * DAY)
    monkeypatch.setattr(
        LogStore, "head", lambda self, key, **_: Head("e", 1, {}, self.time, "STANDARD", None, now=None)
    )
    with pytest.raises(IncompatibleStoreError, match="does not tell its time"):
        world.vacuum()
    assert world.files() == [P("waste")]


def test_what_cannot_be_deleted_is_said_after_all_else_was_deleted(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    names = [f"{number:04}" for number in range(1001)]
    world.put(*names)
    world.passes(WEEK)

    def locked(keys: list[str]) -> dict[str, Fault]:
        for key in keys:
            if "000" not in key:
                del world.store.objects[key]
        return {key: Fault(Kind.DENIED, "locked") for key in keys if "000" in key}

    monkeypatch.setattr(world.store, "delete_many", locked)
    with pytest.raises(
        DatabaseOperationError, match=r"0000\.parquet could not be deleted, with 10 more; the table is whole"
    ):
        world.vacuum()
    assert len(world.files()) == 11
    monkeypatch.undo()
    assert world.vacuum().files == 11


# ---------------------------------------------------------------------------------------------- requests
def test_requests() -> None:
    world = World()
    world.load(*(f"{number:04}" for number in range(900)), ids=True)
    world.passes(30 * DAY)
    world.table.requests()
    looks = ["ListObjectsV2"] * 3  # packs, companions, loads
    opening = ["GetObject", "ListObjectsV2", "GetObject", "GetObject"]
    assert world.vacuum() == VacuumReport()
    assert world.table.requests() == looks + opening, "where all files are of the table, that is all"
    world.remove(*(f"{number:04}" for number in range(600)))
    world.passes(30 * DAY)
    world.load("new")
    world.table.requests()
    vacuum = world.vacuumer()
    assert vacuum.run().files == 1200
    of_the_log = ["ListObjectsV2", "HeadObject", "GetObject"]
    opening += ["GetObject"] * 2
    assert world.table.requests() == looks + opening + of_the_log + ["DeleteObjects"] * 2
    assert vacuum.run() == VacuumReport()
    assert world.table.requests() == [*looks, "ListObjectsV2"]


# ---------------------------------------------------------------------------------------------- beside others
def meanwhile(world: World, act: Callable[[World], None], nth: int) -> VacuumReport | None:
    """A vacuum before whose nth request something happens; None where it has fewer."""
    left = nth

    def before(operation: str, key: str) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            world.store.meanwhile = lambda operation, key: None
            act(world)
            world.store.meanwhile = before

    world.store.meanwhile = before
    vacuum = world.vacuumer()
    report = vacuum.run()
    world.store.meanwhile = lambda operation, key: None
    return None if left > 0 else report


def commit_of_a_long_load(world: World) -> None:
    world.commit(pack(P("long")))
    world.journals().finish("B1")
    world.journals().close(["B1"])


def removal_of_a_pack(world: World) -> None:
    world.remove("read")


def a_whole_load(world: World) -> None:
    world.load("quick", birth="B2")
    world.journals().finish("B2")
    world.remove("quick")


@pytest.mark.parametrize(
    ("act", "births"), [(commit_of_a_long_load, {"B1"}), (removal_of_a_pack, set()), (a_whole_load, {"B2"})]
)
def test_what_happens_before_any_request_of_a_vacuum(act: Callable[[World], None], births: set[str]) -> None:
    """Whatever was readable at the beginning or is at the end, can be read at the end."""
    for nth in range(1, 40):
        world = World()
        world.load("read", "waste")
        world.put("long")
        world.journals().open("B1", [P("long")])
        world.passes(WEEK)
        world.remove("waste")
        for _ in range(20):
            world.passes(12 * HOUR)
            world.journals().open("B1", [P("long")])
        begun = set(paths(world.log.refresh()))
        report = meanwhile(world, act, nth)
        if report is None:
            assert nth > 9
            return
        assert report.files == 1
        assert P("waste") not in world.files()
        assert begun | set(paths(world.table.log().refresh())) <= set(world.files())
        finished = world.journals().finished(["B1", "B2"])
        assert finished == births
    raise AssertionError("it never ends")


@pytest.mark.parametrize("kind", [Kind.NETWORK, Kind.DENIED])
def test_a_vacuum_that_ends_at_any_request(kind: Kind) -> None:
    """NETWORK: an answer that is lost; DENIED: the process ends there, for nothing is tried again."""
    ended = 0
    for nth, before in [(nth, before) for nth in range(1, 25) for before in (True, False)]:
        world = World(max_retries=0)
        world.load("old", "kept", birth="B1", ids=True)
        world.journals().finish("B1")
        world.put("dead", ids=True)
        world.journals().open("B2", [P("dead")])
        world.journals().open("B3", [P("under way")])
        world.put("under way")
        world.remove("old")
        world.passes(30 * DAY)
        world.load("more", birth="B4")
        world.journals().finish("B0")
        world.journals().open("B3", [P("under way")])
        world.store.breaks = [Break(kind, nth=nth, before=before)]
        try:
            world.vacuum()
        except Fault:
            ended += 1
        world.store.breaks = []
        needed = [ids_path("kept"), P("kept"), P("more"), P("under way")]
        assert set(needed) <= set(world.files())
        assert paths(world.table.log().refresh()) == [P("kept"), P("more")]
        world.vacuum()
        assert world.files() == needed
        assert world.loads() == ["B0.json", "B1.json", "B3.open.json"]
        assert world.vacuum() == VacuumReport(kept_for_loads=1)
    assert ended > 15


# ---------------------------------------------------------------------------------------------- all of it
@given(st.integers(0, 2**32))
@settings(max_examples=150, deadline=None)
def test_readers_and_loads_of_any_history_find_their_packs(seed: int) -> None:
    """Every snapshot that was the newest within the retention can be read, every load that still lives can commit."""
    dice = random.Random(seed)
    world = World()
    store = world.store
    packs: dict[str, Add] = {}
    loads: dict[str, list[str]] = {}
    versions: list[tuple[float, set[str]]] = []  # when it ceased to be the newest
    since = 0.0
    for step in range(dice.randrange(5, 40)):
        world.passes(timedelta(hours=dice.choice([1, 6, 11])))
        for birth, names in loads.items():
            world.journals().open(birth, map(P, names))
        was, what = set(packs), dice.choice(["load", "remove", "begin", "more", "end", "die", "vacuum", "vacuum"])
        if what == "load":
            packs[P(f"{step}")] = pack(P(f"{step}"), tags={LOAD: f"B{step}"})
            world.load(f"{step}", birth=f"B{step}", ids=dice.random() < 0.5)
            world.journals().finish(f"B{step}")
        elif what == "remove" and packs:
            gone = dice.choice(sorted(packs))
            world.commit(packs.pop(gone).removed(0))
        elif what == "begin":
            loads[f"B{step}"] = [f"{step}"]
            world.journals().open(f"B{step}", [P(f"{step}")])
            world.put(f"{step}")
        elif what == "more" and loads:
            names = loads[dice.choice(sorted(loads))]
            names.append(f"{step}")
            world.put(f"{step}")
        elif what == "end" and loads:
            birth = dice.choice(sorted(loads))
            names = loads.pop(birth)
            world.commit(*(pack(P(name), tags={LOAD: birth}) for name in names))
            world.journals().finish(birth)
            world.journals().close([birth])
            packs |= {P(name): pack(P(name), tags={LOAD: birth}) for name in names}
        elif what == "die" and loads:
            del loads[dice.choice(sorted(loads))]
        elif what == "vacuum":
            retention = dice.choice([DAY, 2 * DAY, WEEK])
            world.vacuum(retention)
            since = max(since, (store.time - retention).timestamp())
            there = set(world.files())
            readable = [found for end, found in versions if end > since]
            assert set(packs).union(*readable, *(map(P, names) for names in loads.values())) <= there
            marked = {add.tags[LOAD] for add in packs.values() if add.tags}
            assert world.journals().finished(marked) == marked
        if set(packs) != was:
            versions.append((store.time.timestamp(), was))
    loads.clear()
    world.passes(30 * DAY)
    world.vacuum(DAY)
    there = set(world.files())
    assert there & {P(name.removeprefix("packs/").removesuffix(".parquet")) for name in there} == set(packs)
    assert {path for path in there if path not in packs} <= set(map(companion_of, packs))
    assert {birth for birth in map(KEYS.load_id, store.objects) if birth} == {
        add.tags[LOAD] for add in packs.values() if add.tags
    }
    assert not any(map(KEYS.load_journal_id, store.objects))
