"""The objects tier: one record is one object. The one place that does compare-and-set.

Every write carries a condition (the ETag it was derived from, or absence), so two writers cannot undo each other unseen. A
condition that fails (404, 409, 412) means: look again. A write whose answer was lost is recognized by its revision or
birth when the object is looked at; what even that cannot tell is said with OutcomeUnknownError, never guessed.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import timedelta

from dataknobs_data import codec
from dataknobs_data.documents import Change, Deletion, Document, Verb, check_version, duplicate, resolve
from dataknobs_data.exceptions import ConcurrencyError, IncompatibleStoreError, OutcomeUnknownError
from dataknobs_data.runtime import Runtime, iso_utc
from dataknobs_data.s3.cache import Held, RecordCache
from dataknobs_data.s3.calls import Caller, Deadline
from dataknobs_data.s3.fanout import FanOut
from dataknobs_data.s3.headers import headers_of, outline
from dataknobs_data.s3.keys import Keys
from dataknobs_data.s3.multipart import upload
from dataknobs_data.s3.probe import Capabilities, ConditionalDelete
from dataknobs_data.s3.settings import S3Settings
from dataknobs_data.s3.store import ABSENT, EXISTS, Blob, Condition, Fault, Head, Kind, Listed, Match, PutOptions
from dataknobs_data.s3.tags import Tagger

CLOCK_SECONDS = 1
"""How far two times in HTTP headers may be apart from what they say: both are cut to the second."""

logger = logging.getLogger("dataknobs_data.s3")


@dataclass(frozen=True, slots=True)
class Stored:
    """A document and the ETag of the object it was read from. `certain`: the store said so just now."""

    document: Document
    etag: str
    certain: bool


class Objects:
    """Reads and writes single documents. Raises Fault where the store fails."""

    def __init__(self, caller: Caller, keys: Keys, settings: S3Settings, runtime: Runtime, tagger: Tagger) -> None:
        self.capabilities = Capabilities()
        self.cache = RecordCache(settings.cache_bytes)
        self._caller = caller
        self._keys = keys
        self._settings = settings
        self._runtime = runtime
        self._tagger = tagger
        self._parts = FanOut(settings.max_workers, "dataknobs-parts")
        self._warned_about_deletes = False

    def close(self) -> None:
        """Ends the threads that upload parts."""
        self._parts.close()

    # ------------------------------------------------------------------ reading
    def fetch(self, id: str, deadline: Deadline | None = None) -> Stored | None:
        """The record as the store has it now: one GET, which moves no bytes when a cached copy still stands."""
        key = self._keys.record(id)
        held = self.cache.get(key)
        try:
            blob = self._caller.send(
                "GetObject", lambda store: store.get(key, unless_etag=held.etag if held else None), deadline
            )
        except Fault as fault:
            if fault.kind is not Kind.MISSING:
                raise
            self.cache.drop(key)
            return None
        if blob is not None:
            held = self._hold(key, blob)
        assert held is not None, "a store says 'not modified' only when it was asked"
        return self._stored(id, held, certain=True)

    def fetch_or_outline(self, id: str, deadline: Deadline | None = None) -> Stored | None:
        """As `fetch`; of an archived record only what its headers say, which is enough to replace it."""
        try:
            return self.fetch(id, deadline)
        except Fault as fault:
            if fault.kind is not Kind.ARCHIVED:
                raise
        head = self.head(id, deadline)
        return Stored(outline(id, head), head.etag, certain=True) if head else None

    def holds(self, listed: Listed) -> bool:
        """Whether the object behind a line of a listing is in memory as the line has it."""
        held = self.cache.get(listed.key)
        return held is not None and held.etag == listed.etag

    def fetch_listed(self, id: str, listed: Listed) -> Document | None:
        """The record behind a line of a listing: without a request where the cached copy has the line's ETag."""
        held = self.cache.get(listed.key)
        if held and held.etag == listed.etag:
            return self._stored(id, held, certain=False).document
        found = self.fetch(id)
        return found.document if found else None

    def fetch_version(self, id: str, version_id: str) -> Document | None:
        """An older version of the object; None where there is none, or where it is a delete marker."""
        key = self._keys.record(id)
        try:
            blob = self._caller.send("GetObject", lambda store: store.get(key, version_id=version_id))
        except Fault as fault:
            if fault.kind is Kind.MISSING or fault.status == 405:  # 405: API_GetObject, version ids of delete markers
                return None
            raise
        assert blob is not None
        return self._stored(id, _held(blob), certain=True).document

    def head(self, id: str, deadline: Deadline | None = None) -> Head | None:
        """The headers of a record's object; None where there is none."""
        head = self.peek(id, deadline)
        if head is None:
            self.check_bucket(deadline)
        return head

    def peek(self, id: str, deadline: Deadline | None = None) -> Head | None:
        """As `head`, but None may also mean that the bucket is gone: an answer to HEAD has no body to tell."""
        key = self._keys.record(id)
        try:
            return self._caller.send("HeadObject", lambda store: store.head(key), deadline)
        except Fault as fault:
            if fault.kind is Kind.MISSING:
                return None
            raise

    def check_bucket(self, deadline: Deadline | None = None) -> None:
        """Raises Fault when the bucket is gone."""
        try:
            self._caller.send("HeadBucket", lambda store: store.head_bucket(), deadline)
        except Fault as fault:
            if fault.kind is not Kind.DENIED:  # a policy may allow the objects but not the bucket
                raise

    def _hold(self, key: str, blob: Blob) -> Held:
        self._caller.meter.moved(down=len(blob.body))
        held = _held(blob)
        self.cache.put(key, held)
        return held

    def _stored(self, id: str, held: Held, *, certain: bool) -> Stored:
        birth = "etag:" + held.etag.strip('"')
        document = codec.decode(held.body, id=id, birth=birth, modified=held.modified)
        return Stored(document, held.etag, certain)

    # ------------------------------------------------------------------ writing
    def apply(self, change: Change) -> Document | None:
        """Carries out one change; None when it updates a record that does not exist."""
        deadline = self._caller.deadline()
        if change.verb is Verb.CREATE:
            return self._create(change, deadline)
        return self._replace(change, deadline)

    def _create(self, change: Change, deadline: Deadline) -> Document:
        document = resolve(change, None, self._runtime)
        assert document is not None
        if not self.capabilities.conditional_put and self.head(change.id, deadline):
            raise duplicate(change.id)
        while True:
            try:
                self._put(document, ABSENT, deadline)
                return document
            except Fault as fault:
                if fault.answer_lost:
                    return self._settle(document, fault, deadline, creating=True)
                if fault.kind is not Kind.CONDITION:
                    raise
                if fault.status != 409 or self.head(change.id, deadline):  # 409: another write was under way
                    raise duplicate(change.id) from fault

    def _replace(self, change: Change, deadline: Deadline) -> Document | None:
        current = self._held_copy(change.id) or self.fetch_or_outline(change.id, deadline)
        while True:
            try:
                document = resolve(change, current.document if current else None, self._runtime)
            except ConcurrencyError:
                if current is None or current.certain:
                    raise
                current = self.fetch_or_outline(change.id, deadline)
                continue
            if document is None:
                return None
            try:
                self._put(document, Match(current.etag) if current else ABSENT, deadline)
                return document
            except Fault as fault:
                if fault.answer_lost:
                    return self._settle(document, fault, deadline, creating=current is None)
                if fault.kind not in (Kind.CONDITION, Kind.MISSING):
                    raise
            current = self.fetch_or_outline(change.id, deadline)

    def _held_copy(self, id: str) -> Stored | None:
        """The copy in memory: good enough to derive a conditional write from, which fails if it is old."""
        held = self.cache.get(self._keys.record(id)) if self.capabilities.conditional_put else None
        return self._stored(id, held, certain=False) if held else None

    def _put(self, document: Document, condition: Condition, deadline: Deadline) -> None:
        key, body = self._keys.record(document.id), codec.encode(document)
        condition = condition if self.capabilities.conditional_put else None
        tags = self._tagger.tags(document) if self.capabilities.tags else None
        options = PutOptions(headers_of(document), tags, self._settings.storage_class)
        self._caller.meter.moved(up=len(body))
        if len(body) >= self._settings.multipart_threshold:
            chunk = self._settings.multipart_chunksize
            etag = upload(self._caller, self._parts, key, body, options, condition, chunk)
        else:
            etag = self._caller.send("PutObject", lambda store: store.put(key, body, options, condition), deadline)
        if etag:
            self.cache.put(key, Held(body, etag, document.updated_at))

    def _settle(self, document: Document, fault: Fault, deadline: Deadline, *, creating: bool) -> Document:
        """After a lost answer: the document if it was written, or the error that says what is known."""
        id = document.id
        try:
            now = self.fetch(id, deadline.for_a_look())
        except Fault as second:
            raise _unknown(id, "it cannot be read either", second) from fault
        found = now.document if now else None
        if found and found.revision == document.revision:
            return document
        if creating and found and document.born in {found.born, *found.replaces}:
            return document  # written, and changed by somebody since
        if creating and found and fault.kind is Kind.CONDITION:
            raise duplicate(id) from fault
        seen = f"version {found.revision} is there now" if found else "there is no such record now"
        raise _unknown(id, seen, fault) from fault

    # ------------------------------------------------------------------ deleting
    def delete(self, deletion: Deletion) -> bool:
        """Deletes one record; False where there is none."""
        deadline = self._caller.deadline()
        try:
            if deletion.expected_version is not None:
                return self._delete_version(deletion, deadline)
            if self.capabilities.conditional_delete is ConditionalDelete.ANY:
                return self._delete_existing(deletion.id, deadline)
            return self._look_and_delete(deletion.id, deadline)
        finally:
            self.cache.drop(self._keys.record(deletion.id))

    def _send_delete(self, id: str, condition: Match | None, deadline: Deadline) -> None:
        key, idempotent = self._keys.record(id), condition != EXISTS
        self._caller.send("DeleteObject", lambda store: store.delete(key, condition), deadline, idempotent=idempotent)

    def _delete_existing(self, id: str, deadline: Deadline) -> bool:
        while True:
            try:
                self._send_delete(id, EXISTS, deadline)
                return True
            except Fault as fault:
                if fault.answer_lost:
                    return self._delete_again(id, fault, deadline)
                if fault.kind in (Kind.CONDITION, Kind.MISSING) and fault.status != 409:
                    return False
                if fault.kind is not Kind.CONDITION:
                    raise

    def _delete_again(self, id: str, fault: Fault, deadline: Deadline) -> bool:
        """After a lost answer. `If-Match: *` once more could delete what somebody created since, so it is looked what is
        there: only what was there before the operation began is deleted, by its ETag, which no later version has.
        """
        held = self.cache.get(self._keys.record(id))
        try:
            head = self.head(id, deadline.for_a_look())
        except Fault as second:
            raise _unknown(id, "it cannot be looked at either", second) from fault
        if head is None:
            return True
        elapsed = timedelta(seconds=self._caller.seconds_since(deadline) + CLOCK_SECONDS)
        is_old = head.now is not None and head.now - head.modified >= elapsed
        if is_old or (held and held.etag == head.etag):
            return self._look_and_delete(id, deadline)
        raise _unknown(id, "a record of that id is there now", fault) from fault

    def _look_and_delete(self, id: str, deadline: Deadline) -> bool:
        """For stores without `If-Match: *`: what is there is deleted by its ETag, or as it is where not even that works."""
        by_etag = self.capabilities.conditional_delete is not ConditionalDelete.NONE
        if not by_etag:
            self._warn_about_deletes()
        while head := self.head(id, deadline):
            try:
                self._send_delete(id, Match(head.etag) if by_etag else None, deadline)
                return True
            except Fault as fault:
                if fault.answer_lost:
                    return self._settle_delete(id, fault, deadline)
                if fault.kind not in (Kind.CONDITION, Kind.MISSING):
                    raise
        return False

    def _warn_about_deletes(self) -> None:
        if not self._warned_about_deletes:
            self._warned_about_deletes = True
            logger.warning(
                "this store has no conditional DELETE: of two deletes of one record at the same time both may say True, and a "
                "delete may remove a record that was created again meanwhile (said once)"
            )

    def _settle_delete(self, id: str, fault: Fault, deadline: Deadline) -> bool:
        try:
            if self.head(id, deadline.for_a_look()) is None:
                return True
        except Fault as second:
            raise _unknown(id, "it cannot be looked at either", second) from fault
        raise _unknown(id, "a record of that id is there now", fault) from fault

    def _delete_version(self, deletion: Deletion, deadline: Deadline) -> bool:
        if self.capabilities.conditional_delete is ConditionalDelete.NONE:
            raise IncompatibleStoreError(
                "this store has no conditional DELETE, so delete(expected_version=…) cannot be kept safe; delete without it",
                condition="conditional DELETE",
            )
        current = self._held_copy(deletion.id)
        if current is None or current.document.revision != deletion.expected_version:
            current = self.fetch_or_outline(deletion.id, deadline)
        while True:
            check_version(deletion.id, deletion.expected_version, current.document.revision if current else None)
            assert current is not None, "check_version refuses a missing record"
            try:
                self._send_delete(deletion.id, Match(current.etag), deadline)
                return True
            except Fault as fault:
                if fault.kind not in (Kind.CONDITION, Kind.MISSING) and not fault.answer_lost:
                    raise
                if fault.answer_lost:
                    return self._settle_delete(deletion.id, fault, deadline)
            current = self.fetch_or_outline(deletion.id, deadline)


def _held(blob: Blob) -> Held:
    return Held(blob.body, blob.etag, iso_utc(blob.modified))


def _unknown(id: str, seen: str, fault: Fault) -> OutcomeUnknownError:
    return OutcomeUnknownError(
        f"record {id!r}: a write was sent, but its answer was lost, and whether it was applied cannot be told: {seen} "
        f"({fault}); read the record before writing again",
        id=id,
    )
