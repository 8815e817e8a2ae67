"""Lifecycle rules: what moves to another storage class, and what is deleted, when."""

from __future__ import annotations

from dataknobs_data.s3.admin.control import Control


class Lifecycle:
    """Lifecycle rules: what moves to another storage class, and what is deleted, when."""

    def __init__(self, control: Control) -> None:
        self._control = control
