"""Where the pages run: SeaweedFS found by the environment, buckets `my-*` that are empty, a folder of their own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.docs.blocks import Runner
from tests.servers import SeaweedServer, open_client

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
DOCUMENTED_BUCKETS = "my-"


@pytest.fixture
def runner(seaweed: SeaweedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runner:
    """A place where a page's examples work as they stand there."""
    for name, value in seaweed.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    _empty_documented_buckets(seaweed)
    return Runner(dict(os.environ))


def _empty_documented_buckets(server: SeaweedServer) -> None:
    with open_client(server) as client:
        names = [bucket["Name"] for bucket in client.list_buckets()["Buckets"]]
        for name in names:
            if name.startswith(DOCUMENTED_BUCKETS):
                for page in client.get_paginator("list_objects_v2").paginate(Bucket=name):
                    for item in page.get("Contents", ()):
                        client.delete_object(Bucket=name, Key=item["Key"])
