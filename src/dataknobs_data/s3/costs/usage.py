"""What was really sent: requests by kind and bytes, and what they cost by a dated price table.

before = db.usage; …; spent = db.usage - before
with db.measured() as spent: …                       spent.usage is then what was sent meanwhile, by whatever thread
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from dataknobs_data.s3.costs.estimate import money, size
from dataknobs_data.s3.costs.prices import Prices, default_prices


@dataclass(frozen=True)
class Usage:
    """Requests sent so far (retries included), by S3 operation, and bytes of objects up and down: of records, packs and control
    files, in every attempt, without headers, listings and what else answers consist of.

    storage_class  of what the database writes, by which requests on objects are priced
    """

    requests: dict[str, int]
    bytes_sent: int
    bytes_received: int
    storage_class: str = "STANDARD"

    @property
    def total(self) -> int:
        """All requests."""
        return sum(self.requests.values())

    @property
    def dollars(self) -> float:
        """What the requests cost by the price table (see `cost`)."""
        return self.cost(default_prices())

    def cost(self, prices: Prices) -> float:
        """Dollars for the requests. Not in it: storage, retrieval per GB, what restoring costs beyond a Standard retrieval's
        request (`explain.restore` tells), and data transfer, which costs nothing within a region and depends on where to
        elsewhere: https://aws.amazon.com/s3/pricing/. A record counts as being of the database's class.
        """
        return prices.dollars(self.requests, self.storage_class)

    def __sub__(self, earlier: Usage) -> Usage:
        return self.since(earlier)

    def __str__(self) -> str:
        sent = [f"{count:,} {operation}" for operation, count in sorted(self.requests.items())]
        moved = f"{size(self.bytes_sent)} sent, {size(self.bytes_received)} received"
        return f"{', '.join(sent) or 'no requests'}; {moved}; {money(self.dollars)} ({default_prices()})"

    def since(self, earlier: Usage) -> Usage:
        """What was sent after `earlier`."""
        requests = Counter(self.requests)
        requests.subtract(earlier.requests)
        return Usage(
            {operation: count for operation, count in requests.items() if count},
            self.bytes_sent - earlier.bytes_sent,
            self.bytes_received - earlier.bytes_received,
            self.storage_class,
        )


class Measured:
    """What was sent since it was made, until it is stopped."""

    def __init__(self, now: Callable[[], Usage]) -> None:
        self._now = now
        self._before = now()
        self._after: Usage | None = None

    @property
    def usage(self) -> Usage:
        """So far, or in all where it is over."""
        return (self._after or self._now()) - self._before

    def stop(self) -> None:
        """From now on nothing is counted."""
        self._after = self._now()


class Meter:
    """Counts requests, from any thread. `storage_class`: of what is written."""

    def __init__(self, storage_class: str = "STANDARD") -> None:
        self._storage_class = storage_class
        self._lock = threading.Lock()
        self._requests: Counter[str] = Counter()
        self._sent = 0
        self._received = 0

    def sent(self, operation: str) -> None:
        """One attempt of a request."""
        with self._lock:
            self._requests[operation] += 1

    def moved(self, *, up: int = 0, down: int = 0) -> None:
        """Bytes of objects that went through."""
        with self._lock:
            self._sent += up
            self._received += down

    def usage(self) -> Usage:
        """The counts now."""
        with self._lock:
            return Usage(dict(self._requests), self._sent, self._received, self._storage_class)
