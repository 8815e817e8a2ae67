"""`encrypt` on a real server."""

from __future__ import annotations

import json
import uuid

import pytest

from tests.cli.conftest import Cli
from tests.servers import SeaweedServer, new_bucket_name

ARN = "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555"


@pytest.fixture
def url(s3_url: str, seaweed: SeaweedServer) -> str:
    """A database in a bucket of its own."""
    seaweed.create_bucket(bucket := new_bucket_name())
    return f"s3://{bucket}/{uuid.uuid4().hex}"


def default_of(cli: Cli, url: str) -> object:
    return json.loads(cli("encrypt", url).out)


def test_the_default_is_shown_changed_and_removed(cli: Cli, url: str) -> None:
    assert default_of(cli, url) is None
    dry = cli("encrypt", url, "--with", "SSE-KMS", "--dry-run")
    assert (dry.code, default_of(cli, url)) == (0, None)
    assert '+        "SSEAlgorithm": "aws:kms"' in dry.out
    assert dry.err.splitlines()[-1] == "nothing was changed: this is a dry run"
    assert "note: objects that there are stay as they are" in dry.err

    done = cli("encrypt", url, "--with", ARN, "--no-bucket-key", "--json")
    plan = json.loads(done.out)
    assert (done.code, plan["applied"]) == (0, True)
    default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": ARN}
    expected = {"Rules": [{"ApplyServerSideEncryptionByDefault": default, "BucketKeyEnabled": False}]}
    assert plan["after"] == default_of(cli, url) == expected

    assert cli("encrypt", url, "--remove").err.splitlines()[-1] == "changed"
    assert cli("encrypt", url, "--remove").err == "nothing to change\n"
    assert default_of(cli, url) is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--with", "SSE-KSM"), "is none of SSE-S3, SSE-KMS, DSSE-KMS"),
        (("--with", "SSE-S3", "--remove"), "--with and --remove exclude each other"),
        (("--with", ""), "say what to encrypt with"),
        (("--dry-run",), "say what to change: --with or --remove"),
        (("--no-bucket-key",), "say what to change"),
        (("--no-bucket-key", "--remove"), "say what to change"),
    ],
)
def test_wrong_usage(cli: Cli, url: str, arguments: tuple[str, ...], message: str) -> None:
    ended = cli("encrypt", url, *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert message in ended.err


def test_it_is_for_s3_only(cli: Cli) -> None:
    ended = cli("encrypt", "memory:")
    assert ended.code == 2
    assert "this command is for databases in S3" in ended.err
