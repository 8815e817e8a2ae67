"""The options that several commands share, written once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Target = Annotated[
    str,
    typer.Argument(
        metavar="DATABASE", help="URL, such as s3://bucket/prefix, or the name of a database in the config file."
    ),
]
Ids = Annotated[list[str], typer.Argument(metavar="ID...", help="Ids of records; - reads them from stdin, one a line.")]
Config = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="Where named databases are configured (default: $DATAKNOBS_CONFIG, else dataknobs.yaml)."
    ),
]
Where = Annotated[
    list[str] | None,
    typer.Option(
        metavar="'FIELD OP VALUE'",
        help="Only records for which this holds, such as 'age >= 30' or 'email exists'. May be repeated; then all must hold.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="JSON lines (default where stdout is no terminal).")]
Table = Annotated[bool, typer.Option("--table", help="A table (default in a terminal).")]
Metadata = Annotated[
    bool, typer.Option("--metadata", "-m", help="Also id, metadata and exact types; `create` takes them back.")
]
At = Annotated[
    str | None,
    typer.Option(
        metavar="WHEN",
        help="As it was: a version of the table (`log` has them) or an instant, such as 12 or 2024-05-01T12:00Z.",
    ),
]
SkipArchived = Annotated[
    bool, typer.Option("--skip-archived", help="Leave out what has to be restored first, and say so on stderr.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only show what would be changed.")]
JsonDocument = Annotated[bool, typer.Option("--json", help="Print one JSON document, for programs.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show where in the program an error comes from.")]
