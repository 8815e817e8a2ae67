"""`tags`: the object tags of a record, and the bucket's tags by which AWS splits the bill."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from dataknobs_data.cli import output
from dataknobs_data.cli.exits import Exit
from dataknobs_data.cli.options import Config, Debug, DryRun, JsonDocument, Target
from dataknobs_data.cli.plans import print_json, show_plan
from dataknobs_data.cli.targets import open_s3
from dataknobs_data.exceptions import ConfigurationError

if TYPE_CHECKING:
    from dataknobs_data.backends.s3 import S3Database
    from dataknobs_data.s3.admin.cost_tags import CostShare

Id = Annotated[
    str | None, typer.Argument(metavar="ID", help="Show this record's object tags (default: the bucket's tags).")
]
Set = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Set a tag of the bucket; may be repeated.")
]
Unset = Annotated[
    list[str] | None, typer.Option("--unset", metavar="KEY", help="Remove a tag of the bucket; may be repeated.")
]
By = Annotated[
    str | None,
    typer.Option("--by", metavar="NAME", help="Show what the records cost a month, for each value of this metadata."),
]


def tags(
    database: Target,
    id: Id = None,
    set_: Set = None,
    unset: Unset = None,
    by: By = None,
    dry_run: DryRun = False,
    json: JsonDocument = False,
    config: Config = None,
    debug: Debug = False,
) -> int:
    """Show a record's object tags, or show or change the bucket's cost allocation tags."""
    changes = bool(set_ or unset)
    if id is not None and (changes or by is not None):
        raise ConfigurationError(
            "a record's tags follow its metadata; --set, --unset and --by are for the bucket, without ID"
        )
    if by is not None and changes:
        raise ConfigurationError("--by only looks: it goes without --set and --unset")
    if dry_run and not changes:
        raise ConfigurationError("say what to change: --set or --unset")
    pairs = _pairs(set_ or ())
    with open_s3(database, config, dry_run=dry_run) as db:
        if id is not None:
            return _show_record(db, id, json)
        if changes:
            return show_plan(db.cost_tags.change(pairs, tuple(unset or ()), dry_run=dry_run), json)
        if by is not None:
            return _show_shares(by, db.cost_tags.split(by), json)
        _show_tags(db.cost_tags.get(), json)
    return Exit.OK


def _pairs(given: Sequence[str]) -> dict[str, str]:
    pairs = list(map(_pair, given))
    twice = next((key for key, count in Counter(key for key, _ in pairs).items() if count > 1), None)
    if twice is not None:
        raise ConfigurationError(f"--set names {twice} twice")
    return dict(pairs)


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise ConfigurationError(f"--set {text!r}: write it as KEY=VALUE")
    return key, value


def _show_record(db: S3Database, id: str, json: bool) -> int:
    found = db.tags(id)
    if found is None:
        return output.say_missing([id])
    if json:
        print_json({"tags": dict(found), "skipped": found.skipped})
        return Exit.OK
    _show_tags(found, json=False)
    for name, reason in found.skipped.items():
        output.say(f"not a tag: {name}: {reason}", "dim")
    return Exit.OK


def _show_tags(found: dict[str, str], json: bool) -> None:
    if json:
        print_json(found)
        return
    for name, value in found.items():
        print(output.escaped(f"{name}={value}"))


def _show_shares(by: str, shares: list[CostShare], json: bool) -> int:
    if json:
        print_json([asdict(share) for share in shares])
        return Exit.OK
    grid = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="bold")
    grid.add_column(output.plain(by))
    for name in ("records", "bytes", "dollars a month"):
        grid.add_column(name, justify="right")
    for share in shares:
        value = share.value if share.value is not None else "(none)" if share.known else "(archived)"
        grid.add_row(output.plain(value), f"{share.records:,}", f"{share.bytes:,}", f"{share.dollars_per_month:,.6f}")
    Console(highlight=False).print(grid)
    return Exit.OK
