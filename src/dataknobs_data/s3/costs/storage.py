"""What keeping objects in a storage class costs, and what it costs to move them there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from dataknobs_data.s3.costs.estimate import Amount, Estimate, counted, money, size, span
from dataknobs_data.s3.costs.prices import GB, RESTORED_FROM, ClassPrices, Prices

LIFECYCLE_BYTES_MIN = 128 * 1024
"""Smaller objects stay where they are unless a rule's filter names a size:
https://docs.aws.amazon.com/AmazonS3/latest/userguide/lifecycle-transition-general-considerations.html"""

_WATERFALL = (
    "STANDARD", "REDUCED_REDUNDANCY", "STANDARD_IA", "INTELLIGENT_TIERING", "ONEZONE_IA", "GLACIER_IR", "GLACIER", "DEEP_ARCHIVE",
)  # fmt: skip
"""Lifecycle rules move objects from any of these to a later one only (same page)."""


@dataclass(frozen=True)
class StorageEstimate(Estimate):
    """What keeping records in another class costs a month; `dollars` is what it costs once to move them there.

    moved                 objects that are not in that class now
    months_until_it_pays  when what is saved has paid for the move; 0 where nothing has to be moved, None: never
    """

    moved: int = 0
    dollars_per_month_now: float = 0.0
    dollars_per_month_then: float = 0.0
    months_until_it_pays: float | None = None

    def lines(self) -> Iterable[str]:
        """For people."""
        yield from super().lines()
        now, then = self.dollars_per_month_now, self.dollars_per_month_then
        factor = f" ({_times(then / now)} times as much)" if now and then != now else ""
        yield f"a month: {money(now)} now, {money(then)} then{factor}"
        if not self.moved:
            yield "all of them are there already"
        elif self.months_until_it_pays is None:
            yield "moving them never pays"
        else:
            yield f"moving them pays after {self.months_until_it_pays:,.1f} months"


class Keeping:
    """Adds up what objects cost a month where they are, and would cost in another class."""

    def __init__(self, prices: Prices, storage_class: str) -> None:
        self._prices = prices
        self._then = prices.storage_class(storage_class)
        self._all, self._ruled, self._copied = Amount(), Amount(), Amount()
        self._small = self._archived = 0
        self._unknown: set[str] = set()
        self._per_month_now = self._per_month_then = self._once = 0.0

    def add(self, storage_class: str, size_bytes: int) -> None:
        """One object that is there now."""
        self._all.add(size_bytes)
        self._per_month_now += self._prices.month(storage_class, size_bytes)
        self._per_month_then += self._prices.month(self._then.name, size_bytes)
        if storage_class not in self._prices.classes:
            self._unknown.add(storage_class)
        if storage_class != self._then.name:
            self._move(storage_class, size_bytes)

    def _move(self, storage_class: str, size_bytes: int) -> None:
        if self._then.transition is not None and _is_before(storage_class, self._then.name):
            self._ruled.add(size_bytes)
            self._small += size_bytes < LIFECYCLE_BYTES_MIN
            self._once += self._then.transition / 1000
            return
        self._copied.add(size_bytes)
        self._archived += storage_class in RESTORED_FROM
        source = self._prices.classes.get(storage_class)
        self._once += self._then.write / 1000 + (source.retrieval if source else 0.0) * size_bytes / GB

    def estimate(self, listed: int, looked: int = 0, notes: Iterable[str] = ()) -> StorageEstimate:
        """The result. `listed`, `looked`: LIST and HEAD requests that it took to find out. `notes`: more of them."""
        moved = self._ruled.objects + self._copied.objects
        saved = self._per_month_now - self._per_month_then
        return StorageEstimate(
            what=f"keeping records in {self._then.name}",
            requests={
                "ListObjectsV2": listed,
                "HeadObject": looked,
                "LifecycleTransition": self._ruled.objects,
                "CopyObject": self._copied.objects,
            },
            objects=self._all.objects,
            bytes=self._all.bytes,
            dollars=self._once,
            prices=str(self._prices),
            notes=(*notes, *_class_notes(self._prices, self._then), *self._notes()),
            moved=moved,
            dollars_per_month_now=self._per_month_now,
            dollars_per_month_then=self._per_month_then,
            months_until_it_pays=(self._once / saved if saved > 0 else None) if moved else 0.0,
        )

    def _notes(self) -> Iterable[str]:
        packed = self._prices.month(self._then.name, self._all.bytes)
        if self._all.objects > 1 and self._per_month_then >= 2 * packed > 0:
            yield (
                f"in one object the same bytes would cost {money(packed)} a month there; as {self._all.objects:,} they cost "
                f"{self._per_month_then / packed:,.0f} times as much"
            )
        if self._small:
            yield (
                f"{counted(self._small, 'object')} below {size(LIFECYCLE_BYTES_MIN)}: lifecycle rules leave these where they "
                "are, unless the rule's filter names a size"
            )
        if self._copied.objects:
            archived = ", and archived ones restored before" if self._archived else ""
            yield (
                f"no lifecycle rule moves {counted(self._copied.objects, 'object')} to {self._then.name}: each has to be "
                f"written again{archived}"
            )
        for name in sorted(self._unknown):
            yield f"the price table has no class {name}; it is reckoned as STANDARD"


def _times(factor: float) -> str:
    return f"{factor:,.0f}" if factor >= 10 else f"{factor:.2g}"


def _is_before(one: str, other: str) -> bool:
    return one in _WATERFALL and other in _WATERFALL and _WATERFALL.index(one) < _WATERFALL.index(other)


def _class_notes(prices: Prices, then: ClassPrices) -> Iterable[str]:
    if then.overhead_bytes:
        yield (
            f"each object is paid for as {size(then.overhead_bytes)} more there, and {size(then.overhead_standard_bytes)} "
            "more at the price of STANDARD"
        )
    if then.minimum_bytes:
        yield f"an object below {size(then.minimum_bytes)} is paid for as {size(then.minimum_bytes)} there"
    if then.minimum_days:
        yield (
            f"an object is paid for {then.minimum_days} days at least, also when it is deleted or replaced earlier: "
            "every update of a record replaces its object"
        )
    if then.retrieval:
        yield f"reading costs {money(then.retrieval)} per GB"
    if tiers := prices.archives.get(then.name):
        ways = "; ".join(f"{name}: {span(tier.shortest, tier.longest)}" for name, tier in tiers.items())
        yield f"records have to be restored before they can be read ({ways})"
    if then.monitoring_per_1000:
        yield (
            f"S3 moves objects from {size(then.monitored_from_bytes)} on to cheaper tiers when nobody reads them; that is not "
            f"in the price of a month, its watching is ({money(then.monitoring_per_1000)} for 1,000 objects)"
        )
