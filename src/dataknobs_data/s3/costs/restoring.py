"""What restoring archived objects costs and takes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from dataknobs_data.s3.costs.estimate import Amount, Estimate, counted, money, size, span
from dataknobs_data.s3.costs.prices import DAYS_OF_A_MONTH, GB, Prices

TIERS = ("Expedited", "Standard", "Bulk")
LARGE_BYTES = 250 * 1024**2
"""https://docs.aws.amazon.com/AmazonS3/latest/userguide/restoring-objects-retrieval-options.html"""


@dataclass(frozen=True)
class Offer:
    """What a restore costs and takes with one of the tiers."""

    tier: str
    dollars: float
    shortest: timedelta
    longest: timedelta

    def __str__(self) -> str:
        return f"{self.tier}: {money(self.dollars)}, {span(self.shortest, self.longest)}"


@dataclass(frozen=True)
class RestoreEstimate(Estimate):
    """What restoring costs and takes. `offers`: the same with each tier that all of the records can be restored with."""

    offers: Sequence[Offer] = ()

    def lines(self) -> Iterable[str]:
        """For people."""
        yield from super().lines()
        if len(self.offers) > 1:
            yield "tiers: " + "; ".join(map(str, self.offers))


@dataclass
class RestoreWork:
    """What a restore has to do, by archive (a storage class, or an archive tier of INTELLIGENT_TIERING).

    looked, listed  HEAD and LIST requests that it took to find out
    packs           of what is restored, packs that a query chose as wholes
    asked           objects to bring back
    extended        restored ones that shall stay longer: of these only the request and the longer stay are paid
    """

    looked: int = 0
    listed: int = 0
    largest: int = 0
    packs: int = 0
    asked: dict[str, Amount] = field(default_factory=dict)
    extended: dict[str, Amount] = field(default_factory=dict)

    def add(self, archive: str, size_bytes: int, *, extends: bool) -> None:
        """One object more."""
        self.largest = max(self.largest, size_bytes)
        (self.extended if extends else self.asked).setdefault(archive, Amount()).add(size_bytes)

    @property
    def amounts(self) -> list[Amount]:
        """All of them."""
        return [*self.asked.values(), *self.extended.values()]


def restore_estimate(prices: Prices, work: RestoreWork, *, days: int, tier: str) -> RestoreEstimate:
    """The cost and time of restoring for `days` with `tier`."""
    looks = {"ListObjectsV2": work.listed, "HeadObject": work.looked}
    offers = [_offer(prices, work, name, days) for name in TIERS]
    possible = [offer for offer in offers if offer is not None]
    chosen = next((offer for offer in possible if offer.tier == tier), None)
    objects = sum(amount.objects for amount in work.amounts)
    return RestoreEstimate(
        what=f"restoring for {counted(days, 'day')} ({tier})",
        requests={**looks, "RestoreObject": objects},
        objects=objects,
        bytes=sum(amount.bytes for amount in work.amounts),
        dollars=prices.dollars(looks) + (chosen.dollars if chosen else 0.0),
        prices=str(prices),
        shortest=chosen.shortest if chosen and work.asked else None,
        longest=chosen.longest if chosen and work.asked else None,
        notes=tuple(_restore_notes(work, tier)),
        offers=tuple(possible if work.asked else ()),
    )


def _offer(prices: Prices, work: RestoreWork, tier: str, days: int) -> Offer | None:
    """None where an archive has no such tier."""
    archives = {where: prices.archives.get(where, {}).get(tier) for where in (*work.asked, *work.extended)}
    dollars, shortest, longest = 0.0, timedelta(0), timedelta(0)
    for group in (work.asked, work.extended):
        for where, amount in group.items():
            terms = archives[where]
            if terms is None:
                return None
            dollars += amount.objects * terms.dollars_per_1000 / 1000
            if where in prices.classes:  # what was in a tier of INTELLIGENT_TIERING moves, and leaves no second copy
                dollars += amount.bytes / GB * prices.classes["STANDARD"].storage * days / DAYS_OF_A_MONTH
            if group is work.asked:
                dollars += amount.bytes / GB * terms.dollars_per_gb
                shortest, longest = max(shortest, terms.shortest), max(longest, terms.longest)
    return Offer(tier, dollars, shortest, longest)


def _restore_notes(work: RestoreWork, tier: str) -> Iterable[str]:
    if tier == "Expedited" and work.asked:
        yield "S3 may refuse Expedited when it has no capacity left, unless capacity was bought; Standard always works"
    if work.asked and work.largest >= LARGE_BYTES:
        yield f"the times are for objects below {size(LARGE_BYTES)}; larger ones take longer"
    if work.packs:
        yield (
            f"{counted(work.packs, 'pack')} with all that they hold: which of their records the query finds, only their content tells"
        )
    if work.extended:
        number = sum(amount.objects for amount in work.extended.values())
        yield f"{counted(number, 'object')} can be read already, and will be for longer"
