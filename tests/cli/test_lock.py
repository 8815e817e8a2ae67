"""`lock` on a real server."""

from __future__ import annotations

import json
import re
import uuid
from typing import Any

import pytest

from tests.cli.conftest import Cli
from tests.servers import SeaweedServer, new_bucket_name


@pytest.fixture
def url(s3_url: str, seaweed: SeaweedServer) -> str:
    """A database in a bucket of its own."""
    seaweed.create_bucket(bucket := new_bucket_name())
    return f"s3://{bucket}/{uuid.uuid4().hex}"


@pytest.fixture
def locking(cli: Cli, url: str) -> str:
    """One whose bucket can lock, with two records."""
    cli("versioning", url, "--enable")
    assert cli("lock", url, "--enable", "--yes").code == 0
    assert cli("create", url, stdin='{"id": "a"}\n{"id": "b"}').code == 0
    return url


def bucket_lock(cli: Cli, url: str) -> Any:
    return json.loads(cli("lock", url).out)


def test_the_bucket_is_set_up(cli: Cli, url: str) -> None:
    assert bucket_lock(cli, url) is None
    refused = cli("lock", url, "--enable")
    assert (refused.code, "enable_versioning()" in refused.err) == (2, True)
    cli("versioning", url, "--enable")
    dry = cli("lock", url, "--enable", "--dry-run")
    assert '+  "ObjectLockEnabled": "Enabled"' in dry.out
    assert "note: object lock cannot be turned off again" in dry.err
    assert bucket_lock(cli, url) is None
    asked = cli("lock", url, "--enable")
    assert (asked.code, "there is no terminal to ask at" in asked.err) == (2, True)
    assert "note: object lock cannot be turned off again" in asked.err
    assert bucket_lock(cli, url) is None
    assert cli("lock", url, "--enable", "--yes").err.endswith("changed\n")
    assert bucket_lock(cli, url) == {"mode": None, "days": None, "years": None}
    plan = json.loads(cli("lock", url, "--enable", "--default-days", "1", "--yes", "--json").out)
    assert plan["applied"]
    assert bucket_lock(cli, url) == {"mode": "GOVERNANCE", "days": 1, "years": None}


def test_records_are_retained_held_released_and_shown(cli: Cli, locking: str) -> None:
    retained = cli("lock", locking, "a", "--retain", "2")
    assert retained.code == 0
    assert re.fullmatch(r"a \w+: GOVERNANCE until \d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ\n", retained.out)
    held = json.loads(cli("lock", locking, "-", "--hold", "--json", stdin="a\nb\n").out)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", held[0]["until"])
    assert [(one["id"], one["mode"], one["hold"]) for one in held] == [("a", "GOVERNANCE", True), ("b", None, True)]
    assert cli("lock", locking, "a").out == retained.out.strip() + ", legal hold\n"
    assert cli("lock", locking, "b", "--release").out == f"b {held[1]['version_id']}: not locked\n"
    assert cli("lock", locking, "a", "--retain", "1").code == 3, "shorter"
    shorter = cli("lock", locking, "a", "--retain", "1", "--bypass")
    assert (shorter.code, shorter.out.endswith(", legal hold\n")) == (0, True)


def test_what_is_missing_is_named_and_the_rest_is_done(cli: Cli, locking: str) -> None:
    partly = cli("lock", locking, "a", "nobody", "--hold")
    assert partly.code == 4
    assert re.fullmatch(r"a \w+: legal hold\n", partly.out), "the version that was locked is told"
    assert partly.err == "error: 'nobody': putting a legal hold on record 'nobody': there is no such record\n"
    shown = cli("lock", locking, "a", "nobody")
    assert (shown.code, shown.err) == (1, "error: there is no record 'nobody'\n")
    assert shown.out.endswith("legal hold\n")
    alone = cli("lock", locking, "nobody", "--hold")
    assert (alone.code, alone.err.count("\n")) == (1, 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("a", "--hold", "--release"), "--hold and --release exclude each other"),
        (("--hold",), "--hold takes the ids of records"),
        (("a", "--enable"), "--enable is for the whole bucket"),
        (("a", "--mode", "GOVERNANCE"), "--mode goes with --retain or --default-days"),
        (("a", "--hold", "--bypass"), "--bypass goes with --retain"),
        (("a", "--hold", "--dry-run"), "--dry-run goes with --enable"),
        (("--default-days", "3"), "--default-days goes with --enable"),
        (("a", "--retain", "0"), "until, in days, must be a whole number from 1"),
        (("--enable", "--default-days", "0"), "days must be a whole number from 1"),
        (("a", "--retain", "3", "--mode", "COMPLAINCE"), "did you mean 'COMPLIANCE'?"),
        (("a", "--retain", "3", "--mode", "COMPLIANCE"), "irrevocable=True (--irrevocable)"),
    ],
)
def test_wrong_usage(cli: Cli, url: str, arguments: tuple[str, ...], message: str) -> None:
    ended = cli("lock", url, *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert message in ended.err


def test_it_is_for_s3_only(cli: Cli) -> None:
    assert "this command is for databases in S3" in cli("lock", "memory:").err
