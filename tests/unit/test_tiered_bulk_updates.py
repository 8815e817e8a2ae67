"""Bulk updates and upserts: what goes into the commit and what goes one by one, rivals and deaths at every request."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import pytest

from dataknobs_data.backends.memory import MemoryDatabase
from dataknobs_data.backends.s3 import S3Database
from dataknobs_data.database import SyncDatabase
from dataknobs_data.exceptions import BatchError, DataknobsDataError, DuplicateRecordError, OutcomeUnknownError
from dataknobs_data.records import Record
from dataknobs_data.s3.store import Kind
from dataknobs_data.s3.tiered import bulk_updating
from dataknobs_data.streaming import StreamConfig
from tests.unit.log_fakes import KEYS, Break
from tests.unit.tiered_fakes import Died, Processes, plain, reads_pack, values

UPSERTS = StreamConfig(on_conflict="upsert")


@pytest.fixture
def all_of_us() -> Iterator[Processes]:
    processes = Processes()
    yield processes
    processes.close()


def loaded(processes: Processes, count: int, first: int = 0) -> list[str]:
    """The ids of so many records that lie in the table."""
    with processes.database() as database:
        return database.batch_create([Record({"n": n}, id=f"r{n:05}") for n in range(first, first + count)])


def new(ids: Sequence[str], value: Any = "new") -> list[tuple[str, Record]]:
    return [(id, Record({"v": value})) for id in ids]


def named(ids: Sequence[str], value: Any = "new") -> list[Record]:
    return [Record({"v": value}, id=id) for id in ids]


# ---------------------------------------------------------------------------------------------- requests
def test_a_thousand_packed_records_are_updated_by_few_requests(all_of_us: Processes) -> None:
    ids = loaded(all_of_us, 3000)
    ours = all_of_us.database()
    all_of_us.requests()
    assert all(ours.batch_update(new(ids[:1000])))
    sent = all_of_us.requests()
    assert sent["PutObject"] == 3, "the new versions' pack, the old pack without those rows, the commit"
    assert sent["ListObjectsV2"] <= 5, "the log, objects before and after the commit"
    assert sent["HeadObject"] == 0
    assert sent["GetObject"] <= 8, "ranges of the old pack"
    assert all(ours.batch_update(new(ids, "newer")))
    assert all_of_us.requests()["PutObject"] == 2, "of packs of which all rows are replaced nothing is left"
    assert values(ours) == {id: {"v": "newer"} for id in ids}
    assert not all_of_us.hot()


def test_an_upsert_creates_and_updates_in_one_commit(all_of_us: Processes) -> None:
    ids = loaded(all_of_us, 500)
    ours = all_of_us.database()
    version = all_of_us.view().snapshot.version  # type: ignore[union-attr]
    all_of_us.requests()
    wanted = [*ids, *(f"s{n}" for n in range(500))]
    assert ours.batch_upsert(named(wanted)) == wanted
    assert all_of_us.requests()["PutObject"] == 4, "a pack of each, the commit, the mark"
    assert all_of_us.view().snapshot.version == version + 1  # type: ignore[union-attr]
    assert values(ours) == {id: {"v": "new"} for id in wanted}
    assert not all_of_us.hot()


def test_the_first_upsert_makes_the_table(all_of_us: Processes) -> None:
    ours = all_of_us.database()
    all_of_us.requests()
    ours.batch_upsert(named(["b", "a", "c"]))
    assert all_of_us.requests()["PutObject"] == 4, "the format, a pack, the commit, the mark"
    made = ours.batch_upsert([Record({"v": n}) for n in range(3)])
    sent = all_of_us.requests()
    assert sent == Counter(PutObject=2), "ids of our own making need no looks"
    assert values(ours).keys() == {"a", "b", "c", *made}
    assert all(ours.batch_update(new(made)))


def test_records_that_are_nowhere_are_not_updated(all_of_us: Processes) -> None:
    ids = loaded(all_of_us, 3)
    ours = all_of_us.database()
    ours.exists("x")
    all_of_us.requests()
    assert ours.batch_update(new([f"x{n}" for n in range(1000)])) == [False] * 1000
    assert all_of_us.requests() == Counter(ListObjectsV2=3), "the log, objects, the log again"
    assert ours.batch_update(new(["x", *ids, "y"])) == [False, True, True, True, False]
    assert values(ours).keys() == set(ids)


def test_births_and_stamps(all_of_us: Processes) -> None:
    ids = loaded(all_of_us, 4)
    ours = all_of_us.database()
    before = {id: ours.read(id) for id in ids}
    births = {document.born for rows in all_of_us.view().documents(ids).values() for document, _ in rows}
    all_of_us.world.seconds += 60
    ours.batch_update(new(ids[:3]))
    revisions = {ours.get_version(id) for id in ids[:3]}
    assert len(revisions) == 1, "one for the whole bulk"
    found = {id: ours.read(id) for id in ids}
    assert births == {document.born for rows in all_of_us.view().documents(ids).values() for document, _ in rows}
    for id in ids[:3]:
        old, now = before[id], found[id]
        assert old
        assert now
        assert old.metadata["created_at"] == now.metadata["created_at"]
        assert old.metadata["updated_at"] < now.metadata["updated_at"]
    assert found[ids[3]] == before[ids[3]]
    assert not revisions & births, "a changed record is no young one"


# ---------------------------------------------------------------------------------------------- which way
def test_every_kind_of_id_at_once(all_of_us: Processes) -> None:
    ids = loaded(all_of_us, 8)
    ours, theirs = all_of_us.database(), all_of_us.database()
    theirs.update(ids[0], Record({"v": "hot"}))
    theirs.delete(ids[1])
    theirs.create(Record({"v": "hot"}, id="h"))
    changes = [*new(ids[:4], 1), *new(["h", "nope", ids[3], ids[0]], 2), *new([ids[3]], 3)]
    assert ours.batch_update(changes) == [True, False, True, True, True, False, True, True, True]
    expected = {id: {"n": n} for n, id in enumerate(ids)}
    expected |= {ids[0]: {"v": 2}, ids[2]: {"v": 1}, ids[3]: {"v": 3}, "h": {"v": 2}}
    del expected[ids[1]]
    assert values(ours) == expected
    assert all_of_us.hot() == {ids[0], ids[1], ids[3], "h"}
    upserts = [Record({"v": 4}, id=id) for id in (ids[1], "u", ids[2], "u", "h")]
    ours.batch_upsert([*upserts, Record({"v": 5}, id="u")])
    assert values(ours) == expected | {id: {"v": 4} for id in (ids[1], ids[2], "h")} | {"u": {"v": 5}}
    all_of_us.rows()


def test_rows_of_a_load_that_is_not_finished_are_changed_one_by_one(all_of_us: Processes) -> None:
    ids = loaded(all_of_us, 3)
    (mark,) = (key for key in all_of_us.store.objects if key.startswith(KEYS.loads))
    kept = all_of_us.store.objects.pop(mark)
    ours = all_of_us.database()
    assert ours.batch_update(new(ids)) == [True] * 3
    assert all_of_us.hot() == set(ids)
    assert all(rows[0].load is not None for rows in all_of_us.rows().values())
    all_of_us.store.objects[mark] = kept
    assert values(ours) == {id: {"v": "new"} for id in ids}


def test_packs_that_are_made_anew_bear_no_load(all_of_us: Processes) -> None:
    ids = loaded(all_of_us, 6)
    all_of_us.database().batch_update(new(ids[:3]))
    assert {pack.load for rows in all_of_us.rows().values() for pack in rows} == {None}


def test_packs_that_may_be_archived_are_not_made_anew(all_of_us: Processes) -> None:
    with all_of_us.database(storage_class="GLACIER") as cold:
        ids = cold.batch_create(named(["a", "b", "c"], "old"))
    packs = {pack.path for pack in all_of_us.view().packs}
    ours = all_of_us.database()
    assert ours.batch_update(new(ids)) == [True] * 3
    assert {pack.path for pack in all_of_us.view().packs} == packs
    assert all_of_us.hot() == set(ids)


def test_what_would_move_too_many_bytes_goes_one_by_one(all_of_us: Processes, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = loaded(all_of_us, 1000)
    (pack,) = all_of_us.view().packs
    ours = all_of_us.database()
    monkeypatch.setattr(bulk_updating, "REWRITE_BYTES_MAX", pack.size // 3 - 1)
    assert ours.batch_update([*new(ids[:3]), *new(["x"])]) == [True, True, True, False]
    assert all_of_us.hot() == set(ids[:3])
    ours.batch_upsert(named([*ids[10:13], "x", "y"]))
    assert all_of_us.hot() == {*ids[:3], *ids[10:13]}, "what is new goes into packs all the same"
    ours.batch_update(new(ids[20:24]))
    assert all_of_us.hot() == {*ids[:3], *ids[10:13]}, "of four each has fewer bytes to answer for"
    assert len(values(ours)) == 1002


def test_what_cannot_be_stored_fails_alone(all_of_us: Processes) -> None:
    ids = loaded(all_of_us, 4)
    ours = all_of_us.database()
    circle: list[Any] = []
    circle.append(circle)
    bad = [Record({"v": object()}, id=ids[1]), Record({"v": object()}, id="x"), Record({"v": circle}, id=ids[2])]
    with pytest.raises(BatchError) as failure:
        ours.batch_upsert([*named([ids[0], "y"]), *bad, *named([ids[1]], "later")])
    assert sorted(failure.value.failed) == [2, 3, 4]
    assert sorted(failure.value.succeeded) == [0, 1, 5]
    expected = {id: {"n": n} for n, id in enumerate(ids)}
    assert values(ours) == expected | {ids[0]: {"v": "new"}, "y": {"v": "new"}, ids[1]: {"v": "later"}}


# ---------------------------------------------------------------------------------------------- any number
def test_repeats_without_end_do_not_wait_without_end(all_of_us: Processes, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = loaded(all_of_us, 3)
    monkeypatch.setattr(bulk_updating, "LATER_MAX", 10)
    monkeypatch.setattr(bulk_updating, "GATHERED_MAX", 5)
    ours = all_of_us.database()
    waiting: list[int] = []
    take = bulk_updating.BulkUpdate._take

    def watched(self: bulk_updating.BulkUpdate) -> Any:
        yield from take(self)
        waiting.append(len(self._later))

    monkeypatch.setattr(bulk_updating.BulkUpdate, "_take", watched)
    records = [Record({"v": n}, id=[*ids, "x", "y"][n % 5]) for n in range(2500)]
    assert ours.stream_write(records, UPSERTS).successful == 2500
    assert max(waiting) < 2000, "the stream's windows are of a thousand"
    assert values(ours) == {id: {"v": 2495 + n} for n, id in enumerate([*ids, "x", "y"])}


def test_ids_in_any_order_over_several_looks(all_of_us: Processes, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = loaded(all_of_us, 2000)
    monkeypatch.setattr(bulk_updating, "GATHERED_MAX", 100)
    random.Random(1).shuffle(ids)
    ours = all_of_us.database()
    all_of_us.requests()
    every = [*ids[:1500], *(f"x{n}" for n in range(500))]
    result = ours.stream_write((Record({"v": n}, id=id) for n, id in enumerate(every)), UPSERTS)
    assert result.successful == 2000
    assert all_of_us.requests()["PutObject"] == 5, (
        "two streams of packs, what stays of the old one, the commit, the mark"
    )
    found = values(ours)
    assert len(found) == 2500
    assert all(found[id] == {"v": n} for n, id in enumerate(ids[:1500]))
    all_of_us.rows()


# ---------------------------------------------------------------------------------------------- rivals
IDS = [f"r{n:05}" for n in range(4)]
OTHERS = [f"r{n:05}" for n in range(4, 6)]
ALONE = {"max_workers": 1}
"""Of a process in whose requests nobody interferes: it needs no threads."""

BULKS: dict[str, Callable[[S3Database], list[Any]]] = {
    "update": lambda database: database.batch_update(new(IDS)),
    "upsert": lambda database: database.batch_upsert(named(["a", *IDS])),
}


def _create(database: S3Database) -> None:
    with suppress(DuplicateRecordError):
        database.create(Record({"v": "theirs"}, id="a"))


def _load(database: S3Database) -> None:
    with suppress(BatchError):
        database.batch_create(named(["a", "b", "c"], "theirs"))


def _delete_and_create(database: S3Database) -> None:
    database.delete(IDS[1])
    database.create(Record({"v": "theirs"}, id=IDS[1]))


RIVALS: dict[str, Callable[[S3Database], object]] = {
    "updates": lambda database: database.update(IDS[1], Record({"v": "theirs"})),
    "deletes": lambda database: database.delete(IDS[1]),
    "deletes and creates": _delete_and_create,
    "creates": _create,
    "loads": _load,
    "loads others": lambda database: database.batch_create(named(["b", "c", "d"], "theirs")),
    "updates in bulk": lambda database: database.batch_update(new(IDS, "theirs")),
    "upserts in bulk": lambda database: database.batch_upsert(named(["a", "b", *IDS[1:]], "theirs")),
    "updates others in bulk": lambda database: database.batch_update(new(["o1", "o2", "o3"], "theirs")),
    "compacts": lambda database: database.compact(full=True),
    "updates and compacts": lambda database: (
        database.update(IDS[1], Record({"v": "theirs"})),
        database.compact(full=True),
    ),
    "gives a column another type": lambda database: database.batch_create(
        [Record({"v": n}, id=f"z{n}") for n in range(3)]
    ),
}


def started(*, others: bool = False) -> Processes:
    """Where IDS and OTHERS lie in a pack; `others`: and "o1" to "o3" in another one."""
    processes = Processes()
    assert loaded(processes, 6) == [*IDS, *OTHERS]
    if others:
        processes.database().batch_create(named(["o1", "o2", "o3"], "old"))
    processes.close()
    return processes


def check_after_rival(found: dict[str, Any], bulk: str, rival: str) -> None:
    """Every value is one that somebody wrote and that may have been written last."""
    for id in IDS:
        allowed = [{"v": "new"}]
        if rival in ("updates in bulk", "upserts in bulk") or (
            id == IDS[1] and rival in ("updates", "deletes and creates", "updates and compacts")
        ):
            allowed.append({"v": "theirs"})
        if id == IDS[1] and rival == "deletes":
            if bulk == "update":
                assert id not in found
            else:
                assert found.get(id) in (None, {"v": "new"})
            continue
        assert found[id] in allowed, id
    if bulk == "upsert":
        theirs = rival in ("creates", "loads", "upserts in bulk")
        assert found["a"] in ([{"v": "new"}, {"v": "theirs"}] if rival == "upserts in bulk" else [{"v": "new"}]), theirs
    for id in ("o1", "o2", "o3"):
        assert found[id] == {"v": "theirs" if rival == "updates others in bulk" else "old"}


@pytest.mark.thorough
@pytest.mark.parametrize("rival", RIVALS)
@pytest.mark.parametrize("bulk", BULKS)
def test_a_rival_at_every_request(bulk: str, rival: str) -> None:
    met = 0
    start = started(others=True)
    for nth in range(100):
        processes = start.copy()
        ours, theirs = processes.database(), processes.database(**ALONE)
        with processes.at_request(nth, partial(RIVALS[rival], theirs)) as acted:
            results = BULKS[bulk](ours)
        if acted:
            met += 1
            found = values(processes.database(**ALONE))
            check_after_rival(found, bulk, rival)
            deleted = bulk == "update" and rival == "deletes"
            assert all(result or (deleted and n == 1) for n, result in enumerate(results))
            processes.rows()
            for _ in range(3):
                processes.world.seconds += 10_000
                theirs.compact(full=True)
            assert values(processes.database(**ALONE)) == found
            assert not processes.hot()
        processes.close()
        if not acted:
            break
    assert met > 8


@pytest.mark.parametrize("seed", range(6))
def test_many_rivals(seed: int) -> None:
    """One at every fifth request or so, whoever it is; what stands in the end is what all agree on."""
    dice = random.Random(seed)
    processes = Processes()
    loaded(processes, 6)
    ours, theirs = processes.database(), processes.database()
    theirs.batch_create(named(["o1", "o2", "o3"], "old"))
    busy = False

    def act(operation: str, key: str) -> None:
        nonlocal busy
        if busy or reads_pack(operation, key) or dice.random() > 0.2:
            return
        busy = True
        with suppress(DataknobsDataError):
            dice.choice([*RIVALS.values()])(theirs)
        busy = False

    processes.store.meanwhile = act
    for bulk in ("update", "upsert", "update"):
        assert len(BULKS[bulk](ours)) == len(IDS) + (bulk == "upsert")
    processes.lives()
    found = values(processes.database())
    assert set(IDS) - {IDS[1]} <= found.keys()
    processes.rows()
    for _ in range(4):
        processes.world.seconds += 10_000
        theirs.compact(full=True)
    assert values(theirs) == found
    processes.close()


def test_packs_that_others_did_not_touch_are_not_made_anew_again(all_of_us: Processes) -> None:
    ids = loaded(all_of_us, 1000)
    ours, theirs = all_of_us.database(), all_of_us.database()
    puts: list[str] = []

    def act(operation: str, key: str) -> None:
        if operation == "PutObject" and "/packs/" in key:
            puts.append(key)
        if operation == "PutObject" and key.startswith(KEYS.log) and len(puts) == 2:
            theirs.batch_create(named(["x", "y", "z"]))

    all_of_us.store.meanwhile = act
    assert all(ours.batch_update(new(ids[:500])))
    assert len(puts) == 3, "two of ours, one of theirs"


# ---------------------------------------------------------------------------------------------- deaths
@pytest.mark.thorough
@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("bulk", BULKS)
def test_death_at_every_request(bulk: str, before: bool) -> None:
    ended = False
    start = started()
    for nth in range(100):
        processes = start.copy()
        ours = processes.database()
        processes.dies_at(nth, before=before)
        try:
            BULKS[bulk](ours)
            ended = True
        except Died:
            pass
        processes.lives()
        theirs = processes.database(**ALONE)
        found = values(theirs)
        assert [found[id] for id in OTHERS] == [{"n": 4}, {"n": 5}]
        updated = {id for id in IDS if found[id] == {"v": "new"}}
        assert updated in (set(), set(IDS)), "all or nothing"
        assert ("a" in found) == (bool(updated) and bulk == "upsert")
        processes.rows()
        for _ in range(3):
            processes.world.seconds += 10_000
            theirs.compact(full=True)
        assert values(theirs) == found
        assert not processes.hot()
        assert all(BULKS[bulk](theirs)), "and once more"
        again = values(theirs)
        assert [again[id] for id in [*IDS, *(["a"] if bulk == "upsert" else [])]] == [{"v": "new"}] * (
            4 + (bulk == "upsert")
        )
        processes.close()
        if ended:
            break
    assert ended
    assert nth > 8


@pytest.mark.thorough
@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("bulk", BULKS)
def test_a_lost_answer_at_every_request(bulk: str, before: bool) -> None:
    """The request is sent again, or what came of it is looked up."""
    start = started()
    for nth in range(1, 100):
        processes = start.copy()
        ours = processes.database()
        broken = Break(Kind.NETWORK, nth=nth, before=before)
        processes.store.breaks = [broken]
        assert all(BULKS[bulk](ours))
        found = values(processes.database(**ALONE))
        assert all(found[id] == {"v": "new"} for id in IDS)
        processes.rows()
        assert not processes.hot()
        assert len(processes.lost_packs()) == 1, "the old one"
        processes.close()
        if broken.times:
            break
    assert nth > 8


@pytest.mark.parametrize("bulk", BULKS)
def test_a_store_that_fails_for_good_at_every_request(bulk: str) -> None:
    """It says so; nothing is half done, and packs that no commit can name are taken away where that can be done."""
    start = started()
    for nth in range(1, 100):
        processes = start.copy()
        ours = processes.database(max_retries=0)
        before = processes.lost_packs()
        broken = Break(Kind.DENIED, nth=nth)
        processes.store.breaks = [broken]
        failure: DataknobsDataError | None = None
        try:
            BULKS[bulk](ours)
        except DataknobsDataError as error:
            failure = error
        processes.store.breaks = []
        found = values(processes.database(**ALONE))
        updated = {id for id in IDS if found[id] == {"v": "new"}}
        assert updated in (set(), set(IDS))
        if broken.times:
            break
        if failure is None:  # it was a request that nothing depends on
            assert updated == set(IDS)
        elif isinstance(failure, BatchError) and updated:
            assert bulk == "upsert", "only the look after the commit can fail then"
            assert all(isinstance(error, OutcomeUnknownError) for _, error in failure.failed.values())
            assert len(failure.succeeded) == len(IDS), "what is known to be written is told"
        elif isinstance(failure, OutcomeUnknownError):
            assert updated == set(IDS)
            assert "is in the table" in str(failure), "only the look for changes by version can fail then"
        else:
            assert not updated
            assert processes.lost_packs() <= before
        processes.close()
    assert nth > 8


# ---------------------------------------------------------------------------------------------- as if one by one
@pytest.mark.thorough
@pytest.mark.parametrize("seed", range(8))
def test_random_sequences_are_as_if_done_one_by_one(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    dice = random.Random(seed)
    monkeypatch.setattr(bulk_updating, "GATHERED_MAX", dice.choice([3, 8192]))
    monkeypatch.setattr(bulk_updating, "LATER_MAX", dice.choice([2, 10_000]))
    monkeypatch.setattr(bulk_updating, "REWRITE_BYTES_MAX", dice.choice([0, 1 << 16, 1 << 16]))
    processes = Processes()
    ours, reference = processes.database(), MemoryDatabase()
    reference.connect()
    ids = [f"r{n}" for n in range(30)]
    value = iter(range(1_000_000))

    def record(id: str | None = None) -> Record:
        name = dice.choice("abc")
        fields: dict[str, Any] = {name: dice.choice([next(value), f"t{next(value)}", None, {"x": next(value)}])}
        return Record(fields, {"m": next(value)} if dice.random() < 0.3 else {}, id=id)

    for _ in range(25):
        chosen = [dice.choice(ids) for _ in range(dice.randrange(1, 15))]
        kind = dice.choice(["update", "update", "upsert", "upsert", "create", "single", "delete", "compact"])
        if kind == "update":
            changes = [(id, record()) for id in chosen]
            one_by_one = [reference.update(id, one) for id, one in changes]
            assert ours.batch_update(changes) == one_by_one
        elif kind == "upsert":
            records = [record(id) for id in chosen]
            for one in records:
                reference.upsert(one)
            assert ours.batch_upsert(records) == chosen
        elif kind == "create":
            records = [record(id) for id in chosen]
            assert failures(ours, records) == failures(reference, records)
        elif kind == "single":
            one = record()
            assert ours.update(chosen[0], one) == reference.update(chosen[0], one)
        elif kind == "delete":
            assert ours.batch_delete(chosen) == [reference.delete(id) for id in chosen]
        else:
            processes.world.seconds += dice.choice([0, 1000])
            ours.compact(full=dice.random() < 0.5)
        expected = {one.id: (plain(one), user_metadata(one)) for one in reference.all()}
        assert {one.id: (plain(one), user_metadata(one)) for one in ours.all()} == expected
    values(ours)
    processes.rows()
    processes.close()


def failures(database: SyncDatabase, records: Sequence[Record]) -> list[int]:
    """Which of these cannot be created."""
    try:
        database.batch_create(records)
    except BatchError as error:
        return sorted(error.failed)
    return []


def user_metadata(record: Record) -> dict[str, Any]:
    return {name: value for name, value in record.metadata.items() if name not in ("id", "created_at", "updated_at")}
