"""Changes by `expected_version` of records in packs, beside bulk updates: at every request of either, one of them comes first."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from dataknobs_data.backends.s3 import S3Database
from dataknobs_data.exceptions import ConcurrencyError, OutcomeUnknownError
from dataknobs_data.records import Record
from dataknobs_data.s3.steps import current_step
from dataknobs_data.s3.store import Kind
from tests.unit.log_fakes import KEYS, Break
from tests.unit.tiered_fakes import Processes, plain, values

IDS = ["a", "b", "c", "d"]
IT = IDS[1]
OBJECT = KEYS.record(IT)
BULK, MINE = {"v": "bulk"}, {"v": "mine"}
DONE, REFUSED, UNKNOWN = "done", "refused", "unknown"


@pytest.fixture
def all_of_us() -> Iterator[Processes]:
    processes = Processes()
    with processes.database() as database:
        database.batch_create([Record({"v": "old"}, id=id) for id in IDS])
    yield processes
    processes.close()


def bulk(database: S3Database) -> bool:
    """What it says of the record."""
    return database.batch_update([(id, Record(dict(BULK))) for id in IDS])[IDS.index(IT)]


def update(database: S3Database, version: str) -> bool:
    return database.update(IT, Record(dict(MINE)), expected_version=version)


def delete(database: S3Database, version: str) -> bool:
    return database.delete(IT, expected_version=version)


CHANGES = {"update": update, "delete": delete}
Change = Callable[[S3Database, str], bool]


@pytest.fixture(params=CHANGES)
def change(request: pytest.FixtureRequest) -> Change:
    return CHANGES[request.param]


def told(change: Change, database: S3Database, version: str) -> str:
    """What came of it."""
    try:
        assert change(database, version) is True
    except ConcurrencyError:
        return REFUSED
    except OutcomeUnknownError:
        return UNKNOWN
    return DONE


def version_of(database: S3Database) -> str:
    version = database.get_version(IT)
    assert version
    return version


def now(processes: Processes) -> dict[str, Any] | None:
    with processes.database() as database:
        return values(database).get(IT)


def rests(processes: Processes, seen: dict[str, Any] | None) -> None:
    """Compactions change nothing of what is seen, and leave no object."""
    for _ in range(3):
        processes.world.seconds += 1000
        with processes.database() as database:
            database.compact(full=True)
    assert now(processes) == seen
    assert not processes.hot()
    assert len(processes.rows().get(IT, [])) == (seen is not None)


def at_step(processes: Processes, name: str, act: Callable[[], object], *, before: bool = True) -> list[str]:
    """Somebody acts once, before or after the first request of that step."""
    acted: list[str] = []

    def hook(operation: str, key: str) -> None:
        if current_step() == name and not acted:
            acted.append(key)
            act()

    setattr(processes.store, "meanwhile" if before else "after", hook)
    return acted


# ---------------------------------------------------------------------------------------------- one inside the other
CHANGE_STEPS = [
    ("change.start", True, False),
    ("change.table", True, False),
    ("change.table", False, False),
    ("change.fresh", True, False),
    ("change.fresh", False, True),
    ("change.verify", True, True),
    ("change.verify", False, True),
]


@pytest.mark.parametrize(("step", "before", "is_put"), CHANGE_STEPS)
def test_a_bulk_update_at_each_step_of_a_change(
    all_of_us: Processes, change: Change, step: str, before: bool, is_put: bool
) -> None:
    ours, theirs = all_of_us.database(), all_of_us.database()
    version = version_of(ours)
    bulks: list[bool] = []
    acted = at_step(all_of_us, step, lambda: bulks.append(bulk(theirs)), before=before)
    outcome = told(change, ours, version)
    assert acted
    all_of_us.lives()
    deleted = is_put and change is delete
    assert outcome == (DONE if is_put else REFUSED)
    assert bulks == [not deleted]
    assert now(all_of_us) == (None if deleted else BULK)
    rests(all_of_us, None if deleted else BULK)


STEPS = ["bulk_update.start", "bulk_update.object", "bulk_update.commit", "bulk_update.check"]


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("step", STEPS)
def test_a_change_at_each_step_of_a_bulk_update(all_of_us: Processes, change: Change, step: str, before: bool) -> None:
    ours, theirs = all_of_us.database(), all_of_us.database()
    version = version_of(theirs)
    outcomes: list[str] = []
    acted = at_step(all_of_us, step, lambda: outcomes.append(told(change, theirs, version)), before=before)
    found = bulk(ours)
    assert acted
    all_of_us.lives()
    came_first = step in STEPS[:2] or (step, before) == ("bulk_update.commit", True)
    assert outcomes == [DONE if came_first else REFUSED]
    deleted = came_first and change is delete
    assert found is not deleted
    assert now(all_of_us) == (None if deleted else BULK)
    rests(all_of_us, None if deleted else BULK)


@pytest.mark.parametrize("nth", range(12))
def test_a_whole_change_at_each_request_of_a_bulk_update_and_the_other_way_round(
    all_of_us: Processes, change: Change, nth: int
) -> None:
    ours, theirs = all_of_us.database(), all_of_us.database()
    version = version_of(theirs)
    outcomes: list[str] = []
    with all_of_us.at_request(nth, lambda: outcomes.append(told(change, theirs, version))) as acted:
        found = bulk(ours)
    if not acted:
        outcomes.append(told(change, theirs, version))
    deleted = change is delete and outcomes == [DONE]
    assert outcomes in ([DONE], [REFUSED])
    assert found is not deleted
    assert now(all_of_us) == (None if deleted else BULK)


# ---------------------------------------------------------------------------------------------- both at it
def test_a_change_that_was_late_puts_back_what_the_bulk_update_wrote(all_of_us: Processes, change: Change) -> None:
    """Its PUT comes when the bulk update is over."""
    ours, theirs = all_of_us.database(), all_of_us.database()
    version = version_of(ours)
    at_step(all_of_us, "change.fresh", lambda: bulk(theirs))
    assert told(change, ours, version) == REFUSED
    all_of_us.lives()
    newer = version_of(ours)
    with pytest.raises(ConcurrencyError) as refusal:
        change(ours, version)
    assert refusal.value.context["actual_version"] == newer
    assert all_of_us.hot() == {IT}, "as it is in the table, until a compaction takes it for folded"
    assert change(ours, newer) is True
    rests(all_of_us, None if change is delete else MINE)


class Turns:
    """Requests of two threads in a given order: the first of each of these steps; all others come as they come."""

    def __init__(self, processes: Processes, steps: list[str]) -> None:
        self._left = list(steps)
        self._all = threading.Condition()
        processes.store.meanwhile, processes.store.after = self._wait, self._pass

    def _wait(self, operation: str, key: str) -> None:
        step = current_step()
        with self._all:
            assert self._all.wait_for(lambda: step not in self._left or self._left[0] == step, 20), self._left

    def _pass(self, operation: str, key: str) -> None:
        with self._all:
            if self._left and self._left[0] == current_step():
                self._left.pop(0)
                self._all.notify_all()


BEGINNING = ["bulk_update.object", "change.fresh", "bulk_update.commit"]
ORDERS: dict[str, tuple[list[str], str]] = {
    "the change is settled before the bulk update looks": (
        ["change.verify", "change.restore", "bulk_update.check"],
        REFUSED,
    ),
    "the bulk update has seen it, and finds it changed": (
        ["bulk_update.row", "change.verify", "change.restore", "bulk_update.settle"],
        REFUSED,
    ),
    "the bulk update is a little faster": (
        ["bulk_update.row", "change.verify", "bulk_update.settle", "change.restore"],
        DONE,
    ),
    "the bulk update is over before the change looks": (["bulk_update.settle", "change.verify"], DONE),
}


@pytest.mark.parametrize("order", ORDERS)
def test_both_at_once(all_of_us: Processes, change: Change, order: str) -> None:
    """The change is put between the bulk update's look at the objects and its commit, and sees the commit."""
    ours, theirs = all_of_us.database(), all_of_us.database()
    version = version_of(theirs)
    steps, of_delete = ORDERS[order]
    settle = "bulk_update.seal" if change is delete else "bulk_update.restore"
    steps = [*BEGINNING, *(settle if step == "bulk_update.settle" else step for step in steps)]
    turns = Turns(all_of_us, steps)
    with ThreadPoolExecutor(1) as thread:
        outcome = thread.submit(told, change, theirs, version)
        found = bulk(ours)
        assert outcome.result(30) == (of_delete if change is delete else REFUSED)
    all_of_us.lives()
    assert turns._left in ([], steps[-1:]), "who comes second is refused"
    deleted = change is delete and of_delete == DONE
    assert found is not deleted
    assert now(all_of_us) == (None if deleted else BULK)
    rests(all_of_us, None if deleted else BULK)


def test_a_change_on_top_of_a_change_bears_the_same_mark(all_of_us: Processes, change: Change) -> None:
    ours, theirs = all_of_us.database(), all_of_us.database()
    version = version_of(theirs)
    outcomes: list[str] = []

    def both() -> None:
        outcomes.append(told(update, theirs, version))
        outcomes.append(told(change, theirs, version_of(theirs)))

    at_step(all_of_us, "bulk_update.commit", both)
    found = bulk(ours)
    all_of_us.lives()
    assert outcomes == [DONE, DONE]
    assert found is (change is update)
    assert now(all_of_us) == (BULK if change is update else None)


def test_a_plain_write_is_the_last_one(all_of_us: Processes) -> None:
    ours, theirs = all_of_us.database(), all_of_us.database()
    version = version_of(theirs)

    def both() -> None:
        assert update(theirs, version)
        assert theirs.update(IT, Record({"v": "plain"}))

    at_step(all_of_us, "bulk_update.commit", both)
    assert bulk(ours)
    all_of_us.lives()
    assert now(all_of_us) == {"v": "plain"}


def test_what_others_made_of_a_late_change_is_not_undone(all_of_us: Processes) -> None:
    ours, theirs = all_of_us.database(), all_of_us.database()
    version = version_of(ours)

    def late() -> None:
        bulk(theirs)
        all_of_us.lives()
        at_step(all_of_us, "change.restore", lambda: theirs.update(IT, Record({"v": "plain"})))

    at_step(all_of_us, "change.fresh", late)
    assert told(update, ours, version) == UNKNOWN
    all_of_us.lives()
    assert now(all_of_us) == {"v": "plain"}


def test_an_upsert_creates_what_was_deleted_meanwhile(all_of_us: Processes) -> None:
    ours, theirs = all_of_us.database(), all_of_us.database()
    version = version_of(theirs)
    at_step(all_of_us, "bulk_update.commit", lambda: delete(theirs, version))
    assert ours.batch_upsert([Record(dict(BULK), id=id) for id in IDS]) == IDS
    all_of_us.lives()
    assert now(all_of_us) == BULK
    rests(all_of_us, BULK)


@pytest.mark.parametrize("with_bulk", [False, True])
def test_a_change_that_is_folded_before_it_looks(all_of_us: Processes, change: Change, with_bulk: bool) -> None:
    ours, theirs = all_of_us.database(), all_of_us.database()
    version = version_of(ours)

    def late() -> None:
        if with_bulk:
            bulk(theirs)
        all_of_us.lives()
        at_step(all_of_us, "change.verify", lambda: theirs.compact(full=True))

    at_step(all_of_us, "change.fresh", late)
    assert told(change, ours, version) == (UNKNOWN if with_bulk else DONE)
    all_of_us.lives()
    assert now(all_of_us) == (None if change is delete else MINE)


# ---------------------------------------------------------------------------------------------- lost answers
@pytest.mark.parametrize("step", ["change.fresh", "change.restore"])
def test_lost_answers_of_a_change_that_is_late(all_of_us: Processes, change: Change, step: str) -> None:
    ours, theirs = all_of_us.database(), all_of_us.database()
    version = version_of(ours)

    def late() -> None:
        bulk(theirs)
        all_of_us.lives()
        at_step(all_of_us, step, lose)

    def lose() -> None:
        all_of_us.store.breaks.append(Break(Kind.NETWORK, 1, before=False))

    at_step(all_of_us, "change.table", late, before=False)
    outcome = told(change, ours, version)
    all_of_us.lives()
    assert not [one for one in all_of_us.store.breaks if one.times], "it was lost"
    assert outcome == REFUSED
    assert now(all_of_us) == BULK


@pytest.mark.parametrize("step", ["bulk_update.check", "bulk_update.judge", "bulk_update.row", "restore or seal"])
def test_lost_answers_of_a_bulk_update(all_of_us: Processes, change: Change, step: str) -> None:
    ours, theirs = all_of_us.database(), all_of_us.database()
    version = version_of(theirs)
    step = step if change is update else step.replace("restore or seal", "bulk_update.seal")
    step = step.replace("restore or seal", "bulk_update.restore")

    def first() -> None:
        assert told(change, theirs, version) == DONE
        all_of_us.lives()
        at_step(all_of_us, step, lambda: all_of_us.store.breaks.append(Break(Kind.NETWORK, 1, before=False)))

    at_step(all_of_us, "bulk_update.commit", first)
    found = bulk(ours)
    all_of_us.lives()
    assert not [one for one in all_of_us.store.breaks if one.times], "it was lost"
    assert found is (change is update)
    assert now(all_of_us) == (BULK if change is update else None)


@pytest.mark.parametrize("step", ["change.verify", "change.restore"])
def test_a_store_that_fails_after_the_put_leaves_it_open(all_of_us: Processes, change: Change, step: str) -> None:
    ours, theirs = all_of_us.database(max_retries=0), all_of_us.database()
    version = version_of(ours)

    def late() -> None:
        bulk(theirs)
        all_of_us.lives()
        at_step(all_of_us, step, lambda: all_of_us.store.breaks.append(Break(Kind.DENIED, 1)))

    at_step(all_of_us, "change.fresh", late)
    assert told(change, ours, version) == UNKNOWN


# ---------------------------------------------------------------------------------------------- requests
def test_a_change_costs_one_look_more_and_a_plain_one_none(all_of_us: Processes) -> None:
    ours = all_of_us.database()
    version = version_of(ours)
    all_of_us.requests()
    assert ours.update(IDS[2], Record({}))
    plainly = all_of_us.requests()
    assert update(ours, version)
    by_version = all_of_us.requests()
    assert by_version["ListObjectsV2"] == plainly["ListObjectsV2"] + 1
    assert by_version["PutObject"] == plainly["PutObject"] == 1
    record = ours.read(IT)
    assert record
    assert plain(record) == MINE
