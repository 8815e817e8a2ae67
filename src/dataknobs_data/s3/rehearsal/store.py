"""A store for rehearsals: reads go to the real one, each at most once; what is written stays here."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from typing import Any, TypeVar

from dataknobs_data.runtime import Runtime
from dataknobs_data.s3.calls import Caller
from dataknobs_data.s3.rehearsal.script import Unread
from dataknobs_data.s3.store import (
    Absent,
    Blob,
    Condition,
    Fault,
    Head,
    Kind,
    Listed,
    Match,
    ObjectStore,
    Page,
    PutOptions,
    VersionPage,
)

KEPT_BYTES = 1 << 16
"""Of an object that is written; of a larger one only the end is kept."""

T = TypeVar("T")

Answers = dict[tuple[Any, ...], Any]
"""By request."""


@dataclass(frozen=True)
class _Written:
    body: bytes
    etag: str
    options: PutOptions
    modified: datetime


class RehearsedStore:
    """See ObjectStore. `real`: sends what is read.

    What was not read is taken to be as a writer expects it: conditions hold.
    """

    def __init__(self, real: Caller, runtime: Runtime, encryption: str | None, answers: Answers) -> None:
        """`encryption`: the algorithm that the store uses, where one was asked for. `answers`: of the real store, so far."""
        self._real = real
        self._now = runtime.now
        self._encryption = encryption
        self._written: dict[str, _Written | None] = {}
        self._there: set[str] = set()
        self._known = answers
        self._numbers = count(1)
        self._lock = threading.RLock()

    def _once(self, operation: str, asked: tuple[Any, ...], request: Callable[[ObjectStore], T]) -> T:
        """The real store's answer, asked for once."""
        known = (operation, *asked)
        with self._lock:
            if known not in self._known:
                self._known[known] = self._answer(operation, request)
        answer = self._known[known]
        if isinstance(answer, Fault):
            raise answer
        return answer  # type: ignore[no-any-return]

    def _answer(self, operation: str, request: Callable[[ObjectStore], T]) -> T | Fault:
        try:
            return self._real.send(operation, request)
        except Fault as fault:
            if fault.kind not in (Kind.MISSING, Kind.DENIED, Kind.ARCHIVED, Kind.UNSET):
                raise
            return fault

    def _mine(self, key: str) -> _Written | None:
        """What was written; raises where it was deleted since, or None where neither."""
        if key in self._written and self._written[key] is None:
            raise Fault(Kind.MISSING, "", status=404)
        return self._written.get(key)

    # ------------------------------------------------------------------ reading
    def get(self, key: str, *, unless_etag: str | None = None, version_id: str | None = None) -> Blob | None:
        if mine := self._mine(key):
            return Blob(mine.body, mine.etag, mine.options.metadata, mine.modified)
        asked = (key, unless_etag, version_id)
        blob: Blob | None = self._once(
            "GetObject", asked, lambda store: store.get(key, unless_etag=unless_etag, version_id=version_id)
        )
        return blob

    def get_range(self, key: str, offset: int, length: int, *, version_id: str | None = None) -> bytes | memoryview:
        if mine := self._mine(key):
            body = mine.body
            return body.range(offset, length) if isinstance(body, Unread) else body[offset : offset + length]
        asked = (key, offset, length, version_id)
        return self._once("GetObject", asked, lambda store: store.get_range(key, offset, length, version_id=version_id))

    def head(self, key: str, *, version_id: str | None = None) -> Head:
        if mine := self._mine(key):
            size, now = len(mine.body), self._now()
            return Head(mine.etag, size, mine.options.metadata, mine.modified, "STANDARD", None, now)
        return self._once("HeadObject", (key, version_id), lambda store: store.head(key, version_id=version_id))

    def list_page(self, prefix: str, *, token: str | None = None, start_after: str | None = None) -> Page:
        asked = (prefix, token, start_after)
        page = self._once(
            "ListObjectsV2", asked, lambda store: store.list_page(prefix, token=token, start_after=start_after)
        )
        self._there.update(item.key for item in page.items)
        items = [item for item in page.items if item.key not in self._written]
        if page.token is None:
            mine = [(key, one) for key, one in self._written.items() if one and key.startswith(prefix)]
            items += [_line(key, one) for key, one in mine if key > (start_after or "")]
        return Page(items, page.token)

    def list_folder(self, folder: str, start_after: str) -> Page:
        return self.list_page(folder, start_after=start_after)

    def list_versions(self, prefix: str, *, after: tuple[str, str | None] | None = None) -> VersionPage:
        return self._once("ListObjectVersions", (prefix, after), lambda store: store.list_versions(prefix, after=after))

    def get_tags(self, key: str) -> dict[str, str]:
        return self._once("GetObjectTagging", (key,), lambda store: store.get_tags(key))

    def head_bucket(self) -> None:
        self._once("HeadBucket", (), lambda store: store.head_bucket())

    def control(self, operation: str, **parameters: Any) -> dict[str, Any]:
        if not operation.startswith(("Get", "Head")):
            return {}
        if parameters.get("Key") in self._written:
            return {"ServerSideEncryption": self._encryption}
        asked = tuple(sorted((name, repr(value)) for name, value in parameters.items()))
        return self._once(operation, asked, lambda store: store.control(operation, **parameters))

    def presign(self, key: str, seconds: int, *, version_id: str | None = None) -> str:
        return self._real.offline(lambda store: store.presign(key, seconds, version_id=version_id))

    # ------------------------------------------------------------------ writing
    def put(self, key: str, body: bytes | memoryview, options: PutOptions, condition: Condition) -> str:
        self._check(key, condition)
        kept = bytes(body[-KEPT_BYTES:])
        return self._put(key, kept if len(body) <= KEPT_BYTES else Unread(len(body), kept), options)

    def _put(self, key: str, body: bytes, options: PutOptions) -> str:
        etag = f'"{next(self._numbers):032x}"'
        self._written[key] = _Written(body, etag, options, self._now())
        return etag

    def _check(self, key: str, condition: Condition) -> None:
        mine = self._written.get(key)
        if isinstance(condition, Absent):
            holds = mine is None and (key in self._written or key not in self._there)
        elif condition and mine:
            holds = condition.etag in ("*", mine.etag)
        else:
            holds = condition is None or key not in self._written
        if not holds:
            raise Fault(Kind.CONDITION, "", status=412)

    def delete(self, key: str, condition: Match | None) -> None:
        if condition and key in self._written and self._written[key] is None:
            raise Fault(Kind.MISSING, "", status=404)
        self._check(key, condition)
        self._written[key] = None

    def delete_many(self, keys: Sequence[str]) -> dict[str, Fault]:
        self._written.update(dict.fromkeys(keys))
        return {}

    def create_upload(self, key: str, options: PutOptions) -> str:
        return "rehearsed"

    def upload_part(self, key: str, upload_id: str, number: int, body: memoryview) -> str:
        return f'"{number:032x}"'

    def complete_upload(self, key: str, upload_id: str, etags: Sequence[str], condition: Condition) -> str:
        self._check(key, condition)
        return self._put(key, Unread(0), PutOptions())

    def abort_upload(self, key: str, upload_id: str) -> None: ...

    def create_bucket(self) -> None: ...

    def close(self) -> None: ...


def _line(key: str, one: _Written) -> Listed:
    return Listed(key, one.etag, len(one.body), one.options.storage_class or "STANDARD", one.modified.isoformat())
