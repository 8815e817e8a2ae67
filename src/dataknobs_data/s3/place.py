"""Which bucket, on which server."""

from __future__ import annotations

import re

_AWS_HOST = re.compile(r"https?://([^/]+\.)?amazonaws\.com(\.cn)?(:\d+)?/?$")


class Place:
    """A bucket and its server's address, for messages and for knowing AWS."""

    def __init__(self, bucket: str, endpoint: str) -> None:
        self.bucket = bucket
        self.endpoint = endpoint
        self.is_aws = bool(_AWS_HOST.match(endpoint))

    def __str__(self) -> str:
        return f"bucket {self.bucket!r} at {self.endpoint}"
