"""The tiered layout: single records are objects, many at once lie in packs; one view over both."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import cast

from dataknobs_data.documents import Document, Verb
from dataknobs_data.engine import Bulk, ErrorSink
from dataknobs_data.exceptions import DataknobsDataError, IncompatibleStoreError
from dataknobs_data.query import Query
from dataknobs_data.s3.cache import Recent
from dataknobs_data.s3.deleting import Deleter
from dataknobs_data.s3.layout import ApplyMany, Layout, Parts, Writers
from dataknobs_data.s3.objects import Stored, outlined
from dataknobs_data.s3.probe import Capabilities
from dataknobs_data.s3.rehearsal.script import Script
from dataknobs_data.s3.removal import Remover
from dataknobs_data.s3.steps import step
from dataknobs_data.s3.table.outside import KnownForms
from dataknobs_data.s3.tiered.bulks import TieredBulk
from dataknobs_data.s3.tiered.changing import Changer
from dataknobs_data.s3.tiered.journals import Journals
from dataknobs_data.s3.tiered.lookup import Lookup, kills_of
from dataknobs_data.s3.tiered.maintenance import Maintenance
from dataknobs_data.s3.tiered.packed import TieredPacks
from dataknobs_data.s3.tiered.packing import PackStore
from dataknobs_data.s3.tiered.places import Places
from dataknobs_data.s3.tiered.rehearsal.packing import RehearsedPacks
from dataknobs_data.s3.tiered.rehearsal.table import RehearsedTable
from dataknobs_data.s3.tiered.remembering import Folded
from dataknobs_data.s3.tiered.removing import TieredRemover
from dataknobs_data.s3.tiered.rewriting import emptied
from dataknobs_data.s3.tiered.scanning import FETCHED, Scanner
from dataknobs_data.s3.tiered.table import Table
from dataknobs_data.s3.tiered.tiers import Tiers
from dataknobs_data.s3.tiered.together import Together
from dataknobs_data.s3.tombstones import KILLS, TOO_MANY


class TieredWriters:
    """See layout.Writers."""

    def __init__(self, layout: TieredLayout, found: Capabilities, check_key: Callable[[str], None]) -> None:
        parts = layout.parts
        putter = parts.putter(found)
        changer = Changer(parts.caller, parts.runtime, layout.places, putter)
        remover = TieredRemover(parts, layout.places, putter)
        self._parts = parts
        self._layout = layout
        self.tiers = Tiers(
            parts,
            layout.table,
            layout.places,
            Journals(parts.caller, parts.keys),
            PackStore(parts, found, layout.table.log),
            check_key,
            found,
            Folded(),
        )
        self.apply, self.apply_many = changer.apply, Together(parts, layout.places, changer).apply_many
        self.delete, self.delete_many = remover.delete, remover.delete_many

    def clear(self) -> int:
        """See layout.Writers. The table is emptied by a commit, and its log stays: whoever knows it would miss it.

        That comes before the objects go, for without their tombstones deleted rows would be seen again; and once more after
        it, for a compaction may have been about to make rows of them.
        """
        remover = Remover(
            self._parts, Deleter(self._parts.caller, self._parts.keys, self._parts.objects, self.tiers.can)
        )
        etags, scanner = remover.everything(str(self._parts.place)), self._layout.scanner
        ids = scanner.ids("") if self._parts.objects.edge else []  # which may still have them as the objects they were
        count = len(ids) or scanner.count()
        emptied(self.tiers)
        remover.clear(etags)
        if etags:
            emptied(self.tiers, shut_out=True)
        self._parts.wrote(ids)
        return count


class TieredLayout(Layout):
    """See layout.Layout."""

    def __init__(self, parts: Parts, table: Table | None = None) -> None:
        settings = parts.settings
        self.parts = parts
        self.table = table or Table(
            parts.caller, parts.keys, parts.runtime, settings.max_workers, settings.cache_bytes // 2, settings.author
        )
        self.places = Places(parts.caller, parts.objects, self.table)
        self.lookup = Lookup(parts, self.places)
        self.scanner = Scanner(parts, self.places, self.lookup)
        self.packed = TieredPacks(parts, self.places)
        self.known_forms = KnownForms()
        self._count: Recent[int] = Recent(settings.cache_ttl, parts.runtime.monotonic, parts.clock)
        self._ids: Recent[list[str]] = Recent(settings.cache_ttl, parts.runtime.monotonic, parts.clock)

    def bulk(self, verb: Verb, apply: ApplyMany, writers: Callable[[], Writers]) -> Bulk:
        return TieredBulk(verb, apply, lambda: _tiers(writers), self.parts.settings.pack_threshold)

    def maintenance(self, writers: Callable[[], Writers]) -> Maintenance:
        return Maintenance(self.parts, self.table, lambda: _tiers(writers))

    def writers(self, found: Capabilities, check_key: Callable[[str], None]) -> TieredWriters:
        if not found.conditional_put:
            raise IncompatibleStoreError(
                f"{self.parts.place} ignores the conditions If-None-Match and If-Match on PUT, on which the table's log stands: "
                "two writers would undo each other's loads; set layout: objects",
                condition="conditional PUT",
            )
        return TieredWriters(self, found, check_key)

    # ------------------------------------------------------------------ by id
    def read(self, id: str) -> Document | None:
        with step("read.start"):
            found = self.parts.objects.read(id)
        return self.scanner.shown(id, found)

    def get(self, id: str) -> Document | None:
        with step("read.start"):
            found = self.parts.objects.look(id)
        return self.scanner.shown(id, found)

    def version(self, id: str) -> str | None:
        deadline = self.parts.caller.deadline()
        found = self.places.front(id, deadline, "read.start")
        if isinstance(found, Stored):
            return found.document.revision
        row = self.places.row(id, deadline, "read.table", kills_of(found))
        return row.revision if row else None

    def exists(self, id: str) -> bool:
        deadline = self.parts.caller.deadline()
        with step("read.start"):
            head = self.parts.objects.peek(id, deadline)  # whether there is a bucket, the log's listing says
        if head and head.metadata.get(KILLS) == TOO_MANY:
            found = self.places.front(id, deadline, "read.start")
        else:
            found = outlined(id, head) if head else None
        return isinstance(found, Stored) or self.places.row(id, deadline, "read.table", kills_of(found)) is not None

    def read_many(self, ids: Sequence[str]) -> list[Document | None]:
        distinct = list(dict.fromkeys(ids))
        found: dict[str, Document | None] = {}
        for id, outcome in zip(distinct, self.lookup.each(distinct, self.parts.objects.read), strict=True):
            if isinstance(outcome, DataknobsDataError):
                raise outcome
            found[id] = outcome
        return [found[id] for id in ids]

    # ------------------------------------------------------------------ by query
    def scan(self, query: Query, on_damage: ErrorSink | None) -> Iterator[Document]:
        return self.scanner.scan(query, on_damage)

    def candidates(self, query: Query, on_damage: ErrorSink | None) -> Iterator[Document]:
        return self.scanner.candidates(query, on_damage)

    def count(self) -> int:
        return self._count.get(self.scanner.count)

    def ids(self, prefix: str) -> Iterator[str]:
        if prefix and self._ids.value() is None:
            return iter(self.scanner.ids(prefix))
        return (id for id in self._ids.get(lambda: self.scanner.ids("")) if id.startswith(prefix))

    def rehearsed(self, parts: Parts, script: Script, made: Writers | None) -> RehearsedTiers:
        return RehearsedTiers(parts, self, script, made)

    def close(self) -> None:
        self.table.close()


class RehearsedTiers(TieredLayout):
    """The layout of a rehearsal."""

    def __init__(self, parts: Parts, real: TieredLayout, script: Script, made: Writers | None) -> None:
        super().__init__(parts, RehearsedTable(real.table, parts, script))
        self.known_forms = real.known_forms
        self.scanner.fetched = max(1, FETCHED // script.thinned)
        self._script = script
        self._real = cast(TieredWriters, made).tiers if made else None

    def writers(self, found: Capabilities, check_key: Callable[[str], None]) -> TieredWriters:
        made, real = super().writers(found, check_key), self._real
        packs = self.uploads = RehearsedPacks(self.parts, found, self._script)
        made.tiers = replace(made.tiers, packs=packs)
        if real:
            made.tiers.journals.know(real.journals)
            made.tiers.folded.know(real.folded)
        return made


def _tiers(writers: Callable[[], Writers]) -> Tiers:
    return cast(TieredWriters, writers()).tiers
