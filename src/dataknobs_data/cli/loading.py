"""Loading JSON lines: where they come from, what becomes of each, and how far it is."""

from __future__ import annotations

import sys
from bisect import bisect_right
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Self

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from dataknobs_data.cli import output
from dataknobs_data.cli.lines import from_line
from dataknobs_data.database import SyncDatabase
from dataknobs_data.exceptions import DataknobsDataError
from dataknobs_data.records import Record
from dataknobs_data.streaming import ConflictPolicy, StreamConfig

ShowIds = Callable[[list[str]], object]
"""Shows ids of records that are in."""


class Load:
    """One load under way, a context manager. Records that fail are named on stderr and do not stop the others.

    `show_ids` is called with ids that are in, in the order of the lines as far as the store settles them so; None: they
    are not kept. Left without `finish`, a load gives up what the store has not carried out yet.
    """

    def __init__(
        self, db: SyncDatabase, on_conflict: ConflictPolicy, id_field: str | None, show_ids: ShowIds | None
    ) -> None:
        self._id_field = id_field
        self._show_ids = show_ids
        self._ids: list[str] = []
        config = StreamConfig(on_conflict=on_conflict)
        self._writer = db.stream_writer(config, self._ids.append if show_ids else None)
        self._records_read = self._errors_told = self._malformed = 0
        self._gaps: list[int] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._writer.abandon()

    def write(self, numbered: list[tuple[int, bytes]]) -> None:
        """Takes a batch of (number, line). Raises DataknobsDataError when the store is gone, saying how far it came."""
        self._writer.write([record for number, line in numbered for record in self._parsed(number, line)])
        self._tell(f"in the batch from line {numbered[0][0]:,} on")

    def finish(self) -> None:
        """Carries out what is on its way. Raises as `write` does."""
        self._writer.finish()
        self._tell("at the end of the input")

    def _parsed(self, number: int, line: bytes) -> Iterator[Record]:
        """The record of a line; none for a blank line or one that makes no sense."""
        try:
            record = from_line(line, self._id_field) if line.strip() else None
        except DataknobsDataError as error:
            record = None
            self._malformed += 1
            output.error(f"line {number:,}: {error}")
        if record is None:
            self._gaps.append(self._records_read)
        else:
            self._records_read += 1
            yield record

    def _tell(self, where: str) -> None:
        if self._show_ids and self._ids:
            ids = self._ids.copy()
            self._ids.clear()
            self._show_ids(ids)
        result, cause = self._writer.result(), self._writer.cause
        for index, _, error in result.errors[self._errors_told :]:
            if error not in (cause, self._writer.failure):
                output.error(f"line {index + 1 + bisect_right(self._gaps, index):,}: {error}")
        self._errors_told = len(result.errors)
        if cause:
            output.error(f"stopped {where}; {result.successful:,} records are written")
            raise cause

    @property
    def under_way(self) -> int:
        """Records that the store has taken and said nothing about."""
        result = self._writer.result()
        return result.total_processed - result.successful - result.failed - result.skipped

    @property
    def failed(self) -> int:
        """Lines that are not in, though they should be."""
        return self._malformed + self._writer.result().failed

    @property
    def skipped(self) -> int:
        """Records whose id was taken, where that is fine."""
        return self._writer.result().skipped

    def summary(self) -> str:
        """What came of it so far."""
        parts = [f"{self._writer.result().successful:,} written"]
        parts += [f"{self.under_way:,} under way"] if self.under_way else []
        parts += [f"{self.skipped:,} skipped"] if self.skipped else []
        parts += [f"{self.failed:,} failed"] if self.failed else []
        return ", ".join(parts)


@contextmanager
def open_source(file: Path | None) -> Iterator[BinaryIO]:
    """The lines of a file, or of stdin."""
    if file:
        with file.open("rb") as lines:
            yield lines
        return
    if sys.stdin.isatty():
        output.say("reading JSON lines from this terminal; Ctrl-D ends them", "dim")
    yield sys.stdin.buffer


Show = Callable[["Load", int], None]
"""Shows how far a load is, having read so many bytes more."""


@contextmanager
def progress(file: Path | None, quiet: bool) -> Iterator[Show]:
    """A bar on stderr, where that is a terminal and ids do not scroll there too."""
    if not sys.stderr.isatty() or (sys.stdout.isatty() and not quiet):
        yield lambda load, read_bytes: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=output.stderr, transient=True) as bar:
        task = bar.add_task("writing", total=file.stat().st_size if file else None)
        yield lambda load, read_bytes: bar.update(task, advance=read_bytes, description=load.summary())
