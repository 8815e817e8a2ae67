"""Writes whose answer was lost."""

from __future__ import annotations

from dataknobs_data.exceptions import OutcomeUnknownError
from dataknobs_data.s3.store import Fault


def unknown_outcome(id: str, seen: str, fault: Fault) -> OutcomeUnknownError:
    """The error for a write that may or may not have been applied. `seen`: what is known of the record now."""
    return OutcomeUnknownError(
        f"record {id!r}: a write was sent, but its answer was lost, and whether it was applied cannot be told: {seen} "
        f"({fault}); read the record before writing again",
        id=id,
    )
