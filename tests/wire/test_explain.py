"""What explain says, against the wire: a real server, every request through the proxy."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from dataknobs_data.backends.s3 import S3Database
from dataknobs_data.query import Query
from dataknobs_data.records import Record
from dataknobs_data.s3 import probe
from dataknobs_data.s3.costs.work import WorkEstimate
from dataknobs_data.s3.tiered import packing
from tests.s3_bench import S3Bench, records


def carried_out(bench: S3Bench, db: S3Database, estimate: WorkEstimate, act: Callable[[], Any]) -> None:
    """That the wire has what was said, and that `usage` says what the wire had."""
    with db.measured() as spent, bench.proxy.watch() as seen:
        act()
    assert spent.usage.requests == dict(seen.counts())
    sent = spent.usage.requests
    for name in {*estimate.requests, *sent}:
        assert estimate.requests.get(name, 0) == pytest.approx(sent.get(name, 0), rel=0.1), f"{estimate}\n{spent.usage}"
        assert estimate.least.get(name, 0) <= sent.get(name, 0) <= estimate.most.get(name, 0), (
            f"{estimate}\n{spent.usage}"
        )
    assert estimate.dollars == pytest.approx(spent.usage.dollars, rel=0.1)


@pytest.mark.parametrize("layout", ["tiered", "objects"])
def test_creating(bench: S3Bench, layout: str) -> None:
    db = bench.open(layout=layout, pack_threshold=50)
    for number, batch in enumerate((records(30), records(300), [Record({"n": n}) for n in range(200)], records(300))):
        for record in batch:
            record.id = record.id and f"{number}-{record.id}"
        estimate = db.explain.batch_create(batch)
        carried_out(bench, db, estimate, lambda batch=batch: db.batch_create(batch))  # type: ignore[misc]


def test_the_first_write_of_a_process_tries_the_store_out(bench: S3Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "_known", {})
    db = bench.connect(layout="tiered")
    estimate = db.explain.batch_create(records(3))
    assert not probe._known
    assert estimate.requests["PutObject"] > 6, "eight requests of the trial, and the format file"
    with db.measured() as spent:
        db.batch_create(records(3))
    assert sum(estimate.requests.values()) == pytest.approx(spent.usage.total, abs=2), (
        "depends on what the store can do"
    )


def test_large_packs_go_in_parts(bench: S3Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "CHUNK_BYTES", 5 << 20)
    db = bench.open(layout="tiered")
    batch = [
        Record({"n": n, "blob": random.Random(n).randbytes(40_000)}) for n in range(200)
    ]  # as large when compressed
    estimate = db.explain.batch_create(batch)
    assert estimate.requests["UploadPart"] > 1
    carried_out(bench, db, estimate, lambda: db.batch_create(batch))


@pytest.mark.parametrize(
    "query",
    [
        Query(),
        Query().filter("n", "between", (400, 420)),
        Query().filter("n", ">", 5000),
        Query().sort("n", "DESC").limit(5),
        Query().filter("id", "in", ["r-000001", "h-3", "nobody"]),
        Query().filter("id", "starts_with", "r-0000"),
    ],
    ids=lambda query: str(query.to_dict()),
)
def test_searching(bench: S3Bench, query: Query) -> None:
    other = bench.past(layout="tiered")
    other.batch_create(records(1000))
    other.batch_create([Record({"n": 3000 + n}, id=f"s-{n:06}") for n in range(500)])
    for number in range(20):
        other.create(Record({"n": number}, id=f"h-{number}"))
    db = bench.connect(layout="tiered")
    for _ in ("cold", "warm"):
        estimate = db.explain.search(query)
        carried_out(bench, db, estimate, lambda: db.search(query))


def test_compacting(bench: S3Bench) -> None:
    db = bench.open(layout="tiered", timeout=1, deadline=2, grace=2.1)
    db.batch_create(records(1000))
    for number in range(20):
        db.create(Record({"n": number}))
    for number in range(150):
        db.update(f"r-{number:06}", Record({"n": -number}))
    for full in (False, False, True):
        estimate = db.explain.compact(full=full)
        carried_out(bench, db, estimate, lambda full=full: db.compact(full=full))  # type: ignore[misc]
