"""Archived records on real servers: moto archives and restores as AWS does, SeaweedFS only keeps the class's name."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack

import boto3
import moto
import pytest

from dataknobs_data.backends.s3 import AsyncS3Database, S3Database
from dataknobs_data.exceptions import (
    BatchError,
    DatabaseConnectionError,
    IncompatibleStoreError,
    QueryError,
    RecordArchivedError,
)
from dataknobs_data.query import Query
from dataknobs_data.records import Record
from dataknobs_data.s3.archive.states import Restoration, RestoreState
from tests.s3_bench import Places, S3Bench
from tests.servers import S3Server
from tests.unit.s3_fakes import FakeWorld
from tests.wire.proxy import Answer, Lose, WireProxy

on_moto = pytest.mark.parametrize("s3_server", ["moto_server"], indirect=True)
on_seaweed = pytest.mark.parametrize("s3_server", ["seaweed"], indirect=True)


class SlowRestores:
    """Restores of moto's that take until `finish`. https://docs.getmoto.org, "state transitions"."""

    def __init__(self, server: S3Server) -> None:
        self._server = server

    def begin(self, db: S3Database, *ids: str) -> None:
        """Asks for restores and looks at each once, which is what moto counts, then lets nothing go on."""
        _set_transition(self._server, {"progression": "manual", "times": 1})
        assert set(db.restore(ids).waiting) == set(ids)
        assert {one.state for one in db.restore_status(ids)} == {RestoreState.IN_PROGRESS}
        _set_transition(self._server, {"progression": "manual", "times": 10**9})

    def finish(self) -> None:
        """All of them are done."""
        _set_transition(self._server, {"progression": "immediate"})


@pytest.fixture
def slow(s3_server: S3Server) -> Iterator[SlowRestores]:
    """Restores that take a while."""
    made = SlowRestores(s3_server)
    yield made
    made.finish()


def _set_transition(server: S3Server, transition: dict[str, object]) -> None:
    body = json.dumps({"model_name": "s3::keyrestore", "transition": transition}).encode()
    headers = {"Content-Type": "application/json"}
    address = f"{server.endpoint}/moto-api/state-manager/set-transition"
    urllib.request.urlopen(urllib.request.Request(address, data=body, headers=headers, method="POST")).close()


def fill(bench: S3Bench, storage_class: str | None = "GLACIER", *ids: str) -> None:
    with S3Database(bench.config(storage_class=storage_class)) as writer:
        writer.batch_create(Record({"n": number}, {"team": "blue"}, id=id) for number, id in enumerate(ids))


# ---------------------------------------------------------------------------------------------- moto
@on_moto
def test_restore_then_read(bench: S3Bench) -> None:
    fill(bench, "GLACIER", "2023/a", "2024/b", "2024/c")
    fill(bench, "DEEP_ARCHIVE", "deep")
    fill(bench, None, "warm")
    db = bench.connect()
    with pytest.raises(RecordArchivedError, match=r"db\.restore\(id\), or dataknobs-data restore"):
        db.read("2023/a")
    assert [str(one) for one in db.restore_status(["2023/a", "deep", "warm", "no"])] == [
        "2023/a: archived",
        "deep: archived",
        "warm: not archived",
        "no: missing",
    ]
    with pytest.raises(QueryError, match="Expedited retrieval from DEEP_ARCHIVE, where record 'deep' lies"):
        db.restore(["2023/a", "deep"], tier="Expedited")
    before = db.usage
    found = db.restore(["2023/a", "deep", "warm", "no"], days=3)
    assert (found.requested, found.not_archived, found.missing) == (("2023/a", "deep"), ("warm",), ("no",))
    assert db.usage.since(before).requests == {"HeadObject": 4, "HeadBucket": 1, "RestoreObject": 2}
    assert (db.read("2023/a") or Record())["n"] == 0
    assert db.read("deep") is not None
    [status] = db.restore_status("2023/a")
    assert status.state is RestoreState.RESTORED
    assert status.until is not None
    assert status.at is not None
    assert 2.9 < (status.until - status.at).total_seconds() / 86400 <= 3
    assert db.restore("2023/a", days=2).restored == ("2023/a",), "a copy that stays longer is left alone"
    assert db.restore_status("2023/a")[0].until == status.until
    db.restore("2023/a", days=9)
    assert (later := db.restore_status("2023/a")[0].until)
    assert 5.9 < (later - status.until).total_seconds() / 86400 < 6.1


@on_moto
def test_a_query_restores_what_ids_decide(bench: S3Bench) -> None:
    fill(bench, "GLACIER", "2023/a", "2024/b", "2024/c")
    fill(bench, None, "2024/warm")
    db = bench.connect()
    with pytest.raises(QueryError, match="the content of 3 records"):
        db.restore(Query().filter("n", "=", 1))
    assert db.restore(Query().filter("id", "starts_with", "2024/")).requested == ("2024/b", "2024/c")
    assert [record.id for record in db.search(Query().filter("id", "starts_with", "2024/"))] == [
        "2024/b",
        "2024/c",
        "2024/warm",
    ]
    assert db.restore(Query().filter("n", "=", 1).filter("id", "starts_with", "2024/")).restored == ("2024/b",), (
        "what was read is in memory, and decides"
    )


@on_moto
def test_waiting_and_coming_back_later(bench: S3Bench, slow: SlowRestores) -> None:
    fill(bench, "GLACIER", "a", "b")
    world = FakeWorld()
    with S3Database(bench.config(), runtime=world.runtime) as db:
        slow.begin(db, "a", "b")
        with pytest.raises(RecordArchivedError):
            db.read("a")
        before = db.usage
        assert db.restore("a").in_progress == ("a",), "what is under way is not asked for again"
        assert db.usage.since(before).requests == {"HeadObject": 1}
        found = db.restore(["b", "a"], wait=True, timeout=10)
        assert found.waiting == ("b", "a")
        assert world.slept == [1, 2, 4, 3]
        heard: list[Restoration] = []

        def hear(restoration: Restoration) -> None:
            heard.append(restoration)
            if len(heard) == 3:
                slow.finish()

        found = db.restore(found.waiting, wait=True, on_progress=hear)
        assert found.restored == ("b", "a")
        assert [len(one.waiting) for one in heard] == [2, 2, 2, 0]
        assert (db.read("b") or Record())["n"] == 1


@on_moto
def test_asyncio_waits_in_no_thread(bench: S3Bench, slow: SlowRestores, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(bench, "GLACIER", "a", "b")
    pauses: list[float] = []
    sleep = asyncio.sleep

    async def quick(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 2:
            slow.finish()
        await sleep(0)

    async def main() -> None:
        async with AsyncS3Database(bench.config()) as db:
            assert (await db.explain.restore("a")).objects == 1
            planned = await db.restore(["a", "b"], dry_run=True)
            assert planned.requested == ("a", "b")
            await asyncio.to_thread(slow.begin, db.sync, "a", "b")
            found = await db.restore(["a", "b"], wait=True)
            assert found.restored == ("a", "b")
            assert [one.readable for one in await db.restore_status(["a", "b"])] == [True, True]

    monkeypatch.setattr("dataknobs_data.backends.s3_async.asyncio.sleep", quick)
    asyncio.run(main())
    assert pauses == [1.0, 2.0]


@on_moto
def test_a_task_that_is_canceled_while_it_waits_ends_at_once(bench: S3Bench, slow: SlowRestores) -> None:
    fill(bench, "GLACIER", "a")

    async def main() -> None:
        async with AsyncS3Database(bench.config()) as db:
            await asyncio.to_thread(slow.begin, db.sync, "a")
            told = asyncio.Event()
            loop = asyncio.get_running_loop()
            waiting = asyncio.create_task(
                db.restore("a", wait=True, on_progress=lambda heard: loop.call_soon_threadsafe(told.set))
            )
            await told.wait()
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            assert (await db.restore_status("a"))[0].state is RestoreState.IN_PROGRESS

    asyncio.run(asyncio.wait_for(main(), 20))


@on_moto
def test_archived_records_are_reckoned_where_they_are(bench: S3Bench) -> None:
    fill(bench, "GLACIER", "a", "b")
    fill(bench, None, "c")
    db = bench.connect()
    found = db.explain.storage("GLACIER")
    assert (found.objects, found.moved) == (3, 1)
    assert found.dollars_per_month_then > found.dollars_per_month_now
    assert db.explain.storage("GLACIER", Query().filter("id", "=", "a")).moved == 0
    assert bench.connect(storage_class="GLACIER").usage.storage_class == "GLACIER"


# ---------------------------------------------------------------------------------------------- broken in between
@pytest.fixture
def proxied(s3_server: S3Server, s3_places: Places, proxy: WireProxy) -> Iterator[S3Bench]:
    """A bench whose requests pass a proxy."""
    with ExitStack() as ends:
        yield S3Bench(s3_server, *s3_places[s3_server], ends, proxy)
        proxy.reset()


@on_moto
def test_a_lost_answer_is_asked_for_again(proxied: S3Bench) -> None:
    fill(proxied, "GLACIER", "a")
    lost = proxied.proxy.fault(Lose(), operation="RestoreObject")
    with proxied.proxy.watch() as seen:
        assert proxied.connect().restore("a", wait=True).restored == ("a",)
    assert lost.hits == 1
    assert seen.counts()["RestoreObject"] == 2


@on_moto
def test_a_restore_that_somebody_else_began_is_in_progress(proxied: S3Bench) -> None:
    fill(proxied, "GLACIER", "a")
    proxied.proxy.fault(Answer(409, "RestoreAlreadyInProgress"), operation="RestoreObject")
    assert proxied.connect().restore("a").in_progress == ("a",)


@on_moto
@pytest.mark.parametrize(
    ("operation", "permission"), [("RestoreObject", "s3:RestoreObject"), ("HeadObject", "s3:GetObject")]
)
def test_a_missing_permission_is_named(proxied: S3Bench, operation: str, permission: str) -> None:
    fill(proxied, "GLACIER", "a", "b")
    db = proxied.connect()
    proxied.proxy.fault(Answer(403, "AccessDenied"), operation=operation, times=None)
    with pytest.raises(DatabaseConnectionError, match=f"grant this identity {permission}"):
        db.restore(["a", "b"])


@on_moto
def test_a_missing_permission_to_list_is_named(proxied: S3Bench) -> None:
    fill(proxied, "GLACIER", "a")
    db = proxied.connect()
    proxied.proxy.fault(Answer(403, "AccessDenied"), operation="ListObjectsV2", times=None)
    for call in (db.restore, db.restore_status):
        with pytest.raises(DatabaseConnectionError, match="grant this identity s3:ListBucket"):
            call(Query())
    with pytest.raises(DatabaseConnectionError, match="grant this identity s3:ListBucket"):
        db.explain.storage("GLACIER")


@on_moto
def test_one_that_fails_is_named_and_the_others_are_restored(proxied: S3Bench) -> None:
    fill(proxied, "GLACIER", "a", "b", "c")
    busy = Answer(503, "GlacierExpeditedRetrievalNotAvailable")
    proxied.proxy.fault(busy, operation="RestoreObject", key=proxied.key("b"))
    with pytest.raises(BatchError, match=r"no capacity for Expedited.*ask for tier 'Standard'") as caught:
        proxied.connect().restore(["a", "b", "c"], tier="Expedited", wait=True)
    assert caught.value.context["restoration"].restored == ("a", "c")
    assert caught.value.context["failed_ids"] == ["b"]


# ---------------------------------------------------------------------------------------------- others
@on_seaweed
def test_a_store_that_restores_nothing_is_said(bench: S3Bench) -> None:
    fill(bench, "GLACIER", "a", "b")
    db = bench.connect()
    for which in ("a", ["a", "b"]):
        with pytest.raises(IncompatibleStoreError, match=r"MethodNotAllowed.*try read\(id\)"):
            db.restore(which)
    assert db.restore(["a"], dry_run=True).requested == ("a",)
    assert db.read("a") is not None


@on_seaweed
def test_tags_of_an_archived_record_are_told(proxied: S3Bench) -> None:
    """moto 5.2 refuses them too, AWS does not; here somebody else does what AWS does."""
    fill(proxied, "GLACIER", "a")
    db = proxied.connect()
    proxied.proxy.fault(Answer(403, "InvalidObjectState"), operation="GetObject", times=None)
    with pytest.raises(RecordArchivedError):
        db.read("a")
    tags = db.tags("a")
    assert tags is not None
    assert tags["team"] == "blue"
    assert (tags.skipped, tags.skipped_known) == ({}, False)
    proxied.proxy.reset()
    fresh = db.tags("a")
    assert fresh is not None
    assert fresh.skipped_known


def test_inside_mock_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    with moto.mock_aws():
        boto3.client("s3", region_name="us-east-1").create_bucket(Bucket="mocked")
        with S3Database({"bucket": "mocked", "storage_class": "DEEP_ARCHIVE"}) as db:
            db.create(Record({"n": 1}, id="x"))
        with S3Database({"bucket": "mocked"}) as db:
            assert db.restore(Query(), wait=True).restored == ("x",)
            assert (db.read("x") or Record())["n"] == 1
