"""`restore`: the price first, then the question, then the restore; coming back later; what goes to stdout."""

from __future__ import annotations

import io
import json
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from dataknobs_data.backends.s3 import S3Database
from dataknobs_data.cli import archive, output
from dataknobs_data.cli.app import run
from dataknobs_data.records import Record
from dataknobs_data.s3.archive.states import Restoration
from tests.cli.conftest import Cli
from tests.servers import MotoServer, make_config, new_bucket_name


@pytest.fixture(scope="session")
def archive_bucket(moto_server: MotoServer) -> str:
    """One bucket for all; every test has a prefix of its own."""
    moto_server.create_bucket(name := new_bucket_name())
    return name


@pytest.fixture
def url(moto_server: MotoServer, archive_bucket: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A database with two archived records and one that is not."""
    for name, value in moto_server.environment().items():
        monkeypatch.setenv(name, value)
    prefix = uuid.uuid4().hex
    config = make_config(moto_server, bucket=archive_bucket, prefix=prefix)
    with S3Database({**config, "storage_class": "GLACIER"}) as db:
        db.batch_create([Record({"n": 1}, id="2024/a"), Record({"n": 2}, id="2024/b")])
    with S3Database(config) as db:
        db.create(Record({}, id="warm"))
    return f"s3://{archive_bucket}/{prefix}"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, url: str) -> Callable[[str], int]:
    """Runs `restore 2024/a` at a terminal where somebody types this."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    def call(answer: str) -> int:
        monkeypatch.setattr("sys.stdin", Terminal(answer))
        return run(["restore", url, "2024/a"])

    return call


def states(cli: Cli, url: str) -> str:
    return cli("restore", url, "2024/a", "2024/b", "--status").out


def test_the_price_comes_first_and_without_yes_nothing_is_spent(cli: Cli, url: str) -> None:
    ended = cli("restore", url, "2024/a", "--tier", "bulk", "--days", "30")
    assert (ended.code, ended.out) == (2, "")
    assert "restoring for 30 days (Bulk): 1 object" in ended.err
    assert "time: 5 to 12 hours" in ended.err
    assert "nothing was done: there is no terminal to ask at; add --yes to go ahead" in ended.err
    assert states(cli, url) == "2024/a\tarchived\n2024/b\tarchived\n"


def test_yes_restores_and_the_record_can_be_read(cli: Cli, url: str) -> None:
    ended = cli("restore", url, "2024/a", "warm", "--yes")
    assert (ended.code, ended.out) == (0, "2024/a\trequested\nwarm\tnot archived\n")
    assert f"see how far it is with: dataknobs-data restore {url} 2024/a warm --status" in ended.err
    assert cli("get", url, "2024/a").lines == [{"n": 1}]
    later = cli("restore", url, "2024/a", "2024/b", "--status")
    assert later.code == 4
    assert later.out.startswith("2024/a\trestored until 20")
    assert cli("restore", url, "2024/a", "--status").code == 0


@pytest.mark.parametrize(
    ("answer", "started"), [("y\n", True), ("YES\n", True), ("n\n", False), ("\n", False), ("", False)]
)
def test_at_a_terminal_it_asks(
    cli: Cli,
    url: str,
    asked: Callable[[str], int],
    answer: str,
    started: bool,
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    assert asked(answer) == 0
    assert b"restore 1 records? [y/N] " in capfdbinary.readouterr().err
    assert states(cli, url).startswith("2024/a\trestored" if started else "2024/a\tarchived")


def test_what_costs_nothing_is_not_asked_about(cli: Cli, url: str) -> None:
    ended = cli("restore", url, "warm")
    assert (ended.code, ended.out) == (0, "warm\tnot archived\n")


def test_a_dry_run_only_says(cli: Cli, url: str) -> None:
    ended = cli("restore", url, "--where", "id starts_with 2024/", "--dry-run")
    assert ended.code == 0
    assert ended.out.startswith(
        "2024/a\tto be requested\n2024/b\tto be requested\nrestoring for 7 days (Standard): 2 objects"
    )
    assert states(cli, url) == "2024/a\tarchived\n2024/b\tarchived\n"


def test_waiting_says_how_far_it_is(cli: Cli, url: str) -> None:
    ended = cli("restore", url, "--where", "id starts_with 2024/", "--yes", "--wait", "--tier", "EXPEDITED")
    assert (ended.code, ended.out) == (0, "2024/a\trestored\n2024/b\trestored\n")
    assert "2 records: 2 restored" in ended.err


def test_at_a_terminal_a_bar_shows_how_far_it_is(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr("sys.stderr", screen := Terminal())
    monkeypatch.setattr(output, "stderr", Console(file=screen, force_terminal=True, force_interactive=True))
    assert run(["restore", url, "2024/a", "2024/b", "--yes", "--wait"]) == 0
    assert "2/2" in screen.getvalue()


def test_one_json_document_for_programs(cli: Cli, url: str) -> None:
    planned = json.loads(cli("restore", url, "2024/a", "none", "--dry-run", "--json").out)
    assert (planned["requested"], planned["missing"], planned["dry_run"]) == (["2024/a"], ["none"], True)
    assert planned["estimate"]["longest_seconds"] == 5 * 3600
    assert [offer["tier"] for offer in planned["estimate"]["offers"]] == ["Expedited", "Standard", "Bulk"]
    done = json.loads(cli("restore", url, "2024/a", "--yes", "--wait", "--json").out)
    assert (done["restored"], done["failed"]) == (["2024/a"], {})
    [status] = json.loads(cli("restore", url, "2024/a", "--status", "--json").out)
    assert (status["state"], status["storage_class"]) == ("restored", "GLACIER")


def test_a_missing_record_is_named(cli: Cli, url: str) -> None:
    for options in (["--yes"], ["--status"], ["--dry-run"]):
        ended = cli("restore", url, "2024/a", "none", *options)
        assert ended.code == 1
        assert "there is no record 'none'" in ended.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "name the records: either ids, or --where"),
        (["a", "--where", "id = a"], "name the records: either ids, or --where"),
        (["a", "--tier", "fast"], "there is no tier 'fast'"),
        (["a", "--days", "0"], "days"),
        (["a", "--timeout", "5"], "--timeout goes with --wait"),
        (["--where", "n > 1"], "the content of 2 records"),
    ],
)
def test_wrong_usage(cli: Cli, url: str, arguments: list[str], said: str) -> None:
    ended = cli("restore", url, *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert said in ended.err


def test_it_is_for_s3_only(cli: Cli, tmp_path: Path) -> None:
    ended = cli("restore", f"file:{tmp_path / 'x.jsonl'}", "a")
    assert ended.code == 2
    assert "this command is for databases in S3" in ended.err


def test_records_that_fail_are_named(cli: Cli, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from dataknobs_data.s3.archive.restore import Archive

    ask = Archive._ask

    def fail(self: Archive, run: object, status: object) -> str:
        if getattr(status, "id", "") == "2024/b":
            raise archive.ConfigurationError("no luck")
        return ask(self, run, status)  # type: ignore[arg-type]

    monkeypatch.setattr(Archive, "_ask", fail)
    ended = cli("restore", url, "2024/a", "2024/b", "--yes", "--wait")
    assert (ended.code, ended.out) == (4, "2024/a\trestored\n")
    assert "error: '2024/b': no luck" in ended.err


def test_ctrl_c_while_waiting_says_how_to_come_back(cli: Cli, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(restoration: Restoration) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(Restoration, "summary", interrupted)
    ended = cli("restore", url, "2024/a", "--yes", "--wait")
    assert ended.code == 130
    assert (
        f"S3 goes on with what was requested; see how far it is with: dataknobs-data restore {url} 2024/a" in ended.err
    )


def test_a_query_is_not_repeated_in_the_advice_nor_are_many_ids(cli: Cli, url: str) -> None:
    queried = cli("restore", url, "--where", "id = 2024/a", "--yes")
    assert f"dataknobs-data restore {url} --where … --status" in queried.err
    many = cli("restore", url, "-", "--yes", stdin="2024/b\nwarm\nn1\nn2\nn3\nn4\n")
    assert many.code == 1
    assert f"dataknobs-data restore {url} ID... --status" in many.err
