"""Stores in memory: each in a state of the model of the two tiers, and what state of it one is in."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any
from unittest.mock import patch

from dataknobs_data import codec
from dataknobs_data.backends.s3 import S3Database
from dataknobs_data.documents import Document
from dataknobs_data.runtime import Runtime
from dataknobs_data.s3.format import FORMAT
from dataknobs_data.s3.place import Place
from dataknobs_data.s3.store import Fault, PutOptions
from dataknobs_data.s3.store import Kind as FaultKind
from dataknobs_data.s3.stores import connection
from dataknobs_data.s3.table.actions import Add
from dataknobs_data.s3.table.log import Committed, Job, Log
from dataknobs_data.s3.table.shape import Shape, grow
from dataknobs_data.s3.table.writing import packs
from dataknobs_data.s3.tiered.catalog import LOAD, tags_of
from dataknobs_data.s3.tiered.table import Table
from dataknobs_data.s3.tombstones import Tombstone, decode, is_tombstone, told_apart
from tests.model import tiers
from tests.model.tiers_promise import STARTS
from tests.unit.log_fakes import KEYS, LogStore
from tests.unit.s3_fakes import FakeWorld, caller

RECORD = "the record"
OBJECT = KEYS.record(RECORD)
AWS = Place("bucket", "https://s3.amazonaws.com")
"""Of which it is known what it can do."""

SETTINGS = {"bucket": "bucket", "layout": "tiered", "pack_threshold": 1, "cache_ttl": 0, "max_workers": 2}

PAUSE = 1000
"""Seconds after which nothing runs any more that ran before."""


class Mismatch(AssertionError):
    """The code did what the model does not do."""


class Store(LogStore):
    """All that a database asks a store for."""

    def get_range(self, key: str, offset: int, length: int, *, version_id: str | None = None) -> bytes:
        return self._object(key)[0][offset : offset + length]

    def head_bucket(self) -> None: ...

    def control(self, operation: str, **parameters: Any) -> dict[str, Any]:
        raise Fault(FaultKind.UNSET, operation)

    def close(self) -> None: ...

    def copy(self, world: FakeWorld) -> Store:
        """Another one with the same content."""
        other = Store(world)
        other.objects, other.written = dict(self.objects), dict(self.written)
        other._etags = itertools.count(1000)
        return other


def _value(document: Document) -> str:
    return str(document.data["v"])


def _document(value: str, born: str, replaces: frozenset[str] = frozenset()) -> Document:
    at = "2026-01-01T00:00:00.000000Z"
    return Document(RECORD, {"v": value}, {}, at, at, born, f"{value}@{born}", replaces)


@cache
def prepared(start: str, *, table: bool) -> Store:
    """A store with that state of the model (STARTS) in it. `table`: with an empty one at least."""
    world = FakeWorld()
    store, state = Store(world), STARTS[start]
    store.put(KEYS.format, b'{"format": %d, "layout": "tiered"}' % FORMAT, PutOptions(), None)
    if isinstance(state.hot, tiers.Doc):
        document = _document(state.hot.value, state.hot.born, state.hot.replaces)
        store.put(OBJECT, told_apart(codec.encode(document)), PutOptions(), None)
    elif isinstance(state.hot, tiers.Tomb):
        tombstone = Tombstone(state.hot.kills, "r")
        store.put(OBJECT, tombstone.encode(), PutOptions(tombstone.headers()), None)
    if state.ver:
        _make_table(store, world, state)
    elif table:
        log = Log(caller(store, world), KEYS, world.runtime, 1)
        log.ensure(Shape().schema_string(), Job("start", "CREATE TABLE"))
        log.close()
    return store


def _make_table(store: Store, world: FakeWorld, state: Any) -> None:
    """So many commits, after which just these rows are there."""
    table = Table(caller(store, world), KEYS, world.runtime, 1)
    ((value, born),) = state.rows or {("gone", "b0")}
    document = _document(value, born)
    (pack,) = packs([document], grow(Shape(), [document]), 1 << 20)
    path = "packs/START.parquet"
    store.put(KEYS.table_file(path), bytes(memoryview(pack.body)), PutOptions(), None)
    add = Add(path, pack.size, 0, pack.stats.to_json(), tags_of(pack))
    made = table.log.begin(
        pack.shape.schema_string(), [add], Job("start", "COMPACT", {"listed": "2020-01-01T00:00:00+00:00"})
    )
    assert isinstance(made, Committed)
    if not state.rows:
        table.log.commit(
            made.snapshot, [add.removed(0)], Job("gone", "COMPACT", {"listed": "2020-01-01T00:00:00+00:00"})
        )
    table.close()
    assert made.snapshot.version + 1 == 1
    assert len([name for name in store.files() if name.endswith(".json")]) == state.ver


def open_database(store: Any, runtime: Runtime, settings: dict[str, Any]) -> S3Database:
    """A database in that store."""
    database = S3Database({**SETTINGS, **settings}, runtime=runtime)
    with patch.object(connection, "open_store", lambda settings: (store, AWS)):
        return database.connect()


@cache
def folded(start: str) -> Store:
    """As `prepared`, after a compaction that has deleted nothing yet (`folded_in_model`)."""
    world = FakeWorld()
    store = prepared(start, table=True).copy(world)
    world.seconds += PAUSE
    database = open_database(
        store, replace(world.runtime, new_id=map("before_{}".format, itertools.count()).__next__), {}
    )
    try:
        database.compact()
    finally:
        database.close()
    return store


def folded_in_model(state: Any) -> Any:
    """The state after a compaction that has still to delete what it has folded."""
    loc = ("start",)
    while loc[0] not in ("drop", "done"):
        state, loc = tiers.compact(state, loc)
    return state


# ---------------------------------------------------------------------------------------------- what lies in it
@dataclass(frozen=True)
class Seen:
    """A state of the model without its ETags, `version` being counted from the start, and of `finished` only what has rows."""

    hot: Any
    rows: frozenset[tuple[str, str]]
    version: int
    finished: frozenset[str]


def seen_in_model(state: Any, start: Any) -> Seen:
    """What is compared of a state of the model."""
    hot = state.hot and state.hot._replace(etag=0)
    return Seen(hot, state.rows, state.ver - start.ver, tiers.births(state.rows) & state.fin)


def birth(name: str) -> str:
    """A birth by the model's name: ids are made by actors, and an actor creates once."""
    return name.partition("_")[0]


def _births(names: Sequence[str] | frozenset[str]) -> frozenset[str]:
    return frozenset(map(birth, names))


class Observer:
    """Looks at the store past all doors."""

    def __init__(self, store: Store, world: FakeWorld) -> None:
        self._store = store
        self._table = Table(caller(store, world), KEYS, world.runtime, 1)
        self._rows: dict[str, frozenset[tuple[str, str]]] = {}
        self._first = self._version()
        self._last: tuple[dict[str, str], Seen] | None = None

    def _version(self) -> int:
        return sum(name.endswith(".json") for name in self._store.files())

    def look(self) -> Seen:
        """Everything; looked for again where anything was written since."""
        there = {key: etag for key, (_, etag, _) in self._store.objects.items()}
        if self._last is None or self._last[0] != there:
            self._last = there, self._look()
        return self._last[1]

    def _look(self) -> Seen:
        view = self._table.look(None, "")
        for pack in view.packs:
            if pack.path not in self._rows:
                found = view.reader(pack).find([RECORD])
                self._rows[pack.path] = frozenset((_value(one), birth(one.born)) for one in found)
        rows = [row for pack in view.packs for row in self._rows[pack.path]]
        finished = {
            born
            for pack in view.packs
            for _, born in self._rows[pack.path]
            if LOAD not in (pack.add.tags or {}) or KEYS.load(str(pack.load)) in self._store.objects
        }
        if len(rows) > len(set(rows)):
            raise Mismatch(f"a row stands there twice: {rows}")
        return Seen(self._hot(), frozenset(rows), self._version() - self._first, frozenset(finished))

    def _hot(self) -> Any:
        if OBJECT not in self._store.objects:
            return None
        body = self._store.objects[OBJECT][0]
        if is_tombstone(body):
            return tiers.Tomb(_births(decode(body, OBJECT).kills), 0)
        document = codec.decode(body, id=RECORD, birth="", modified="")
        return tiers.Doc(_value(document), birth(document.born), _births(document.replaces), 0)

    def close(self) -> None:
        self._table.close()
