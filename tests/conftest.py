"""Fixtures for every suite: real servers (started once a worker, when first asked for), buckets, a proxy, no leaks."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings

from dataknobs_data.embedded import PostgresServer, SeaweedServer
from tests.clocks import later
from tests.servers import JuiceFSServer, MotoServer, S3Server, make_config, new_bucket_name, open_client
from tests.wire.proxy import WireProxy

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

SERVER_FIXTURES = {"seaweed", "moto_server", "juicefs", "postgres", "s3_server"}

settings.register_profile(
    "ci", max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.register_profile("soak", settings.get_profile("ci"), max_examples=1_000)
settings.load_profile("ci")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark `server` whatever needs one, so that `make check` can leave it out."""
    for item in items:
        if SERVER_FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.server)


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of this machine's AWS, PostgreSQL or proxy settings reaches a test."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "PG")) or name.lower() in ("http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent/aws/config")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent/aws/credentials")


@pytest.fixture
def long_after() -> Iterator[None]:
    """A compaction that waits until nobody relies on what it has folded finds that it is an hour later by the store's clock."""
    with later("dropping"):
        yield


@pytest.fixture(scope="session")
def seaweed() -> Iterator[SeaweedServer]:
    """The main S3 server."""
    with SeaweedServer() as server:
        yield server


@pytest.fixture(scope="session")
def moto_server() -> Iterator[MotoServer]:
    """The second opinion: Glacier, restore, lifecycles, tag rules; no signatures."""
    with MotoServer() as server:
        yield server


@pytest.fixture(scope="session")
def juicefs() -> Iterator[JuiceFSServer]:
    """The store that ignores conditions and answers success."""
    with JuiceFSServer() as server:
        yield server


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A real PostgreSQL; `postgres.create_database(name)` gives a test one of its own."""
    with PostgresServer() as server:
        yield server


@pytest.fixture
def s3_server(request: pytest.FixtureRequest) -> S3Server:
    """SeaweedFS, or what `parametrize("s3_server", ["seaweed", "moto_server"], indirect=True)` names."""
    server: S3Server = request.getfixturevalue(getattr(request, "param", "seaweed"))
    return server


@pytest.fixture
def bucket_name() -> str:
    """A name that no other test has; nothing is created."""
    return new_bucket_name()


@pytest.fixture
def s3_config(s3_server: S3Server, bucket_name: str) -> dict[str, Any]:
    """The configuration of a database in a new, empty bucket of `s3_server`."""
    s3_server.create_bucket(bucket_name)
    return make_config(s3_server, bucket=bucket_name)


@pytest.fixture
def s3_client(s3_server: S3Server) -> Iterator[S3Client]:
    """boto3 on `s3_server`, to look behind the database's back."""
    with open_client(s3_server) as client:
        yield client


@pytest.fixture
def proxy(s3_server: S3Server) -> Iterator[WireProxy]:
    """A recording, breaking proxy before `s3_server`: use `make_config(server, endpoint_url=proxy.endpoint)`."""
    with WireProxy(s3_server.port) as running:
        yield running
