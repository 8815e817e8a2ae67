"""S3 Select's SQL, where it is written otherwise than DuckDB's: `FROM S3Object[*]`, and timestamps in backticks.

Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/s3-select-sql-reference-select.html, and for timestamps
https://docs.aws.amazon.com/AmazonS3/latest/userguide/s3-select-sql-reference-data-types.html with Ion's form of them,
https://amazon-ion.github.io/ion-docs/docs/spec.html#timestamp.
"""

from __future__ import annotations

import re

from dataknobs_data.exceptions import QueryError

OWN = "S3Object"
"""What a statement calls the database that it is asked of."""

CLOSED = r"""
    (?<![\w$])[eE]'(?:[^'\\]|\\.|'')*'                  # E'it\'s'
  | '(?:[^']|'')*'                                      # 'it''s'
  | "(?:[^"]|"")*"                                      # "a ""name"" "
  | \$(?P<tag>(?:[A-Za-z_]\w*)?)\$.*?\$(?P=tag)\$
  | --[^\n]*
  | /\*.*?\*/
"""
"""What is in quotation marks, and comments: nothing in them is SQL. With re.VERBOSE and re.DOTALL."""

_TOKENS = re.compile(
    rf"""
      (?P<other> {CLOSED} )
    | (?<![\w$]) S3Object (?P<all> \s* \[ \s* \* \s* \] ) (?P<deeper> \s* [.\[] )?
    | ` (?P<instant> [^`]* ) `
    """,
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)

INSTANT = re.compile(
    r"(?P<year>\d{4})(?:-(?P<month>\d\d)(?:-(?P<day>\d\d))?)?T?(?:(?<=T)(?P<time>\d\d:\d\d(?::\d\d(?:\.\d+)?)?)(?P<zone>Z|[+-]\d\d:\d\d)?)?"
)


def for_duckdb(sql: str) -> str:
    """The statement as DuckDB reads it. Characters keep their places, but for what follows a timestamp.

    Raises QueryError for `S3Object[*].path`, and for backticks around what is no timestamp.
    """
    return _TOKENS.sub(_translated, sql) if isinstance(sql, str) and ("[" in sql or "`" in sql) else sql


def _translated(token: re.Match[str]) -> str:
    if token["all"] is not None:
        if token["deeper"]:
            raise QueryError(
                "SQL: FROM S3Object[*].path is not possible here: a row is a record; name what lies in it by its path, as in "
                "SELECT s.address.city FROM S3Object s"
            )
        return token[0].replace(token["all"], " " * len(token["all"]))
    return _instant(token["instant"]) if token["instant"] is not None else token[0]


def _instant(text: str) -> str:
    found = INSTANT.fullmatch(text)
    if found is None:
        raise QueryError(
            f"SQL: `{text}` is no timestamp as in `2007-02-23T12:14:33.079Z`; names stand in double quotes"
        )
    return f"TIMESTAMPTZ '{instant_text(found)}'"


def instant_text(found: re.Match[str]) -> str:
    """A timestamp of `INSTANT`, as DuckDB reads it: what is not said is the beginning, and UTC."""
    day = f"{found['year']}-{found['month'] or '01'}-{found['day'] or '01'}"
    return f"{day} {found['time'] or '00:00'}{(found['zone'] or 'Z').replace('Z', '+00:00')}"
