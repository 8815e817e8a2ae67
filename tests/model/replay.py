"""Runs of the code held against runs of the model (tiers.py): the same steps in the same order, by both.

Every actor is a thread with a database of its own, all of them on one store in memory. Requests that bear the name of a step
of the protocol (dataknobs_data.s3.steps) wait at a door until a scheduler says whose turn it is. The same step is then taken
in the model, and held against it: the name of each request is the model's program counter, what lies in the store is the
model's state after every step, operations end when the model's do and with the same results, and whoever reads in the end sees
what the model says. All other requests pass with the one before them: what they read never changes, or decides nothing.

An actor that is never let through its door again has died there.
"""

from __future__ import annotations

import itertools
import random
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any
from unittest.mock import patch

from dataknobs_data import codec
from dataknobs_data.backends.s3 import S3Database
from dataknobs_data.documents import Document
from dataknobs_data.exceptions import BatchError, DataknobsDataError, DuplicateRecordError
from dataknobs_data.query import Query
from dataknobs_data.records import Record
from dataknobs_data.runtime import Runtime
from dataknobs_data.s3.format import FORMAT
from dataknobs_data.s3.place import Place
from dataknobs_data.s3.steps import current_step
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
from tests.unit.log_fakes import KEYS, LogStore
from tests.unit.s3_fakes import FakeWorld, caller

RECORD = "the record"
OBJECT = KEYS.record(RECORD)
AWS = Place("bucket", "https://s3.amazonaws.com")
"""Of which it is known what it can do."""

SETTINGS = {"bucket": "bucket", "layout": "tiered", "pack_threshold": 1, "cache_ttl": 0, "max_workers": 2}
WAIT_SECONDS = 20

FIRST_ETAG = 1
"""In the model, of the object that is there from the start."""

PAUSE = 1000
"""Seconds after which nothing runs any more that ran before."""

STEPS = 7
"""After how many of them somebody dies at the latest; few operations take more."""


class Mismatch(AssertionError):
    """The code did what the model does not do."""


class Died(BaseException):
    """Ends the thread of an actor that is not to go on."""


# ---------------------------------------------------------------------------------------------- the store
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
    """A store with that state of the model (tiers.STARTS) in it. `table`: with an empty one at least."""
    world = FakeWorld()
    store, state = Store(world), tiers.STARTS[start]
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


@cache
def folded(start: str) -> Store:
    """As `prepared`, after a compaction that has deleted nothing yet (`folded_in_model`)."""
    world = FakeWorld()
    store = prepared(start, table=True).copy(world)
    world.seconds += PAUSE
    database = _database(store, replace(world.runtime, new_id=map("before_{}".format, itertools.count()).__next__), {})
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

    def _version(self) -> int:
        return sum(name.endswith(".json") for name in self._store.files())

    def look(self) -> Seen:
        """Everything."""
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


# ---------------------------------------------------------------------------------------------- steps
LISTINGS = {"log": KEYS.log, "marks": KEYS.loads, "objects": KEYS.prefix}


def _kind(method: str, key: str) -> str | None:
    """What a request is about."""
    if method == "list_page":
        return next((kind for kind, prefix in LISTINGS.items() if key.startswith(prefix)), None)
    if key == OBJECT:
        return "object"
    if key.startswith(KEYS.log) and method == "put":
        return "commit"
    return "mark" if key.startswith(KEYS.loads) and method == "put" else None


OF_VERSIONS = ("bulk_update.check", "bulk_update.judge")
"""Looks that decide nothing where nobody names a version: they are steps of the other model (cas.py)."""

SEVERAL = {("load.undo", "log"): "load.undo", ("load.undo", "commit"): "load.withdraw"}
"""Blocks of the code in which more than one request decides."""


class Door:
    """A store for one actor: requests that are steps wait until it is let through."""

    def __init__(self, store: Store, actor: Actor) -> None:
        self._store = store
        self._actor = actor

    def close(self) -> None: ...

    def __getattr__(self, method: str) -> Callable[..., Any]:
        send = getattr(self._store, method)

        def request(*args: Any, **named: Any) -> Any:
            self._actor.comes(method, args[0] if args and isinstance(args[0], str) else "")
            return send(*args, **named)

        return request


class Actor:
    """A thread that carries out one public operation, from door to door. `at`: the step before which it waits."""

    def __init__(self, name: str, kind: Kind, store: Store, world: FakeWorld) -> None:
        numbers = itertools.count(1)
        runtime = replace(world.runtime, new_id=lambda: f"{name}_{next(numbers)}")
        self.kind = kind
        self.at: str | None = None
        self.result: Any = None
        self._name = name
        self._block: str | None = None
        self._open = True
        self._dead = False
        self._turn, self._waits = threading.Lock(), threading.Lock()
        self._turn.acquire()
        self._waits.acquire()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.database = _database(Door(store, self), runtime, kind.settings)
        if kind.held:
            self.database.read(RECORD)
        self._open = False

    def begin(self) -> None:
        """Goes as far as its first door."""
        self._thread.start()
        self._until_it_waits()

    def proceed(self) -> None:
        """Lets it through its door, and on to the next or to its end."""
        self._turn.release()
        self._until_it_waits()

    def _until_it_waits(self) -> None:
        if not self._waits.acquire(timeout=WAIT_SECONDS):
            raise Mismatch(f"{self._name} hangs after {self.at}")

    def comes(self, method: str, key: str) -> None:
        """A request of its database is at the door."""
        if self._dead:
            raise Died
        step, kind = current_step(), _kind(method, key)
        step = None if step in OF_VERSIONS else step
        if self._open or threading.current_thread() is not self._thread:
            return
        block, self._block = self._block, step
        if step is None or (step == block and (step, kind) not in SEVERAL):
            return
        self.at = SEVERAL.get((step, kind or ""), step)
        self._waits.release()
        self._turn.acquire()
        if self._dead:
            raise Died

    def _run(self) -> None:
        try:
            self.result = self.kind.operation(self.database, self._name)
        except Died:
            pass
        except Exception as error:  # noqa: BLE001  the model has no such result: it is told there
            self.result = error
        self.at = None
        self._waits.release()

    def end(self) -> None:
        """Gives up what is still going on."""
        self._dead = True
        if self._thread.ident is not None:
            if self._thread.is_alive() and self.at is not None:
                self._turn.release()
            self._thread.join(WAIT_SECONDS)
        self.database.close()


def _database(store: Any, runtime: Runtime, settings: dict[str, Any]) -> S3Database:
    database = S3Database({**SETTINGS, **settings}, runtime=runtime)
    with patch.object(connection, "open_store", lambda settings: (store, AWS)):
        return database.connect()


# ---------------------------------------------------------------------------------------------- operations
@dataclass(frozen=True)
class Kind:
    """An operation by the code, and by the model.

    part    what the names of its steps begin with in the code; `singly`: those that it takes as if it were a single one
    held    it begins with a copy of the document that was read before
    late    it begins when there has been a compaction, long ago
    """

    part: str
    operation: Callable[[S3Database, str], Any]
    program: Callable[[str], Callable[[Any, Any], Any]]
    held: bool = False
    singly: str = ""
    late: bool = False

    @property
    def settings(self) -> dict[str, Any]:
        return {} if self.held else {"cache_bytes": 0}

    def step_name(self, loc: Any) -> str:
        """The code's name for a program counter of the model."""
        return f"{self.singly}.{loc[1]}" if loc[0] == "single" else f"{self.part}.{loc[0]}"


def _record(name: str) -> Record:
    return Record({"v": name}, id=RECORD)


def _create(database: S3Database, name: str) -> str:
    try:
        database.create(_record(name))
    except DuplicateRecordError:
        return "duplicate"
    return "ok"


def _load(database: S3Database, name: str) -> str:
    try:
        database.batch_create([_record(name)])
    except BatchError as error:
        if not isinstance(error.failed[0][1], DuplicateRecordError):
            raise
        return "duplicate"
    return "ok"


def _update(database: S3Database, name: str) -> bool:
    return database.update(RECORD, _record(name))


def _bulk_update(database: S3Database, name: str) -> bool:
    (found,) = database.batch_update([(RECORD, _record(name))])
    return found


def _delete(database: S3Database, name: str) -> bool:
    return database.delete(RECORD)


def _compact(database: S3Database, name: str) -> None:
    database.compact()


def _compact_in_model(s: Any, loc: Any) -> Any:
    """A compaction beside others: they have only begun, so nothing is old enough to be adopted or deleted yet."""
    tiers.LIVE_LOADS.update(s.tags)
    s, loc = tiers.compact(s, loc)
    tiers.LIVE_LOADS.clear()
    return s, ("done", None) if loc[0] in ("drop", "void") or _is_folded(loc) else loc


def _is_folded(loc: Any) -> bool:
    """Whether another compaction has folded that very document: its commit is what this one's deletion waits for too."""
    return loc[0] == "fold" and isinstance(loc[1], tiers.Doc) and loc[3] == {(loc[1].value, loc[1].born)}


def _late_in_model(s: Any, loc: Any) -> Any:
    """A compaction long after another one: what that has folded, and nobody has changed since, is deleted."""
    if loc[0] == "object" and s.hot is not None and s.hot.etag == FIRST_ETAG:
        return s, ("drop", s.hot)
    return tiers.compact(s, loc) if loc[0] == "drop" else _compact_in_model(s, loc)


def _read(database: S3Database, name: str = "") -> str | None:
    record = database.read(RECORD)
    return record["v"] if record else None


KINDS = {
    "create": Kind("create", _create, tiers.create),
    "load": Kind("load", _load, tiers.load, singly="create"),
    "update": Kind("change", _update, tiers.change),
    "delete": Kind("change", _delete, lambda name: tiers.change(None)),
    "bulk update": Kind("bulk_update", _bulk_update, tiers.bulk_update, singly="change"),
    "compact": Kind("compact", _compact, lambda name: _compact_in_model),
    "late compact": Kind("compact", _compact, lambda name: _late_in_model, late=True),
    "read": Kind("read", _read, lambda name: tiers.read),
    "held update": Kind("change", _update, tiers.change, held=True),
    "held delete": Kind("change", _delete, lambda name: tiers.change(None), held=True),
}


# ---------------------------------------------------------------------------------------------- runs
class Programs:
    """The model's side of a run, without the code: states are pairs of the store and the actors' program counters."""

    def __init__(self, start: str, names: Sequence[str]) -> None:
        self.kinds = [KINDS[name] for name in names]
        if any(kind.late for kind in self.kinds):  # what is old enough to be deleted is so for all
            self.kinds = [KINDS["late compact"] if name == "compact" else KINDS[name] for name in names]
        self.names = [f"{name.replace(' ', '-')}{number}" for number, name in enumerate(names)]
        self.programs = [kind.program(name) for kind, name in zip(self.kinds, self.names, strict=True)]
        self.start = tiers.STARTS[start]
        self.late = any(kind.late for kind in self.kinds)
        if self.late:
            self.start = folded_in_model(self.start)._replace(etags=FIRST_ETAG + 1)
        begun = ("start",)
        held = isinstance(self.start.hot, tiers.Doc)
        locs = [
            program(self.start, begun)[1] if kind.held and held else begun
            for kind, program in zip(self.kinds, self.programs, strict=True)
        ]
        self.first = (self.start, tuple(locs))

    def live(self, node: Any) -> list[int]:
        """Whose turn it may be."""
        return [number for number, loc in enumerate(node[1]) if loc[0] not in ("done", "dead")]

    def after(self, node: Any, number: int) -> Any:
        """The state after a step of that actor."""
        state, locs = node
        state, loc = self.programs[number](state, locs[number])
        return state, (*locs[:number], loc, *locs[number + 1 :])

    def without(self, node: Any, number: int) -> Any:
        """The state after the death of that actor."""
        state, locs = node
        return state, (*locs[:number], ("dead",), *locs[number + 1 :])


def covering(start: str, names: Sequence[str]) -> Iterator[list[int]]:
    """Schedules by which every step that any interleaving can take, in whatever state, is taken at least once."""
    programs = Programs(start, names)
    ways: dict[Any, list[int]] = {programs.first: []}
    left: dict[Any, set[int]] = {}
    waiting = deque([programs.first])
    while waiting:  # breadth first: the shortest way to each state
        node = waiting.popleft()
        left[node] = set(programs.live(node))
        for number in left[node]:
            after = programs.after(node, number)
            if after not in ways:
                ways[after] = [*ways[node], number]
                waiting.append(after)
    for target in reversed(ways):  # the far ones first: the ways there take the steps of many others
        while left[target]:
            schedule, node, way = [], programs.first, deque([*ways[target], min(left[target])])
            while live := programs.live(node):
                number = way.popleft() if way else min(left[node] or live)
                left[node].discard(number)
                schedule.append(number)
                node = programs.after(node, number)
            yield schedule


RESTED: set[Any] = set()
"""Ends from which the way to rest was held against the model's already."""


class Run:
    """One run of code and model together."""

    def __init__(self, start: str, names: Sequence[str]) -> None:
        self._world = FakeWorld(dice=0.0)
        self._programs = Programs(start, names)
        if self._programs.late:
            self._store = folded(start).copy(self._world)
            self._world.seconds += 2 * PAUSE
        else:  # a compaction begins a table with a commit of its own, which the model does not know
            self._store = prepared(start, table="compact" in names).copy(self._world)
        self.node = self._programs.first
        self._ids = map("rest_{}".format, itertools.count()).__next__
        self._title = f"{start}: {' | '.join(names)}"
        self._taken: list[str] = []
        self._observer = Observer(self._store, self._world)
        pairs = zip(self._programs.names, self._programs.kinds, strict=True)
        self._actors = [Actor(name, kind, self._store, self._world) for name, kind in pairs]

    def follow(self, choose: Callable[[list[int]], int], mortal: int | None = None, steps: int = 0) -> None:
        """Takes turns until all are done, and looks at the end. Raises Mismatch.

        choose  whose turn it is, of those who are given
        mortal  who dies after so many steps
        """
        try:
            for number, actor in enumerate(self._actors):
                actor.begin()
                self._compare(number)
            while live := self._programs.live(self.node):
                number = choose(live)
                if number == mortal and steps == 0:
                    self._taken.append(f"{self._programs.names[number]} dies before {self._actors[number].at}")
                    self.node = self._programs.without(self.node, number)
                    continue
                steps -= number == mortal
                self._step(number)
            self._read_all()
            self._come_to_rest()
        finally:
            for actor in self._actors:
                actor.end()
            self._observer.close()

    def _step(self, number: int) -> None:
        self._taken.append(f"{self._programs.names[number]} {self._actors[number].at}")
        self.node = self._programs.after(self.node, number)
        self._actors[number].proceed()
        self._compare(number)

    def _compare(self, number: int) -> None:
        actor, loc = self._actors[number], self.node[1][number]
        name = self._programs.names[number]
        if loc[0] == "done":
            self._same(f"{name}: next step", actor.at, None)
            self._same(f"{name}: result", actor.result, loc[1])
        else:
            self._same(f"{name}: next step", actor.at or f"ends with {actor.result!r}", actor.kind.step_name(loc))
        self._same("the store", self._observer.look(), seen_in_model(self.node[0], self._programs.start))

    def _read_all(self) -> None:
        """What readers see who come last."""
        value = tiers.visible(self.node[0].hot, self.node[0].rows)
        there = [] if value is None else [RECORD]
        database = _database(self._store, self._world.runtime, {})
        try:
            self._same("read", _read(database), value)
            self._same("exists", database.exists(RECORD), value is not None)
            self._same("list_ids", list(database.list_ids()), there)
            self._same("count", database.count(), len(there))
            self._same("search", [record["v"] for record in database.search(Query())], [value] if there else [])
            self._same("get_version", database.get_version(RECORD) is not None, value is not None)
        except DataknobsDataError as error:
            raise Mismatch(f"{self._story()}\nreading: {error!r}") from error
        finally:
            database.close()

    def _come_to_rest(self) -> None:
        """When all are gone, compactions alone make the same of it as in the model."""
        key = seen_in_model(self.node[0], self._programs.start), self._title
        if key in RESTED:
            return
        RESTED.add(key)
        tiers.LIVE_LOADS.clear()
        state = tiers.come_to_rest(self.node[0])
        for _ in range(3):
            self._world.seconds += PAUSE
            database = _database(self._store, replace(self._world.runtime, new_id=self._ids), {})
            try:
                database.compact(wait=True)
            finally:
                database.close()
        found, wanted = self._observer.look(), seen_in_model(state, self._programs.start)
        self._same("the store at rest", replace(found, version=0), replace(wanted, version=0))
        self.node = (state, ())
        self._read_all()

    def _same(self, what: str, code: Any, model: Any) -> None:
        if code != model:
            raise Mismatch(f"{self._story()}\n{what}\n  code:  {code!r}\n  model: {model!r}")

    def _story(self) -> str:
        return "\n  ".join([self._title, *self._taken])


def replay(start: str, names: Sequence[str], schedule: Sequence[int]) -> None:
    """A run with these turns. Raises Mismatch."""
    turns = iter(schedule)
    Run(start, names).follow(lambda live: next(turns))


def replay_at_random(start: str, names: Sequence[str], seed: int, *, one_dies: bool) -> None:
    """A run with turns by chance, which the seed decides. Raises Mismatch."""
    chance = random.Random(seed)
    mortal = chance.randrange(len(names)) if one_dies else None
    Run(start, names).follow(chance.choice, mortal, chance.randrange(STEPS))
