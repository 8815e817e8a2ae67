"""Databases in the tiered layout on a store in memory: its clock is moved by hand, and it breaks when it is told to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any
from unittest.mock import patch

from dataknobs_data.backends.s3 import S3Database
from dataknobs_data.s3.format import FORMAT
from dataknobs_data.s3.place import Place
from dataknobs_data.s3.probe import Capabilities, ConditionalDelete
from dataknobs_data.s3.store import Fault, Kind, Match, Page, PutOptions
from dataknobs_data.s3.stores import connection
from dataknobs_data.s3.table.joining import documents_of
from dataknobs_data.s3.tiered.table import Table, View
from tests.unit.log_fakes import KEYS, LogStore
from tests.unit.s3_fakes import START, FakeWorld, caller

PLACE = Place("bucket", "https://s3.amazonaws.com")
GRACE, DEADLINE = 120, 60
OPERATION_OVER = GRACE + DEADLINE + 5


class Gone(BaseException):
    """The process ends here."""


class MemoryStore(LogStore):
    """All that a database asks of a store. `last`: how many requests it takes from now on before whoever sends them ends; the
    next one is applied and not answered (`applied`), or not applied."""

    def __init__(self, world: FakeWorld, *broken: str) -> None:
        super().__init__(world, *broken)
        self.last: int | None = None
        self.applied = False
        self.keys: list[tuple[str, str]] = []
        self.archived: set[str] = set()

    @contextmanager
    def _breaking(self, operation: str, key: str) -> Any:
        if self.last == 0 and not self.applied:
            raise Gone
        with super()._breaking(operation, key):
            self.keys.append((operation, key))
            yield
        if self.last is not None:
            if self.last == 0:
                raise Gone
            self.last -= 1

    def get(self, key: str, **more: Any) -> Any:
        if key in self.archived:
            raise Fault(Kind.ARCHIVED, "it lies in GLACIER", status=403, code="InvalidObjectState")
        return super().get(key, **more)

    def get_range(self, key: str, offset: int, length: int, *, version_id: str | None = None) -> bytes:
        with self._breaking("GetObject", key):
            return self._object(key)[0][offset : offset + length]

    def list_page(self, prefix: str, *, token: str | None = None, start_after: str | None = None) -> Page:
        """As the one it stands for; times are cut to the second, as many stores cut them."""
        page = super().list_page(prefix, token=token, start_after=start_after)
        cut = [replace(one, modified_text=one.modified.replace(microsecond=0).isoformat()) for one in page.items]
        return Page(cut, page.token)

    def head(self, key: str, **more: Any) -> Any:
        found = super().head(key, **more)
        return replace(found, now=self.time.replace(microsecond=0))

    def delete(self, key: str, condition: Match | None) -> None:
        super().delete(key, condition)
        self.written.pop(key, None)

    def control(self, operation: str, **parameters: Any) -> dict[str, Any]:
        raise Fault(Kind.DENIED, "nobody may see the bucket's settings", status=403, code="AccessDenied")

    def head_bucket(self) -> None: ...

    def close(self) -> None: ...

    def copy(self, world: FakeWorld) -> MemoryStore:
        """Another one with the same content, at the same time."""
        other = MemoryStore(world)
        other.objects, other.written, other._etags = dict(self.objects), dict(self.written), self._etags
        world.seconds, world._ids = self._world.seconds, self._world._ids
        return other


class TieredWorld:
    """One bucket. Every `open()` is another process."""

    def __init__(self, store: MemoryStore | None = None, **settings: Any) -> None:
        self.world = FakeWorld()
        self.store = store.copy(self.world) if store else MemoryStore(self.world)
        self._settings = {
            "bucket": "bucket", "prefix": KEYS.prefix, "layout": "tiered", "pack_threshold": 2, "cache_ttl": 0,
            "max_workers": 1, "grace": GRACE, "deadline": DEADLINE, **settings,
        }  # fmt: skip
        self.store.put(KEYS.format, b'{"format": %d, "layout": "tiered"}' % FORMAT, PutOptions(), None)
        self.passes(10)

    def open(self, can: Capabilities | None = None, **settings: Any) -> S3Database:
        """A process. `can`: what its probe finds; all that it could, else."""
        database = S3Database({**self._settings, **settings}, runtime=self.world.runtime)
        with patch.object(connection, "open_store", lambda settings: (self.store, PLACE)):
            database._ready()
        if can:
            with patch("dataknobs_data.s3.engine.capabilities", lambda *args: can):
                database._engine._writers()  # type: ignore[attr-defined]
        return database

    def copy(self, **settings: Any) -> TieredWorld:
        """Another one, where the same lies."""
        return TieredWorld(self.store, **{**self._settings, **settings})

    def passes(self, seconds: float) -> None:
        """Time."""
        self.world.seconds += seconds

    @property
    def now(self) -> datetime:
        return self.store.time

    # ------------------------------------------------------------------ what lies there
    def hot(self) -> set[str]:
        """Ids that have an object."""
        return {id for key in self.store.objects if (id := KEYS.id(key)) is not None}

    def marks(self) -> set[str]:
        """Births with a finish mark."""
        return {birth for key in self.store.objects if (birth := KEYS.load_id(key))}

    def pack_files(self) -> int:
        return sum(KEYS.table_path(key) is not None for key in self.store.objects)

    @contextmanager
    def look(self) -> Iterator[View]:
        """The table as it is."""
        sent = len(self.store.log), len(self.store.keys)
        table = Table(caller(self.store, self.world), KEYS, self.world.runtime, 1)
        yield table.look(None, "test")
        table.close()
        del self.store.log[sent[0] :], self.store.keys[sent[1] :]

    def births(self, *ids: str) -> dict[str, set[str]]:
        """Of the rows of these ids."""
        with self.look() as view:
            return {id: {row.born for row in rows} for id, rows in view.rows(ids).items()}

    def values(self) -> dict[str, object]:
        """The field `v` of every row in the table, by id. There must be one of each at most."""
        found: dict[str, object] = {}
        with self.look() as view:
            for reader in map(view.reader, view.packs):
                for document in documents_of(reader.read(reader.groups)):
                    assert document.id not in found, f"{document.id} lies there twice"
                    found[document.id] = document.data.get("v")
        return found

    def loads(self) -> list[str | None]:
        """The tags `load` of the packs."""
        with self.look() as view:
            return [pack.load for pack in view.packs]

    def operations(self) -> list[str]:
        """What was committed, in order."""
        with self.look() as view:
            assert view.snapshot
            return [str((commit.info or {}).get("operation")) for commit in view.snapshot.commits]

    # ------------------------------------------------------------------ requests
    def sent(self) -> Counter[str]:
        """Since the last time this was asked."""
        log, self.store.log = self.store.log, []
        return Counter(log)


def seen(database: S3Database) -> Mapping[str, object]:
    """Every record as a reader sees it, the same in each of the ways to see it."""
    records = {str(record.id): (dict(record.data), dict(record.metadata)) for record in database.all()}
    ids = list(records)
    assert sorted(database.list_ids()) == sorted(ids)
    assert database.count() == len(ids)
    for id, record in zip(ids, database.batch_read(ids), strict=True):
        assert record is not None, id
        assert (record.data, record.metadata) == records[id], id
    return records


CANNOT = Capabilities(True, ConditionalDelete.NONE, True, True)
__all__ = [
    "CANNOT",
    "DEADLINE",
    "GRACE",
    "KEYS",
    "OPERATION_OVER",
    "START",
    "Gone",
    "MemoryStore",
    "TieredWorld",
    "seen",
]
