"""What the S3 backend promises on every store, on the two servers that disagree most: SeaweedFS and moto's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from dataknobs_data.backends.s3 import S3Database
from tests.s3_bench import Places, S3Bench, s3_places
from tests.servers import S3Server, new_bucket_name, open_client

__all__ = ["s3_places"]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Every test of `bench` runs on both servers, unless it says on which."""
    named = [mark for mark in metafunc.definition.iter_markers("parametrize") if "s3_server" in mark.args[0]]
    if "bench" in metafunc.fixturenames and not named:
        metafunc.parametrize("s3_server", ["seaweed", "moto_server"], indirect=True)


@pytest.fixture
def bench(s3_server: S3Server, s3_places: Places) -> Iterator[S3Bench]:
    """A new prefix, databases on it, and boto3 beside them."""
    with ExitStack() as ends:
        yield S3Bench(s3_server, *s3_places[s3_server], ends)


@pytest.fixture
def own(s3_server: S3Server) -> Iterator[S3Bench]:
    """As `bench`, with a bucket of its own."""
    with ExitStack() as ends:
        client = ends.enter_context(open_client(s3_server))
        s3_server.create_bucket(bucket := new_bucket_name())
        yield S3Bench(s3_server, client, bucket, ends)


@pytest.fixture
def db(bench: S3Bench) -> S3Database:
    """An empty database, ready to be written to."""
    return bench.open()
