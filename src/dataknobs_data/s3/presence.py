"""Which of many ids have an object, by as few requests as may be: one HEAD each, or a listing of a thousand to a page."""

from __future__ import annotations

from collections.abc import Sequence

from dataknobs_data.s3.calls import Deadline
from dataknobs_data.s3.fanout import FanOut
from dataknobs_data.s3.keys import Keys
from dataknobs_data.s3.listing import PAGE_KEYS, Lister
from dataknobs_data.s3.objects import Objects
from dataknobs_data.s3.store import Head, Listed

FEW = 10
"""Reads that one page of a listing may cost to save."""


class Presence:
    """Looks which objects are there. Raises Fault where the store fails.

    known_size  how many objects the last full listing had, however old it is; None before the first
    """

    def __init__(self, keys: Keys, objects: Objects, lister: Lister, many: FanOut) -> None:
        self.known_size: int | None = None
        self._keys = keys
        self._objects = objects
        self._lister = lister
        self._many = many

    def of(self, ids: Sequence[str], deadline: Deadline | None = None) -> dict[str, Listed]:
        """Those of the distinct `ids` that have an object, each as a listing shows it. `deadline`: of all requests together."""
        if not ids:
            return {}
        pages = len(ids) if self.known_size is None else -(-self.known_size // PAGE_KEYS)
        if len(ids) <= (self._many.workers if self.known_size is None else pages):
            return self._heads(ids, deadline)
        return self._listed(ids, max(len(ids), pages), deadline)

    def listed_in_few(self, ids: Sequence[str]) -> dict[str, Listed] | None:
        """As `of`, if one page of a listing for each FEW ids is enough; None where it is not, or was not."""
        least = 1 if self.known_size is None else max(1, -(-self.known_size // PAGE_KEYS))
        most = len(ids) // FEW
        return self._pages(ids, most, None) if least <= most else None

    def _heads(self, ids: Sequence[str], deadline: Deadline | None) -> dict[str, Listed]:
        heads = self._many.map(lambda id: self._objects.peek(id, deadline), ids)
        there = {id: self._line(id, head) for id, head in zip(ids, heads, strict=True) if head}
        if len(there) < len(ids):
            self._objects.check_bucket(deadline)
        return there

    def _line(self, id: str, head: Head) -> Listed:
        modified = head.modified.isoformat()
        return Listed(self._keys.record(id), head.etag, head.size, head.storage_class, modified)

    def _listed(self, ids: Sequence[str], most_pages: int, deadline: Deadline | None) -> dict[str, Listed]:
        """By listing what all of `ids` have in common; by HEADs after all where that turns out to be too much."""
        there = self._pages(ids, most_pages, deadline)
        return self._heads(ids, deadline) if there is None else there

    def _pages(self, ids: Sequence[str], most_pages: int, deadline: Deadline | None) -> dict[str, Listed] | None:
        wanted, there = set(ids), dict[str, Listed]()
        prefix = self._keys.listing_prefix(_common_prefix(ids))
        for number, page in enumerate(self._lister.record_pages(prefix, deadline), 1):
            there.update({id: item for item in page.items if (id := self._keys.id(item.key)) and id in wanted})
            if page.token is None or len(there) == len(wanted):
                return there
            if number == most_pages:
                break
        return None


def _common_prefix(ids: Sequence[str]) -> str:
    first, last = min(ids), max(ids)
    length = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))
    return first[:length]
