"""`presign`: addresses of records for people without credentials."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated

import typer

from dataknobs_data.cli import output
from dataknobs_data.cli.exits import Exit
from dataknobs_data.cli.options import Config, Debug, Ids, JsonDocument, Target
from dataknobs_data.cli.plans import print_json
from dataknobs_data.cli.targets import expand_ids, open_s3
from dataknobs_data.exceptions import ConfigurationError

SECONDS_DEFAULT = 3600
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_SPAN = re.compile(r"(?:[0-9]{1,6}[smhd])+")

Seconds = Annotated[int | None, typer.Option(metavar="N", help="Good for N seconds (default: 3600; at most 7 days).")]
For = Annotated[str | None, typer.Option("--for", metavar="SPAN", help="Good for so long, such as 90m, 2h, 7d, 1h30m.")]
VersionId = Annotated[
    str | None, typer.Option(metavar="VERSION", help="Of this older version of the record, as `history` shows it.")
]


def presign(
    database: Target,
    ids: Ids,
    seconds: Seconds = None,
    span: For = None,
    version_id: VersionId = None,
    json: JsonDocument = False,
    config: Config = None,
    debug: Debug = False,
) -> int:
    """Print addresses at which anybody may read these records for a while, one a line."""
    wanted = expand_ids(ids)
    good_for = _seconds(seconds, span)
    if version_id is not None and len(wanted) != 1:
        raise ConfigurationError(f"--version-id is that of one record; {len(wanted)} ids were given")
    with open_s3(database, config) as db:
        urls = {id: db.presign(id, good_for, version_id=version_id) for id in wanted}
    if json:
        print_json([{"id": id, "url": url, "seconds": good_for} for id, url in urls.items()])
    else:
        for id in wanted:
            print(urls[id])
    output.say(f"good for {timedelta(seconds=good_for)}, for whoever has them", "dim")
    return Exit.OK


def _seconds(seconds: int | None, span: str | None) -> int:
    if span is None:
        return SECONDS_DEFAULT if seconds is None else seconds
    if seconds is not None:
        raise ConfigurationError("--seconds and --for exclude each other")
    if not _SPAN.fullmatch(span):
        raise ConfigurationError(f"--for {span!r} is no span of time; write 45s, 90m, 2h, 7d or 1h30m")
    return sum(int(number) * _UNITS[unit] for number, unit in re.findall(r"([0-9]+)([smhd])", span))
