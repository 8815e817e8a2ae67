"""The objects tier, deleting one record: on condition, so that its answer is the truth."""

from __future__ import annotations

import itertools
import logging
from datetime import timedelta

from dataknobs_data.documents import Deletion, check_version
from dataknobs_data.exceptions import IncompatibleStoreError
from dataknobs_data.s3.calls import Caller, Deadline
from dataknobs_data.s3.keys import Keys
from dataknobs_data.s3.lost import unknown_outcome
from dataknobs_data.s3.objects import Objects
from dataknobs_data.s3.probe import Capabilities, ConditionalDelete
from dataknobs_data.s3.store import EXISTS, Fault, Kind, Match

CLOCK_SECONDS = 1
"""How far two times in HTTP headers may be apart from what they say: both are cut to the second."""

logger = logging.getLogger("dataknobs_data.s3")


class Deleter:
    """Deletes single documents. Raises Fault where the store fails."""

    def __init__(self, caller: Caller, keys: Keys, objects: Objects, capabilities: Capabilities) -> None:
        self._caller = caller
        self._keys = keys
        self._objects = objects
        self._can = capabilities.conditional_delete
        self._warned = False

    def delete(self, deletion: Deletion) -> bool:
        """Deletes one record; False where there is none."""
        deadline = self._caller.deadline()
        try:
            if deletion.expected_version is not None:
                return self._delete_version(deletion, deadline)
            if self._can is ConditionalDelete.ANY:
                return self._delete_existing(deletion.id, deadline)
            return self._look_and_delete(deletion.id, deadline)
        finally:
            self._objects.cache.drop(self._keys.record(deletion.id))

    def _send(self, id: str, condition: Match | None, deadline: Deadline) -> None:
        # `If-Match: *` sent again could delete what somebody created since; an ETag is never had again.
        key, idempotent = self._keys.record(id), condition is not None and condition != EXISTS
        self._caller.send("DeleteObject", lambda store: store.delete(key, condition), deadline, idempotent=idempotent)

    def _delete_existing(self, id: str, deadline: Deadline) -> bool:
        held = self._objects.cache.get(self._keys.record(id))
        for number in itertools.count():
            try:
                self._send(id, EXISTS, deadline)
                return True
            except Fault as fault:
                if fault.answer_lost:
                    return self._delete_again(id, held.etag if held else None, fault, deadline)
                if fault.kind in (Kind.CONDITION, Kind.MISSING) and fault.status != 409:
                    return False
                if fault.kind is not Kind.CONDITION:
                    raise
            self._caller.pause(number)  # 409: another write was under way
        raise AssertionError("the loop ends by itself")

    def _delete_again(self, id: str, held_etag: str | None, fault: Fault, deadline: Deadline) -> bool:
        """After a lost answer: only what was there before the operation began is deleted, by its ETag."""
        try:
            head = self._objects.head(id, deadline.for_a_look())
        except Fault as second:
            raise unknown_outcome(id, f"it cannot be looked at either ({second})", fault) from fault
        if head is None:
            return True
        elapsed = timedelta(seconds=self._caller.seconds_since(deadline) + CLOCK_SECONDS)
        is_old = head.now is not None and head.now - head.modified >= elapsed
        if is_old or head.etag == held_etag:
            return self._delete_seen(id, head.etag, fault, deadline)
        raise unknown_outcome(id, "a record of that id is there now", fault) from fault

    def delete_seen(self, id: str, etag: str, fault: Fault) -> bool:
        """After the lost answer (`fault`) of a request that was to delete what had this ETag: deletes it if it is still
        there. Raises OutcomeUnknownError where something else is there now.
        """
        deadline = self._caller.deadline()
        if self._can is not ConditionalDelete.NONE:
            return self._delete_seen(id, etag, fault, deadline)
        return self._settle(id, fault, deadline)

    def _delete_seen(self, id: str, etag: str, fault: Fault, deadline: Deadline) -> bool:
        try:
            self._send(id, Match(etag), deadline)
        except Fault as second:
            if second.kind in (Kind.CONDITION, Kind.MISSING) or second.answer_lost:
                return self._settle(id, second, deadline)
            raise unknown_outcome(id, f"deleting it once more failed ({second})", fault) from second
        return True

    def _look_and_delete(self, id: str, deadline: Deadline) -> bool:
        """For stores without `If-Match: *`: what is there is deleted by its ETag, or as it is where not even that works."""
        by_etag = self._can is ConditionalDelete.ETAG
        if not by_etag:
            self._warn()
        for number in itertools.count():
            head = self._objects.head(id, deadline)
            if head is None:
                return False
            try:
                self._send(id, Match(head.etag) if by_etag else None, deadline)
                return True
            except Fault as fault:
                if fault.answer_lost:
                    return self._settle(id, fault, deadline)
                if fault.kind not in (Kind.CONDITION, Kind.MISSING):
                    raise
            self._caller.pause(number)
        raise AssertionError("the loop ends by itself")

    def _warn(self) -> None:
        if not self._warned:
            self._warned = True
            logger.warning(
                "this store has no conditional DELETE: of two deletes of one record at the same time both may say True, and a "
                "delete may remove a record that was created again meanwhile (said once)"
            )

    def _settle(self, id: str, fault: Fault, deadline: Deadline) -> bool:
        try:
            if self._objects.head(id, deadline.for_a_look()) is None:
                return True
        except Fault as second:
            raise unknown_outcome(id, f"it cannot be looked at either ({second})", fault) from fault
        raise unknown_outcome(id, "a record of that id is there now", fault) from fault

    def _delete_version(self, deletion: Deletion, deadline: Deadline) -> bool:
        if self._can is ConditionalDelete.NONE:
            raise IncompatibleStoreError(
                "this store has no conditional DELETE, so delete(expected_version=…) cannot be kept safe; delete without it",
                condition="conditional DELETE",
            )
        current = self._objects.held_copy(deletion.id)
        if current is None or current.document.revision != deletion.expected_version:
            current = self._objects.fetch_or_outline(deletion.id, deadline)
        for number in itertools.count():
            check_version(deletion.id, deletion.expected_version, current.document.revision if current else None)
            assert current is not None, "check_version refuses a missing record"
            try:
                self._send(deletion.id, Match(current.etag), deadline)
                return True
            except Fault as fault:
                if fault.answer_lost:
                    return self._settle(deletion.id, fault, deadline)
                if fault.kind not in (Kind.CONDITION, Kind.MISSING):
                    raise
            if number:
                self._caller.pause(number)
            current = self._objects.fetch_or_outline(deletion.id, deadline)
        raise AssertionError("the loop ends by itself")
