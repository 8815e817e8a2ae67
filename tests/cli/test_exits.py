"""Exit codes, and errors that are one line."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from dataknobs_data.backends.file import FileDatabase
from dataknobs_data.backends.memory import MemoryEngine
from dataknobs_data.cli import app
from dataknobs_data.documents import Change
from dataknobs_data.engine import Outcome
from dataknobs_data.exceptions import BatchError, DatabaseConnectionError, DataknobsDataError
from tests.cli.conftest import Cli
from tests.servers import SeaweedServer, open_client


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["serch", "memory:"], "Did you mean 'search'"),
        (["search"], "DATABASE"),
        (["search", "memory:", "--wher", "x = 1"], "--where"),
        (["search", "memory:", "--limit", "x"], "--limit"),
        (["search", "memory:", "--where", "age over 3"], "unknown operator 'over'"),
        (["search", "memory:", "--json", "--table"], "exclude each other"),
        (["create", "memory:", "/nonexistent.jsonl"], "/nonexistent.jsonl"),
        (["create", "memory:", "--on-conflict", "maybe"], "--on-conflict"),
        (["get", "memory:"], "ID"),
        (["get", "memory:", ""], "must not be empty"),
        (["count", "s4://bucket"], "did you mean 's3'?"),
        (["count", "s3://bucket/records?bukcet=x"], "bucket"),
        (["count", "x", "--config", "/nonexistent.yaml"], "/nonexistent.yaml"),
    ],
)
def test_wrong_usage_is_2_and_one_line(cli: Cli, arguments: list[str], words: str) -> None:
    ended = cli(*arguments)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("error: ")
    assert ended.err.count("\n") == 1
    assert words in ended.err


def test_a_store_that_cannot_be_reached_is_3(cli: Cli, s3_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = cli("count", s3_url + "?endpoint_url=http://127.0.0.1:1&max_retries=0")
    assert (ended.code, ended.err.count("\n")) == (3, 1)
    assert "http://127.0.0.1:1" in ended.err


def test_a_store_that_refuses_us_is_3_and_the_secret_is_not_shown(
    cli: Cli, s3_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-the-secret-of-the-server")
    ended = cli("count", s3_url)
    assert ended.code == 3
    assert "credentials" in ended.err
    assert "not-the-secret" not in ended.err


def test_damaged_data_is_3(cli: Cli, seaweed: SeaweedServer, s3_url: str) -> None:
    cli("create", s3_url, stdin='{"id": "a"}\n{"id": "b"}')
    bucket, prefix = s3_url.split("/")[2:]
    with open_client(seaweed) as client:
        client.put_object(Bucket=bucket, Key=f"{prefix}/b.json", Body=b'{"da')
    ended = cli("search", s3_url)
    assert ended.code == 3
    assert "'b'" in ended.err


def test_a_file_that_cannot_be_written_is_3(cli: Cli) -> None:
    ended = cli("create", "file:/proc/nowhere/x.jsonl", stdin="{}")
    assert (ended.code, "Traceback" in ended.err) == (3, False)
    assert "/proc/nowhere" in ended.err


def test_debug_shows_where(cli: Cli) -> None:
    assert "Traceback" in cli("count", "s4://bucket", "--debug").err
    assert "Traceback" not in cli("count", "s4://bucket").err


def test_a_mistake_in_the_program_is_70_and_one_line(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FileDatabase, "count", lambda self, query: 1 // 0)
    ended = cli("count", "file:/nonexistent/x.jsonl")
    assert (ended.code, ended.err.count("\n")) == (70, 1)
    assert "ZeroDivisionError" in ended.err


@pytest.mark.parametrize("raised", [True, False])
def test_a_store_that_goes_away_ends_a_load_and_says_how_far_it_came(
    cli: Cli, tmp_path: object, monkeypatch: pytest.MonkeyPatch, raised: bool
) -> None:
    apply, gone = MemoryEngine.apply_many, DatabaseConnectionError("the disk is gone")

    def fail_later(self: MemoryEngine, changes: Sequence[Change]) -> list[Outcome]:
        if changes[0].record["n"] < 1000:
            return apply(self, changes)
        if not raised:
            return [gone] * len(changes)
        raise gone

    monkeypatch.setattr(MemoryEngine, "apply_many", fail_later)
    url = f"file:{tmp_path}/x.jsonl"
    ended = cli("create", url, stdin="\n".join(f'{{"id": "{n:04}", "n": {n}}}' for n in range(2500)))
    assert ended.code == 3
    assert ended.out.split() == [f"{n:04}" for n in range(1000)]
    assert ended.err.splitlines() == [
        "error: stopped in the batch from line 1,001 on; 1,000 records are written",
        "error: the disk is gone",
    ]


def test_deletes_that_fail_are_named_and_4(cli: Cli, tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: FileDatabase, ids: object) -> list[bool]:
        raise BatchError("batch_delete", {0: "a"}, {1: ("b", DataknobsDataError("locked"))})

    monkeypatch.setattr(FileDatabase, "batch_delete", fail)
    ended = cli("rm", f"file:{tmp_path}/x.jsonl", "a", "b")
    assert (ended.code, ended.err) == (4, "error: 'b': locked\n")


def test_help_and_version_are_fine(cli: Cli) -> None:
    assert cli().out == cli("--help").out
    assert cli("--version").out.startswith("dataknobs-data ")
    commands = {app.app.registered_commands[i].callback.__name__ for i in range(len(app.app.registered_commands))}  # type: ignore[union-attr]
    for command in commands:
        ended = cli(command, "--help")
        assert ended.code == 0
        assert max(map(len, ended.out.splitlines())) <= 80
