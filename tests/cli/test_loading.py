"""`create` on a store that makes all records visible in one step, in the end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dataknobs_data.backends.memory import MemoryEngine
from dataknobs_data.documents import Verb
from dataknobs_data.engine import Bulk
from tests.cli.conftest import Cli
from tests.unit.late import LateBulk

Bulks = list[tuple[Verb, LateBulk]]


def settle_late(monkeypatch: pytest.MonkeyPatch, **faults: Any) -> Bulks:
    """Every file and memory database from now on; the bulks that they are asked for."""
    made: Bulks = []

    def bulk(self: MemoryEngine, verb: Verb) -> Bulk:
        made.append((verb, LateBulk(self, **faults)))
        return made[-1][1]

    monkeypatch.setattr(MemoryEngine, "bulk", bulk)
    return made


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A new, empty database."""
    return f"file:{tmp_path / 'x.jsonl'}"


def lines_of(count: int) -> list[str]:
    """Lines 0000, 0001, …"""
    return [json.dumps({"id": f"{n:04}", "n": n}) for n in range(count)]


def test_all_lines_are_one_bulk_and_their_ids_come_in_order(
    cli: Cli, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = settle_late(monkeypatch)
    ended = cli("create", url, stdin="\n".join(lines_of(2500)))
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.split() == [f"{n:04}" for n in range(2500)]
    assert [(verb, bulk.adds, bulk.ended) for verb, bulk in made] == [(Verb.CREATE, 3, ["finished"])]


def test_failures_are_named_by_line_however_late_they_are_known(
    cli: Cli, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle_late(monkeypatch)
    lines = lines_of(2300)
    lines[3], lines[1100], lines[1200] = "oops", "", "[]"
    lines[1500] = '{"id": "e", "early": 1}'
    lines[1150] = lines[2200] = lines[0]
    ended = cli("create", url, stdin="\n".join(lines))
    assert ended.code == 4
    assert [line.split(":")[1] for line in ended.err.splitlines()[:-1]] == [
        " line 4",
        " line 1,201",
        " line 1,501",
        " line 2,201",
        " line 1,151",
    ]
    assert ended.err.splitlines()[-1] == "2,294 written, 5 failed"
    assert len(ended.out.split()) == 2294
    assert cli("count", url).out == "2294\n"


@pytest.mark.parametrize(("policy", "out"), [("skip", "b\n"), ("upsert", "a\nb\n")])
def test_ids_that_are_taken(cli: Cli, url: str, monkeypatch: pytest.MonkeyPatch, policy: str, out: str) -> None:
    cli("create", url, stdin='{"id": "a"}')
    settle_late(monkeypatch)
    ended = cli("create", url, "--on-conflict", policy, stdin='{"id": "a"}\n{"id": "b"}')
    assert (ended.code, ended.out) == (0, out)


@pytest.mark.parametrize(
    ("faults", "where"),
    [({"fail_add": 2}, "in the batch from line 1,001 on"), ({"fail_finish": True}, "at the end of the input")],
)
def test_a_store_that_fails_says_that_nothing_is_written(
    cli: Cli, url: str, monkeypatch: pytest.MonkeyPatch, faults: dict[str, Any], where: str
) -> None:
    made = settle_late(monkeypatch, **faults)
    ended = cli("create", url, stdin="\n".join(lines_of(2500)))
    assert (ended.code, ended.out) == (3, "")
    assert ended.err.splitlines() == [f"error: stopped {where}; 0 records are written", "error: the commit failed"]
    assert made[0][1].ended == ["abandoned"]
    assert cli("count", url).out == "0\n"


def test_ctrl_c_gives_up_what_is_on_its_way(cli: Cli, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = settle_late(monkeypatch)
    add = LateBulk.add

    def interrupted(self: LateBulk, changes: Any) -> Any:
        if self.adds:
            raise KeyboardInterrupt
        return add(self, changes)

    monkeypatch.setattr(LateBulk, "add", interrupted)
    ended = cli("create", url, stdin="\n".join(lines_of(2500)))
    assert ended.code == 130
    assert ended.err.splitlines()[0] == "stopped: 0 written, 2,000 under way; some of those under way may be in"
    assert made[0][1].ended == ["abandoned"]
    assert cli("count", url).out == "0\n"
