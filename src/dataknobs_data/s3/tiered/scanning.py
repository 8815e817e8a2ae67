"""Reading many records over both tiers: all pages of objects first, then the log, then packs.

Which packs, row groups and rows can match is decided by the log's statistics, then the packs' own, then whole columns; what
is left is fetched and held against the query by the reference (`matching`). Without a sort records come in the order of
their ids, and only as far as somebody takes them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from heapq import merge
from itertools import chain

import pyarrow as pa

from dataknobs_data.documents import Document
from dataknobs_data.engine import ErrorSink, Outcome, run_query
from dataknobs_data.exceptions import DataFormatError, DataknobsDataError, RecordArchivedError, SnapshotExpiredError
from dataknobs_data.matching import id_bounds
from dataknobs_data.query import Query
from dataknobs_data.s3.faults import translated
from dataknobs_data.s3.layout import Parts
from dataknobs_data.s3.objects import Found, Stored
from dataknobs_data.s3.objects_layout import fetched_at_once, report
from dataknobs_data.s3.table.best import best_rows
from dataknobs_data.s3.table.filtering import judge_rows
from dataknobs_data.s3.table.joining import documents_of
from dataknobs_data.s3.table.locations import columns_for
from dataknobs_data.s3.table.merging import merged
from dataknobs_data.s3.table.shape import ID
from dataknobs_data.s3.table.sweep import PACK, Source
from dataknobs_data.s3.tiered.catalog import Packed
from dataknobs_data.s3.tiered.cold import Encounter
from dataknobs_data.s3.tiered.front import Front, whole_front
from dataknobs_data.s3.tiered.lookup import Lookup, kills_of
from dataknobs_data.s3.tiered.places import Places
from dataknobs_data.s3.tiered.sources import chosen, once, source_of
from dataknobs_data.s3.tiered.table import View
from dataknobs_data.snapshots import LOOKS_MAX, again
from dataknobs_data.streaming import windows

FETCHED = 1000
"""Records of packs that are fetched at a time once it is known that they can match."""

GROUPS = 32
"""Row groups of a pack that are judged at a time."""


class Scanner:
    """Scans of one database. Raises public errors. `fetched`: as FETCHED."""

    fetched = FETCHED

    def __init__(self, parts: Parts, places: Places, lookup: Lookup) -> None:
        self.lookup = lookup
        self._parts = parts
        self._places = places

    def scan(self, query: Query, on_damage: ErrorSink | None) -> Iterator[Document]:
        """See Engine.scan. Begins again where packs were vacuumed before the first record was handed out."""
        told = on_damage and once(on_damage)
        for look in range(1, LOOKS_MAX + 1):
            begun = False
            try:
                for document in run_query(self.candidates(query, told), query):
                    begun = True
                    yield document
                return
            except SnapshotExpiredError:
                if begun or look == LOOKS_MAX:
                    raise

    def candidates(self, query: Query, on_damage: ErrorSink | None) -> Iterator[Document]:
        """See Layout.candidates."""
        return _Scan(self, query, on_damage).documents()

    def look(self, prefix: str) -> tuple[Front, View]:
        """Both tiers: objects first."""
        parts = self._parts
        with translated(f"listing records {prefix!r}…", parts.place):
            front = whole_front(parts.lister, parts.objects, parts.many, prefix)
            if not prefix:
                parts.presence.known_size = len(front.documents) + len(front.graves)
            return front, self._places.table.look(None, "scan.table")

    def read_listed(self, front: Front, id: str) -> Outcome:
        """A document of a scan; None where it was deleted since it was listed."""
        parts = self._parts
        try:
            with translated(f"reading record {id!r}", parts.place, id=id):
                return self.shown(id, parts.objects.look_listed(id, front.documents[id]))
        except (DataFormatError, RecordArchivedError) as error:
            return error

    def shown(self, id: str, found: Found) -> Document | None:
        """What a reader is shown: the document, or else the row behind what stands there, in a newer log."""
        if isinstance(found, Stored):
            return found.document
        return self._places.behind(id, self._parts.caller.deadline(), "read.table", kills_of(found))

    def holds(self, front: Front, id: str) -> bool:
        """Whether reading it takes no request."""
        return self._parts.objects.holds(front.documents[id])

    def ids(self, prefix: str) -> list[str]:
        """The ids of all records that begin so, by code point."""
        return again(lambda: self._ids(prefix))

    def _ids(self, prefix: str) -> list[str]:
        front, view = self.look(prefix)
        packs = chosen(view, None, prefix)
        guard = Encounter(self._parts, packs, doing="listing ids").guard
        sources = [source_of(view.ids_reader(pack), pack, prefix, front, guard(pack)) for pack in packs]
        tables = merged(sources, view.shape, [ID], fan=view.fan)
        packed = chain.from_iterable(table[ID].to_pylist() for table in tables)
        return list(merge(sorted(front.documents), packed))

    def count(self) -> int:
        """How many records there are: what is listed, and what the log says that the packs hold, without what is hidden."""
        return again(lambda: self.counted(*self.look("")))

    def counted(self, front: Front, view: View) -> int:
        """How many of them there are in these. Of packs of which the log does not say it, a footer does."""
        with translated("counting records", self._parts.place):
            rows = chain.from_iterable(view.rows(front.ids).values()) if front else ()
            hidden = sum(front.hides(row.id, row.born) for row in rows)
            packed = (one.stats.records if one.stats else view.ids_reader(one).metadata.num_rows for one in view.packs)
            return len(front.documents) + sum(packed) - hidden

    def objects(
        self, front: Front, met: Encounter, at_once: int | None = None, on_damage: ErrorSink | None = None
    ) -> Iterator[Document]:
        """The documents in front, in id order, without those that were deleted since they were listed.

        at_once  how many are fetched before the first is handed out; None: all
        """
        ids = sorted(front.documents)
        read, holds = partial(self.read_listed, front), partial(self.holds, front)
        for window in windows(ids, at_once or max(len(ids), 1)):
            for id, outcome in zip(window, self._parts.many.map(read, window, holds), strict=True):
                if isinstance(outcome, Document):
                    yield outcome
                elif isinstance(outcome, RecordArchivedError):
                    met.met_object(id, outcome)
                elif outcome is not None:
                    report(outcome, on_damage)


class _Scan:
    """One scan."""

    def __init__(self, scanner: Scanner, query: Query, on_damage: ErrorSink | None) -> None:
        self._scanner = scanner
        self._parts = scanner._parts
        self._query = query
        self._expression = query.expression
        self._on_damage = on_damage
        self._bounds = id_bounds(query.expression)
        self._wanted = fetched_at_once(query)

    def documents(self) -> Iterator[Document]:
        """All documents that the query may find, in id order unless it sorts."""
        if self._bounds.ids is not None:
            return self._named(sorted(filter(self._parts.keys.can_hold, self._bounds.ids)))
        self._front, self._view = self._scanner.look(self._bounds.prefix)
        self._packs = chosen(self._view, self._expression, self._bounds.prefix)
        self._met = Encounter(self._parts, self._packs, self._on_damage, objects=self._front.documents)
        if self._query.sort_specs:
            # of rows that turn out to be damaged others would have to take the places
            is_best_enough = self._query.limit_value is not None and self._on_damage is None
            return chain(self._hot(), self._best() if is_best_enough else self._packed())
        return merge(self._hot(), self._packed(), key=lambda document: document.id)

    def _named(self, ids: Sequence[str]) -> Iterator[Document]:
        """Those of these ids."""
        for window in windows(ids, FETCHED):
            for outcome in self._scanner.lookup.each(window, self._parts.objects.look):
                if isinstance(outcome, Document):
                    yield outcome
                elif outcome is not None:
                    report(outcome, self._on_damage)

    # ------------------------------------------------------------------ objects
    def _hot(self) -> Iterator[Document]:
        return self._scanner.objects(self._front, self._met, self._wanted, self._on_damage)

    # ------------------------------------------------------------------ packs
    def _packed(self) -> Iterator[Document]:
        """In id order: at once with all columns where every row is wanted, else by what the query asks about first."""
        view = self._view
        sources = [self._source(pack) for pack in self._packs]
        columns = None if self._expression is None else [ID]
        few, numbered = self._wants_few, columns is not None
        fan = map if few else view.fan
        for table in merged(sources, view.shape, columns, fan=fan, numbered=numbered, at_once=few):
            yield from documents_of(table, self._report) if columns is None else self._fetched(table)

    def _report(self, error: DataknobsDataError) -> None:
        report(error, self._on_damage)

    @property
    def _wants_few(self) -> bool:
        """Whether the first rows are surely enough: no others are read beside them, nor waited for."""
        return self._wanted is not None and self._wanted <= FETCHED

    def _source(self, pack: Packed) -> Source:
        guard = self._met.guard(pack, self._on_damage)
        return source_of(self._view.reader(pack), pack, self._bounds.prefix, self._front, guard, self._expression)

    def _fetched(self, table: pa.Table) -> Iterator[Document]:
        """The documents of rows of which ids and packs are known."""
        rows = zip(table[ID].to_pylist(), table[PACK].to_pylist(), strict=True)
        fetched = self._scanner.fetched
        for window in windows(rows, min(fetched, self._wanted or fetched)):
            yield from sorted(self._find(window), key=lambda document: document.id)

    def _find(self, rows: Iterable[tuple[str, int]]) -> Iterator[Document]:
        wanted: dict[int, list[str]] = {}
        for id, number in rows:
            wanted.setdefault(number, []).append(id)

        def find(item: tuple[int, list[str]]) -> list[Document]:
            pack, ids = self._packs[item[0]], item[1]
            guard, reader = self._met.guard(pack, self._on_damage), self._view.reader(pack)
            return guard(lambda: list(reader.find(ids, self._report)), [])

        found = chain.from_iterable(self._view.fan(find, wanted.items()))
        return (document for document in found if not self._front.hides(document.id, document.born))

    # ------------------------------------------------------------------ sort and limit
    def _best(self) -> Iterator[Document]:
        """Of every pack only rows that may stand among the first."""
        tables = [table for found in self._view.fan(self._best_of, enumerate(self._packs)) for table in found]
        rows = [(id, table[PACK][0].as_py()) for table in tables for id in table[ID].to_pylist()]
        yield from self._find(rows)

    def _best_of(self, numbered: tuple[int, Packed]) -> list[pa.Table]:
        number, pack = numbered
        source = self._source(pack)
        return source.guard(lambda: self._best_in(source, number, pack), [])

    def _best_in(self, source: Source, number: int, pack: Packed) -> list[pa.Table]:
        groups = list(source.reader.groups if source.groups is None else source.groups(source.reader))
        asked = columns_for(self._expression, self._query.sort_specs, source.reader.shape.kinds, pack.rest_names)
        columns = sorted(asked | self._front.needs)
        found = []
        for window in windows(groups, GROUPS):
            table = self._front.visible(source.reader.read(window, columns, hold=True))
            found.append(self._first_of(table, pack, source))
        if len(found) > 1:  # of each window the first few are left, of which most are none of the pack's first few
            found = [self._first_of(pa.concat_tables(found), pack, source)]
        return [
            table.select([ID]).append_column(PACK, pa.repeat(pa.scalar(number), table.num_rows))
            for table in found
            if table.num_rows
        ]

    def _first_of(self, table: pa.Table, pack: Packed, source: Source) -> pa.Table:
        """Without the rows that cannot stand among the first."""
        kinds, rest, sorts = source.reader.shape.kinds, pack.rest_names, self._query.sort_specs
        judged = judge_rows(self._expression, table, kinds, rest)
        sure = judged.sure
        if judged.may is not None:
            table, sure = table.filter(judged.may), sure.filter(judged.may) if sure is not None else None
        count = self._query.offset_value + (self._query.limit_value or 0)
        places = best_rows(table, sorts, count, kinds, rest, sure)
        return table if places is None else table.take(places)
