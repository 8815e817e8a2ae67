"""What a database takes from the world besides its store: time, sleep, chance and fresh ids.

They are passed in, so that a test can own them. Nothing else in the package may ask the clock or roll dice.
"""

from __future__ import annotations

import os
import random
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = [first + second for first in _CROCKFORD for second in _CROCKFORD]
_RANDOM_BITS = 80
_ENDING_BITS = 20
"""Of the last four characters, the only ones in which ids of one millisecond differ as a rule."""


class UlidFactory:
    """Makes ULIDs: 26 characters, 48 bits of milliseconds and 80 random bits, sorted by creation within a process.

    Source of the format: https://github.com/ulid/spec (its "monotonicity" section for equal milliseconds).
    """

    def __init__(self, now: Callable[[], datetime], random_bytes: Callable[[int], bytes] = os.urandom) -> None:
        self._now = now
        self._random_bytes = random_bytes
        self._last = 0
        self._beginning, self._text = -1, ""
        self._lock = threading.Lock()

    def __call__(self) -> str:
        milliseconds = int(self._now().timestamp() * 1000)
        with self._lock:
            if self._last >> _RANDOM_BITS >= milliseconds:
                self._last += 1
            else:
                self._last = (milliseconds << _RANDOM_BITS) | int.from_bytes(self._random_bytes(_RANDOM_BITS // 8))
            value = self._last
            if value >> _ENDING_BITS != self._beginning:
                self._beginning = value >> _ENDING_BITS
                self._text = "".join([_PAIRS[value >> shift & 1023] for shift in range(120, 10, -10)])
            text = self._text
        return f"{text}{_PAIRS[value >> 10 & 1023]}{_PAIRS[value & 1023]}"


def _utc_now() -> datetime:
    return datetime.now(UTC)


_WITH_SLEEP: int | None = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC if sys.platform == "darwin" else None)
"""A monotonic clock that goes on while the machine sleeps, which Python's stands still for on Linux and macOS (not on Windows):
https://man7.org/linux/man-pages/man2/clock_gettime.2.html, clock_gettime(3) of macOS."""


def seconds() -> float:
    """Since some moment, those included in which the machine slept: a deadline is over for others, too, when it awakes."""
    return time.monotonic() if _WITH_SLEEP is None else time.clock_gettime(_WITH_SLEEP)


@dataclass(frozen=True)
class Runtime:
    """The world a database lives in. `now` is aware UTC; `monotonic` and `sleep` are in seconds."""

    now: Callable[[], datetime] = _utc_now
    monotonic: Callable[[], float] = seconds
    sleep: Callable[[float], None] = time.sleep
    random: Callable[[], float] = random.random
    new_id: Callable[[], str] = field(default=UlidFactory(_utc_now))

    def timestamp(self) -> str:
        """The present instant as it is stored: ISO 8601, UTC, microseconds, `Z`."""
        return iso_utc(self.now())


def iso_utc(instant: datetime) -> str:
    """An aware instant as text: ISO 8601, UTC, microseconds, `Z`."""
    return instant.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
