"""Reads of what others clean up: where the files of a snapshot are gone before anything was handed out, a new look knows others."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from dataknobs_data.exceptions import SnapshotExpiredError

T = TypeVar("T")

LOOKS_MAX = 3
"""Times that a read is begun. Each cleaning leaves what the next look needs."""


def again(find: Callable[[], T]) -> T:
    """What is found, having looked again where the snapshot expired meanwhile. Raises SnapshotExpiredError when it always does."""
    for _ in range(LOOKS_MAX - 1):
        try:
            return find()
        except SnapshotExpiredError:
            continue
    return find()
