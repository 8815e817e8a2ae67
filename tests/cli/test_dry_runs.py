"""`--dry-run` of every command that has it, on a store that makes buckets: nothing is made."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Cli
from tests.servers import SeaweedServer, new_bucket_name, open_client

ROLE = "arn:aws:iam::111122223333:role/copying"


@pytest.mark.parametrize(
    "command",
    [
        "versioning URL --enable --dry-run",
        "revert URL x v --dry-run",
        "undelete URL x --dry-run",
        "restore URL x --dry-run",
        "lifecycle URL --abort-uploads 3 --dry-run",
        "encrypt URL --with SSE-S3 --dry-run",
        "tags URL --set a=b --dry-run",
        f"replicate URL --to other --role {ROLE} --dry-run",
        "replicate URL --to other --documents",
        "policy URL --grant 111122223333 --dry-run",
        "policy URL --identity",
        "lock URL --enable --dry-run",
        "vacuum URL --dry-run",
        "log URL",
        "stats URL",
    ],
)
def test_a_dry_run_makes_no_bucket(cli: Cli, s3_url: str, seaweed: SeaweedServer, command: str) -> None:
    bucket = new_bucket_name()
    ended = cli(*command.replace("URL", f"s3://{bucket}/x").split())
    assert (ended.code, ended.out, "no such bucket" in ended.err) == (3, "", True)
    with open_client(seaweed) as client:
        assert bucket not in [found["Name"] for found in client.list_buckets()["Buckets"]]


def test_a_dry_run_of_a_named_database_makes_no_bucket(
    cli: Cli, s3_url: str, seaweed: SeaweedServer, tmp_path: Path
) -> None:
    bucket = new_bucket_name()
    (tmp_path / "dbs.yaml").write_text(
        f"databases: [{{name: here, backend: s3, bucket: {bucket}, create_bucket: true}}]"
    )
    ended = cli("encrypt", "here", "--config", str(tmp_path / "dbs.yaml"), "--with", "SSE-S3", "--dry-run")
    assert (ended.code, "no such bucket" in ended.err) == (3, True)
