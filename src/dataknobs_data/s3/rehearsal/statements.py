"""What a statement in SQL will send."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import partial

from dataknobs_data.engine import ErrorSink
from dataknobs_data.exceptions import QueryError
from dataknobs_data.s3.costs.prices import Prices
from dataknobs_data.s3.costs.work import SearchEstimate
from dataknobs_data.s3.engine import S3Engine
from dataknobs_data.s3.rehearsal.archived import ArchivedMet
from dataknobs_data.s3.rehearsal.engine import Rehearsal, Rehearsed, rehearsed
from dataknobs_data.s3.rehearsal.objects import Samples
from dataknobs_data.s3.rehearsal.script import Matches, Script, Sql
from dataknobs_data.s3.rehearsal.store import Answers
from dataknobs_data.s3.rehearsal.tally import Tally
from dataknobs_data.s3.statements import statement_over
from dataknobs_data.select.dialect import OWN
from dataknobs_data.select.relation import Relation
from dataknobs_data.select.running import Parameters

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
        self._archived = ArchivedMet("statement", "select_query", skips=skips)
        self._samples = Samples(SAMPLES)
        self._reads_all = False
        self._answers: Answers = {}
        self._classes: Mapping[str, str] = {}

    def estimate(self, prices: Prices) -> SearchEstimate:
        """By these prices."""
        before = self._engine.usage
        files = rehearsed(self._engine, Script, self._answers, lambda one: one.layout.packed.files()).result
        self._classes = {file.line.key: file.line.storage_class for file in files}
        every = [*self._others(), self._rehearsed(Matches.LIKELY, HANDED)]
        keys, looked = self._engine.parts.keys, self._engine.usage.since(before)
        read = {keys.table_file(path) for one in every for path in one.script.packs}
        return Tally(prices, every).of_reads("select_query", self._classes, read, self._archived.notes(), looked)

    def _others(self) -> Iterator[Rehearsed[None]]:
        if _STOPS_EARLY.search(self._sql):
            yield self._rehearsed(Matches.ALL, 1, early=True)
        yield self._rehearsed(Matches.ALL, 1)
        yield self._rehearsed(Matches.SPARSE, 1)
        yield self._rehearsed(Matches.NOTHING, 1)

    # ------------------------------------------------------------------ rehearsals
    def _rehearsed(self, matches: Matches, handed: int, *, early: bool = False) -> Rehearsed[None]:
        ahead = self._engine.parts.many.ahead

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
        def read(sink: ErrorSink | None) -> None:
            openers = {OWN: partial(_opened, rehearsal, sink)}
            with statement_over(rehearsal, self._sql, self._parameters, openers).run() as result:
                for _ in result.batches():
                    pass

        rehearsal.reading.samples = self._samples
        self._archived.passing(read)


def _opened(rehearsal: Rehearsal, on_archived: ErrorSink | None, memory_bytes: int) -> Relation:
    from dataknobs_data.s3.relations.openers import relation_of  # imports pyarrow
    from dataknobs_data.s3.relations.rehearsal import RehearsedRecords

    return relation_of(rehearsal, memory_bytes, on_archived, lambda source: RehearsedRecords(source, rehearsal.script))
