"""Processes that create, update, delete, read, load and compact on the same ids at once, some killed: every answer can be true."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from dataknobs_data.backends.s3 import S3Database
from tests.clocks import later
from tests.races.actor import IDS
from tests.races.histories import UNKNOWN, Checker, Op

ROLES = ("single", "single", "bulk", "compact")
DEADLINE = 6
COMPACTIONS_MAX = 5
ROOT = Path(__file__).parents[2]


def read_history(paths: Sequence[Path]) -> dict[str, list[Op]]:
    """What the processes wrote, by id."""
    ops: dict[str, list[Op]] = defaultdict(list)
    for path in paths:
        calls: dict[int, dict[str, Any]] = {}
        ends: dict[int, dict[str, Any]] = {}
        for text in path.read_text().splitlines():
            try:
                line = json.loads(text)
            except ValueError:
                continue  # it was killed while it wrote this
            if "ops" in line:
                calls[line["call"]] = line
            elif "end" in line:
                ends[line["call"]] = line
        for number, call in calls.items():
            end = ends.get(number)
            for place, op in enumerate(call["ops"]):
                result = end["results"][place] if end else UNKNOWN
                at = end["end"] if end else None
                ops[op["id"]].append(Op(op["kind"], op["arg"], result, call["begin"], at, path.stem))
    return ops


def run(config: dict[str, Any], folder: Path, seed: int, seconds: float, kills: int) -> list[Path]:
    """Lets the processes race; now and then one is killed, and another takes its place."""
    paths: list[Path] = []
    chance = random.Random(seed)
    end = time.monotonic() + seconds

    def begin(role: str) -> subprocess.Popen[bytes]:
        number = len(paths)
        paths.append(folder / f"{role}-{number}.jsonl")
        paths[-1].touch()
        left = max(1.0, end - time.monotonic())
        command = [
            sys.executable,
            "-m",
            "tests.races.actor",
            json.dumps(config),
            str(seed * 100 + number),
            str(left),
            role,
        ]
        return subprocess.Popen([*command, str(paths[-1])], cwd=ROOT)

    running = [(role, begin(role)) for role in ROLES]
    for _ in range(kills):
        time.sleep(seconds / (kills + 1))
        place = chance.randrange(len(running))
        role, process = running[place]
        process.kill()
        process.wait()
        running[place] = (role, begin(role))
    for _, process in running:
        assert process.wait(timeout=seconds + 60) == 0
    return paths


def check(ops: dict[str, list[Op]]) -> None:
    """Raises AssertionError for a record whose history nothing explains."""
    for id, history in ops.items():
        checker = Checker(history)
        if not checker.is_beyond():
            assert (problem := checker.explain()) is None, f"{id}: {problem}"


def races(config: dict[str, Any], folder: Path, seed: int, seconds: float, kills: int) -> None:
    """A race, what everybody sees afterwards, and what compaction makes of it."""
    config = {
        **config,
        "layout": "tiered",
        "pack_threshold": 3,
        "deadline": DEADLINE,
        "timeout": 3,
        "grace": 7,
        "max_workers": 4,
    }
    db = S3Database.from_config(config)
    db.create(db_warm_up())
    paths = run(config, folder, seed, seconds, kills)
    ops = read_history(paths)
    assert sum(map(len, ops.values())) > 20 * seconds, "they did something"
    seen = {id: (record["v"] if record else None) for id, record in zip(IDS, db.batch_read(IDS), strict=True)}
    now = time.monotonic()
    for id in IDS:
        ops[id].append(Op("read", None, seen[id], now, now + 0.001, "afterwards"))
    check(ops)
    if not kills:
        rest(db, seen)


def db_warm_up() -> Any:
    """A record beside the race, so that the store was tried out before it."""
    from dataknobs_data.records import Record

    return Record({"v": "warm"}, id="beside")


def rest(db: S3Database, seen: dict[str, Any]) -> None:
    """Compactions alone bring the store to rest an hour later, and nobody sees a difference."""
    with later("compaction"), later("dropping"):
        for _ in range(COMPACTIONS_MAX):
            left = db.compact(full=True, wait=True).left
            if not left:
                break
    stats = db.stats()
    assert (stats.documents, stats.tombstones) == (0, 0), left
    assert {record.id: record["v"] for record in db.all()} == {
        **{id: value for id, value in seen.items() if value is not None},
        "beside": "warm",
    }


def test_what_racing_processes_are_told_can_all_be_true(s3_config: dict[str, Any], tmp_path: Path) -> None:
    races(s3_config, tmp_path, seed=1, seconds=7, kills=0)


def test_the_same_when_some_are_killed(s3_config: dict[str, Any], tmp_path: Path) -> None:
    races(s3_config, tmp_path, seed=2, seconds=7, kills=3)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(10, 30))
def test_for_longer(s3_config: dict[str, Any], tmp_path: Path, seed: int) -> None:
    races(s3_config, tmp_path, seed=seed, seconds=60, kills=seed % 2 * 10)


# ---------------------------------------------------------------------------------------------- the checker itself
def op(kind: str, arg: Any, result: Any, begin: float, end: float | None) -> Op:
    return Op(kind, arg, result, begin, end)


@pytest.mark.parametrize(
    "history",
    [
        [op("create", "a", "ok", 0, 1), op("read", None, "a", 2, 3)],
        [op("create", "a", "ok", 0, 3), op("read", None, None, 1, 2), op("read", None, "a", 2, 4)],
        [op("create", "a", "ok", 0, 2), op("create", "b", "duplicate", 1, 3), op("read", None, "a", 4, 5)],
        [op("create", "a", "ok", 0, 1), op("delete", None, True, 2, 4), op("delete", None, True, 3, 5)],
        [op("create", "a", "unknown", 0, None), op("read", None, None, 1, 2), op("read", None, "a", 3, 4)],
    ],
)
def test_histories_that_are_linearizable(history: list[Op]) -> None:
    assert Checker(history).explain() is None


@pytest.mark.parametrize(
    "history",
    [
        [op("create", "a", "ok", 0, 1), op("read", None, None, 2, 3)],
        [op("create", "a", "ok", 0, 1), op("create", "b", "ok", 2, 3)],
        [op("create", "a", "ok", 0, 2), op("create", "b", "ok", 1, 3)],
        [op("create", "a", "ok", 0, 1), op("update", "b", True, 2, 3), op("read", None, "a", 4, 5)],
        [op("create", "a", "ok", 0, 1), op("delete", None, True, 2, 3), op("delete", None, True, 4, 5)],
        [op("create", "a", "ok", 0, 1), op("delete", None, True, 2, 3), op("read", None, "a", 4, 5)],
        [op("create", "a", "ok", 0, 1), op("update", "b", False, 2, 3)],
    ],
)
def test_histories_that_are_not(history: list[Op]) -> None:
    assert Checker(history).explain()
