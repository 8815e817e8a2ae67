"""What a search will send."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from dataknobs_data.engine import ErrorSink, run_query
from dataknobs_data.matching import id_bounds
from dataknobs_data.query import Query
from dataknobs_data.s3.costs.prices import Prices
from dataknobs_data.s3.costs.work import SearchEstimate
from dataknobs_data.s3.engine import S3Engine
from dataknobs_data.s3.packed import PackFile
from dataknobs_data.s3.rehearsal.archived import ArchivedMet
from dataknobs_data.s3.rehearsal.engine import Rehearsal, Rehearsed, rehearsed
from dataknobs_data.s3.rehearsal.script import Matches, Script
from dataknobs_data.s3.rehearsal.store import Answers
from dataknobs_data.s3.rehearsal.tally import Tally

MADE_UP = 50_000
"""Rows that are made up, about: some microseconds each."""


class Search:
    """One search, rehearsed with as many matches as it may have."""

    def __init__(self, engine: S3Engine, query: Query, *, skips: bool) -> None:
        """`skips`: it goes on without what is archived."""
        self._engine = engine
        self._query = query
        self._archived = ArchivedMet("search", "search", skips=skips)
        self._answers: Answers = {}
        self._classes: Mapping[str, str] = {}
        self._thinned = 1

    def estimate(self, prices: Prices) -> SearchEstimate:
        """By these prices."""
        before = self._engine.usage
        kept, all_packs = self._packs()
        self._thinned = max(1, sum(file.records or 0 for file in kept) // MADE_UP)
        self._classes = {file.line.key: file.line.storage_class for file in all_packs}
        every = self._every(self._engine.parts.many.ahead)
        read, looked = {file.line.key for file in kept}, self._engine.usage.since(before)
        return Tally(prices, every).of_reads("search", self._classes, read, self._archived.notes(), looked)

    # ------------------------------------------------------------------ packs
    def _packs(self) -> tuple[Sequence[PackFile], Sequence[PackFile]]:
        """Those that may hold what is searched for, and all."""

        def look(rehearsal: Rehearsal) -> tuple[Sequence[PackFile], Sequence[PackFile]]:
            packed, expression = rehearsal.layout.packed, self._query.expression
            every = packed.files()
            by_id = id_bounds(expression).ids is not None
            return packed.files(expression) if by_id or expression is not None else every, every

        return rehearsed(self._engine, Script, self._answers, look).result

    # ------------------------------------------------------------------ rehearsals
    def _every(self, ahead: int) -> Sequence[Rehearsed[None]]:
        """What may be sent, and last what is to be expected, when all that the others looked at is in memory."""
        found: list[Rehearsed[None]] = []
        for other in self._others(ahead):
            if found and other.script.matches is Matches.NOTHING and other.usage == found[-1].usage:
                return [*found, other]  # statistics have decided it all
            found.append(other)
        return [*found, self._rehearsed(Matches.LIKELY, ahead)]

    def _others(self, ahead: int) -> Iterator[Rehearsed[None]]:
        """Of all matches and none, and what lies between those and takes more requests."""
        query = self._query
        stops_early = query.limit_value is not None and not query.sort_specs
        reads_all = query.expression is None and query.limit_value is None
        if id_bounds(query.expression).ids is not None or reads_all:
            return
        if stops_early:
            yield self._rehearsed(Matches.ALL, 0)
            if query.expression is None:
                return
            yield self._rehearsed(Matches.VAIN, ahead)
        yield self._rehearsed(Matches.ALL, ahead)
        yield self._rehearsed(Matches.NOTHING, ahead)
        yield self._rehearsed(Matches.SPARSE, ahead)

    def _rehearsed(self, matches: Matches, ahead: int) -> Rehearsed[None]:
        thinned = 1 if self._query.limit_value is not None and matches is not Matches.VAIN else self._thinned

        def script() -> Script:
            return Script(self._query, matches, ahead, thinned, classes=self._classes)

        return rehearsed(self._engine, script, self._answers, self._act)

    def _act(self, rehearsal: Rehearsal) -> None:
        def read(sink: ErrorSink | None) -> None:
            documents = rehearsal.layout.candidates(self._query, sink)
            for _ in run_query(filter(rehearsal.script.finds, documents), self._query.copy().clear_filters()):
                pass

        self._archived.passing(read)
