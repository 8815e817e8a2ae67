"""The demo: stopped in the middle it leaves nothing behind; run to its end (minutes) its checks hold."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.conftest import ROOT


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that PostgreSQL's own account may enter too, when the tests run as root."""
    with tempfile.TemporaryDirectory(prefix="demo-") as name:
        os.chmod(name, 0o755)
        yield Path(name)


def start(folder: Path) -> subprocess.Popen[str]:
    """The demo, with its temporary files in `folder`."""
    return subprocess.Popen(
        [sys.executable, "-u", str(ROOT / "demo/flights.py")],
        env={**os.environ, "TMPDIR": str(folder), "COLUMNS": "80"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.server
def test_ctrl_c_stops_everything(open_folder: Path) -> None:
    with start(open_folder) as process:
        assert process.stdout
        shown = ""
        while "Load all flights" not in shown:
            shown += process.stdout.readline()
        assert list(open_folder.iterdir()) != []
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (130, "")
    assert "both servers are stopped" in rest
    assert list(open_folder.iterdir()) == []


@pytest.mark.soak
def test_it_comes_to_its_end(open_folder: Path) -> None:
    with start(open_folder) as process:
        shown, errors = process.communicate(timeout=900)
    assert (process.returncode, errors) == (0, "")
    assert "336,000 records are equal to their rows in every field" in shown
    assert max(map(len, shown.splitlines())) <= 80
    assert list(open_folder.iterdir()) == []
