"""From how a request failed to what the user is told. The one place where store faults become public errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from dataknobs_data.exceptions import (
    ConfigurationError,
    DatabaseConnectionError,
    DatabaseOperationError,
    DataknobsDataError,
    IncompatibleStoreError,
    RecordArchivedError,
    RecordNotFoundError,
    RecordValidationError,
    ThrottledError,
)
from dataknobs_data.s3.store import Fault, Kind

_ADVICE = {
    Kind.DENIED: "grant this identity the request in the bucket policy or IAM (ListBucket on the bucket; GetObject, PutObject, "
    "DeleteObject and their Tagging forms on the prefix)",
    Kind.CREDENTIALS: "check access_key_id and secret_access_key, the AWS_ variables, the profile, and that a session token is still valid",
    Kind.REGION: "set region to the bucket's (aws s3api get-bucket-location --bucket NAME says which), or endpoint_url to where "
    "this address redirects",
    Kind.UNREACHABLE: "check endpoint_url, region and network",
    Kind.NETWORK: "check the network; nothing was retried further, the deadline was near",
    Kind.NO_BUCKET: "create it (aws s3 mb s3://NAME), correct the name, or set create_bucket: true",
    Kind.THROTTLED: "wait and try again, or lower max_workers",
    Kind.UNSUPPORTED: "use a store that implements it",
}

RESTORE_ADVICE = (
    "restore it first (db.restore(error) with this error, db.restore(id), or dataknobs-data restore) and read again when that is done: GLACIER takes minutes "
    "(expedited), 3 to 5 hours (standard) or 5 to 12 (bulk); DEEP_ARCHIVE within 12 (standard) or 48 hours (bulk)"
)
"""https://docs.aws.amazon.com/AmazonS3/latest/userguide/restoring-objects-retrieval-options.html"""


def public_error(
    fault: Fault, doing: str, place: object, *, needs: str | None = None, **context: object
) -> DataknobsDataError:
    """The error for a user whose operation (`doing`, such as "reading record 'x'") met `fault` at `place`.

    `needs`: the permission that the request takes, where it is not one of those for records.
    """
    kind = fault.kind
    message = f"{doing} in {place}: {fault}"
    context = {**context, "status": fault.status, "code": fault.code}
    if fault.code == "KeyTooLongError":
        return RecordValidationError(
            f"{doing}: this store cannot hold so long an id; nothing was written ({fault})", **context
        )
    if kind is Kind.ARCHIVED:
        what = f"its pack {fault.pack}" if fault.pack else "it"
        context |= {"pack": fault.pack} if fault.pack else {}
        return RecordArchivedError(f"{doing}: {what} lies in an archive storage class; {RESTORE_ADVICE}", **context)
    if fault.code == "InvalidBucketName":
        return ConfigurationError(f"s3 backend: {message}", key="bucket")
    advice = f"; {_ADVICE[kind]}" if kind in _ADVICE else ""
    if needs and kind is Kind.DENIED:
        context, advice = {**context, "permission": needs}, f"; grant this identity {needs}"
    error = {
        Kind.NO_BUCKET: DatabaseConnectionError,
        Kind.CREDENTIALS: DatabaseConnectionError,
        Kind.REGION: ConfigurationError,
        Kind.DENIED: DatabaseConnectionError,
        Kind.UNREACHABLE: DatabaseConnectionError,
        Kind.NETWORK: DatabaseConnectionError,
        Kind.THROTTLED: ThrottledError,
        Kind.UNSUPPORTED: IncompatibleStoreError,
        Kind.MISSING: RecordNotFoundError,
    }.get(kind, DatabaseOperationError)
    return error(message + advice, **context)


@contextmanager
def translated(doing: str, place: object, *, needs: str | None = None, **context: object) -> Iterator[None]:
    """Turns a Fault that leaves the block into the public error."""
    try:
        yield
    except Fault as fault:
        raise public_error(fault, doing, place, needs=needs, **context) from fault
