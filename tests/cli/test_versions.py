"""`history`, `revert`, `undelete`, `versioning` on a real server."""

from __future__ import annotations

import json
import uuid

import pytest

from tests.cli.conftest import Cli
from tests.servers import SeaweedServer, new_bucket_name, open_client


@pytest.fixture
def kept(cli: Cli, seaweed: SeaweedServer, monkeypatch: pytest.MonkeyPatch) -> str:
    """A database in a bucket of its own that keeps versions; record u1 has two, u2 was deleted."""
    for name, value in seaweed.environment().items():
        monkeypatch.setenv(name, value)
    seaweed.create_bucket(bucket := new_bucket_name())
    url = f"s3://{bucket}/{uuid.uuid4().hex}"
    assert cli("versioning", url, "--enable").code == 0
    cli("create", url + "?author=Ann", stdin='{"id": "u1", "n": 1}\n{"id": "u2", "n": 1}')
    cli("create", url, "--on-conflict", "upsert", stdin='{"id": "u1", "n": 2}')
    cli("rm", url, "u2")
    return url


def versions(cli: Cli, url: str, id: str) -> list[str]:
    return [line["version_id"] for line in cli("history", url, id).lines]


# ---------------------------------------------------------------------------------------------- versioning
def test_versioning_shows_plans_and_switches(cli: Cli, seaweed: SeaweedServer, s3_url: str) -> None:
    seaweed.create_bucket(bucket := new_bucket_name())
    url = f"s3://{bucket}/x"
    assert cli("versioning", url).out == "Off\n"
    dry = cli("versioning", url, "--enable", "--dry-run")
    assert (dry.code, '+"Enabled"' in dry.out, "dry run" in dry.err) == (0, True, True)
    with open_client(seaweed) as client:
        assert "Status" not in client.get_bucket_versioning(Bucket=bucket)
        done = cli("versioning", url, "--enable")
        assert '+"Enabled"' in done.out
        assert done.err.endswith("changed\n")
        assert client.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    assert cli("versioning", url).out == "Enabled\n"
    assert json.loads(cli("versioning", url, "--json").out) == {"versioning": "Enabled"}
    again = cli("versioning", url, "--enable")
    assert (again.code, again.out, again.err.endswith("nothing to change\n")) == (0, "", True)
    plan = json.loads(cli("versioning", url, "--suspend", "--json").out)
    assert (plan["before"], plan["after"], plan["applied"]) == ("Enabled", "Suspended", True)


def test_versioning_cannot_go_both_ways(cli: Cli, s3_url: str) -> None:
    assert cli("versioning", s3_url, "--enable", "--suspend").code == 2


# ---------------------------------------------------------------------------------------------- history
def test_history_is_json_lines_newest_first(cli: Cli, kept: str) -> None:
    new, old = cli("history", kept, "u1").lines
    assert (new["is_latest"], new["author"], old["author"]) == (True, None, "Ann")
    assert new["revision"] != old["revision"]
    deleted, written = cli("history", kept, "u2").lines
    assert (deleted["is_delete_marker"], written["is_delete_marker"]) == (True, False)
    assert len(cli("history", kept, "u1", "--limit", "1").lines) == 1


def test_history_is_a_table_for_people(cli: Cli, kept: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    shown = cli("history", kept, "u2", "--table").out.splitlines()
    assert "deleted, now" in shown[2]
    assert "written" in shown[3]
    assert "Ann" in shown[3]


def test_brackets_in_a_name_are_shown_as_they_are(cli: Cli, kept: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    cli("create", kept + "?author=Ann%20%5B/ops%5D%5Bred%5D", stdin='{"id": "u3"}')
    shown = cli("history", kept, "u3", "--table")
    assert (shown.code, "Ann [/ops][red]" in shown.out) == (0, True)


def test_history_of_what_never_was(cli: Cli, kept: str) -> None:
    ended = cli("history", kept, "nobody")
    assert (ended.code, ended.out, ended.err) == (1, "", "error: there is no version of a record 'nobody'\n")


# ---------------------------------------------------------------------------------------------- revert
def test_revert_shows_the_change_first_and_then_makes_it(cli: Cli, kept: str) -> None:
    old = versions(cli, kept, "u1")[-1]
    dry = cli("revert", kept, "u1", old, "--dry-run")
    assert dry.code == 0
    assert [line for line in dry.out.splitlines() if line.startswith(("-  ", "+  "))] == ['-  "n": 2,', '+  "n": 1,']
    assert cli("get", kept, "u1").lines == [{"id": "u1", "n": 2}]
    assert cli("revert", kept, "u1", old).code == 0
    assert cli("get", kept, "u1").lines == [{"id": "u1", "n": 1}]
    (line,) = cli("revert", kept, "u1", old, "--json").lines
    assert (line["_id"], line["n"]) == ("u1", 1)
    assert len(versions(cli, kept, "u1")) == 4


def test_revert_to_what_is_there_changes_nothing_in_a_dry_run(cli: Cli, kept: str) -> None:
    present = versions(cli, kept, "u1")[0]
    assert cli("revert", kept, "u1", present, "--dry-run").out == ""


@pytest.mark.parametrize("more", [[], ["--dry-run"]])
def test_revert_to_no_version(cli: Cli, kept: str, more: list[str]) -> None:
    ended = cli("revert", kept, "u1", "nope", *more)
    assert ended.code == 1
    assert "no version 'nope'" in ended.err


def test_revert_of_a_record_that_somebody_changed(cli: Cli, kept: str) -> None:
    old = versions(cli, kept, "u1")[-1]
    ended = cli("revert", kept, "u1", old, "--expected-version", "01OLD")
    assert ended.code == 3
    assert "01OLD" in ended.err
    assert cli("get", kept, "u1").lines == [{"id": "u1", "n": 2}]


def test_revert_of_a_damaged_record_shows_that_too(cli: Cli, kept: str, seaweed: SeaweedServer) -> None:
    bucket, prefix = kept.split("/")[2:]
    with open_client(seaweed) as client:
        client.put_object(Bucket=bucket, Key=f"{prefix}/u1.json", Body=b"{")
    old = versions(cli, kept, "u1")[-1]
    dry = cli("revert", kept, "u1", old, "--dry-run")
    assert '-  "damaged"' in dry.out
    assert cli("revert", kept, "u1", old).code == 0
    assert cli("get", kept, "u1").lines == [{"id": "u1", "n": 1}]


# ---------------------------------------------------------------------------------------------- undelete
def test_undelete_brings_back_what_can_be_and_names_the_rest(cli: Cli, kept: str) -> None:
    dry = cli("undelete", kept, "u1", "u2", "--dry-run")
    assert (dry.code, dry.out) == (0, "u2\n")
    assert cli("get", kept, "u2").code == 1
    ended = cli("undelete", kept, "-", stdin="u1\nu2\nnobody\n")
    assert (ended.code, ended.out) == (1, "u2\n")
    assert "'u1' is not deleted" in ended.err
    assert "'nobody' cannot be brought back" in ended.err
    assert cli("get", kept, "u2").lines == [{"id": "u2", "n": 1}]


@pytest.mark.parametrize("command", [["history", "u1"], ["revert", "u1", "v"], ["undelete", "u1"], ["versioning"]])
def test_only_s3_keeps_versions(cli: Cli, command: list[str]) -> None:
    name, *rest = command
    ended = cli(name, "memory:", *rest)
    assert (ended.code, "s3://bucket/prefix" in ended.err) == (2, True)
