"""`tags` on a real server: of records, of the bucket, and who costs what."""

from __future__ import annotations

import json
import uuid

import pytest

from tests.cli.conftest import Cli
from tests.servers import SeaweedServer, new_bucket_name


@pytest.fixture
def url(s3_url: str, seaweed: SeaweedServer) -> str:
    """A database in a bucket of its own."""
    seaweed.create_bucket(bucket := new_bucket_name())
    return f"s3://{bucket}/{uuid.uuid4().hex}"


def create(cli: Cli, url: str, id: str, **metadata: object) -> None:
    line = json.dumps({"_id": id, "_metadata": metadata, "n": 1})
    assert cli("create", url, "--quiet", stdin=line).code == 0


def test_a_records_tags_and_what_is_none(cli: Cli, url: str) -> None:
    create(cli, url, "x", created_at="2024-01-01T00:00:00+00:00", department="R&D", team="blue", pages=[1])
    shown = cli("tags", url, "x")
    assert shown.code == 0
    assert sorted(shown.out.splitlines()) == ["created_at=2024-01-01T00:00:00.000000Z", "id=x", "team=blue"]
    assert "not a tag: department: its value holds characters other than" in shown.err
    assert "not a tag: pages: a list is no single value" in shown.err
    found = json.loads(cli("tags", url, "x", "--json").out)
    assert found["tags"]["team"] == "blue"
    assert found["skipped"].keys() == {"department", "pages"}
    missing = cli("tags", url, "y")
    assert (missing.code, missing.err) == (1, "error: there is no record 'y'\n")


def test_the_buckets_tags_are_shown_set_and_unset(cli: Cli, url: str) -> None:
    assert cli("tags", url).out == ""
    assert cli("tags", url, "--json").out == "{}\n"
    dry = cli("tags", url, "--set", "project=Trinity", "--dry-run")
    assert '+  "project": "Trinity"' in dry.out
    assert cli("tags", url).out == ""
    done = cli("tags", url, "--set", "project=Trinity", "--set", "formula=a=b")
    assert done.err.splitlines()[-1] == "changed"
    assert "activated in the Billing console" in done.err
    assert sorted(cli("tags", url).out.splitlines()) == ["formula=a=b", "project=Trinity"]
    both = json.loads(cli("tags", url, "--set", "project=Neo", "--unset", "formula", "--json").out)
    assert (both["after"], both["applied"]) == ({"project": "Neo"}, True)
    assert "did you mean 'project'?" in cli("tags", url, "--unset", "projct").err


def test_what_the_records_cost_by_a_metadata_name(cli: Cli, url: str) -> None:
    create(cli, url, "a", team="blue")
    create(cli, url, "b", team="blue")
    create(cli, url, "c")
    shown = cli("tags", url, "--by", "team")
    header, _, first, second = shown.out.splitlines()
    assert header.split("  ")[0] == "team"
    assert (first.split()[:2], second.split()[:2]) == (["blue", "2"], ["(none)", "1"])
    shares = json.loads(cli("tags", url, "--by", "team", "--json").out)
    assert [(share["value"], share["records"]) for share in shares] == [("blue", 2), (None, 1)]
    assert 0 < shares[1]["dollars_per_month"] < shares[0]["dollars_per_month"] < 0.001


@pytest.mark.parametrize("team", ["a [/b]", "[red]x", "[link=https://example.com]x[/link]"])
def test_brackets_in_metadata_are_shown_as_they_are(cli: Cli, url: str, team: str) -> None:
    create(cli, url, "a", **{"[/x]": team})
    shown = cli("tags", url, "--by", "[/x]")
    assert (shown.code, shown.err) == (0, "")
    header, _, line = shown.out.splitlines()
    assert (header.startswith("[/x]"), line.startswith(team)) == (True, True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("x", "--set", "a=b"), "a record's tags follow its metadata"),
        (("x", "--by", "team"), "a record's tags follow its metadata"),
        (("--by", "", "--unset", "a"), "--by only looks"),
        (("--by", "team", "--unset", "a"), "--by only looks"),
        (("--dry-run",), "say what to change: --set or --unset"),
        (("--set", "a"), "--set 'a': write it as KEY=VALUE"),
        (("--set", "aws:a=b"), "must not be empty or start with 'aws:'"),
        (("--set", "a=b", "--set", "a=c"), "--set names a twice"),
        (("--set", "a=b", "--unset", "a"), "to be set and to be removed"),
    ],
)
def test_wrong_usage(cli: Cli, url: str, arguments: tuple[str, ...], message: str) -> None:
    ended = cli("tags", url, *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert message in ended.err
