"""Server-side encryption by its names: one table for the `encryption` setting and for a bucket's default.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/serv-side-encryption.html
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from dataknobs_data.exceptions import ConfigurationError

SSE_S3, SSE_KMS, DSSE_KMS = "AES256", "aws:kms", "aws:kms:dsse"

NAMES = {
    "SSE-S3": SSE_S3, "AES256": SSE_S3, "SSE-KMS": SSE_KMS, "AWS:KMS": SSE_KMS, "DSSE-KMS": DSSE_KMS,
    "AWS:KMS:DSSE": DSSE_KMS,
}  # fmt: skip
"""What one may write, in any case → x-amz-server-side-encryption, https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html."""

_LIKE_A_NAME = re.compile(r"(?i)(d?sse|aes|aws:|s3:)")
_KEY = re.compile(r"[!-~]{1,2048}")


@dataclass(frozen=True)
class Encryption:
    """Server-side encryption of what is written: the algorithm as S3 calls it, and the KMS key, None for the account's own."""

    algorithm: str
    kms_key: str | None = None

    @classmethod
    def parse(cls, text: str | None) -> Encryption | None:
        """From "SSE-S3", "SSE-KMS" or "DSSE-KMS" (with the account's own key), a KMS key (id, alias or ARN; SSE-KMS), or
        "DSSE-KMS:KEY", "SSE-KMS:KEY". Raises ConfigurationError for what is only nearly one of the names.
        """
        if not text:
            return None
        if text.upper() in NAMES:
            return cls(NAMES[text.upper()])
        name, colon, key = text.partition(":")
        named = bool(colon) and name.upper() in ("SSE-KMS", "DSSE-KMS")
        if not named:
            name, key = "SSE-KMS", text
        if not _KEY.fullmatch(key) or (not named and _LIKE_A_NAME.match(key)):
            raise ConfigurationError(
                f"s3 backend: encryption {text!r} is none of SSE-S3, SSE-KMS, DSSE-KMS, nor the id, alias or ARN of a KMS "
                "key (one whose name looks like these: SSE-KMS:NAME)",
                key="encryption",
            )
        return cls(NAMES[name.upper()], key)

    @property
    def name(self) -> str:
        """As AWS's documentation calls it."""
        return next((name for name, algorithm in NAMES.items() if algorithm == self.algorithm), self.algorithm)

    @property
    def can_have_bucket_key(self) -> bool:
        """Only SSE-KMS: https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingDSSEncryption.html excludes DSSE-KMS."""
        return self.algorithm == SSE_KMS

    def parameters(self) -> dict[str, Any]:
        """As boto3's PutObject wants it; SSE-KMS with a bucket key, which saves a KMS request for each object."""
        return {
            "ServerSideEncryption": self.algorithm,
            **({"SSEKMSKeyId": self.kms_key} if self.kms_key else {}),
            **({"BucketKeyEnabled": True} if self.can_have_bucket_key else {}),
        }
