"""What a search will send."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dataknobs_data.engine import run_query
from dataknobs_data.exceptions import DataknobsDataError, RecordArchivedError
from dataknobs_data.matching import id_bounds
from dataknobs_data.query import Query
from dataknobs_data.s3.costs.estimate import counted
from dataknobs_data.s3.costs.prices import ARCHIVES, Prices
from dataknobs_data.s3.costs.work import SearchEstimate
from dataknobs_data.s3.engine import S3Engine
from dataknobs_data.s3.packed import PackFile
from dataknobs_data.s3.rehearsal.engine import Rehearsal, Rehearsed, rehearsed
from dataknobs_data.s3.rehearsal.script import Matches, Script
from dataknobs_data.s3.rehearsal.store import Answers
from dataknobs_data.s3.rehearsal.tally import Tally


class Search:
    """One search, rehearsed with as many matches as it may have."""

    def __init__(self, engine: S3Engine, query: Query) -> None:
        self._engine = engine
        self._query = query
        self._answers: Answers = {}
        self._archived: list[RecordArchivedError] = []

    def estimate(self, prices: Prices) -> SearchEstimate:
        """By these prices."""
        before = self._engine.usage
        kept, all_packs = self._packs()
        self._classes = {file.line.key: file.line.storage_class for file in all_packs}
        workers = self._engine.parts.settings.max_workers
        likely = self._rehearsed(self._expected, workers)
        others = [self._rehearsed(matches, ahead) for matches, ahead in self._extremes(workers)]
        likely = self._rehearsed(self._expected, workers)  # when all that the others looked at is in memory
        tally, script = Tally(prices, likely, others), likely.script
        read = {file.line.key for file in kept}
        return SearchEstimate(
            what="search",
            objects=script.documents.objects + len(script.packs),
            **tally.fields(self._engine.usage.since(before)),
            notes=(*self._notes(kept), *tally.notes()),
            documents=script.documents.objects,
            packs_read=tuple(sorted(read)),
            packs_pruned=tuple(sorted(self._classes.keys() - read)),
            groups=len(script.groups),
            rows=sum(script.groups.values()),
        )

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
    @property
    def _expected(self) -> Matches:
        """Where every row is read whatever it holds, none has to be made up."""
        reads_all = self._query.expression is None and self._query.limit_value is None
        return Matches.NOTHING if reads_all else Matches.LIKELY

    def _extremes(self, workers: int) -> Iterable[tuple[Matches, int]]:
        query = self._query
        if id_bounds(query.expression).ids is not None or self._expected is Matches.NOTHING:
            return ()
        if query.expression is None:
            return ((Matches.LIKELY, 0), (Matches.SPARSE, 2 * workers), (Matches.LIKELY, 2 * workers))
        stops_early = query.limit_value is not None and not query.sort_specs
        vain = ((Matches.VAIN, 2 * workers),) if stops_early else ()
        return (
            (Matches.NOTHING, 0),
            (Matches.SPARSE, 2 * workers),
            (Matches.ALL, 0),
            (Matches.ALL, 2 * workers),
            *vain,
        )

    def _rehearsed(self, matches: Matches, ahead: int) -> Rehearsed[None]:
        def script() -> Script:
            return Script(self._query, matches, ahead, classes=self._classes)

        return rehearsed(self._engine, script, self._answers, self._act)

    def _act(self, rehearsal: Rehearsal) -> None:
        try:
            self._read(rehearsal, None)
        except RecordArchivedError as error:
            self._archived = [error]

    def _read(self, rehearsal: Rehearsal, on_damage: list[DataknobsDataError] | None) -> None:
        sink = None if on_damage is None else on_damage.append
        documents = rehearsal.layout.candidates(self._query, sink)
        for _ in run_query(filter(rehearsal.script.finds, documents), self._query.copy().clear_filters()):
            pass

    def _notes(self, kept: Sequence[PackFile]) -> Iterable[str]:
        archived = [file for file in kept if file.line.storage_class in ARCHIVES]
        if archived or self._archived:
            yield (
                f"{counted(len(archived), 'pack')} to read lie in an archive: the search raises RecordArchivedError until they are "
                "restored; explain.restore(query) says what that costs and takes"
            )
