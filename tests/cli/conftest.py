"""The command in this process: same code, same streams, no start-up time."""

from __future__ import annotations

import io
import json
import os
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dataknobs_data.cli.app import run
from tests.servers import SeaweedServer, new_bucket_name


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[Any]:
        """What JSON lines on stdout say."""
        return [json.loads(line) for line in self.out.splitlines()]


Cli = Callable[..., Ended]


@pytest.fixture
def cli(capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch) -> Cli:
    """`cli("search", url, "--table", stdin="…")` runs the command."""
    monkeypatch.setenv("COLUMNS", "80")

    def call(*arguments: str, stdin: str | bytes = b"") -> Ended:
        data = stdin.encode() if isinstance(stdin, str) else stdin
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))
        capfdbinary.readouterr()
        code = run(list(arguments))
        captured = capfdbinary.readouterr()
        return Ended(code, captured.out.decode(), captured.err.decode())

    return call


@pytest.fixture(scope="session")
def cli_bucket(seaweed: SeaweedServer) -> str:
    """One bucket for all; every test has a prefix of its own."""
    name = new_bucket_name()
    seaweed.create_bucket(name)
    return name


@pytest.fixture
def s3_url(seaweed: SeaweedServer, cli_bucket: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A new, empty database on SeaweedFS, found as `serve` says: by the environment."""
    for name, value in seaweed.environment().items():
        monkeypatch.setenv(name, value)
    return f"s3://{cli_bucket}/{uuid.uuid4().hex}"


@pytest.fixture(params=["file", "s3"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A new, empty database, where nobody listens and where a server does."""
    if request.param == "file":
        return f"file:{tmp_path / 'records.jsonl'}"
    found: str = request.getfixturevalue("s3_url")
    return found


@pytest.fixture
def people(cli: Cli, url: str) -> str:
    """A database with three records."""
    lines = [
        {"id": "u1", "name": "Alice", "age": 31, "tags": ["a", "b"], "due": "2024-05-01"},
        {"id": "u2", "name": "Bob", "age": 25, "email": "bob@example.com"},
        {"id": "u3", "name": "Carol", "age": 47, "email": None},
    ]
    made = cli("create", url, stdin="\n".join(map(json.dumps, lines)))
    assert (made.code, made.out.split()) == (0, ["u1", "u2", "u3"])
    return url


@pytest.fixture
def inherited_environment(seaweed: SeaweedServer) -> dict[str, str]:
    """An environment for real processes."""
    return {**os.environ, **seaweed.environment(), "COLUMNS": "80"}
