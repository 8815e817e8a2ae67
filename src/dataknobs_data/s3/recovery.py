"""Bringing older versions of a record back: what was read from the history is written again, on the usual conditions."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from dataknobs_data.documents import Change, Document, Verb, check_id, to_record
from dataknobs_data.exceptions import DataknobsDataError, DuplicateRecordError, RecordNotFoundError
from dataknobs_data.records import Record
from dataknobs_data.s3.admin.versions import History, Past
from dataknobs_data.s3.engine import S3Engine
from dataknobs_data.s3.faults import translated
from dataknobs_data.s3.store import UNVERSIONED, ListedVersion
from dataknobs_data.s3.travel.burial import buried, told_by

Read = Callable[[], Document | None]


class Recovery:
    """Reverts and undeletes single records of a bucket that keeps versions."""

    def __init__(self, engine: S3Engine) -> None:
        self._engine = engine

    def revert(self, id: str, version_id: str, expected_version: str | None) -> Record:
        """See S3Database.revert."""
        found = self._engine.get_at_version(check_id(id), version_id)
        if found is None:
            raise RecordNotFoundError(
                f"record {id!r} has no version {version_id!r} that could be read: there is none, or it is a deletion; "
                "history(id) lists what there is",
                id=id,
                version_id=version_id,
            )
        change = Change(Verb.UPSERT, id, to_record(found), expected_version, mends=True)
        return to_record(self._write(change))

    def undelete(self, id: str, *, dry_run: bool = False) -> bool:
        """See S3Database.undelete."""
        past = History(self._engine.control).newest(id)
        if (past.document and past.document.is_latest) or self._is_packed(id):
            return False
        found = self._as_deleted(id, past)
        if dry_run:
            return True
        try:
            self._write(Change(Verb.CREATE, id, to_record(found)))
        except DuplicateRecordError:
            return False
        return True

    def _as_deleted(self, id: str, past: Past) -> Document:
        """The record as it was when it was deleted: a version of its object, or else a row of the table as that was then."""
        try:
            newest = past.document
            if newest is None:
                raise _nothing_left(id, lay_in_a_pack=bool(past.tombstones))
            read = cache(lambda: self._engine.get_at_version(id, newest.version_id))
            self._check_is_what_was_deleted(id, past, newest, read)
        except RecordNotFoundError:
            kept = all(deletion.version_id != UNVERSIONED for deletion in past.since)
            row = buried(self._engine, id, past.tombstones[0]) if past.tombstones and kept else None
            if row is None:
                raise
            return row
        found = read()
        if found is None:
            raise RecordNotFoundError(
                f"record {id!r} cannot be brought back: its version {newest.version_id!r} has just been removed",
                id=id,
                version_id=newest.version_id,
            )
        return found

    def _is_packed(self, id: str) -> bool:
        with translated(f"looking for record {id!r}", self._engine.control.place, id=id):
            return id in self._engine.control.packed.lying([id])

    def _check_is_what_was_deleted(self, id: str, past: Past, newest: ListedVersion, read: Read) -> None:
        """Raises RecordNotFoundError where the record may have been another one when it was deleted. `read`: reads `newest`."""
        if any(deletion.version_id == UNVERSIONED for deletion in past.since):
            raise _older(
                id,
                newest,
                "it was deleted while versioning was suspended, and what was written meanwhile may have gone with it",
            )
        if not self._engine.control.packed.exists:
            return
        if past.was_buried:
            if not self._is_buried_by(id, past.tombstones[0], read):
                raise _older(id, newest, "what was deleted was another revision of it")
            return
        if len(past.tombstones) > 1 or not self._lies_dead(id, read):
            raise _older(id, newest, "it lay in a pack when it was deleted, and may have been changed there")

    def _is_buried_by(self, id: str, tombstone: ListedVersion, read: Read) -> bool:
        """Whether the tombstone says the same: of versions of one second, stores may tell in another order than they came."""
        with translated(f"looking for what was deleted of record {id!r}", self._engine.control.place, id=id):
            told = told_by(self._engine, tombstone)
        if told is None or told.deleted is None:
            return True
        document = read()
        return document is None or document.revision == told.deleted

    def _lies_dead(self, id: str, read: Read) -> bool:
        """Whether the deleted record still lies in the table, and as this version has it."""
        control = self._engine.control
        with translated(f"looking for what is left of record {id!r}", control.place, id=id):
            rows = control.packed.revisions(id)
        document = read() if rows else None
        return document is not None and rows == {document.revision}

    def _write(self, change: Change) -> Document:
        outcome = self._engine.apply_many([change])[0]
        if isinstance(outcome, DataknobsDataError):
            raise outcome
        assert outcome is not None, "only an update can find nothing"
        return outcome


def _nothing_left(id: str, *, lay_in_a_pack: bool) -> RecordNotFoundError:
    if lay_in_a_pack:
        why = (
            "no version of an object of it is left, only that it was deleted. If it lay in a pack, the table of that time does "
            "not have it any more, or only as it was before it was changed for the last time, or the database has been cleared since; at(timestamp=…) shows what can be seen of earlier times"
        )
    else:
        why = "the bucket has no version of it; versions are kept from enable_versioning() on, until a lifecycle rule removes them"
    return RecordNotFoundError(f"record {id!r} cannot be brought back: {why}", id=id)


def _older(id: str, newest: ListedVersion, why: str) -> RecordNotFoundError:
    return RecordNotFoundError(
        f"record {id!r} cannot be brought back as it was: {why}; history(id) lists what there is, and "
        f"revert(id, {newest.version_id!r}) brings the newest of that back",
        id=id,
        version_id=newest.version_id,
    )
