"""A table's log in a dict: a store that lists, knows the time, and breaks at the request it is told to break at."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from dataknobs_data.s3.keys import Keys
from dataknobs_data.s3.store import Blob, Condition, Fault, Head, Kind, Listed, Match, Page, PutOptions
from dataknobs_data.s3.table.actions import Action, Add
from dataknobs_data.s3.table.log import Job, Log
from dataknobs_data.s3.table.snapshot import Snapshot
from dataknobs_data.s3.table.upkeep import Upkeep
from tests.unit.s3_fakes import START, DictStore, FakeWorld, caller

KEYS = Keys("records/")
SCHEMA = (
    '{"type":"struct","fields":[{"name":"_id","type":"string","nullable":true,"metadata":{}},'
    '{"name":"n","type":"long","nullable":true,"metadata":{}}]}'
)
WIDER = SCHEMA.removesuffix("]}") + ',{"name":"m","type":"double","nullable":true,"metadata":{}}]}'


@dataclass
class Break:
    """At the nth request from now on (from 1) that has this operation (any): `kind`, before or after it was applied."""

    kind: Kind
    nth: int = 1
    before: bool = True
    operation: str | None = None
    times: int = 1

    def strikes(self, operation: str) -> bool:
        if self.operation not in (None, operation) or self.times <= 0:
            return False
        self.nth -= 1
        if self.nth > 0:
            return False
        self.times -= 1
        return True


class LogStore(DictStore):
    """`breaks`: what shall go wrong; `page_size`: lines of a page of a listing; `meanwhile`: called before each request."""

    def __init__(self, world: FakeWorld, *broken: str, page_size: int = 1000) -> None:
        super().__init__(*broken)
        self._world = world
        self.page_size = page_size
        self.breaks: list[Break] = []
        self.meanwhile: Callable[[str, str], None] = lambda operation, key: None
        self.written: dict[str, datetime] = {}

    @property
    def time(self) -> datetime:
        """By the store's clock."""
        return START + timedelta(seconds=self._world.seconds)

    @contextmanager
    def _breaking(self, operation: str, key: str) -> Any:
        self.meanwhile(operation, key)
        struck = next((one for one in self.breaks if one.strikes(operation)), None)
        if struck and struck.before:
            raise Fault(struck.kind, "before")
        yield
        if struck:
            raise Fault(struck.kind, "after")

    def get(self, key: str, *, unless_etag: str | None = None, version_id: str | None = None) -> Blob | None:
        with self._breaking("GetObject", key):
            blob = super().get(key, unless_etag=unless_etag)
        return replace(blob, modified=self.written[key]) if blob else None

    def head(self, key: str, *, version_id: str | None = None) -> Head:
        with self._breaking("HeadObject", key):
            head = super().head(key)
        return replace(head, modified=self.written[key], now=self.time)

    def put(self, key: str, body: bytes, options: PutOptions, condition: Condition) -> str:
        with self._breaking("PutObject", key):
            etag = super().put(key, body, options, condition)
            self.written[key] = self.time
        return etag

    def delete(self, key: str, condition: Match | None) -> None:
        with self._breaking("DeleteObject", key):
            super().delete(key, condition)

    def delete_many(self, keys: Sequence[str]) -> dict[str, Fault]:
        with self._breaking("DeleteObjects", keys[0]):
            self.log.append("DeleteObjects")
            for key in keys:
                self.objects.pop(key, None)
        return {}

    def list_page(self, prefix: str, *, token: str | None = None, start_after: str | None = None) -> Page:
        with self._breaking("ListObjectsV2", prefix):
            self.log.append("ListObjectsV2")
            after = token or start_after or ""
            keys = sorted(key for key in self.objects if key.startswith(prefix) and key > after)
        lines = [
            Listed(key, self.objects[key][1], len(self.objects[key][0]), "STANDARD", self.written[key].isoformat())
            for key in keys[: self.page_size]
        ]
        return Page(lines, lines[-1].key if len(keys) > self.page_size else None)

    # ------------------------------------------------------------------ for tests
    def files(self) -> list[str]:
        """Of the log's folder."""
        return sorted(key.removeprefix(KEYS.log) for key in self.objects if key.startswith(KEYS.log))

    def write(self, name: str, body: bytes) -> None:
        """A file of the log, by somebody else."""
        super().put(KEYS.log + name, body, PutOptions(), None)
        self.written[KEYS.log + name] = self.time


class Table:
    """Processes that share a table: each `log` is another one."""

    def __init__(self, store: LogStore | None = None, **settings: Any) -> None:
        self.world = FakeWorld()
        self.store = store or LogStore(self.world)
        self.store._world = self.world
        self._settings = {"max_workers": 1, **settings}
        self._jobs = 0

    def log(self) -> Log:
        return Log(self.caller(), KEYS, self.world.runtime, workers=1)

    def caller(self) -> Any:
        return caller(self.store, self.world, **self._settings)

    def upkeep(self, log: Log) -> Upkeep:
        return Upkeep(self.caller(), KEYS, log.reader)

    def job(self, operation: str = "WRITE") -> Job:
        """A new one."""
        self._jobs += 1
        return Job(f"job-{self._jobs}", operation)

    def add(self, log: Log, path: str) -> Snapshot:
        """One commit with one new file."""
        made = log.commit_with(lambda snapshot: [pack(path)], self.job(), snapshot=log.known)
        assert made
        return made.snapshot

    def made(self, commits: int = 0) -> Log:
        """A table with packs/0, packs/1, …, in a process that knows all of it."""
        log = self.log()
        log.ensure(SCHEMA, self.job("CREATE TABLE"))
        for number in range(commits):
            self.add(log, f"packs/{number}")
        return log

    def requests(self) -> list[str]:
        """Since the last time this was asked."""
        log, self.store.log = self.store.log, []
        return log


def pack(path: str, **more: Any) -> Add:
    return Add(path, 100, 1_767_225_600_000, **more)


def paths(snapshot: Snapshot | None) -> list[str]:
    assert snapshot is not None
    return sorted(snapshot.packs)


def actions_of(*wanted: Action) -> Callable[[Snapshot], list[Action]]:
    """A decision that does not depend on the snapshot."""
    return lambda snapshot: list(wanted)
