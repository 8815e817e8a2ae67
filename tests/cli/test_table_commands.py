"""`compact`, `vacuum`, `log`, `stats`: what they do, what they say, and how watching ends."""

from __future__ import annotations

import io
import json
import signal
import subprocess
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from rich.console import Console

from dataknobs_data.backends.s3 import S3Database
from dataknobs_data.cli import output
from dataknobs_data.cli.app import run
from dataknobs_data.exceptions import (
    ConfigurationError,
    DatabaseConnectionError,
    DataknobsDataError,
    OutcomeUnknownError,
    ThrottledError,
)
from dataknobs_data.runtime import Runtime
from dataknobs_data.s3.tiered.reports import CompactReport, VacuumReport
from tests.cli.conftest import Cli
from tests.cli.test_processes import PROGRAM, started
from tests.servers import SeaweedServer, new_bucket_name, open_client


class Terminal(io.StringIO):
    """Where somebody looks, or types."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def url(s3_url: str) -> str:
    """An empty database with a table, in which compaction need not wait long."""
    return f"{s3_url}?layout=tiered&timeout=1&deadline=2&grace=3&pack_threshold=10"


@pytest.fixture
def both_tiers(cli: Cli, url: str) -> str:
    """Twenty records in a pack, of which one was changed and one deleted; and one more that is an object."""
    lines = "\n".join(json.dumps({"id": f"p{n:02}", "n": n}) for n in range(20))
    assert cli("create", url, "--quiet", stdin=lines).code == 0
    assert cli("create", url, "--quiet", "--on-conflict", "upsert", stdin='{"id": "p03", "n": -3}').code == 0
    assert cli("rm", url, "p04").code == 0
    assert cli("create", url, "--quiet", stdin='{"id": "single", "n": 100}').code == 0
    return url


def records(cli: Cli, url: str) -> list[Any]:
    return cli("search", url, "--sort", "n").lines


# ---------------------------------------------------------------------------------------------- compact
def test_compacting_changes_nothing_that_people_see(cli: Cli, both_tiers: str) -> None:
    before = records(cli, both_tiers)
    first = cli("compact", both_tiers)
    assert (first.code, first.err) == (0, "")
    [line] = first.out.splitlines()
    assert line.startswith("version ")
    assert "2 folded, 1 deletions settled" in line
    assert "3 objects wait to be deleted" in line
    assert records(cli, both_tiers) == before
    waited = cli("compact", both_tiers, "--full", "--wait", "--json")
    [report] = waited.lines
    assert (waited.code, report["dropped"], report["waiting"], report["left"]) == (0, 3, 0, {})
    assert records(cli, both_tiers) == before
    [idle] = cli("compact", both_tiers, "--json").lines
    assert (idle["version"], idle["folded"], idle["rewritten"]) == (None, 0, 0)
    assert cli("compact", both_tiers).out.startswith("nothing to do, ")


def test_what_stays_is_said_with_its_reason(cli: Cli, url: str) -> None:
    lines = "\n".join(json.dumps({"id": f"p{n:02}"}) for n in range(50))
    cli("create", url, "--quiet", stdin=lines)
    cli("rm", url, "p01")
    ended = cli("compact", url)
    assert (ended.code, ended.err.startswith("1 stay: the packs behind it have too few dead rows")) == (0, True)


def test_a_terminal_shows_how_far_it_is(both_tiers: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", screen := Terminal())
    monkeypatch.setattr(output, "stderr", Console(file=screen, force_terminal=True, force_interactive=True, width=200))
    assert run(["compact", both_tiers, "--wait"]) == 0
    assert "waiting until nobody relies on what was folded" in screen.getvalue()


def test_watching_compacts_again_until_a_signal(
    cli: Cli, both_tiers: str, inherited_environment: dict[str, str]
) -> None:
    with started("compact", both_tiers, "--watch", "0.2", "--json", env=inherited_environment) as process:
        assert process.stdout and process.stderr  # noqa: PT018  for the type checker
        reports = [json.loads(process.stdout.readline()) for _ in range(2)]
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        assert process.stderr.read() == "stopped\n"
    assert [report["folded"] for report in reports] == [2, 0]
    counted = subprocess.run(
        [PROGRAM, "count", both_tiers], env=inherited_environment, text=True, capture_output=True, check=True
    )
    assert counted.stdout == "20\n"


def test_watching_goes_on_when_the_store_comes_back(cli: Cli, both_tiers: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses = watched(
        monkeypatch, [ThrottledError("slow down"), DatabaseConnectionError("gone"), OutcomeUnknownError("lost"), None]
    )
    ended = cli("compact", both_tiers, "--watch", "30")
    assert (ended.code, pauses) == (0, [60, 120, 240, 30])
    assert "error: slow down; trying again in 60 s" in ended.err
    assert ended.err.endswith("stopped\n")
    assert len(ended.out.splitlines()) == 1


def test_watching_that_ends_in_trouble_says_so(cli: Cli, both_tiers: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses = watched(monkeypatch, [None, *[ThrottledError("slow down")] * 6])
    ended = cli("compact", both_tiers, "--watch", "30")
    assert (ended.code, pauses) == (3, [30, 60, 120, 240, 480, 600, 600])


@pytest.mark.parametrize(
    ("error", "code"),
    [(DatabaseConnectionError("access denied", status=403), 3), (ConfigurationError("no such layout"), 2)],
)
def test_what_does_not_pass_by_itself_ends_watching(
    cli: Cli, both_tiers: str, monkeypatch: pytest.MonkeyPatch, error: DataknobsDataError, code: int
) -> None:
    pauses = watched(monkeypatch, [None, error, None])
    ended = cli("compact", both_tiers, "--watch", "5")
    assert (ended.code, pauses) == (code, [5])
    assert ended.err == f"error: {error}\n"


def watched(monkeypatch: pytest.MonkeyPatch, outcomes: list[DataknobsDataError | None]) -> list[float]:
    """Lets runs end so, in this order, then comes Ctrl-C. How long was paused after each."""
    compact: Callable[..., CompactReport] = S3Database.compact
    left, pauses = list(outcomes), list[float]()

    def call(db: S3Database, **options: Any) -> CompactReport:
        if error := left.pop(0):
            raise error
        return compact(db, **options)

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if not left:
            raise KeyboardInterrupt

    monkeypatch.setattr(S3Database, "compact", call)
    monkeypatch.setattr("dataknobs_data.cli.compact.Runtime", lambda: Runtime(sleep=sleep))
    return pauses


# ---------------------------------------------------------------------------------------------- vacuum
@pytest.fixture
def waste(monkeypatch: pytest.MonkeyPatch) -> list[tuple[timedelta, bool]]:
    """A vacuum that finds some: what is asked of it. (What it really finds is in tests/conformance: that takes a day.)"""
    asked: list[tuple[timedelta, bool]] = []

    def vacuum(db: S3Database, *, retention: timedelta, dry_run: bool = False) -> VacuumReport:
        asked.append((retention, dry_run))
        return VacuumReport(2, 12345, 1, kept_for_readers=3, kept_for_loads=1, dry_run=dry_run)

    monkeypatch.setattr(S3Database, "vacuum", vacuum)
    return asked


def test_a_vacuum_of_a_young_table_deletes_nothing(cli: Cli, both_tiers: str) -> None:
    cli("compact", both_tiers, "--full")
    ended = cli("vacuum", both_tiers)
    assert (ended.code, ended.out) == (0, "")
    assert "nothing to delete" in ended.err
    assert "kept: 1 file that were part of the table within the retention" in ended.err
    report = json.loads(cli("vacuum", both_tiers, "--dry-run", "--retention", "1d", "--json").out)
    assert (report["files"], report["kept_for_readers"], report["dry_run"]) == (0, 1, True)


def test_a_dry_run_says_what_would_go(cli: Cli, url: str, waste: list[tuple[timedelta, bool]]) -> None:
    ended = cli("vacuum", url, "--dry-run", "--retention", "2w")
    assert (ended.code, waste) == (0, [(timedelta(days=14), True)])
    assert ended.err.splitlines() == [
        "to be deleted: 2 files (12,345 bytes) and the marks of 1 load",
        "kept: 3 files that were part of the table within the retention",
        "kept: 1 file that belong to loads under way",
        "nothing was deleted: this is a dry run",
    ]


def test_without_yes_nothing_is_deleted(cli: Cli, url: str, waste: list[tuple[timedelta, bool]]) -> None:
    ended = cli("vacuum", url)
    assert (ended.code, waste) == (2, [(timedelta(days=7), True)])
    assert "to be deleted: 2 files (12,345 bytes)" in ended.err
    assert "there is no terminal to ask at; add --yes" in ended.err
    assert cli("vacuum", url, "--yes", "--retention", "36h").code == 0
    assert waste[1:] == [(timedelta(hours=36), True), (timedelta(hours=36), False)]


@pytest.mark.parametrize(("answer", "deletes"), [("y\n", True), ("n\n", False), ("", False)])
def test_at_a_terminal_it_asks(
    url: str,
    waste: list[tuple[timedelta, bool]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    answer: str,
    deletes: bool,
) -> None:
    monkeypatch.setattr("sys.stdin", Terminal(answer))
    assert run(["vacuum", url]) == 0
    assert "delete 2 files (12,345 bytes) and the marks of 1 load? [y/N] " in capsys.readouterr().err
    assert (timedelta(days=7), False) in waste if deletes else len(waste) == 1


@pytest.mark.parametrize("text", ["7", "d", "soon", "-1d", "1.5d", "7 days", "1y"])
def test_a_retention_that_makes_no_sense(cli: Cli, url: str, text: str) -> None:
    ended = cli("vacuum", url, f"--retention={text}")
    assert (ended.code, "write a number with h, d or w" in ended.err) == (2, True)


def test_less_than_a_day_is_refused(cli: Cli, both_tiers: str) -> None:
    ended = cli("vacuum", both_tiers, "--retention", "23h")
    assert (ended.code, "must be 1 day, 0:00:00 or more" in ended.err) == (2, True)


# ---------------------------------------------------------------------------------------------- log, stats
def test_the_log_for_programs_and_for_people(cli: Cli, both_tiers: str) -> None:
    cli("compact", both_tiers)
    entries = cli("log", both_tiers).lines
    assert [entry["operation"] for entry in entries] == ["COMPACT", "LOAD"]
    assert [entry["version"] for entry in entries] == [1, 0]
    assert (entries[0]["rows"], entries[0]["packs_added"], entries[0]["packs_removed"]) == (20, 1, 1)
    assert cli("log", both_tiers, "--limit", "1").lines == entries[:1]
    shown = cli("log", both_tiers, "--table")
    assert shown.out.splitlines()[0].split() == ["version", "when", "(UTC)", "what", "rows", "packs", "bytes"]
    assert "COMPACT folded 2, buried" in " ".join(shown.out.split())
    assert "listed" not in shown.out


def test_the_numbers_for_programs_and_for_people(cli: Cli, both_tiers: str) -> None:
    [numbers] = cli("stats", both_tiers).lines
    assert (numbers["rows"], numbers["packs"], numbers["documents"], numbers["tombstones"]) == (20, 1, 2, 1)
    assert numbers["columns"] == {"n": "long"} | ({"id": "string"} if "id" in numbers["columns"] else {})
    shown = " ".join(cli("stats", both_tiers, "--table").out.split())
    assert "objects 2 records, 1 deletions, " in shown
    assert "table version 0: 20 rows in 1 packs, " in shown
    assert "0 to 1 MiB 1 packs, " in shown


def test_advice_is_for_people_and_programs(cli: Cli, url: str) -> None:
    for start in range(0, 100, 10):
        cli("create", url, "--quiet", stdin="\n".join(f'{{"id": "{start + n:03}"}}' for n in range(10)))
    advice = "compact: 10 small packs, which every query opens one by one"
    assert cli("stats", url, "--json").lines[0]["advice"] == [advice]
    assert cli("stats", url, "--table").err == f"advice: {advice}\n"


def test_a_table_that_is_not_there_yet(cli: Cli, url: str) -> None:
    assert (cli("log", url, "--json").code, cli("log", url, "--json").out) == (0, "")
    assert "nothing has been committed to the table yet" in cli("log", url, "--table").err
    assert "table none yet" in " ".join(cli("stats", url, "--table").out.split())
    assert cli("stats", url).lines[0]["version"] is None
    assert "nothing to delete" in cli("vacuum", url).err


# ---------------------------------------------------------------------------------------------- what makes no sense
COMMANDS = ("compact", "vacuum", "log", "stats")


@pytest.mark.parametrize("command", COMMANDS)
def test_without_a_table_there_is_nothing_to_do(cli: Cli, s3_url: str, command: str) -> None:
    ended = cli(command, f"{s3_url}?layout=objects")
    assert (ended.code, ended.out) == (2, "")
    assert "this database has layout 'objects': there is no table" in ended.err


@pytest.mark.parametrize("command", COMMANDS)
def test_they_are_for_s3(cli: Cli, command: str) -> None:
    ended = cli(command, "memory:")
    assert (ended.code, "this command is for databases in S3" in ended.err) == (2, True)


def test_options_that_exclude_each_other(cli: Cli, url: str) -> None:
    ended = cli("compact", url, "--wait", "--watch", "5")
    assert (ended.code, "--wait and --watch exclude each other" in ended.err) == (2, True)


# ---------------------------------------------------------------------------------------------- what others do to the bucket
def test_compacting_warns_of_rules_that_would_break_the_table(cli: Cli, seaweed: SeaweedServer, s3_url: str) -> None:
    seaweed.create_bucket(bucket := new_bucket_name())
    url = f"s3://{bucket}/data?layout=tiered"
    cli("create", url, "--quiet", stdin='{"id": "a"}')
    assert cli("compact", url, "--json").lines[0]["warnings"] == []
    rule: Any = {"ID": "old", "Status": "Enabled", "Filter": {"Prefix": "data/_table/"}, "Expiration": {"Days": 30}}
    with open_client(seaweed) as client:
        client.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": [rule]})
    ended = cli("compact", url, "--json")
    warnings = ended.lines[0]["warnings"]
    assert any(said.startswith("rule 'old' deletes the table's log, companions of packs") for said in warnings)
    assert ended.code == 0


def test_looking_writes_nothing(cli: Cli, seaweed: SeaweedServer, s3_url: str) -> None:
    seaweed.create_bucket(bucket := new_bucket_name())
    for command in ("log", "stats", "vacuum"):
        assert cli(command, f"s3://{bucket}/data?layout=tiered").code == 0
    with open_client(seaweed) as client:
        assert client.list_objects_v2(Bucket=bucket)["KeyCount"] == 0
