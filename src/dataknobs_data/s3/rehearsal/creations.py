"""What creating records will send."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import cycle, islice, pairwise

from dataknobs_data.batches import BATCH, MakeChanges, change_batch
from dataknobs_data.documents import Verb
from dataknobs_data.exceptions import BatchError, ConfigurationError
from dataknobs_data.record_likes import RecordLike, as_record, id_of
from dataknobs_data.records import Record
from dataknobs_data.s3.costs.estimate import counted
from dataknobs_data.s3.costs.prices import Prices
from dataknobs_data.s3.costs.usage import Usage
from dataknobs_data.s3.costs.work import CreateEstimate
from dataknobs_data.s3.engine import S3Engine
from dataknobs_data.s3.rehearsal.engine import Rehearsal, Rehearsed, rehearsed
from dataknobs_data.s3.rehearsal.script import Script
from dataknobs_data.s3.rehearsal.tally import Tally
from dataknobs_data.streaming import windows

REHEARSED_MAX = 10_000
"""Records that are really made into packs; what more there are is reckoned by these."""


@dataclass(frozen=True)
class Input:
    """What is to be created: `records`, at most REHEARSED_MAX, stand for `count`. `are_copies`: some of them for others."""

    records: Sequence[RecordLike]
    count: int
    are_copies: bool = False

    @classmethod
    def of(cls, records: Iterable[RecordLike], count: int | None) -> Input:
        """All of `records`, or so many like them."""
        remaining = iter(records)
        first = list(islice(remaining, REHEARSED_MAX))
        if count is None:
            return cls(first, len(first) + sum(1 for _ in remaining))
        if count < 0 or (count and not first):
            raise ConfigurationError(f"explain.batch_create needs a sample of records to tell of {count} like them")
        wanted = min(count, REHEARSED_MAX)
        return cls([*first[:wanted], *islice(_copies(first), max(0, wanted - len(first)))], count, wanted > len(first))

    @property
    def factor(self) -> float:
        """How many records each of them stands for."""
        return self.count / max(len(self.records), 1)

    @property
    def is_ordered(self) -> bool:
        """Whether their ids ascend; generated ones do."""
        ids = [id_of(record) for record in self.records]
        return all(one is None for one in ids) or all(
            one is not None and two is not None and one < two for one, two in pairwise(ids)
        )


def _copies(records: Sequence[RecordLike]) -> Iterator[Record]:
    """The same again and again, under other ids."""
    for number, record in enumerate(cycle(records)):
        copy = as_record(record).copy()
        if copy.id is not None:
            copy.id = f"{copy.id}~{number}"
        yield copy


class Creation:
    """One batch_create, rehearsed."""

    def __init__(self, engine: S3Engine, creations: MakeChanges, given: Input) -> None:
        self._engine = engine
        self._creations = creations
        self._given = given

    def estimate(self, prices: Prices) -> CreateEstimate:
        """By these prices."""
        before = self._engine.usage
        done = rehearsed(self._engine, Script, {}, self._act)
        packs, failed = done.result
        if not packs:
            done = _scaled(done, self._given.factor)
        tally = Tally(prices, [done])
        return CreateEstimate(
            what=f"batch_create of {counted(self._given.count, 'record')}",
            objects=packs or self._given.count,
            **tally.fields(self._engine.usage.since(before)),
            notes=(*self._notes(packs, failed), *tally.notes()),
            records=self._given.count,
            packs=packs,
        )

    def _act(self, rehearsal: Rehearsal) -> tuple[int, BatchError | None]:
        """How many packs, and what failed."""
        given = self._given
        rehearsal.script.deferred = given.factor > 1
        batches = windows(given.records, BATCH)
        run = change_batch(rehearsal, Verb.CREATE, batches, self._creations)
        failed = None
        try:
            run.ids()
        except BatchError as error:
            failed = error
        packs = rehearsal.layout.uploads
        if packs is None or not packs.sizes:
            return 0, failed
        if rehearsal.script.deferred:
            packs.settle(given.factor, is_ordered=given.is_ordered)
        return packs.count, failed

    def _notes(self, packs: int, failed: BatchError | None) -> Iterable[str]:
        if failed:
            first = next(iter(failed.failed.values()))[1]
            yield f"{counted(len(failed.failed), 'record')} cannot be created: {first}"
        if len(self._given.records) < self._given.count:
            yield f"bytes are reckoned by the first {len(self._given.records):,} records"
        if self._given.are_copies:
            yield "copies of a sample pack better than records that differ: give more of them to know the bytes"


def _scaled(done: Rehearsed[tuple[int, BatchError | None]], factor: float) -> Rehearsed[tuple[int, BatchError | None]]:
    usage = done.usage
    requests = {operation: round(number * factor) for operation, number in usage.requests.items()}
    scaled = Usage(
        requests, round(usage.bytes_sent * factor), round(usage.bytes_received * factor), usage.storage_class
    )
    return replace(done, usage=scaled)
