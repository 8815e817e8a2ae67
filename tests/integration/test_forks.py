"""A process is forked from one that uses databases: both go on with them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from dataknobs_data.embedded import PostgresServer
from dataknobs_data.runtime import UlidFactory

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PROGRAM = """
import asyncio, json, os, signal, sys, warnings
from dataknobs_data import Record
from dataknobs_data.factory import AsyncDatabaseFactory, DatabaseFactory
from dataknobs_data.runtime import Runtime

warnings.simplefilter("ignore", DeprecationWarning)  # Python >= 3.12: a process with threads is forked
config = json.loads(sys.argv[1])
is_s3 = config["backend"] == "s3"
db = DatabaseFactory().create(**config)
asynchronous = AsyncDatabaseFactory().create(**config)
new_id = Runtime().new_id

def use(name):
    created = db.create(Record({"by": name}))
    found = {
        "created": created,
        "bulk": db.batch_create([Record({"by": name}) for _ in range(20)]),
        "read": db.read("x")["by"],
        "asynchronous": asyncio.run(asynchronous.create(Record({"by": name}))),
        "count": len(db.search()),
    }
    if then:
        found["sql"] = [row["n"] for row in db.select_query("SELECT count(*) AS n FROM S3Object")]
        found["before"] = then.count()
    return found

def fork(work):
    reads, writes = os.pipe()
    if os.fork() == 0:
        signal.alarm(50)  # ends a child that hangs, where nobody else would
        try:
            os.write(writes, json.dumps(work()).encode())
        finally:
            os._exit(0)
    os.close(writes)
    with open(reads) as told:
        answer = told.read()
    _, status = os.wait()
    assert status == 0, status
    return json.loads(answer)

db.create(Record({"by": "parent"}, id="x"))
then = None
parent = [use("parent")]
if config.get("layout") == "tiered":
    then = db.at(table_version=db.log()[0].version)
past = fork(then.count) if then else None
child = fork(lambda: use("child"))
parent.append(use("parent"))
grandchild = fork(lambda: fork(lambda: use("grandchild")))
parent.append(use("parent"))
print(json.dumps({"parent": parent, "child": child, "grandchild": grandchild, "past": past}))
"""


def ran(config: dict[str, Any]) -> dict[str, Any]:
    """What the program tells; TimeoutExpired where it hangs."""
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(config)], capture_output=True, text=True, timeout=60, check=False
    )
    assert run.returncode == 0, run.stderr
    told: dict[str, Any] = json.loads(run.stdout)
    return told


def made(told: dict[str, Any]) -> list[str]:
    """All ids that were created."""
    return [
        id
        for one in (*told["parent"], told["child"], told["grandchild"])
        for id in (one["created"], one["asynchronous"], *one["bulk"])
    ]


@pytest.mark.parametrize("layout", ["objects", "tiered"])
def test_s3(s3_config: dict[str, Any], s3_client: S3Client, layout: str) -> None:
    s3_client.put_bucket_versioning(Bucket=s3_config["bucket"], VersioningConfiguration={"Status": "Enabled"})
    told = ran({**s3_config, "backend": "s3", "layout": layout, "pack_threshold": 10})
    assert [one["count"] for one in told["parent"]] == [23, 67, 111]
    assert (told["child"]["count"], told["grandchild"]["count"]) == (45, 89)
    if layout == "tiered":
        assert (told["child"]["sql"], told["grandchild"]["sql"]) == ([45], [89])
        assert told["child"]["before"] == told["grandchild"]["before"] == told["parent"][-1]["before"] <= 23
        assert told["past"] == told["child"]["before"], "of a child that used nothing before"
    assert told["child"]["read"] == told["grandchild"]["read"] == "parent"
    assert len(set(made(told))) == 5 * 22


def test_postgres(postgres: PostgresServer) -> None:
    told = ran({"backend": "postgres", "connection_string": postgres.url, "table": f"forks_{uuid.uuid4().hex}"})
    assert (told["child"]["count"], told["grandchild"]["count"], told["parent"][-1]["count"]) == (45, 89, 111)
    assert len(set(made(told))) == 5 * 22


@pytest.mark.parametrize("backend", ["sqlite", "file"])
def test_files(tmp_path: Path, backend: str) -> None:
    told = ran({"backend": backend, "path": str(tmp_path / {"sqlite": "x.db", "file": "x.json"}[backend])})
    assert (told["child"]["count"], told["grandchild"]["count"], told["parent"][-1]["count"]) == (45, 89, 111)


def test_what_is_in_memory_is_copied() -> None:
    told = ran({"backend": "memory"})
    assert (told["child"]["count"], told["grandchild"]["count"], told["parent"][-1]["count"]) == (43, 64, 64)


def test_parent_and_child_make_other_ids_in_the_same_millisecond() -> None:
    parent = UlidFactory(lambda: datetime(2026, 1, 1, tzinfo=UTC))
    first = parent.many(3)
    reads, writes = os.pipe()
    if os.fork() == 0:
        try:
            os.write(writes, " ".join(parent.many(3)).encode())
        finally:
            os._exit(0)
    os.close(writes)
    os.wait()
    with os.fdopen(reads) as told:
        child = told.read().split()
    assert len({*first, *child, *parent.many(3)}) == 9
