"""`sql`: a SELECT over the records of one database, or of several; one statement, a script, or a prompt."""

from __future__ import annotations

import json as json_text
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from dataknobs_data.cli import output
from dataknobs_data.cli.exits import Exit
from dataknobs_data.cli.options import At, Config, Debug, Json, SkipArchived, Table, Target
from dataknobs_data.cli.prompt import Prompt, asking
from dataknobs_data.cli.results import ONE_RESULT, Format, format_of, show_rows, sink_of, write_rows
from dataknobs_data.cli.statements import statements
from dataknobs_data.cli.targets import open_past, open_s3, open_target
from dataknobs_data.database import SyncDatabase
from dataknobs_data.exceptions import ConfigurationError
from dataknobs_data.runtime import Runtime
from dataknobs_data.s3.archive.skipping import Archived
from dataknobs_data.s3.costs.estimate import counted
from dataknobs_data.select.dialect import OWN

if TYPE_CHECKING:
    from dataknobs_data.backends.s3 import S3Database
    from dataknobs_data.select.results import SqlResult

TAKEN = frozenset({"self", "sql", "params", "timeout", "archived"})
"""What no other database can be called: these are parameters of `S3Database.sql`."""

_PARAMETER = re.compile(r"\s*(?P<name>\w+)\s*=(?P<value>.*)", re.DOTALL)
_NAMED = re.compile(r"(?P<name>[A-Za-z_]\w*)=(?P<database>.+)", re.DOTALL)

Statement = Annotated[
    str | None,
    typer.Argument(
        metavar="STATEMENT",
        help="A SELECT; the records are `FROM S3Object` (default: a prompt in a terminal, else statements from stdin).",
    ),
]
Param = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=VALUE",
        help="The value of $NAME, or of the first ? with 1=VALUE; JSON, else text. May be repeated.",
    ),
]
With = Annotated[
    list[str] | None,
    typer.Option("--with", metavar="NAME=DATABASE", help="Another database, to join as NAME. May be repeated."),
]
Timeout = Annotated[
    float | None, typer.Option(min=0.001, metavar="SECONDS", help="For each statement (default: query_timeout, 300).")
]
Form = Annotated[
    Format | None,
    typer.Option(
        "--format",
        "-f",
        metavar="|".join(Format),
        help="How to write rows (default: a table in a terminal, else jsonl).",
    ),
]
Output = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        dir_okay=False,
        help="Write to a file; .csv, .jsonl, .json or .parquet says how.",
    ),
]
Limit = Annotated[
    int,
    typer.Option(
        min=1, metavar="N", show_default=False, help=f"Rows that a table shows at most (default: {output.TABLE_ROWS})."
    ),
]


def sql(
    database: Target,
    statement: Statement = None,
    param: Param = None,
    with_: With = None,
    at: At = None,
    timeout: Timeout = None,
    form: Form = None,
    file: Output = None,
    limit: Limit = output.TABLE_ROWS,
    skip_archived: SkipArchived = False,
    json: Json = False,
    table: Table = False,
    config: Config = None,
    debug: Debug = False,
) -> int:
    """Ask the records in SQL: DuckDB's SELECT, over exactly the live records; nested fields are s.address.city, s.tags[0]."""
    chosen = format_of(form, file, json=json, table=table)
    parameters = parse_parameters(param or ())
    prompting = statement is None and sys.stdin.isatty()
    asked = [] if prompting else parse_statements(statement, single=file is not None or chosen in ONE_RESULT)
    with _databases(database, with_ or (), at, config) as (db, others):
        session = Session(db, others, parameters, timeout, "skip" if skip_archived else "raise", chosen, limit)
        if prompting:
            with asking() as ask, sink_of(file) as sink:
                Prompt(ask, lambda one: session.run(one, sink), session.databases, session.columns).run()
            return Exit.OK
        with sink_of(file) as sink:
            rows = sum(session.run(one, sink) for one in asked)
    if file:
        output.say(f"{counted(rows, 'row')} written to {file}", "dim")
    return Exit.OK


def parse_statements(text: str | None, *, single: bool) -> list[str]:
    """The statements of a text, or of stdin, at least one. Raises ConfigurationError, also where only a `single` one has room."""
    found = statements(sys.stdin.read() if text is None else text)
    if not found:
        raise ConfigurationError("there is no statement: give one behind the database, or on stdin")
    if len(found) > 1 and single:
        raise ConfigurationError(
            f"{len(found)} statements: only one has a place here (a file, JSON, Parquet and explain take one)"
        )
    return found


@contextmanager
def _databases(
    target: str, with_: Sequence[str], at: str | None, config: Path | None
) -> Iterator[tuple[S3Database, dict[str, SyncDatabase]]]:
    """The one that is asked, and the others by name."""
    with ExitStack() as ends:
        others: dict[str, SyncDatabase] = {}
        for text in with_:
            found = _NAMED.fullmatch(text)
            if not found:
                raise ConfigurationError(
                    f"--with {text!r}: write NAME=DATABASE, such as customers=file:customers.jsonl"
                )
            if found["name"] in TAKEN:
                raise ConfigurationError(f"--with {text!r}: {found['name']!r} cannot be such a name; take another")
            others[found["name"]] = ends.enter_context(open_target(found["database"], config))
        one = open_s3(target, config, dry_run=True) if at is None else open_past(target, config, at)
        yield ends.enter_context(cast("Any", one)), others


def parse_parameters(given: Sequence[str]) -> list[Any] | dict[str, Any] | None:
    """The values of parameters: by name, or in a list where they are numbered. Raises ConfigurationError quoting one."""
    values: dict[str, Any] = {}
    for text in given:
        found = _PARAMETER.fullmatch(text)
        if not found:
            raise ConfigurationError(f"--param {text!r}: write NAME=VALUE for $NAME, or 1=VALUE for the first ?")
        values[found["name"]] = _value(found["value"])
    if not values:
        return None
    numbers = [str(number) for number in range(1, len(values) + 1)]
    return [values[number] for number in numbers] if values.keys() == set(numbers) else values


def _value(text: str) -> Any:
    try:
        return json_text.loads(text)
    except ValueError:
        return text


@dataclass(frozen=True)
class Session:
    """Statements over the same databases, with the same options."""

    db: S3Database
    others: Mapping[str, SyncDatabase]
    parameters: list[Any] | dict[str, Any] | None
    timeout: float | None
    archived: Archived
    form: Format
    limit: int

    def run(self, statement: str, sink: Any) -> int:
        """Carries out one statement and shows what it finds; how many rows were written. Raises public errors."""
        clock = Runtime().monotonic
        began = clock()
        with self._result(statement, self.parameters) as result:
            if self.form is Format.TABLE:
                show_rows(result, self.limit, lambda: clock() - began)
                written = 0
            else:
                written = write_rows(result, self.form, sink)
                sink.flush()
            for error in result.skipped:
                output.say(f"left out: {error}")
        return written

    def _result(self, statement: str, parameters: Any) -> SqlResult:
        others: Any = self.others
        return self.db.sql(statement, parameters, timeout=self.timeout, archived=self.archived, **others)

    @property
    def databases(self) -> dict[str, str]:
        """What can be asked, by the name that it has in statements."""
        return {OWN: repr(self.db)} | {name: repr(one) for name, one in self.others.items()}

    def columns(self, name: str) -> dict[str, str]:
        """The columns of one of them that `SELECT *` has, with their types."""
        quoted = '"' + name.replace('"', '""') + '"'
        with self._result(f"SELECT * FROM {quoted} LIMIT 0", None) as result:
            return {field.name: str(field.type) for field in result.schema}
