"""What something will cost and take, before it is done."""

from __future__ import annotations

from dataknobs_data.s3.admin.control import Control


class Explain:
    """What something will cost and take, before it is done."""

    def __init__(self, control: Control) -> None:
        self._control = control
