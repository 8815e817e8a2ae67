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

from dataknobs_data.forks import in_child

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = [first + second for first in _CROCKFORD for second in _CROCKFORD]
_RANDOM_BITS = 80
_ENDING_BITS = 10
"""Of the last two characters: of many ids that are made together, each differs from the next in those alone, as a rule."""


class UlidFactory:
    """Makes ULIDs: 26 characters, 48 bits of milliseconds and 80 random bits, sorted by creation within a process.

    Source of the format: https://github.com/ulid/spec (its "monotonicity" section for equal milliseconds).
    """

    def __init__(self, now: Callable[[], datetime], random_bytes: Callable[[int], bytes] = os.urandom) -> None:
        self._now = now
        self._random_bytes = random_bytes
        self._last = 0
        self._beginning = (-1, "")
        self._lock = threading.Lock()
        in_child(self._forked)

    def _forked(self) -> None:
        """The parent goes on counting from the same id within the same millisecond; the child begins anew."""
        self._last = 0
        self._lock = threading.Lock()

    def __call__(self) -> str:
        return self.many(1)[0]

    def many(self, count: int) -> list[str]:
        """That many, of one millisecond, in order."""
        milliseconds = int(self._now().timestamp() * 1000)
        with self._lock:
            if self._last >> _RANDOM_BITS >= milliseconds:
                first = self._last + 1
            else:
                first = (milliseconds << _RANDOM_BITS) | int.from_bytes(self._random_bytes(_RANDOM_BITS // 8))
            self._last = first + count - 1
        ids: list[str] = []
        while (wanted := count - len(ids)) > 0:
            value = first + len(ids)
            ending = value & 1023
            text = self._text(value >> _ENDING_BITS)
            ids += [text + pair for pair in _PAIRS[ending : ending + wanted]]
        return ids

    def _text(self, beginning: int) -> str:
        """All but the last two characters, which are kept, because consecutive ids have the same."""
        known, text = self._beginning
        if known != beginning:
            text = "".join([_PAIRS[beginning >> shift & 1023] for shift in range(110, -1, -10)])
            self._beginning = (beginning, text)
        return text


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

    def new_ids(self, count: int) -> list[str]:
        """That many fresh ids, in order: far cheaper together than one by one."""
        if isinstance(self.new_id, UlidFactory):
            return self.new_id.many(count)
        return [self.new_id() for _ in range(count)]

    def timestamp(self) -> str:
        """The present instant as it is stored: ISO 8601, UTC, microseconds, `Z`."""
        return iso_utc(self.now())


def iso_utc(instant: datetime) -> str:
    """An aware instant as text: ISO 8601, UTC, microseconds, `Z`."""
    return instant.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
