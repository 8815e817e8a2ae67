"""The objects tier, reading: what is held of an object and what its headers say."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

from dataknobs_data import codec
from dataknobs_data.documents import Document
from dataknobs_data.exceptions import DataFormatError
from dataknobs_data.runtime import iso_utc
from dataknobs_data.s3.cache import Held, RecordCache
from dataknobs_data.s3.calls import Caller, Deadline
from dataknobs_data.s3.edge import Edge, NoCopy
from dataknobs_data.s3.headers import outline
from dataknobs_data.s3.keys import Keys
from dataknobs_data.s3.marks import Mark, mark_of
from dataknobs_data.s3.missing import check_bucket, says_missing
from dataknobs_data.s3.store import UNVERSIONED, Blob, Fault, Head, Kind, Listed
from dataknobs_data.s3.tombstones import Tombstone, decode, from_headers, is_tombstone


@dataclass(frozen=True, slots=True)
class Stored:
    """A document, and the ETag and mark of the object it was read from. `certain`: the store said so just now."""

    document: Document
    etag: str
    certain: bool
    mark: Mark | None = None


@dataclass(frozen=True, slots=True)
class Grave:
    """A tombstone, which stands in a record's place, and the ETag of its object (`tombstones.py`)."""

    tombstone: Tombstone
    etag: str


Found = Stored | Grave | None


def mark_on(found: Found) -> Mark | None:
    """The mark that an object bears."""
    return found.mark if isinstance(found, Stored) else found.tombstone.mark if isinstance(found, Grave) else None


class Objects:
    """Reads single documents, and in the tiered layout tombstones. Raises Fault where the store fails.

    `etags_tell`: it is known that this store gives other contents another ETag. Until then only documents whose ETag is the
    MD5 of their content are kept.
    """

    def __init__(self, caller: Caller, keys: Keys, cache: RecordCache, edge: Edge | None = None) -> None:
        self.cache = cache
        self.edge = edge
        self.etags_tell = False
        self._caller = caller
        self._keys = keys

    def read(self, id: str) -> Found:
        """What stands in the record's place, for somebody who reads it: from the edge, where there is one that has it, else from the store."""
        edge = self.edge  # a first write in another thread may give it up meanwhile
        if edge is None:
            return self.look(id)
        deadline = self._caller.deadline()
        held = self.cache.get(self._keys.record(id))
        copy = self._at_edge(edge, id, deadline, held=held)
        if isinstance(copy, Stored):
            return copy
        found = self.look(id, deadline)
        if isinstance(found, Stored):
            edge.missed(copy)
        return found

    def fetch(self, id: str, deadline: Deadline | None = None) -> Stored | None:
        """The record as the store has it now. Raises DataFormatError for a tombstone, which the objects layout does not have."""
        return record_of(id, self.look(id, deadline))

    def look(self, id: str, deadline: Deadline | None = None, *, version_id: str | None = None) -> Found:
        """What stands in the record's place now: one GET, which moves no bytes when a cached copy still stands. `version_id`: of
        the version that stands there, where that is known (`s3/travel`).
        """
        key = self._keys.record(id)
        held = self.cache.get(key)
        try:
            blob = self._caller.send(
                "GetObject",
                lambda store: store.get(key, unless_etag=held.etag if held else None, version_id=version_id),
                deadline,
            )
        except Fault as fault:
            if not says_missing(self._caller, key, fault, deadline):
                raise
            self.cache.drop(key)
            return None
        if blob is not None:
            held = self._hold(key, blob)
        assert held is not None, "a store says 'not modified' only when it was asked"
        return self._found(id, held, certain=True)

    def fetch_or_outline(self, id: str, deadline: Deadline | None = None, *, damaged: bool = False) -> Stored | None:
        """As `look_or_outline`, for the objects layout."""
        return record_of(id, self.look_or_outline(id, deadline, damaged=damaged))

    def look_or_outline(self, id: str, deadline: Deadline | None = None, *, damaged: bool = False) -> Found:
        """As `look`; of an archived record only what its headers say, which is enough to replace it. With `damaged` that
        is also the answer for a record whose content makes no sense.
        """
        try:
            return self.look(id, deadline)
        except Fault as fault:
            if fault.kind is not Kind.ARCHIVED:
                raise
        except DataFormatError:
            if not damaged:
                raise
        head = self.head(id, deadline)
        return outlined(id, head) if head else None

    def held_copy(self, id: str) -> Stored | None:
        """The copy of a document in memory: good enough to derive a conditional write from, which fails if it is old."""
        held = self.cache.get(self._keys.record(id))
        found = self._found(id, held, certain=False) if held else None
        return found if isinstance(found, Stored) else None

    def holds(self, listed: Listed) -> bool:
        """Whether the object behind a line of a listing is in memory as the line has it."""
        held = self.cache.get(listed.key)
        return held is not None and held.etag == listed.etag

    def fetch_listed(self, id: str, listed: Listed) -> Document | None:
        """The record behind a line of a listing, in the objects layout."""
        found = record_of(id, self.look_listed(id, listed))
        return found.document if found else None

    def look_listed(self, id: str, listed: Listed) -> Found:
        """What stands behind a line of a listing: without a request where the cached copy has the line's ETag."""
        held = self.cache.get(listed.key)
        if held and held.etag == listed.etag:
            return self._found(id, held, certain=False)
        deadline = self._caller.deadline()
        edge = self.edge
        if edge:
            copy = self._at_edge(edge, id, deadline, listed=listed.etag)
            if isinstance(copy, Stored):
                return copy
        return self.look(id, deadline, version_id=listed.version_id)

    def _at_edge(
        self, edge: Edge, id: str, deadline: Deadline, *, held: Held | None = None, listed: str | None = None
    ) -> Stored | NoCopy:
        """What the edge has, if it makes sense and may be shown (see Edge.get)."""
        key = self._keys.record(id)
        copy = edge.get(key, deadline, held=held, listed=listed)
        if isinstance(copy, NoCopy):
            return copy
        try:
            stored = self._found(id, copy, certain=False)
        except DataFormatError:
            return NoCopy("what it sends is no record")
        if isinstance(stored, Grave):
            return NoCopy()
        if copy is held:
            return stored
        self._caller.meter.moved(down=len(copy.body))
        if codec.loads(copy.body).get("id", id) != id:
            return NoCopy("what it sends is another record")
        self._keep(key, copy)
        return stored

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
        if blob.version_id != version_id and (blob.version_id, version_id) != (None, UNVERSIONED):
            return None  # SeaweedFS 4.48 answers any version id with the current object where versions are off
        return _shown(self._found(id, _held(blob), certain=True))

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
            if says_missing(self._caller, key, fault, deadline):
                return None
            raise

    def check_bucket(self, deadline: Deadline | None = None) -> None:
        """Raises Fault when the bucket is gone."""
        check_bucket(self._caller, deadline)

    def _hold(self, key: str, blob: Blob) -> Held:
        held = _held(blob)
        self._keep(key, held)
        return held

    def _keep(self, key: str, held: Held) -> None:
        if self.etags_tell or hashlib.md5(held.body, usedforsecurity=False).hexdigest() == held.etag.strip('"'):
            self.cache.put(key, held)
        else:
            self.cache.drop(key)

    def _found(self, id: str, held: Held, *, certain: bool) -> Stored | Grave:
        birth = "etag:" + held.etag.strip('"')
        try:
            if is_tombstone(held.body):
                tombstone = decode(held.body, self._keys.record(id))
                return Grave(replace(tombstone, mark=held.mark) if held.mark else tombstone, held.etag)
            document = codec.decode(held.body, id=id, birth=birth, modified=held.modified)
        except DataFormatError:
            self.cache.drop(self._keys.record(id))  # or a write would be refused after somebody has mended the record
            raise
        return Stored(document, held.etag, certain, held.mark)


def outlined(id: str, head: Head) -> Stored | Grave:
    """What the headers of an object say of it."""
    tombstone = from_headers(head.metadata)
    if tombstone:
        return Grave(tombstone, head.etag)
    return Stored(outline(id, head), head.etag, certain=True, mark=mark_of(head.metadata))


def record_of(id: str, found: Found) -> Stored | None:
    """What is found in the objects layout, where there are no tombstones: DataFormatError for one."""
    if isinstance(found, Grave):
        raise DataFormatError(
            f"record {id!r}: a tombstone of the tiered layout stands there, but the records here have layout 'objects'",
            id=id,
        )
    return found


def _shown(found: Found) -> Document | None:
    return found.document if isinstance(found, Stored) else None


def _held(blob: Blob) -> Held:
    return Held(blob.body, blob.etag, iso_utc(blob.modified), mark_of(blob.metadata))
