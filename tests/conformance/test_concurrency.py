"""Many threads on one database, several databases on one prefix, and two processes."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from dataknobs_data.backends.s3 import AsyncS3Database, S3Database
from dataknobs_data.exceptions import BatchError, ConcurrencyError, DuplicateRecordError
from dataknobs_data.records import Record
from tests.s3_bench import S3Bench

ATOMIC = pytest.mark.parametrize("s3_server", ["seaweed"], indirect=True)
"""For races on one key. moto looks whether a condition holds and writes in two steps, between which others may write."""


def together(count: int, work: Callable[[int], Any]) -> list[Any]:
    """What `work(n)` answers or raises in each of so many threads that begin at once."""
    answers: list[Any] = [None] * count
    start = threading.Barrier(count)

    def run(number: int) -> None:
        start.wait()
        try:
            answers[number] = work(number)
        except Exception as error:  # noqa: BLE001  that is the answer
            answers[number] = error

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def test_fifty_threads_share_one_database(bench: S3Bench) -> None:
    """It is not even open when they begin."""
    db = bench.connect()

    def work(number: int) -> str:
        id = db.create(Record({"n": number}, id=f"t{number:02}"))
        mine = db.read(id)
        assert mine is not None
        assert mine["n"] == number
        assert db.update(id, Record({"n": number * 10}))
        db.count()
        if number % 5 == 0:
            assert db.delete(id)
            assert db.read(id) is None
        else:
            assert db.exists(id)
        return id

    ids = together(50, work)
    assert ids == [f"t{number:02}" for number in range(50)]
    left = {record.id: record["n"] for record in db.search()}
    assert left == {f"t{number:02}": number * 10 for number in range(50) if number % 5}
    assert db.count() == 40


@ATOMIC
def test_of_racing_creators_one_is_told_created(bench: S3Bench) -> None:
    databases = [bench.open() for _ in range(4)]
    for number in range(5):
        id = f"race-{number}"
        answers = together(4, lambda n, id=id: databases[n].create(Record({"by": n}, id=id)))  # type: ignore[misc]
        created = [n for n, answer in enumerate(answers) if answer == id]
        assert len(created) == 1
        assert sum(isinstance(answer, DuplicateRecordError) for answer in answers) == 3
        assert bench.stored(id)["data"] == {"by": created[0]}


@ATOMIC
def test_of_racing_deleters_one_is_told_deleted(bench: S3Bench) -> None:
    databases = [bench.open() for _ in range(3)]
    for number in range(5):
        id = databases[0].create(Record({}, id=f"gone-{number}"))
        answers = together(3, lambda n, id=id: databases[n].delete(id))  # type: ignore[misc]
        assert sorted(answers) == [False, False, True]


@ATOMIC
def test_counting_up_with_versions_loses_no_step(bench: S3Bench) -> None:
    bench.open().create(Record({"n": 0}, id="counter"))
    databases = [bench.connect() for _ in range(3)]

    def work(number: int) -> int:
        db, done = databases[number], 0
        while done < 5:
            version = db.get_version("counter")
            record = db.read("counter")
            assert record is not None
            try:
                done += db.update("counter", Record({"n": record["n"] + 1}), expected_version=version)
            except ConcurrencyError:
                time.sleep(0.01 * number)
        return done

    assert together(3, work) == [5, 5, 5]
    assert bench.stored("counter")["data"] == {"n": 15}


@ATOMIC
def test_racing_updates_are_both_applied_one_after_the_other(bench: S3Bench) -> None:
    bench.open().create(Record({"by": None}, id="x"))
    databases = [bench.connect() for _ in range(3)]
    assert together(3, lambda n: databases[n].update("x", Record({"by": n}))) == [True] * 3
    assert bench.stored("x")["data"]["by"] in (0, 1, 2)
    assert databases[0].read("x") == databases[1].read("x") == databases[2].read("x")


@ATOMIC
def test_racing_upserts_of_a_new_id_make_one_record(bench: S3Bench) -> None:
    databases = [bench.open() for _ in range(3)]
    assert together(3, lambda n: databases[n].upsert("x", Record({"by": n}))) == ["x"] * 3
    assert bench.ids() == ["x"]


# ---------------------------------------------------------------------------------------------- what others write
def test_reads_see_what_others_wrote_at_once_and_counts_soon(bench: S3Bench) -> None:
    mine, other = bench.open(cache_ttl=0.4), bench.connect()
    assert mine.count() == 0
    other.create(Record({"n": 1}, id="x"))
    assert (mine.read("x") or Record())["n"] == 1
    assert len(mine.search()) == 1
    other.update("x", Record({"n": 2}))
    assert (mine.read("x") or Record())["n"] == 2
    assert [record["n"] for record in mine.search()] == [2]
    other.delete("x")
    assert mine.read("x") is None
    assert mine.search() == []


def test_a_process_never_counts_less_than_it_wrote_itself(bench: S3Bench) -> None:
    one, other = bench.open(), bench.open()
    for number in range(5):
        assert one.count() == other.count() == number
        (one, other)[number % 2].create(Record({}))
    assert one.clear() == 5
    assert other.count() == 0


WRITER = """
import json, sys
from dataknobs_data.backends.s3 import AsyncS3Database, S3Database
from dataknobs_data.exceptions import BatchError
from dataknobs_data.records import Record

config, name = json.loads(sys.argv[1]), sys.argv[2]
with S3Database(config) as db:
    print("ready", flush=True)
    sys.stdin.readline()
    try:
        won = db.batch_create(Record({"by": name}, id=f"r{n:02}") for n in range(40))
    except BatchError as error:
        won = list(error.succeeded.values())
    counted = db.count()
print(json.dumps([won, counted]))
"""


def writer(bench: S3Bench, name: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, json.dumps(bench.config()), name],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


@ATOMIC
def test_two_processes_share_one_database(bench: S3Bench) -> None:
    """Each id is created by exactly one of them, and this process sees what they did."""
    db = bench.open(cache_ttl=0.2)
    assert db.count() == 0
    with writer(bench, "a") as a, writer(bench, "b") as b:
        for process in (a, b):
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        (won_a, counted_a), (won_b, counted_b) = (
            json.loads(out.splitlines()[-1]) for out in [p.communicate("go\n")[0] for p in _go(a, b)]
        )
    assert a.returncode == b.returncode == 0
    assert sorted(won_a + won_b) == [f"r{n:02}" for n in range(40)]
    assert max(counted_a, counted_b) == 40
    time.sleep(0.2)
    assert db.count() == 40
    by = Counter(record["by"] for record in db.search())
    assert by == Counter({"a": len(won_a), "b": len(won_b)})
    with pytest.raises(BatchError):
        db.batch_create(Record({}, id=id) for id in won_a + won_b)


def _go(*processes: subprocess.Popen[str]) -> tuple[subprocess.Popen[str], ...]:
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    return processes


def test_tasks_share_one_database_as_threads_do(bench: S3Bench) -> None:
    async def work() -> tuple[int, list[int], dict[str, str]]:
        async with AsyncS3Database(bench.config(max_workers=4)) as db:
            ids = await asyncio.gather(*(db.create(Record({"n": n}, {"team": "a"}, id=f"t{n:02}")) for n in range(40)))
            found = await db.batch_read(ids)
            tags = await db.tags("t00")
            assert tags is not None
            assert db.usage.requests["PutObject"] >= 40
            return await db.count(), [record["n"] for record in found if record], tags

    count, numbers, tags = asyncio.run(work())
    assert count == 40
    assert numbers == list(range(40))
    assert tags["team"] == "a"


def test_a_database_can_be_closed_and_used_again(bench: S3Bench) -> None:
    before = set(threading.enumerate())
    db = S3Database(bench.config())
    id = db.create(Record({"a": 1}))
    db.batch_create(Record({}) for _ in range(5))
    db.close()
    db.close()
    assert not [one for one in threading.enumerate() if one not in before and one.name.startswith("dataknobs")]
    assert db.read(id) is not None
    assert db.count() == 6
    db.close()
