"""A compaction that takes longer than the grace period, beside another: what was put back in front of a row stays what counts."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from dataknobs_data.backends.s3 import S3Database
from dataknobs_data.exceptions import ConcurrencyError
from dataknobs_data.records import Record
from dataknobs_data.s3.steps import current_step
from tests.unit.log_fakes import KEYS
from tests.unit.tiered_fakes import Processes, values

WAIT_SECONDS = 30
IDS = ["a", "b", "c"]


class Gates:
    """Threads wait before steps of theirs, or before the upload of a pack, until they are let through."""

    def __init__(self, processes: Processes) -> None:
        self._arrived: dict[tuple[str, str], threading.Event] = {}
        self._open: dict[tuple[str, str], threading.Event] = {}
        processes.store.meanwhile = self._comes

    def close(self, who: str, step: str) -> None:
        """Whoever that is waits there, the next time."""
        self._arrived[who, step], self._open[who, step] = threading.Event(), threading.Event()

    def _comes(self, operation: str, key: str) -> None:
        step = "upload" if operation == "PutObject" and KEYS.table_path(key) else current_step()
        gate = threading.current_thread().name.removesuffix("_0"), step or ""
        if gate in self._open:
            self._arrived[gate].set()
            assert self._open[gate].wait(WAIT_SECONDS)

    def wait(self, who: str, step: str, doing: Future[object]) -> None:
        """Until it has come there, or has ended."""
        doing.add_done_callback(lambda done: self._arrived[who, step].set())
        assert self._arrived[who, step].wait(WAIT_SECONDS)

    def let(self, who: str, step: str) -> None:
        """Lets it through."""
        self._open.pop((who, step)).set()


def change(database: S3Database, version: str | None) -> None:
    database.update("a", Record({"v": "refused"}), expected_version=version)


def test_what_another_compaction_has_read_before_it_was_put_back_does_not_come_back() -> None:
    processes = Processes()
    with processes.database() as database:
        database.batch_create([Record({"v": "old"}, id=id) for id in IDS])
        version = database.get_version("a")
    ours, slow, quick = (processes.database() for _ in range(3))
    gates = Gates(processes)
    gates.close("change", "change.fresh")
    gates.close("change", "change.verify")
    gates.close("slow", "upload")
    gates.close("quick", "compact.drop")
    pools = {name: ThreadPoolExecutor(1, thread_name_prefix=name) for name in ("change", "slow", "quick")}
    changing = pools["change"].submit(change, ours, version)
    gates.wait("change", "change.fresh", changing)
    with processes.database() as database:
        assert all(database.batch_update([(id, Record({"v": "bulk"})) for id in IDS]))
    gates.let("change", "change.fresh")
    gates.wait("change", "change.verify", changing)

    compacting = pools["slow"].submit(slow.compact, full=True)
    gates.wait("slow", "upload", compacting)
    gates.let("change", "change.verify")
    with pytest.raises(ConcurrencyError):
        changing.result(WAIT_SECONDS)
    processes.world.seconds += 1000
    also = pools["quick"].submit(quick.compact)
    gates.wait("quick", "compact.drop", also)
    gates.let("slow", "upload")
    compacting.result(WAIT_SECONDS)
    gates.let("quick", "compact.drop")
    also.result(WAIT_SECONDS)

    for _ in range(3):
        with processes.database() as database:
            assert {fields["v"] for fields in values(database).values()} == {"bulk"}
            processes.world.seconds += 1000
            database.compact(full=True)
    assert not processes.hot()
    for pool in pools.values():
        pool.shutdown()
    processes.close()
