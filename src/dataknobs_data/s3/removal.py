"""Deleting many records: few looks for which are there, then a thousand to a request."""

from __future__ import annotations

from collections.abc import Sequence

from dataknobs_data.exceptions import DatabaseOperationError, DataknobsDataError
from dataknobs_data.s3.deleting import Deleter
from dataknobs_data.s3.layout import ErrorOf, Parts
from dataknobs_data.s3.store import Fault
from dataknobs_data.streaming import windows

DELETE_KEYS = 1000
"""Keys in one DeleteObjects request at most; https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html."""


class Remover:
    """Bulk deletes of one database.

    DeleteObjects reports missing keys as deleted, so existence is looked up first. Between the look and the delete a
    record may go or be written again: then both deletes say True, or the newer version is what this one deleted.
    """

    def __init__(self, parts: Parts, deleter: Deleter) -> None:
        self._caller = parts.caller
        self._keys = parts.keys
        self._objects = parts.objects
        self._deleter = deleter
        self._presence = parts.presence
        self._lister = parts.lister
        self._many = parts.many
        self._clock = parts.clock

    def delete_many(self, ids: Sequence[str], error_of: ErrorOf) -> list[bool | DataknobsDataError]:
        """For each of the distinct `ids` whether it was there, or why it could not be deleted."""
        there = {id: line.etag for id, line in self._presence.of(ids).items()}
        failed: dict[str, DataknobsDataError] = {}
        for window in windows((id for id in ids if id in there), DELETE_KEYS):
            failed.update(self._delete_window({id: there[id] for id in window}, error_of))
        return [failed.get(id, id in there) for id in ids]

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
            self._clock.tick(*keys)
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

    def everything(self, place: str) -> dict[str, str]:
        """The ETags of all objects of this database, by id. Raises DatabaseOperationError where another one lies inside it."""
        etags: dict[str, str] = {}
        for page in self._lister.record_pages(self._keys.prefix):
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
        return etags

    def clear(self, etags: dict[str, str]) -> None:
        """Deletes all of these. Raises the first error."""
        for window in windows(list(etags), DELETE_KEYS):
            self._clear_window({id: etags[id] for id in window})

    def _clear_window(self, etags: dict[str, str]) -> None:
        def error_of(id: str, fault: Fault) -> DataknobsDataError:
            return DatabaseOperationError(f"clear() stopped: record {id!r} cannot be deleted: {fault}", id=id)

        for error in self._delete_window(etags, error_of).values():
            raise error
