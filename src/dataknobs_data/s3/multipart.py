"""Uploading one large document in parts, conditionally, without copying it.

Limits: https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html. The condition stands in CompleteMultipartUpload,
which is where the object comes to be; until then nobody sees anything.

Only AWS is known to honor that condition as it does those of PUT. moto 5.2 ignores it; SeaweedFS 4.48 honors it, but not
atomically: of racing completions several win (docs/decisions/0004). There the completion waits for a lock under `_jobs/`
and looks at the object itself first.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import timedelta
from functools import partial

from dataknobs_data.runtime import Runtime
from dataknobs_data.s3.calls import Caller, Deadline
from dataknobs_data.s3.fanout import FanOut
from dataknobs_data.s3.keys import Keys
from dataknobs_data.s3.settings import MIB, S3Settings
from dataknobs_data.s3.store import ABSENT, Absent, Condition, Fault, Kind, Match, ObjectStore, PutOptions

PARTS_MAX = 10_000
OBJECT_BYTES_MAX = 50 * 1000**4
"""50 TB since December 2025."""


def part_bytes(total_bytes: int, wanted_bytes: int) -> int:
    """The size of the parts of an object: as wanted, or larger where there would be more than 10,000 of them."""
    return max(wanted_bytes, math.ceil(total_bytes / PARTS_MAX / MIB) * MIB)


class Uploader:
    """Uploads documents in parts. `guarded`: the store's own condition on completion is not enough."""

    def __init__(self, caller: Caller, keys: Keys, settings: S3Settings, runtime: Runtime, *, guarded: bool) -> None:
        self._caller = caller
        self._keys = keys
        self._settings = settings
        self._runtime = runtime
        self._guarded = guarded
        self._parts = FanOut(settings.max_workers, "dataknobs-parts")

    def close(self) -> None:
        """Ends the threads that send parts."""
        self._parts.close()

    def upload(
        self,
        key: str,
        body: bytes | memoryview,
        options: PutOptions,
        condition: Condition,
        chunk_bytes: int | None = None,
        still: Callable[[], bool] | None = None,
    ) -> str:
        """Uploads `body` as the object `key` and returns its ETag. On failure the parts are thrown away.

        chunk_bytes  of a part, where it is not the setting `multipart_chunksize`
        still        asked when all parts are there; where it says no, the condition counts as failed

        Each part has its own deadline, and so has the completion: only that one changes what others see, so only its
        lost answer leaves a doubt.
        """
        with _nothing_written():
            upload_id = self._caller.send("CreateMultipartUpload", lambda store: store.create_upload(key, options))
        try:
            etags = self._send_parts(key, upload_id, body, chunk_bytes or self._settings.multipart_chunksize)
            if still and not still():
                raise Fault(Kind.CONDITION, "what the document was derived from has changed during its upload")
            guard = self._turn(key, condition) if self._guarded and condition else nullcontext(self._caller.deadline())
            with guard as deadline:
                return self._complete(key, upload_id, etags, condition, deadline)
        except BaseException:
            self._abort(key, upload_id)
            raise

    def _send_parts(self, key: str, upload_id: str, body: bytes | memoryview, chunk_bytes: int) -> list[str]:
        size, view = part_bytes(len(body), chunk_bytes), memoryview(body)

        def send(number: int) -> str:
            piece = view[(number - 1) * size : number * size]
            return self._caller.send("UploadPart", lambda store: store.upload_part(key, upload_id, number, piece))

        with _nothing_written():
            return list(self._parts.map(send, range(1, math.ceil(len(body) / size) + 1)))

    def _complete(self, key: str, upload_id: str, etags: list[str], condition: Condition, deadline: Deadline) -> str:
        try:
            return self._caller.send(
                "CompleteMultipartUpload",
                lambda store: store.complete_upload(key, upload_id, etags, condition),
                deadline,
            )
        except Fault as fault:
            if fault.answer_lost and fault.code == "NoSuchUpload":
                fault.kind = Kind.CONDITION  # an earlier attempt may have completed it: look again
            raise

    def _abort(self, key: str, upload_id: str) -> None:
        try:
            self._caller.send("AbortMultipartUpload", lambda store: store.abort_upload(key, upload_id))
        except Fault:
            pass  # the upload's own failure is what the caller must hear; lifecycle rules remove what is left

    # ------------------------------------------------------------------ taking turns
    @contextmanager
    def _turn(self, key: str, condition: Condition) -> Iterator[Deadline]:
        """Holds the lock on completing `key` and has seen that `condition` holds; gives the deadline to complete by."""
        lock, token = self._keys.lock(key), f"{self._runtime.new_id()} {self._settings.deadline}".encode()
        deadline = self._caller.deadline()
        with _nothing_written():
            etag = self._take(lock, token, deadline)
        try:
            with _nothing_written():
                self._look(key, condition, deadline)
            yield deadline
        finally:
            self._give_back(lock, etag)

    def _take(self, lock: str, token: bytes, deadline: Deadline) -> str:
        for number in itertools.count():
            try:
                return self._caller.send(
                    "PutObject", lambda store: store.put(lock, token, PutOptions(), ABSENT), deadline, idempotent=False
                )
            except Fault as fault:
                if fault.kind is Kind.LATE and number:
                    raise self._held(lock) from fault
                if fault.kind is not Kind.CONDITION and not fault.answer_lost:
                    raise
            try:
                free = self._is_free(lock, token, deadline)
            except Fault as fault:
                if fault.kind is Kind.LATE:
                    raise self._held(lock) from fault
                raise
            if not free:
                self._caller.pause(number)
        raise AssertionError("the loop ends by itself")

    def _held(self, lock: str) -> Fault:
        free_after = f"{self._settings.deadline} s after it was taken"
        return Fault(
            Kind.LATE, f"{lock} is held by another writer of this record, or one that died; it is free {free_after}"
        )

    def _is_free(self, lock: str, token: bytes, deadline: Deadline) -> bool:
        """Whether the lock can be taken now: it is gone; or it is stale, for it outlives its holder's deadline only where
        that died (the store's clock says how old it is); or it is ours by a request whose answer was lost.
        """
        try:
            head = self._caller.send("HeadObject", lambda store: store.head(lock), deadline)
            blob = self._caller.send("GetObject", lambda store: store.get(lock), deadline)
        except Fault as fault:
            if fault.kind is Kind.MISSING:
                return True
            raise
        age = head.now - head.modified if head.now else timedelta(0)
        body = bytes(blob.body) if blob else b""
        if age > _holders_deadline(body, self._settings.deadline) or body == token:
            self._drop(lock, head.etag, deadline)
            return True
        return False

    def _drop(self, lock: str, etag: str, deadline: Deadline) -> None:
        for condition in (Match(etag), None):
            try:
                self._caller.send("DeleteObject", partial(_delete, lock, condition), deadline)
                return
            except Fault as fault:
                if fault.kind in (Kind.MISSING, Kind.CONDITION):
                    return  # somebody else took it away
                if fault.kind is not Kind.UNSUPPORTED:
                    raise

    def _look(self, key: str, condition: Condition, deadline: Deadline) -> None:
        wanted = None if isinstance(condition, Absent) else condition and condition.etag
        try:
            found = self._caller.send("HeadObject", lambda store: store.head(key), deadline).etag
        except Fault as fault:
            if fault.kind is not Kind.MISSING:
                raise
            found = None
        if found != wanted:
            raise Fault(Kind.CONDITION, f"ETag {found} is there, not {wanted}", status=412)

    def _give_back(self, lock: str, etag: str) -> None:
        try:
            self._drop(lock, etag, self._caller.deadline())
        except Fault:
            pass  # it is stale after a deadline, and then taken away by whoever needs it


def _holders_deadline(lock_body: bytes, otherwise_seconds: float) -> timedelta:
    """What a lock says after its token: the deadline of whoever took it, which may differ from ours."""
    try:
        return timedelta(seconds=float(lock_body.split()[1]))
    except (IndexError, ValueError, OverflowError):
        return timedelta(seconds=otherwise_seconds)


def _delete(key: str, condition: Match | None, store: ObjectStore) -> None:
    store.delete(key, condition)


@contextmanager
def _nothing_written() -> Iterator[None]:
    """Before its completion a document is not written, whatever answers are lost."""
    try:
        yield
    except Fault as fault:
        fault.answer_lost = False
        raise
