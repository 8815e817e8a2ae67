"""`lifecycle`: what S3 itself moves to another storage class or deletes, and when."""

from __future__ import annotations

import json as json_text
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from dataknobs_data.cli import output
from dataknobs_data.cli.exits import Exit
from dataknobs_data.cli.options import Config, Debug, DryRun, JsonDocument, Target
from dataknobs_data.cli.plans import print_json, show_plan
from dataknobs_data.cli.targets import open_s3
from dataknobs_data.exceptions import ConfigurationError
from dataknobs_data.s3.admin.lifecycle.rules import words

if TYPE_CHECKING:
    from dataknobs_data.s3.admin.lifecycle.section import Lifecycle

Move = Annotated[
    list[str] | None,
    typer.Option(
        "--move", metavar="CLASS=DAYS", help="Move records to a storage class after so many days. Repeatable."
    ),
]
MoveNoncurrent = Annotated[
    list[str] | None,
    typer.Option(
        metavar="CLASS=DAYS", help="Move versions so many days after they were overwritten or deleted. Repeatable."
    ),
]
ExpireNoncurrent = Annotated[
    int | None,
    typer.Option(metavar="DAYS", help="Delete versions so many days after they were overwritten or deleted."),
]
KeepNoncurrent = Annotated[
    int | None, typer.Option(metavar="N", help="Of these, keep the newest N of each record, however old.")
]
AbortUploads = Annotated[
    int | None,
    typer.Option(metavar="DAYS", help="Throw away what is left of failed uploads (default: 7, unless a rule does so)."),
]
Expire = Annotated[
    int | None, typer.Option(metavar="DAYS", help="Delete RECORDS after so many days; with --allow-deleting-records.")
]
AllowDeleting = Annotated[
    bool, typer.Option("--allow-deleting-records", help="Records may be deleted; there is no way back.")
]
From = Annotated[
    Path | None,
    typer.Option(
        "--from",
        metavar="FILE",
        help="Add the rules of a JSON file in boto3's form, corrected.",
        dir_okay=False,
        exists=True,
    ),
]
Remove = Annotated[bool, typer.Option("--remove", help="Remove this database's rules, with --name those of one name.")]
Name = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="What the rules are called (default: archive). Those of that name are replaced."),
]
LargerThan = Annotated[
    int | None,
    typer.Option(
        metavar="BYTES", help="Only records of more bytes (default for --move: 131072; smaller ones cost more there)."
    ),
]
IdPrefix = Annotated[str, typer.Option(metavar="TEXT", help="Only records whose ids begin so.")]
Tag = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME=VALUE", help="Only records with this tag. May be repeated; then with all."),
]

_SOURCES = "--from, --remove, and --move and its like, exclude each other"


def lifecycle(
    database: Target,
    move: Move = None,
    expire_noncurrent: ExpireNoncurrent = None,
    keep_noncurrent: KeepNoncurrent = None,
    move_noncurrent: MoveNoncurrent = None,
    abort_uploads: AbortUploads = None,
    expire: Expire = None,
    allow_deleting_records: AllowDeleting = False,
    file: From = None,
    remove: Remove = False,
    name: Name = None,
    larger_than: LargerThan = None,
    id_prefix: IdPrefix = "",
    tag: Tag = None,
    dry_run: DryRun = False,
    json: JsonDocument = False,
    config: Config = None,
    debug: Debug = False,
) -> int:
    """Show or change what S3 itself moves to cheaper storage classes or deletes, and when."""
    wanted: dict[str, Any] = {
        "transition": _pairs("--move", move, days=True),
        "expire_days": expire,
        "noncurrent_days": expire_noncurrent,
        "noncurrent_keep": keep_noncurrent,
        "noncurrent_transition": _pairs("--move-noncurrent", move_noncurrent, days=True),
        "abort_uploads_days": abort_uploads,
    }
    wanted = {option: value for option, value in wanted.items() if value is not None}
    where: dict[str, Any] = {"id_prefix": id_prefix, "larger_than_bytes": larger_than}
    tags = _pairs("--tag", tag)
    _check(
        bool(wanted), file, remove, name, any((id_prefix, larger_than is not None, tags, allow_deleting_records)), tags
    )
    document = _loaded(file) if file else None
    with open_s3(database, config, dry_run=dry_run) as db:
        if remove:
            return show_plan(db.lifecycle.remove(name, dry_run=dry_run), json)
        change = {**where, "allow_deleting_records": allow_deleting_records, "dry_run": dry_run}
        if document is not None:
            return show_plan(db.lifecycle.merge(document, **change), json)
        if wanted:
            return show_plan(db.lifecycle.add(name or "archive", tags=tags, **wanted, **change), json)
        return _show(db.lifecycle, json)


def _check(wanted: bool, file: Path | None, remove: bool, name: str | None, narrowed: bool, tags: Any) -> None:
    if wanted + bool(file) + remove > 1:
        raise ConfigurationError(_SOURCES)
    if file and (name or tags):
        raise ConfigurationError("--name and --tag do not go with --from: names and tags stand in the file")
    if (narrowed and not (wanted or file)) or (name and not (wanted or remove)):
        raise ConfigurationError("say what is to be done, such as --move GLACIER=90, beside which records it is for")


def _pairs(option: str, given: list[str] | None, *, days: bool = False) -> dict[str, Any] | None:
    """The mapping that repeated NAME=VALUE options say; None where there are none."""
    if not given:
        return None
    pairs: dict[str, Any] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name or (days and not value.isdecimal()):
            form = "CLASS=DAYS, such as GLACIER=90" if days else "NAME=VALUE, such as team=blue"
            raise ConfigurationError(f"{option} {text!r}: write {form}")
        if name in pairs:
            raise ConfigurationError(f"{option} names {name} twice")
        pairs[name] = int(value) if days else value
    return pairs


def _loaded(file: Path) -> Any:
    try:
        return json_text.loads(file.read_text())
    except (ValueError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{file} is no JSON: {error}") from error


def _show(rules: Lifecycle, json: bool) -> int:
    found, ours = rules.rules(), {rule["ID"] for rule in rules.ours()}
    if json:
        print_json({"Rules": found, "ours": [rule["ID"] for rule in found if rule.get("ID") in ours]})
        return Exit.OK
    if not found:
        output.say("the bucket has no lifecycle rules", "dim")
        return Exit.OK
    grid = output.grid(("whose", "rule", "what"))
    for rule in found:
        id = rule.get("ID", "")
        name = id.rpartition(":")[2] if id in ours else id  # what --name takes, up to a dot
        grid.add_row("ours" if id in ours else "", *map(output.plain, (name, words(rule))))
    Console(highlight=False).print(grid)
    return Exit.OK
