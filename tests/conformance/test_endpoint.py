"""Which store is spoken to: the one that is configured, whatever the environment names, by all SDKs alike."""

from __future__ import annotations

import pytest

from dataknobs_data import Record
from tests.s3_bench import S3Bench

NOWHERE = "http://127.0.0.1:9"


@pytest.mark.parametrize("s3_server", ["seaweed"], indirect=True)
@pytest.mark.parametrize("name", ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"])
def test_the_configured_endpoint_wins(bench: S3Bench, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, NOWHERE)
    db = bench.open()
    assert db.create(Record({"id": "x", "a": 1})) == "x"
    assert bench.ids() == ["x"]
    fresh = bench.connect()
    found = fresh.read("x")
    assert found is not None
    assert found["a"] == 1
    assert fresh.count() == 1


@pytest.mark.parametrize("s3_server", ["seaweed"], indirect=True)
@pytest.mark.parametrize("name", ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"])
def test_without_one_the_environment_tells(bench: S3Bench, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, bench.server.endpoint)
    db = bench.connect(endpoint_url=None)
    db.create(Record({"id": "x"}))
    assert bench.ids() == ["x"]
    assert db.count() == 1
