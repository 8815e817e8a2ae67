"""How far a migration has come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dataknobs_data.exceptions import DataknobsDataError

Failure = tuple[str | None, DataknobsDataError]
"""The id of a record that was not migrated (None where it had none), and why."""


@dataclass(frozen=True)
class MigrationProgress:
    """What has come of a migration so far; the last one says what came of it.

    total      records of the source; None where counting them would mean reading them (a query with conditions)
    processed  records read from the source: succeeded + failed + skipped, and before the end those on their way: a target
               that makes all records visible in one step says only then what became of them
    succeeded  records written to the target
    failed     records that could not be transformed or written; `errors` has each with its reason
    skipped    records that the transform left out, or whose id was taken under on_conflict="skip"
    duration   seconds since the start
    stopped    whether on_error ended the migration before its source ended
    """

    total: int | None = None
    processed: int = 0
    succeeded: int = 0
    failed: int = 0
    skipped: int = 0
    errors: Sequence[Failure] = ()
    duration: float = 0.0
    stopped: bool = False

    @property
    def percent(self) -> float | None:
        """Processed records in percent of `total`; None where that is not known."""
        if self.total is None:
            return None
        return min(100.0, 100.0 * self.processed / self.total) if self.total else 100.0
