"""`get`, `search`, `count`: what looks and changes nothing."""

from __future__ import annotations

from contextlib import closing
from typing import Annotated, Any

import typer

from dataknobs_data.backends.s3_reads import ReadsPastArchives
from dataknobs_data.cli import output
from dataknobs_data.cli.conditions import parse_condition
from dataknobs_data.cli.exits import Exit
from dataknobs_data.cli.options import At, Config, Debug, Ids, Json, Metadata, SkipArchived, Table, Target, Where
from dataknobs_data.cli.targets import expand_ids, opened
from dataknobs_data.database import SyncDatabase
from dataknobs_data.exceptions import ConfigurationError
from dataknobs_data.query import Query, SortOrder

Sort = Annotated[
    list[str] | None, typer.Option(metavar="FIELD", help="Sort by this field, then by the next given (default: by id).")
]
Desc = Annotated[bool, typer.Option("--desc", help="Sort downwards.")]
Limit = Annotated[
    int | None,
    typer.Option(min=0, metavar="N", help=f"At most so many records (default: all; in a table {output.TABLE_ROWS})."),
]
Offset = Annotated[int, typer.Option(min=0, metavar="N", show_default=False, help="Skip so many records first.")]
Select = Annotated[
    list[str] | None, typer.Option(metavar="FIELD,...", help="Only these fields, in this order; may be repeated.")
]


def get(
    database: Target,
    ids: Ids,
    at: At = None,
    metadata: Metadata = False,
    json: Json = False,
    table: Table = False,
    config: Config = None,
    debug: Debug = False,
) -> int:
    """Show records by id."""
    people = _choose(json, table)
    wanted = expand_ids(ids)
    with opened(database, config, at) as db:
        found = db.batch_read(wanted)
    records = [record for record in found if record]
    if people and len(wanted) == len(records) == 1:
        output.print_record(records[0], metadata=metadata)
    elif people and records:
        output.print_table(records, metadata=metadata)
    else:
        output.print_lines(records, metadata=metadata)
    missing = [id for id, record in zip(wanted, found, strict=True) if record is None]
    return output.say_missing(missing)


def search(
    database: Target,
    where: Where = None,
    sort: Sort = None,
    desc: Desc = False,
    limit: Limit = None,
    offset: Offset = 0,
    select: Select = None,
    at: At = None,
    skip_archived: SkipArchived = False,
    metadata: Metadata = False,
    json: Json = False,
    table: Table = False,
    config: Config = None,
    debug: Debug = False,
) -> int:
    """Show the records that match all conditions."""
    people = _choose(json, table)
    query = query_of(where, sort, limit, offset, select, desc=desc)
    with opened(database, config, at) as db:
        how = _past_archives(db, skip_archived)
        if people:
            shown = _print_found(db, query, metadata, **how)
        else:
            shown = _print_streamed(db, query, metadata, **how)
    if shown == 0:
        output.say("no record matches" if where else "there are no records", "dim")
    return Exit.OK if shown else Exit.NOT_FOUND


def query_of(
    where: list[str] | None,
    sort: list[str] | None,
    limit: int | None,
    offset: int,
    select: list[str] | None,
    *,
    desc: bool,
) -> Query:
    """What the options of `search` ask for."""
    query = _query(where).limit(limit).offset(offset)
    query.select(*(name.strip() for part in select or () for name in part.split(",")))
    for field in sort or ():
        query.sort(field, SortOrder.DESC if desc else SortOrder.ASC)
    return query


def _past_archives(db: SyncDatabase, skip: bool) -> dict[str, Any]:
    if skip and not isinstance(db, ReadsPastArchives):
        raise ConfigurationError("--skip-archived: only databases on S3 have archives")
    return {"archived": "skip"} if skip else {}


def _print_streamed(db: SyncDatabase, query: Query, metadata: bool, **how: Any) -> int:
    with closing(db.stream_windows(query, **how)) as windows:
        return sum(output.print_lines(window, metadata=metadata) for window in windows)


def _print_found(db: SyncDatabase, query: Query, metadata: bool, **how: Any) -> int:
    most = output.TABLE_ROWS if query.limit_value is None else query.limit_value
    found = db.search(query.copy().limit(most + 1 if query.limit_value is None else most), **how)
    if found:
        output.print_table(found[:most], metadata=metadata, more=len(found) > most)
    return len(found)


def count(
    database: Target,
    where: Where = None,
    at: At = None,
    skip_archived: SkipArchived = False,
    config: Config = None,
    debug: Debug = False,
) -> int:
    """Print how many records there are, or match the conditions."""
    query = _query(where)
    with opened(database, config, at) as db:
        print(db.count(query, **_past_archives(db, skip_archived)))
    return Exit.OK


def _query(where: list[str] | None) -> Query:
    return Query().and_(*map(parse_condition, where or ()))


def _choose(json: bool, table: bool) -> bool:
    if json and table:
        raise ConfigurationError("--json and --table exclude each other")
    return output.for_people(json, table)
