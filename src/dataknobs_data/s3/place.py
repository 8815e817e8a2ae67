"""Which bucket, on which server."""

from __future__ import annotations

import re

_AWS_HOST = re.compile(r"https?://([^/]+\.)?amazonaws\.com(\.cn)?(:\d+)?/?$")


class Place:
    """A bucket and its server's address, for messages and for knowing AWS. `mocked`: moto stands in for AWS."""

    def __init__(self, bucket: str, endpoint: str, *, mocked: bool = False) -> None:
        self.bucket = bucket
        self.endpoint = endpoint
        self.is_aws = bool(_AWS_HOST.match(endpoint))
        self.mocked = mocked

    @property
    def behaves_like_aws(self) -> bool:
        """Whether nothing about it has to be tried out."""
        return self.is_aws and not self.mocked

    def bucket_url(self) -> str:
        """The bucket's own address on AWS (virtual-hosted style), which has no use for dots in its name."""
        scheme, _, host = self.endpoint.partition("://")
        return f"{scheme}://{self.bucket}.{host}"

    @property
    def virtual_hosted(self) -> bool:
        """Whether requests go to the bucket's own host name."""
        return self.behaves_like_aws and "." not in self.bucket

    def __str__(self) -> str:
        return f"bucket {self.bucket!r} at {self.endpoint}"
