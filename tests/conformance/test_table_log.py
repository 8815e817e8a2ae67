"""The table's log on real stores: races, what others read of it, and what it reads of others."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import deltalake
import duckdb
import polars as pl
import pyarrow as pa
import pytest

from dataknobs_data.s3.table.actions import Action, Add
from dataknobs_data.s3.table.log import Committed, Job, Log
from dataknobs_data.s3.table.snapshot import Snapshot
from tests.s3_bench import S3Bench
from tests.table_bench import SCHEMA, WEEK, LogBench, job

DAY = timedelta(days=1)


@pytest.fixture
def table(bench: S3Bench) -> Iterator[LogBench]:
    """No table yet."""
    with ExitStack() as ends:
        yield LogBench(bench, ends)


def commit(log: Log, *actions: Action, snapshot: Snapshot | None = None) -> Committed:
    made = log.commit_with(lambda current: list(actions), job(), snapshot=snapshot)
    assert made
    return made


def ids(numbers: range) -> list[str]:
    return sorted(f"r-{number}" for number in numbers)


# ---------------------------------------------------------------------------------------------- this package alone
def test_what_is_committed_is_there_for_everybody(table: LogBench) -> None:
    log, other = table.log(), table.log()
    assert log.refresh() is None
    assert other.ensure(SCHEMA, job("CREATE TABLE")).version == 0
    assert log.ensure(SCHEMA, job("CREATE TABLE")).version == 0
    for number in range(3):
        made = commit(log, Add(f"packs/{number} ü%", 1, 2), snapshot=log.known)
        assert made.version == number + 1
    sent = log._caller.meter.usage()
    snapshot = log.refresh()
    assert log._caller.meter.usage().since(sent).requests == {"ListObjectsV2": 1}, "its own commits, by their ETags"
    assert snapshot is not None
    now = datetime.now(UTC)
    assert all(commit.modified and abs(now - commit.modified) < timedelta(seconds=20) for commit in snapshot.commits)
    for process in (other, table.log()):
        found = process.refresh()
        assert found is not None
        assert list(found.packs) == list(snapshot.packs) == [f"packs/{number} ü%" for number in range(3)]
        assert [commit.modified for commit in found.commits] == [commit.modified for commit in snapshot.commits]
        assert [commit.etag for commit in found.commits] == [commit.etag for commit in snapshot.commits]


def test_checkpoints_and_cleaning(table: LogBench) -> None:
    log = table.log()
    log.ensure(SCHEMA, job("CREATE TABLE"))
    upkeep = table.upkeep(log)
    for number in range(4):
        made = commit(log, Add(f"packs/{number}", 1, 2), snapshot=log.known)
        if number % 2:
            upkeep.checkpoint(made.snapshot, WEEK)
            upkeep.checkpoint(made.snapshot, WEEK)
    assert upkeep.clean() == 0, "all of it is young"
    assert table.upkeep(log, days_later=2).clean(DAY) == 5
    assert [path.removeprefix("_table/_delta_log/") for path in table.bench.paths()] == [
        "00000000000000000004.checkpoint.parquet",
        "00000000000000000004.json",
        "_last_checkpoint",
    ]
    for process in (log, table.log()):
        found = process.refresh()
        assert found is not None
        assert len(found.packs) == 4
    commit(log, Add("packs/5", 1, 2), snapshot=log.known)


def test_of_eight_who_create_the_table_one_does(table: LogBench) -> None:
    logs = [table.log() for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda log: log.ensure(SCHEMA, job("CREATE TABLE")), logs))
    assert len({snapshot.metadata.id for snapshot in made}) == 1


@pytest.mark.parametrize(
    ("s3_server", "processes", "commits"), [("seaweed", 8, 20), ("moto_server", 4, 10)], indirect=["s3_server"]
)
def test_everybodys_commits_are_there_once_beside_a_compactor(table: LogBench, processes: int, commits: int) -> None:
    """Every commit replaces the counter file that it saw: a lost update would leave two, or a gap."""
    first = table.log()
    first.ensure(SCHEMA, job("CREATE TABLE"))
    commit(first, Add("packs/0", 0, 0))
    made: list[tuple[int, str]] = []
    running = threading.Event()
    running.set()

    def count_up(process: int) -> None:
        log = table.log(deadline=100.0)
        for number in range(commits):
            mine = Job(f"{process}-{number}", "WRITE")

            def decide(current: Snapshot) -> list[Action]:
                (last,) = current.packs.values()
                return [last.removed(1), Add(f"packs/{last.size + 1}", last.size + 1, 0)]

            committed = log.commit_with(decide, mine, snapshot=log.known)
            assert committed
            made.append((committed.version, mine.id))

    def keep_up() -> int:
        log, checkpoints = table.log(), 0
        upkeep = table.upkeep(log)
        while running.wait(0.1) and running.is_set():
            snapshot = log.refresh()
            assert snapshot is not None
            upkeep.checkpoint(snapshot, WEEK)
            upkeep.clean()
            checkpoints += 1
        return checkpoints

    with ThreadPoolExecutor(processes + 1) as pool:
        compactor = pool.submit(keep_up)
        try:
            list(pool.map(count_up, range(processes)))
        finally:
            running.clear()
        assert compactor.result() > 1
    total = processes * commits
    assert sorted(version for version, _ in made) == list(range(2, total + 2))
    snapshot = table.log().refresh()
    assert snapshot is not None
    assert snapshot.version == total + 1
    assert list(snapshot.packs) == [f"packs/{total}"]
    in_log = [commit.job for commit in table.log().commits_since(snapshot, 1)]
    assert in_log == [id for _, id in sorted(made)]


# ---------------------------------------------------------------------------------------------- other engines
def rows_elsewhere(table: LogBench, folder: Path) -> None:
    """deltalake and Polars on the server, DuckDB on a copy (its httpfs cannot be had offline), all see what we see."""
    snapshot = table.log().refresh()
    assert snapshot is not None
    theirs = deltalake.DeltaTable(table.uri, storage_options=table.options)
    assert theirs.version() == snapshot.version
    assert theirs.metadata().id == snapshot.metadata.id
    assert theirs.schema().to_json() == deltalake.Schema.from_json(snapshot.schema).to_json()
    prefix = table.uri
    assert sorted(uri.removeprefix(prefix) for uri in theirs.file_uris()) == sorted(snapshot.packs)
    found = theirs.to_pyarrow_table()
    expected = sorted(found.column("_id").to_pylist())
    adds = pa.table(theirs.get_add_actions(flatten=True)).to_pylist()
    by_path = {row["path"]: row for row in adds}
    for path, add in snapshot.packs.items():
        row = by_path[path]
        assert (row["size_bytes"], row["num_records"]) == (add.size, 3)
        assert row["max.n"] - row["min.n"] == 2
    numbers = {int(id[2:]) for id in expected}
    assert len(expected) == len(numbers) == 3 * len(snapshot.packs)
    with_filter = theirs.to_pyarrow_table(filters=[("n", "<", 3)]).column("_id").to_pylist()
    assert sorted(with_filter) == sorted(f"r-{n}" for n in numbers if n < 3)
    frame = pl.scan_delta(table.uri, storage_options=table.options).filter(pl.col("n") >= 3).collect()
    assert sorted(frame["n"].to_list()) == sorted(n for n in numbers if n >= 3)
    files = [str(table.copy_to(folder) / path) for path in snapshot.packs]
    (count,) = duckdb.sql("SELECT count(*) FROM read_parquet($files)", params={"files": files}).fetchall()[0]
    assert count == len(numbers)


@pytest.mark.parametrize("s3_server", ["seaweed"], indirect=True)
def test_other_engines_read_what_we_write(table: LogBench, tmp_path: Path) -> None:
    log = table.log()
    log.ensure(SCHEMA, job("CREATE TABLE"))
    packs = [table.pack(f"packs/{number}.parquet", 3 * number) for number in range(6)]
    for pack in packs[:4]:
        commit(log, pack)
    rows_elsewhere(table, tmp_path)
    commit(log, packs[0].removed(1), packs[4])
    table.upkeep(log).checkpoint(log.known, WEEK)
    rows_elsewhere(table, tmp_path)
    commit(log, packs[5], packs[1].removed(1))
    rows_elsewhere(table, tmp_path)
    assert table.upkeep(log, days_later=2).clean(DAY) == 5
    rows_elsewhere(table, tmp_path)
    history = deltalake.DeltaTable(table.uri, storage_options=table.options).history()
    assert [entry["dataknobsJob"] for entry in history] == [c.job for c in log.known.commits[-2:]][::-1]


@pytest.mark.parametrize("s3_server", ["seaweed"], indirect=True)
def test_we_read_and_write_on_what_another_engine_writes(table: LogBench, tmp_path: Path) -> None:
    def write(first: int, mode: str) -> None:
        rows = pa.table({"_id": [f"r-{n}" for n in range(first, first + 3)], "n": [*range(first, first + 3)]})
        deltalake.write_deltalake(table.uri, rows, mode=mode, storage_options=table.options)

    log = table.log()
    write(0, "error")
    write(3, "append")
    snapshot = log.refresh()
    assert snapshot is not None
    assert (snapshot.version, len(snapshot.packs)) == (1, 2)
    theirs = deltalake.DeltaTable(table.uri, storage_options=table.options)
    theirs.delete("n = 1")
    theirs.create_checkpoint()
    write(6, "append")
    commit(log, table.pack("packs/ours.parquet", 9))
    for process in (log, table.log()):
        found = process.refresh()
        assert found is not None
        assert found.version == 4
        assert len(found.packs) == 4
        assert len(found.removed) == 1
        sizes = {add.size for add in found.packs.values()}
        assert 0 not in sizes
    theirs = deltalake.DeltaTable(table.uri, storage_options=table.options)
    assert theirs.version() == 4
    assert sorted(theirs.to_pyarrow_table().column("_id").to_pylist()) == sorted({*ids(range(12))} - {"r-1"})
    table.upkeep(log).checkpoint(log.known, WEEK)
    write(12, "append")
    again = table.log().refresh()
    assert again is not None
    assert again.version == 5
    assert len(again.packs) == 5


@pytest.mark.parametrize("s3_server", ["seaweed"], indirect=True)
def test_deltalake_and_we_take_turns_at_one_version(table: LogBench) -> None:
    """Its writers and ours race for the same version: one of each pair wins, and nobody's files are lost."""
    log = table.log()
    log.ensure(SCHEMA, job("CREATE TABLE"))

    def theirs() -> None:
        for number in range(10):
            rows = pa.table({"_id": [f"t-{number}"], "n": [number]})
            deltalake.write_deltalake(table.uri, rows, mode="append", storage_options=table.options)

    def ours() -> None:
        for number in range(10):
            commit(log, Add(f"packs/{number}", 1, 2), snapshot=log.known)

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(theirs), pool.submit(ours)]:
            done.result()
    snapshot = table.log().refresh()
    assert snapshot is not None
    assert snapshot.version == 20
    assert len(snapshot.packs) == 20
