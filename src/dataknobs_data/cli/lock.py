"""`lock`: versions that nobody can delete for a time."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dataknobs_data.cli import output
from dataknobs_data.cli.exits import Exit
from dataknobs_data.cli.options import Config, Debug, DryRun, JsonDocument, Target
from dataknobs_data.cli.plans import print_json, show_plan
from dataknobs_data.cli.targets import expand_ids, open_s3
from dataknobs_data.exceptions import BatchError, ConfigurationError

if TYPE_CHECKING:
    from dataknobs_data.s3.admin.object_lock import Lock, ObjectLock

LockedIds = Annotated[
    list[str] | None, typer.Argument(metavar="ID...", help="Ids of records; - reads them from stdin, one a line.")
]
Retain = Annotated[
    int | None, typer.Option(metavar="DAYS", help="Keep the present versions of these records for so many days.")
]
Mode = Annotated[
    str | None,
    typer.Option(
        metavar="GOVERNANCE|COMPLIANCE", help="Whether a permission undoes it, or nobody can (default: GOVERNANCE)."
    ),
]
Irrevocable = Annotated[bool, typer.Option("--irrevocable", help="COMPLIANCE is meant: nobody can undo it.")]
Bypass = Annotated[bool, typer.Option("--bypass", help="Also make a GOVERNANCE retention shorter.")]
Hold = Annotated[bool, typer.Option("--hold", help="Put a legal hold on the present versions.")]
Release = Annotated[bool, typer.Option("--release", help="Take the legal hold off.")]
Enable = Annotated[bool, typer.Option("--enable", help="Let the bucket lock versions. There is no way back.")]
DefaultDays = Annotated[
    int | None,
    typer.Option(metavar="DAYS", help="With --enable: lock everything that is written to the bucket for so long."),
]


Yes = Annotated[bool, typer.Option("--yes", "-y", help="With --enable: do not ask whether it is meant.")]


def lock(
    database: Target,
    ids: LockedIds = None,
    retain: Retain = None,
    mode: Mode = None,
    irrevocable: Irrevocable = False,
    bypass: Bypass = False,
    hold: Hold = False,
    release: Release = False,
    enable: Enable = False,
    default_days: DefaultDays = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    json: JsonDocument = False,
    config: Config = None,
    debug: Debug = False,
) -> int:
    """Show or change which versions cannot be deleted."""
    wishes = {"--retain": retain is not None, "--hold": hold, "--release": release, "--enable": enable}
    others = {"--mode": mode, "--irrevocable": irrevocable, "--bypass": bypass, "--default-days": default_days}
    _check(bool(ids), [option for option, wish in wishes.items() if wish], others, dry_run)
    wanted = expand_ids(ids or ())
    with open_s3(database, config, dry_run=dry_run) as db:
        locks = db.object_lock
        if enable:
            chosen = (mode or "GOVERNANCE") if default_days is not None else None
            how: dict[str, Any] = {"mode": chosen, "days": default_days, "irrevocable": irrevocable}
            plan = locks.enable(**how, dry_run=True)
            if plan.changes and not dry_run:
                if not yes:
                    output.say(str(plan))
                    output.ask("let the bucket lock versions, for good?")
                plan = locks.enable(**how)
            return show_plan(plan, json)
        if retain is not None:
            options: dict[str, Any] = {"bypass": bypass, "irrevocable": irrevocable}
            return _change(lambda: locks.retain(wanted, retain, mode or "GOVERNANCE", **options), wanted, json)
        if hold or release:
            return _change(lambda: (locks.hold if hold else locks.release)(wanted), wanted, json)
        if wanted:
            return _show(locks, wanted, json)
        found = locks.get()
        print_json(asdict(found) if found else None)
    return Exit.OK


_GOES_WITH = {
    "--mode": ("--retain", "--default-days"),
    "--irrevocable": ("--retain", "--default-days"),
    "--bypass": ("--retain",),
    "--default-days": ("--enable",),
    "--dry-run": ("--enable",),
}


def _check(has_ids: bool, wishes: list[str], others: dict[str, Any], dry_run: bool) -> None:
    if len(wishes) > 1:
        raise ConfigurationError(f"{' and '.join(wishes)} exclude each other")
    given = [*wishes, *(option for option, value in others.items() if value is not None and value is not False)]
    for option in [*given, *(["--dry-run"] if dry_run else [])]:
        needed = _GOES_WITH.get(option, ())
        if needed and not set(needed) & set(given):
            raise ConfigurationError(f"{option} goes with {' or '.join(needed)}")
    if has_ids and "--enable" in given:
        raise ConfigurationError("--enable is for the whole bucket: give no ids")
    if not has_ids and wishes and "--enable" not in given:
        raise ConfigurationError(f"{wishes[0]} takes the ids of records")


def _change(change: Any, wanted: list[str], json: bool) -> int:
    try:
        _print(change(), json)
    except BatchError as error:
        if len(error.failed) == len(wanted) or error.stopped:
            raise error.failed[error.failed_indices[-1]][1] from error
        _print(list(error.context["results"].values()), json)
        for index in error.failed_indices:
            output.error(f"{wanted[index]!r}: {error.failed[index][1]}")
        return Exit.PARTLY
    return Exit.OK


def _show(locks: ObjectLock, wanted: list[str], json: bool) -> int:
    found = {id: locks.status(id) for id in wanted}
    _print([one for one in found.values() if one], json)
    return output.say_missing([id for id, one in found.items() if one is None])


def _print(found: list[Lock], json: bool) -> None:
    if json:
        print_json([asdict(one) for one in found])
        return
    for one in found:
        retained = f"{one.mode} until {one.until:%Y-%m-%d %H:%M:%S}Z" if one.until else ""
        states = [retained, "legal hold" if one.hold else ""]
        print(
            f"{output.escaped(one.id)} {output.escaped(one.version_id)}: {', '.join(filter(None, states)) or 'not locked'}"
        )
