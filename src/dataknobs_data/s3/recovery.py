"""Bringing older versions of a record back: what was read from the history is written again, on the usual conditions."""

from __future__ import annotations

from dataknobs_data.documents import Change, Document, Verb, check_id, to_record
from dataknobs_data.exceptions import DataknobsDataError, DuplicateRecordError, RecordNotFoundError
from dataknobs_data.records import Record
from dataknobs_data.s3.admin.versions import History
from dataknobs_data.s3.engine import S3Engine


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
        newest, deletions = History(self._engine.control).newest(id)
        if newest is None:
            raise RecordNotFoundError(
                f"record {id!r} cannot be brought back: the bucket has no version of it; "
                "versions are kept from enable_versioning() on, until a lifecycle rule removes them",
                id=id,
            )
        if newest.is_latest:
            return False
        if any(deletion.version_id == "null" for deletion in deletions):
            raise RecordNotFoundError(
                f"record {id!r} cannot be brought back as it was: it was deleted while versioning was suspended, and what was "
                "written meanwhile may have gone with it; history(id) lists what there is, and "
                f"revert(id, {newest.version_id!r}) brings the newest of that back",
                id=id,
                version_id=newest.version_id,
            )
        if dry_run:
            return True
        found = self._engine.get_at_version(id, newest.version_id)
        if found is None:
            raise RecordNotFoundError(
                f"record {id!r} cannot be brought back: its version {newest.version_id!r} has just been removed",
                id=id,
                version_id=newest.version_id,
            )
        try:
            self._write(Change(Verb.CREATE, id, to_record(found)))
        except DuplicateRecordError:
            return False
        return True

    def _write(self, change: Change) -> Document:
        outcome = self._engine.apply_many([change])[0]
        if isinstance(outcome, DataknobsDataError):
            raise outcome
        assert outcome is not None, "only an update can find nothing"
        return outcome
