"""Reading at a read endpoint: what goes there and what to the store, and that no promise is lost with it.

`edge` stands in for CloudFront (tests/edge_server.py); the requests to the store are seen by the proxy before it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from typing import Any

import moto
import pytest

from dataknobs_data.backends.s3 import AsyncS3Database, S3Database
from dataknobs_data.exceptions import (
    ConcurrencyError,
    DatabaseConnectionError,
    DataFormatError,
    DuplicateRecordError,
)
from dataknobs_data.query import Query
from dataknobs_data.records import Record
from dataknobs_data.s3 import edge as edge_module
from dataknobs_data.s3.stores import web
from tests.edge_server import AILMENTS, EdgeServer
from tests.s3_bench import S3Bench, sent
from tests.wire.faults import Answer, Lose


@pytest.fixture
def edge(bench: S3Bench) -> Iterator[EdgeServer]:
    """The stand-in, with copies that never grow too old."""
    with EdgeServer(bench.client, bench.bucket) as running:
        yield running


@pytest.fixture
def writer(bench: S3Bench) -> S3Database:
    """Somebody else, to our process: another address, so another memory of what was written."""
    return bench.past()


@pytest.fixture
def reader(bench: S3Bench, edge: EdgeServer) -> S3Database:
    """A database that reads at the edge."""
    return bench.connect(read_endpoint=edge.url)


def n(record: Record | None) -> Any:
    """The one field of the tests' records."""
    return record and record["n"]


def warm(edge: EdgeServer, bench: S3Bench, *ids: str) -> None:
    """Puts copies of these records at the edge, as other readers would."""
    for id in ids:
        edge.copy(f"/{bench.key(id)}")


# ---------------------------------------------------------------------------------------------- what goes where
def test_reads_go_to_the_edge_and_nothing_else_does(
    bench: S3Bench, edge: EdgeServer, writer: S3Database, reader: S3Database
) -> None:
    writer.batch_create([Record({"n": i}, id=f"r{i}") for i in range(3)])
    before = reader.usage
    with bench.proxy.watch() as seen:
        assert n(reader.read("r0")) == 0
        assert [n(found) for found in reader.batch_read(["r2", "r1"])] == [2, 1]
    assert sent(seen) == {}
    usage = reader.usage.since(before)
    assert usage.requests == {"EdgeGet": 3}
    assert usage.dollars == 0
    assert usage.bytes_received > 300
    asked = len(edge.paths)
    assert reader.exists("r0")
    assert reader.count() == 3
    assert list(reader.list_ids()) == ["r0", "r1", "r2"]
    assert reader.tags("r0")
    assert reader.get_version("r0")
    assert reader.update("r1", Record({"n": 11}))
    assert reader.delete("r2")
    assert len(edge.paths) == asked


def test_what_is_in_memory_costs_a_304(edge: EdgeServer, writer: S3Database, reader: S3Database) -> None:
    writer.create(Record({"n": 1}, id="a"))
    assert n(reader.read("a")) == 1
    received = reader.usage.bytes_received
    assert [n(reader.read("a")) for _ in range(2)] == [1, 1]
    assert edge.statuses == {200: 1, 304: 2}
    assert reader.usage.bytes_received == received
    assert reader.usage.requests["EdgeGet"] == 3


@pytest.mark.parametrize("id", ["2024/05/01", "a b+c;d?e=f&g#h", "100%", "%41", "ü/日本/😀", "a//b", "../up", "~'()*!"])
def test_odd_ids(edge: EdgeServer, writer: S3Database, reader: S3Database, id: str) -> None:
    writer.create(Record({"n": 1}, id=id))
    before = reader.connect().usage
    assert n(reader.read(id)) == 1
    assert edge.statuses == {200: 1}
    assert reader.usage.since(before).requests == {"EdgeGet": 1}


def test_an_endpoint_may_have_a_path(bench: S3Bench, edge: EdgeServer, writer: S3Database) -> None:
    writer.create(Record({"n": 1}, id="a"))
    reader = bench.connect(read_endpoint=f"{edge.url}/records/v1/")
    assert n(reader.read("a")) == 1  # the stand-in has no such path: the store is asked
    assert edge.paths == [f"/records/v1/{bench.key('a')}"]


def test_asyncio_reads_there_too(bench: S3Bench, edge: EdgeServer, writer: S3Database) -> None:
    writer.create(Record({"n": 1}, id="a"))

    async def read() -> Any:
        async with AsyncS3Database(bench.config(read_endpoint=edge.url)) as db:
            return n(await db.read("a")), db.usage.requests["EdgeGet"]

    assert asyncio.run(read()) == (1, 1)


def test_at_most_so_many_are_in_flight(bench: S3Bench, edge: EdgeServer, writer: S3Database) -> None:
    writer.batch_create([Record({"n": i}, id=f"r{i}") for i in range(12)])
    edge.delay_seconds = 0.02
    with bench.connect(read_endpoint=edge.url, max_workers=3) as reader:
        assert [n(found) for found in reader.batch_read([f"r{i}" for i in range(12)])] == list(range(12))
    assert edge.max_in_flight == 3


# ---------------------------------------------------------------------------------------------- how old it may be
def test_a_read_may_be_as_old_as_the_copy_there(edge: EdgeServer, writer: S3Database, reader: S3Database) -> None:
    """What the user chose; the other side of every test below."""
    writer.create(Record({"n": 1}, id="a"))
    assert n(reader.read("a")) == 1
    writer.update("a", Record({"n": 2}))
    assert n(reader.read("a")) == 1
    edge.forget()
    assert n(reader.read("a")) == 2


def test_never_older_than_this_processs_own_writes(
    bench: S3Bench, edge: EdgeServer, writer: S3Database, reader: S3Database
) -> None:
    ids = ["updated", "upserted", "deleted", "removed-1", "removed-2", "elsewhere"]
    writer.batch_create([Record({"n": 1}, id=id) for id in ids])
    warm(edge, bench, *ids, "created")
    assert [n(found) for found in reader.batch_read(ids)] == [1] * 6
    reader.create(Record({"n": 2}, id="created"))
    reader.update("updated", Record({"n": 2}))
    reader.upsert("upserted", Record({"n": 2}))
    reader.delete("deleted")
    reader.batch_delete(["removed-1", "removed-2"])
    bench.connect(cache_bytes=0).update("elsewhere", Record({"n": 2}))  # another database object of this process
    expected = [2, 2, None, None, None, 2, 2]
    assert [n(found) for found in reader.batch_read([*ids, "created"])] == expected
    with bench.connect(read_endpoint=edge.url, cache_bytes=0) as fresh:
        assert [n(found) for found in fresh.batch_read([*ids, "created"])] == expected


def test_never_older_than_own_writes_when_their_answers_were_lost(
    bench: S3Bench, edge: EdgeServer, writer: S3Database, reader: S3Database
) -> None:
    writer.create(Record({"n": 1}, id="a"))
    warm(edge, bench, "a")
    bench.proxy.fault(Lose(), operation="PutObject", key=bench.key("a"))
    assert reader.update("a", Record({"n": 2}))
    assert n(reader.read("a")) == 2


def test_never_older_than_a_write_before_the_database_was_opened(
    bench: S3Bench, edge: EdgeServer, writer: S3Database
) -> None:
    with bench.connect() as first:
        first.create(Record({"n": 1}, id="a"))
        warm(edge, bench, "a")
        first.update("a", Record({"n": 2}))
    assert n(bench.connect(read_endpoint=edge.url).read("a")) == 2


def test_of_an_older_and_a_newer_copy_the_store_decides(
    edge: EdgeServer, writer: S3Database, reader: S3Database
) -> None:
    """Two places of an edge may have different copies: time does not run backwards all the same."""
    writer.create(Record({"n": 1}, id="a"))
    assert n(reader.read("a")) == 1
    old = dict(edge.copies)
    writer.update("a", Record({"n": 2}))
    edge.forget()
    assert n(reader.read("a")) == 2
    edge.copies.update(old)
    assert n(reader.read("a")) == 2


def test_a_version_and_what_is_read_after_it_belong_together(
    bench: S3Bench, edge: EdgeServer, writer: S3Database
) -> None:
    """Else `get_version`, `read`, `update(expected_version=…)` would undo what somebody wrote in between."""
    writer.create(Record({"n": 1}, id="a"))
    warm(edge, bench, "a")
    writer.update("a", Record({"n": 2}))
    with bench.connect(read_endpoint=edge.url, cache_bytes=0) as reader:
        assert n(reader.read("a")) == 1
        version = reader.get_version("a")
        assert n(reader.read("a")) == 2
        assert reader.update("a", Record({"n": 3}), expected_version=version)


def test_so_do_a_history_and_what_is_read_after_it(bench: S3Bench, edge: EdgeServer, writer: S3Database) -> None:
    writer.create(Record({"n": 1}, id="a"))
    warm(edge, bench, "a")
    writer.update("a", Record({"n": 2}))
    with bench.connect(read_endpoint=edge.url, cache_bytes=0) as reader:
        assert n(reader.read("a")) == 1
        assert reader.history("a")
        assert n(reader.read("a")) == 2


# ---------------------------------------------------------------------------------------------- searches
def test_searches_are_exact(bench: S3Bench, edge: EdgeServer, writer: S3Database, reader: S3Database) -> None:
    writer.batch_create([Record({"n": i}, id=f"r{i}") for i in range(5)])
    warm(edge, bench, *(f"r{i}" for i in range(5)), "r9")
    writer.update("r1", Record({"n": 100}))
    writer.delete("r2")
    writer.create(Record({"n": 9}, id="r9"))
    before = reader.usage
    assert [n(found) for found in reader.search(Query())] == [0, 100, 3, 4, 9]
    requests = reader.usage.since(before).requests
    assert requests == {"ListObjectsV2": 1, "EdgeGet": 5, "GetObject": 2}
    assert [n(found) for found in reader.search(Query().filter("id", "in", ["r1", "r2", "r3"]))] == [100, 3]
    assert [n(found) for found in reader.stream_read(Query().filter("n", ">", 50))] == [100]


def test_what_this_process_loaded_comes_from_the_edge_once_it_is_listed(bench: S3Bench, edge: EdgeServer) -> None:
    bench.connect().batch_create([Record({"n": i}, id=f"r{i}") for i in range(5)])
    with bench.connect(read_endpoint=edge.url) as reader:
        before = reader.usage
        assert [n(found) for found in reader.search(Query())] == list(range(5))
        assert reader.usage.since(before).requests == {"ListObjectsV2": 1, "EdgeGet": 5}


# ---------------------------------------------------------------------------------------------- writes
def test_no_write_rests_on_the_edge(bench: S3Bench, edge: EdgeServer, writer: S3Database, reader: S3Database) -> None:
    writer.create(Record({"n": 1}, id="a"))
    assert n(reader.read("a")) == 1
    old = writer.get_version("a")
    writer.update("a", Record({"n": 2}, metadata={"created_at": "2020-01-01T00:00:00+00:00"}))
    new = writer.get_version("a")
    for write in (
        lambda: reader.update("a", Record({"n": 3}), expected_version=old),
        lambda: reader.upsert("a", Record({"n": 3}), expected_version=old),
        lambda: reader.delete("a", expected_version=old),
    ):
        with pytest.raises(ConcurrencyError):
            write()
    with pytest.raises(DuplicateRecordError):
        reader.create(Record({"n": 3}, id="a"))
    assert bench.stored("a")["data"] == {"n": 2}
    assert reader.update("a", Record({"n": 3}), expected_version=new)
    assert bench.stored("a")["data"] == {"n": 3}
    assert n(reader.read("a")) == 3


def test_an_update_derived_from_an_old_copy_looks_again(
    bench: S3Bench, edge: EdgeServer, writer: S3Database, reader: S3Database
) -> None:
    writer.create(Record({"n": 1}, id="a"))
    assert n(reader.read("a")) == 1
    writer.delete("a")
    writer.create(Record({"n": 2}, id="a"))
    born = bench.stored("a")["born"]
    assert reader.update("a", Record({"n": 3}))
    assert (bench.stored("a")["data"], bench.stored("a")["born"]) == ({"n": 3}, born)
    writer.delete("a")
    assert not reader.update("a", Record({"n": 4}))


# ---------------------------------------------------------------------------------------------- when it goes wrong
@pytest.mark.parametrize("ailment", AILMENTS)
def test_whatever_is_wrong_with_it_the_store_is_asked(
    bench: S3Bench,
    edge: EdgeServer,
    writer: S3Database,
    reader: S3Database,
    ailment: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(edge_module, "REST_SECONDS", 0.0)
    writer.batch_create([Record({"n": i}, id=f"r{i}") for i in range(3)])
    edge.ailment = ailment
    with caplog.at_level(logging.WARNING, "dataknobs_data.s3"):
        assert n(reader.read("r0")) == 0
        assert [n(found) for found in reader.batch_read(["r1", "nobody", "r0"])] == [1, None, 0]
        assert [n(found) for found in reader.search(Query())] == [0, 1, 2]
    assert set(edge.paths) >= {f"/{bench.key('r0')}", f"/{bench.key('r1')}", f"/{bench.key('nobody')}"}
    assert "/elsewhere" not in edge.paths, "nobody is sent elsewhere"
    assert ["read_endpoint" in message for message in caplog.messages] == [True], "it is said, once"
    edge.ailment = None
    assert n(reader.read("r2")) == 2


def test_an_edge_that_is_not_there_is_left_alone_for_a_while(bench: S3Bench, writer: S3Database) -> None:
    writer.create(Record({"n": 1}, id="a"))
    with EdgeServer(bench.client, bench.bucket) as gone:
        url = gone.url
    with bench.connect(read_endpoint=url) as reader:
        assert [n(reader.read("a")) for _ in range(5)] == [1] * 5
        assert reader.usage.requests["EdgeGet"] == 2


@pytest.mark.parametrize("broken", ["certificate", "proxy"])
def test_an_edge_that_there_is_no_safe_way_to_is_none(
    bench: S3Bench, edge: EdgeServer, writer: S3Database, broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer.create(Record({"n": 1}, id="a"))
    url = edge.url.replace("http:", "https:")  # it speaks no TLS
    if broken == "proxy":
        monkeypatch.setattr(web, "get_environ_proxies", lambda url: {"http": "http://127.0.0.1:9"})
        url = edge.url
    with bench.connect(read_endpoint=url) as reader:
        assert [n(reader.read("a")) for _ in range(3)] == [1] * 3
        assert reader.usage.requests["EdgeGet"] == 2


def test_an_edge_that_does_not_answer_is_not_waited_for(
    bench: S3Bench, edge: EdgeServer, writer: S3Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web, "READ_SECONDS_MAX", 0.05)
    writer.create(Record({"n": 1}, id="a"))
    edge.delay_seconds = 0.5
    with bench.connect(read_endpoint=edge.url) as reader:
        assert [n(reader.read("a")) for _ in range(4)] == [1] * 4
        assert reader.usage.requests["EdgeGet"] == 2


def test_absence_is_the_stores_to_say(bench: S3Bench, edge: EdgeServer, writer: S3Database, reader: S3Database) -> None:
    warm(edge, bench, "a")
    assert reader.read("a") is None
    writer.create(Record({"n": 1}, id="a"))  # the edge still has its 404
    assert n(reader.read("a")) == 1
    assert edge.statuses[404] == 2


def test_a_failure_is_no_empty_answer(bench: S3Bench, edge: EdgeServer, writer: S3Database, reader: S3Database) -> None:
    writer.create(Record({"n": 1}, id="a"))  # of a record that is not there a 403 may mean just that
    reader.connect()
    edge.ailment = "gone"
    bench.proxy.fault(Answer(403, "AccessDenied"), operation="GetObject", times=None)
    with pytest.raises(DatabaseConnectionError, match="access denied"):
        reader.read("a")


def test_a_damaged_object_is_still_said_to_be_damaged(bench: S3Bench, edge: EdgeServer, reader: S3Database) -> None:
    bench.put("a", b"{")
    with pytest.raises(DataFormatError):
        reader.read("a")


def test_a_bare_documents_times_are_those_of_its_object(
    bench: S3Bench, edge: EdgeServer, writer: S3Database, reader: S3Database
) -> None:
    bench.put("a", {"data": {"n": 1}})
    mine, theirs = reader.read("a"), writer.read("a")
    assert edge.statuses == {200: 1}
    assert mine is not None
    assert theirs is not None
    assert mine.metadata == theirs.metadata


def test_inside_mock_aws_no_edge_is_asked() -> None:
    """It would be a real one, beside a store that is none."""
    with moto.mock_aws():
        aws = {"bucket": "mocked", "region": "us-east-1", "access_key_id": "test", "secret_access_key": "test"}
        with S3Database({**aws, "create_bucket": True, "read_endpoint": "http://127.0.0.1:9"}) as db:
            assert db.read("nobody") is None
            assert "EdgeGet" not in db.usage.requests
