"""The settings under which a statement runs. What most of them keep it from, the gate before it and other settings do as well."""

from __future__ import annotations

import os
import tempfile
from contextlib import closing

from dataknobs_data.select.sandbox import DISK_FACTOR, Limits, Sandbox

MEMORY_BYTES = 1 << 28


def test_it_is_locked_and_bounded() -> None:
    with closing(Sandbox(Limits(MEMORY_BYTES))) as sandbox:
        sandbox.lock(10)
        rows = sandbox.connection.execute("SELECT name, value FROM duckdb_settings()").fetchall()
        folder = sandbox.connection.execute("SELECT current_setting('temp_directory')").fetchall()[0][0]
    found = dict(rows)
    wanted = {
        "enable_external_access": "false",
        "python_enable_replacements": "false",
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
        "allow_community_extensions": "false",
        "lock_configuration": "true",
        "max_execution_time": "10000",
        "memory_limit": "256.0 MiB",
        "max_temp_directory_size": f"{DISK_FACTOR / 4} GiB",
        "TimeZone": "UTC",
    }
    assert {name: found.get(name) for name in wanted} == wanted
    assert os.path.dirname(folder) == tempfile.gettempdir()
    assert not os.path.exists(folder), "its files go with it"
