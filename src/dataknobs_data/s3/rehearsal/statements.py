"""What a statement in SQL will send."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from functools import partial

from dataknobs_data.exceptions import DataknobsDataError, QueryError, RecordArchivedError
from dataknobs_data.s3.costs.prices import Prices
from dataknobs_data.s3.costs.work import SearchEstimate
from dataknobs_data.s3.engine import S3Engine
from dataknobs_data.s3.rehearsal.engine import Rehearsal, Rehearsed, rehearsed
from dataknobs_data.s3.rehearsal.objects import Samples
from dataknobs_data.s3.rehearsal.script import Matches, Script, Sql
from dataknobs_data.s3.rehearsal.store import Answers
from dataknobs_data.s3.rehearsal.tally import Tally
from dataknobs_data.select.relation import Opener, Relation
from dataknobs_data.select.running import Parameters, Statement
from dataknobs_data.select.sandbox import Limits

OWN = "S3Object"
"""As in backends/s3_sql.py."""

HANDED = 500
"""Rows that a statement is given, so that one with a LIMIT ends as early as it would."""

SAMPLES = 100
"""Objects that are read, to know what fields there are in them."""

_STOPS_EARLY = re.compile(r"\b(limit|fetch)\b", re.IGNORECASE)


class Selection:
    """One statement, rehearsed."""

    def __init__(self, engine: S3Engine, sql: str, parameters: Parameters, *, skips: bool) -> None:
        """`skips`: it goes on without what is archived."""
        self._engine = engine
        self._sql = sql
        self._parameters = parameters
        self._skips = skips
        self._samples = Samples(SAMPLES)
        self._reads_all = False
        self._answers: Answers = {}
        self._met: RecordArchivedError | None = None

    def estimate(self, prices: Prices) -> SearchEstimate:
        """By these prices."""
        before = self._engine.usage
        files = rehearsed(self._engine, Script, self._answers, lambda one: one.layout.packed.files()).result
        self._classes = {file.line.key: file.line.storage_class for file in files}
        every = [*self._others(), self._rehearsed(Matches.LIKELY, HANDED)]
        keys, script = self._engine.parts.keys, every[-1].script
        read = {keys.table_file(path) for one in every for path in one.script.packs}
        return SearchEstimate(
            what="select_query",
            objects=script.documents.objects + len(script.packs),
            **Tally(prices, every).fields(self._engine.usage.since(before)),
            notes=(*self._notes(), *Tally(prices, every).notes()),
            documents=script.documents.objects,
            packs_read=tuple(sorted(read)),
            packs_pruned=tuple(sorted(self._classes.keys() - read)),
            groups=len(script.groups),
            rows=sum(script.groups.values()),
        )

    def _others(self) -> Iterator[Rehearsed[None]]:
        if _STOPS_EARLY.search(self._sql):
            yield self._rehearsed(Matches.ALL, 1, early=True)
        yield self._rehearsed(Matches.ALL, 1)
        yield self._rehearsed(Matches.SPARSE, 1)
        yield self._rehearsed(Matches.NOTHING, 1)

    # ------------------------------------------------------------------ rehearsals
    def _rehearsed(self, matches: Matches, handed: int, *, early: bool = False) -> Rehearsed[None]:
        ahead = 2 * self._engine.parts.settings.max_workers

        def script() -> Script:
            return Script(matches=matches, ahead=ahead, sql=Sql(handed, early), classes=self._classes)

        try:
            return rehearsed(self._engine, script, self._answers, self._act)
        except QueryError:
            if self._reads_all:
                raise
            self._samples, self._reads_all = Samples(None), True  # a field may be in an object that was not read
            return rehearsed(self._engine, script, self._answers, self._act)

    def _act(self, rehearsal: Rehearsal) -> None:
        try:
            self._run(rehearsal, skips=self._skips or self._met is not None)
        except RecordArchivedError as error:
            self._met = error
            self._run(rehearsal, skips=True)

    def _run(self, rehearsal: Rehearsal, *, skips: bool) -> None:
        rehearsal.reading.samples = self._samples
        settings = rehearsal.parts.settings
        opener = partial(_opened, rehearsal, self._skipped if skips else None)
        openers: dict[str, Opener] = {OWN: opener}
        limits = Limits(settings.memory_limit, settings.query_timeout)
        with Statement(self._sql, self._parameters, openers, limits, rehearsal.parts.runtime).run() as result:
            for _ in result.batches():
                pass

    def _skipped(self, error: DataknobsDataError) -> None:
        if not isinstance(error, RecordArchivedError):
            raise error
        self._met = error

    def _notes(self) -> Iterable[str]:
        if self._met and not self._skips:
            yield "the statement raises RecordArchivedError; these numbers are those of select_query(…, archived='skip')"
        if self._met:
            yield str(self._met)


def _opened(rehearsal: Rehearsal, on_archived: Callable[[DataknobsDataError], None] | None) -> Relation:
    from dataknobs_data.s3.relations.openers import relation_of  # imports pyarrow
    from dataknobs_data.s3.relations.rehearsal import RehearsedRecords

    memory = rehearsal.parts.settings.memory_limit
    return relation_of(rehearsal, memory, on_archived, lambda source: RehearsedRecords(source, rehearsal.script))
