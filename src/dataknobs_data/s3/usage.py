"""What was really sent: requests by kind and bytes, and what they cost by a dated price table."""

from __future__ import annotations

import functools
import threading
import tomllib
from collections import Counter
from dataclasses import dataclass, field
from importlib.resources import files


@dataclass(frozen=True)
class Prices:
    """Dollars per request, by S3 operation. `dated` and `source` say where they come from."""

    region: str
    dated: str
    source: str
    per_request: dict[str, float] = field(default_factory=dict)

    def dollars(self, requests: dict[str, int]) -> float:
        """The price of these requests. Operations that the table does not name are free (deletes, aborts)."""
        return sum(self.per_request.get(operation, 0.0) * count for operation, count in requests.items())


@functools.cache
def default_prices() -> Prices:
    """The price table that comes with this package."""
    table = tomllib.loads((files("dataknobs_data.s3") / "prices.toml").read_text())
    per_request = {
        op: tier["dollars_per_1000"] / 1000 for tier in table["requests"].values() for op in tier["operations"]
    }
    return Prices(table["region"], table["dated"], table["source"], per_request)


@dataclass(frozen=True)
class Usage:
    """Requests sent so far (retries included), by S3 operation, and document bytes up and down."""

    requests: dict[str, int]
    bytes_sent: int
    bytes_received: int

    @property
    def total(self) -> int:
        """All requests."""
        return sum(self.requests.values())

    @property
    def dollars(self) -> float:
        """What the requests cost at the price table's prices; storage and transfer are not in it."""
        return default_prices().dollars(self.requests)

    def since(self, earlier: Usage) -> Usage:
        """What was sent after `earlier`."""
        requests = Counter(self.requests)
        requests.subtract(earlier.requests)
        return Usage(
            {operation: count for operation, count in requests.items() if count},
            self.bytes_sent - earlier.bytes_sent,
            self.bytes_received - earlier.bytes_received,
        )


class Meter:
    """Counts requests, from any thread."""

    def __init__(self) -> None:
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
            return Usage(dict(self._requests), self._sent, self._received)
