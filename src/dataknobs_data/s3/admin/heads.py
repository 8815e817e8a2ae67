"""What the headers of a record's object say that its document does not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dataknobs_data.documents import check_id
from dataknobs_data.s3.admin.control import Control
from dataknobs_data.s3.faults import translated
from dataknobs_data.s3.missing import check_bucket, says_missing
from dataknobs_data.s3.store import Fault
from dataknobs_data.s3.tombstones import KILLS


@dataclass(frozen=True)
class Held:
    """HeadObject's answer in boto3's form for what holds a record: its object or, where `pack` is its key, a pack of many."""

    headers: dict[str, Any]
    pack: str | None = None


def headers_of_record(control: Control, id: str, doing: str) -> Held | None:
    """None where there is no such record."""
    key = control.keys.record(check_id(id))
    headers = _headers(control, key, doing)
    if headers is not None and KILLS not in headers.get("Metadata", {}):
        return Held(headers)
    with translated(doing, control.place, id=id):
        if headers is None:
            check_bucket(control.caller)
        lying = control.packed.lying([id]).get(id)
    packed = _headers(control, lying.pack, doing) if lying else None
    return Held(packed, lying.pack) if lying and packed is not None else None


def _headers(control: Control, key: str, doing: str) -> dict[str, Any] | None:
    """None where there is no such object, or perhaps no bucket."""
    try:
        return control.attempt("HeadObject", Key=key)
    except Fault as fault:
        if not says_missing(control.caller, key, fault):
            raise control.error("HeadObject", doing, fault) from fault
    return None
