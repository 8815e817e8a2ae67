"""What the bucket does to objects that come without a wish for encryption."""

from __future__ import annotations

from dataknobs_data.s3.admin.control import Control


class BucketEncryption:
    """What the bucket does to objects that come without a wish for encryption."""

    def __init__(self, control: Control) -> None:
        self._control = control
