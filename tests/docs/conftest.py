"""Where the pages run: a real S3 server found by the environment, no bucket `my-*` on it, a folder of their own.

The server is SeaweedFS; a page that begins with `<!-- server: moto -->` runs on moto's. For CloudFront stands a cache before the
bucket `my-bucket`, at $READ_ENDPOINT.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from tests.docs.blocks import Runner
from tests.edge_server import EdgeServer
from tests.servers import S3Server, open_client

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

ROOT = Path(__file__).parents[2]
DOCS = sorted((ROOT / "docs").glob("*.md"))
HOWTO = sorted((ROOT / "docs/howto").glob("*.md"))
PAGES = [ROOT / "README.md", *DOCS, *HOWTO]
DOCUMENTED_BUCKETS = "my-"
SERVERS = {"seaweed": "seaweed", "moto": "moto_server"}
"""How a page calls a server, and the fixture that it is."""

_SERVER = re.compile(r"<!-- server: (\w+) -->\n")


def server_of(page: Path) -> str:
    """The fixture of the server that a page chooses in its first line."""
    chosen = _SERVER.match(page.read_text())
    return SERVERS[chosen[1] if chosen else "seaweed"]


@pytest.fixture
def runner(s3_server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Runner]:
    """A place where a page's examples work as they stand there."""
    monkeypatch.chdir(tmp_path)
    with ExitStack() as ends:
        server = s3_server if removed(s3_server) else ends.enter_context(type(s3_server)())
        edge = ends.enter_context(EdgeServer(ends.enter_context(open_client(server)), "my-bucket"))
        for name, value in {**server.environment(), "READ_ENDPOINT": edge.url}.items():
            monkeypatch.setenv(name, value)
        yield Runner(dict(os.environ))


def removed(server: S3Server) -> bool:
    """Removes the buckets of the pages; False where a lock or a policy keeps one of them."""
    with open_client(server) as client:
        names = [bucket["Name"] for bucket in client.list_buckets()["Buckets"]]
        try:
            for name in names:
                if name.startswith(DOCUMENTED_BUCKETS):
                    _remove(client, name)
        except ClientError:
            return False
    return True


def _remove(client: S3Client, bucket: str) -> None:
    """With all versions in it, those under a retention that may be lifted too; its configurations go with it."""
    with suppress(ClientError):
        client.delete_bucket_policy(Bucket=bucket)
    for page in client.get_paginator("list_object_versions").paginate(Bucket=bucket):
        lines: list[Any] = [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]
        there: list[Any] = [{"Key": line["Key"], "VersionId": line["VersionId"]} for line in lines]
        if there:
            client.delete_objects(Bucket=bucket, Delete={"Objects": there}, BypassGovernanceRetention=True)
    client.delete_bucket(Bucket=bucket)
