"""A world in which every look at the clock is a second later than the last, and ids count up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count

from dataknobs_data.runtime import Runtime


def ticking_runtime() -> Runtime:
    """Starts at 2024-05-01T12:00:01Z; ids are id-1, id-2, …; the monotonic clock counts 1.0, 2.0, …"""
    seconds, ids, ticks = count(1), count(1), count(1)
    start = datetime(2024, 5, 1, 12, tzinfo=UTC)
    return Runtime(
        now=lambda: start + timedelta(seconds=next(seconds)),
        monotonic=lambda: float(next(ticks)),
        sleep=lambda seconds: None,
        random=lambda: 0.5,
        new_id=lambda: f"id-{next(ids)}",
    )
