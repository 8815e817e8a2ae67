"""What a load says of itself beside the log: that it is under way, and that it is finished.

Two kinds of small objects below `{prefix}_jobs/loads/`, told apart by their names, so that a listing alone answers most
questions:

    {birth}.json         the finish mark. Only that it exists counts: a row of this birth belongs to a load that is over
    {birth}.open.json    the journal of a load under way: the paths of its packs. Each rewrite of it is a heartbeat

Since nobody ever writes one over the other, all of these PUTs are unconditional, and one whose answer was lost is simply sent
again; a heartbeat that comes late cannot undo a finish. A mark is never taken back, so a birth once seen finished is not
looked up again. A birth that no pack's tag names any more needs no mark: without the tag all births of a pack are finished.

What vacuum relies on (`vacuum.py`): a load that may run for more than half a day is here before its first pack is that old,
names every pack before it writes it from then on, and keeps its journal until its commit is acknowledged or given up. One
whose last acknowledged heartbeat is older than HEARTBEAT_MAX gives up instead of committing.

Raises Fault where the store fails.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson

from dataknobs_data.exceptions import DataFormatError
from dataknobs_data.s3.calls import Caller, Deadline
from dataknobs_data.s3.keys import Keys
from dataknobs_data.s3.listing import PAGE_KEYS, Lister
from dataknobs_data.s3.missing import says_missing
from dataknobs_data.s3.store import Fault, Page, PutOptions

JOURNAL_LIVE = timedelta(hours=24)
"""So long after its last heartbeat a load still protects its packs, by the store's clock."""

HEARTBEAT_MAX = JOURNAL_LIVE / 2
"""The longest time between two heartbeats, after which a load must not commit any more."""

FORMAT = 1


@dataclass(frozen=True, slots=True)
class OpenJournal:
    """A load under way. `packs`: paths of all that it has written or is about to write; `heartbeat`: by the store's clock."""

    birth: str
    packs: frozenset[str]
    job: str | None
    heartbeat: datetime


@dataclass(frozen=True, slots=True)
class LoadFolder:
    """What a listing says: when each mark, and each journal, was written last, by birth."""

    marks: Mapping[str, datetime]
    journals: Mapping[str, datetime]


class Journals:
    """Marks and journals of one database's loads, for all threads."""

    def __init__(self, caller: Caller, keys: Keys) -> None:
        self._caller = caller
        self._keys = keys
        self._lister = Lister(caller, keys)
        self._finished: set[str] = set()

    def know(self, other: Journals) -> None:
        """What another one of the same database has found out."""
        self._finished = set(other._finished)

    # ------------------------------------------------------------------ a load about itself
    def open(
        self, birth: str, packs: Iterable[str], deadline: Deadline | None = None, *, job: str | None = None
    ) -> None:
        """Says that a load is under way, or is so still, with the paths of all its packs: 1 PUT."""
        content = {"format": FORMAT, "finished": False, "job": job, "packs": sorted(packs)}
        self._put(self._keys.load_journal(birth), content, deadline)

    def finish(self, birth: str, deadline: Deadline | None = None) -> None:
        """Says that a load is finished: 1 PUT."""
        self._put(self._keys.load(birth), {"format": FORMAT, "finished": True}, deadline)
        self._finished.add(birth)

    def close(self, births: Collection[str], deadline: Deadline | None = None) -> None:
        """Deletes the journals of loads that are over; 1 DeleteObjects for each 1,000. Their marks stay."""
        self._delete([self._keys.load_journal(birth) for birth in births], deadline)

    def forget(self, births: Collection[str], deadline: Deadline | None = None) -> None:
        """Deletes marks and journals of births that no pack names any more."""
        self._finished.difference_update(births)
        self._delete([key(birth) for birth in births for key in (self._keys.load, self._keys.load_journal)], deadline)

    # ------------------------------------------------------------------ others about loads
    def finished(self, births: Iterable[str], deadline: Deadline | None = None) -> set[str]:
        """Which of these births belong to finished loads.

        Listings only: never more than one for each birth that was not known to be finished, and none for more than it takes
        to list the folder from the first of them to the last.
        """
        asked = set(births)
        unknown = sorted(asked - self._finished)
        prefix = self._keys.load(unknown[0]) if len(unknown) == 1 else self._keys.loads
        after, done = "", 0
        while done < len(unknown):
            after = max(after, self._keys.loads + unknown[done])  # directly before its mark
            page = self._page(prefix, after, deadline)
            self._finished.update(asked.intersection(self._marked(page)))
            if page.token is None:
                break
            after = page.items[-1].key
            done = bisect_right(unknown, after, key=self._keys.load)
        return asked & self._finished

    def _page(self, prefix: str, after: str, deadline: Deadline | None) -> Page:
        """The first page that has a line, or the last: a page may be empty and yet not the last."""
        return next(page for page in self._lister.pages(prefix, after, deadline) if page.items or page.token is None)

    def _marked(self, page: Page) -> set[str]:
        return {birth for item in page.items if (birth := self._keys.load_id(item.key))}

    def folder(self, deadline: Deadline | None = None) -> LoadFolder:
        """All marks and journals: 1 LIST for each 1,000."""
        marks: dict[str, datetime] = {}
        journals: dict[str, datetime] = {}
        for page in self._lister.pages(self._keys.loads, deadline=deadline):
            for item in page.items:
                if birth := self._keys.load_id(item.key):
                    marks[birth] = item.modified
                elif birth := self._keys.load_journal_id(item.key):
                    journals[birth] = item.modified
        return LoadFolder(marks, journals)

    def open_journals(self, births: Iterable[str], deadline: Deadline | None = None) -> list[OpenJournal]:
        """The journals of these births, but for those that are gone by now: 1 GET each.

        Raises DataFormatError where one is damaged.
        """
        found = (self._read(birth, deadline) for birth in births)
        return [journal for journal in found if journal is not None]

    def _read(self, birth: str, deadline: Deadline | None) -> OpenJournal | None:
        key = self._keys.load_journal(birth)
        try:
            blob = self._caller.send("GetObject", lambda store: store.get(key), deadline)
        except Fault as fault:
            if says_missing(self._caller, key, fault, deadline):
                return None
            raise
        assert blob is not None, "no condition was sent"
        packs, job = _parsed(blob.body, key)
        return OpenJournal(birth, packs, job, blob.modified)

    # ------------------------------------------------------------------ requests
    def _put(self, key: str, content: Mapping[str, Any], deadline: Deadline | None) -> None:
        body = orjson.dumps(content)
        self._caller.send("PutObject", lambda store: store.put(key, body, PutOptions(), None), deadline)

    def _delete(self, keys: list[str], deadline: Deadline | None) -> None:
        for start in range(0, len(keys), PAGE_KEYS):
            self._delete_page(keys[start : start + PAGE_KEYS], deadline)

    def _delete_page(self, keys: list[str], deadline: Deadline | None) -> None:
        failed = self._caller.send("DeleteObjects", lambda store: store.delete_many(keys), deadline)
        for fault in failed.values():
            raise fault


def _parsed(body: bytes | memoryview, key: str) -> tuple[frozenset[str], str | None]:
    """Packs and job of a journal."""
    try:
        tree = orjson.loads(body)
        version, packs, job = tree["format"], tree["packs"], tree["job"]
        if version != FORMAT:
            raise ValueError(f"its format {version!r} is not known to this version, which knows {FORMAT}: upgrade")
        if not isinstance(packs, list) or not all(isinstance(path, str) for path in packs):
            raise TypeError("its packs are no list of paths")
    except (ValueError, TypeError, LookupError) as error:
        raise DataFormatError(
            f"{key}: a journal that cannot be read: {error}; where no load of it runs any more, delete it", key=key
        ) from error
    return frozenset(packs), job
