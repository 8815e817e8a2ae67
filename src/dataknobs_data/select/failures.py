"""What DuckDB raises → errors of this package.

While a statement is prepared it raises its own exceptions; out of a result that is being read comes an OSError with the same
text. The text begins with the kind: "Binder Error: …".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

from dataknobs_data.exceptions import DatabaseOperationError, DataknobsDataError, QueryError
from dataknobs_data.spelling import did_you_mean

Names = Callable[[], Collection[str]]

_KIND = re.compile(r"(?P<kind>[A-Za-z ]+?) (?:Error|Exception): (?P<text>.*)", re.DOTALL)
_STATEMENTS = frozenset(
    {"Binder", "Catalog", "Parser", "Syntax", "Conversion", "Out of Range", "Invalid Input", "Invalid Type", "Mismatch Type",
     "Not implemented", "Permission", "Constraint", "Parameter Not Resolved", "Parameter Not Allowed", "Expression",
     "Dependency", "Invalid Configuration", "Decimal"}
)  # fmt: skip
"""Kinds that say something about the statement or the values that it works on; others are failures of the engine."""

_UNKNOWN = (
    re.compile(r'Referenced column "(?P<name>.+?)" (?:was )?not found', re.DOTALL),
    re.compile(r' does not have a column named "(?P<name>.+?)"', re.DOTALL),
    re.compile(r'Column (?:".+?"\.)?"(?P<name>.+?)" in EXCLUDE list not found', re.DOTALL),
    re.compile(r'[Cc]olumn (?:with name )?"(?P<name>.+?)" does not exist', re.DOTALL),
    re.compile(r'Column "(?P<name>.+?)" referenced that exists in the SELECT clause', re.DOTALL),
)


@contextmanager
def translated(memory_bytes: int, names: Names = tuple) -> Iterator[None]:
    """Turns DuckDB's errors into ours. `names`: gives those of fields, to find the nearest to an unknown one."""
    try:
        yield
    except DataknobsDataError:
        raise
    except Exception as error:  # duckdb has a dozen of its own, and pyarrow hands on OSError
        public = public_error(error, memory_bytes, names)
        if public is None:
            raise
        raise public from error


def public_error(error: Exception, memory_bytes: int, names: Names = tuple) -> DataknobsDataError | None:
    """None for an exception that is neither DuckDB's nor Arrow's."""
    found = _KIND.match(str(error))
    if found is None:
        package = type(error).__module__.partition(".")[0].lstrip("_")
        return DatabaseOperationError(f"SQL: {error}") if package in ("duckdb", "pyarrow") else None
    kind, text = found["kind"], found["text"].strip()
    if kind == "INTERRUPT":
        return out_of_time() if "maximum execution time" in text else DatabaseOperationError("SQL: it was interrupted")
    if kind == "Out of Memory":
        return DatabaseOperationError(
            f"SQL: the statement needs more than the {memory_bytes} bytes that memory_limit leaves it: {text.splitlines()[0]}"
        )
    for pattern in _UNKNOWN:
        if unknown := pattern.search(text):
            return unknown_name(unknown["name"], names(), text)
    text = _shortened(text)
    if kind in _STATEMENTS:
        return QueryError(f"SQL: {text}")
    return DatabaseOperationError(f"SQL: {kind} error: {text}")


def _shortened(text: str) -> str:
    """One line, without the place in the statement, which may have been written anew, and without long lists of candidates."""
    lines = text.partition("\n\nLINE ")[0].splitlines()
    return " ".join(line.strip() for line in lines if not line.startswith("\t")).strip()


def unknown_name(name: str, names: Collection[str], text: str = "") -> QueryError:
    """No relation has it, and it is no alias."""
    if name.lower() in {one.lower() for one in names}:
        why = f"{name!r} is a field, but not within reach here: name it in the SELECT that reads the records"
        return QueryError(f"SQL: {why} ({text.splitlines()[0]})" if text else f"SQL: {why}", name=name)
    return QueryError(f"SQL: there is no field {name!r}; {did_you_mean(name, names)}", name=name)


def out_of_time() -> DatabaseOperationError:
    """The statement's time is over."""
    return DatabaseOperationError(
        "SQL: the statement, with the reading of its rows, took longer than it may: give it more time with timeout=…, or for "
        "all by the setting query_timeout"
    )
