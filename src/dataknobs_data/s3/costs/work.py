"""What searching, writing and compacting will send, move and cost: estimates with a range where content decides."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from dataknobs_data.s3.costs.estimate import Estimate, counted, money, size
from dataknobs_data.s3.costs.usage import Usage

NOTHING_SENT = Usage({}, 0, 0)


@dataclass(frozen=True)
class WorkEstimate(Estimate):
    """What an operation will send when it is the next that this process carries out.

    requests, dollars                that are to be expected (retries not included)
    least, most                      requests: about as few and as many as may be; both are `requests` where nothing is uncertain
    dollars_least, dollars_most      what those cost
    bytes_sent, bytes_received       of records and control files, as `usage` counts them
    looked                           what was sent to find out
    """

    least: Mapping[str, int] = field(default_factory=dict)
    most: Mapping[str, int] = field(default_factory=dict)
    dollars_least: float = 0.0
    dollars_most: float = 0.0
    bytes_sent: int = 0
    bytes_received: int = 0
    looked: Usage = NOTHING_SENT

    @property
    def is_certain(self) -> bool:
        """Whether the content of records makes no difference."""
        return self.least == self.most

    def lines(self) -> Iterable[str]:
        """For people."""
        yield self.what
        yield from self.about()
        sent = [self._request(operation) for operation in sorted({**self.most, **self.requests})]
        yield f"requests: {', '.join(filter(None, sent)) or 'none'}"
        yield f"bytes: {size(self.bytes_sent)} sent, {size(self.bytes_received)} received"
        least, most = money(self.dollars_least), money(self.dollars_most)
        yield f"cost: {money(self.dollars)}{'' if least == most else f' (from {least} to {most})'} ({self.prices})"
        if self.time:
            yield f"time: {self.time}"
        looked = [f"{count:,} {operation}" for operation, count in sorted(self.looked.requests.items())]
        yield f"looked: {', '.join(looked) or 'at nothing'} ({money(self.looked.dollars)})"

    def about(self) -> Iterable[str]:
        """What it deals with, for people."""
        return ()

    def _request(self, operation: str) -> str:
        number, least, most = (found.get(operation, 0) for found in (self.requests, self.least, self.most))
        if not most:
            return ""
        return f"{number:,} {operation}" + (f" (from {least:,} to {most:,})" if least != most else "")


@dataclass(frozen=True)
class SearchEstimate(WorkEstimate):
    """What a search will send.

    documents                 records with an object of their own that are to be read (`objects`: with packs)
    packs_read, packs_pruned  keys of the packs that may hold what is searched for, and of those that do not, as statistics say
    groups, rows              row groups to be read, and the rows in them
    """

    documents: int = 0
    packs_read: Sequence[str] = ()
    packs_pruned: Sequence[str] = ()
    groups: int = 0
    rows: int = 0

    def about(self) -> Iterable[str]:
        """See WorkEstimate."""
        yield f"objects: {counted(self.documents, 'record')} to read one by one"
        packs = len(self.packs_read) + len(self.packs_pruned)
        yield (
            f"packs: {len(self.packs_read):,} of {packs:,} to read, {len(self.packs_pruned):,} pruned; "
            f"{counted(self.groups, 'row group')} with {counted(self.rows, 'row')}"
        )


@dataclass(frozen=True)
class CreateEstimate(WorkEstimate):
    """What creating records will send. `packs`: how many they will lie in; none: each has an object of its own."""

    records: int = 0
    packs: int = 0

    def about(self) -> Iterable[str]:
        """See WorkEstimate."""
        where = f"in {counted(self.packs, 'pack')}" if self.packs else "with an object each"
        yield f"records: {self.records:,}, {where}"


@dataclass(frozen=True)
class CompactEstimate(WorkEstimate):
    """What a compaction will do and send; the fields are those of CompactReport."""

    folded: int = 0
    buried: int = 0
    dropped: int = 0
    waiting: int = 0
    rewritten: int = 0
    packs_before: int = 0
    packs_after: int = 0
    written_bytes: int = 0
    left: Mapping[str, int] = field(default_factory=dict)

    def about(self) -> Iterable[str]:
        """See WorkEstimate."""
        yield (
            f"objects: {self.folded:,} to pack, {self.buried:,} deleted ones to bury, {self.dropped:,} packed before to delete, "
            f"{self.waiting:,} to be deleted by a later compaction, {sum(self.left.values()):,} stay"
        )
        yield (
            f"packs: {self.packs_before:,} now, {self.packs_after:,} then; {self.rewritten:,} written anew; "
            f"{size(self.written_bytes)} of new packs"
        )
