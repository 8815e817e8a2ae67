"""Databases on one S3 server, behind a proxy or not, and the store's own view of what came of them."""

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

Places = dict[S3Server, "tuple[S3Client, str]"]


class S3Bench:
    """One bucket a server; every test has a prefix of its own. Its records have the layout `objects`, in which each can be
    looked at, unless the first database of a test is opened with another.
    """

    def __init__(
        self, server: S3Server, client: S3Client, bucket: str, ends: ExitStack, proxy: WireProxy | None = None
    ) -> None:
        self.server, self.client, self.bucket = server, client, bucket
        self.prefix = f"{uuid.uuid4().hex}/"
        self.layout = "objects"
        self._proxy = proxy
        self._ends = ends

    @property
    def proxy(self) -> WireProxy:
        """The proxy before the server, in tests that have one."""
        assert self._proxy is not None
        return self._proxy

    @property
    def is_moto(self) -> bool:
        """Whether it is the server that knows archives and no signatures."""
        return self.server.name == "moto"

    def config(self, **over: Any) -> dict[str, Any]:
        """Settings of a database, behind the proxy if there is one."""
        endpoint = self._proxy.endpoint if self._proxy else self.server.endpoint
        self.layout = over.get("layout") or self.layout
        here = {"bucket": self.bucket, "prefix": self.prefix, "endpoint_url": endpoint, "layout": self.layout}
        return make_config(self.server, **{**here, **over})

    def open(self, **over: Any) -> S3Database:
        """A database; what is done once a process (probe, bucket, format) is done, and not within a short deadline."""
        if "deadline" in over:
            self.connect(**{name: over[name] for name in over if name not in ("timeout", "deadline", "grace")}).clear()
        database = self.connect(**over)
        database.clear()  # a write that writes nothing, where nothing is
        return database

    def connect(self, **over: Any) -> S3Database:
        """A database that has written nothing yet."""
        return self._ends.enter_context(S3Database(self.config(**over)))

    def past(self, **over: Any) -> S3Database:
        """Another client of the same records, unseen by the proxy."""
        return self.connect(endpoint_url=self.server.endpoint, **over)

    def key(self, id: str) -> str:
        """The object's key of a record whose id needs no escaping."""
        return f"{self.prefix}{id}.json"

    def put(self, id: str, body: bytes | dict[str, Any], **headers: Any) -> None:
        """A record's object as somebody else would put it."""
        self.put_key(self.key(id), body, **headers)

    def put_key(self, key: str, body: bytes | dict[str, Any] = b"", **headers: Any) -> None:
        """An object under any key."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.client.put_object(Bucket=self.bucket, Key=key, Body=content, **headers)

    def stored(self, id: str) -> dict[str, Any]:
        """The document as it lies in the store."""
        answer = self.client.get_object(Bucket=self.bucket, Key=self.key(id))
        document: dict[str, Any] = json.loads(answer["Body"].read())
        return document

    def paths(self) -> list[str]:
        """What lies below the prefix, without the prefix."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=self.prefix)
        return sorted(line["Key"].removeprefix(self.prefix) for page in pages for line in page.get("Contents", []))

    def ids(self) -> list[str]:
        """Of the records that lie there, as their keys say."""
        return [key.removesuffix(".json") for key in self.paths() if not key.startswith("_jobs/")]


def sent(seen: Seen) -> dict[str, int]:
    """How many requests of each operation."""
    return dict(seen.counts())


def records(count: int, **more: Any) -> list[Record]:
    """Records with ids r-000000, r-000001, …"""
    return [Record({"n": number, **more}, id=f"r-{number:06}") for number in range(count)]


@pytest.fixture(scope="session")
def s3_places() -> Iterator[Places]:
    """A client and a bucket for each server, made when first asked for."""
    with ExitStack() as ends:

        class MadeWhenAskedFor(Places):
            def __missing__(self, server: S3Server) -> tuple[S3Client, str]:
                server.create_bucket(bucket := new_bucket_name())
                self[server] = ends.enter_context(open_client(server)), bucket
                return self[server]

        yield MadeWhenAskedFor()
