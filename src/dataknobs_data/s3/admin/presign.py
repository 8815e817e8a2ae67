"""Addresses at which somebody without credentials may read one record for a while."""

from __future__ import annotations

from dataknobs_data.s3.admin.control import Control


def presigned(control: Control, id: str, seconds: int, version_id: str | None) -> str:
    """See S3Database.presign."""
    raise NotImplementedError
