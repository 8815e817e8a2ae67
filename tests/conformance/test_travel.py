"""Time travel on real stores: every second of a run is shown as it was, whatever was changed, packed and deleted since."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dataknobs_data.backends.s3 import S3Database
from dataknobs_data.exceptions import TimeTravelError
from dataknobs_data.query import Query
from dataknobs_data.records import Record
from tests.s3_bench import S3Bench

TIERED = {"layout": "tiered", "pack_threshold": 3}
IDS = [f"r{number}" for number in range(8)]

pytestmark = pytest.mark.usefixtures("long_after")


@pytest.fixture
def bench(own: S3Bench) -> S3Bench:
    """A bucket of its own: what is switched here is switched for all of it."""
    return own


def next_second() -> datetime:
    """Waits until the present second is over; which that was."""
    now = datetime.now(UTC)
    time.sleep(1 - now.microsecond / 1_000_000)
    return now.replace(microsecond=0)


def shown(past: S3Database) -> dict[str, Any]:
    """Every record, the same in each of the ways to see it."""
    found = {str(record.id): record["v"] for record in past.all()}
    assert past.list_ids() == sorted(found)
    assert (past.count(), past.count(Query().filter("v", ">=", 0))) == (len(found), len(found))
    assert next(iter(past.select_query("SELECT count(*) AS n, sum(v) AS v FROM S3Object"))) == {
        "n": len(found),
        "v": sum(found.values()) if found else None,
    }
    for id in IDS[:4]:
        record = past.read(id)
        assert (record and record["v"]) == found.get(id), id
        assert past.exists(id) == (id in found)
    return found


class Run:
    """A database and all that it ever was, by the second."""

    def __init__(self, bench: S3Bench, db: S3Database, seed: int) -> None:
        self.bench, self.db = bench, db
        self.dice = random.Random(seed)
        self.value = 0
        self.state: dict[str, int] = {}
        self.past: dict[datetime, Mapping[str, int]] = {}
        self.committed: dict[int, Mapping[str, int]] = {}

    def remember(self) -> None:
        """What there is at the end of this second."""
        self.past[next_second()] = dict(self.state)

    def load(self) -> None:
        """Two loads in one second, or nearly."""
        for _ in range(2):
            new = [Record({"v": self._next()}) for _ in range(4)]
            self.state.update(zip(self.db.batch_create(new), (record["v"] for record in new), strict=True))
            self.committed[self.db.log(1)[0].version] = dict(self.state)

    def _next(self) -> int:
        self.value += 1
        return self.value

    def change(self) -> None:
        """Single records, and several at once."""
        for id in self.dice.sample(IDS, 5):
            self.state[id] = self._next()
            self.db.upsert(id, Record({"v": self.state[id]}))
        for id in self.dice.sample(sorted(self.state), 2):
            assert self.db.delete(id)
            del self.state[id]
        ids = self.dice.sample(sorted(self.state), 3)
        assert self.db.batch_update([(id, Record({"v": self.value + 1})) for id in ids]) == [True] * 3
        self.state |= dict.fromkeys(ids, self._next())

    def compact(self) -> None:
        """Moves all of it, while nobody else is at it."""
        self.bench.connect(**TIERED).compact(full=True, wait=True)


def check(run: Run) -> None:
    for second, state in run.past.items():
        past = run.db.at(timestamp=second)
        assert shown(past) == state, second
        past.close()
    for version, state in run.committed.items():
        past = run.db.at(table_version=version)
        assert past.table_version == version
        assert {id: value for id, value in shown(past).items() if id in state or id not in IDS} == state
        past.close()


def lived(bench: S3Bench, steps: list[str], seed: int = 0) -> Run:
    """A database of which each of these steps took a second."""
    db = bench.open(**TIERED)
    db.enable_versioning()
    next_second()
    run = Run(bench, db, seed)
    for step in steps:
        getattr(run, step)()
        run.remember()
    return run


def test_every_second_is_shown_as_it_was(bench: S3Bench) -> None:
    run = lived(bench, ["change", "load", "change", "compact"])
    check(run)
    packs = bench.client.list_objects_v2(Bucket=bench.bucket, Prefix=f"{bench.prefix}_table/packs/")["Contents"]
    for pack in packs:  # as vacuum() does a day later
        bench.client.delete_object(Bucket=bench.bucket, Key=pack["Key"])
    second, state = list(run.past.items())[1]
    assert shown(run.db.at(timestamp=second)) == state


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(20))
def test_every_second_of_a_long_run(bench: S3Bench, seed: int) -> None:
    dice = random.Random(seed)
    check(lived(bench, ["change", *dice.choices(["change", "load", "compact"], k=14)], seed))


@pytest.mark.parametrize("s3_server", ["seaweed"], indirect=True)
def test_more_versions_than_a_page(bench: S3Bench) -> None:
    db = bench.open(layout="objects")
    db.enable_versioning()
    next_second()
    ids = [f"2026/{number:04}" for number in range(1030)]
    db.batch_create([Record({"v": 1}, id=id) for id in ids])
    then = next_second()
    db.batch_delete(ids[::2])
    past = db.at(timestamp=then)
    before = db.usage
    assert past.list_ids() == ids
    assert db.usage.since(before).requests == {"ListObjectVersions": 2}
    assert past.count() == len(ids)
    assert [one and one["v"] for one in past.batch_read(ids[500:520])] == [1] * 20


def test_what_was_written_before_versioning_was_on_and_while_it_was_suspended(bench: S3Bench) -> None:
    db = bench.open(layout="objects")
    db.create(Record({"v": 1}, id="x"))
    db.create(Record({"v": 1}, id="y"))
    early = next_second()
    with pytest.raises(TimeTravelError, match=r"enable_versioning\(\)"):
        db.at(timestamp=early)
    db.enable_versioning()
    on = next_second()
    db.update("x", Record({"v": 2}))
    db.delete("y")
    next_second()
    with pytest.raises(TimeTravelError, match="switched on later") as refused:
        db.at(timestamp=early)
    assert early < refused.value.context["earliest"] <= on
    assert shown(db.at(timestamp=on)) == {"x": 1, "y": 1}
    with pytest.raises(TimeTravelError, match="yet to come"):
        db.at(timestamp=datetime.now(UTC) + timedelta(seconds=5))
    db.suspend_versioning()
    bench.put("x", bench.stored("x"))  # as somebody else: SeaweedFS refuses all conditions now
    last = next_second()
    with pytest.raises(TimeTravelError, match="while versioning was suspended") as refused:
        db.at(timestamp=on).all()
    assert refused.value.context["earliest"].replace(microsecond=0) == last
    assert shown(db.at(timestamp=last)) == {"x": 2}
