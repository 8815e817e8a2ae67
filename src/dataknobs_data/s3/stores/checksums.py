"""Checksums of what is written, for stores that take no write without one.

Where a bucket locks what is written (object lock with a default retention), S3 takes no PUT without a checksum of its body:
https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html, Content-MD5. On AWS there always is one: SHA-256, which
obstore needs for the signature anyway, and boto3's CRC32. Elsewhere some stores refuse the newer ones, so a checksum is sent
from the moment on at which the store asks for one: SHA-256 by obstore, and where it asks again (moto 5.2), and by boto3, MD5.
"""

from __future__ import annotations

import base64
import hashlib
from enum import IntEnum
from typing import Any

from botocore.awsrequest import AWSRequest

from dataknobs_data.s3.store import Fault


class Checksum(IntEnum):
    """What goes with writes that are not on AWS; each store asks for as much as it needs."""

    NONE = 0
    SHA256 = 1
    MD5 = 2


def asks_for_checksum(fault: Fault) -> bool:
    """Whether a write was refused because it came without a checksum: "Content-MD5 OR x-amz-checksum- HTTP header is
    required for Put Object requests with Object Lock parameters".
    """
    text = str(fault).lower()
    return fault.status == 400 and "required" in text and ("content-md5" in text or "x-amz-checksum" in text)


def add_content_md5(request: AWSRequest, **_: Any) -> None:
    """A handler of botocore's "before-sign" events."""
    body: Any = request.body  # the stubs say str; it is bytes or a file
    content = body
    if not isinstance(body, bytes):
        content = body.read()
        body.seek(0)
    digest = hashlib.md5(content, usedforsecurity=False).digest()
    request.headers["Content-MD5"] = base64.b64encode(digest).decode()
