"""Uploading one large document in parts, conditionally, without copying it.

Limits: https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html. The condition stands in CompleteMultipartUpload,
which is where the object comes to be; until then nobody sees anything.
"""

from __future__ import annotations

import math

from dataknobs_data.s3.calls import Caller
from dataknobs_data.s3.fanout import FanOut
from dataknobs_data.s3.settings import MIB
from dataknobs_data.s3.store import Condition, Fault, Kind, PutOptions

PARTS_MAX = 10_000
OBJECT_BYTES_MAX = 50 * 1000**4
"""50 TB since December 2025."""


def part_bytes(total_bytes: int, wanted_bytes: int) -> int:
    """The size of the parts of an object: as wanted, or larger where there would be more than 10,000 of them."""
    return max(wanted_bytes, math.ceil(total_bytes / PARTS_MAX / MIB) * MIB)


def upload(
    caller: Caller, parts: FanOut, key: str, body: bytes, options: PutOptions, condition: Condition, wanted_bytes: int
) -> str:
    """Uploads `body` as the object `key` and returns its ETag. On failure the parts are thrown away.

    Each part has its own deadline, and so has the completion: only that one changes what others see.
    """
    upload_id = caller.send("CreateMultipartUpload", lambda store: store.create_upload(key, options))
    size, view = part_bytes(len(body), wanted_bytes), memoryview(body)

    def send(number: int) -> str:
        piece = view[(number - 1) * size : number * size]
        return caller.send("UploadPart", lambda store: store.upload_part(key, upload_id, number, piece))

    try:
        etags = list(parts.map(send, range(1, math.ceil(len(body) / size) + 1)))
        return _complete(caller, key, upload_id, etags, condition)
    except BaseException:
        _abort(caller, key, upload_id)
        raise


def _complete(caller: Caller, key: str, upload_id: str, etags: list[str], condition: Condition) -> str:
    try:
        return caller.send(
            "CompleteMultipartUpload", lambda store: store.complete_upload(key, upload_id, etags, condition)
        )
    except Fault as fault:
        if fault.answer_lost and fault.code == "NoSuchUpload":
            fault.kind = Kind.CONDITION  # an earlier attempt may have completed it: look again
        raise


def _abort(caller: Caller, key: str, upload_id: str) -> None:
    try:
        caller.send("AbortMultipartUpload", lambda store: store.abort_upload(key, upload_id))
    except Fault:
        pass  # the upload's own failure is what the caller must hear; lifecycle rules remove what is left
