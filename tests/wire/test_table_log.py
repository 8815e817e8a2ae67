"""What the table's log sends, and what becomes of it when answers are lost or the client is killed at any request."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, redirect_stdout
from io import StringIO

import pytest

from dataknobs_data.s3.table.actions import Add
from dataknobs_data.s3.table.log import Log
from tests.s3_bench import S3Bench, sent
from tests.table_bench import SCHEMA, WEEK, LogBench, job
from tests.wire.proxy import Answer, Kill, Lose, Truncate

CLIENT = """
import json, sys
from datetime import timedelta
from dataknobs_data.runtime import Runtime
from dataknobs_data.s3.calls import Caller
from dataknobs_data.s3.keys import Keys
from dataknobs_data.s3.settings import s3_settings
from dataknobs_data.s3.stores.connection import open_store
from dataknobs_data.s3.table.actions import Add
from dataknobs_data.s3.table.log import Job, Log
from dataknobs_data.s3.table.upkeep import Upkeep

settings = s3_settings(json.loads(sys.argv[1]))
caller = Caller(open_store(settings)[0], settings, Runtime())
keys = Keys(settings.prefix)
log = Log(caller, keys, Runtime(), workers=4)
log.ensure(sys.argv[2], Job("create", "CREATE TABLE"))
for number in range(2):
    path = f"packs/{number}"
    decide = lambda current: None if path in current.packs else [Add(path, 1, 2)]
    log.commit_with(decide, Job(path, "WRITE"), snapshot=log.known)
    print(path, flush=True)
Upkeep(caller, keys, log.reader).checkpoint(log.known, timedelta(days=7))
log.close()
print("done", flush=True)
"""


@pytest.fixture
def table(bench: S3Bench) -> Iterator[LogBench]:
    """No table yet; all requests pass the proxy."""
    with ExitStack() as ends:
        yield LogBench(bench, ends)
        bench.proxy.reset()


def made(table: LogBench, commits: int) -> Log:
    log = table.log()
    log.ensure(SCHEMA, job("CREATE TABLE"))
    for number in range(commits):
        assert log.commit_with(lambda current, n=number: [Add(f"packs/{n}", 1, 2)], job(), snapshot=log.known)
    return log


def packs(log: Log) -> list[str]:
    snapshot = log.refresh()
    assert snapshot is not None
    return list(snapshot.packs)


def test_the_floors(table: LogBench) -> None:
    watch = table.bench.proxy.watch
    log = made(table, 5)
    with watch() as seen:
        log.refresh()
    assert sent(seen) == {"ListObjectsV2": 1}
    together = 0
    for _ in range(5):  # on a busy machine one request may end before the next begins
        other = table.log()
        with watch() as seen:
            assert len(packs(other)) == 5
        assert sent(seen) == {"GetObject": 7, "ListObjectsV2": 1}
        together = max(together, seen.max_in_flight)
    assert together > 1
    with watch() as seen:
        log.commit(log.known, [Add("packs/5", 1, 2)], job())
    assert sent(seen) == {"PutObject": 1}
    with watch() as seen:
        assert len(packs(other)) == 6
    assert sent(seen) == {"ListObjectsV2": 1, "GetObject": 1}
    with watch() as seen:
        table.upkeep(log).checkpoint(log.known, WEEK)
    assert sent(seen) == {"HeadObject": 1, "PutObject": 2, "GetObject": 1}
    with watch() as seen:
        assert len(packs(table.log())) == 6
    assert sent(seen) == {"GetObject": 2, "ListObjectsV2": 1}


@pytest.mark.parametrize("nth", range(1, 6))
def test_answers_that_are_lost(table: LogBench, nth: int) -> None:
    """Of the creation, of two commits, of a checkpoint and of its hint: each is sent again, or found to have been done."""
    lost = table.bench.proxy.fault(Lose(), operation="PutObject", nth=nth)
    log = made(table, 2)
    table.upkeep(log).checkpoint(log.known, WEEK)
    assert lost.hits == 1
    assert [path.removeprefix("_table/_delta_log/") for path in table.bench.paths()] == [
        *(f"{version:020}.json" for version in range(2)),
        f"{2:020}.checkpoint.parquet",
        f"{2:020}.json",
        "_last_checkpoint",
    ]
    assert packs(table.log()) == ["packs/0", "packs/1"]
    assert (
        json.loads(
            table.bench.client.get_object(
                Bucket=table.bench.bucket, Key=f"{table.bench.prefix}_table/_delta_log/_last_checkpoint"
            )["Body"].read()
        )["version"]
        == 2
    )


def test_answers_that_end_early_or_say_no(table: LogBench) -> None:
    log = made(table, 3)
    for operation in ("ListObjectsV2", "GetObject"):
        cut = table.bench.proxy.fault(Truncate(40), operation=operation)
        slow = table.bench.proxy.fault(Answer(503, "SlowDown"), operation=operation, nth=2)
        assert packs(table.log()) == ["packs/0", "packs/1", "packs/2"]
        assert packs(log) == ["packs/0", "packs/1", "packs/2"]
        assert (cut.hits, slow.hits) == (1, 1)


def once_more(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the client says, in this process."""
    monkeypatch.setattr(sys, "argv", ["", *arguments])
    with redirect_stdout(StringIO()) as out:
        exec(CLIENT, {})
    return out.getvalue().split()


@pytest.mark.parametrize(("nth", "before"), [(nth, before) for nth in range(1, 6) for before in (True, False)])
def test_a_client_that_is_killed_at_a_write(
    table: LogBench, nth: int, before: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    clients: list[subprocess.Popen[str]] = []
    killed = table.bench.proxy.fault(Kill(lambda: clients[0], before=before), operation="PutObject", nth=nth)

    arguments = [json.dumps(table.bench.config()), SCHEMA]
    clients.append(subprocess.Popen([sys.executable, "-c", CLIENT, *arguments], stdout=subprocess.PIPE, text=True))
    acknowledged, _ = clients[0].communicate(timeout=60)
    assert clients[0].returncode == -9
    assert killed.hits == 1
    assert acknowledged.split() == ["packs/0", "packs/1"][: max(nth - 2, 0)]
    end = time.monotonic() + 10
    while any(request.ended is None for request in table.bench.proxy.requests):
        assert time.monotonic() < end
        time.sleep(0.01)
    applied = nth - before
    snapshot = table.log().refresh()
    assert (snapshot.version if snapshot else -1) == min(applied, 3) - 1
    assert once_more(arguments, monkeypatch) == ["packs/0", "packs/1", "done"]
    snapshot = table.log().refresh()
    assert snapshot is not None
    assert (snapshot.version, list(snapshot.packs)) == (2, ["packs/0", "packs/1"])
