"""After compact(full=True) other engines find in the table, without us, the records that we find in both tiers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from deltalake import DeltaTable

from dataknobs_data.backends.s3 import S3Database
from dataknobs_data.query import Query
from dataknobs_data.records import Record
from tests.s3_bench import S3Bench

pytestmark = pytest.mark.parametrize("s3_server", ["seaweed"], indirect=True)

CITIES = ["Bern", "Köln", "Oslo"]


@pytest.fixture
def full(bench: S3Bench) -> S3Database:
    """Records that were loaded, changed, deleted and created singly; nothing stands in front of the table any more."""
    db = bench.open(layout="tiered", pack_threshold=100, deadline=2, timeout=1, grace=3)
    db.batch_create([Record({"n": n, "city": CITIES[n % 3], "share": n / 8}, id=f"r{n:04}") for n in range(1000)])
    db.batch_create([Record({"n": n, "city": CITIES[n % 3], "flag": n % 2 == 0}) for n in range(1000, 1500)])
    for n in range(0, 60, 3):
        db.update(f"r{n:04}", Record({"n": n, "city": "Rom", "share": None}))
    db.batch_delete([f"r{n:04}" for n in range(1, 60, 3)])
    for n in range(2000, 2010):
        db.create(Record({"n": n, "city": "Rom", "new": f"x{n}"}, id=f"new{n}"))
    report = db.compact(full=True, wait=True)
    assert report.waiting == 0
    assert not [path for path in bench.paths() if not path.startswith(("_table/", "_jobs/"))], "no object is left"
    return db


def wanted(db: S3Database) -> list[tuple[str, int]]:
    """What the engines are asked for: ids and numbers of those in Rom and those above 1,400."""
    found = db.search(Query().filter("city", "=", "Rom")) + db.search(
        Query().filter("n", ">", 1400).filter("city", "!=", "Rom")
    )
    return sorted((str(record.id), record["n"]) for record in found)


def options(bench: S3Bench) -> dict[str, str]:
    """For engines that use object_store."""
    config = bench.config()
    return {
        "aws_access_key_id": config["access_key_id"],
        "aws_secret_access_key": config["secret_access_key"],
        "aws_region": config["region"],
        "aws_endpoint_url": config["endpoint_url"],
        "aws_allow_http": "true",
    }


def address(bench: S3Bench) -> str:
    return f"s3://{bench.bucket}/{bench.prefix}_table"


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


def test_polars(bench: S3Bench, full: S3Database) -> None:
    frame = pl.scan_delta(address(bench), storage_options=options(bench))
    assert frame.select(pl.len()).collect().item() == full.count() == 1490
    found = frame.filter((pl.col("city") == "Rom") | (pl.col("n") > 1400)).select("_id", "n").collect()
    assert sorted(found.rows()) == wanted(full)


def test_deltalake_and_pyarrow(bench: S3Bench, full: S3Database) -> None:
    table = DeltaTable(address(bench), storage_options=options(bench))
    dataset = table.to_pyarrow_dataset()
    assert dataset.count_rows() == full.count()
    assert pairs(dataset.to_table(filter=(pc.field("city") == "Rom") | (pc.field("n") > 1400))) == wanted(full)
    adds: Any = table.get_add_actions(flatten=True)
    assert sum(pa.table(adds)["num_records"].to_pylist()) == full.count(), "the log's statistics say the same"


@pytest.mark.parametrize("way", ["arrow", "files"])
def test_duckdb(bench: S3Bench, full: S3Database, tmp_path: Path, way: str) -> None:
    with duckdb.connect() as engine:
        if way == "arrow":
            engine.register("records", DeltaTable(address(bench), storage_options=options(bench)).to_pyarrow_dataset())
        else:
            engine.read_parquet(live_files(bench, tmp_path), union_by_name=True).create_view("records")
        assert engine.sql("SELECT count(*) FROM records").fetchall() == [(full.count(),)]
        found = engine.sql("SELECT _id, n FROM records WHERE city = 'Rom' OR n > 1400").fetchall()
        assert sorted(found) == wanted(full)
        shares = engine.sql("SELECT count(share), count(flag), count(new) FROM records").fetchall()
    everything = full.all()
    assert shares == [
        tuple(sum(one.get_value(name) is not None for one in everything) for name in ("share", "flag", "new"))
    ]


def test_daft(bench: S3Bench, full: S3Database) -> None:
    daft = pytest.importorskip("daft", reason="it is in the extra `engines`, for it holds pyarrow back")
    config = bench.config()
    io = daft.io.IOConfig(
        s3=daft.io.S3Config(
            endpoint_url=config["endpoint_url"],
            key_id=config["access_key_id"],
            access_key=config["secret_access_key"],
            region_name=config["region"],
            use_ssl=False,
        )
    )
    frame = daft.read_deltalake(address(bench), io_config=io)
    assert frame.count_rows() == full.count()
    found = frame.where((daft.col("city") == "Rom") | (daft.col("n") > 1400)).select("_id", "n").to_pydict()
    assert sorted(zip(found["_id"], found["n"], strict=True)) == wanted(full)


def test_rows_without_the_fields_that_later_ones_brought(bench: S3Bench, full: S3Database) -> None:
    frame = pl.scan_delta(address(bench), storage_options=options(bench))
    assert frame.filter(pl.col("new").is_not_null()).select(pl.len()).collect().item() == 10
    assert frame.filter(pl.col("flag")).select(pl.len()).collect().item() == full.count(
        Query().filter("flag", "=", True)
    )
