"""`compact`: single records become rows of the table, once or again and again."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from dataknobs_data.cli import output
from dataknobs_data.cli.exits import Exit, exit_of
from dataknobs_data.cli.options import Config, Debug, Target
from dataknobs_data.cli.signals import ended_by_sigterm
from dataknobs_data.cli.targets import open_s3
from dataknobs_data.exceptions import (
    ConfigurationError,
    DatabaseConnectionError,
    DatabaseOperationError,
    DataknobsDataError,
)
from dataknobs_data.runtime import Runtime

if TYPE_CHECKING:
    from dataknobs_data.s3.tiered.reports import CompactProgress, CompactReport

PAUSE_SECONDS_MAX = 600.0
"""Between two runs of which the first has failed, unless --watch itself is longer."""

REFUSALS = frozenset({400, 401, 403, 404})
"""What the store answers to somebody who may not, or where there is no such bucket: it will say so again."""

Full = Annotated[
    bool, typer.Option("--full", help="Leave no dead row, and no small or overlapping pack: for other engines.")
]
Wait = Annotated[
    bool, typer.Option("--wait", help="Come back when the objects that were folded are deleted too (some minutes).")
]
Watch = Annotated[
    float | None,
    typer.Option(min=0.1, metavar="SECONDS", help="Do it again so long after each run, until Ctrl-C."),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON line for each run.")]


def compact(
    database: Target,
    full: Full = False,
    wait: Wait = False,
    watch: Watch = None,
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> int:
    """Move single records into packs, and make packs with many dead rows anew."""
    if wait and watch is not None:
        raise ConfigurationError(
            "--wait and --watch exclude each other: each run deletes what earlier ones have folded"
        )
    with open_s3(database, config) as db:

        def run() -> None:
            with _progress() as show:
                report = db.compact(full=full, wait=wait, on_progress=show)
            _show(report, json)

        if watch is not None:
            return _again_and_again(run, watch, Runtime().sleep)
        run()
    return Exit.OK


def _again_and_again(run: Callable[[], None], seconds: float, sleep: Callable[[float], None]) -> int:
    """Runs until it is stopped. 0, or what the last run failed with. Raises what does not pass by itself."""
    failures, code = 0, Exit.OK
    with ended_by_sigterm():
        try:
            while True:
                try:
                    run()
                    failures, code = 0, Exit.OK
                except DataknobsDataError as error:
                    if not _passes(error):
                        raise
                    failures, code = failures + 1, exit_of(error)
                    output.error(f"{error}; trying again in {_pause(seconds, failures):,.0f} s")
                sleep(_pause(seconds, failures))
        except KeyboardInterrupt:
            output.say("stopped", "dim")
    return code


def _passes(error: DataknobsDataError) -> bool:
    """Whether the same may go well later: the store was busy, failed, or could not be reached."""
    if isinstance(error, DatabaseConnectionError):
        return error.context.get("status") not in REFUSALS
    return isinstance(error, DatabaseOperationError)


def _pause(seconds: float, failures: int) -> float:
    """Until the next run: longer with each failure in turn."""
    return seconds if not failures else max(seconds, min(seconds * 2.0 ** min(failures, 30), PAUSE_SECONDS_MAX))


# ---------------------------------------------------------------------------------------------- what people see
@contextmanager
def _progress() -> Iterator[Callable[[CompactProgress], None] | None]:
    """A bar on stderr, where that is a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=output.stderr, transient=True) as bar:
        task = bar.add_task("compacting", total=None)

        def update(progress: CompactProgress) -> None:
            count = f", {progress.done:,} of {progress.total:,}" if progress.total else ""
            bar.update(task, description=progress.doing + count, total=progress.total or None, completed=progress.done)

        yield update


def _show(report: CompactReport, json: bool) -> None:
    if json:
        output.print_value(report)
        return
    print(words(report), flush=True)
    for reason, count in report.left.items():
        output.say(f"{count:,} stay: {reason}", "dim")


def words(report: CompactReport) -> str:
    """What a run did, in one line."""
    did = _counted(
        {
            "folded": report.folded,
            "deletions settled": report.buried,
            "objects deleted": report.dropped,
            "dead loads finished": report.adopted,
            "packs rewritten": report.rewritten,
            "packs left in archives": report.archived,
            "companions written": report.indexed,
        }
    )
    if report.packs_before != report.packs_after:
        did.append(f"packs {report.packs_before:,} → {report.packs_after:,}")
    if report.written_bytes:
        did.append(f"{report.written_bytes:,} bytes written")
    if report.checkpoint:
        did.append("checkpoint")
    version = [] if report.version is None else [f"version {report.version}"]
    waiting = _counted({"objects wait to be deleted": report.waiting})
    return ", ".join([*version, *(did or ["nothing to do"]), *waiting, f"{report.seconds:.1f} s"])


def _counted(counts: Mapping[str, int]) -> list[str]:
    return [f"{count:,} {what}" for what, count in counts.items() if count]
