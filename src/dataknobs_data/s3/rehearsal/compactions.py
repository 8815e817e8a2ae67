"""What a compaction will send."""

from __future__ import annotations

from collections.abc import Iterable

from dataknobs_data.exceptions import DataknobsDataError
from dataknobs_data.s3.admin.lifecycle.section import Lifecycle
from dataknobs_data.s3.costs.estimate import counted
from dataknobs_data.s3.costs.prices import Prices
from dataknobs_data.s3.costs.work import CompactEstimate
from dataknobs_data.s3.engine import S3Engine
from dataknobs_data.s3.rehearsal.engine import Rehearsal, rehearsed
from dataknobs_data.s3.rehearsal.objects import Samples
from dataknobs_data.s3.rehearsal.script import Script
from dataknobs_data.s3.rehearsal.tally import Tally
from dataknobs_data.s3.tiered.reports import CompactReport

SAMPLES = 100
"""Documents that are read to see how large they are as rows."""


def compaction(engine: S3Engine, prices: Prices, *, full: bool) -> CompactEstimate:
    """By these prices. Raises ConfigurationError in the objects layout."""

    def act(rehearsal: Rehearsal) -> CompactReport:
        rehearsal.reading.samples = samples
        report = rehearsal.maintenance().compact(full=full, wait=False, on_progress=None)
        try:
            Lifecycle(rehearsal.control).dangers()
        except DataknobsDataError:
            pass  # as compact() does: whoever may not read rules hears nothing of them
        return report

    before, samples = engine.usage, Samples(SAMPLES)
    done = rehearsed(engine, Script, {}, act)
    tally, report = Tally(prices, [done]), done.result
    return CompactEstimate(
        what=f"compact({'full=True' if full else ''})",
        objects=report.folded + report.buried + report.rewritten,
        **tally.fields(engine.usage.since(before)),
        notes=(*_notes(report), *tally.notes()),
        folded=report.folded,
        buried=report.buried,
        dropped=report.dropped,
        waiting=report.waiting,
        rewritten=report.rewritten,
        packs_before=report.packs_before,
        packs_after=report.packs_after,
        written_bytes=report.written_bytes,
        left=dict(report.left),
    )


def _notes(report: CompactReport) -> Iterable[str]:
    if report.version is None and not report.dropped:
        yield "there is nothing to do"
    for why, number in sorted(report.left.items()):
        if number:
            yield f"{counted(number, 'object')} stay: {why}"
    if report.waiting:
        yield f"{counted(report.waiting, 'object')} will be deleted by a compaction after the grace period; deleting costs nothing"
