"""After compact(full=True) other engines find in the table, without us, the records that we find in both tiers."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.fs
import pytest
from deltalake import DeltaTable

from dataknobs_data.backends.s3 import AsyncS3Database, S3Database
from dataknobs_data.embedded import SeaweedServer
from dataknobs_data.exceptions import ConfigurationError, SnapshotExpiredError, TimeTravelError
from dataknobs_data.query import Query
from dataknobs_data.records import Record
from tests.s3_bench import Places, S3Bench
from tests.servers import make_config, new_bucket_name

SEAWEED = pytest.mark.parametrize("s3_server", ["seaweed"], indirect=True)
CITIES = ["Bern", "Köln", "Oslo"]


@pytest.fixture(scope="module")
def archive(seaweed: SeaweedServer, s3_places: Places) -> Iterator[S3Bench]:
    """Where the records of `full` lie."""
    with ExitStack() as ends:
        yield S3Bench(seaweed, *s3_places[seaweed], ends)


@pytest.fixture(scope="module")
def full(archive: S3Bench) -> S3Database:
    """Records that were loaded, changed, deleted and created singly; nothing stands in front of the table any more. They are
    only read.
    """
    db = archive.open(layout="tiered", pack_threshold=100, deadline=2, timeout=1, grace=3)
    db.batch_create([Record({"n": n, "city": CITIES[n % 3], "share": n / 8}, id=f"r{n:04}") for n in range(1000)])
    db.batch_create([Record({"n": n, "city": CITIES[n % 3], "flag": n % 2 == 0}) for n in range(1000, 1500)])
    for n in range(0, 60, 3):
        db.update(f"r{n:04}", Record({"n": n, "city": "Rom", "share": None}))
    db.batch_delete([f"r{n:04}" for n in range(1, 60, 3)])
    for n in range(2000, 2010):
        db.create(Record({"n": n, "city": "Rom", "new": f"x{n}"}, id=f"new{n}"))
    report = db.compact(full=True, wait=True)
    assert report.waiting == 0
    assert not [path for path in archive.paths() if not path.startswith(("_table/", "_jobs/"))], "no object is left"
    return db


def wanted(db: S3Database) -> list[tuple[str, int]]:
    """What the engines are asked for: ids and numbers of those in Rom and those above 1,400."""
    found = db.search(Query().filter("city", "=", "Rom")) + db.search(
        Query().filter("n", ">", 1400).filter("city", "!=", "Rom")
    )
    return sorted((str(record.id), record["n"]) for record in found)


def pairs(table: pa.Table) -> list[tuple[str, int]]:
    return sorted(zip(table["_id"].to_pylist(), table["n"].to_pylist(), strict=True))


def live_files(bench: S3Bench, folder: Path) -> list[str]:
    """The files that the log names, downloaded: DuckDB's own reader of Delta tables is an extension from the network."""
    live: dict[str, str] = {}
    for path in sorted(
        path for path in bench.paths() if path.startswith("_table/_delta_log/") and path.endswith(".json")
    ):
        body = bench.client.get_object(Bucket=bench.bucket, Key=bench.prefix + path)["Body"].read()
        for action in map(json.loads, body.splitlines()):
            if "add" in action:
                live[action["add"]["path"]] = str(folder / action["add"]["path"].replace("/", "_"))
            elif "remove" in action:
                live.pop(action["remove"]["path"], None)
    for path, target in live.items():
        bench.client.download_file(bench.bucket, f"{bench.prefix}_table/{path}", target)
    return list(live.values())


def test_polars(full: S3Database) -> None:
    table = full.delta()
    frame = pl.scan_delta(table.uri, storage_options=table.storage_options)
    assert frame.select(pl.len()).collect().item() == full.count() == 1490
    found = frame.filter((pl.col("city") == "Rom") | (pl.col("n") > 1400)).select("_id", "n").collect()
    assert sorted(found.rows()) == wanted(full)


def test_deltalake_and_pyarrow(full: S3Database) -> None:
    address = full.delta()
    table = DeltaTable(address.uri, storage_options=address.storage_options)
    dataset = table.to_pyarrow_dataset()
    assert dataset.count_rows() == full.count()
    assert pairs(dataset.to_table(filter=(pc.field("city") == "Rom") | (pc.field("n") > 1400))) == wanted(full)
    adds: Any = table.get_add_actions(flatten=True)
    assert sum(pa.table(adds)["num_records"].to_pylist()) == full.count(), "the log's statistics say the same"


@pytest.mark.parametrize("way", ["delta", "dataset", "files"])
def test_duckdb(archive: S3Bench, full: S3Database, tmp_path: Path, way: str) -> None:
    with duckdb.connect() as engine:
        if way == "delta":
            table = full.delta()
            engine.register(
                "records", DeltaTable(table.uri, storage_options=table.storage_options).to_pyarrow_dataset()
            )
        elif way == "dataset":
            engine.register("records", full.dataset())
        else:
            engine.read_parquet(live_files(archive, tmp_path), union_by_name=True).create_view("records")
        assert engine.sql("SELECT count(*) FROM records").fetchall() == [(full.count(),)]
        found = engine.sql("SELECT _id, n FROM records WHERE city = 'Rom' OR n > 1400").fetchall()
        assert sorted(found) == wanted(full)
        shares = engine.sql("SELECT count(share), count(flag), count(new) FROM records").fetchall()
    everything = full.all()
    assert shares == [
        tuple(sum(one.get_value(name) is not None for one in everything) for name in ("share", "flag", "new"))
    ]


def test_daft(full: S3Database) -> None:
    daft = pytest.importorskip("daft", reason="it is in the extra `engines`, for it holds pyarrow back")
    table = full.delta()
    frame = daft.read_deltalake(table.uri, io_config=daft.io.IOConfig(s3=daft.io.S3Config(**table.daft_options)))
    assert frame.count_rows() == full.count()
    found = frame.where((daft.col("city") == "Rom") | (daft.col("n") > 1400)).select("_id", "n").to_pydict()
    assert sorted(zip(found["_id"], found["n"], strict=True)) == wanted(full)


def test_rows_without_the_fields_that_later_ones_brought(full: S3Database) -> None:
    frame = pl.scan_pyarrow_dataset(full.dataset())
    assert frame.filter(pl.col("new").is_not_null()).select(pl.len()).collect().item() == 10
    assert frame.filter(pl.col("flag")).select(pl.len()).collect().item() == full.count(
        Query().filter("flag", "=", True)
    )


# ---------------------------------------------------------------------------------------------- the dataset
def test_the_dataset_after_a_full_compaction(full: S3Database) -> None:
    dataset = full.dataset()
    assert (dataset.exact, dataset.table_version) == (True, full.log(1)[0].version)
    assert sorted(dataset.to_table(columns=["_id"])["_id"].to_pylist()) == full.list_ids()
    assert pairs(dataset.to_table(filter=(pc.field("city") == "Rom") | (pc.field("n") > 1400))) == wanted(full)
    frame = pl.scan_pyarrow_dataset(dataset).filter(pl.col("city") == "Rom").select(pl.len()).collect()
    assert frame.item() == full.count(Query().filter("city", "=", "Rom"))


@SEAWEED
def test_before_a_compaction_the_dataset_has_what_the_packs_have(bench: S3Bench) -> None:
    db = bench.open(layout="tiered", pack_threshold=10)
    db.batch_create([Record({"n": n}, id=f"r{n}") for n in range(10)])
    assert db.dataset().exact
    db.update("r1", Record({"n": 100}))
    db.delete("r2")
    db.create(Record({"n": 200}, id="single"))
    dataset = db.dataset()
    assert not dataset.exact
    assert pairs(dataset.to_table()) == [(f"r{n}", n) for n in range(10)], "outdated, deleted, and one is missing"
    assert not db.compact(full=True).left
    assert pairs(db.dataset().to_table()) == sorted((str(one.id), one["n"]) for one in db.all())
    assert pairs(dataset.to_table())[2] == ("r2", 2), "the version of the table that it was made of"


@SEAWEED
def test_a_dataset_of_no_table(bench: S3Bench) -> None:
    db = bench.open(layout="tiered")
    empty = db.dataset()
    assert (empty.exact, empty.table_version, empty.count_rows()) == (True, None, 0)
    assert "_id" in empty.schema.names
    db.create(Record({"n": 1}))
    assert not db.dataset().exact


def test_packs_that_a_filter_rules_out_are_not_opened_and_what_is_sent_is_counted(full: S3Database) -> None:
    dataset, before = full.dataset(), full.usage
    assert dataset.to_table(filter=pc.field("n") > 1_000_000).num_rows == 0
    assert not full.usage.since(before).requests
    assert dataset.to_table(filter=pc.field("n") == 1400).num_rows == 1
    sent = full.usage.since(before)
    assert sent.requests.keys() == {"GetObject"}
    assert sent.bytes_received > 0


@SEAWEED
def test_packs_that_are_gone_or_damaged_are_no_empty_answer(bench: S3Bench) -> None:
    db = bench.open(layout="tiered", pack_threshold=10)
    db.batch_create([Record({"n": n, "text": f"text {n}"}) for n in range(100)])
    dataset = db.dataset()
    (path,) = (path for path in bench.paths() if path.startswith("_table/packs/"))
    key = bench.prefix + path
    assert dataset.files == [f"{bench.bucket}/{key}"]
    body = bytearray(bench.client.get_object(Bucket=bench.bucket, Key=key)["Body"].read())
    body[200] ^= 1
    bench.client.put_object(Bucket=bench.bucket, Key=key, Body=bytes(body))
    with pytest.raises(OSError, match=r"."):  # what is damaged, and so what is said, depends on the bytes
        dataset.to_table()
    bench.client.delete_object(Bucket=bench.bucket, Key=key)
    with pytest.raises(SnapshotExpiredError, match="vacuumed"):
        db.dataset().to_table()


def test_packs_are_only_read(full: S3Database) -> None:
    files = full.dataset().filesystem
    with pytest.raises(PermissionError, match="only ever read"):
        files.delete_file(full.dataset().files[0])
    with pytest.raises(FileNotFoundError):
        files.open_input_file("elsewhere")
    with files.open_input_file(full.dataset().files[0]) as file:
        assert (file.read(4), file.seek(-4, 2) > 0, file.read()) == (b"PAR1", True, b"PAR1")
    (info, none) = files.get_file_info([full.dataset().files[0], "elsewhere"])
    assert (info.is_file, none.type) == (True, pa.fs.FileType.NotFound)


# ---------------------------------------------------------------------------------------------- addresses
@SEAWEED
@pytest.mark.parametrize("prefix", ["a b/", "100%/", "ü/", "a+b=c&d/", "q?x/", "h#x/"])
def test_prefixes_that_urls_escape(bench: S3Bench, prefix: str) -> None:
    db = bench.open(layout="tiered", pack_threshold=3, prefix=bench.prefix + prefix)
    db.batch_create([Record({"n": n}) for n in range(3)])
    table = db.delta()
    rows = DeltaTable(table.uri, storage_options=table.storage_options).to_pyarrow_dataset().count_rows()
    assert rows == db.dataset().count_rows() == 3


def test_the_environment_does_not_lead_elsewhere(full: S3Database, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    table = full.delta()
    assert DeltaTable(table.uri, storage_options=table.storage_options).version() == full.dataset().table_version


def test_the_table_as_it_was(seaweed: SeaweedServer, s3_places: Places) -> None:
    client, _ = s3_places[seaweed]
    bucket = new_bucket_name()
    seaweed.create_bucket(bucket)
    client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    with S3Database(make_config(seaweed, bucket=bucket, prefix="r/", layout="tiered", pack_threshold=3)) as db:
        db.create(Record({"n": 100}, id="single"))
        time.sleep(1)  # a moment is a second
        db.batch_create([Record({"n": n}, id=f"r{n}") for n in range(3)])
        time.sleep(1)
        db.batch_update([(f"r{n}", Record({"n": n + 10})) for n in range(3)])
        past = db.at(table_version=0)
        wanted = [("r0", 0), ("r1", 1), ("r2", 2)]
        assert pairs(past.dataset().to_table()) == wanted
        then = past.delta()
        table = DeltaTable(then.uri, version=then.version, storage_options=then.storage_options)
        assert pairs(table.to_pyarrow_dataset().to_table()) == wanted
        assert pairs(db.dataset().to_table()) == [(id, n + 10) for id, n in wanted]
        with pytest.raises(TimeTravelError, match="no table yet"):
            db.at(timestamp=db.history("single")[0].at).delta()


@SEAWEED
def test_no_table_in_the_objects_layout(bench: S3Bench) -> None:
    db = bench.open(layout="objects")
    for call in (db.dataset, db.delta):
        with pytest.raises(ConfigurationError, match="layout 'objects'"):
            call()


@SEAWEED
def test_for_asyncio(bench: S3Bench) -> None:
    async def scenario() -> None:
        async with AsyncS3Database(bench.config(layout="tiered", pack_threshold=3)) as db:
            await db.batch_create([Record({"n": n}) for n in range(3)])
            assert (await db.dataset()).count_rows() == 3
            assert (await db.delta(credentials=False)).location.endswith(f"{bench.prefix}_table")

    asyncio.run(scenario())
