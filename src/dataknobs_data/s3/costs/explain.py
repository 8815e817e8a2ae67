"""What something will cost and take, before it is done."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dataknobs_data.batches import MakeChanges
from dataknobs_data.exceptions import ConfigurationError
from dataknobs_data.query import Query
from dataknobs_data.record_likes import RecordLike
from dataknobs_data.s3.archive.choosing import Chooser, Which
from dataknobs_data.s3.archive.restore import Archive
from dataknobs_data.s3.archive.run import finished
from dataknobs_data.s3.archive.skipping import Archived, skips
from dataknobs_data.s3.costs.estimate import counted
from dataknobs_data.s3.costs.prices import RESTORED_FROM, Prices, default_prices
from dataknobs_data.s3.costs.restoring import RestoreEstimate
from dataknobs_data.s3.costs.storage import Keeping, StorageEstimate
from dataknobs_data.s3.costs.work import CompactEstimate, CreateEstimate, SearchEstimate
from dataknobs_data.s3.engine import S3Engine
from dataknobs_data.s3.packed import PackFile, without_ids_note
from dataknobs_data.select.running import Parameters


class Explain:
    """What something will cost and take, before it is done. Only looks, and changes nothing.

    `prices`: another price table than the one that comes with this package, see `dataknobs_data.s3.costs.prices.Prices.load`.
    """

    def __init__(self, engine: S3Engine, creations: MakeChanges | None = None) -> None:
        """`creations`: what the database makes of records that are to be created."""
        self._engine = engine
        self._creations = creations

    def search(
        self, query: Query | None = None, *, archived: Archived = "raise", prices: Prices | None = None
    ) -> SearchEstimate:
        """What `search` would send: which packs and row groups it reads, and how many requests, bytes and dollars that takes.

        Where the number of matches decides, it is what is to be expected if values are spread evenly, within what is possible
        at all. Lists what is there, and reads the footers of packs that may match, which the search then need not read.
        """
        from dataknobs_data.s3.rehearsal.searches import Search

        chosen = Query() if query is None else query
        return Search(self._engine, chosen, skips=skips(archived)).estimate(prices or default_prices())

    def select_query(
        self,
        sql: str,
        params: Parameters = None,
        *,
        archived: Archived = "raise",
        prices: Prices | None = None,
    ) -> SearchEstimate:
        """What `select_query(sql, params)` would send, as `search` above.

        The statement is carried out by DuckDB on rows that are null, so that it reads what it would, but for joins: which rows
        of the one side can find a partner only their values say.
        """
        from dataknobs_data.s3.rehearsal.statements import Selection

        return Selection(self._engine, sql, params, skips=skips(archived)).estimate(prices or default_prices())

    def batch_create(
        self, records: Iterable[RecordLike], *, count: int | None = None, prices: Prices | None = None
    ) -> CreateEstimate:
        """What `batch_create(records)` would send. An iterator is used up.

        count   so many records like these, instead of these
        """
        from dataknobs_data.s3.rehearsal.creations import Creation, Input

        if self._creations is None:
            raise ConfigurationError("explain.batch_create is asked of a database: db.explain.batch_create(records)")
        return Creation(self._engine, self._creations, Input.of(records, count)).estimate(prices or default_prices())

    def compact(self, *, full: bool = False, prices: Prices | None = None) -> CompactEstimate:
        """What `compact(full=…)` would do and send. Looks as closely as a compaction does before it begins to write."""
        from dataknobs_data.s3.rehearsal.compactions import compaction

        return compaction(self._engine, prices or default_prices(), full=full)

    def restore(
        self,
        which: Which,
        *,
        days: int = 7,
        tier: str = "Standard",
        prices: Prices | None = None,
    ) -> RestoreEstimate:
        """What `restore` would send, cost and take; the other tiers beside it. One HEAD for each record."""
        archive = Archive(self._engine, prices)
        steps = archive.restore(which, days=days, tier=tier, dry_run=True)
        return finished(steps, self._engine.control.runtime.sleep).estimate

    def storage(
        self, storage_class: str, query: Query | None = None, *, prices: Prices | None = None
    ) -> StorageEstimate:
        """What the records that are there now cost a month, and would cost in another class; what moving them costs once.

        query  which records, by their ids (or by content that is in memory); default: all. Older versions are not looked at.
               A pack is kept as a whole: those count that may hold such records
        One LIST for 1,000 records or packs.
        """
        keeping = Keeping(prices or default_prices(), storage_class)
        chooser = Chooser(self._engine.control, self._engine.objects)
        documents = 0
        for _, line in chooser.lines(query, lambda line: True):
            keeping.add(line.storage_class, line.size)
            documents += 1
        packs = chooser.packs(query)
        for file in packs:
            keeping.add(file.line.storage_class, file.line.size)
        notes = pack_notes(packs, documents, storage_class) if self._engine.control.packed.exists else []
        return keeping.estimate(chooser.listed, chooser.looked, notes)


def pack_notes(packs: Sequence[PackFile], documents: int, storage_class: str) -> list[str]:
    """What one should know where records lie in packs."""
    notes = [f"{counted(len(packs), 'pack')} and {counted(documents, 'record')} with an object of its own"]
    if documents:
        notes.append(
            "lifecycle.add() moves packs only: records with objects of their own stay until compact() packs them"
        )
    if storage_class in RESTORED_FROM and (note := without_ids_note(packs)):
        notes.append(note)
    return notes
