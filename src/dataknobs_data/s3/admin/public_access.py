"""The lock on public access to the bucket."""

from __future__ import annotations

from dataknobs_data.s3.admin.control import Control


class PublicAccess:
    """The lock on public access to the bucket."""

    def __init__(self, control: Control) -> None:
        self._control = control
