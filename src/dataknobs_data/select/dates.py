"""S3 Select's date functions, put in DuckDB's terms: DATE_ADD, DATE_DIFF, TO_STRING, TO_TIMESTAMP, UTCNOW.

Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/s3-select-sql-reference-date.html. What DuckDB itself takes stays as
it is: there a date part is a string, and `to_timestamp` takes a number.
"""

from __future__ import annotations

import re

from dataknobs_data.exceptions import QueryError
from dataknobs_data.select.dialect import INSTANT, instant_text
from dataknobs_data.select.trees import Tree, cast, constant, function, is_call, nodes, text_of

PARTS = ("year", "month", "day", "hour", "minute", "second")

_PATTERN = re.compile(r"'(?:[^']|'')*'|([A-Za-z])\1*|.", re.DOTALL)
_FORMATS = {
    "y": "%Y", "yy": "%y", "yyyy": "%Y", "M": "%-m", "MM": "%m", "MMM": "%b", "MMMM": "%B", "d": "%-d", "dd": "%d",
    "a": "%p", "h": "%-I", "hh": "%I", "H": "%-H", "HH": "%H", "m": "%-M", "mm": "%M", "s": "%-S", "ss": "%S",
    "SSS": "%g", "SSSSSS": "%f", "X": "Z", "XX": "Z", "XXX": "Z", "XXXX": "Z", "XXXXX": "Z", "x": "+00", "xx": "+0000",
    "xxx": "+00:00", "xxxx": "+0000", "xxxxx": "+00:00",
}  # fmt: skip
"""TO_STRING's letters → those of DuckDB's strftime, in which %g is milliseconds. Times are in UTC."""


def put_in_terms(statement: Tree) -> bool:
    """Changes a statement's tree; whether there was anything to change."""
    changed = [_changed(node) for node in list(nodes(statement))]
    return any(changed)


def _changed(node: Tree) -> bool:
    made = _added(node) or _between(node) or _written(node) or _read(node) or _now(node)
    if made is None:
        return False
    alias = node["alias"]
    node.clear()
    node.update(made, alias=alias)
    return True


def _added(node: Tree) -> Tree | None:
    """DATE_ADD(day, 1, t) is CAST(t AS TIMESTAMPTZ) + to_days(1)."""
    if not (is_call(node, "date_add", 3) and (part := _part(node))):
        return None
    _, quantity, instant = _arguments(node)
    span = function(f"to_{part}s", [quantity if part == "second" else cast(quantity, "integer")])
    return function("+", [cast(instant, "timestamptz"), span])


def _between(node: Tree) -> Tree | None:
    """DATE_DIFF(day, a, b): whole days."""
    if not (is_call(node, "date_diff", 3) and (part := _part(node))):
        return None
    _, first, second = _arguments(node)
    return function("date_sub", [constant(part), cast(first, "timestamptz"), cast(second, "timestamptz")])


def _written(node: Tree) -> Tree | None:
    if not is_call(node, "to_string", 2):
        return None
    instant, pattern = _arguments(node)
    text = text_of(pattern)
    if text is None:
        raise QueryError(
            "SQL: the pattern of TO_STRING must stand in the statement, in single quotes; strftime() takes any"
        )
    return function("strftime", [cast(instant, "timestamptz"), constant(_format(text))])


def _format(pattern: str) -> str:
    made = ""
    for found in _PATTERN.finditer(pattern):
        token = found[0]
        if found[1]:
            if token not in _FORMATS:
                raise QueryError(f"SQL: TO_STRING cannot write {token!r} here; strftime() may", name=token)
            made += _FORMATS[token]
        else:
            quoted = token[1:-1].replace("''", "'") or "'" if token.startswith("'") and len(token) > 1 else token
            made += quoted.replace("%", "%%")
    return made


def _read(node: Tree) -> Tree | None:
    """TO_TIMESTAMP('2007T')."""
    text = text_of(_arguments(node)[0]) if is_call(node, "to_timestamp", 1) else None
    found = INSTANT.fullmatch(text) if text is not None else None
    return cast(constant(instant_text(found)), "timestamptz") if found else None


def _now(node: Tree) -> Tree | None:
    return function("now", []) if is_call(node, "utcnow", 0) else None


def _arguments(node: Tree) -> list[Tree]:
    return [argument["expression"] for argument in node["arguments"]]


def _part(node: Tree) -> str | None:
    """The date part, where it is a bare word, as S3 Select has it."""
    first = _arguments(node)[0]
    names = first["column_names"] if first.get("class") == "COLUMN_REF" else []
    return names[0].lower() if len(names) == 1 and names[0].lower() in PARTS else None
