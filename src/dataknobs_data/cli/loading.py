"""Loading JSON lines: where they come from, what becomes of each, and how far it is."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from dataknobs_data.cli import output
from dataknobs_data.cli.lines import from_line
from dataknobs_data.database import SyncDatabase
from dataknobs_data.exceptions import BatchError, DataknobsDataError, DuplicateRecordError
from dataknobs_data.records import Record
from dataknobs_data.streaming import ConflictPolicy


@dataclass
class Load:
    """One load under way. Records that fail are named on stderr and do not stop the others."""

    db: SyncDatabase
    on_conflict: ConflictPolicy
    id_field: str | None
    written: int = field(default=0, init=False)
    skipped: int = field(default=0, init=False)
    failed: int = field(default=0, init=False)

    def write(self, numbered: list[tuple[int, bytes]]) -> list[str]:
        """Writes a batch of (number, line); the ids that are in now, in order.

        Raises DataknobsDataError when the store is gone, saying how far it came.
        """
        records, numbers = self._records(numbered)
        store = self.db.batch_upsert if self.on_conflict is ConflictPolicy.UPSERT else self.db.batch_create
        try:
            ids = store(records)
        except BatchError as error:
            ids = [error.succeeded[index] for index in sorted(error.succeeded)]
            for index in error.failed_indices:
                self._failure(numbers[index], error.failed[index][1])
            if error.stopped:
                self._say_stopped(numbers[0])
                raise error.failed[error.failed_indices[-1]][1] from error
        except DataknobsDataError:
            self._say_stopped(numbers[0])
            raise
        self.written += len(ids)
        return ids

    def _records(self, numbered: list[tuple[int, bytes]]) -> tuple[list[Record], list[int]]:
        records, numbers = [], []
        for number, line in numbered:
            if line.strip():
                try:
                    records.append(from_line(line, self.id_field))
                    numbers.append(number)
                except DataknobsDataError as error:
                    self._failure(number, error)
        return records, numbers

    def _failure(self, number: int, error: DataknobsDataError) -> None:
        if self.on_conflict is ConflictPolicy.SKIP and isinstance(error, DuplicateRecordError):
            self.skipped += 1
            return
        self.failed += 1
        output.error(f"line {number:,}: {error}")

    def _say_stopped(self, number: int) -> None:
        output.error(f"stopped in the batch from line {number:,} on; {self.written:,} records before it are written")

    def summary(self) -> str:
        """What came of it."""
        parts = [f"{self.written:,} written"]
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
