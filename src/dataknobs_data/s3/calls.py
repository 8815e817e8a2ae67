"""How a request is sent: at most so many at once, again when it failed in passing, never beyond its deadline, and counted.

Deadlines. An operation on one record has `deadline` seconds; one request with its retries at most `timeout`; no request
starts later than `deadline - timeout`, so everything an operation does to the store happens within its deadline.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from dataknobs_data.runtime import Runtime
from dataknobs_data.s3.costs.usage import Meter
from dataknobs_data.s3.metered import metered
from dataknobs_data.s3.settings import S3Settings
from dataknobs_data.s3.store import AMBIGUOUS, RETRYABLE, Fault, Kind, ObjectStore

T = TypeVar("T")

BACKOFF_SECONDS_FIRST = 0.05
BACKOFF_SECONDS_MAX = 5.0


@dataclass(frozen=True, slots=True)
class Deadline:
    """When an operation began, and when its last request may start, on the monotonic clock.

    `last_look`: when the look at what came of a write whose answer was lost may still start.
    """

    began: float
    last_start: float
    last_look: float

    def for_a_look(self) -> Deadline:
        """The deadline of that look, so that its answer too comes before the operation's end."""
        return Deadline(self.began, self.last_look, self.last_look)


class Caller:
    """Sends requests to one store for all threads of a database."""

    def __init__(self, store: ObjectStore, settings: S3Settings, runtime: Runtime) -> None:
        self.meter = Meter(settings.storage_class or "STANDARD")
        self._store = metered(store, self.meter)
        self._settings = settings
        self._runtime = runtime
        self._in_flight = threading.BoundedSemaphore(settings.max_workers)
        self._not_before = 0.0

    def deadline(self) -> Deadline:
        """For an operation that begins now."""
        began = self._runtime.monotonic()
        end = began + self._settings.deadline
        return Deadline(began, end - self._settings.timeout, end - self._settings.timeout / 2)

    def seconds_since(self, deadline: Deadline) -> float:
        """How long ago its operation began."""
        return self._runtime.monotonic() - deadline.began

    def send(
        self,
        operation: str,
        request: Callable[[ObjectStore], T],
        deadline: Deadline | None = None,
        *,
        idempotent: bool = True,
    ) -> T:
        """Sends `request` (one HTTP request; `operation` is its S3 name), with retries.

        What is not `idempotent` is not sent again once an attempt may have been applied. Raises the last Fault; its
        `answer_lost` says that an attempt may have been applied without our knowing.
        """
        clock = self._runtime.monotonic
        last_start = (deadline or self.deadline()).last_start
        last_retry: float | None = None
        answer_lost = False
        for attempt in range(self._settings.max_retries + 1):
            waited = self._wait_for_calm(last_start if last_retry is None else last_retry)
            try:
                self._take_turn(operation, last_start, waited)
                if last_retry is None:  # waiting for a turn takes nothing from the request's own time
                    last_retry = min(clock() + self._settings.timeout / 2, last_start)
                return self._attempt(operation, request)
            except Fault as fault:
                answer_lost = answer_lost or fault.kind in AMBIGUOUS
                fault.answer_lost = answer_lost
                if last_retry is None:
                    raise
                pause = self._backoff_seconds(attempt)
                if fault.kind is Kind.THROTTLED:
                    self._not_before = max(self._not_before, clock() + pause)
                out_of_time = clock() + pause > last_retry
                hopeless = fault.kind not in RETRYABLE or (answer_lost and not idempotent)
                if hopeless or out_of_time or attempt == self._settings.max_retries:
                    raise
                self._runtime.sleep(pause)
        raise AssertionError("the last attempt returns or raises")

    def _take_turn(self, operation: str, last_start: float, waited: bool) -> None:
        """Takes one of the places in flight. `waited`: for calm, which is then why it is too late."""
        left = last_start - self._runtime.monotonic()
        too_late = left < 0 or self._not_before > last_start
        if too_late or not self._in_flight.acquire(timeout=min(left, threading.TIMEOUT_MAX)):
            raise Fault(Kind.THROTTLED if waited else Kind.LATE, f"{operation} was not sent")

    def _attempt(self, operation: str, request: Callable[[ObjectStore], T]) -> T:
        try:
            self.meter.sent(operation)
            return request(self._store)
        finally:
            self._in_flight.release()

    def offline(self, call: Callable[[ObjectStore], T]) -> T:
        """What the store can tell without a request: nothing waits, and nothing is counted."""
        return call(self._store)

    def pause(self, attempt: int) -> None:
        """Waits before something is tried again that somebody else got in the way of."""
        self._runtime.sleep(self._backoff_seconds(attempt))

    def _backoff_seconds(self, attempt: int) -> float:
        """Exponential backoff with full jitter: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/."""
        most = min(BACKOFF_SECONDS_MAX, BACKOFF_SECONDS_FIRST * 2.0**attempt)
        return most * self._runtime.random()

    def _wait_for_calm(self, latest: float) -> bool:
        """A "slow down" to one thread slows all of them down. Whether there was something to wait for."""
        wait = min(self._not_before, latest) - self._runtime.monotonic()
        if wait > 0:
            self._runtime.sleep(wait)
        return wait > 0

    def close(self) -> None:
        """Closes the store's connections."""
        self._store.close()
