"""`lifecycle` as a command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Cli
from tests.servers import MotoServer, SeaweedServer, new_bucket_name


@pytest.fixture
def own_url(seaweed: SeaweedServer, monkeypatch: pytest.MonkeyPatch) -> str:
    """A database of single objects in a bucket of its own: rules are the bucket's."""
    for name, value in seaweed.environment().items():
        monkeypatch.setenv(name, value)
    seaweed.create_bucket(bucket := new_bucket_name())
    return f"s3://{bucket}/data?layout=objects"


@pytest.fixture
def moving_url(moto_server: MotoServer, monkeypatch: pytest.MonkeyPatch) -> str:
    """The same where objects can be moved."""
    for name, value in moto_server.environment().items():
        monkeypatch.setenv(name, value)
    moto_server.create_bucket(bucket := new_bucket_name())
    return f"s3://{bucket}/data?layout=objects"


def rules(cli: Cli, url: str) -> dict[str, Any]:
    shown = cli("lifecycle", url, "--json")
    assert shown.code == 0
    found: dict[str, Any] = json.loads(shown.out)
    return found


def test_rules_are_added_shown_and_removed(cli: Cli, own_url: str) -> None:
    empty = cli("lifecycle", own_url)
    assert (empty.code, empty.out, empty.err) == (0, "", "the bucket has no lifecycle rules\n")

    dry = cli("lifecycle", own_url, "--expire-noncurrent", "30", "--keep-noncurrent", "3", "--dry-run")
    assert dry.code == 0
    assert '+      "ID": "dataknobs-data:data/:archive.noncurrent",' in dry.out
    assert "nothing was changed: this is a dry run" in dry.err
    assert rules(cli, own_url) == {"Rules": [], "ours": []}

    done = cli("lifecycle", own_url, "--expire-noncurrent", "30", "--keep-noncurrent", "3", "--abort-uploads", "2")
    assert done.code == 0
    assert "note: the bucket keeps no versions" in done.err
    assert done.err.endswith("changed\n")
    ours = [f"dataknobs-data:data/:archive.{part}" for part in ("noncurrent", "uploads")]
    assert rules(cli, own_url)["ours"] == ours

    table = cli("lifecycle", own_url)
    assert table.code == 0
    lines = [line.split() for line in table.out.splitlines()]
    assert ["ours", "archive.noncurrent"] in [line[:2] for line in lines]
    assert "old versions deleted after 30 days, the newest 3 kept" in " ".join(table.out.split())

    other = cli("lifecycle", own_url, "--remove", "--name", "other")
    assert (other.code, other.out) == (0, "")
    assert "there is no rule 'other'" in other.err
    assert cli("lifecycle", own_url, "--remove").code == 0
    assert rules(cli, own_url) == {"Rules": [], "ours": []}


def test_which_records_a_rule_is_for(cli: Cli, own_url: str) -> None:
    options = ["--expire", "9", "--id-prefix", "tmp/", "--tag", "kind=tmp", "--tag", "team=a=b", "--larger-than", "500"]
    refused = cli("lifecycle", own_url, *options)
    assert refused.code == 2
    assert "--allow-deleting-records" in refused.err
    done = cli("lifecycle", own_url, *options, "--allow-deleting-records", "--name", "trash", "--json")
    assert done.code == 0
    plan = json.loads(done.out)
    assert plan["applied"]
    assert plan["after"]["Rules"][0]["ID"] == "dataknobs-data:data/:trash.expire"
    assert plan["after"]["Rules"][0]["Filter"] == {
        "And": {
            "Prefix": "data/tmp/",
            "Tags": [{"Key": "kind", "Value": "tmp"}, {"Key": "team", "Value": "a=b"}],
            "ObjectSizeGreaterThan": 500,
        }
    }


def test_moving_and_a_file_in_boto3s_form(cli: Cli, moving_url: str, tmp_path: Path) -> None:
    moved = cli(
        *("lifecycle", moving_url, "--move", "STANDARD_IA=30", "--move", "GLACIER=90"),
        *("--move-noncurrent", "GLACIER=1", "--json"),
    )
    assert moved.code == 0
    first = json.loads(moved.out)["after"]["Rules"][0]
    assert [move["StorageClass"] for move in first["Transitions"]] == ["STANDARD_IA", "GLACIER"]
    assert first["NoncurrentVersionTransitions"] == [{"NoncurrentDays": 1, "StorageClass": "GLACIER"}]

    file = tmp_path / "rules.json"
    file.write_text('{"Rules": [{"ID": "Old", "Transitions": [{"Days": 30, "StorageClass": "GLACIER"}]}]}')
    merged = cli("lifecycle", moving_url, "--from", str(file), "--id-prefix", "2024/", "--larger-than", "200000")
    assert merged.code == 0
    assert "note: lifecycle rule 'Old': it has no Filter" in merged.err
    assert '"Prefix": "data/2024/"' in merged.out
    assert '"ObjectSizeGreaterThan": 200000' in merged.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--move", "GLACIER"], "write CLASS=DAYS, such as GLACIER=90"),
        (["--move", "GLACIER=soon"], "write CLASS=DAYS"),
        (["--move", "=3"], "write CLASS=DAYS"),
        (["--move", "GLACEIR=3"], "did you mean 'GLACIER'?"),
        (["--move", "GLACIER=3", "--move", "GLACIER=4"], "--move names GLACIER twice"),
        (["--move", "GLACIER=3", "--tag", "blue"], "write NAME=VALUE"),
        (["--move", "GLACIER=3", "--remove"], "exclude each other"),
        (["--from", "{file}", "--remove"], "exclude each other"),
        (["--from", "{file}", "--name", "x"], "do not go with --from"),
        (["--from", "{file}"], "is no JSON"),
        (["--id-prefix", "a"], "say what is to be done"),
        (["--name", "a"], "say what is to be done"),
        (["--remove", "--larger-than", "0"], "say what is to be done"),
        (["--keep-noncurrent", "3"], "say that too"),
    ],
)
def test_options_that_make_no_sense(cli: Cli, own_url: str, tmp_path: Path, arguments: list[str], said: str) -> None:
    file = tmp_path / "rules.json"
    file.write_text("{")
    ended = cli("lifecycle", own_url, *(argument.format(file=file) for argument in arguments))
    assert ended.code == 2, ended.err
    assert said in ended.err
    assert ended.out == ""
    assert rules(cli, own_url) == {"Rules": [], "ours": []}


def test_it_is_for_s3(cli: Cli, tmp_path: Path) -> None:
    ended = cli("lifecycle", f"file:{tmp_path / 'records.jsonl'}")
    assert ended.code == 2
    assert "this command is for databases in S3" in ended.err
