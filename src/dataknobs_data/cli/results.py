"""Rows of a SQL result: as a table for people, as CSV, JSON or Parquet for programs. They are written as they come."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import orjson

from dataknobs_data.cli import output
from dataknobs_data.codec import to_json
from dataknobs_data.exceptions import ConfigurationError
from dataknobs_data.s3.costs.estimate import counted

if TYPE_CHECKING:
    from dataknobs_data.select.results import SqlResult


class Format(StrEnum):
    """How rows are written."""

    TABLE = "table"
    CSV = "csv"
    JSONL = "jsonl"
    JSON = "json"
    PARQUET = "parquet"


ONE_RESULT = (Format.JSON, Format.PARQUET)
"""Formats of which a file holds one result."""

_ENDINGS = {
    ".csv": Format.CSV,
    ".jsonl": Format.JSONL,
    ".ndjson": Format.JSONL,
    ".json": Format.JSON,
    ".parquet": Format.PARQUET,
}
_ENDS_A_FIELD = frozenset(',"\r\n')


def format_of(named: Format | None, file: Path | None, *, json: bool, table: bool) -> Format:
    """What is asked for, else what the file's name says, else a table in a terminal and JSON lines elsewhere.

    Raises ConfigurationError where two are asked for, or what cannot be written there.
    """
    asked = [*([named] if named else []), *([Format.JSONL] if json else []), *([Format.TABLE] if table else [])]
    if len(asked) > 1:
        raise ConfigurationError("--format, --json and --table exclude each other")
    if file:
        found = asked[0] if asked else _ENDINGS.get(file.suffix.lower())
        if found is None or found is Format.TABLE:
            raise ConfigurationError(f"{file}: say with --format what to write: csv, jsonl, json or parquet")
        return found
    found = asked[0] if asked else Format.TABLE if sys.stdout.isatty() else Format.JSONL
    if found is Format.PARQUET and sys.stdout.isatty():
        raise ConfigurationError("Parquet is not for terminals: name a file with --output")
    return found


@contextmanager
def sink_of(file: Path | None) -> Iterator[BinaryIO]:
    """Stdout, or a file that is there as a whole in the end, or else as it was before."""
    if file is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    unfinished = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        with unfinished.open("xb") as sink:
            yield sink
        unfinished.replace(file)
    finally:
        with suppress(FileNotFoundError):
            unfinished.unlink()


def write_rows(result: SqlResult, form: Format, sink: BinaryIO) -> int:
    """Writes what a result has; how many rows that is. `form`: any but TABLE, which is `show_rows`."""
    if form is Format.PARQUET:
        from dataknobs_data.select.parquet import write_parquet

        return write_parquet(result, sink)
    write = _safely(sink) if sink is sys.stdout.buffer and sys.stdout.isatty() else sink.write
    if form is Format.CSV:
        write(_csv_line(result.columns))
        return _write_each(result, write, lambda row: _csv_line(row.values()))
    if form is Format.JSONL:
        return _write_each(result, write, lambda row: json_of(row) + b"\n")
    write(b"[")
    written = _write_each(result, write, _Separated(b",\n"))
    write(b"]\n")
    return written


def _write_each(result: SqlResult, write: Callable[[bytes], object], line: Callable[[dict[str, Any]], bytes]) -> int:
    written = 0
    for rows in iter(result.window, None):
        write(b"".join(map(line, rows)))
        written += len(rows)
    return written


class _Separated:
    """JSON of rows, with something between them."""

    def __init__(self, between: bytes) -> None:
        self._between = between
        self._before = b""

    def __call__(self, row: dict[str, Any]) -> bytes:
        before, self._before = self._before, self._between
        return before + json_of(row)


def _safely(sink: BinaryIO) -> Callable[[bytes], object]:
    return lambda text: sink.write(output.for_terminals(text))


def json_of(row: dict[str, Any]) -> bytes:
    """A row as JSON; what JSON lacks as text, as everywhere in this package."""
    return orjson.dumps({name: to_json(value, "", {}) for name, value in row.items()})


def _csv_line(values: Any) -> bytes:
    """A line as in RFC 4180, but for its end. Null is nothing, the empty text `""`."""
    return (",".join(map(_csv_field, values)) + "\n").encode()


def _csv_field(value: Any) -> str:
    if value is None:
        return ""
    if type(value) is int:
        return str(value)
    plain = to_json(value, "", {})
    text = plain if isinstance(plain, str) else orjson.dumps(plain).decode()
    if text and _ENDS_A_FIELD.isdisjoint(text):
        return text
    return '"' + text.replace('"', '""') + '"'


def show_rows(result: SqlResult, most: int, seconds: Callable[[], float]) -> None:
    """The first rows as a table; `seconds`: since the statement began."""
    rows = list(islice(result, most + 1))
    more = len(rows) > most
    shown = rows[:most]
    count = f"the first {most:,} rows; --limit N shows more" if more else counted(len(rows), "row")
    output.print_rows(result.columns, shown, f"{count} ({seconds():.2f} s)", "name them, or --json")
