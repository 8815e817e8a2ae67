"""A database whose every request passes the proxy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.s3_bench import Places, S3Bench, s3_places
from tests.servers import S3Server
from tests.wire.proxy import WireProxy

__all__ = ["s3_places"]


@pytest.fixture
def bench(s3_server: S3Server, proxy: WireProxy, s3_places: Places) -> Iterator[S3Bench]:
    """A new prefix, a proxy before its server, and what a test needs on both sides of it."""
    with ExitStack() as ends:
        yield S3Bench(s3_server, *s3_places[s3_server], ends, proxy)
        proxy.reset()  # nothing hangs while the databases close
