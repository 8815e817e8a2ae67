"""The store as it was: the port that all else reads through, answered from versions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from dataknobs_data.s3.calls import Caller, Deadline
from dataknobs_data.s3.store import (
    Blob,
    Condition,
    Fault,
    Head,
    Kind,
    ListedVersion,
    Match,
    ObjectStore,
    Page,
    PutOptions,
    VersionPage,
)
from dataknobs_data.s3.travel.moment import refuse, refuse_other
from dataknobs_data.s3.travel.past import After, Past

T = TypeVar("T")


class Files:
    """Packs and their companions: as they lie there now, or else their last version. They never change, and no two have the
    same key, even where somebody deleted the whole database and made a new one in its place: its log has the keys of the old."""

    def __init__(self, past: Past) -> None:
        self._past = past
        self._deleted: dict[str, str] = {}

    def are_at(self, key: str) -> bool:
        """Whether such a file has that key."""
        keys = self._past.keys
        return key.startswith(keys.table) and not key.startswith(keys.log)

    def read(self, key: str, request: Callable[[ObjectStore, str | None], T], deadline: Deadline | None) -> T:
        """The answer to a GET of a file; `request` is told the version where it is not the present one."""
        version = self._deleted.get(key)
        try:
            return self._get(request, version, deadline)
        except Fault as fault:
            if fault.kind is not Kind.MISSING or version is not None:
                raise
            left = self._past.newest(key, deadline)
            if left is None:
                raise
        self._deleted[key] = left.version_id
        return self._get(request, left.version_id, deadline)

    def _get(
        self, request: Callable[[ObjectStore, str | None], T], version: str | None, deadline: Deadline | None
    ) -> T:
        return self._past.caller.send("GetObject", lambda store: request(store, version), deadline)


class PastCaller(Caller):
    """Sends what is asked of the past by way of the real caller: in its turn, with its retries, counted by its meter."""

    def __init__(self, past: Past) -> None:
        self.meter = past.caller.meter
        self._past = past
        self._files = Files(past)

    def deadline(self) -> Deadline:
        """See Caller."""
        return self._past.caller.deadline()

    def seconds_since(self, deadline: Deadline) -> float:
        """See Caller."""
        return self._past.caller.seconds_since(deadline)

    def send(
        self,
        operation: str,
        request: Callable[[ObjectStore], T],
        deadline: Deadline | None = None,
        *,
        idempotent: bool = True,
    ) -> T:
        """See Caller; of one request it may make two: a listing of versions, and the request itself."""
        return request(PastStore(self._past, self._files, deadline))

    def offline(self, call: Callable[[ObjectStore], T]) -> T:
        """See Caller."""
        return call(PastStore(self._past, self._files, None))

    def pause(self, attempt: int) -> None:
        """See Caller."""
        self._past.caller.pause(attempt)

    def close(self) -> None:
        """The connections are the real store's."""


class PastStore(ObjectStore):
    """The store as it was. What it sends is counted, and comes in time, as the requests of the real store."""

    def __init__(self, past: Past, files: Files, deadline: Deadline | None) -> None:
        self._past = past
        self._files = files
        self._deadline = deadline

    # ------------------------------------------------------------------ reading
    def get(self, key: str, *, unless_etag: str | None = None, version_id: str | None = None) -> Blob | None:
        if version_id is not None:
            return self._version(key, version_id)
        if self._files.are_at(key):
            return self._files.read(key, lambda store, id: store.get(key, version_id=id), self._deadline)
        line = self._standing(key)
        return None if unless_etag == line.etag else self._version(key, line.version_id)

    def get_range(self, key: str, offset: int, length: int, *, version_id: str | None = None) -> bytes | memoryview:
        def read(store: ObjectStore, id: str | None) -> bytes | memoryview:
            return store.get_range(key, offset, length, version_id=id)

        return self._files.read(key, read, self._deadline)

    def head(self, key: str, *, version_id: str | None = None) -> Head:
        chosen = version_id or self._standing(key).version_id
        return self._send("HeadObject", lambda store: store.head(key, version_id=chosen))

    def list_page(self, prefix: str, *, token: str | None = None, start_after: str | None = None) -> Page:
        first = start_after if start_after != self._past.keys.log_from(0) else None  # behind which all of the log lies
        return self._past.listed(prefix, token or first, self._deadline)

    def list_folder(self, folder: str, start_after: str) -> Page:
        return self.list_page(folder, start_after=start_after)

    def head_bucket(self) -> None:
        self._send("HeadBucket", lambda store: store.head_bucket())

    def close(self) -> None: ...

    def _standing(self, key: str) -> ListedVersion:
        line = self._past.line(key, self._deadline)
        if line is None:
            raise Fault(Kind.MISSING, f"{key} at {self._past.moment}", status=404, code="NoSuchKey")
        return line

    def _version(self, key: str, version_id: str) -> Blob:
        try:
            blob = self._send("GetObject", lambda store: store.get(key, version_id=version_id))
        except Fault as fault:
            if fault.kind is Kind.MISSING:
                refuse(self._past.moment, f"the version {version_id} of {key} has been deleted")
            raise
        assert blob is not None, "no condition was sent"
        return blob

    def _send(self, operation: str, request: Callable[[ObjectStore], T]) -> T:
        return self._past.caller.send(operation, request, self._deadline)

    # ------------------------------------------------------------------ what the past does not have
    def list_versions(self, prefix: str, *, after: After = None) -> VersionPage:
        refuse_other("ListObjectVersions")

    def get_tags(self, key: str) -> dict[str, str]:
        refuse_other("GetObjectTagging")

    def put(self, key: str, body: bytes | memoryview, options: PutOptions, condition: Condition) -> str:
        refuse_other("PutObject")

    def delete(self, key: str, condition: Match | None) -> None:
        refuse_other("DeleteObject")

    def delete_many(self, keys: Sequence[str]) -> dict[str, Fault]:
        refuse_other("DeleteObjects")

    def create_upload(self, key: str, options: PutOptions) -> str:
        refuse_other("CreateMultipartUpload")

    def upload_part(self, key: str, upload_id: str, number: int, body: memoryview) -> str:
        refuse_other("UploadPart")

    def complete_upload(self, key: str, upload_id: str, etags: Sequence[str], condition: Condition) -> str:
        refuse_other("CompleteMultipartUpload")

    def abort_upload(self, key: str, upload_id: str) -> None:
        refuse_other("AbortMultipartUpload")

    def create_bucket(self) -> None:
        refuse_other("CreateBucket")

    def control(self, operation: str, **parameters: Any) -> dict[str, Any]:
        refuse_other(operation)

    def presign(self, key: str, seconds: int, *, version_id: str | None = None) -> str:
        refuse_other("presign")
