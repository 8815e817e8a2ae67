"""From rehearsals to numbers: expected, least, most, and what they cost."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from dataknobs_data.s3.costs.estimate import counted, money, size
from dataknobs_data.s3.costs.prices import GB, Prices
from dataknobs_data.s3.costs.usage import Usage
from dataknobs_data.s3.costs.work import SearchEstimate
from dataknobs_data.s3.rehearsal.engine import Rehearsed

TRANSFER = (
    "what leaves AWS's network, or its region, is paid for besides: "
    'https://aws.amazon.com/s3/pricing/, "Data transfer"'
)


class Tally:
    """The numbers of one estimate. The last of the rehearsals is what is to be expected, the others are as far from it as may
    be."""

    def __init__(self, prices: Prices, rehearsals: Sequence[Rehearsed[Any]]) -> None:
        self._prices = prices
        self._all = rehearsals
        self._likely = rehearsals[-1]

    def of_reads(
        self, what: str, packs: Collection[str], read: Collection[str], notes: Iterable[str], looked: Usage
    ) -> SearchEstimate:
        """The whole estimate of what reads records. `packs`: the keys of all; `read`: of those that it may read."""
        script = self._likely.script
        return SearchEstimate(
            what=what,
            objects=script.documents.objects + len(script.packs),
            **self.fields(looked),
            notes=(*notes, *self.notes()),
            documents=script.documents.objects,
            packs_read=tuple(sorted(read)),
            packs_pruned=tuple(sorted(set(packs).difference(read))),
            groups=len(script.groups),
            rows=sum(script.groups.values()),
        )

    def fields(self, looked: Usage) -> dict[str, Any]:
        """Those of a WorkEstimate."""
        usage, dollars = self._likely.usage, [self.dollars(one) for one in self._all]
        operations = sorted({name for one in self._all for name in one.usage.requests})

        def each(pick: Any) -> dict[str, int]:
            found = {name: pick(one.usage.requests.get(name, 0) for one in self._all) for name in operations}
            return {name: number for name, number in found.items() if number}

        return {
            "requests": dict(usage.requests),
            "bytes": usage.bytes_sent + usage.bytes_received,
            "dollars": dollars[-1],
            "prices": str(self._prices),
            "least": each(min),
            "most": each(max),
            "dollars_least": min(dollars),
            "dollars_most": max(dollars),
            "bytes_sent": usage.bytes_sent,
            "bytes_received": usage.bytes_received,
            "looked": looked,
        }

    def dollars(self, one: Rehearsed[Any]) -> float:
        """Requests by the classes of the objects that they read, and retrieval per GB."""
        usage = one.usage
        of_class = {name: amount for name, amount in one.script.reads.items() if amount.objects}
        gets = sum(amount.objects for amount in of_class.values())
        rest = {**usage.requests, "GetObject": max(usage.requests.get("GetObject", 0) - gets, 0)}
        total = self._prices.dollars(rest, usage.storage_class)
        for name, amount in of_class.items():
            total += self._prices.dollars({"GetObject": amount.objects}, name) + self._retrieval(name, amount.bytes)
        return total

    def _retrieval(self, storage_class: str, number: int) -> float:
        found = self._prices.classes.get(storage_class)
        return found.retrieval * number / GB if found else 0.0

    def notes(self) -> Iterable[str]:
        """What one should know of money."""
        for name, amount in sorted(self._likely.script.reads.items()):
            if cost := self._retrieval(name, amount.bytes):
                yield f"reading {size(amount.bytes)} of {counted(amount.objects, 'object')} in {name} costs {money(cost)} of that"
        if self._likely.usage.bytes_received:
            yield TRANSFER
