"""What an operation will send, move, cost and take, as far as that can be known before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal


@dataclass(frozen=True)
class Estimate:
    """What something will cost and take.

    what               the operation, in words
    requests           that it sends, by S3 operation (retries not included)
    objects, bytes     that it is about
    dollars            that it costs once, by `prices`
    shortest, longest  how long it takes, where that is known
    notes              what one should know before
    """

    what: str
    requests: Mapping[str, int]
    objects: int
    bytes: int
    dollars: float
    prices: str
    shortest: timedelta | None = None
    longest: timedelta | None = None
    notes: Sequence[str] = ()

    @property
    def time(self) -> str | None:
        """How long it takes, in words."""
        return None if self.shortest is None or self.longest is None else span(self.shortest, self.longest)

    def lines(self) -> Iterable[str]:
        """For people."""
        yield f"{self.what}: {counted(self.objects, 'object')}, {size(self.bytes)}"
        sent = [f"{number:,} {operation}" for operation, number in self.requests.items() if number]
        yield f"requests: {', '.join(sent) or 'none'}"
        yield f"cost: {money(self.dollars)} ({self.prices})"
        if self.time:
            yield f"time: {self.time}"

    def __str__(self) -> str:
        return "\n".join([*self.lines(), *(f"note: {note}" for note in self.notes)])


@dataclass
class Amount:
    """So many objects with so many bytes."""

    objects: int = 0
    bytes: int = 0

    def add(self, size_bytes: int) -> None:
        """One object more."""
        self.objects += 1
        self.bytes += size_bytes


# ---------------------------------------------------------------------------------------------- words
def counted(number: int, noun: str) -> str:
    """`1 record`, `2,000 records`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def money(dollars: float) -> str:
    """`$1,234.50`; of small sums the two digits that say something."""
    if dollars >= 1:
        return f"${dollars:,.2f}"
    if not dollars:
        return "$0"
    return f"${Decimal(f'{dollars:.2g}'):f}" if dollars >= 1e-6 else "less than $0.000001"


def size(number: int) -> str:
    """Bytes in units of 1,024."""
    amount, units = float(number), ["bytes", "KB", "MB", "GB", "TB"]
    while amount >= 1024 and len(units) > 1:
        amount, units = amount / 1024, units[1:]
    return f"{amount:,.1f}".removesuffix(".0") + f" {units[0]}"


def span(shortest: timedelta, longest: timedelta) -> str:
    """`1 to 5 minutes`, `3 to 5 hours`, `up to 48 hours`."""
    unit, name = (timedelta(hours=1), "hours") if longest >= timedelta(hours=1) else (timedelta(minutes=1), "minutes")
    return f"{shortest / unit:g} to {longest / unit:g} {name}" if shortest else f"up to {longest / unit:g} {name}"
