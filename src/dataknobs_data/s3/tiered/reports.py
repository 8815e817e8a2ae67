"""What compaction, vacuum and looks at the table tell. Plain values: nothing here needs what the table itself needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

RETENTION = timedelta(days=7)
"""How long packs that are no part of the table any more are kept: Delta's own default,
https://docs.delta.io/latest/delta-utility.html."""


@dataclass(frozen=True)
class CompactProgress:
    """Where a compaction is: what it does, and how many objects of how many it has dealt with."""

    doing: str
    done: int = 0
    total: int = 0


@dataclass(frozen=True)
class CompactReport:
    """What a compaction did.

    version        of the table that it committed; None where there was nothing to commit
    folded         documents that became rows; `buried`: tombstones whose rows are gone
    dropped        objects deleted, because they were folded long enough ago
    waiting        objects folded, to be deleted by a later compaction
    left           how many objects stay, by reason
    packs_before, packs_after   in the table
    rewritten      packs made anew; `written_bytes` of all new packs
    adopted        loads that had died after their commit, and are finished now
    checkpoint     whether the log got one
    seconds        it took
    archived       packs that were to be made anew, but lie in an archive: what stands in front of their rows stays
    indexed        packs that got the companion they lacked
    warnings       loads that died and cannot be finished now; what lifecycle rules of the bucket will do to the database that
                   they must not
    """

    version: int | None
    folded: int
    buried: int
    dropped: int
    waiting: int
    left: Mapping[str, int]
    packs_before: int
    packs_after: int
    rewritten: int
    written_bytes: int
    adopted: int
    checkpoint: bool
    seconds: float
    archived: int = 0
    indexed: int = 0
    warnings: tuple[str, ...] = ()

    def followed_by(self, later: CompactReport) -> CompactReport:
        """This and another run right after it."""
        return replace(
            later,
            version=self.version if later.version is None else later.version,
            folded=self.folded + later.folded,
            buried=self.buried + later.buried,
            dropped=self.dropped + later.dropped,
            packs_before=self.packs_before,
            rewritten=self.rewritten + later.rewritten,
            written_bytes=self.written_bytes + later.written_bytes,
            adopted=self.adopted + later.adopted,
            archived=max(self.archived, later.archived),
            checkpoint=self.checkpoint or later.checkpoint,
        )


@dataclass(frozen=True, slots=True)
class VacuumReport:
    """What was deleted or, in a dry run, would be: packs and companions, their bytes, and marks and journals of `loads`.

    Of what the newest snapshot does not have, `kept_for_readers` files were of the table within the retention,
    `kept_for_loads` belong to loads under way, and `kept_young` were written within the retention.

    `early` of them lie in a class that is paid for a minimum time, which is not over: that costs `early_dollars` or, where they
    came to the class later than they were written, more.
    """

    files: int = 0
    bytes: int = 0
    loads: int = 0
    kept_for_readers: int = 0
    kept_for_loads: int = 0
    kept_young: int = 0
    early: int = 0
    early_dollars: float = 0.0
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class SizeClass:
    """Packs of `least` bytes or more but less than `below` (None: no limit)."""

    least: int
    below: int | None
    packs: int
    bytes: int


@dataclass(frozen=True, slots=True)
class CommitTime:
    """When a commit was made, by the store's clock."""

    version: int
    at: datetime


@dataclass(frozen=True, slots=True)
class TableStats:
    """Both tiers in numbers.

    version             of the table: how many commits came before; None: there is none yet
    packs, rows, bytes  of the newest version; `rows` None: another program added packs without saying how many it has
    sizes               the packs by their size; classes without packs are left out
    columns             of user fields, with their types
    documents           hot objects that are records, and `tombstones`, those that stand for deleted ones, told apart by
                        their sizes; with documents of other programs the latter may be too many
    hot_bytes           of all of them
    covering            hot objects that may stand in front of rows: at most so many ids have rows that count no more
    oldest, newest      commits that the log still has
    checkpoint          the version of the newest one; None: there is none
    unfinished          births of loads that are under way, or died
    classes             packs by storage class
    without_companion   packs that lack the companion which they should have
    advice              what to do, and why
    """

    version: int | None
    packs: int
    rows: int | None
    bytes: int
    sizes: tuple[SizeClass, ...]
    columns: Mapping[str, str]
    documents: int
    tombstones: int
    hot_bytes: int
    covering: int
    oldest: CommitTime | None
    newest: CommitTime | None
    checkpoint: int | None
    unfinished: tuple[str, ...]
    classes: Mapping[str, int]
    without_companion: int
    advice: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One commit. `at`: by the store's clock; `operation` and `job` None: its writer did not say.

    `rows` and `bytes` are those of the packs that it added, which after a rewrite are not new ones, `rows_removed` those of the
    packs that it took away; None: not said. `author`: the setting of whoever committed it. `at(table_version=version)` shows the
    database as it was then.
    """

    version: int
    at: datetime
    operation: str | None
    job: str | None
    parameters: Mapping[str, str]
    rows: int | None
    packs_added: int
    packs_removed: int
    bytes: int
    rows_removed: int | None = None
    author: str | None = None
