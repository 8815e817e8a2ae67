"""Estimates of searching, creating and compacting, held against what is then sent: on a store in memory, by many cases."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest

from dataknobs_data.backends.s3 import CompactReport, S3Database, Usage
from dataknobs_data.exceptions import BatchError, ConfigurationError, RecordArchivedError
from dataknobs_data.query import Query
from dataknobs_data.records import Record
from dataknobs_data.s3 import probe
from dataknobs_data.s3.costs.prices import GB
from dataknobs_data.s3.costs.work import WorkEstimate
from dataknobs_data.s3.store import Fault, Kind
from tests.unit.log_fakes import KEYS
from tests.unit.tiered_fakes import Processes
from tests.unit.tiered_world import TieredWorld

pytestmark = pytest.mark.thorough

CITIES = ("Aachen", "Berlin", "Celle", "Dresden")


def records(count: int, *, start: str | None = "r-") -> list[Record]:
    """`n` goes with the ids, `v` and `city` do not. `start`: of ids; None: they are generated."""
    chance = random.Random(count)
    return [
        Record(
            {"n": n, "v": chance.random(), "city": chance.choice(CITIES), "text": f"{chance.getrandbits(400):0100x}"},
            id=None if start is None else f"{start}{n:06}",
        )
        for n in range(count)
    ]


@pytest.fixture
def processes() -> Iterator[Processes]:
    with closing(Processes(pack_threshold=200, cache_bytes=64 << 20, max_workers=10)) as made:
        yield made


def spent(database: S3Database, act: Callable[..., Any], *given: Any) -> Usage:
    before = database.usage
    act(*given)
    return database.usage.since(before)


def near(estimated: Mapping[str, int], sent: Mapping[str, int]) -> bool:
    """Within a tenth of each kind."""
    return all(
        abs(estimated.get(name, 0) - sent.get(name, 0)) <= sent.get(name, 0) / 10 for name in {*estimated, *sent}
    )


def check(estimate: WorkEstimate, sent: Usage, *, bytes_within: float = 0.1) -> None:
    """That the estimate was right."""
    assert near(estimate.requests, sent.requests), f"{estimate}\n{sent}"
    check_range(estimate, sent)
    assert estimate.dollars == pytest.approx(sent.dollars, rel=0.1)
    assert estimate.bytes_sent == pytest.approx(sent.bytes_sent, rel=bytes_within)
    assert estimate.bytes_received == pytest.approx(sent.bytes_received, rel=bytes_within)


def check_range(estimate: WorkEstimate, sent: Usage) -> None:
    """That it allowed for what came."""
    for name in {*estimate.most, *sent.requests}:
        number = sent.requests.get(name, 0)
        assert 0.97 * estimate.least.get(name, 0) <= number <= 1.03 * estimate.most.get(name, 0), f"{estimate}\n{sent}"
    assert estimate.dollars_least * 0.97 <= sent.dollars <= estimate.dollars_most * 1.03


# ---------------------------------------------------------------------------------------------- creating
@pytest.mark.parametrize("layout", ["tiered", "objects"])
@pytest.mark.parametrize("start", ["r-", None])
@pytest.mark.parametrize("count", [1, 50, 199, 200, 1500, 20_000])
def test_batch_create_sends_what_was_said(processes: Processes, layout: str, start: str | None, count: int) -> None:
    if (layout, count) == ("objects", 20_000):
        pytest.skip("takes long, and tells nothing more")
    database, batch = processes.database(layout=layout), records(count, start=start)
    for _ in ("the first of the process", "another")[: 1 if count == 20_000 else 2]:
        estimate = database.explain.batch_create(batch)
        assert estimate.looked.total <= 8, "explaining is cheap"
        check(estimate, spent(database, database.batch_create, batch))
        assert (estimate.records, estimate.packs) == (count, int(layout == "tiered" and count >= 200))
        batch = records(count, start=None if start is None else "s-")


def test_batch_create_beside_what_is_there(processes: Processes) -> None:
    first = processes.database()
    first.batch_create(records(5000))
    for number in range(1200):
        first.create(Record({"n": number}))
    for count in (150, 1500, 5000):
        database, batch = processes.database(), records(count, start=f"r-{count}-")
        check(database.explain.batch_create(batch), spent(database, database.batch_create, batch))


def test_many_records_are_reckoned_by_the_first(processes: Processes) -> None:
    database = processes.database(pack_target_bytes=1 << 20)
    for batch in (records(30_000), records(30_000, start=None)):
        estimate = database.explain.batch_create(iter(batch))
        sent = spent(database, database.batch_create, batch)
        check(estimate, sent)
        assert estimate.packs == 2
        assert "bytes are reckoned by the first 10,000 records" in estimate.notes


def test_a_sample_stands_for_many(processes: Processes) -> None:
    database, batch = processes.database(), records(20_000)
    estimate = database.explain.batch_create(batch[:500], count=20_000)
    assert any("copies of a sample" in note for note in estimate.notes)
    check(estimate, spent(database, database.batch_create, batch), bytes_within=1)
    one = database.explain.batch_create([Record({"a": 1})], count=10)
    assert (one.records, one.requests) == (10, {"PutObject": 10})
    for senseless in (
        lambda: database.explain.batch_create([], count=1),
        lambda: database.explain.batch_create([], count=-1),
    ):
        with pytest.raises(ConfigurationError, match="sample"):
            senseless()
    assert database.explain.batch_create([]).requests == {}


def test_what_cannot_be_created_is_said(processes: Processes) -> None:
    database = processes.database()
    database.batch_create(records(300))
    estimate = database.explain.batch_create(records(400))
    assert any(note.startswith("300 records cannot be created: ") for note in estimate.notes)

    def create() -> None:
        with pytest.raises(BatchError):
            database.batch_create(records(400))

    check(estimate, spent(database, create))


# ---------------------------------------------------------------------------------------------- searching
@pytest.fixture(scope="module")
def filled() -> Iterator[Processes]:
    """Four packs of two row groups each, of which ids and `n` overlap nowhere, and 60 objects of their own."""
    with closing(Processes(pack_threshold=200, cache_bytes=64 << 20, max_workers=4)) as made:
        database, wide = made.database(), f"{random.Random(1).getrandbits(2400):0600x}"
        for number, start in enumerate(("a-", "b-", "c-", "d-")):
            batch = records(2000, start=start)
            for record in batch:
                record["n"] += 2000 * number
                record["text"] += wide
            database.batch_create(batch)
        for number in range(60):
            database.create(Record({"n": 100_000 + number, "v": 0.5, "city": "Essen"}, id=f"h-{number:03}"))
        yield made


@pytest.fixture(scope="module")
def tiny() -> Iterator[Processes]:
    """Twelve packs of 20 rows."""
    with closing(Processes(pack_threshold=2, cache_bytes=64 << 20, max_workers=4)) as made:
        for number in range(12):
            made.database().batch_create(records(20, start=f"{number:02}-"))
        yield made


@pytest.fixture(scope="module")
def loose() -> Iterator[Processes]:
    """300 objects."""
    with closing(Processes(layout="objects", max_workers=4, cache_bytes=64 << 20)) as made:
        made.database().batch_create(records(300))
        yield made


DECIDED = {
    "all": Query(),
    "ids": Query().filter("id", "in", ["a-000003", "h-001", "nobody"]),
    "one id": Query().filter("id", "=", "c-000100"),
    "prefix": Query().filter("id", "starts_with", "b-0000"),
    "one pack": Query().filter("n", "between", (2600, 2610)),
    "a range in two": Query().filter("n", ">", 5000).filter("n", "<", 5500),
    "none": Query().filter("n", ">", 1_000_000),
    "unknown": Query().filter("nothing", "=", 1),
    "all by values": Query().filter("n", ">=", 0),
    "half of all": Query().filter("v", "<", 0.5),
    "sorted": Query().sort("n").limit(10),
    "sorted down": Query().filter("v", ">", 0.9).sort("n", "DESC").limit(10),
    "sorted, all": Query().filter("n", "<", 3000).sort("v"),
    "limited": Query().limit(10),
    "a page": Query().limit(10).offset(3000),
    "nothing": Query().limit(0),
}


@pytest.mark.parametrize("cache_bytes", [64 << 20, 0])
@pytest.mark.parametrize("name", DECIDED)
def test_a_search_sends_what_was_said(filled: Processes, name: str, cache_bytes: int) -> None:
    database = filled.database(cache_bytes=cache_bytes)
    for _ in ("cold", "warm"):
        estimate = database.explain.search(DECIDED[name])
        check(estimate, spent(database, database.search, DECIDED[name]), bytes_within=0.1 if cache_bytes else 0.35)


@pytest.mark.parametrize("limit", [0, 5, 20, 21, 100])
def test_a_search_of_tiny_packs_sends_what_was_said(tiny: Processes, limit: int) -> None:
    database, query = tiny.database(), Query().limit(limit)
    for _ in ("cold", "warm"):
        estimate = database.explain.search(query)
        check(estimate, spent(database, database.search, query))


def test_a_search_for_few_opens_no_more_packs_than_it_takes(tiny: Processes) -> None:
    database = tiny.database()
    database.explain.search(Query())  # looks at the log and the tails of packs
    assert spent(database, database.search, Query().limit(25)).requests == {"GetObject": 2, "ListObjectsV2": 2}


@pytest.mark.parametrize("name", DECIDED)
def test_a_search_among_objects_sends_what_was_said(loose: Processes, name: str) -> None:
    database = loose.database()
    for _ in ("cold", "warm"):
        estimate = database.explain.search(DECIDED[name])
        check(estimate, spent(database, database.search, DECIDED[name]))


def test_where_content_decides_the_range_holds(filled: Processes) -> None:
    """And what is expected lies not far from what comes, taken together."""
    chance = random.Random(3)
    expected = came = 0
    for _ in range(15):
        query = Query()
        for condition in chance.sample(
            [("v", "<", chance.random() ** 4), ("city", "=", chance.choice(CITIES)), ("text", "like", "%7a%"),
             ("n", ">", chance.randrange(8000)), ("v", ">", 0.3), ("city", "in", ["Aachen", "Essen"])],
            chance.randint(1, 2),
        ):  # fmt: skip
            query.filter(*condition)
        if chance.random() < 0.5:
            query.limit(chance.choice([1, 10, 300])).offset(chance.choice([0, 0, 100]))
        if chance.random() < 0.4:
            query.sort(chance.choice(["v", "n", "city"]), chance.choice(["ASC", "DESC"]))
        database = filled.database(cache_bytes=chance.choice([0, 64 << 20]))
        estimate = database.explain.search(query)
        sent = spent(database, database.search, query)
        check_range(estimate, sent)
        expected, came = expected + sum(estimate.requests.values()), came + sent.total
    assert expected == pytest.approx(came, rel=0.1)


def test_packs_are_told_by_name(filled: Processes) -> None:
    database = filled.database()
    estimate = database.explain.search(Query().filter("n", "between", (2600, 2610)))
    assert (len(estimate.packs_read), len(estimate.packs_pruned), estimate.groups) == (1, 3, 1)
    assert estimate.packs_read[0].startswith(f"{KEYS.prefix}_table/packs/")
    assert str(estimate).splitlines()[:3] == [
        "search",
        "objects: 60 records to read one by one",
        f"packs: 1 of 4 to read, 3 pruned; 1 row group with {estimate.rows:,} rows",
    ]
    everything = database.explain.search()
    assert (len(everything.packs_read), len(everything.packs_pruned), everything.rows) == (4, 0, 8000)
    assert everything.is_certain
    uncertain = str(database.explain.search(Query().filter("v", "<", 0.001)))
    assert "GetObject (from " in uncertain
    assert "cost: $0.0000" in uncertain


def archived_pack(processes: Processes, monkeypatch: pytest.MonkeyPatch) -> str:
    """The key of a pack that lies in an archive from here on."""
    store, pack = processes.store, min(key for key in processes.store.objects if "/packs/" in key)
    get_range, head, list_page = store.get_range, store.head, store.list_page

    def refused(key: str, *more: Any, **named: Any) -> Any:
        if key == pack:
            raise Fault(Kind.ARCHIVED, "", status=403, code="InvalidObjectState")
        return get_range(key, *more, **named)

    def of_class(line: Any) -> Any:
        return replace(line, storage_class="GLACIER") if getattr(line, "key", pack) == pack else line

    monkeypatch.setattr(store, "get_range", refused)
    monkeypatch.setattr(
        store, "head", lambda key, **more: (of_class if key == pack else lambda it: it)(head(key, **more))
    )
    monkeypatch.setattr(
        store,
        "list_page",
        lambda *a, **k: replace(page := list_page(*a, **k), items=[of_class(one) for one in page.items]),
    )
    return pack


@pytest.mark.parametrize("skips", [False, True])
def test_packs_in_an_archive_are_named_and_left_out(
    filled: Processes, monkeypatch: pytest.MonkeyPatch, skips: bool
) -> None:
    pack, database = archived_pack(filled, monkeypatch), filled.database()
    estimate = database.explain.search(archived="skip" if skips else "raise")
    assert any(pack in note for note in estimate.notes)
    assert any("numbers are those of search(…, archived='skip')" in note for note in estimate.notes) is not skips
    check(estimate, spent(database, lambda: database.search(archived="skip")))
    with pytest.raises(RecordArchivedError):
        database.search()


def test_what_becomes_of_archives_is_one_of_two(filled: Processes) -> None:
    with pytest.raises(ConfigurationError, match="'raise' or 'skip', not 'leave'"):
        filled.database().explain.search(archived="leave")  # type: ignore[arg-type]


def test_reading_from_a_class_that_asks_for_it_costs_that(filled: Processes, monkeypatch: pytest.MonkeyPatch) -> None:
    list_page = filled.store.list_page
    plain = filled.database(cache_bytes=0).explain.search()
    monkeypatch.setattr(
        filled.store,
        "list_page",
        lambda *a, **k: replace(
            page := list_page(*a, **k), items=[replace(one, storage_class="GLACIER_IR") for one in page.items]
        ),
    )
    estimate = filled.database(cache_bytes=0).explain.search()
    ranges, size = estimate.requests["GetObject"], estimate.bytes_received
    assert estimate.requests == plain.requests
    assert estimate.dollars - plain.dollars == pytest.approx(
        ranges * (0.01 - 0.0004) / 1000 + 0.03 * size / GB, rel=0.01
    )
    assert any("in GLACIER_IR costs" in note for note in estimate.notes)


def test_explaining_changes_nothing(filled: Processes) -> None:
    database = filled.database()
    before, known = dict(filled.store.objects), dict(probe._known)
    for act in (
        lambda: database.explain.search(Query().filter("v", "<", 0.1)),
        lambda: database.explain.batch_create(records(500)),
        lambda: database.explain.batch_create(records(20)),
        lambda: database.explain.compact(full=True),
    ):
        sent = spent(database, lambda: told.append(act()))  # noqa: B023
        assert sent == told[-1].looked
    assert (filled.store.objects, probe._known) == (before, known)
    assert database.count() == 8060


told: list[WorkEstimate] = []


# ---------------------------------------------------------------------------------------------- compacting
@pytest.mark.parametrize("full", [False, True])
def test_a_compaction_sends_what_was_said(full: bool) -> None:
    with closing(Processes(pack_threshold=200, cache_bytes=64 << 20, max_workers=4, cache_ttl=0)) as processes:
        writer = processes.database()
        writer.batch_create(records(5000))
        for number in range(30):
            writer.create(Record({"n": number, "text": "x" * 50}))
        compacted(writer, full=full, folded=30)
        compacted(writer, full=full, waiting=30)
        processes.world.seconds += 1000
        compacted(writer, full=full, dropped=30)
        for number in range(50):
            writer.update(f"r-{number:06}", Record({"n": -number}))
        compacted(writer, full=full, **({"folded": 50, "rewritten": 1} if full else {"folded": 0}))
        for number in range(100, 1000):
            writer.update(f"r-{number:06}", Record({"n": -number}))
        for number in range(2000, 2100):
            writer.delete(f"r-{number:06}")
        compacted(processes.database(), full=full, folded=900 if full else 950, buried=100)
        processes.world.seconds += 1000
        compacted(processes.database(), full=full)
        for number in range(9):
            writer.batch_create(records(300 + number, start=None))
        compacted(processes.database(), full=full, packs_before=10 if full else 11, packs_after=1)


def compacted(database: S3Database, *, full: bool, **expected: int) -> None:
    """Explains and carries out a compaction."""
    estimate = database.explain.compact(full=full)
    reports: list[CompactReport] = []
    sent = spent(database, lambda: reports.append(database.compact(full=full)))
    check(estimate, sent, bytes_within=0.2)
    (report,) = reports
    for name in ("folded", "buried", "dropped", "waiting", "rewritten", "packs_before", "packs_after"):
        assert getattr(estimate, name) == getattr(report, name), name
    for name, number in expected.items():
        assert getattr(report, name) == number, name
    assert estimate.written_bytes == pytest.approx(report.written_bytes, rel=0.2)


def test_of_many_documents_before_rows_some_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dataknobs_data.s3.rehearsal.objects.LOOKS_MAX", 50)
    with closing(Processes(pack_threshold=200, cache_bytes=64 << 20, max_workers=4)) as processes:
        writer = processes.database()
        writer.batch_create(records(1500))
        for number in range(800):
            writer.update(f"r-{number:06}", Record({"n": -number}))
        processes.world.seconds += 60
        compacted(processes.database(), full=False, folded=800)
        processes.world.seconds += 1000
        other = processes.database()
        estimate = other.explain.compact()
        assert estimate.looked.requests["HeadObject"] + estimate.looked.requests["GetObject"] < 300
        compacted(other, full=False, dropped=800)


def test_many_small_packs_are_merged_in_several_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dataknobs_data.s3.tiered.selecting.PACKS_MAX", 5)
    with closing(Processes(pack_threshold=3, cache_bytes=64 << 20, max_workers=4)) as processes:
        writer = processes.database()
        for _ in range(12):
            writer.batch_create(records(5, start=None))
        estimate = writer.explain.compact(full=True)
        assert estimate.packs_after < estimate.packs_before == 12


def test_there_is_nothing_to_compact_among_objects(loose: Processes) -> None:
    with pytest.raises(ConfigurationError, match="layout 'objects'"):
        loose.database().explain.compact()


@pytest.mark.parametrize("workers", [1, 2])
def test_no_more_is_said_to_be_begun_ahead_than_there_are_threads_for(workers: int) -> None:
    with TieredWorld(max_workers=workers).open() as database:
        for n in range(9):
            database.batch_create([Record({"n": n, "text": "x"}, id=f"{n}-{row}") for row in range(20)])
        estimate = database.explain.select_query("SELECT text FROM S3Object LIMIT 3")
        sent = spent(database, lambda: list(database.select_query("SELECT text FROM S3Object LIMIT 3")))
    assert estimate.requests == sent.requests
