"""Addresses at which somebody without credentials may read one record for a while."""

from __future__ import annotations

from dataknobs_data.exceptions import ConfigurationError, DatabaseOperationError, RecordNotFoundError
from dataknobs_data.s3.admin.control import Control
from dataknobs_data.s3.admin.heads import headers_of_record
from dataknobs_data.s3.faults import translated

SECONDS_MAX = 7 * 24 * 3600
"""https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html, X-Amz-Expires."""


def presigned(control: Control, id: str, seconds: int, version_id: str | None) -> str:
    """See S3Database.presign."""
    if isinstance(seconds, bool) or not isinstance(seconds, int) or not 1 <= seconds <= SECONDS_MAX:
        raise ConfigurationError(
            f"an address can be good for 1 to {SECONDS_MAX} seconds (7 days), whole ones; {seconds!r} is not among them",
            seconds=seconds,
        )
    if version_id == "":
        raise ConfigurationError("version_id is empty; leave it out for the present version", version_id=version_id)
    if control.packed.exists and version_id is None:
        _check_object(control, id)
    with translated(f"signing an address of record {id!r}", control.place, id=id):
        key = control.keys.record(id)
        return control.caller.offline(lambda store: store.presign(key, seconds, version_id=version_id))


def _check_object(control: Control, id: str) -> None:
    """Raises where the record has no object of its own: at the address there would be nothing, or a tombstone."""
    doing = f"signing an address of record {id!r}"
    held = headers_of_record(control, id, doing)
    if held is None:
        raise RecordNotFoundError(f"{doing}: there is no such record", id=id)
    if held.pack:
        raise DatabaseOperationError(
            f"{doing}: it lies in a pack with others ({held.pack}), and an address of that would show them all. Write it again "
            "with update(): then it has an object of its own until compaction packs it again. Where the bucket keeps versions, an "
            "address of that version, presign(id, version_id=history(id)[0].version_id), works also afterwards",
            id=id,
            pack=held.pack,
        )
