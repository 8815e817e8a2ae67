"""Copies of every write in another bucket, in another region if one likes."""

from __future__ import annotations

from dataknobs_data.s3.admin.control import Control


class Replication:
    """Copies of every write in another bucket, in another region if one likes."""

    def __init__(self, control: Control) -> None:
        self._control = control
