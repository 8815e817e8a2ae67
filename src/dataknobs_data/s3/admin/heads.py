"""What the headers of a record's object say that its document does not."""

from __future__ import annotations

from typing import Any

from dataknobs_data.documents import check_id
from dataknobs_data.s3.admin.control import Control
from dataknobs_data.s3.missing import check_bucket, says_missing
from dataknobs_data.s3.store import Fault


def headers_of_record(control: Control, id: str, doing: str) -> dict[str, Any] | None:
    """HeadObject's answer in boto3's form; None where there is no such record."""
    key = control.keys.record(check_id(id))
    try:
        return control.attempt("HeadObject", Key=key)
    except Fault as fault:
        if not says_missing(control.caller, key, fault):
            raise control.error("HeadObject", doing, fault) from fault
    try:
        check_bucket(control.caller)
    except Fault as second:
        raise control.error("HeadBucket", doing, second) from second
    return None
