"""A world without network and without waiting: a clock that sleeping moves, and a store whose answers are scripted."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from dataknobs_data.runtime import Runtime
from dataknobs_data.s3.calls import Caller
from dataknobs_data.s3.settings import S3Settings
from dataknobs_data.s3.store import Absent, Blob, Condition, Fault, Head, Kind, Match, Page, PutOptions

START = datetime(2026, 1, 1, tzinfo=UTC)


class FakeWorld:
    """Time that passes only when somebody sleeps, dice that always show `dice`, ids that count."""

    def __init__(self, dice: float = 1.0) -> None:
        self.seconds = 0.0
        self.slept: list[float] = []
        self.dice = dice
        self._ids = itertools.count(1)

    def sleep(self, seconds: float) -> None:
        """Lets time pass."""
        self.slept.append(seconds)
        self.seconds += seconds

    @property
    def runtime(self) -> Runtime:
        """For a database, or for what stands below it."""
        return Runtime(
            now=lambda: START + timedelta(seconds=self.seconds),
            monotonic=lambda: self.seconds,
            sleep=self.sleep,
            random=lambda: self.dice,
            new_id=lambda: f"ID{next(self._ids):04}",
        )


def settings(**over: Any) -> S3Settings:
    """The default settings of a bucket, changed."""
    return replace(S3Settings(bucket="bucket"), **over)


def caller(store: Any, world: FakeWorld, **over: Any) -> Caller:
    """What sends requests to `store` in `world`."""
    return Caller(store, settings(**over), world.runtime)


class DictStore:
    """An object store in a dict. `broken` names what it does wrong, as real ones do:

    put_absent, put_match     ignores that condition on PUT and answers success
    delete_match              ignores If-Match on DELETE and answers success
    delete_any                refuses `If-Match: *` on DELETE, though the object is there (moto)
    delete_conditions         answers 501 to any condition on DELETE (LocalStack)
    tags                      refuses the tagging header
    same_etags                has one ETag for all contents
    """

    def __init__(self, *broken: str) -> None:
        self.broken = frozenset(broken)
        self.objects: dict[str, tuple[bytes, str, PutOptions]] = {}
        self.log: list[str] = []
        self._etags = itertools.count(1)

    def get(self, key: str, *, unless_etag: str | None = None, version_id: str | None = None) -> Blob | None:
        self.log.append("GetObject")
        body, etag, options = self._object(key)
        return None if etag == unless_etag else Blob(body, etag, options.metadata, START)

    def head(self, key: str) -> Head:
        self.log.append("HeadObject")
        body, etag, options = self._object(key)
        return Head(etag, len(body), options.metadata, START, options.storage_class or "STANDARD", None)

    def put(self, key: str, body: bytes, options: PutOptions, condition: Condition) -> str:
        self.log.append("PutObject")
        if options.tags and "tags" in self.broken:
            raise Fault(Kind.UNSUPPORTED, "no tags here", status=501)
        if isinstance(condition, Absent) and "put_absent" not in self.broken and key in self.objects:
            raise failed_condition()
        if isinstance(condition, Match) and "put_match" not in self.broken:
            self._check(key, condition)
        etag = '"same"' if "same_etags" in self.broken else f'"{next(self._etags)}"'
        self.objects[key] = (bytes(body), etag, options)
        return etag

    def delete(self, key: str, condition: Match | None) -> None:
        self.log.append("DeleteObject")
        if condition and "delete_conditions" in self.broken:
            raise Fault(Kind.UNSUPPORTED, "no conditional deletes here", status=501)
        if condition and "delete_match" not in self.broken:
            if condition.etag == "*" and "delete_any" in self.broken:
                raise failed_condition()
            self._check(key, condition)
        self.objects.pop(key, None)

    def _object(self, key: str) -> tuple[bytes, str, PutOptions]:
        if key not in self.objects:
            raise Fault(Kind.MISSING, "", status=404)
        return self.objects[key]

    def _check(self, key: str, condition: Match) -> None:
        if key not in self.objects or condition.etag not in ("*", self.objects[key][1]):
            raise failed_condition()

    def list_folder(self, folder: str, start_after: str) -> Page:
        return self.list_page(folder, start_after=start_after)

    def list_page(self, prefix: str, *, token: str | None = None, start_after: str | None = None) -> Page:
        raise NotImplementedError("these tests do not list")


def failed_condition() -> Fault:
    """412."""
    return Fault(Kind.CONDITION, "HTTP 412", status=412, code="PreconditionFailed")


class Script:
    """A request that fails as the script says, then answers "done"; it knows when it was sent."""

    def __init__(self, world: FakeWorld, faults: Iterable[Fault | Kind], seconds: float = 0.0) -> None:
        self._world = world
        self._faults = iter(faults)
        self._seconds = seconds
        self.sent: list[float] = []

    def __call__(self, store: Any) -> str:
        self.sent.append(self._world.seconds)
        self._world.seconds += self._seconds
        fault = next(self._faults, None)
        if fault is not None:
            raise fault if isinstance(fault, Fault) else Fault(fault, "scripted")
        return "done"
