"""`vacuum`, `log`, `stats`: the archive table of a database, its waste, its history and its numbers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table as Grid

from dataknobs_data.cli import output
from dataknobs_data.cli.exits import Exit
from dataknobs_data.cli.options import Config, Debug, DryRun, Json, JsonDocument, Table, Target
from dataknobs_data.cli.plans import print_json
from dataknobs_data.cli.targets import open_s3
from dataknobs_data.exceptions import ConfigurationError
from dataknobs_data.s3.costs.estimate import counted, money

if TYPE_CHECKING:
    from dataknobs_data.s3.tiered.reports import CommitTime, LogEntry, SizeClass, TableStats, VacuumReport

_RETENTION = re.compile(r"(\d{1,6})\s*(h|d|w)", re.ASCII | re.IGNORECASE)
_UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
_INTERNAL = frozenset({"listed"})
"""Parameters of commits that are no news for people."""

Retention = Annotated[
    str,
    typer.Option(
        metavar="TIME",
        help="Keep what was part of the table within this time, such as 36h, 7d or 2w (default: 7d; 24h at least).",
        show_default=False,
    ),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask whether to delete it.")]
Limit = Annotated[
    int, typer.Option(min=1, metavar="N", help="Only the newest N commits (default: 20).", show_default=False)
]


# ---------------------------------------------------------------------------------------------- vacuum
def vacuum(
    database: Target,
    retention: Retention = "7d",
    dry_run: DryRun = False,
    yes: Yes = False,
    json: JsonDocument = False,
    config: Config = None,
    debug: Debug = False,
) -> int:
    """Delete packs that are no part of the table any more, and that nobody can be reading."""
    kept = _parsed(retention)
    with open_s3(database, config, dry_run=dry_run) as db:
        found = db.vacuum(retention=kept, dry_run=True)
        if not dry_run and (found.files or found.loads):
            if not yes:
                _say(found)
                output.ask(f"delete {_files(found)}?")
            found = db.vacuum(retention=kept)
    if json:
        print_json(asdict(found))
    else:
        _say(found)
        if dry_run and _files(found):
            output.say("nothing was deleted: this is a dry run", "dim")
    return Exit.OK


def _parsed(text: str) -> timedelta:
    found = _RETENTION.fullmatch(text.strip())
    if not found:
        raise ConfigurationError(f"--retention {text!r}: write a number with h, d or w, such as 36h, 7d or 2w")
    return int(found[1]) * _UNITS[found[2].lower()]


def _files(report: VacuumReport) -> str:
    parts = [f"{counted(report.files, 'file')} ({report.bytes:,} bytes)"] if report.files else []
    parts += [f"the marks of {counted(report.loads, 'load')}"] if report.loads else []
    return " and ".join(parts)


def _say(report: VacuumReport) -> None:
    if found := _files(report):
        output.say(f"{'to be deleted' if report.dry_run else 'deleted'}: {found}")
    else:
        output.say("nothing to delete")
    if report.early:
        output.say(
            f"{counted(report.early, 'file')} in a class that is paid for a minimum time, which is not over: "
            f"{money(report.early_dollars)} or more"
        )
    reasons = {
        "were part of the table within the retention": report.kept_for_readers,
        "belong to loads under way": report.kept_for_loads,
        "were written within the retention": report.kept_young,
    }
    for reason, count in reasons.items():
        if count:
            output.say(f"kept: {counted(count, 'file')} that {reason}", "dim")


# ---------------------------------------------------------------------------------------------- log
def log(
    database: Target,
    limit: Limit = 20,
    json: Json = False,
    table: Table = False,
    config: Config = None,
    debug: Debug = False,
) -> int:
    """Show what was committed to the table, newest first."""
    people = output.for_people(json, table)
    with open_s3(database, config, dry_run=True) as db:
        entries = db.log(limit)
    if people:
        _print_log(entries)
    else:
        for entry in entries:
            output.print_value(entry)
    return Exit.OK


def _print_log(entries: Sequence[LogEntry]) -> None:
    if not entries:
        output.say("nothing has been committed to the table yet", "dim")
        return
    grid = output.grid(("version", "when (UTC)", "what", "rows", "packs", "bytes"), right={"version", "rows", "bytes"})
    for entry in entries:
        grid.add_row(
            str(entry.version),
            f"{entry.at:%Y-%m-%d %H:%M:%S}",
            output.plain(_what(entry)),
            "?" if entry.rows is None else f"{entry.rows:,}",
            f"+{entry.packs_added:,} -{entry.packs_removed:,}",
            f"{entry.bytes:,}",
        )
    Console(highlight=False).print(grid)


def _what(entry: LogEntry) -> str:
    details = (f"{name} {value}" for name, value in entry.parameters.items() if value != "0" and name not in _INTERNAL)
    return f"{entry.operation or '(not said)'} {', '.join(details)}".rstrip()


# ---------------------------------------------------------------------------------------------- stats
def stats(
    database: Target, json: Json = False, table: Table = False, config: Config = None, debug: Debug = False
) -> int:
    """Show both tiers in numbers, with advice."""
    people = output.for_people(json, table)
    with open_s3(database, config, dry_run=True) as db:
        found = db.stats()
    if people:
        _print_stats(found)
    else:
        output.print_value(found)
    return Exit.OK


def _print_stats(found: TableStats) -> None:
    grid = Grid(box=None, show_header=False, pad_edge=False)
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in _lines(found):
        grid.add_row(name, output.plain(value))
    Console(highlight=False).print(grid)
    for advice in found.advice:
        output.say(f"advice: {advice}")


def _lines(found: TableStats) -> Iterable[tuple[str, str]]:
    yield "objects", f"{found.documents:,} records, {found.tombstones:,} deletions, {found.hot_bytes:,} bytes"
    yield "  before rows", f"at most {found.covering:,}"
    if found.version is None:
        yield "table", "none yet"
        return
    rows = "an unknown number of" if found.rows is None else f"{found.rows:,}"
    yield "table", f"version {found.version}: {rows} rows in {found.packs:,} packs, {found.bytes:,} bytes"
    for size in found.sizes:
        yield f"  {_class(size)}", f"{size.packs:,} packs, {size.bytes:,} bytes"
    if set(found.classes) - {"STANDARD"}:
        yield "  by class", ", ".join(f"{count:,} {name}" for name, count in sorted(found.classes.items()))
    yield "columns", ", ".join(f"{name} {kind}" for name, kind in found.columns.items()) or "none"
    yield "oldest commit", _commit(found.oldest)
    yield "newest commit", _commit(found.newest)
    yield "checkpoint", "none" if found.checkpoint is None else f"version {found.checkpoint}"
    if found.unfinished:
        yield "unfinished loads", ", ".join(found.unfinished)


def _class(size: SizeClass) -> str:
    least = f"{size.least >> 20:,}"
    return f"{least} MiB and more" if size.below is None else f"{least} to {size.below >> 20:,} MiB"


def _commit(commit: CommitTime | None) -> str:
    return "none" if commit is None else f"version {commit.version}, {commit.at:%Y-%m-%d %H:%M:%S} UTC"
