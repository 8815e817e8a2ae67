"""Where the examples run: SeaweedFS, moto's server, and `moto.mock_aws()` in this process; with both layouts, as where the
extra `table` is installed and where it is not.

The only substitutions: the bucket an example names is emptied before it; where it names no endpoint, AWS_ENDPOINT_URL
does (none inside mock_aws); port 4566 is used if it is free, and replaced in the text if not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import boto3
import moto
import pytest

from dataknobs_data import Query, Record
from dataknobs_data.backends.s3 import S3Database
from dataknobs_data.embedded.ports import NoFreePortError
from dataknobs_data.s3 import probe
from dataknobs_data.s3.settings import LAYOUTS
from tests.servers import MotoServer, S3Server, SeaweedServer, new_bucket_name, open_client
from tests.wire.proxy import WireProxy

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

LOCALSTACK_PORT = 4566
KEYS = {"access_key": "test", "secret_key": "test"}  # those of the examples


class World:
    """One store, seen from the side: buckets, a client, and what was sent."""

    def __init__(self, name: str, layout: str, client: S3Client, proxy: WireProxy | None, port: int | None) -> None:
        self.name, self.layout, self.client, self.proxy, self.port = name, layout, client, proxy, port
        self.opened: list[S3Database] = []

    @property
    def has_archive(self) -> bool:
        """Whether objects of class GLACIER cannot be read before they are restored: only moto does as AWS does."""
        return self.name != "seaweed"

    def bucket(self, name: str | None = None) -> str:
        """A bucket of that name with nothing in it; a new one without a name."""
        name = name or new_bucket_name()
        if name not in [bucket["Name"] for bucket in self.client.list_buckets()["Buckets"]]:
            self.client.create_bucket(Bucket=name)
        for page in self.client.get_paginator("list_objects_v2").paginate(Bucket=name):
            for line in page.get("Contents", []):
                self.client.delete_object(Bucket=name, Key=line["Key"])
        return name

    def keys(self, bucket: str) -> list[str]:
        """The keys of the objects of records in a bucket."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=bucket)
        listed = [line["Key"] for page in pages for line in page.get("Contents", [])]
        return [key for key in listed if "_jobs/" not in key and not self._is_tombstone(bucket, key)]

    def _is_tombstone(self, bucket: str, key: str) -> bool:
        return self.is_tiered and "kills" in self.client.head_object(Bucket=bucket, Key=key)["Metadata"]

    @property
    def is_tiered(self) -> bool:
        """Whether there is a table behind the objects."""
        return self.layout == "tiered"

    def looks(self, count: int = 1, *, first: bool = False) -> Counter[str]:
        """So many looks at the log, which the other layout does not need: a LIST each. `first`: this process knows nothing of
        the log yet, so it asks for the newest checkpoint before.
        """
        return +Counter({"ListObjectsV2": count, "GetObject": int(first)}) if self.is_tiered else Counter()

    def database(self, **config: Any) -> S3Database:
        """A database for an example that takes one from the example before it; ready, so that nothing but its own is sent."""
        database = S3Database({"bucket": self.bucket(), **config})
        database.clear()
        self.opened.append(database)
        return database

    def namespace(self, db: S3Database | None = None, **names: Any) -> dict[str, Any]:
        """What an example uses without importing or making it."""
        return {"Record": Record, "Query": Query, "S3Database": S3Database, "db": db, **names}

    @contextmanager
    def counting(self, db: S3Database) -> Iterator[Counter[str]]:
        """The requests sent meanwhile: counted on the wire, inside mock_aws (which has none) by the database."""
        sent: Counter[str] = Counter()
        if self.proxy:
            with self.proxy.watch() as seen:
                yield sent
            sent.update(seen.counts())
        else:
            before = db.usage
            yield sent
            sent.update(db.usage.since(before).requests)


def _at_the_port(kind: type[S3Server], ends: ExitStack) -> S3Server:
    try:
        return ends.enter_context(kind(LOCALSTACK_PORT, **KEYS))
    except NoFreePortError:
        return ends.enter_context(kind(**KEYS))


STORES = ("seaweed", "moto_server", "mock_aws")
Store = tuple[str, str, S3Server | None]


@pytest.fixture(scope="module", params=[f"{store}-{layout}" for store in STORES for layout in LAYOUTS])
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    """One store at a time, so that each gets the port of the examples, and new for each layout. What the probe found out about
    the one before it at that address is forgotten, as it would be in a process of its own."""
    probe._known.clear()
    with ExitStack() as ends:
        name, _, layout = request.param.partition("-")
        kind = {"seaweed": SeaweedServer, "moto_server": MotoServer}.get(name)
        yield name, layout, _at_the_port(kind, ends) if kind else None


@pytest.fixture
def world(store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """The store with credentials and endpoint in the environment."""
    name, layout, server = store
    monkeypatch.setattr("dataknobs_data.s3.engine.default_layout", lambda: layout)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEYS["access_key"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", KEYS["secret_key"])
    with ExitStack() as ends:
        if server is None:
            ends.enter_context(moto.mock_aws())
            made = World(name, layout, boto3.client("s3", region_name="us-east-1"), None, None)
        else:
            proxy = ends.enter_context(WireProxy(server.port))
            monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
            made = World(name, layout, ends.enter_context(open_client(server)), proxy, server.port)
        ends.callback(lambda: [database.close() for database in made.opened])
        yield made


@pytest.fixture
def server_world(world: World) -> World:
    """For examples that name an endpoint, which mock_aws does not stand in for."""
    if world.port is None:
        pytest.skip("the example names an endpoint of its own; moto.mock_aws() stands in for AWS only")
    return world
