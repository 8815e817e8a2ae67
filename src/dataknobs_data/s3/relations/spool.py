"""Tables kept until they are read, perhaps several times: in memory as far as there is room, the others in a temporary file."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import pyarrow as pa

Kept = Callable[[], pa.Table]
"""Gives the table back. What was in the file is mapped into memory, not copied."""


class Spool:
    """Not to be put into by several threads; what was put may be taken by any."""

    def __init__(self, memory_bytes: int) -> None:
        self._room = memory_bytes
        self._file: Any = None
        self._lock = threading.Lock()

    def put(self, table: pa.Table) -> Kept:
        """Keeps a table."""
        if table.nbytes <= self._room:
            self._room -= table.nbytes
            return lambda: table
        if self._file is None:
            self._file = tempfile.NamedTemporaryFile(prefix="dataknobs-sql-", suffix=".arrows")  # noqa: SIM115 (close() does)
        start = self._file.tell()
        with pa.ipc.new_stream(pa.PythonFile(self._file, "w"), table.schema) as writer:
            writer.write_table(table)
        self._file.flush()
        return partial(self._taken, start, self._file.tell() - start)

    def _taken(self, start: int, length: int) -> pa.Table:
        with pa.memory_map(self._file.name) as mapped:
            mapped.seek(start)
            return pa.ipc.open_stream(mapped.read_buffer(length)).read_all()

    def close(self) -> None:
        """Deletes the file."""
        with self._lock:
            file, self._file = self._file, None
        if file is not None:
            file.close()
