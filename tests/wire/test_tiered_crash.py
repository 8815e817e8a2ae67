"""A client dies before, or after, every single request of a load, a bulk update, a compaction, a clear.

For the store a client is dead that sends nothing more: so from the kth request on the proxy lets none through; where the client
dies after a request, the store applies that one, and the client never hears of it. Afterwards another client sees every
acknowledged record, once and as it was told; what was one commit is there as a whole or not at all; and the same work done
again finishes the job.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dataknobs_data.backends.s3 import S3Database
from dataknobs_data.exceptions import BatchError, DataknobsDataError, DuplicateRecordError
from dataknobs_data.records import Record
from tests.s3_bench import S3Bench
from tests.wire.proxy import Lose, Refuse

COUNT = 6
QUICK: dict[str, Any] = {
    "layout": "tiered", "pack_threshold": 3, "max_retries": 0, "timeout": 1.0, "deadline": 2.5, "grace": 3.0, "cache_ttl": 0,
}  # fmt: skip
REQUESTS_MAX = 60

State = dict[str, Any]


def values(db: S3Database) -> State:
    """What everybody sees."""
    return {record.id: record["v"] for record in db.all()}


def state(db: S3Database) -> State:
    """The same, by all ways of looking."""
    found = values(db)
    assert db.count() == len(found)
    assert db.list_ids() == sorted(found)
    assert all(db.exists(id) for id in {id[0]: id for id in found}.values()), "one of each kind"
    assert [record and record["v"] for record in db.batch_read(list(found))] == list(found.values())
    return found


def prepared(bench: S3Bench) -> S3Database:
    """A database with packed records, hot ones, changed and deleted ones; unseen by the proxy."""
    db = bench.past(**QUICK)
    db.batch_create([Record({"v": "packed"}, id=f"p{number}") for number in range(COUNT)])
    db.update("p0", Record({"v": "changed"}))
    db.delete("p1")
    for number in range(COUNT):
        db.create(Record({"v": "hot"}, id=f"h{number}"))
    db.delete("h0")
    return db


def own(prefix: str) -> list[Record]:
    return [Record({"v": "loaded"}, id=f"{prefix}{number}") for number in range(COUNT)]


def load(db: S3Database) -> None:
    """What is there already from the first time may stay."""
    try:
        db.batch_create(own("n"))
    except BatchError as error:
        others = [one for _, one in error.failed.values() if not isinstance(one, DuplicateRecordError)]
        if others:
            raise others[0] from error


def update(db: S3Database) -> None:
    db.batch_update([(f"p{number}", Record({"v": "updated"})) for number in range(2, COUNT)])


def upsert(db: S3Database) -> None:
    ids = [*(f"p{number}" for number in range(2, COUNT)), "u0", "u1", "u2"]
    db.batch_upsert([(id, Record({"v": "upserted"})) for id in ids])


def delete(db: S3Database) -> None:
    db.batch_delete(["p2", "p3", "h1", "nobody"])


def after_load(before: State) -> State:
    return {**before, **{f"n{number}": "loaded" for number in range(COUNT)}}


def after_update(before: State) -> State:
    return {**before, **{f"p{number}": "updated" for number in range(2, COUNT)}}


def after_upsert(before: State) -> State:
    return {**before, **dict.fromkeys([*(f"p{number}" for number in range(2, COUNT)), "u0", "u1", "u2"], "upserted")}


def after_delete(before: State) -> State:
    return {id: value for id, value in before.items() if id not in ("p2", "p3", "h1")}


CASES: dict[str, tuple[Callable[[S3Database], Any], Callable[[State], State], bool]] = {
    "load": (load, after_load, True),
    "update": (update, after_update, True),
    "upsert": (upsert, after_upsert, True),
    "delete": (delete, after_delete, False),
    "compact": (lambda db: db.compact(full=True), lambda before: before, True),
}
"""What is done, what is there afterwards, and whether it is there as a whole or not at all."""


def dies(bench: S3Bench, work: Callable[[S3Database], Any], at: int, *, applied: bool) -> bool:
    """Lets a client do its work and die at its nth request; False where it came to the end before that."""
    db = bench.connect(**QUICK)
    db.count()  # opens it
    db.batch_delete([])
    db._engine._writers()  # type: ignore[attr-defined]  # what is done once a process has been done
    bench.proxy.reset()
    if applied:
        bench.proxy.fault(Lose(), nth=at)
    refused = bench.proxy.fault(
        Refuse(), nth=1 if applied else at, times=None, when=lambda r: _behind(r, at, applied, bench)
    )
    try:
        work(db)
        return refused.hits > 0
    except DataknobsDataError:
        return True
    finally:
        bench.proxy.reset()
        db.close()


def _behind(request: Any, at: int, applied: bool, bench: S3Bench) -> bool:
    return not applied or len(bench.proxy.requests) > at


@pytest.mark.parametrize("case", CASES)
def test_a_client_that_dies_before_any_request(bench: S3Bench, case: str) -> None:
    at_any_request(bench, case, applied=False)


@pytest.mark.soak
@pytest.mark.parametrize("case", CASES)
def test_a_client_that_dies_after_any_request(bench: S3Bench, case: str) -> None:
    """For a store that is as if it died before the next one, except where several requests are in flight."""
    at_any_request(bench, case, applied=True)


def at_any_request(bench: S3Bench, case: str, *, applied: bool) -> None:
    work, change, atomic = CASES[case]
    outer = bench.prefix
    before: State = {}
    for at in range(1, REQUESTS_MAX):
        bench.prefix = f"{outer}{at}/"
        db = prepared(bench)
        before = before or state(db)
        went_through = not dies(bench, work, at, applied=applied)
        after = state(db)
        expected = change(before)
        if atomic:
            assert after in (before, expected), (at, _difference(after, before), _difference(after, expected))
        else:
            assert all(after.get(id) in (before.get(id), expected.get(id)) for id in before | expected), at
        work(db)
        assert values(db) == expected, at
        db.compact(full=True)
        assert state(db) == expected, at
        db.close()
        if went_through:
            assert at > 3, "it sent something"
            assert after == expected
            return
    raise AssertionError(f"more than {REQUESTS_MAX} requests")


def _difference(found: State, wanted: State) -> State:
    return {id: (found.get(id), wanted.get(id)) for id in found | wanted if found.get(id) != wanted.get(id)}
