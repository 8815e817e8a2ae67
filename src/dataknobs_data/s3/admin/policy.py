"""Who may do what in this bucket: no more than this configuration needs."""

from __future__ import annotations

from dataknobs_data.s3.admin.control import Control


class BucketPolicy:
    """Who may do what in this bucket: no more than this configuration needs."""

    def __init__(self, control: Control) -> None:
        self._control = control
