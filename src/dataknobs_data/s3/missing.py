"""What a failed look at an object means: that it is not there, that its bucket is not, or neither."""

from __future__ import annotations

from dataknobs_data.s3.calls import Caller, Deadline
from dataknobs_data.s3.store import Fault, Kind


def says_missing(caller: Caller, key: str, fault: Fault, deadline: Deadline | None = None) -> bool:
    """Whether a failed GET or HEAD means that there is no such object. Whom S3 does not let list the whole bucket, it answers
    403 for that too (API_GetObject, "Permissions"); a listing of this key alone tells, where it is allowed.
    """
    if fault.kind is not Kind.DENIED:
        return fault.kind is Kind.MISSING
    try:
        page = caller.send("ListObjectsV2", lambda store: store.list_page(key), deadline)
    except Fault:
        return False
    return page.token is None and all(item.key != key for item in page.items)


def check_bucket(caller: Caller, deadline: Deadline | None = None) -> None:
    """Raises Fault when the bucket is gone: an answer to HEAD has no body to tell that from a missing object."""
    try:
        caller.send("HeadBucket", lambda store: store.head_bucket(), deadline)
    except Fault as fault:
        if fault.kind is not Kind.DENIED:  # a policy may allow the objects but not the bucket
            raise
