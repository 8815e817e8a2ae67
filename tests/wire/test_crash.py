"""The client is killed at a request: before the store hears of it, or after it was applied, without the answer.

Afterwards every acknowledged record is there, whole and once, and the same work done again completes it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from contextlib import redirect_stdout
from io import StringIO
from typing import Any

import pytest

from dataknobs_data.backends.s3 import S3Database
from dataknobs_data.exceptions import DatabaseOperationError
from dataknobs_data.records import Record
from tests.s3_bench import S3Bench
from tests.wire.proxy import Kill, Refuse, Request

CLIENT = """
import json, sys
from dataknobs_data.backends.s3 import S3Database
from dataknobs_data.exceptions import BatchError, DuplicateRecordError
from dataknobs_data.records import Record

config, kind = json.loads(sys.argv[1]), sys.argv[2]
PAD = "x" * (6 * 1024 * 1024 if kind == "large" else 2000)

def records(count):
    return [Record({"n": n, "pad": PAD}, {"kind": kind}, id=f"r-{n:02}") for n in range(count)]

with S3Database(config) as db:
    db.clear() if sys.argv[3] == "first" else db.batch_delete([])
    print("ready", flush=True)
    if kind == "batch":
        try:
            print(*db.batch_create(records(50)), sep="\\n", flush=True)
        except BatchError as error:
            assert all(isinstance(one, DuplicateRecordError) for _, one in error.failed.values()), error
            print(*error.succeeded.values(), sep="\\n", flush=True)
    else:
        for record in records(1 if kind == "large" else 4):
            try:
                print(db.create(record), flush=True)
            except DuplicateRecordError:
                pass
print("done", flush=True)
"""

SIZES = {"single": 4, "batch": 50, "large": 1}
DEADLINE = 3.0
"""Seconds after which what a dead client left locked is free."""


class Client:
    """A process that creates records and says which were acknowledged."""

    def __init__(self, bench: S3Bench, kind: str, run: str) -> None:
        hurry = {"timeout": DEADLINE / 2, "deadline": DEADLINE} if kind == "large" else {}
        arguments = [json.dumps(bench.config(**hurry)), kind, run]
        self._process = subprocess.Popen([sys.executable, "-c", CLIENT, *arguments], stdout=subprocess.PIPE, text=True)
        self.pid = self._process.pid

    def acknowledged(self) -> tuple[list[str], int]:
        """The ids it was told, and how it ended."""
        out, _ = self._process.communicate(timeout=60)
        return [line for line in out.splitlines() if line.startswith("r-")], self._process.returncode


def once_more(bench: S3Bench, kind: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The same work in this process; what was acknowledged."""
    monkeypatch.setattr(sys, "argv", ["", json.dumps(bench.config()), kind, "again"])
    with redirect_stdout(StringIO()) as out:
        exec(CLIENT, {})
    lines = out.getvalue().splitlines()
    assert lines[-1] == "done"
    return [line for line in lines if line.startswith("r-")]


def is_of_a_record(request: Request) -> bool:
    return "_jobs/" not in request.key and request.operation in (
        "PutObject",
        "CreateMultipartUpload",
        "UploadPart",
        "CompleteMultipartUpload",
    )


def is_of_a_lock(request: Request) -> bool:
    return "_jobs/lock-" in request.key


CASES = [
    *(("single", "PutObject", nth, before) for nth in (1, 3) for before in (True, False)),
    *(("batch", "PutObject", nth, before) for nth in (31,) for before in (True, False)),
    ("large", "CreateMultipartUpload", 1, False),
    ("large", "UploadPart", 2, True),
    ("large", "UploadPart", 2, False),
    ("large", "lock", 1, False),  # taken, and never given back
    ("large", "lock", 2, True),  # completed, about to give it back
    ("large", "CompleteMultipartUpload", 1, True),
    ("large", "CompleteMultipartUpload", 1, False),
]


@pytest.mark.parametrize(
    ("kind", "operation", "nth", "before"),
    [pytest.param(*case, id="-".join(map(str, case[:3])) + ("-before" if case[3] else "-after")) for case in CASES],
)
def test_a_client_that_is_killed(
    bench: S3Bench, kind: str, operation: str, nth: int, before: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    clients: list[Client] = []
    killed = bench.proxy.fault(
        Kill(lambda: clients[0], before=before),
        when=lambda r: is_of_a_lock(r) if operation == "lock" else is_of_a_record(r) and r.operation == operation,
        nth=nth,
    )
    clients.append(Client(bench, kind, "first"))
    acknowledged, ended = clients[0].acknowledged()
    assert ended == -9
    assert killed.hits == 1
    all_is_over(bench)

    there = whole_records(bench)
    assert set(acknowledged) <= set(there)
    assert len(acknowledged) == {"single": nth - 1, "batch": 0, "large": 0}[kind]
    if kind == "single":
        assert len(there) == nth - before
    if kind == "large":
        completed = {("CompleteMultipartUpload", 1, False), ("lock", 2, True)}
        assert bool(there) == ((operation, nth, before) in completed)
    before_again = {id: document["revision"] for id, document in there.items()}

    if any("_jobs/lock-" in path for path in bench.paths()):
        assert operation in ("lock", "CompleteMultipartUpload")
        time.sleep(DEADLINE + 1)  # the store's clock counts seconds
    again = once_more(bench, kind, monkeypatch)
    there = whole_records(bench)
    assert sorted(there) == [f"r-{n:02}" for n in range(SIZES[kind])]
    assert sorted([*again, *before_again]) == sorted(there), "what was there was not created a second time"
    assert {id: there[id]["revision"] for id in before_again} == before_again
    assert [path for path in bench.paths() if path.startswith("_jobs/")] == ["_jobs/format.json"]
    with S3Database(bench.config()) as db:
        assert db.count() == SIZES[kind]
        assert sorted(record["n"] for record in db.search()) == list(range(SIZES[kind]))


def test_a_lock_that_a_dead_client_left_is_named_to_who_waits_for_it(bench: S3Bench) -> None:
    bench.proxy.fault(Refuse(), operation="DeleteObject", when=is_of_a_lock, times=None)
    large = Record({"data": "x" * 6 * 1024 * 1024}, id="x")
    bench.open(max_retries=0).create(large)
    db = bench.connect(timeout=2.0, deadline=4.0)
    with pytest.raises(
        DatabaseOperationError, match=r"_jobs/lock-\w+ is held by another writer of this record, or one"
    ):
        db.update("x", large)


def all_is_over(bench: S3Bench) -> None:
    """Requests that were on their way when the client died."""
    end = time.monotonic() + 10
    while any(request.ended is None for request in bench.proxy.requests):
        assert time.monotonic() < end
        time.sleep(0.01)


def whole_records(bench: S3Bench) -> dict[str, Any]:
    """What lies there, each of it a whole document with its tags."""
    found = {id: bench.stored(id) for id in bench.ids()}
    for id, document in found.items():
        assert document["id"] == id
        assert document["data"]["n"] == int(id[2:])
        assert len(document["data"]["pad"]) in (2000, 6 * 1024 * 1024)
        tags = bench.client.get_object_tagging(Bucket=bench.bucket, Key=bench.key(id))["TagSet"]
        assert {tag["Key"] for tag in tags} == {"id", "created_at", "kind"}
    return found
