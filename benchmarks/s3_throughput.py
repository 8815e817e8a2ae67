"""batch_create and batch_read of layout "objects" beside raw obstore and boto3 sending the same requests, in one run on a real
S3 server.

    python benchmarks/s3_throughput.py [--records 2000] [--workers 10] [--rounds 5]

Every round runs all contenders one after the other on fresh keys, so that the machine's moods hit all of them; ratios are
taken within a round and the median over the rounds is shown. "Same requests": the bodies, tags, user metadata and
conditions that the database sends, prepared beforehand, so that the raw contenders pay for nothing but sending them.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import boto3
from botocore.config import Config
from obstore.store import S3Store

from dataknobs_data.backends.s3 import S3Database
from dataknobs_data.embedded.seaweedfs import SeaweedServer
from dataknobs_data.records import Record
from dataknobs_data.s3.stores.boto import tag_header

BUCKET = "benchmark"


@dataclass
class Payload:
    """One PUT as the database sends it."""

    key: str
    body: bytes
    tags: dict[str, str]
    metadata: dict[str, str]


@dataclass
class Contender:
    """Something that writes and reads the payloads; seconds of each round."""

    name: str
    write: Callable[[list[Payload]], None]
    read: Callable[[list[Payload]], None]
    write_seconds: list[float] = field(default_factory=list)
    read_seconds: list[float] = field(default_factory=list)


def records(count: int) -> list[Record]:
    """Records of about a kilobyte as JSON, with two metadata entries."""
    return [
        Record(
            {"name": f"User {i}", "email": f"user{i}@example.com", "age": i % 90, "score": i / 7, "text": "x" * 700},
            metadata={"department": "Engineering", "version": "1.0"},
        )
        for i in range(count)
    ]


def captured_payloads(database: S3Database, count: int, round_number: int) -> list[Payload]:
    """What the database sends for `count` records, taken from its own code, under keys of this round."""
    from dataknobs_data import codec
    from dataknobs_data.documents import Change, Verb, resolve
    from dataknobs_data.runtime import Runtime
    from dataknobs_data.s3.headers import headers_of
    from dataknobs_data.s3.tags import Tagger

    runtime, tagger = Runtime(), Tagger(True)
    payloads = []
    for record in records(count):
        document = resolve(Change(Verb.CREATE, runtime.new_id(), record, generated=True), None, runtime)
        assert document is not None
        key = f"raw/{round_number}/{document.id}.json"
        payloads.append(Payload(key, codec.encode(document), tagger.tags(document), headers_of(document)))
    return payloads


def with_prefix(payloads: list[Payload], prefix: str) -> list[Payload]:
    return [Payload(f"{prefix}/{p.key}", p.body, p.tags, p.metadata) for p in payloads]


def obstore_threads(store: S3Store, workers: int) -> Contender:
    def put(p: Payload) -> None:
        attributes = {"Content-Type": "application/json", **p.metadata}
        store.put(p.key, p.body, mode="create", tags=p.tags, attributes=attributes, use_multipart=False)

    def get(p: Payload) -> bytes:
        return bytes(store.get(p.key).bytes())

    return Contender(f"obstore, {workers} threads", in_threads(put, workers), in_threads(get, workers))


def obstore_asyncio(store: S3Store, workers: int) -> Contender:
    async def put(p: Payload) -> None:
        attributes = {"Content-Type": "application/json", **p.metadata}
        await store.put_async(p.key, p.body, mode="create", tags=p.tags, attributes=attributes, use_multipart=False)

    async def get(p: Payload) -> bytes:
        return bytes(await (await store.get_async(p.key)).bytes_async())

    def gathered(call: Callable[[Payload], Any]) -> Callable[[list[Payload]], None]:
        async def run(payloads: list[Payload]) -> None:
            limit = asyncio.Semaphore(workers)

            async def one(p: Payload) -> None:
                async with limit:
                    await call(p)

            await asyncio.gather(*map(one, payloads))

        return lambda payloads: asyncio.run(run(payloads))

    return Contender(f"obstore, asyncio, {workers} in flight", gathered(put), gathered(get))


def boto3_threads(client: Any, workers: int) -> Contender:
    def put(p: Payload) -> None:
        client.put_object(
            Bucket=BUCKET, Key=p.key, Body=p.body, ContentType="application/json", IfNoneMatch="*",
            Metadata=p.metadata, Tagging=tag_header(p.tags),
        )  # fmt: skip

    def get(p: Payload) -> bytes:
        body: bytes = client.get_object(Bucket=BUCKET, Key=p.key)["Body"].read()
        return body

    return Contender(f"boto3, {workers} threads", in_threads(put, workers), in_threads(get, workers))


def in_threads(call: Callable[[Payload], Any], workers: int) -> Callable[[list[Payload]], None]:
    def run(payloads: list[Payload]) -> None:
        with ThreadPoolExecutor(workers) as pool:
            for _ in pool.map(call, payloads):
                pass

    return run


class OurBatches:
    """batch_create and batch_read; each round reads the ids it wrote, by a fresh database (nothing cached)."""

    def __init__(self, config: dict[str, Any]) -> None:
        self._config = config
        self.ids: list[str] = []

    def write(self, payloads: list[Payload]) -> None:
        with S3Database.from_config(self._config) as database:
            database.create(Record({"warm": True}))  # the once-per-process looks are not what is measured
            made = records(len(payloads))
            started = time.perf_counter()
            self.ids = database.batch_create(made)
            self.seconds = time.perf_counter() - started

    def read(self, payloads: list[Payload]) -> None:
        with S3Database.from_config(self._config) as database:
            started = time.perf_counter()
            found = database.batch_read(self.ids)
            self.seconds = time.perf_counter() - started
            assert all(found)


def timed(call: Callable[[list[Payload]], None], payloads: list[Payload]) -> float:
    started = time.perf_counter()
    call(payloads)
    own = getattr(getattr(call, "__self__", None), "seconds", None)
    return own if own is not None else time.perf_counter() - started


def show(contenders: list[Contender], count: int) -> None:
    ours = contenders[0]
    print(f"{'':34} {'PUT/s':>8} {'ours is':>9} {'GET/s':>8} {'ours is':>9}")
    for one in contenders:
        cells = []
        for mine, theirs in ((ours.write_seconds, one.write_seconds), (ours.read_seconds, one.read_seconds)):
            ratio = statistics.median(t / m for m, t in zip(mine, theirs, strict=True))
            cells.append(f"{count / statistics.median(theirs):8,.0f} {ratio:8.2f}x")
        print(f"{one.name:34} {cells[0]} {cells[1]}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=2000)
    parser.add_argument("--workers", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with SeaweedServer() as server:
        access: dict[str, Any] = {"aws_access_key_id": server.access_key, "aws_secret_access_key": server.secret_key}
        client = boto3.client(
            "s3", endpoint_url=server.endpoint, region_name="us-east-1", **access,
            config=Config(max_pool_connections=options.workers),
        )  # fmt: skip
        client.create_bucket(Bucket=BUCKET)
        store = S3Store(
            BUCKET, endpoint=server.endpoint, region="us-east-1", access_key_id=server.access_key,
            secret_access_key=server.secret_key, client_options={"allow_http": True},
        )  # fmt: skip
        config = {
            "bucket": BUCKET, "prefix": "ours/", "endpoint_url": server.endpoint, "region": "us-east-1",
            "layout": "objects", "max_workers": options.workers, **access,
        }  # fmt: skip
        ours = OurBatches(config)
        contenders = [
            Contender(f"batch_*, max_workers={options.workers}", ours.write, ours.read),
            obstore_threads(store, options.workers),
            obstore_asyncio(store, options.workers),
            boto3_threads(client, options.workers),
        ]
        run_rounds(contenders, options.records, options.rounds)
        show(contenders, options.records)


def run_rounds(contenders: list[Contender], count: int, rounds: int) -> None:
    for number in range(-1, rounds):  # round -1 warms everything up and is not counted
        payloads = captured_payloads(S3Database({"bucket": BUCKET}), count, number)
        for index, one in enumerate(contenders):
            own = with_prefix(payloads, str(index))
            write, read = timed(one.write, own), timed(one.read, own)
            if number >= 0:
                one.write_seconds.append(write)
                one.read_seconds.append(read)


if __name__ == "__main__":
    main()
