"""`replicate` on a real server that knows replication configurations: moto's."""

from __future__ import annotations

import json
import shlex
import uuid

import pytest

from tests.cli.conftest import Cli
from tests.servers import MotoServer, SeaweedServer, new_bucket_name, open_client

ROLE = "arn:aws:iam::123456789012:role/replication"


@pytest.fixture
def target(moto_server: MotoServer) -> str:
    """A bucket that keeps versions."""
    moto_server.create_bucket(name := new_bucket_name())
    with open_client(moto_server) as client:
        client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    return name


@pytest.fixture
def url(moto_server: MotoServer, monkeypatch: pytest.MonkeyPatch) -> str:
    """A database in a bucket of its own."""
    for name, value in moto_server.environment().items():
        monkeypatch.setenv(name, value)
    moto_server.create_bucket(bucket := new_bucket_name())
    return f"s3://{bucket}/{uuid.uuid4().hex}"


def rules_of(cli: Cli, url: str) -> list[str]:
    return [rule["ID"] for rule in json.loads(cli("replicate", url).out)]


def test_a_rule_is_shown_added_and_removed(cli: Cli, url: str, target: str) -> None:
    prefix = url.rpartition("/")[2]
    url += "?layout=objects"  # in the tiered one deletions have to be replicated
    assert rules_of(cli, url) == []
    off = cli("replicate", url, "--to", target, "--role", ROLE)
    assert off.code == 2
    assert "enable_versioning() first" in off.err
    dry = cli("replicate", url, "--to", target, "--role", ROLE, "--enable-versioning", "--dry-run")
    assert (dry.code, rules_of(cli, url)) == (0, [])
    assert f'+      "ID": "dataknobs-data:{prefix}/:replica"' in dry.out
    options = ["--enable-versioning", "--storage-class", "STANDARD_IA", "--keep-deleted", "--time-control"]
    done = cli("replicate", url, "--to", target, "--role", ROLE, *options, "--json")
    plan = json.loads(done.out)
    assert (done.code, plan["applied"]) == (0, True)
    (rule,) = plan["after"]["Rules"]
    assert rule["DeleteMarkerReplication"] == {"Status": "Disabled"}
    assert rule["Destination"]["StorageClass"] == "STANDARD_IA"
    assert rule["Destination"]["ReplicationTime"]["Time"] == {"Minutes": 15}
    assert rules_of(cli, url) == [f"dataknobs-data:{prefix}/:replica"]
    assert cli("replicate", url, "--remove", "--name", "other").err.endswith("nothing to change\n")
    assert cli("replicate", url, "--remove").err.endswith("changed\n")
    assert rules_of(cli, url) == []


def test_what_the_role_must_be(cli: Cli, url: str, target: str) -> None:
    lines = cli("replicate", url, "--to", target, "--documents").out.splitlines()
    assert [shlex.split(line)[:3] for line in lines] == [
        ["aws", "iam", "create-role"],
        ["aws", "iam", "put-role-policy"],
        ["aws", "iam", "get-role"],
    ]
    documents = json.loads(cli("replicate", url, "--to", target, "--documents", "--json").out)
    assert json.loads(shlex.split(lines[1])[-1]) == documents["permissions"]
    there = cli("replicate", url, "--to", target, "--documents", "--account", "210987654321", "--role", ROLE)
    assert f'"AWS": "{ROLE}"' in there.out
    assert "the other account adds these statements" in there.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--to", "b"), "--role ARN; --documents shows how to make one"),
        (("--role", ROLE), "say which bucket to copy to: --to BUCKET"),
        (("--documents",), "say which bucket to copy to"),
        (("--dry-run",), "say which bucket to copy to"),
        (("--remove", "--to", "b"), "--remove goes without --to"),
        (("--remove", "--time-control"), "--remove goes without --to, --documents, --time-control"),
        (("--to", "b", "--role", "me"), "is no ARN of an IAM role"),
    ],
)
def test_wrong_usage(cli: Cli, url: str, arguments: tuple[str, ...], message: str) -> None:
    ended = cli("replicate", url, *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert message in ended.err


def test_a_store_without_replication_says_so(cli: Cli, s3_url: str, seaweed: SeaweedServer) -> None:
    source, target = new_bucket_name(), new_bucket_name()
    with open_client(seaweed) as client:
        for name in (source, target):
            seaweed.create_bucket(name)
            client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    ended = cli("replicate", f"s3://{source}/x", "--to", target, "--role", ROLE)
    assert ended.code == 3
    assert "knows no replication configurations" in ended.err
