"""`explain`: before another command, it says what that would send, move and cost."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dataknobs_data.cli.compact import Full
from dataknobs_data.cli.exits import Exit
from dataknobs_data.cli.lines import from_line
from dataknobs_data.cli.loading import open_source
from dataknobs_data.cli.options import Config, Debug, JsonDocument, SkipArchived, Target, Where
from dataknobs_data.cli.plans import print_json
from dataknobs_data.cli.read import Desc, Limit, Offset, Select, Sort, query_of
from dataknobs_data.cli.sql import Param, parse_parameters, parse_statements
from dataknobs_data.cli.targets import open_s3
from dataknobs_data.cli.write import File, IdField
from dataknobs_data.exceptions import DataknobsDataError
from dataknobs_data.records import Record

if TYPE_CHECKING:
    from dataknobs_data.s3.costs.estimate import Estimate

Count = Annotated[
    int | None, typer.Option(min=0, metavar="N", help="So many records like these (default: as many as there are).")
]

Statement = Annotated[str, typer.Argument(metavar="STATEMENT", help="A SELECT; the records are `FROM S3Object`.")]

explain = typer.Typer(
    name="explain",
    help="Put before a command: say what it would send, move and cost. Changes nothing.",
    rich_markup_mode=None,
)


@explain.command()
def search(
    database: Target,
    where: Where = None,
    sort: Sort = None,
    desc: Desc = False,
    limit: Limit = None,
    offset: Offset = 0,
    select: Select = None,
    skip_archived: SkipArchived = False,
    json: JsonDocument = False,
    config: Config = None,
    debug: Debug = False,
) -> int:
    """What `search` would read: packs and row groups kept and pruned, requests, bytes and dollars."""
    query = query_of(where, sort, limit, offset, select, desc=desc)
    with open_s3(database, config, dry_run=True) as db:
        return _show(db.explain.search(query, archived="skip" if skip_archived else "raise"), json)


@explain.command()
def sql(
    database: Target,
    statement: Statement,
    param: Param = None,
    skip_archived: SkipArchived = False,
    json: JsonDocument = False,
    config: Config = None,
    debug: Debug = False,
) -> int:
    """What `sql` would read for a statement over this database alone."""
    (asked,) = parse_statements(statement, single=True)
    parameters = parse_parameters(param or ())
    with open_s3(database, config, dry_run=True) as db:
        estimate = db.explain.select_query(asked, parameters, archived="skip" if skip_archived else "raise")
        return _show(estimate, json)


@explain.command()
def create(
    database: Target,
    file: File = None,
    id_field: IdField = None,
    count: Count = None,
    json: JsonDocument = False,
    config: Config = None,
    debug: Debug = False,
) -> int:
    """What `create` of these JSON lines would send."""
    with open_s3(database, config, dry_run=True) as db, _records(file, id_field) as records:
        return _show(db.explain.batch_create(records, count=count), json)


@explain.command()
def compact(
    database: Target, full: Full = False, json: JsonDocument = False, config: Config = None, debug: Debug = False
) -> int:
    """What `compact` would fold, rewrite and send."""
    with open_s3(database, config, dry_run=True) as db:
        return _show(db.explain.compact(full=full), json)


@contextmanager
def _records(file: Path | None, id_field: str | None) -> Iterator[Iterator[Record]]:
    """Those of the lines. Their iterator raises DataknobsDataError naming a line that makes no sense."""
    with open_source(file) as lines:

        def each() -> Iterator[Record]:
            for number, line in enumerate(lines, 1):
                if not line.strip():
                    continue
                try:
                    yield from_line(line, id_field)
                except DataknobsDataError as error:
                    raise type(error)(f"line {number:,}: {error}", **error.context) from error

        yield each()


def _show(estimate: Estimate, json: bool) -> int:
    if json:
        print_json(asdict(estimate))
    else:
        print(estimate)
    return Exit.OK
