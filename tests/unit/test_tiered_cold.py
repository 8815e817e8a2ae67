"""Archived packs where moto's server cannot show it: restores that take hours, deaths, rivals, threads, who may not look."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from email.utils import format_datetime
from functools import partial
from typing import Any

import pytest

from dataknobs_data.backends.s3 import S3Database
from dataknobs_data.exceptions import RecordArchivedError
from dataknobs_data.query import Query
from dataknobs_data.records import Record
from dataknobs_data.s3.archive.states import Restoration
from dataknobs_data.s3.costs.prices import default_prices
from dataknobs_data.s3.store import Fault, Head, Kind, Page
from dataknobs_data.s3.tiered import indexing
from tests.unit.log_fakes import Break
from tests.unit.s3_fakes import FakeWorld
from tests.unit.tiered_world import KEYS, OPERATION_OVER, Gone, MemoryStore, TieredWorld, seen

HOURS = 4


class Glacier(MemoryStore):
    """A store with an archive. `cold`: keys there; `ready`: when what is being restored can be read."""

    def __init__(self, world: FakeWorld) -> None:
        super().__init__(world)
        self.cold: set[str] = set()
        self.ready: dict[str, datetime] = {}
        self.asked: list[str] = []
        self.gets: list[str] = []

    def _check(self, key: str, *rest: Any) -> None:
        if rest:
            super()._check(key, *rest)
        elif key in self.cold and not (key in self.ready and self.ready[key] <= self.time):
            raise Fault(Kind.ARCHIVED, "HTTP 403", status=403, code="InvalidObjectState")

    def get(self, key: str, **more: Any) -> Any:
        self.gets.append(key)
        self._check(key)
        return super().get(key, **more)

    def get_range(self, key: str, offset: int, length: int, **more: Any) -> bytes:
        self.gets.append(key)
        self._check(key)
        return super().get_range(key, offset, length, **more)

    def head(self, key: str, **more: Any) -> Head:
        head: Head = super().head(key, **more)
        if key not in self.cold:
            return head
        restore = None
        if ready := self.ready.get(key):
            until = format_datetime(ready + timedelta(days=7))
            restore = 'ongoing-request="true"'
            if ready <= self.time:
                restore = f'ongoing-request="false", expiry-date="{until}"'
        return replace(head, storage_class="GLACIER", restore=restore)

    def list_page(self, prefix: str, **more: Any) -> Page:
        page = super().list_page(prefix, **more)
        return Page(
            [replace(one, storage_class="GLACIER") if one.key in self.cold else one for one in page.items], page.token
        )

    def control(self, operation: str, **parameters: Any) -> dict[str, Any]:
        if operation != "RestoreObject":
            return super().control(operation, **parameters)
        self.asked.append(key := parameters["Key"])
        if key in self.ready:
            raise Fault(Kind.REFUSED, "HTTP 409", status=409, code="RestoreAlreadyInProgress")
        self.ready[key] = self.time + timedelta(hours=HOURS)
        return {}


class ColdWorld(TieredWorld):
    """A bucket with an archive, and three packs of four records."""

    def __init__(self, *, companions: bool = True, **settings: Any) -> None:
        super().__init__(**settings)
        self.glacier = Glacier(self.world)
        self.glacier.objects, self.glacier.written = self.store.objects, self.store.written
        self.store = self.glacier
        db = self.open()
        if companions:
            db._maintenance().index()
        for letter in "abc":
            db.batch_create([Record({"v": f"{letter}{n}"}, id=f"{letter}{n}") for n in range(4)])

    @property
    def packs(self) -> list[str]:
        """Keys, in the order of their ids."""
        return sorted(key for key in self.store.objects if key.startswith(KEYS.packs))

    def freeze(self, *numbers: int) -> S3Database:
        """Archives packs; a process that has nothing of them in memory."""
        self.glacier.cold |= {self.packs[number] for number in numbers}
        return self.open()


def error_of(call: Callable[[], object]) -> RecordArchivedError:
    with pytest.raises(RecordArchivedError) as caught:
        call()
    return caught.value


# ---------------------------------------------------------------------------------------------- reads
def test_what_is_being_restored_is_said_and_not_asked_for_again() -> None:
    world = ColdWorld()
    db = world.freeze(0, 1)
    assert db.restore("a0").requested == ("a0",)
    error = error_of(db.search)
    assert error.context["packs"] == world.packs[:2]
    assert error.context["in_progress"] == world.packs[:1]
    assert "1 pack of these on the way already" in str(error)
    assert error.context["estimate"].objects == 1, "only one is to be paid for"
    found = db.restore(error)
    assert found.packs == dict(zip(world.packs, ["in_progress", "requested"], strict=False))
    assert world.glacier.asked == world.packs[:2]
    assert found.waiting_packs == tuple(world.packs[:2])
    assert not found.done
    done = db.restore(Query(), wait=True)
    assert set(done.packs.values()) == {"restored"}
    assert world.world.seconds >= HOURS * 3600
    assert len(db.search()) == 12


def test_waiting_ends_at_its_timeout() -> None:
    world = ColdWorld()
    db = world.freeze(0)
    heard: list[Restoration] = []
    found = db.restore(Query(), wait=True, timeout=3600, on_progress=heard.append)
    assert found.packs == {world.packs[0]: "requested"}
    assert heard[-1].summary() == "1 pack: 1 requested"
    world.passes(HOURS * 3600)
    (status,) = db.restore_status(Query())
    assert (status.id, status.pack, status.readable) == ("", world.packs[0], True)
    assert str(status).startswith(f"{world.packs[0]}: restored until")


def test_nobody_may_see_how_the_others_stand(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    world = ColdWorld()
    db = world.freeze(0, 2)

    def head(key: str, **more: Any) -> Head:
        raise Fault(Kind.DENIED, "HTTP 403", status=403, code="AccessDenied")

    monkeypatch.setattr(world.glacier, "head", head)
    error = error_of(db.search)
    assert error.context["key"] == world.packs[0]
    found = db.search(archived="skip")
    assert [record.id for record in found] == ["b0", "b1", "b2", "b3"]
    assert [one.context["key"] for one in found.errors] == [world.packs[0], world.packs[2]]
    caplog.clear()
    assert len(list(db.select_query("SELECT v FROM S3Object", archived="skip"))) == 4
    assert [world.packs[0] in caplog.messages[0], world.packs[2] in caplog.messages[1]] == [True, True], (
        "packs, no records"
    )


def test_threads_never_make_an_answer_of_what_is_left() -> None:
    """The first who meets an archived pack finds out about all; until that is raised nobody may take them for empty."""
    world = ColdWorld(max_workers=8)
    for number in range(12):
        world.open().batch_create([Record({"v": "d"}, id=f"d{number:02}{n}") for n in range(3)])
    db = world.freeze(*range(15))
    for _ in range(20):
        for query in (Query(), Query().sort("v").limit(2), Query().filter("v", ">", "a").limit(1)):
            assert error_of(partial(db.search, query)).context["packs"] == world.packs


def test_archived_packs_are_asked_for_once_when_they_are_skipped() -> None:
    world = ColdWorld()
    db = world.freeze(0, 1, 2)
    world.glacier.gets.clear()
    assert db.search(Query().filter("v", ">", ""), archived="skip") == []
    assert len([key for key in world.glacier.gets if key in world.glacier.cold]) == 1
    assert db.count(Query().filter("v", ">", ""), archived="skip") == 0


def test_sql_without_an_archived_pack_learns_nothing_of_it() -> None:
    """What `_rest` holds of a field is remembered for each pack: of one that was left out that would be nothing."""
    world = ColdWorld()
    mixed = [Record({"m": m}, id=f"m{number}") for number, m in enumerate([1, "two", 3, "four"])]
    world.open().batch_create(mixed)
    db = world.freeze(3)
    statement = "SELECT m FROM S3Object WHERE id LIKE 'm%' ORDER BY id"
    assert list(db.select_query(statement, archived="skip")) == []
    world.glacier.cold.clear()
    assert [row["m"] for row in db.select_query(statement)] == ["1", "two", "3", "four"]


# ---------------------------------------------------------------------------------------------- changes
def test_changes_of_archived_records_never_ask_for_their_packs() -> None:
    world = ColdWorld()
    db = world.freeze(0, 1, 2)
    world.glacier.gets.clear()
    assert db.update("a0", Record({"v": "new"}), expected_version=db.get_version("a0"))
    assert db.batch_update((f"b{n}", Record({"v": "new"})) for n in range(5)) == [True] * 4 + [False]
    assert db.batch_upsert([Record({"v": "new"}, id=id) for id in ("c0", "c1", "c2", "x", "y")])
    assert db.batch_delete(["c3", "c9"]) == [True, False]
    assert (db.count(), len(db.list_ids())) == (13, 13)
    assert not world.glacier.cold & set(world.glacier.gets)
    with world.look() as view:
        ((row, _),) = view.current(["a0"])["a0"]
    assert db.read("a0").metadata["created_at"] == row.created_at  # type: ignore[union-attr]
    world.passes(OPERATION_OVER)
    report = db.compact(full=True)
    assert (report.archived, report.folded) == (3, 0)
    before = db.list_ids()
    world.passes(OPERATION_OVER)
    db.compact(full=True)
    assert db.list_ids() == before, "what stands in front of archived rows was not dropped"
    world.glacier.cold.clear()
    assert db.compact(full=True).archived == 0
    world.passes(OPERATION_OVER)
    db.compact(full=True)
    world.passes(OPERATION_OVER)
    db.compact()
    assert not world.hot()
    assert [id for id, v in world.values().items() if v == "new"] == [
        "a0",
        "b0",
        "b1",
        "b2",
        "b3",
        "c0",
        "c1",
        "c2",
        "x",
        "y",
    ]
    assert sorted(seen(db)) == before


def test_reading_an_archived_record_among_others_is_no_none() -> None:
    db = ColdWorld().freeze(0)
    assert "a0" in str(error_of(lambda: db.batch_read(["b0", "a0", "c0"])))
    assert "a0" in str(error_of(lambda: db.read("a0")))


@pytest.mark.parametrize("storage_class", ["GLACIER", "STANDARD_IA"])
def test_nothing_but_documents_and_packs_goes_to_a_storage_class(storage_class: str) -> None:
    """Who deletes, compacts or opens the table must be able to read all else at once."""
    world = TieredWorld(storage_class=storage_class)
    db = world.open()
    db.batch_create([Record({"v": n}, id=f"r{n}") for n in range(30)])
    db.create(Record({"v": 0}, id="x"))
    assert db.delete("r1")
    classes = {key: options.storage_class for key, (_, _, options) in world.store.objects.items()}
    cold = {key for key, found in classes.items() if found is not None}
    assert {classes[key] for key in cold} == {storage_class}
    assert KEYS.record("x") in cold
    assert KEYS.record("r1") in classes
    assert {key for key in cold if KEYS.id(key) is None} == {key for key in classes if key.startswith(KEYS.packs)}
    assert {KEYS.id(key) for key in cold} - {None} == {"x"}
    assert len(classes) >= 5, "format, mark, log, tombstone too"


def test_packs_with_companions_that_can_be_read_are_updated_in_bulk() -> None:
    world = ColdWorld()
    db = world.open()
    assert all(db.batch_update((f"a{n}", Record({"v": "new"})) for n in range(4)))
    assert not world.hot()
    assert [world.values()[f"a{n}"] for n in range(4)] == ["new"] * 4


def test_companions_bring_no_rows() -> None:
    """The commit that names them says of each pack what is known of it, and of no new one."""
    world = ColdWorld(companions=False)
    db = world.open()
    assert db._maintenance().index().packs == 3
    entry = db.log()[0]
    assert (entry.operation, entry.rows, entry.rows_removed, entry.packs_added, entry.bytes) == ("INDEX", 0, 0, 0, 0)


# ---------------------------------------------------------------------------------------------- dead loads
def test_a_dead_load_in_an_archive_does_not_stop_compaction() -> None:
    world = ColdWorld()
    db = world.open()
    db.create(Record({"v": "creator"}, id="x1"))
    dying = world.open()
    hidden = KEYS.record("x1")

    def meanwhile(operation: str, key: str) -> None:
        if operation == "PutObject" and key == KEYS.load(KEYS.load_id(key) or "-"):
            raise Gone

    # the load does not see the creator's object, and ends before it says that it is finished
    kept = world.store.objects.pop(hidden)
    world.store.meanwhile = meanwhile
    with pytest.raises(Gone):
        dying.batch_create([Record({"v": "load"}, id=id) for id in ("x1", "x2", "x3")])
    world.store.meanwhile = lambda operation, key: None
    world.store.objects[hidden] = kept
    newest = world.packs[-1]
    db = world.freeze(len(world.packs) - 1)
    world.passes(OPERATION_OVER)
    db.create(Record({"v": "hot"}, id="z"))
    report = db.compact(full=True)
    assert (report.adopted, report.folded) == (0, 1)
    assert any(newest in warning and "compact again" in warning for warning in report.warnings)
    assert db.read("x1")["v"] == "creator"  # type: ignore[index]
    world.glacier.cold.clear()
    db = world.open()
    assert db.compact(full=True).adopted == 1
    assert seen(db)["x1"][0] == {"v": "creator"}  # type: ignore[index]


# ---------------------------------------------------------------------------------------------- companions
@pytest.mark.thorough
def test_whoever_dies_while_companions_are_written_leaves_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indexing, "PACKS_AT_ONCE", 2)
    model, last = ColdWorld(companions=False), 0
    before = seen(model.open())
    while True:
        for applied in (False, True):
            world = ColdWorld(companions=False)
            db = world.open()
            db._engine._writers()  # type: ignore[attr-defined]
            world.glacier.last, world.glacier.applied = last, applied
            try:
                db._maintenance().index()
                ended = True
            except Gone:
                ended = False
            world.glacier.last = None
            db = world.open()
            assert seen(db) == before
            assert db.lifecycle.write_companions() <= 3
            with world.look() as view:
                assert all(pack.companion_size is not None for pack in view.packs)
            db = world.freeze(0, 1, 2)
            assert (db.count(), len(db.list_ids())) == (12, 12)
            assert db.update("b2", Record({"v": "new"}))
        if ended:
            return
        last += 1


@pytest.mark.thorough
@pytest.mark.parametrize("before", [True, False])
def test_lost_answers_while_companions_are_written(before: bool) -> None:
    for nth in range(1, 50):
        world = ColdWorld(companions=False)
        db = world.open()
        db._engine._writers()  # type: ignore[attr-defined]
        world.glacier.breaks = [Break(Kind.NETWORK, nth=nth, before=before)]
        db._maintenance().index()
        assert world.freeze(0, 1, 2).count() == 12
        with world.look() as view:
            assert all(pack.companion_size is not None for pack in view.packs)
        if world.glacier.breaks[0].times:
            break
    assert nth > 5


RIVALS: dict[str, Callable[[S3Database], object]] = {
    "compacts": lambda db: db.compact(full=True),
    "loads": lambda db: db.batch_create([Record({"v": "r"}, id=f"r{n}") for n in range(3)]),
    "updates in bulk": lambda db: db.batch_update([(f"a{n}", Record({"v": "new"})) for n in range(4)]),
    "writes companions too": lambda db: db._maintenance().index(),
}


@pytest.mark.thorough
@pytest.mark.parametrize("rival", RIVALS)
def test_companions_beside_rivals(rival: str) -> None:
    """Somebody acts at each request."""
    for nth in range(40):
        world = ColdWorld(companions=False)
        ours, theirs = world.open(), world.open()
        ours._engine._writers(), theirs._engine._writers()  # type: ignore[attr-defined]
        left = [nth]

        def meanwhile(operation: str, key: str, left: list[int] = left, theirs: S3Database = theirs) -> None:
            left[0] -= 1
            if left[0] == -1:
                RIVALS[rival](theirs)

        world.glacier.meanwhile = meanwhile
        ours._maintenance().index()
        world.glacier.meanwhile = lambda operation, key: None
        if left[0] >= 0:
            break
        ids = set(seen(theirs))
        assert ids >= {f"{letter}{n}" for letter in "abc" for n in range(4)}
        theirs.compact()
        with world.look() as view:
            assert all(pack.companion_size is not None for pack in view.packs)
        world.glacier.cold |= set(world.packs)
        assert set(world.open().list_ids()) == ids
    assert nth > 5


def test_what_a_newcomer_wrote_without_knowing_is_healed_by_compaction() -> None:
    world = ColdWorld(companions=False)
    ours, newcomer = world.open(), world.open()
    newcomer.batch_create(Record({"v": 1}) for _ in range(3))  # knows the table as it is now
    ours.lifecycle.write_companions()
    newcomer.batch_create(Record({"v": 1}) for _ in range(3))
    with world.look() as view:
        assert sum(pack.companion_size is None for pack in view.packs) == 1
    assert ours.stats().without_companion == 1
    assert any("write_companions" in advice for advice in ours.stats().advice)
    assert ours.compact().indexed == 1
    assert ours.stats().without_companion == 0


# ---------------------------------------------------------------------------------------------- vacuum
def test_vacuum_says_what_is_paid_for_longer() -> None:
    world = ColdWorld()
    db = world.open()
    db.delete("a0")
    world.passes(OPERATION_OVER)
    assert db.compact(full=True).rewritten == 3
    world.glacier.cold |= set(world.packs) - {max(world.packs)}
    day = 24 * 3600
    world.passes(8 * day)
    found = db.vacuum(dry_run=True)
    assert (found.files, found.early) == (6, 3), "three packs, and companions, which are in STANDARD"
    prices, sizes = default_prices(), [len(world.store.objects[key][0]) for key in world.glacier.cold]
    month = sum(prices.month("GLACIER", size) for size in sizes)
    assert found.early_dollars == pytest.approx(month * (90 - 8) / 30, rel=0.01)
    world.passes(90 * day)
    assert (db.vacuum().early, db.vacuum().files) == (0, 0)
