"""`restore`: makes archived records readable, having said what that costs and takes."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from dataknobs_data.cli import output
from dataknobs_data.cli.conditions import parse_condition
from dataknobs_data.cli.exits import Exit
from dataknobs_data.cli.options import Config, Debug, DryRun, JsonDocument, Target, Where
from dataknobs_data.cli.plans import print_json
from dataknobs_data.cli.targets import expand_ids, open_s3
from dataknobs_data.exceptions import BatchError, ConfigurationError
from dataknobs_data.query import Query

if TYPE_CHECKING:
    from dataknobs_data.backends.s3 import S3Database
    from dataknobs_data.s3.archive.states import Restoration, RestoreStatus

SomeIds = Annotated[
    list[str] | None, typer.Argument(metavar="ID...", help="Ids of records; - reads them from stdin, one a line.")
]
Days = Annotated[
    int, typer.Option(min=1, metavar="N", help="How long they can be read then (default: 7 days).", show_default=False)
]
Tier = Annotated[
    str, typer.Option(metavar="expedited|standard|bulk", help="Dear and fast, or cheap and slow (default: standard).")
]
Wait = Annotated[
    bool, typer.Option("--wait", help="Come back when all of them can be read; Ctrl-C stops only the waiting.")
]
Timeout = Annotated[
    float | None,
    typer.Option(min=0, metavar="SECONDS", help="Wait no longer than this (default: until all can be read)."),
]
Status = Annotated[bool, typer.Option("--status", help="Only show how they stand; cannot be read yet: exit code 4.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask whether to spend it.")]


def restore(
    database: Target,
    ids: SomeIds = None,
    where: Where = None,
    days: Days = 7,
    tier: Tier = "standard",
    wait: Wait = False,
    timeout: Timeout = None,
    status: Status = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    json: JsonDocument = False,
    config: Config = None,
    debug: Debug = False,
) -> int:
    """Make archived records readable for some days, saying first what that costs."""
    which = _which(ids, where)
    if timeout is not None and not wait:
        raise ConfigurationError("--timeout goes with --wait")
    with open_s3(database, config, dry_run=dry_run) as db:
        if status:
            return _show_status(db.restore_status(which), json)
        planned = db.restore(which, days=days, tier=tier, dry_run=True)
        if dry_run:
            return _show(planned, json)
        output.say(str(planned.estimate))
        asks = planned.estimate.requests["RestoreObject"]
        if asks and not yes:
            what = "objects" if planned.packs else "records"
            output.ask(f"restore {planned.estimate.objects:,} {what}?")
        come_back = _command(database, which, config)
        return _restore(db, planned, come_back, json, days=days, tier=tier, wait=wait, timeout=timeout)


def _which(ids: list[str] | None, where: list[str] | None) -> list[str] | Query:
    if bool(ids) == bool(where):
        raise ConfigurationError("name the records: either ids, or --where with conditions on the id")
    return Query().and_(*map(parse_condition, where or ())) if where else expand_ids(ids or ())


def _restore(db: S3Database, planned: Restoration, come_back: str, json: bool, *, wait: bool, **how: Any) -> int:
    errors: dict[str, Exception] = {}
    with _progress(wait) as show:
        try:
            found = db.restore(planned, wait=wait, on_progress=show, **how)
        except BatchError as error:
            found = error.context["restoration"]
            errors = dict(found.failed)
        except KeyboardInterrupt:
            output.say(f"S3 goes on with what was requested; see how far it is with: {come_back}")
            raise
    code = _show(found, json)
    for id, failure in errors.items():
        output.error(f"{id!r}: {failure}")
    if waiting := [*found.waiting, *found.waiting_packs]:
        output.say(f"{len(waiting):,} cannot be read yet; see how far it is with: {come_back}")
    return Exit.PARTLY if errors or (wait and waiting) else code


def _command(database: str, which: list[str] | Query, config: Any) -> str:
    """The command line that shows how they stand."""
    words = ["dataknobs-data", "restore", database]
    words += ["--config", str(config)] if config else []
    if isinstance(which, Query):
        return f"{shlex.join(words)} --where … --status"
    few = len(which) <= 5
    return f"{shlex.join([*words, *(which if few else ())])}{'' if few else ' ID...'} --status"


@contextmanager
def _progress(wait: bool) -> Iterator[Callable[[Restoration], None] | None]:
    """Shows how far waiting is, on stderr: a bar where that is a terminal, else a line whenever something has changed."""
    if not wait:
        yield None
        return
    if not sys.stderr.isatty():
        said: list[str] = []

        def say(restoration: Restoration) -> None:
            summary = restoration.summary()
            if said[-1:] != [summary]:
                said.append(summary)
                output.say(summary)

        yield say
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=output.stderr, transient=True) as bar:
        task = bar.add_task("restoring", total=None)

        def update(restoration: Restoration) -> None:
            waiting = len(restoration.waiting) + len(restoration.waiting_packs)
            ready = len(restoration.restored) + list(restoration.packs.values()).count("restored")
            bar.update(task, total=ready + waiting, completed=ready)

        yield update


def _show(restoration: Restoration, json: bool) -> int:
    if json:
        document = {**asdict(restoration), "failed": {id: str(error) for id, error in restoration.failed.items()}}
        print_json(document | {"estimate": _plain(restoration)})
    else:
        groups = {
            "to be requested" if restoration.dry_run else "requested": restoration.requested,
            "in progress": restoration.in_progress,
            "restored": restoration.restored,
            "not archived": restoration.not_archived,
        }
        for group, ids in groups.items():
            _print_lines([(id, group) for id in ids])
        _print_lines([(f"pack {key}", shown) for key, shown in restoration.shown_packs()])
        if restoration.dry_run:
            print(restoration.estimate)
        output.say(restoration.summary(), "dim")
    return output.say_missing(restoration.missing)


def _plain(restoration: Restoration) -> dict[str, Any]:
    """The estimate with times in seconds."""
    found = asdict(restoration.estimate)
    for part in (found, *found["offers"]):
        for name in ("shortest", "longest"):
            length = part.pop(name)
            part[f"{name}_seconds"] = None if length is None else length.total_seconds()
    return found


def _show_status(found: Sequence[RestoreStatus], json: bool) -> int:
    if json:
        print_json([asdict(one) for one in found])
    else:
        _print_lines([_state(one) for one in found if one.state != "missing"])
    missing = output.say_missing([one.id for one in found if one.state == "missing"])
    waiting = any(not one.readable and one.state != "missing" for one in found)
    return missing or (Exit.PARTLY if waiting else Exit.OK)


def _state(one: RestoreStatus) -> tuple[str, str]:
    how = str(one).removeprefix(f"{one.id or one.pack}: ")
    return one.id or f"pack {one.pack}", how


def _print_lines(lines: Sequence[tuple[str, str]]) -> None:
    for id, how in lines:
        print(f"{output.escaped(id)}\t{how}")
