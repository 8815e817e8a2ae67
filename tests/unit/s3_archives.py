"""An archive in memory: objects in classes, restores that take as long as the world's clock says, answers on demand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from email.utils import format_datetime
from types import SimpleNamespace
from typing import Any

from dataknobs_data.s3.admin.control import Control
from dataknobs_data.s3.archive.restore import Archive
from dataknobs_data.s3.archive.run import finished
from dataknobs_data.s3.archive.states import Restoration
from dataknobs_data.s3.cache import RecordCache
from dataknobs_data.s3.fanout import FanOut
from dataknobs_data.s3.keys import Keys
from dataknobs_data.s3.objects import Objects
from dataknobs_data.s3.place import Place
from dataknobs_data.s3.store import Fault, Head, Kind, Listed, Page
from tests.unit.s3_fakes import START, FakeWorld, caller, settings


@dataclass(frozen=True)
class Archived:
    """One object. `ready`, `until`: when its copy came, or comes, and goes again."""

    storage_class: str = "GLACIER"
    size: int = 1000
    archive_status: str | None = None
    ready: datetime | None = None
    until: datetime | None = None


class ArchiveStore:
    """A store of archived records below `r/`. `answers` are scripted for RestoreObject and HeadObject, by id."""

    def __init__(self, world: FakeWorld, hours: float = 4.0) -> None:
        self.world = world
        self.hours = hours
        self.objects: dict[str, Archived] = {}
        self.headers: dict[str, str] = {}
        self.answers: dict[tuple[str, str], list[Fault | Kind]] = {}
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.heads: list[str] = []
        self.has_bucket = True
        self.page_size = 1000

    @property
    def now(self) -> datetime:
        """The store's clock."""
        return START + timedelta(seconds=self.world.seconds)

    def head(self, key: str, *, version_id: str | None = None) -> Head:
        """With the headers that S3 gives."""
        id = key.removeprefix("r/").removesuffix(".json")
        self.heads.append(id)
        self._answer("HeadObject", id)
        if id not in self.objects:
            raise Fault(Kind.MISSING, "", status=404)
        one = self.objects[id]
        restore = self.headers.get(id)
        if restore is None and one.ready:
            restore = 'ongoing-request="true"'
            if one.ready <= self.now:
                restore = f'ongoing-request="false", expiry-date="{format_datetime(one.until or self.now)}"'
        if one.until and one.until <= self.now:
            restore = None
        status = None if one.ready and one.ready <= self.now else one.archive_status
        return Head(f'"{id}"', one.size, {}, START, one.storage_class, restore, self.now, status)

    def control(self, operation: str, **parameters: Any) -> dict[str, Any]:
        """RestoreObject."""
        assert operation == "RestoreObject"
        id = parameters["Key"].removeprefix("r/").removesuffix(".json")
        self.asked.append((id, parameters["RestoreRequest"]))
        self._answer("RestoreObject", id)
        one = self.objects[id]
        if one.ready and one.ready > self.now:
            raise in_progress()
        days = timedelta(days=parameters["RestoreRequest"].get("Days", 10**4))
        if one.ready:
            self.objects[id] = replace(one, until=self.now + days)
        else:
            ready = self.now + timedelta(hours=self.hours)
            self.objects[id] = replace(one, ready=ready, until=ready + days)
        return {}

    def list_page(self, prefix: str, *, token: str | None = None, start_after: str | None = None) -> Page:
        """In key order."""
        keys = sorted(key for id in self.objects if (key := f"r/{id}.json").startswith(prefix))
        begin = int(token or 0)
        end = begin + self.page_size
        lines = [self._line(key) for key in keys[begin:end]]
        return Page(lines, str(end) if end < len(keys) else None)

    def _line(self, key: str) -> Listed:
        id = key.removeprefix("r/").removesuffix(".json")
        return Listed(key, f'"{id}"', self.objects[id].size, self.objects[id].storage_class)

    def head_bucket(self) -> None:
        """As it is."""
        if not self.has_bucket:
            raise Fault(Kind.NO_BUCKET, "", status=404)

    def _answer(self, operation: str, id: str) -> None:
        for key in ((operation, id), (operation, "*")):
            if self.answers.get(key):
                answer = self.answers[key].pop(0)
                raise answer if isinstance(answer, Fault) else Fault(answer, "scripted", status=403)


def in_progress() -> Fault:
    """409."""
    return Fault(Kind.REFUSED, "HTTP 409", status=409, code="RestoreAlreadyInProgress")


class Bench:
    """An archive, the database's view of it, and its clock."""

    def __init__(self, workers: int = 4, hours: float = 4.0) -> None:
        self.world = FakeWorld()
        self.store = ArchiveStore(self.world, hours)
        sender = caller(self.store, self.world, max_workers=workers, max_retries=2)
        keys, place = Keys("r/"), Place("bucket", "http://127.0.0.1:1")
        self.many = FanOut(workers, "test")
        self.control = Control(sender, place, keys, settings(), self.world.runtime, self.many)
        self.cache = RecordCache(10**6)
        self.engine: Any = SimpleNamespace(control=self.control, objects=Objects(sender, keys, self.cache))
        self.archive = Archive(self.engine)

    def put(self, *ids: str, **how: Any) -> None:
        """Objects."""
        for id in ids:
            self.store.objects[id] = Archived(**how)

    def restore(self, which: Any, *, days: int = 7, tier: str = "Standard", **how: Any) -> Restoration:
        """To its end; the clock does the waiting."""
        return finished(self.archive.restore(which, days=days, tier=tier, **how), self.world.sleep)

    def sent(self, call: Callable[[], object]) -> dict[str, int]:
        """The requests that `call` sends."""
        before = self.control.caller.meter.usage()
        call()
        return self.control.caller.meter.usage().since(before).requests
