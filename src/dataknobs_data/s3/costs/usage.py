"""What was really sent: requests by kind and bytes, and what they cost by a dated price table."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass

from dataknobs_data.s3.costs.prices import Prices, default_prices


@dataclass(frozen=True)
class Usage:
    """Requests sent so far (retries included), by S3 operation, and document bytes up and down.

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
        """Dollars for the requests. Not in it: storage, transfer, retrieval per GB, and what restoring costs beyond a
        Standard retrieval's request (`explain.restore` tells). A record counts as being of the database's class.
        """
        return prices.dollars(self.requests, self.storage_class)

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
        """Document bytes that went through."""
        with self._lock:
            self._sent += up
            self._received += down

    def usage(self) -> Usage:
        """The counts now."""
        with self._lock:
            return Usage(dict(self._requests), self._sent, self._received, self._storage_class)
