"""Something that is no store answers 200 (a proxy's page, a captive portal): that is no answer, least of all an empty one."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Callable, Iterable, Iterator
from html import unescape
from typing import Any, ClassVar

import pytest

from dataknobs_data.runtime import Runtime
from dataknobs_data.s3.calls import Caller
from dataknobs_data.s3.keys import Keys
from dataknobs_data.s3.listing import Lister
from dataknobs_data.s3.settings import s3_settings
from dataknobs_data.s3.store import ABSENT, Fault, Match, ObjectStore, PutOptions
from dataknobs_data.s3.stores.connection import open_store

PAGE = b"<html><body>Welcome to our network</body></html>"
SPACE = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
LINE = "<Contents><Key>a.json</Key><ETag>&quot;e&quot;</ETag><Size>1</Size></Contents>"


class Portal(http.server.BaseHTTPRequestHandler):
    """Answers everything with `bodies` in turn, then with `body`. `agents`: who asked."""

    protocol_version = "HTTP/1.1"
    body = PAGE
    bodies: ClassVar[list[bytes]] = []
    agents: ClassVar[list[str]] = []

    def answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.agents.append(self.headers["User-Agent"])
        body = self.bodies.pop(0) if self.bodies else self.body
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = answer

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def portal() -> Iterator[type[Portal]]:
    class Mine(Portal):
        bodies: ClassVar[list[bytes]] = []
        agents: ClassVar[list[str]] = []

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
        lambda store: store.list_folder("prefix/", "prefix/0") or store.list_page("prefix/", start_after="prefix/0"),
        lambda store: store.get_tags("key"),
        lambda store: store.put("key", b"{}", PutOptions(), ABSENT),
        lambda store: store.put("key", b"{}", PutOptions(), Match('"e"')),
        lambda store: store.create_upload("key", PutOptions()),
        lambda store: store.upload_part("key", "id", 1, memoryview(b"part")),
        lambda store: store.complete_upload("key", "id", ['"e"'], ABSENT),
        lambda store: store.delete_many(["a", "b"]),
    ],
    ids=["head", "list", "list-folder", "tags", "put", "put-match", "create-upload", "part", "complete", "delete-many"],
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


def line(key: str) -> str:
    return f"<Contents><Key>{key}</Key><ETag>e</ETag><Size>3</Size><LastModified>2026-01-02T03:04:05.678Z</LastModified></Contents>"


def listing(keys: Iterable[str], token: str = "") -> bytes:
    more = f"<NextContinuationToken>{token}</NextContinuationToken>" if token else ""
    truncated = "true" if token else "false"
    lines = "".join(map(line, keys))
    return f"<ListBucketResult {SPACE}><IsTruncated>{truncated}</IsTruncated>{more}{lines}</ListBucketResult>".encode()


def test_a_folder_of_ours_is_listed_by_the_faster_sdk_as_by_the_other(portal: type[Portal], store: ObjectStore) -> None:
    portal.body = listing(["a/b/0.json", "a/b/1.json"])
    quick, page = store.list_folder("a/b/", "a/b/"), store.list_page("a/b/", start_after="a/b/")
    assert quick
    assert [(one.key, one.etag, one.size, one.modified) for one in quick.items] == [
        (one.key, one.etag, one.size, one.modified) for one in page.items
    ]
    assert quick.token is page.token is None
    assert len(portal.agents) == 2
    assert portal.agents[0] != portal.agents[1], "they are two SDKs"


@pytest.mark.parametrize(
    ("folder", "keys"),
    [
        ("a/b/", []),
        ("a/b/", ["a/b/0.json", "a/b//1.json"]),
        ("a/b/", ["a/b/0.json", "a/b/&#9;.json"]),
        ("ä b/", ["ä b/0.json"]),
        ("a/../b/", ["a/../b/0.json"]),
    ],
)
def test_where_the_faster_sdk_cannot_know_the_other_is_asked(
    portal: type[Portal], store: ObjectStore, folder: str, keys: list[str]
) -> None:
    portal.body = listing(keys)
    assert listed(portal, store, folder) == [unescape(key) for key in keys]
    assert "Boto" in portal.agents[-1]


def test_short_pages_are_no_end(portal: type[Portal], store: ObjectStore) -> None:
    portal.bodies = [listing(["a/0.json"], "more"), listing(["a/1.json"])]
    page = store.list_folder("a/", "a/")
    assert page
    assert [one.key for one in page.items] == ["a/0.json", "a/1.json"]


def test_behind_a_full_page_there_may_be_more(portal: type[Portal], store: ObjectStore) -> None:
    keys = [f"a/{n:04}.json" for n in range(1001)]
    portal.bodies = [listing(keys[:1000]), listing(keys[1000:])]
    assert listed(portal, store, "a/") == keys
    assert len(portal.agents) == 2


def listed(portal: type[Portal], store: ObjectStore, folder: str) -> list[str]:
    """The keys in a folder; what was sent for them is counted."""
    caller = Caller(store, s3_settings({"bucket": "bucket"}), Runtime())
    pages = list(Lister(caller, Keys("")).folder(folder, folder))
    assert len(portal.agents) == caller.meter.usage().requests["ListObjectsV2"]
    return [one.key for page in pages for one in page.items]
