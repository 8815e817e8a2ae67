"""`create` and `rm`: what changes records, batch by batch."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Annotated

import orjson
import typer

from dataknobs_data.batches import BATCH
from dataknobs_data.cli import output
from dataknobs_data.cli.exits import Exit
from dataknobs_data.cli.lines import ID
from dataknobs_data.cli.loading import Load, open_source, progress
from dataknobs_data.cli.options import Config, Debug, Ids, Target
from dataknobs_data.cli.targets import expand_ids, open_target
from dataknobs_data.exceptions import BatchError
from dataknobs_data.streaming import ConflictPolicy, windows

File = Annotated[
    Path | None,
    typer.Argument(metavar="FILE", help="JSON lines, one object a line (default: stdin).", dir_okay=False, exists=True),
]
IdField = Annotated[
    str | None,
    typer.Option(
        metavar="FIELD", help="The field whose value is the id (default: _id, id or record_id, else ids are made)."
    ),
]
OnConflict = Annotated[
    ConflictPolicy,
    typer.Option(
        metavar="|".join(ConflictPolicy),
        help="When an id is taken: fail that record, overwrite, or leave what is there.",
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Do not print the ids.")]
Json = Annotated[bool, typer.Option("--json", help='Print the ids as {"_id": "…"}, one a line.')]


def create(
    database: Target,
    file: File = None,
    id_field: IdField = None,
    on_conflict: OnConflict = ConflictPolicy.INSERT,
    quiet: Quiet = False,
    json: Json = False,
    config: Config = None,
    debug: Debug = False,
) -> int:
    """Store records from JSON lines; print their ids."""
    show_ids = None if quiet else partial(_print_ids, json=json)
    with open_target(database, config) as db, open_source(file) as lines, progress(file, quiet) as show:
        load = Load(db, on_conflict, id_field, show_ids)
        try:
            with load:
                for window in windows(enumerate(lines, 1), BATCH):
                    load.write(window)
                    show(load, sum(len(line) for _, line in window))
                load.finish()
        except KeyboardInterrupt:
            perhaps = "; some of those under way may be in" if load.under_way else ""
            output.say(f"stopped: {load.summary()}{perhaps}")
            raise
    if load.failed or load.skipped or sys.stderr.isatty():
        output.say(load.summary())
    return Exit.PARTLY if load.failed else Exit.OK


def _print_ids(ids: list[str], json: bool) -> None:
    for id in ids:
        sys.stdout.buffer.write(orjson.dumps({ID: id}) + b"\n" if json else id.encode() + b"\n")
    sys.stdout.buffer.flush()


def rm(database: Target, ids: Ids, config: Config = None, debug: Debug = False) -> int:
    """Delete records by id."""
    wanted = expand_ids(ids)
    with open_target(database, config) as db:
        try:
            found = db.batch_delete(wanted)
        except BatchError as error:
            if error.stopped:
                raise error.failed[error.failed_indices[-1]][1] from error
            for index in error.failed_indices:
                output.error(f"{wanted[index]!r}: {error.failed[index][1]}")
            return Exit.PARTLY
    return output.say_missing([id for id, was_there in zip(wanted, found, strict=True) if not was_there])
