"""Commands that meet packs in archives: search, count, restore by conditions, stats, compact."""

from __future__ import annotations

import json
import uuid

import pytest

from dataknobs_data.backends.s3 import S3Database
from dataknobs_data.records import Record
from tests.cli.conftest import Cli
from tests.servers import MotoServer, make_config, new_bucket_name


@pytest.fixture
def url(moto_server: MotoServer, monkeypatch: pytest.MonkeyPatch) -> str:
    """A database with two packs in GLACIER, and one record that is not."""
    for name, value in moto_server.environment().items():
        monkeypatch.setenv(name, value)
    moto_server.create_bucket(bucket := new_bucket_name())
    prefix = uuid.uuid4().hex
    config = make_config(moto_server, bucket=bucket, prefix=prefix, layout="tiered", pack_threshold=2)
    with S3Database({**config, "storage_class": "GLACIER"}) as db:
        for year in (2023, 2024):
            db.batch_create(Record({"year": year, "n": n}, id=f"{year}/{n}") for n in range(3))
    with S3Database(config) as db:
        db.create(Record({"year": 2025, "n": 0}, id="warm"))
    return f"s3://{bucket}/{prefix}"


def test_search_and_count_say_what_is_archived(cli: Cli, url: str, caplog: pytest.LogCaptureFixture) -> None:
    failed = cli("search", url, "--where", "n >= 0")
    assert failed.code != 0
    assert "2 of 2 packs" in failed.err
    found = cli("search", url, "--where", "n >= 0", "--skip-archived")
    assert json.loads(found.out)["year"] == 2025
    assert "stream_read went on without what is archived" in caplog.text
    assert cli("count", url, "--where", "n >= 0", "--skip-archived").out == "1\n"
    assert cli("count", url).out == "7\n"
    assert "only databases on S3" in cli("search", "memory:", "--skip-archived").err


def test_restore_by_conditions(cli: Cli, url: str) -> None:
    where = ("--where", "year = 2024")
    planned = cli("restore", url, *where, "--dry-run")
    assert planned.out.count("to be requested") == 1
    assert "/_table/packs/" in planned.out
    assert "archived" in cli("restore", url, *where, "--status").out
    done = cli("restore", url, *where, "--yes", "--wait")
    assert (done.code, done.out.split("\t")[1]) == (0, "restored\n")
    assert "restored until" in cli("restore", url, *where, "--status").out
    assert cli("count", url, *where).out == "3\n"
    assert json.loads(cli("restore", url, *where, "--dry-run", "--json").out)["packs"]


def test_stats_and_compact(cli: Cli, url: str) -> None:
    cli("delete", url, "2023/0", "--yes")
    assert "2 GLACIER" in cli("stats", url, "--table").out
    assert "packs left in archives" in cli("compact", url, "--full").out
