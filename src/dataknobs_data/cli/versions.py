"""`history`, `revert`, `undelete`, `versioning`: what a bucket that keeps versions has of a record."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer
from rich.console import Console

from dataknobs_data.cli import output
from dataknobs_data.cli.exits import Exit
from dataknobs_data.cli.lines import to_line
from dataknobs_data.cli.options import Config, Debug, DryRun, Ids, Json, JsonDocument, Table, Target
from dataknobs_data.cli.plans import print_json, show_plan
from dataknobs_data.cli.targets import expand_ids, open_s3
from dataknobs_data.exceptions import ConfigurationError, DataFormatError, RecordNotFoundError
from dataknobs_data.s3.admin.plan import Plan

if TYPE_CHECKING:
    from dataknobs_data.backends.s3 import S3Database
    from dataknobs_data.records import Record
    from dataknobs_data.s3.admin.versions import Version

Id = Annotated[str, typer.Argument(metavar="ID", help="Id of a record.")]
VersionId = Annotated[str, typer.Argument(metavar="VERSION", help="Version id, as `history` shows it.")]
Limit = Annotated[int | None, typer.Option(min=1, metavar="N", help="Only the newest N (default: all).")]
Expected = Annotated[
    str | None,
    typer.Option(metavar="REVISION", help="Only if the record is still at this revision, as `history` shows it."),
]
Enable = Annotated[bool, typer.Option("--enable", help="Keep versions from now on.")]
Suspend = Annotated[bool, typer.Option("--suspend", help="Keep no more versions; those that there are stay.")]


def history(
    database: Target,
    id: Id,
    limit: Limit = None,
    json: Json = False,
    table: Table = False,
    config: Config = None,
    debug: Debug = False,
) -> int:
    """Show the versions of a record, newest first."""
    people = output.for_people(json, table)
    with open_s3(database, config) as db:
        versions = db.history(id, limit=limit)
    if not versions:
        output.error(f"there is no version of a record {id!r}")
        return Exit.NOT_FOUND
    if people:
        _print_table(versions)
    else:
        for version in versions:
            output.print_value(version)
    return Exit.OK


def _print_table(versions: Sequence[Version]) -> None:
    grid = output.grid(("when (UTC)", "who", "what", "bytes", "class", "revision", "version id"), {"bytes"})
    for one in versions:
        grid.add_row(
            f"{one.at:%Y-%m-%d %H:%M:%S}",
            output.plain(one.author or one.owner or ""),
            ("deleted" if one.is_delete_marker else "written") + (", now" if one.is_latest else ""),
            "" if one.is_delete_marker else f"{one.size_bytes:,}",
            "" if one.is_delete_marker else output.plain(one.storage_class),
            output.plain(one.revision or ""),
            output.plain(one.version_id),
        )
    Console(highlight=False).print(grid)


def revert(
    database: Target,
    id: Id,
    version: VersionId,
    expected_version: Expected = None,
    dry_run: DryRun = False,
    json: JsonDocument = False,
    config: Config = None,
    debug: Debug = False,
) -> int:
    """Make an older version of a record the present one, by writing it again."""
    with open_s3(database, config, dry_run=dry_run) as db:
        if dry_run:
            return _show_revert(db, id, version, json)
        record = db.revert(id, version, expected_version=expected_version)
    if json:
        print(to_line(record, metadata=True).decode(), end="")
    output.say(f"record {id!r} is as it was in version {version}")
    return Exit.OK


def _show_revert(db: S3Database, id: str, version: str, json: bool) -> int:
    there = db.read(id, version_id=version)
    if there is None:
        raise RecordNotFoundError(f"record {id!r} has no version {version!r} that could be read")
    try:
        now = _shown(db.read(id))
    except DataFormatError as error:
        now = {"damaged": str(error)}
    return show_plan(Plan(f"record {id!r}", now, _shown(there)), json)


def _shown(record: Record | None) -> dict[str, Any] | None:
    """A record without what every write changes."""
    if record is None:
        return None
    shown: dict[str, Any] = orjson.loads(to_line(record, metadata=True))
    shown["_metadata"].pop("updated_at")
    return shown


def undelete(
    database: Target,
    ids: Ids,
    dry_run: DryRun = False,
    config: Config = None,
    debug: Debug = False,
) -> int:
    """Bring deleted records back, as their newest versions have them."""
    code = Exit.OK
    with open_s3(database, config, dry_run=dry_run) as db:
        for id in expand_ids(ids):
            try:
                back = db.undelete(id, dry_run=dry_run)
            except RecordNotFoundError as error:
                output.error(str(error))
                code = Exit.NOT_FOUND
                continue
            if back:
                print(output.escaped(id))
            else:
                output.say(f"record {id!r} is not deleted", "dim")
    if dry_run:
        output.say("nothing was changed: this is a dry run", "dim")
    return code


def versioning(
    database: Target,
    enable: Enable = False,
    suspend: Suspend = False,
    dry_run: DryRun = False,
    json: JsonDocument = False,
    config: Config = None,
    debug: Debug = False,
) -> int:
    """Show whether the bucket keeps versions, or change that."""
    if enable and suspend:
        raise ConfigurationError("--enable and --suspend exclude each other")
    with open_s3(database, config, dry_run=dry_run) as db:
        if enable:
            return show_plan(db.enable_versioning(dry_run=dry_run), json)
        if suspend:
            return show_plan(db.suspend_versioning(dry_run=dry_run), json)
        status = db.versioning()
    if json:
        print_json({"versioning": status})
    else:
        print(status or "Off")
    return Exit.OK
