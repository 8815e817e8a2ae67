"""Something that is no store answers 200 (a proxy's page, a captive portal): that is no answer, least of all an empty one."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from dataknobs_data.s3.settings import s3_settings
from dataknobs_data.s3.store import ABSENT, Fault, Match, ObjectStore, PutOptions
from dataknobs_data.s3.stores.connection import open_store

PAGE = b"<html><body>Welcome to our network</body></html>"
SPACE = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
LINE = "<Contents><Key>a.json</Key><ETag>&quot;e&quot;</ETag><Size>1</Size></Contents>"


class Portal(http.server.BaseHTTPRequestHandler):
    """Answers everything with `body`."""

    protocol_version = "HTTP/1.1"
    body = PAGE

    def answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(self.body)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = answer

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def portal() -> Iterator[type[Portal]]:
    class Mine(Portal):
        pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Mine)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    Mine.port = server.server_port  # type: ignore[attr-defined]
    yield Mine
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def store(portal: Any) -> Iterator[ObjectStore]:
    endpoint = f"http://127.0.0.1:{portal.port}"
    settings = s3_settings(
        {"bucket": "bucket", "endpoint_url": endpoint, "access_key_id": "a", "secret_access_key": "b", "timeout": 2}
    )
    made, _ = open_store(settings)
    yield made
    made.close()


@pytest.mark.parametrize(
    "request_of",
    [
        lambda store: store.head("key"),
        lambda store: store.list_page("prefix/"),
        lambda store: store.get_tags("key"),
        lambda store: store.put("key", b"{}", PutOptions(), ABSENT),
        lambda store: store.put("key", b"{}", PutOptions(), Match('"e"')),
        lambda store: store.create_upload("key", PutOptions()),
        lambda store: store.upload_part("key", "id", 1, memoryview(b"part")),
        lambda store: store.complete_upload("key", "id", ['"e"'], ABSENT),
        lambda store: store.delete_many(["a", "b"]),
    ],
    ids=["head", "list", "tags", "put", "put-match", "create-upload", "part", "complete", "delete-many"],
)
def test_a_page_is_no_answer(store: ObjectStore, request_of: Callable[[ObjectStore], object]) -> None:
    with pytest.raises(Fault):
        request_of(store)


@pytest.mark.parametrize(
    "body",
    [
        "",
        "{}",
        "<ListBucketResult",
        f"<ListBucketResult {SPACE}></ListBucketResult>",
        f"<ListBucketResult {SPACE}><IsTruncated>maybe</IsTruncated></ListBucketResult>",
        f"<ListBucketResult {SPACE}><IsTruncated>true</IsTruncated>{LINE}</ListBucketResult>",  # and no token
        f"<ListBucketResult {SPACE}><IsTruncated>false</IsTruncated><Contents><Key>a</Key></Contents></ListBucketResult>",
        f"<Error {SPACE}><Code>InternalError</Code></Error>",
        f"<ListAllMyBucketsResult {SPACE}><IsTruncated>false</IsTruncated></ListAllMyBucketsResult>",
    ],
)
def test_half_a_listing_is_no_listing(portal: type[Portal], store: ObjectStore, body: str) -> None:
    portal.body = body.encode()
    with pytest.raises(Fault):
        store.list_page("prefix/")


@pytest.mark.parametrize("space", [SPACE, ""])
def test_a_listing_is_read_whole(portal: type[Portal], store: ObjectStore, space: str) -> None:
    portal.body = (
        f"<ListBucketResult {space}><IsTruncated>true</IsTruncated><EncodingType>url</EncodingType>"
        f"<NextContinuationToken>t&amp;1</NextContinuationToken>{LINE}"
        "<Contents><Key>%C3%BC%20b%2Bc.json</Key><ETag>f</ETag><Size>2</Size><LastModified>x</LastModified></Contents>"
        "</ListBucketResult>"
    ).encode()
    page = store.list_page("prefix/")
    assert [(item.key, item.etag, item.size) for item in page.items] == [("a.json", '"e"', 1), ("ü b+c.json", "f", 2)]
    assert [item.modified_text for item in page.items] == ["", "x"]
    assert page.token == "t&1"
