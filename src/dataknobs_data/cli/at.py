"""`at`: what there was at a moment, and whether that can still be read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from dataknobs_data.cli import output
from dataknobs_data.cli.exits import Exit
from dataknobs_data.cli.options import Config, Debug, Json, Table, Target
from dataknobs_data.cli.targets import open_past
from dataknobs_data.s3.costs.estimate import counted

When = Annotated[
    str,
    typer.Argument(
        metavar="WHEN",
        help="A version of the table (`log` has them) or an instant, such as 12 or 2024-05-01T12:00Z (UTC where no zone is named).",
    ),
]


@dataclass(frozen=True)
class Then:
    """A moment of a database."""

    at: str
    table_version: int | None
    records: int


def at(
    database: Target,
    when: When,
    json: Json = False,
    table: Table = False,
    config: Config = None,
    debug: Debug = False,
) -> int:
    """Show what there was at a moment: its second, the table's version, and how many records. --at WHEN reads them."""
    people = output.for_people(json, table)
    with open_past(database, config, when) as past:
        then = Then(past.timestamp.isoformat(), past.table_version, past.count())
    if people:
        version = "there was no table" if then.table_version is None else f"table version {then.table_version}"
        print(f"{past.timestamp:%Y-%m-%d %H:%M:%S} UTC: {version}, {counted(then.records, 'record')}")
    else:
        output.print_value(then)
    return Exit.OK
