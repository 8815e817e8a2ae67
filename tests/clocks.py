"""The store's clock an hour later than it is, so that a test need not wait until nobody is at work any more."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any
from unittest.mock import patch

from dataknobs_data.s3.tiered import fences


@contextmanager
def later(part: str) -> Iterator[None]:
    """So it is for `compaction` (which says what is old enough) or for `dropping` (which waits until it may delete)."""

    def an_hour_later(*args: Any) -> datetime:
        return fences.store_time(*args) + timedelta(hours=1)

    with patch(f"dataknobs_data.s3.tiered.{part}.store_time", an_hour_later):
        yield
