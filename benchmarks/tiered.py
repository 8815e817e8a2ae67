"""The tiered layout beside its own parts and LanceDB, in one run on a real S3 server.

    python benchmarks/tiered.py [--records 100000] [--rounds 5] [--memory 1000000]

Every round runs all contenders one after the other, each on data of its own, so that the machine's moods hit all of them;
ratios are taken within a round and the median over the rounds is shown. The bounds are those the project has set itself.
Everything is warm: connections are open, logs and footers known, as in a process that has worked for a second.
"""

from __future__ import annotations

import argparse
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import boto3
import pyarrow as pa
import pyarrow.parquet as pq
from obstore.store import S3Store

from dataknobs_data.backends.s3 import S3Database
from dataknobs_data.embedded.seaweedfs import SeaweedServer
from dataknobs_data.query import Query
from dataknobs_data.records import Record

HAS_LANCE = find_spec("lancedb") is not None
BUCKET = "benchmark"
CITIES = ["Amsterdam", "Berlin", "Cairo", "Dakar", "Eindhoven", "Freiburg", "Genoa", "Helsinki"]
WORDS = [
    "lorem",
    "ipsum",
    "dolor",
    "sit",
    "amet",
    "elit",
    "consectetur",
    "adipiscing",
    "eiusmod",
    "tempor",
    "incididunt",
]
READS = 100
"""Single reads of a round."""


def people(count: int, seed: int = 0) -> Iterator[dict[str, Any]]:
    """Records of about 300 bytes as JSON: nine fields of six types."""
    chance, start = random.Random(seed), datetime(2025, 1, 1, tzinfo=UTC)
    for number in range(count):
        yield {
            "name": f"User {number}",
            "email": f"user{number}@example.com",
            "age": chance.randrange(18, 90),
            "score": chance.random() * 100,
            "active": chance.random() < 0.8,
            "city": CITIES[number % len(CITIES)],
            "joined": start + timedelta(seconds=number),
            "visits": chance.randrange(1_000_000),
            "about": " ".join(chance.choices(WORDS, k=18)),
        }


def own_ids(count: int, how: str, seed: int = 0) -> Iterator[str | None]:
    """Ids for as many records: None, ascending or in any order."""
    chance = random.Random(seed)
    for number in range(count):
        yield {"generated": None, "ascending": f"person-{number:09}", "random": f"{chance.getrandbits(96):024x}"}[how]


@dataclass
class Setup:
    """A server, and the ways to it."""

    server: SeaweedServer
    folder: Path
    store: S3Store = field(init=False)

    def __post_init__(self) -> None:
        server = self.server
        access: dict[str, Any] = {"aws_access_key_id": server.access_key, "aws_secret_access_key": server.secret_key}
        client = boto3.client("s3", endpoint_url=server.endpoint, region_name=server.region, **access)
        client.create_bucket(Bucket=BUCKET)
        self.store = S3Store(
            BUCKET, endpoint=server.endpoint, region=server.region, access_key_id=server.access_key,
            secret_access_key=server.secret_key, client_options={"allow_http": True},
        )  # fmt: skip

    def database(self, prefix: str, **settings: Any) -> S3Database:
        """An open database that has written before."""
        server = self.server
        database = S3Database.from_config(
            {
                "bucket": BUCKET, "prefix": f"{prefix}/", "endpoint_url": server.endpoint, "region": server.region,
                "access_key_id": server.access_key, "secret_access_key": server.secret_key, "layout": "tiered", **settings,
            }
        )  # fmt: skip
        database.delete(database.create(Record({"warm": True})))
        return database

    def lance(self) -> Any:
        """LanceDB in the same bucket."""
        import lancedb  # not above: the processes whose memory is measured load only what they use

        server = self.server
        options = {
            "endpoint": server.endpoint, "region": server.region, "access_key_id": server.access_key,
            "secret_access_key": server.secret_key, "allow_http": "true",
        }  # fmt: skip
        return lancedb.connect(f"s3://{BUCKET}/lance", storage_options=options)


@dataclass
class Race:
    """Who was how fast: seconds of each round by contender. The first is measured against `beside`."""

    title: str
    beside: str
    bound: str
    seconds: dict[str, list[float]] = field(default_factory=dict)
    work: dict[str, list[float]] = field(default_factory=dict)
    """Seconds of this process's processors: on a machine with other work to do they say more than the clock."""

    def time(self, name: str, call: Callable[[], Any], calls: int = 1) -> Any:
        """Runs one contender; `calls`: operations that it carries out."""
        started, worked = time.perf_counter(), time.process_time()
        answer = call()
        self.work.setdefault(name, []).append((time.process_time() - worked) / calls)
        self.seconds.setdefault(name, []).append((time.perf_counter() - started) / calls)
        return answer

    def show(self) -> None:
        """One line for each contender, and how many times as long as `beside` it took (the first round warms up and is left out)."""
        print(f"\n{self.title}  ({self.bound})")
        for name, seconds in self.seconds.items():
            typical, times = statistics.median(seconds[1:]), self._times(self.seconds, name)
            print(
                f"  {name:44} {typical * 1000:10,.1f} ms   {times:6.2f} x the time, {1 / times:6.2f} x the speed, "
                f"{self._times(self.work, name):6.2f} x the processor time"
            )

    def _times(self, measured: dict[str, list[float]], name: str) -> float:
        beside = measured[self.beside][1:]
        return statistics.median(mine / theirs for mine, theirs in zip(measured[name][1:], beside, strict=True))


# ---------------------------------------------------------------------------------------------- loads
def arrow_put(setup: Setup, number: int, dicts: list[dict[str, Any]]) -> None:
    """What a load cannot do without: encode, and one PUT."""
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(dicts), sink, compression="zstd")
    setup.store.put(f"arrow/{number}.parquet", memoryview(sink.getvalue()).cast("B"), use_multipart=False)


def loads(setup: Setup, count: int, rounds: int) -> list[Race]:
    """batch_create of all records at once."""
    race = Race(f"batch_create of {count:,} dicts", "pyarrow encode + 1 PUT", "bound: 0.5 x the speed")
    dicts = list(people(count))
    for number in range(rounds + 1):
        race.time("pyarrow encode + 1 PUT", lambda n=number: arrow_put(setup, n, dicts))  # type: ignore[misc]
        with setup.database(f"load-{number}") as database:
            race.time("batch_create, generated ids", lambda d=database: d.batch_create(dicts))  # type: ignore[misc]
        for how in ("generated", "ascending", "random"):
            ids = list(own_ids(count, how))
            with setup.database(f"load-{how}-{number}") as database:
                records = (Record(data, id=id) for data, id in zip(dicts, ids, strict=True))
                race.time(f"batch_create of Records, {how} ids", lambda d=database, r=records: d.batch_create(r))  # type: ignore[misc]
        if HAS_LANCE:
            lance, name = setup.lance(), f"load{number}"
            race.time("LanceDB create_table", lambda c=lance.create_table, n=name: c(n, dicts))  # type: ignore[misc]
    return [race]


# ---------------------------------------------------------------------------------------------- reads
def reads(setup: Setup, count: int, rounds: int) -> list[Race]:
    """Questions to one table of that many records."""
    import duckdb

    chance = random.Random(1)
    races = [
        Race("read of one record", "hot read", "bound: 5 x the time"),
        Race(f"search of {count:,}: 2 filters, sort, limit 10", "DuckDB, local files", "bound: 3 x the time"),
        Race("500 ids", "batch_read", ""),
        Race("count after 1,000 updates", "count", ""),
    ]
    points, searches, batches, counts = races
    with (
        setup.database("reads") as database,
        setup.database("reads", cache_bytes=0) as bare,  # holds nothing: hot reads are GETs of whole objects
        setup.database("updated", cache_ttl=0) as updated,
    ):
        dicts = list(people(count))
        ids = database.batch_create(map(Record, dicts))
        hot = [database.create(Record(data)) for data in dicts[:READS]]
        updated.batch_create(Record(data, id=f"{number:07}") for number, data in enumerate(dicts))
        for number in chance.sample(range(count), 1000):
            updated.update(f"{number:07}", Record(dicts[number]))
        packs, table = local_packs(setup), lance_table(setup, ids, dicts)
        connection = duckdb.connect()
        for _ in range(rounds + 1):
            asked = chance.sample(ids, READS)
            points.time("hot read", lambda: [bare.read(id) for id in hot], READS)
            points.time("packed read", lambda a=asked: [database.read(id) for id in a], READS)  # type: ignore[misc]
            points.time("packed, nothing in memory", lambda a=asked: [bare.read(id) for id in a], READS)  # type: ignore[misc]
            age, active = chance.randrange(30, 60), chance.random() < 0.5
            query = Query().filter("age", ">", age).filter("active", "=", active).sort("score", "DESC").limit(10)
            sql = f"FROM read_parquet({packs}) WHERE age > {age} AND active = {active} ORDER BY score DESC LIMIT 10"
            theirs = searches.time("DuckDB, local files", lambda s=sql: connection.sql(s).to_arrow_table())  # type: ignore[misc]
            searches.time("search, nothing in memory", lambda q=query: bare.search(q))  # type: ignore[misc]
            ours = searches.time("search", lambda q=query: database.search(q))  # type: ignore[misc]
            assert [record.id for record in ours] == theirs["_id"].to_pylist()
            some = chance.sample(ids, 500)
            assert all(batches.time("batch_read", lambda s=some: database.batch_read(s)))  # type: ignore[misc]
            counts.time("count", updated.count)
            if table is not None:
                sql = f"age > {age} AND active = {active}"
                lance_reads(table, points, searches, batches, asked, some, sql)
    return races


def local_packs(setup: Setup) -> list[str]:
    """The packs of the table, as files for DuckDB. (The few hot records do not matter: they repeat what is packed.)"""
    files = []
    for page in setup.store.list("reads/_table/packs/"):
        for line in page:
            file = setup.folder / Path(line["path"]).name
            file.write_bytes(bytes(setup.store.get(line["path"]).bytes()))
            files.append(str(file))
    return files


def lance_table(setup: Setup, ids: Sequence[str], dicts: Sequence[dict[str, Any]]) -> Any:
    """The same records in LanceDB, with the index that it offers for ids."""
    if not HAS_LANCE:
        return None
    from lancedb.index import BTree

    table = setup.lance().create_table("reads", [{"_id": id, **data} for id, data in zip(ids, dicts, strict=True)])
    table.create_index("_id", config=BTree())
    return table


def lance_reads(
    table: Any, points: Race, searches: Race, batches: Race, asked: Sequence[str], some: Sequence[str], where: str
) -> None:
    """LanceDB has no sort without a vector: it is asked for the first ten."""

    def read(condition: str) -> Any:
        return table.search().where(condition)

    points.time("LanceDB, indexed", lambda: [read(f"_id = '{id}'").to_list() for id in asked], len(asked))
    searches.time("LanceDB, without the sort", lambda: read(where).limit(10).to_list())
    batches.time("LanceDB, indexed", lambda: read(f"_id IN ({', '.join(map(repr, some))})").limit(500).to_list())


# ---------------------------------------------------------------------------------------------- memory
def memory(setup: Setup, count: int) -> None:
    """Peak memory of processes that write that many records from a generator."""
    print(f"\nstream_write of {count:,} records in a process of its own  (bound: 400 MB)")
    for how in ("generated", "ascending", "random"):
        server = setup.server
        arguments = [server.endpoint, server.region, server.access_key, server.secret_key, how, str(count)]
        command = [sys.executable, __file__, "--child", *arguments]
        out = subprocess.run(command, capture_output=True, text=True, check=True)
        print(f"  {how + ' ids':44} {out.stdout.strip()}")


def child(endpoint: str, region: str, access_key: str, secret_key: str, how: str, count: str) -> None:
    """The process of its own."""
    config = {"bucket": BUCKET, "prefix": f"memory-{how}/", "endpoint_url": endpoint, "region": region}
    keys = {"access_key_id": access_key, "secret_access_key": secret_key}
    with S3Database.from_config({**config, **keys, "layout": "tiered"}) as database:
        total, started = int(count), time.perf_counter()
        made = (Record(data, id=id) for data, id in zip(people(total), own_ids(total, how), strict=True))
        assert database.stream_write(made).successful == total
        took = time.perf_counter() - started
    status = Path("/proc/self/status").read_text()  # ru_maxrss would begin with the parent's
    peak = int(status.partition("VmHWM:")[2].split()[0]) / 1024
    print(f"{peak:6.0f} MiB at most, {total / took:9,.0f} records/s, the generator's own time included")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--memory", type=int, default=1_000_000, help="records; 0: not measured")
    parser.add_argument("--only", choices=["loads", "reads", "memory"])
    parser.add_argument("--child", nargs=6, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(*options.child)
        return
    with SeaweedServer() as server, tempfile.TemporaryDirectory() as folder:
        setup = Setup(server, Path(folder))
        for name, part in (("loads", loads), ("reads", reads)):
            if options.only in (None, name):
                for race in part(setup, options.records, options.rounds):
                    race.show()
        if options.only in (None, "memory") and options.memory:
            memory(setup, options.memory)


if __name__ == "__main__":
    main()
