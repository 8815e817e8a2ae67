"""The objects tier of a rehearsal: GETs of documents are counted instead of sent."""

from __future__ import annotations

from dataclasses import replace

from dataknobs_data.documents import Document
from dataknobs_data.s3.cache import Held
from dataknobs_data.s3.calls import Caller, Deadline
from dataknobs_data.s3.edge import OPERATION as EDGE
from dataknobs_data.s3.keys import Keys
from dataknobs_data.s3.objects import Found, Objects, Stored, outlined
from dataknobs_data.s3.rehearsal.script import Blank, Script, Unread
from dataknobs_data.s3.store import Fault, Head, Kind, Listed
from dataknobs_data.s3.tombstones import may_be_tombstone

LOOKS_MAX = 1000
"""Documents before rows that are looked at closely, evenly spread; of the others each is reckoned like the one before it."""

MODELS = 100
"""Documents that stand for others."""


class Samples:
    """How many documents may be read for real, in all rehearsals of one estimate together. None: all."""

    def __init__(self, left: int | None) -> None:
        self._left = left

    def take(self) -> bool:
        """Whether one more may be."""
        if self._left is None:
            return True
        self._left -= 1
        return self._left >= 0


class RehearsedObjects(Objects):
    """Knows what listings and headers say. `real` sends what is needed for that.

    behind   rows that lie behind documents, by id, as far as they were looked for, each with birth and revision: what becomes
             of these documents depends on what they say, so their headers are read
    samples  documents that may be read for real, to see how large they are as rows; for a statement others are like them
    """

    def __init__(self, real: Objects, caller: Caller, keys: Keys, script: Script) -> None:
        super().__init__(caller, keys, real.cache.copy())
        self.etags_tell = real.etags_tell
        self.behind: dict[str, dict[str, str]] = {}
        self.samples = Samples(0)
        self._real = real
        self._script = script
        self._operation = EDGE if real.edge else "GetObject"
        self._models: list[Document] = []
        self._looks = 0
        self._last: Found = None
        self._last_was_folded = False

    def look(self, id: str, deadline: Deadline | None = None, *, version_id: str | None = None) -> Found:
        """See Objects. One HEAD in the place of the GET."""
        key = self._keys.record(id)
        head = self._headers(key)
        held = self.cache.get(key)
        if head is None:
            self._caller.meter.sent("GetObject")
            return None
        unchanged = held is not None and held.etag == head.etag
        self._sent("GetObject", 0 if unchanged else head.size, head.storage_class)
        self.cache.put(key, Held(Unread(head.size), head.etag, ""))
        return outlined(id, head)

    def look_listed(self, id: str, listed: Listed) -> Found:
        """See Objects."""
        held = self.cache.get(listed.key)
        if held and held.etag == listed.etag:
            if isinstance(held.body, Unread):
                return self._blank(id, listed)
            return self._model(self._found(id, held, certain=False))
        if may_be_tombstone(listed.size) or self.samples.take():
            return self._seen(id, listed)
        self._sent(self._operation, listed.size, listed.storage_class)
        self.cache.put(listed.key, Held(Unread(listed.size), listed.etag, ""))
        return self._blank(id, listed)

    def _model(self, found: Found) -> Found:
        """Remembers what documents are like here."""
        if isinstance(found, Stored) and len(self._models) < MODELS:
            self._models.append(found.document)
        return found

    def _seen(self, id: str, listed: Listed) -> Found:
        """As it really is; where it is in memory then, it is not asked for again."""
        found = self._model(self._real.look_listed(id, listed))
        held = self._real.cache.get(listed.key)
        if held is not None and held.etag == listed.etag:
            self.cache.put(listed.key, held)
            self._script.deepened = True
        else:
            self._sent("GetObject", listed.size, listed.storage_class)
        return found

    def _sent(self, operation: str, size: int, storage_class: str) -> None:
        self._caller.meter.sent(operation)
        self._caller.meter.moved(down=size)
        self._script.documents.add(size)
        if operation == "GetObject":
            self._script.reads[storage_class].add(size)

    def _blank(self, id: str, listed: Listed) -> Found:
        rows = self.behind.get(id)
        if rows is None:
            blank: Document = Blank.of(id, revision=listed.etag)
            if self._models and self._script.sql:
                blank = replace(self._models[len(id) % len(self._models)], id=id)
            return Stored(blank, listed.etag, certain=False)
        self._looks += 1
        if (self._looks - 1) % -(-len(self.behind) // LOOKS_MAX) == 0:
            head = self._headers(listed.key)
            self._last = found = outlined(id, head) if head and head.etag == listed.etag else None
            revision = found.document.revision if isinstance(found, Stored) else None
            self._last_was_folded = [revision] == list(rows.values())
            return found
        if self._last is None:
            return None
        (first, revision), *others = sorted(rows.items())
        births = frozenset(born for born, _ in others)
        revision = revision if self._last_was_folded else listed.etag
        return Stored(Blank.of(id, first, revision, births), listed.etag, certain=False)

    def _headers(self, key: str) -> Head | None:
        """What really stands there, without that this counts."""
        try:
            return self._caller.offline(lambda store: store.head(key))
        except Fault as fault:
            if fault.kind not in (Kind.MISSING, Kind.DENIED):
                raise
            return None
