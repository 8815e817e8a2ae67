"""Bulk updates on a real store: their requests, and processes that change the same records at once."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from dataknobs_data.backends.s3 import S3Database
from dataknobs_data.records import Record
from tests.s3_bench import S3Bench

COUNT = 1000
TIERED = {"layout": "tiered", "cache_ttl": 0}


def loaded(bench: S3Bench, count: int) -> list[str]:
    with S3Database(bench.config(**TIERED)) as database:
        return database.batch_create([Record({"n": n, "by": "load"}, id=f"r{n:05}") for n in range(count)])


@pytest.mark.parametrize("verb", ["update", "upsert"])
def test_a_thousand_records_are_changed_by_three_puts(bench: S3Bench, verb: str) -> None:
    ids = loaded(bench, 2 * COUNT)
    with S3Database(bench.config(**TIERED)) as database:
        database.batch_delete([])  # what is done once a process
        with bench.proxy.watch() as seen:
            if verb == "update":
                assert all(database.batch_update([(id, Record({"n": -1})) for id in ids[:COUNT]]))
            else:
                assert database.batch_upsert([Record({"n": -1}, id=id) for id in ids[:COUNT]]) == ids[:COUNT]
        sent = seen.counts()
        assert sent["PutObject"] == 3, "a new pack, what stays of the old one, the commit"
        assert sum(sent.values()) <= 15
        assert sum(record["n"] == -1 for record in database.all()) == COUNT
        assert database.count() == 2 * COUNT


def test_many_who_change_the_same_records(bench: S3Bench) -> None:
    """Nothing is lost, nothing is there twice, and what is acknowledged last by all stands."""
    ids = loaded(bench, 200)
    failures: list[BaseException] = []

    def run(number: int) -> None:
        try:
            with S3Database(bench.config(**TIERED)) as database:
                for turn in range(4):
                    by = f"{number}.{turn}"
                    if number == 0:
                        assert all(database.batch_update([(id, Record({"by": by})) for id in ids]))
                    elif number == 1:
                        database.batch_upsert(
                            [Record({"by": by}, id=id) for id in [*ids[100:], *(f"x{n}" for n in range(50))]]
                        )
                    elif number == 2:
                        for id in ids[turn::20]:
                            assert database.update(id, Record({"by": by}))
                    else:
                        database.compact(full=turn % 2 == 0)
        except BaseException as error:  # noqa: BLE001  raised below
            failures.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not failures
    with S3Database(bench.config(**TIERED)) as database:
        found: dict[str, Any] = {str(record.id): record["by"] for record in database.all()}
        assert sorted(found) == [*ids, *sorted(f"x{n}" for n in range(50))]
        assert database.count() == 250
        assert "load" not in found.values()
        assert {found[f"x{n}"] for n in range(50)} == {"1.3"}
        assert {found[id] for id in ids[:100]} <= {"0.3", *(f"2.{turn}" for turn in range(4))}
        database.compact(full=True)
        assert {str(record.id): record["by"] for record in database.all()} == found
