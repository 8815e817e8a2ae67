"""Databases of the tiered layout that share a store in memory: each is another process."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from typing import Any
from unittest.mock import patch

from dataknobs_data.backends.s3 import S3Database
from dataknobs_data.records import Record
from dataknobs_data.s3.place import Place
from dataknobs_data.s3.store import Fault, Kind
from dataknobs_data.s3.stores import connection
from dataknobs_data.s3.tiered.catalog import Packed
from dataknobs_data.s3.tiered.table import Table, View
from tests.unit.log_fakes import KEYS, LogStore
from tests.unit.s3_fakes import FakeWorld, caller

AWS = Place("bucket", "https://s3.amazonaws.com")
"""Of which it is known what it can do."""

SETTINGS = {
    "bucket": "bucket",
    "prefix": KEYS.prefix,
    "layout": "tiered",
    "pack_threshold": 3,
    "cache_ttl": 0,
    "cache_bytes": 0,
    "max_workers": 2,
}


class Died(BaseException):
    """What a process that is dead raises."""


class TieredStore(LogStore):
    """All that a database asks a store for. `after`: called after each request was applied, as `meanwhile` is before."""

    def __init__(self, world: FakeWorld) -> None:
        super().__init__(world)
        self.after: Callable[[str, str], None] = lambda operation, key: None

    @contextmanager
    def _breaking(self, operation: str, key: str) -> Iterator[None]:
        with super()._breaking(operation, key):
            yield
        self.after(operation, key)

    def get_range(self, key: str, offset: int, length: int, *, version_id: str | None = None) -> bytes:
        with self._breaking("GetObject", key):
            self.log.append("GetObject")
            return self._object(key)[0][offset : offset + length]

    def control(self, operation: str, **parameters: Any) -> Any:
        raise Fault(Kind.UNSET, f"{operation}: there is none", status=404)

    def head_bucket(self) -> None: ...

    def close(self) -> None: ...


class Processes:
    """A store and the databases on it."""

    def __init__(self, **settings: Any) -> None:
        self.world = FakeWorld()
        self.store = TieredStore(self.world)
        self._settings = settings
        self._open: list[S3Database] = []

    def copy(self) -> Processes:
        """Other processes, of which nobody has begun yet, where the same lies."""
        other = Processes(**self._settings)
        other.world.seconds, other.world._ids = self.world.seconds, copy(self.world._ids)
        other.store.objects, other.store.written = dict(self.store.objects), dict(self.store.written)
        other.store._etags = copy(self.store._etags)
        return other

    def database(self, **settings: Any) -> S3Database:
        """Another process. Its layout, bucket and format are looked up."""
        database = S3Database({**SETTINGS, **self._settings, **settings}, runtime=self.world.runtime)
        with patch.object(connection, "open_store", lambda settings: (self.store, AWS)):
            database.connect()
        database.batch_delete([])
        self._open.append(database)
        return database

    def close(self) -> None:
        """All databases."""
        self.store.meanwhile = self.store.after = lambda operation, key: None
        for database in self._open:
            database.close()

    def requests(self) -> Counter[str]:
        """Since the last time this was asked."""
        log, self.store.log = self.store.log, []
        return Counter(log)

    def view(self) -> View:
        """The table as it is."""
        return Table(caller(self.store, self.world), KEYS, self.world.runtime, 1).look(None, "")

    def rows(self) -> dict[str, list[Packed]]:
        """Where each row of the table lies, by id. Says that no row stands there twice."""
        found: dict[str, list[Packed]] = {}
        births = set()
        view = self.view()
        for pack in view.packs:
            table = view.reader(pack).read()
            for id, born in zip(table["_id"].to_pylist(), table["_born"].to_pylist(), strict=True):
                assert (id, born) not in births, f"row {id!r} of {born} stands there twice"
                births.add((id, born))
                found.setdefault(id, []).append(pack)
        return found

    def hot(self) -> set[str]:
        """Ids that have an object."""
        return {id for key in self.store.objects if (id := KEYS.id(key))}

    def lost_packs(self) -> set[str]:
        """Paths of packs that are no part of the table."""
        files = {path for key in self.store.objects if (path := KEYS.table_path(key))}
        return files - {pack.path for pack in self.view().packs}

    @contextmanager
    def at_request(self, nth: int, act: Callable[[], object], *, before: bool = True) -> Iterator[list[str]]:
        """Somebody acts at the nth request from now on, from 0. What comes back has an entry if he did."""
        left, acted, me = [nth], list[str](), threading.local()

        def hook(operation: str, key: str) -> None:
            if getattr(me, "acts", False) or acted or reads_pack(operation, key):
                return
            left[0] -= 1
            if left[0] >= 0:
                return
            acted.append(f"{operation} {key}")
            me.acts = True
            try:
                act()
            finally:
                me.acts = False

        setattr(self.store, "meanwhile" if before else "after", hook)
        try:
            yield acted
        finally:
            self.store.meanwhile = self.store.after = lambda operation, key: None

    def dies_at(self, nth: int, *, before: bool) -> None:
        """From the nth request from now on, from 0, nobody is answered any more; that one is applied, unless `before`."""
        left = [nth]

        def hook(operation: str, key: str) -> None:
            left[0] -= 1
            if left[0] < 0:
                raise Died

        def all_dead(operation: str, key: str) -> None:
            if left[0] < 0:
                raise Died

        if before:
            self.store.meanwhile = hook
        else:
            self.store.meanwhile, self.store.after = all_dead, hook

    def lives(self) -> None:
        """Requests are answered again."""
        self.store.meanwhile = self.store.after = lambda operation, key: None


def reads_pack(operation: str, key: str) -> bool:
    """Whether a request reads what never changes: it does not matter what happens beside it. (And whoever acts while a thread
    reads a pack's end may wait for that thread: locks of `cached_property` are of the class in Python 3.11.)
    """
    return operation == "GetObject" and KEYS.table_path(key) is not None


def values(database: S3Database) -> dict[str, dict[str, Any]]:
    """All records, and that scans, counts and reads by id agree on them."""
    found = {str(record.id): plain(record) for record in database.all()}
    assert database.count() == len(found)
    ids = sorted(found)
    assert list(database.list_ids()) == ids
    assert {id: plain(record) for id, record in zip(ids, database.batch_read(ids), strict=True) if record} == found
    return found


def plain(record: Record) -> dict[str, Any]:
    """Values by name."""
    return {name: field.value for name, field in record.fields.items()}
