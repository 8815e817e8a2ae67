"""Tags of the bucket, by which AWS splits the bill."""

from __future__ import annotations

from dataknobs_data.s3.admin.control import Control


class CostTags:
    """Tags of the bucket, by which AWS splits the bill."""

    def __init__(self, control: Control) -> None:
        self._control = control
