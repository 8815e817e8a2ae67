"""A DuckDB of its own for one statement: in memory, without files, network, extensions and the caller's variables, bounded in
memory, temporary disk and time, with its settings locked before the statement is seen.

Which settings do that: https://duckdb.org/docs/stable/operations_manual/securing_duckdb/overview.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from collections.abc import Collection
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING

from dataknobs_data.exceptions import ConfigurationError
from dataknobs_data.select.bounded import macros

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

DISK_FACTOR = 10
"""Bytes on disk for each of memory, for sorts and joins that are larger than memory."""

THREADS_MAX = 8

BUFFER_BYTES = 4 << 20
"""Of a result that nobody has asked for yet."""


@dataclass(frozen=True)
class Limits:
    """memory_bytes of a statement, in tables, sorts and groups; `seconds` from its beginning to the last row that is read."""

    memory_bytes: int = 1 << 30
    seconds: float = 300.0


class Sandbox:
    """The connection, and its folder for temporary files, which is made when it is locked: a process may be killed that has
    one only ready. To be closed."""

    def __init__(self, limits: Limits) -> None:
        duckdb = _duckdb()
        self.memory_bytes = limits.memory_bytes
        self._folder = os.path.join(tempfile.gettempdir(), f"dataknobs-sql-{os.urandom(8).hex()}")
        self._swept = weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        try:
            self.connection: DuckDBPyConnection = duckdb.connect(":memory:", config=self._settings(limits))
            self._set("TimeZone", "'UTC'")
            self._set("enable_progress_bar", "false")  # it is drawn on standard output
            self._set("streaming_buffer_size", f"'{BUFFER_BYTES}B'")
        except BaseException:
            self._swept()
            raise

    def _settings(self, limits: Limits) -> dict[str, str | int | bool]:
        return {
            "python_enable_replacements": False,
            "enable_external_access": False,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "allow_community_extensions": False,
            "memory_limit": f"{limits.memory_bytes}B",
            "temp_directory": self._folder,
            "max_temp_directory_size": f"{DISK_FACTOR * limits.memory_bytes}B",
            "threads": min(os.cpu_count() or 1, THREADS_MAX),
        }

    def bound(self, functions: Collection[str]) -> None:
        """Puts bounds to those of these functions that need them."""
        for statement in macros(functions, self.memory_bytes):
            self.connection.execute(statement).fetchall()

    def lock(self, seconds: float) -> None:
        """What is carried out from now on ends after so many seconds, and can change no setting."""
        os.mkdir(self._folder, 0o700)
        self._set("max_execution_time", str(max(1, int(seconds * 1000))))
        self._set("lock_configuration", "true")

    def _set(self, name: str, value: str) -> None:
        self.connection.execute(f"SET {name} = {value}").fetchall()

    def interrupt(self) -> None:
        """Ends what runs in it, in another thread, soon."""
        import duckdb

        try:
            self.connection.interrupt()
        except duckdb.ConnectionException:
            pass  # it is closed already

    def close(self) -> None:
        """Ends what runs, and deletes the folder. Not while another thread is in the connection: that one is interrupted first. Twice is harmless."""
        try:
            self.connection.close()
        finally:
            self._swept()


def _duckdb() -> ModuleType:
    try:
        import duckdb
    except ImportError as error:
        raise ConfigurationError("SQL needs duckdb: pip install '.[sql]'") from error
    return duckdb
