"""Records in one file: JSON lines, CSV or Parquet.

Every process keeps the records in memory, reads the file again when it has changed, and changes it under a lock, so any
number of processes of one machine may share it and none loses another's writes. In a JSON-lines file a create is an append;
every other change writes the file anew. Good for thousands of records, not for millions.

Damaged lines raise DataFormatError naming file and line: from every search (unless it collects them), from reads of ids
that the sound lines do not have, and from every write, until somebody repairs the file. The one exception is the torn end
that a crash in the middle of an append leaves: it was never acknowledged, so it is reported in the log, left out, and
kept in `{name}.torn` by the next write.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from dataknobs_data.aio import AsyncDatabase
from dataknobs_data.backends.file_formats import EXTENSIONS, FORMATS, FileFormat, JsonLines
from dataknobs_data.backends.file_store import SharedFile
from dataknobs_data.backends.memory import MemoryEngine
from dataknobs_data.database import SyncDatabase
from dataknobs_data.documents import Document
from dataknobs_data.engine import Engine, ErrorSink
from dataknobs_data.exceptions import ConfigurationError, DataFormatError
from dataknobs_data.query import Query
from dataknobs_data.runtime import Runtime, iso_utc
from dataknobs_data.settings import read_settings
from dataknobs_data.spelling import did_you_mean

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class FileSettings:
    """Which file.

    path          of the file; it and its folder are made by the first write
    format        "jsonl", "csv" or "parquet"; default: what the name ends in, else jsonl
    lock_timeout  seconds to wait while another process holds the file
    """

    path: str | os.PathLike[str]
    format: str | None = None
    lock_timeout: float = 30.0


class FileEngine(MemoryEngine):
    """The documents of a file in memory, and every change of them in the file before it is told."""

    def __init__(self, settings: FileSettings, runtime: Runtime) -> None:
        super().__init__(runtime)
        path = Path(settings.path).expanduser().resolve()  # links to one file share its lock
        self._format = _format_of(path, settings.format)
        self._file = SharedFile(path, runtime, settings.lock_timeout)
        self._damage: list[DataFormatError] = []
        self._torn = b""
        self._ends_in_line = True

    def __repr__(self) -> str:
        return f"{self._format.name} file {str(self._file.path)!r}"

    def open(self) -> None:
        self._format.check()
        with self.reading():
            pass

    def close(self) -> None:
        with self._lock:
            self._file.forget()
            self._documents, self._damage, self._torn = {}, [], b""

    # ------------------------------------------------------------------ reading the file
    @contextmanager
    def reading(self) -> Iterator[None]:
        with self._lock:
            if self._file.changed():
                with self._file.locked(exclusive=False):
                    self._load()
            yield

    @contextmanager
    def writing(self) -> Iterator[None]:
        with self._lock, self._file.locked(exclusive=True):
            if self._file.changed():
                self._load()
            self._refuse_damage()
            yield

    def _load(self) -> None:
        content, self._torn = self._format.split(self._file.read())
        self._ends_in_line = not content or content.endswith(b"\n")
        self._documents, self._damage = {}, []
        modified = iso_utc(datetime.fromtimestamp(self._file.modified_seconds, UTC))
        for read in self._format.read(content, modified, self._failure):
            if isinstance(read, DataFormatError):
                self._damage.append(read)
            elif read.id in self._documents:
                error = DataFormatError(f"{self._file.path}: there are two records {read.id!r}", id=read.id)
                self._damage.append(error)
            else:
                self._documents[read.id] = read
        if self._torn:
            logger.warning(
                "%s ends in %d bytes of a record that was not written completely: a write was interrupted before it was "
                "confirmed, or the file was cut off; they are left out, and the next write keeps them in %s.torn",
                *(self._file.path, len(self._torn), self._file.path.name),
            )

    def _failure(self, number: int, what: str) -> DataFormatError:
        path = str(self._file.path)
        unit = "row" if self._format.name == "parquet" else "line"
        return DataFormatError(f"{path}, {unit} {number}: {what}", path=path, line=number)

    def _refuse_damage(self) -> None:
        if self._damage:
            first = self._damage[0]
            raise DataFormatError(f"{first}; repair the file before changing it, nothing was written", **first.context)

    # ------------------------------------------------------------------ answers while there is damage
    def get_many(self, ids: Sequence[str]) -> list[Document | None]:
        with self.reading():
            found = super().get_many(ids)
            if self._damage and None in found:
                raise self._damage[0]  # a damaged line may be the record that was asked for
            return found

    def scan(self, query: Query, on_damage: ErrorSink | None = None) -> Iterator[Document]:
        with self.reading():
            for error in self._damage:
                if on_damage is None:
                    raise error
                on_damage(error)
            return super().scan(query, on_damage)

    def list_ids(self, prefix: str) -> Iterator[str]:
        with self.reading():
            if self._damage:
                raise self._damage[0]
            return super().list_ids(prefix)

    # ------------------------------------------------------------------ writing the file
    def saved(self, before: dict[str, Document | None]) -> None:
        changed = [id for id, document in before.items() if self._documents.get(id) is not document]
        if not changed:
            return
        created = [self._documents[id] for id in changed if before[id] is None]
        appends = isinstance(self._format, JsonLines) and self._file.exists and not self._torn
        try:
            if appends and len(created) == len(changed):
                self._append(created)
            else:
                self._rewrite()
        except BaseException:
            self._file.forget()  # whatever is in the file now is what there is: it will be read again
            raise

    def _append(self, created: Sequence[Document]) -> None:
        start = b"" if self._ends_in_line else b"\n"
        self._file.append(start + b"".join(map(JsonLines().line, created)))
        self._ends_in_line = True

    def _rewrite(self) -> None:
        if self._torn:
            self._file.keep_aside(self._torn)

        def write(file: BinaryIO) -> None:
            self._format.write(self._documents.values(), file)

        self._file.replace(write)
        self._torn, self._ends_in_line = b"", True


def _format_of(path: Path, name: str | None) -> FileFormat:
    chosen = (name or EXTENSIONS.get(path.suffix.lower(), JsonLines.name)).lower()
    if chosen not in FORMATS:
        raise ConfigurationError(f"file backend: unknown format {name!r}; {did_you_mean(name, FORMATS)}", key="format")
    return FORMATS[chosen]()


class FileDatabase(SyncDatabase):
    """Records in one file. Settings: `path`, `format`, `lock_timeout` (see FileSettings)."""

    backend = "file"

    @classmethod
    def make_engine(cls, config: dict[str, Any], runtime: Runtime) -> Engine:
        return FileEngine(read_settings(FileSettings, cls.backend, config), runtime)


class AsyncFileDatabase(AsyncDatabase):
    """`FileDatabase` for asyncio."""

    sync_class = FileDatabase


SyncFileDatabase = FileDatabase
