"""Time travel against a model that remembers every state: random runs in a bucket whose clock moves with every request."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest

from dataknobs_data.backends.s3 import S3Database, S3Past
from dataknobs_data.query import Query
from dataknobs_data.records import Record
from tests.unit.versioned_world import VersionedWorld

pytestmark = pytest.mark.thorough

SECOND, DAY = timedelta(seconds=1), timedelta(days=1)
IDS = [f"r{number}" for number in range(12)]
State = Mapping[str, int]


@dataclass
class Op:
    """What one operation made of the records. `version`: of the table, if it committed."""

    began: datetime
    ended: datetime
    state: State
    version: int | None = None


@dataclass
class Run:
    """A database, and all that it ever was."""

    seed: int
    ops: list[Op] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.dice = random.Random(self.seed)
        self.pace = 0.3
        self.world = VersionedWorld(pack_threshold=3, grace=70)
        self.world.store.page_size = self.dice.choice([3, 10, 1000])
        self.world.store.meanwhile = self.tick
        self.dbs = [self.world.open(), self.world.open()]
        self.state: dict[str, int] = {}
        self.values = iter(range(1_000_000))
        self.versions = 0
        self.dbs[0].create(Record({"v": -1}, id="warm"))
        self.dbs[0].delete("warm")
        self.ops.append(Op(self.world.now, self.world.now, {}))

    def tick(self, operation: str, key: str) -> None:
        """Every request takes a while."""
        self.world.passes(self.dice.random() * self.pace)

    # ------------------------------------------------------------------ one operation
    def step(self) -> None:
        began = self.world.now
        name = self.dice.choice(
            ["create", "update", "delete", "load", "own", "bulk", "many", "compact", "full", "rest"]
        )
        getattr(self, f"_{name}")(self.dice.choice(self.dbs))
        self.ops.append(Op(began, self.world.now, dict(self.state), self._committed()))

    def _committed(self) -> int | None:
        log = self.dbs[0].log(1)
        before, self.versions = self.versions, log[0].version + 1 if log else 0
        return log[0].version if log and self.versions == before + 1 else None

    def _some(self, least: int = 3) -> list[str]:
        return self.dice.sample(IDS, self.dice.randint(least, len(IDS)))

    def _create(self, db: S3Database) -> None:
        id = self.dice.choice(IDS)
        if id not in self.state:
            self.state[id] = next(self.values)
            db.create(Record({"v": self.state[id]}, id=id))

    def _update(self, db: S3Database) -> None:
        id, value = self.dice.choice(IDS), next(self.values)
        assert db.update(id, Record({"v": value})) == (id in self.state)
        self.state |= {id: value} if id in self.state else {}

    def _delete(self, db: S3Database) -> None:
        id = self.dice.choice(IDS)
        assert db.delete(id) == (self.state.pop(id, None) is not None)

    def _load(self, db: S3Database) -> None:
        new = [next(self.values) for _ in range(self.dice.randint(3, 6))]
        ids = db.batch_create([Record({"v": value}) for value in new])
        self.state.update(zip(ids, new, strict=True))

    def _own(self, db: S3Database) -> None:
        new = {id: next(self.values) for id in self._some(1) if id not in self.state}
        if new:
            db.batch_create([Record({"v": value}, id=id) for id, value in new.items()])
            self.state |= new

    def _bulk(self, db: S3Database) -> None:
        new = {id: next(self.values) for id in self._some()}
        found = db.batch_update([(id, Record({"v": value})) for id, value in new.items()])
        assert found == [id in self.state for id in new]
        self.state |= {id: value for id, value in new.items() if id in self.state}

    def _many(self, db: S3Database) -> None:
        ids = self._some()
        assert db.batch_delete(ids) == [self.state.pop(id, None) is not None for id in ids]

    def _compact(self, db: S3Database) -> None:
        db.compact()

    def _full(self, db: S3Database) -> None:
        db.compact(full=True, wait=self.dice.random() < 0.5)

    def _rest(self, db: S3Database) -> None:
        self.world.passes(self.dice.choice([0.1, 1, 5, 300]))
        if self.dice.random() < 0.1:
            self.world.passes(25 * 3600)
            db.compact(full=True, wait=True)
            self.world.passes(25 * 3600)
            db.vacuum(retention=DAY)

    # ------------------------------------------------------------------ what it was
    def allowed(self, second: datetime) -> list[State]:
        """The states that records may have at the end of a second: of the last operation over, and of one under way."""
        end = second + SECOND
        over = max(number for number, op in enumerate(self.ops) if op.ended < end)
        begun = max(number for number, op in enumerate(self.ops) if op.began < end)
        return [op.state for op in self.ops[over : begun + 1]]

    def seconds(self) -> Iterator[datetime]:
        """The last seconds of all operations, and some in between."""
        for op in self.ops[1:]:
            yield op.ended.replace(microsecond=0)
            yield (op.began + (op.ended - op.began) * self.dice.random()).replace(microsecond=0)


def shown(past: S3Past) -> dict[str, Any]:
    """Every record, the same in each of the ways to see it."""
    found = {str(record.id): record["v"] for record in past.all()}
    assert past.list_ids() == sorted(found)
    assert past.count() == len(found)
    assert past.count(Query().filter("v", ">=", 0)) == len(found)
    for id in [*IDS, *found]:
        record = past.read(id)
        assert (record and record["v"]) == found.get(id), id
        assert past.exists(id) == (id in found)
    return found


def check(found: Mapping[str, Any], allowed: list[State], when: object) -> None:
    for id in found.keys() | {id for state in allowed for id in state}:
        assert found.get(id) in [state.get(id) for state in allowed], (id, when)


@pytest.mark.parametrize("seed", [*range(3), *(pytest.param(seed, marks=pytest.mark.soak) for seed in range(3, 100))])
def test_every_instant_of_a_run_is_shown_as_it_was(seed: int) -> None:
    run = Run(seed)
    for _ in range(30):
        run.step()
    run.world.passes(2)
    for second in sorted(set(run.seconds())):
        past = run.dbs[0].at(timestamp=second)
        check(shown(past), run.allowed(second), second)
        past.close()
    for op in run.ops:
        if op.version is not None:
            past = run.dbs[0].at(table_version=op.version)
            assert past.table_version == op.version
            assert op.began.replace(microsecond=0) <= past.timestamp <= op.ended
            end = past.timestamp + SECOND
            check(
                shown(past),
                [one.state for one in run.ops if one.ended >= op.began and one.began < end] + before(run, op),
                op,
            )
            past.close()


def before(run: Run, op: Op) -> list[State]:
    """The state that an operation found."""
    return [run.ops[run.ops.index(op) - 1].state]
