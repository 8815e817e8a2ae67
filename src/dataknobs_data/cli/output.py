"""What goes to the screen: JSON lines for programs, tables for people, one line for an error.

Results go to stdout, everything else to stderr. Nothing that a record holds reaches a terminal unescaped.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Collection, Sequence
from dataclasses import asdict
from typing import Any

import orjson
import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from dataknobs_data.cli.exits import Exit
from dataknobs_data.cli.lines import to_line
from dataknobs_data.codec import to_json
from dataknobs_data.exceptions import ConfigurationError
from dataknobs_data.records import Record
from dataknobs_data.s3.costs.estimate import counted

CELL_WIDTH_MAX = 36
TABLE_ROWS = 100
"""Rows of a table when no --limit says otherwise."""

ID, METADATA = "id", "metadata."
_CONTROLS = re.compile("[\x7f-\x9f]")

stderr = Console(stderr=True, highlight=False)
"""The one console on stderr, so that a line and a progress bar there know of each other."""


def for_people(json: bool, table: bool) -> bool:
    """Whether to draw a table: as asked, else when stdout is a terminal."""
    return table or (not json and sys.stdout.isatty())


def say(message: str, style: str = "") -> None:
    """One line on stderr."""
    _flush()
    stderr.print(Text(escaped(message, keep="\n"), style), soft_wrap=True)


def ask(question: str) -> None:
    """Goes on where a person says yes. Raises ConfigurationError where nobody can be asked, typer.Exit at a no."""
    if not sys.stdin.isatty():
        raise ConfigurationError("nothing was done: there is no terminal to ask at; add --yes to go ahead")
    stderr.print(plain(f"{question} [y/N] "), end="")
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        say("nothing was done")
        raise typer.Exit(Exit.OK)


def _flush() -> None:
    """Where both streams go to one place, what was printed before stands before."""
    try:
        sys.stdout.flush()
    except (BrokenPipeError, ValueError):
        pass  # whoever read the results is gone; what goes to stderr still has its reader


def error(message: str) -> None:
    """What went wrong, on stderr."""
    _flush()
    stderr.print(Text.assemble(("error: ", "bold red"), escaped(message, keep="\n")), soft_wrap=True)


def say_missing(ids: Sequence[str]) -> Exit:
    """Names ids that have no record, on stderr; the exit code for that."""
    for id in ids:
        error(f"there is no record {id!r}")
    return Exit.NOT_FOUND if ids else Exit.OK


def print_lines(records: Sequence[Record], *, metadata: bool) -> int:
    """Writes records as JSON lines; how many."""
    for record in records:
        line = to_line(record, metadata=metadata)
        sys.stdout.buffer.write(for_terminals(line) if sys.stdout.isatty() else line)
    sys.stdout.buffer.flush()
    return len(records)


def print_value(value: Any) -> None:
    """Writes a dataclass as a JSON line, at once: for programs that read it as it comes."""
    print(orjson.dumps(asdict(value)).decode(), flush=True)


def grid(names: Sequence[str], right: Collection[str] = ()) -> Table:
    """An empty table with these columns; numbers go to the `right`."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="bold")
    for name in names:
        table.add_column(name, justify="right" if name in right else "left", overflow="fold")
    return table


def print_record(record: Record, *, metadata: bool) -> None:
    """One record as a table of two columns."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in _row(record, metadata).items():
        table.add_row(plain(name), _cell(value))
    Console(highlight=False).print(table)


def print_table(records: Sequence[Record], *, metadata: bool, more: bool = False) -> None:
    """Records as `print_rows` has them, metadata last. `more`: there are others that were not fetched."""
    rows = [_row(record, metadata) for record in records]
    names = sorted(dict.fromkeys(name for row in rows for name in row), key=lambda name: name.startswith(METADATA))
    first = f"the first {len(rows):,} records; --limit N shows more, --json prints all"
    print_rows(names, rows, first if more else counted(len(rows), "record"), "--select, --json")


def print_rows(names: Sequence[str], rows: Sequence[dict[str, Any]], footer: str, others: str) -> None:
    """A table as wide as the terminal: the first columns that fit, and the names of the rest below.

    `footer`: what stands there first; `others`: how those can be seen.
    """
    console = Console(highlight=False)
    shown = _fitting(names, rows, console.width)
    console.print(_table(shown, rows))
    left_out = (
        f"\nnot shown: {', '.join(map(escaped, names[len(shown) :]))} ({others})" if len(names) > len(shown) else ""
    )
    console.print(Text(footer + left_out, "dim"))


def _row(record: Record, metadata: bool) -> dict[str, Any]:
    row = {ID: record.id, **{f"data.{name}" if name == ID else name: value for name, value in record.data.items()}}
    if row.get("data.id") == record.id:
        del row["data.id"]
    if metadata:
        row.update({METADATA + name: value for name, value in record.metadata.items() if name != ID})
    return row


def _table(names: Sequence[str], rows: Sequence[dict[str, Any]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="bold")
    for name in names:
        numbers = all(isinstance(row[name], int | float) for row in rows if row.get(name) is not None)
        table.add_column(
            plain(name),
            justify="right" if numbers else "left",
            no_wrap=True,
            overflow="ellipsis",
            max_width=CELL_WIDTH_MAX,
        )
    for row in rows:
        table.add_row(*(_cell(row[name]) if name in row else Text() for name in names))
    return table


def _fitting(names: Sequence[str], rows: Sequence[dict[str, Any]], width: int) -> list[str]:
    fitting: list[str] = []
    for name in names:
        cells = (_cell(row[name]).cell_len for row in rows if name in row)
        width -= min(CELL_WIDTH_MAX, max([Text(name).cell_len, *cells])) + 3
        if width < -3 and fitting:
            break
        fitting.append(name)
    return fitting


def _cell(value: Any) -> Text:
    if value is None:
        return Text("null", "dim")
    found = to_json(value, "", {})
    return plain(found if isinstance(found, str) else orjson.dumps(found).decode())


def escaped(text: str, keep: str = "") -> str:
    """`text` with whatever a terminal could take for a command, or a line's end, spelled out."""
    return text if text.isprintable() else "".join(c if c.isprintable() or c in keep else repr(c)[1:-1] for c in text)


def plain(text: str) -> Text:
    """`text` as it is, for a table: a bare string there is markup, in which "[red]" is a color and "[/x]" an error."""
    return Text(escaped(text))


def for_terminals(line: bytes) -> bytes:
    """The same JSON with the control characters that JSON leaves as they are written as escapes."""
    return _CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", line.decode()).encode()
