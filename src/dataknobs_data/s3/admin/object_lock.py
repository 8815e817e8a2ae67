"""Retention and legal holds: versions that nobody can delete for a time."""

from __future__ import annotations

from dataknobs_data.s3.admin.control import Control


class ObjectLock:
    """Retention and legal holds: versions that nobody can delete for a time."""

    def __init__(self, control: Control) -> None:
        self._control = control
