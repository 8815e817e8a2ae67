"""`policy` on real servers."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest

from tests.cli.conftest import Cli
from tests.servers import MotoServer, SeaweedServer, new_bucket_name

ACCOUNT = "111122223333"


@pytest.fixture
def url(s3_url: str, seaweed: SeaweedServer) -> str:
    """A database in a bucket of its own."""
    seaweed.create_bucket(bucket := new_bucket_name())
    return f"s3://{bucket}/{uuid.uuid4().hex}"


def policy_of(cli: Cli, url: str) -> Any:
    return json.loads(cli("policy", url).out)


def test_a_grant_is_shown_made_and_removed(cli: Cli, url: str) -> None:
    assert policy_of(cli, url) is None
    dry = cli("policy", url, "--grant", ACCOUNT, "--dry-run")
    assert (dry.code, policy_of(cli, url)) == (0, None)
    assert f'+        "AWS": "arn:aws:iam::{ACCOUNT}:root"' in dry.out
    assert dry.err.splitlines()[-1] == "nothing was changed: this is a dry run"

    done = cli("policy", url, "--grant", ACCOUNT, "--access", "write", "--versions", "--name", "team", "--json")
    plan = json.loads(done.out)
    assert (done.code, plan["applied"]) == (0, True)
    actions = [action for one in policy_of(cli, url)["Statement"] for action in one["Action"]]
    assert {"s3:PutObject", "s3:GetObjectVersion", "s3:ListBucketVersions"} <= set(actions)

    service = cli("policy", url, "--grant", "service:logging.s3.amazonaws.com", "--source", ACCOUNT)
    assert f'"aws:SourceAccount": "{ACCOUNT}"' in service.out
    assert cli("policy", url, "--remove", "--name", "team").err == "changed\n"
    assert len(policy_of(cli, url)["Statement"]) == 2
    assert cli("policy", url, "--remove").err == "changed\n"
    again = cli("policy", url, "--remove")
    assert again.err == "note: the policy holds no statement of this database\nnothing to change\n"
    assert policy_of(cli, url) is None


def test_the_policy_of_an_identity_is_printed(cli: Cli, url: str) -> None:
    bucket, prefix = url.removeprefix("s3://").split("/")
    document = json.loads(cli("policy", url, "--identity", "--access", "read").out)
    assert document["Statement"][0]["Resource"] == f"arn:aws:s3:::{bucket}/{prefix}/*"
    assert document["Statement"][0]["Action"] == ["s3:GetObject", "s3:GetObjectTagging"]
    assert "s3:PutObject" in cli("policy", url, "--identity").out
    assert "s3:PutBucketPolicy" in cli("policy", url, "--identity", "--access", "admin").out


def test_what_would_lock_us_out_is_refused(cli: Cli, url: str) -> None:
    for option in ("--require-tls", "--require-encryption"):
        ended = cli("policy", url, option)
        assert (ended.code, ended.out) == (2, "")
        assert "would lock this database out" in ended.err
    assert policy_of(cli, url) is None


def test_public_access_is_blocked_where_that_is_known(
    cli: Cli, url: str, moto_server: MotoServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = cli("policy", url, "--block-public-access")
    assert (ended.code, ended.out) == (3, "")
    assert "knows no public access block" in ended.err
    for name, value in moto_server.environment().items():
        monkeypatch.setenv(name, value)
    moto_server.create_bucket(url.split("/")[2])
    dry = cli("policy", url, "--block-public-access", "--dry-run")
    assert '+  "BlockPublicAcls": true' in dry.out
    assert cli("policy", url, "--block-public-access").err == "changed\n"
    assert cli("policy", url, "--block-public-access").err == "nothing to change\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--grant", ACCOUNT, "--remove"), "--grant and --remove exclude each other"),
        (("--grant", ACCOUNT, "--access", "wirte"), "unknown access 'wirte'; did you mean 'write'?"),
        (("--grant", ACCOUNT, "--access", "admin"), "unknown access 'admin'"),
        (("--grant", "*"), "everybody on the Internet"),
        (("--grant", ""), "is none of: an account"),
        (("--access", "read"), "--access goes with --grant or --identity"),
        (("--identity", "--dry-run"), "--dry-run goes with --grant or --require-tls"),
        (("--name", "x", "--identity"), "--name goes with --grant or --remove"),
        (("--source", ACCOUNT, "--remove"), "--source goes with --grant"),
        (("--versions",), "--versions goes with"),
    ],
)
def test_wrong_usage(cli: Cli, url: str, arguments: tuple[str, ...], message: str) -> None:
    ended = cli("policy", url, *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert message in ended.err


def test_it_is_for_s3_only(cli: Cli) -> None:
    assert "this command is for databases in S3" in cli("policy", "memory:").err
