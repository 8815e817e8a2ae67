"""The proxy itself: what passes is unchanged and named right, and every fault does what it says."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import obstore
import pytest
from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError, ResponseStreamingError
from obstore.store import S3Store

from tests.servers import S3Server, new_bucket_name, open_client
from tests.wire.operations import operation_of
from tests.wire.proxy import (
    Answer,
    Delay,
    DelayAnswer,
    Hang,
    Kill,
    Lose,
    Refuse,
    Truncate,
    WireProxy,
)

if TYPE_CHECKING:
    from obstore.store import RetryConfig

PART_BYTES = 5 * 1024 * 1024
RETRY_NEVER: RetryConfig = {"max_retries": 0, "retry_timeout": timedelta(seconds=5)}


@pytest.fixture
def bucket(s3_server: S3Server) -> str:
    name = new_bucket_name()
    s3_server.create_bucket(name)
    return name


@pytest.fixture
def client(s3_server: S3Server, proxy: WireProxy) -> Iterator[Any]:
    """boto3 through the proxy, without retries."""
    with open_client(s3_server, proxy.endpoint) as through:
        yield through


@pytest.fixture
def store(s3_server: S3Server, proxy: WireProxy, bucket: str) -> S3Store:
    """obstore through the proxy, without retries."""
    return S3Store(
        bucket,
        endpoint=proxy.endpoint,
        access_key_id=s3_server.access_key,
        secret_access_key=s3_server.secret_key,
        region=s3_server.region,
        client_options={"allow_http": True, "timeout": "20s"},
        retry_config=RETRY_NEVER,
    )


# ---------------------------------------------------------------- what passes


@pytest.mark.parametrize(
    ("method", "key", "query", "headers", "expected"),
    [
        ("GET", "", "", {}, "ListObjects"),
        ("GET", "", "list-type=2", {}, "ListObjectsV2"),
        ("GET", "", "versions", {}, "ListObjectVersions"),
        ("GET", "", "uploads", {}, "ListMultipartUploads"),
        ("GET", "", "location", {}, "GetBucketLocation"),
        ("PUT", "", "lifecycle", {}, "PutBucketLifecycleConfiguration"),
        ("PATCH", "", "lifecycle", {}, "Other"),
        ("PUT", "", "", {}, "CreateBucket"),
        ("HEAD", "", "", {}, "HeadBucket"),
        ("DELETE", "", "", {}, "DeleteBucket"),
        ("POST", "", "delete", {}, "DeleteObjects"),
        ("POST", "", "", {}, "Other"),
        ("GET", "k", "versionId=1", {}, "GetObject"),
        ("HEAD", "k", "", {}, "HeadObject"),
        ("PUT", "k", "", {}, "PutObject"),
        ("PUT", "k", "", {"x-amz-copy-source": "b/k"}, "CopyObject"),
        ("DELETE", "k", "", {}, "DeleteObject"),
        ("GET", "k", "tagging", {}, "GetObjectTagging"),
        ("PUT", "k", "tagging", {}, "PutObjectTagging"),
        ("DELETE", "k", "tagging", {}, "DeleteObjectTagging"),
        ("POST", "k", "uploads", {}, "CreateMultipartUpload"),
        ("PUT", "k", "partNumber=1&uploadId=u", {}, "UploadPart"),
        ("PUT", "k", "partNumber=1&uploadId=u", {"x-amz-copy-source": "b/k"}, "UploadPartCopy"),
        ("POST", "k", "uploadId=u", {}, "CompleteMultipartUpload"),
        ("DELETE", "k", "uploadId=u", {}, "AbortMultipartUpload"),
        ("GET", "k", "uploadId=u", {}, "ListParts"),
        ("POST", "k", "restore", {}, "RestoreObject"),
        ("POST", "k", "", {}, "Other"),
        ("PATCH", "k", "", {}, "Other"),
    ],
)
def test_operation_names(method: str, key: str, query: str, headers: dict[str, str], expected: str) -> None:
    pairs = {name: value for name, _, value in (part.partition("=") for part in query.split("&") if part)}
    assert operation_of(method, "bucket", key, pairs, headers) == expected
    assert operation_of("GET", "", "", {}, {}) == "ListBuckets"


def test_boto3_passes_and_is_named(client: Any, bucket: str, proxy: WireProxy) -> None:
    key = "a b/ü+%2F.json"
    with proxy.watch() as seen:
        client.put_object(Bucket=bucket, Key=key, Body=b"hello", Tagging="a=1")
        assert client.get_object(Bucket=bucket, Key=key)["Body"].read() == b"hello"
        etag = client.head_object(Bucket=bucket, Key=key)["ETag"]
        with pytest.raises(ClientError, match="304"):
            client.get_object(Bucket=bucket, Key=key, IfNoneMatch=etag)
        assert client.get_object_tagging(Bucket=bucket, Key=key)["TagSet"] == [{"Key": "a", "Value": "1"}]
        assert [item["Key"] for item in client.list_objects_v2(Bucket=bucket)["Contents"]] == [key]
        client.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": key})
        client.delete_object(Bucket=bucket, Key=key)
        client.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "copy"}]})
        client.head_bucket(Bucket=bucket)
    client.list_buckets()

    assert seen.counts() == {
        **dict.fromkeys(("PutObject", "HeadObject", "GetObjectTagging", "ListObjectsV2", "CopyObject"), 1),
        **dict.fromkeys(("DeleteObject", "DeleteObjects", "HeadBucket"), 1),
        "GetObject": 2,
    }
    assert proxy.counts() == seen.counts() + Counter(["ListBuckets"])
    put, get, head, unchanged, *_ = seen.requests
    assert (put.method, put.bucket, put.key, put.body_bytes, put.status) == ("PUT", bucket, key, 5, 200)
    assert put.headers["x-amz-tagging"] == "a=1"
    assert (get.response_bytes, head.response_bytes, unchanged.status) == (5, 0, 304)
    assert [request.index for request in proxy.requests] == list(range(11))
    assert all(request.ended is not None and request.ended >= request.started for request in proxy.requests)
    assert seen.max_in_flight == 1


def test_boto3_asking_before_it_sends(client: Any, bucket: str, proxy: WireProxy) -> None:
    body = os.urandom(3_000_000)
    client.put_object(Bucket=bucket, Key="big", Body=body)
    with pytest.raises(ClientError, match="PreconditionFailed"):
        client.put_object(Bucket=bucket, Key="big", Body=b"x" * 3_000_000, IfNoneMatch="*")
    assert client.get_object(Bucket=bucket, Key="big")["Body"].read() == body
    assert proxy.requests[0].headers["expect"] == "100-continue"
    assert [request.status for request in proxy.requests] == [200, 412, 200]


def test_obstore_passes(store: S3Store, proxy: WireProxy) -> None:
    body = os.urandom(3 * PART_BYTES)
    obstore.put(store, "small", b"x", mode="create", use_multipart=False)
    obstore.put(store, "large", body, use_multipart=True, chunk_size=PART_BYTES)
    assert bytes(obstore.get(store, "large").bytes()) == body
    assert bytes(obstore.get_range(store, "large", start=10, end=30)) == body[10:30]
    assert sorted(item["path"] for page in obstore.list(store) for item in page) == ["large", "small"]
    obstore.delete(store, ["small", "large"])
    assert proxy.counts() == {
        **dict.fromkeys(("PutObject", "CreateMultipartUpload", "CompleteMultipartUpload", "ListObjectsV2"), 1),
        **dict.fromkeys(("DeleteObjects",), 1),
        "UploadPart": 3,
        "GetObject": 2,
    }
    assert all(request.status in (200, 204, 206) for request in proxy.requests)


def test_megabytes_pass_in_pieces(client: Any, bucket: str, proxy: WireProxy) -> None:
    body = os.urandom(1_000_000) * 30
    client.put_object(Bucket=bucket, Key="huge", Body=body)
    assert client.get_object(Bucket=bucket, Key="huge")["Body"].read() == body
    assert (proxy.requests[0].body_bytes, proxy.requests[1].response_bytes) == (len(body), len(body))


def test_requests_in_flight_are_counted(store: S3Store, proxy: WireProxy) -> None:
    proxy.fault(Delay(0.05), times=None)
    for workers in (1, 4):
        with proxy.watch() as seen, ThreadPoolExecutor(workers) as pool:
            list(pool.map(lambda number: obstore.put(store, f"key-{number}", b"x"), range(12)))
        assert seen.max_in_flight == workers
        assert seen.counts() == {"PutObject": 12}
    assert proxy.max_in_flight == 4


# ---------------------------------------------------------------- bytes on the wire


@contextmanager
def scripted_store(*answers: bytes, close_after_each: bool = False) -> Iterator[tuple[int, list[bytes]]]:
    """A store that reads one request (up to a final b'END'), says the next answer, and remembers what it got."""
    received: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))
    remaining = iter(answers)

    def serve() -> None:
        while True:
            connection, _ = listener.accept()
            with connection:
                data = b""
                while piece := connection.recv(65_536):
                    data += piece
                    if data.endswith((b"END", b"END\r\n0\r\n\r\n", b"BODYLESS\r\n\r\n")):
                        received.append(data)
                        data = b""
                        connection.sendall(next(remaining))
                        if close_after_each:
                            break
            if len(received) == len(answers):
                return

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield listener.getsockname()[1], received
    thread.join(10)
    assert not thread.is_alive(), f"the store was asked {len(received)} of {len(answers)} times"
    listener.close()


def exchange(port: int, sent: bytes) -> bytes:
    """What comes back until the other side closes or 0.3 s pass."""
    answer = b""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(sent)
        connection.settimeout(0.3)
        try:
            while piece := connection.recv(65_536):
                answer += piece
        except TimeoutError:
            pass
    return answer


@pytest.mark.parametrize(
    ("sent", "answered"),
    [
        (b"PUT /b/k HTTP/1.1\r\nHost: Odd.Case:1\r\nContent-Length: 3\r\n\r\nEND", b"HTTP/1.1 204 No Content\r\n\r\n"),
        (
            b"PUT /b/k HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5;ext=1\r\nhello\r\n3\r\nEND\r\n0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nTrailer: x\r\n\r\n",
        ),
        (b"HEAD /b/k HTTP/1.1\r\nX: BODYLESS\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"),
        (b"GET /b/k HTTP/1.1\r\nX: BODYLESS\r\n\r\n", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n"),
    ],
    ids=["length", "chunked", "head", "not-modified"],
)
def test_messages_pass_byte_for_byte(sent: bytes, answered: bytes) -> None:
    with scripted_store(answered) as (port, received), WireProxy(port) as proxy:
        assert exchange(proxy.port, sent) == answered
    assert received == [sent]


def test_two_requests_on_one_connection_and_a_store_that_hangs_up_between_them() -> None:
    sent = b"PUT /b/k HTTP/1.1\r\nContent-Length: 3\r\n\r\nEND"
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    with (
        scripted_store(answer, answer, close_after_each=True) as (port, received),
        WireProxy(port) as proxy,
        socket.create_connection(("127.0.0.1", proxy.port)) as connection,
    ):
        for _ in range(2):
            connection.sendall(sent)
            assert connection.recv(1000) == answer
            time.sleep(0.05)  # by then the end of the store's connection has arrived
    assert received == [sent, sent]


def test_an_answer_without_a_length_ends_with_the_connection() -> None:
    answer = b"HTTP/1.1 200 OK\r\n\r\nuntil the end"
    with scripted_store(answer, close_after_each=True) as (port, _), WireProxy(port) as proxy:
        assert exchange(proxy.port, b"GET / HTTP/1.1\r\nX: BODYLESS\r\n\r\n") == answer


def test_a_store_that_is_not_there(proxy: WireProxy) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    with WireProxy(port) as before_nothing:
        assert exchange(before_nothing.port, b"GET /b/k HTTP/1.1\r\n\r\n") == b""
        assert [request.status for request in before_nothing.requests] == [None]


# ---------------------------------------------------------------- faults


def exists(store: S3Store, key: str) -> bool:
    try:
        obstore.head(store, key)
    except FileNotFoundError:
        return False
    return True


def test_refuse_reaches_no_store(store: S3Store, client: Any, bucket: str, proxy: WireProxy) -> None:
    refused = proxy.fault(Refuse(), operation="PutObject", times=2)
    with pytest.raises(ConnectionClosedError):
        client.put_object(Bucket=bucket, Key="a", Body=b"x")
    with pytest.raises(obstore.exceptions.GenericError):
        obstore.put(store, "a", b"x")
    assert refused.hits == 2
    assert not exists(store, "a")
    assert [request.status for request in proxy.requests] == [None, None, 404]


def test_lose_applies_and_says_nothing(store: S3Store, client: Any, bucket: str, proxy: WireProxy) -> None:
    proxy.fault(Lose(), operation="PutObject", times=2)
    with pytest.raises(ConnectionClosedError):
        client.put_object(Bucket=bucket, Key="a", Body=b"x")
    with pytest.raises(obstore.exceptions.GenericError):
        obstore.put(store, "b", b"x")
    assert exists(store, "a")
    assert exists(store, "b")
    assert [request.status for request in proxy.requests] == [200] * 4


@pytest.mark.parametrize(("status", "code"), [(503, "SlowDown"), (403, "AccessDenied"), (500, "InternalError")])
def test_answer_reaches_no_store(
    status: int, code: str, store: S3Store, client: Any, bucket: str, proxy: WireProxy
) -> None:
    proxy.fault(Answer(status, code, "<told> & tested", {"Retry-After": "1"}), method="PUT", times=3)
    with pytest.raises(ClientError, match="<told> & tested") as told:
        client.put_object(Bucket=bucket, Key="a", Body=b"x")
    assert told.value.response["Error"]["Code"] == code
    assert told.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
    assert told.value.response["ResponseMetadata"]["HTTPHeaders"]["retry-after"] == "1"
    with pytest.raises(ClientError, match=code):
        client.put_object(Bucket=bucket, Key="a", Body=b"x" * 3_000_000)  # asks before it sends
    with pytest.raises(obstore.exceptions.BaseError, match=code):
        obstore.put(store, "a", b"x" * 100_000)
    assert not exists(store, "a")
    assert [request.status for request in proxy.requests] == [status] * 3 + [404]


def test_answer_to_head_has_no_body(client: Any, bucket: str, proxy: WireProxy) -> None:
    proxy.fault(Answer(403, "AccessDenied"), operation="HeadObject")
    with pytest.raises(ClientError, match="403"):
        client.head_object(Bucket=bucket, Key="a")
    assert client.list_objects_v2(Bucket=bucket)["KeyCount"] == 0  # the same connection goes on


@pytest.mark.parametrize("action", [Delay(0.3), DelayAnswer(0.3)], ids=["request", "answer"])
def test_delays(action: Delay | DelayAnswer, store: S3Store, s3_server: S3Server, proxy: WireProxy) -> None:
    obstore.put(store, "warm", b"x")  # the first write of a bucket takes longer
    proxy.fault(action, operation="PutObject")
    started = time.monotonic()
    with ThreadPoolExecutor(1) as pool, open_client(s3_server) as direct:
        writing = pool.submit(obstore.put, store, "a", b"x")
        time.sleep(0.15)
        found = direct.list_objects_v2(Bucket=proxy.requests[0].bucket)["KeyCount"]
        writing.result()
    assert time.monotonic() - started >= 0.3
    assert found == (2 if isinstance(action, DelayAnswer) else 1)


def test_truncate_announces_more_than_comes(store: S3Store, client: Any, bucket: str, proxy: WireProxy) -> None:
    obstore.put(store, "a", b"0123456789" * 100_000)
    proxy.fault(Truncate(700_001), operation="GetObject", times=2)
    with pytest.raises(ResponseStreamingError, match="700001 bytes read, 299999 more expected"):
        client.get_object(Bucket=bucket, Key="a")["Body"].read()
    with pytest.raises(obstore.exceptions.GenericError):
        obstore.get(store, "a").bytes()
    assert len(obstore.get(store, "a").bytes()) == 1_000_000


def test_hang_ends_with_the_client_or_the_proxy(s3_server: S3Server, bucket: str, proxy: WireProxy) -> None:
    hung = proxy.fault(Hang(), times=None)
    connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=0.2)
    connection.request("GET", "/")
    with pytest.raises(TimeoutError):
        connection.getresponse()
    connection.close()
    with ThreadPoolExecutor(1) as pool, open_client(s3_server, proxy.endpoint) as client:
        listing = pool.submit(client.list_objects_v2, Bucket=bucket)
        wait_until(lambda: hung.hits == 2)
        assert not listing.done()
        proxy.stop()
        with pytest.raises((ConnectionClosedError, ReadTimeoutError)):
            listing.result(10)


CHILD = """
import os, sys, obstore
from obstore.store import S3Store
store = S3Store(sys.argv[1], endpoint=sys.argv[2], client_options={"allow_http": True})
sys.stdin.readline()
obstore.put(store, "killed", b"x")
"""


@pytest.mark.parametrize("before", [True, False])
def test_kill_ends_the_client_before_or_after(
    before: bool, store: S3Store, s3_server: S3Server, bucket: str, proxy: WireProxy
) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, bucket, proxy.endpoint],
        env={name: value for name, value in s3_server.environment().items() if "ENDPOINT" not in name},
        stdin=subprocess.PIPE,
    )
    killed = proxy.fault(Kill(child, before=before), operation="PutObject", key="killed")
    child.communicate(b"\n", timeout=30)
    assert child.returncode == -9
    assert killed.hits == 1
    assert exists(store, "killed") is not before


def test_faults_befall_the_requests_they_name(store: S3Store, proxy: WireProxy) -> None:
    proxy.fault(Answer(500, "A"), operation="PutObject", nth=2, times=2)
    proxy.fault(Answer(500, "B"), lambda request: request.key.endswith("!"), key="e!")
    outcomes = []
    for key in ("a", "b", "c", "d", "e!", "e!", "f!"):
        try:
            obstore.put(store, key, b"x")
            outcomes.append("ok")
        except obstore.exceptions.GenericError as error:
            outcomes.append("A" if "<Code>A</Code>" in str(error) else "B")
    assert outcomes == ["ok", "A", "A", "ok", "B", "ok", "ok"]


def test_reset_forgets(store: S3Store, proxy: WireProxy) -> None:
    proxy.fault(Refuse(), times=None)
    with pytest.raises(obstore.exceptions.GenericError):
        obstore.put(store, "a", b"x")
    proxy.reset()
    assert proxy.requests == []
    obstore.put(store, "a", b"x")
    assert proxy.counts() == {"PutObject": 1}
    assert proxy.max_in_flight == 1


def test_nothing_is_left_after_stop(s3_server: S3Server, bucket: str) -> None:
    with WireProxy(s3_server.port) as proxy, open_client(s3_server, proxy.endpoint) as client:
        client.head_bucket(Bucket=bucket)
        mine = [thread for thread in threading.enumerate() if thread.name.startswith("proxy")]
        assert len(mine) >= 2
    assert not any(thread.is_alive() for thread in mine)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", proxy.port))


def wait_until(true: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.01)
