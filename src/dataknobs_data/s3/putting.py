"""Writing one object of the objects tier, on a condition. The one place that does compare-and-set for records.

Every write carries a condition (the ETag it was derived from, or absence), so two writers cannot undo each other unseen. A
condition that fails (404, 409, 412) means: look again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from dataknobs_data import codec
from dataknobs_data.documents import Document
from dataknobs_data.s3.cache import Held, RecordCache
from dataknobs_data.s3.calls import Caller, Deadline
from dataknobs_data.s3.headers import headers_of
from dataknobs_data.s3.keys import Keys
from dataknobs_data.s3.marks import Mark, mark_of
from dataknobs_data.s3.multipart import Uploader
from dataknobs_data.s3.probe import Capabilities
from dataknobs_data.s3.settings import S3Settings
from dataknobs_data.s3.store import Condition, Fault, Kind, PutOptions
from dataknobs_data.s3.tags import Tagger
from dataknobs_data.s3.tombstones import Tombstone, told_apart


@dataclass(frozen=True, slots=True)
class Put:
    """What came of a PUT: the object's ETag, or the fault that calls for another look.

    deadline  from here on: an upload in parts may have taken long, and what follows it has an operation's time again
    """

    etag: str
    fault: Fault | None
    deadline: Deadline


class Putter:
    """Puts documents and tombstones. Raises Fault where the store fails."""

    def __init__(
        self,
        caller: Caller,
        keys: Keys,
        settings: S3Settings,
        tagger: Tagger,
        cache: RecordCache,
        uploader: Uploader,
        capabilities: Capabilities,
    ) -> None:
        self.can = capabilities
        self._caller = caller
        self._keys = keys
        self._settings = settings
        self._tagger = tagger
        self._cache = cache
        self._uploader = uploader

    def put(
        self,
        document: Document,
        condition: Condition,
        deadline: Deadline,
        still: Callable[[], bool] | None = None,
        mark: Mark | None = None,
    ) -> Put:
        """Puts a document. `still`: asked before an upload in parts is completed, for what it was derived from may have
        changed meanwhile; where it says no, the condition counts as failed.
        """
        body = told_apart(codec.encode(document))
        tags = self._tagger.tags(document) if self.can.tags else None
        headers = headers_of(document, self._settings.author) | (mark.headers() if mark else {})
        options = PutOptions(headers, tags, self._settings.storage_class)
        made = self._attempt(document.id, body, options, condition, document.updated_at, deadline, still)
        return replace(made, deadline=self._caller.deadline()) if self._is_large(body) else made

    def bury(self, id: str, tombstone: Tombstone, condition: Condition, now: str, deadline: Deadline) -> Put:
        """Puts a tombstone in the record's place. `now`: ISO 8601."""
        options = PutOptions(tombstone.headers())
        return self._attempt(id, tombstone.encode(), options, condition, now, deadline)

    def _attempt(
        self,
        id: str,
        body: bytes,
        options: PutOptions,
        condition: Condition,
        modified: str,
        deadline: Deadline,
        still: Callable[[], bool] | None = None,
    ) -> Put:
        key = self._keys.record(id)
        condition = condition if self.can.conditional_put else None
        try:
            if self._is_large(body):
                etag = self._uploader.upload(key, body, options, condition, still=still)
            else:
                etag = self._caller.send("PutObject", lambda store: store.put(key, body, options, condition), deadline)
        except Fault as fault:
            if not fault.answer_lost and fault.kind not in (Kind.CONDITION, Kind.MISSING):
                raise
            return Put("", fault, deadline)
        if etag:
            self._cache.put(key, Held(body, etag, modified, mark_of(options.metadata)))
        return Put(etag, None, deadline)

    def _is_large(self, body: bytes) -> bool:
        return len(body) >= self._settings.multipart_threshold
