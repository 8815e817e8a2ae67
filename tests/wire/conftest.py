"""A database whose every request passes the proxy, and the store's own view of what came of it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from dataknobs_data.backends.s3 import S3Database
from dataknobs_data.records import Record
from tests.servers import S3Server, make_config, new_bucket_name, open_client
from tests.wire.proxy import Seen, WireProxy

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class WireBench:
    """Databases behind a proxy, and boto3 past it. One bucket a server; every test has a prefix of its own."""

    def __init__(self, server: S3Server, proxy: WireProxy, client: S3Client, bucket: str, ends: ExitStack) -> None:
        self.server, self.proxy, self.client, self.bucket = server, proxy, client, bucket
        self.prefix = f"{uuid.uuid4().hex}/"
        self._ends = ends

    def config(self, **over: Any) -> dict[str, Any]:
        """Settings of a database behind the proxy."""
        mine = {"bucket": self.bucket, "prefix": self.prefix, "endpoint_url": self.proxy.endpoint}
        return make_config(self.server, **{**mine, **over})

    def open(self, **over: Any) -> S3Database:
        """A database behind the proxy; what is done once a process (probe, bucket, format) is done."""
        database = self._ends.enter_context(S3Database(self.config(**over)))
        database.clear()  # a write that writes nothing
        return database

    def past(self, **over: Any) -> S3Database:
        """Another client of the same records, unseen by the proxy."""
        return self._ends.enter_context(S3Database(self.config(endpoint_url=self.server.endpoint, **over)))

    def key(self, id: str) -> str:
        """The object's key of a record."""
        return f"{self.prefix}{id}.json"

    def put(self, id: str, body: bytes) -> None:
        """A record's object as somebody else would put it."""
        self.client.put_object(Bucket=self.bucket, Key=self.key(id), Body=body)

    def stored(self, id: str) -> dict[str, Any]:
        """The document as it lies in the store."""
        document: dict[str, Any] = json.loads(
            self.client.get_object(Bucket=self.bucket, Key=self.key(id))["Body"].read()
        )
        return document

    def ids(self) -> list[str]:
        """Of all records in the store."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=self.prefix)
        paths = [line["Key"].removeprefix(self.prefix) for page in pages for line in page.get("Contents", [])]
        return [path.removesuffix(".json") for path in paths if not path.startswith("_jobs/")]


@pytest.fixture(scope="session")
def wire_places() -> Iterator[dict[S3Server, tuple[S3Client, str]]]:
    """A client and a bucket for each server, made when first asked for."""
    with ExitStack() as ends:

        class Places(dict[S3Server, "tuple[S3Client, str]"]):
            def __missing__(self, server: S3Server) -> tuple[S3Client, str]:
                server.create_bucket(bucket := new_bucket_name())
                self[server] = ends.enter_context(open_client(server)), bucket
                return self[server]

        yield Places()


@pytest.fixture
def bench(
    s3_server: S3Server, proxy: WireProxy, wire_places: dict[S3Server, tuple[S3Client, str]]
) -> Iterator[WireBench]:
    """A new prefix, a proxy before its server, and what a test needs on both sides of it."""
    with ExitStack() as ends:
        yield WireBench(s3_server, proxy, *wire_places[s3_server], ends)
        proxy.reset()  # nothing hangs while the databases close


def sent(seen: Seen) -> dict[str, int]:
    """How many requests of each operation."""
    return dict(seen.counts())


def records(count: int, **more: Any) -> list[Record]:
    """Records with ids r-000000, r-000001, …"""
    return [Record({"n": number, **more}, id=f"r-{number:06}") for number in range(count)]
