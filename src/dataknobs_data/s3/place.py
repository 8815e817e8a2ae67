"""Which bucket, on which server."""

from __future__ import annotations

import re

_AWS_DOMAINS = (
    "amazonaws.com", "amazonaws.com.cn", "amazonaws.eu", "c2s.ic.gov", "sc2s.sgov.gov", "csp.hci.ic.gov", "cloud.adc-e.uk",
)  # fmt: skip
"""The DNS suffixes of botocore 1.44's partitions."""

_AWS_HOST = re.compile(rf"https?://([^/@]+\.)?({'|'.join(map(re.escape, _AWS_DOMAINS))})(:\d+)?/?$")
_PLAIN_S3_HOST = re.compile(rf"https?://s3(\.[a-z0-9-]+)?\.({'|'.join(map(re.escape, _AWS_DOMAINS))})$")
_HOST_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{1,61})[a-z0-9]")


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
        """The bucket's own address on AWS (virtual-hosted style)."""
        scheme, _, host = self.endpoint.partition("://")
        return f"{scheme}://{self.bucket}.{host}"

    @property
    def virtual_hosted(self) -> bool:
        """Whether requests go to the bucket's own host name: AWS's plain endpoints, and names that a host may have."""
        plain = _PLAIN_S3_HOST.match(self.endpoint) and _HOST_LABEL.fullmatch(self.bucket)
        return self.behaves_like_aws and bool(plain)

    def __str__(self) -> str:
        return f"bucket {self.bucket!r} at {self.endpoint}"
