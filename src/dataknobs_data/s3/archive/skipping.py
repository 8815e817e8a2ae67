"""Reads that go on without what is archived, and say so."""

from __future__ import annotations

import logging
from typing import Literal

from dataknobs_data.engine import ErrorSink
from dataknobs_data.exceptions import ConfigurationError, DataknobsDataError, RecordArchivedError
from dataknobs_data.s3.costs.estimate import counted

Archived = Literal["raise", "skip"]
"""What becomes of a read that meets archived packs or records: RecordArchivedError, or it goes on without them."""

logger = logging.getLogger("dataknobs_data.s3")


def skips(archived: str) -> bool:
    """Whether to skip what is archived. Raises ConfigurationError."""
    if archived not in ("raise", "skip"):
        raise ConfigurationError(f"archived must be 'raise' or 'skip', not {archived!r}")
    return archived == "skip"


class Skipped:
    """Takes the errors of one read. `errors`: of what is archived; those of damage are raised, or go to `on_damage`."""

    def __init__(self, on_damage: ErrorSink | None = None) -> None:
        self.errors: list[RecordArchivedError] = []
        self._on_damage = on_damage

    def __call__(self, error: DataknobsDataError) -> None:
        if isinstance(error, RecordArchivedError):
            self.errors.append(error)
        elif self._on_damage is None:
            raise error
        else:
            self._on_damage(error)

    def forget(self) -> None:
        """The read begins again."""
        self.errors.clear()

    def tell(self, doing: str) -> None:
        """Says in the log what was left out."""
        several = [error for error in self.errors if "id" not in error.context]
        for error in several:
            logger.warning("%s went on without what is archived: %s", doing, error)
        if records := len(self.errors) - len(several):
            logger.warning("%s went on without %s in archives", doing, counted(records, "record"))
