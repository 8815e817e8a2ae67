"""A bucket in memory that keeps versions, as AWS documents it: https://docs.aws.amazon.com/AmazonS3/latest/userguide/Versioning.html."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from email.utils import format_datetime
from typing import Any

from dataknobs_data.s3.store import Blob, Condition, Fault, Head, Kind, ListedVersion, Match, PutOptions, VersionPage
from tests.unit.s3_fakes import FakeWorld
from tests.unit.tiered_world import MemoryStore, TieredWorld

After = tuple[str, str | None] | None


@dataclass(frozen=True)
class Version:
    """`body` None: a delete marker."""

    id: str
    at: datetime
    body: bytes | None
    etag: str
    options: PutOptions


class VersionedStore(MemoryStore):
    """Versions of each key, the newest first. `status`: as S3 tells it; `rules`: of its lifecycle, or why they may not be seen."""

    def __init__(self, world: FakeWorld) -> None:
        super().__init__(world)
        self.status: str | None = None
        self.rules: list[dict[str, Any]] | Fault = []
        self.versions: dict[str, list[Version]] = {}
        self.may_see_status = True
        self._numbers = 0

    # ------------------------------------------------------------------ writing
    def put(self, key: str, body: bytes, options: PutOptions, condition: Condition) -> str:
        etag = super().put(key, body, options, condition)
        self._keep(key, bytes(body), etag, options)
        return etag

    def delete(self, key: str, condition: Match | None) -> None:
        super().delete(key, condition)
        self._bury(key)

    def delete_many(self, keys: Sequence[str]) -> dict[str, Fault]:
        failed = super().delete_many(keys)
        for key in keys:
            self._bury(key)
        return failed

    def _keep(self, key: str, body: bytes | None, etag: str, options: PutOptions) -> None:
        self._numbers += 1
        lines = self.versions.setdefault(key, [])
        if self.status != "Enabled":
            lines[:] = [line for line in lines if line.id != "null"]
        id = f"v{self._numbers}" if self.status == "Enabled" else "null"
        lines.insert(0, Version(id, self.time.replace(microsecond=0), body, etag, options))

    def _bury(self, key: str) -> None:
        if self.status is None:
            self.versions.pop(key, None)
        else:
            self._keep(key, None, "", PutOptions())

    def forget(self, doomed: Callable[[str, Version], bool]) -> None:
        """Somebody deletes versions for good, as a lifecycle rule would."""
        for key, lines in list(self.versions.items()):
            self.versions[key] = [line for line in lines if not doomed(key, line)]

    # ------------------------------------------------------------------ reading
    def _version(self, key: str, version_id: str) -> Version:
        found = next((line for line in self.versions.get(key, ()) if line.id == version_id), None)
        if found is None or found.body is None:
            raise Fault(Kind.MISSING, "no such version", status=404, code="NoSuchVersion")
        return found

    def get(self, key: str, *, unless_etag: str | None = None, version_id: str | None = None) -> Any:
        if version_id is None:
            return super().get(key, unless_etag=unless_etag)
        with self._breaking("GetObject", key):
            self.log.append("GetObject")
            found = self._version(key, version_id)
            return Blob(found.body or b"", found.etag, found.options.metadata, found.at, version_id)

    def get_range(self, key: str, offset: int, length: int, *, version_id: str | None = None) -> bytes:
        self.log.append("GetObject")
        if version_id is None:
            return super().get_range(key, offset, length)
        return (self._version(key, version_id).body or b"")[offset : offset + length]

    def head(self, key: str, *, version_id: str | None = None, **more: Any) -> Any:
        if version_id is None:
            return super().head(key, **more)
        self.log.append("HeadObject")
        found = self._version(key, version_id)
        return Head(
            found.etag, len(found.body or b""), found.options.metadata, found.at, "STANDARD", None, now=self.time
        )

    def list_versions(self, prefix: str, *, after: After = None) -> VersionPage:
        with self._breaking("ListObjectVersions", prefix):
            self.log.append("ListObjectVersions")
            lines = [
                self._line(key, one, number == 0)
                for key in sorted(self.versions)
                if key.startswith(prefix)
                for number, one in enumerate(self.versions[key])
            ]
        if after is not None:
            key, id = after
            assert id != "", "AWS refuses an empty marker"
            same = [line.version_id for line in lines if line.key == key]
            seen = len(same) if id is None else same.index(id) + 1
            lines = [line for line in lines if line.key > key or (line.key == key and line.version_id in same[seen:])]
        page = lines[: self.page_size]
        more = len(lines) > self.page_size
        return VersionPage(page, (page[-1].key, page[-1].version_id) if more else None)

    def _line(self, key: str, one: Version, latest: bool) -> ListedVersion:
        return ListedVersion(key, one.id, one.at, latest, one.body is None, None, one.etag, len(one.body or b""))

    def copy(self, world: FakeWorld) -> VersionedStore:
        """The same one, in the world of a database: there is one of it."""
        self._world = world
        return self

    # ------------------------------------------------------------------ the bucket
    def control(self, operation: str, **parameters: Any) -> dict[str, Any]:
        self.log.append(operation)
        if operation == "GetBucketVersioning" and self.may_see_status:
            headers = {"date": format_datetime(self.time.replace(microsecond=0), usegmt=True)}
            return {"ResponseMetadata": {"HTTPHeaders": headers}, **({"Status": self.status} if self.status else {})}
        if operation == "PutBucketVersioning":
            self.status = parameters["VersioningConfiguration"]["Status"]
            return {}
        if operation == "GetBucketLifecycleConfiguration":
            if isinstance(self.rules, Fault):
                raise self.rules
            return {"Rules": self.rules}
        return super().control(operation, **parameters)


class VersionedWorld(TieredWorld):
    """A tiered database in such a bucket; its clock is moved by hand. `layout`: of what lies there."""

    store: VersionedStore

    def __init__(self, *, enabled: bool = True, **settings: Any) -> None:
        store = VersionedStore(FakeWorld())
        super().__init__(store, **settings)
        self.store = store
        if enabled:
            self.open().enable_versioning()
            self.passes(15 * 60)  # AWS settles

    def rewritten(self, key: str, change: Callable[[Version], Version]) -> None:
        """The versions of a key become others."""
        self.store.versions[key] = [change(line) for line in self.store.versions[key]]


def ended(version: Version, at: datetime) -> Version:
    """The same, written at another time."""
    return replace(version, at=at)
