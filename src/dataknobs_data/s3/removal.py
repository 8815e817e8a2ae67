"""Deleting many records: few looks for which are there, then a thousand to a request."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dataknobs_data.exceptions import DatabaseOperationError, DataknobsDataError
from dataknobs_data.s3.cache import ListingCache
from dataknobs_data.s3.calls import Caller
from dataknobs_data.s3.deleting import Deleter
from dataknobs_data.s3.fanout import FanOut
from dataknobs_data.s3.keys import Keys
from dataknobs_data.s3.listing import PAGE_KEYS, Lister
from dataknobs_data.s3.objects import Objects
from dataknobs_data.s3.store import Fault
from dataknobs_data.streaming import windows

DELETE_KEYS = 1000
"""Keys in one DeleteObjects request at most; https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html."""

ErrorOf = Callable[[str, Fault], DataknobsDataError]


class Remover:
    """Bulk deletes of one database.

    DeleteObjects reports missing keys as deleted, so existence is looked up first. Between the look and the delete a
    record may go or be written again: then both deletes say True, or the newer version is what this one deleted.
    """

    def __init__(
        self,
        caller: Caller,
        keys: Keys,
        objects: Objects,
        deleter: Deleter,
        lister: Lister,
        many: FanOut,
        listing: ListingCache,
    ) -> None:
        self._caller = caller
        self._keys = keys
        self._objects = objects
        self._deleter = deleter
        self._lister = lister
        self._many = many
        self._listing = listing

    def delete_many(self, ids: Sequence[str], error_of: ErrorOf) -> list[bool | DataknobsDataError]:
        """For each of the distinct `ids` whether it was there, or why it could not be deleted."""
        there = self._present(ids)
        failed: dict[str, DataknobsDataError] = {}
        for window in windows((id for id in ids if id in there), DELETE_KEYS):
            failed.update(self._delete_window({id: there[id] for id in window}, error_of))
        return [failed.get(id, id in there) for id in ids]

    def _present(self, ids: Sequence[str]) -> dict[str, str]:
        """Which of `ids` exist, with their ETags, by as few requests as may be: one HEAD each, or a listing of a thousand to a page."""
        known = self._listing.last_size
        pages = len(ids) if known is None else -(-known // PAGE_KEYS)
        if len(ids) <= (self._many.workers if known is None else pages):
            return self._heads(ids)
        return self._listed(ids, most_pages=max(len(ids), pages))

    def _heads(self, ids: Sequence[str]) -> dict[str, str]:
        heads = self._many.map(self._objects.peek, ids)
        there = {id: head.etag for id, head in zip(ids, heads, strict=True) if head}
        if len(there) < len(ids):
            self._objects.check_bucket()
        return there

    def _listed(self, ids: Sequence[str], most_pages: int) -> dict[str, str]:
        """By listing what all of `ids` have in common; by HEADs after all where that turns out to be too much."""
        wanted, there = set(ids), dict[str, str]()
        for number, page in enumerate(self._lister.pages(self._keys.listing_prefix(_common_prefix(ids))), 1):
            there.update({id: item.etag for item in page.items if (id := self._keys.id(item.key)) and id in wanted})
            if page.token is None or len(there) == len(wanted):
                return there
            if number == most_pages:
                break
        return there | self._heads([id for id in ids if id not in there])

    def _delete_window(self, etags: dict[str, str], error_of: ErrorOf) -> dict[str, DataknobsDataError]:
        """Deletes up to a thousand records that were there with these ETags; what failed, by id."""
        keys = {self._keys.record(id): id for id in etags}
        try:
            faults = self._caller.send("DeleteObjects", lambda store: store.delete_many(list(keys)), idempotent=False)
        except Fault as fault:
            if fault.answer_lost:
                return self._settle(etags, fault, error_of)
            faults = dict.fromkeys(keys, fault)
        finally:
            self._listing.wrote(*keys)
            for key in keys:
                self._objects.cache.drop(key)
        return {keys[key]: error_of(keys[key], fault) for key, fault in faults.items()}

    def _settle(self, etags: dict[str, str], fault: Fault, error_of: ErrorOf) -> dict[str, DataknobsDataError]:
        """After a lost answer: sent again as it was, it could delete what somebody created since, so what is still there
        as it was seen is deleted record by record.
        """

        def settle(id: str) -> DataknobsDataError | None:
            try:
                self._deleter.delete_seen(id, etags[id], fault)
            except Fault as second:
                return error_of(id, second)
            except DataknobsDataError as error:
                return error
            return None

        errors = zip(etags, self._many.map(settle, etags), strict=True)
        return {id: error for id, error in errors if error is not None}

    def clear(self, place: str) -> int:
        """Deletes every record below the prefix, and nothing else."""
        etags: dict[str, str] = {}
        for page in self._lister.pages(self._keys.prefix):
            for item in page.items:
                if self._keys.is_nested_format(item.key):
                    raise DatabaseOperationError(
                        f"clear() would delete the records of another database, at {item.key!r} in {place}; nothing was "
                        "deleted: clear that one by itself, or keep one database a prefix",
                        key=item.key,
                    )
                id = self._keys.id(item.key)
                if id is not None:
                    etags[id] = item.etag
        for window in windows(list(etags), DELETE_KEYS):
            self._clear_window({id: etags[id] for id in window})
        return len(etags)

    def _clear_window(self, etags: dict[str, str]) -> None:
        def error_of(id: str, fault: Fault) -> DataknobsDataError:
            return DatabaseOperationError(f"clear() stopped: record {id!r} cannot be deleted: {fault}", id=id)

        for error in self._delete_window(etags, error_of).values():
            raise error


def _common_prefix(ids: Sequence[str]) -> str:
    first, last = min(ids), max(ids)
    length = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))
    return first[:length]
