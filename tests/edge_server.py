"""A small caching proxy on loopback that stands in for CloudFront: it keeps what it was asked for, and can go wrong.

    with EdgeServer(client, bucket) as edge:
        database = S3Database({..., "read_endpoint": edge.url})
        edge.ailment = "html"

As a distribution with an origin access control does, it reads the bucket with credentials of its own, whoever asks.
"""

from __future__ import annotations

import gzip
import threading
import time
from collections import Counter
from dataclasses import dataclass
from datetime import UTC
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Self
from urllib.parse import unquote

from botocore.exceptions import ClientError

from dataknobs_data.embedded.ports import HOST

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

AILMENTS = (
    "forbidden", "gone", "unavailable", "html", "other", "half", "short", "weak", "gzip", "no etag", "no length", "no date",
    "redirect", "stale 304", "closed", "partial", "not json",
)  # fmt: skip
"""What can be wrong with it; each is an answer that real edges, or what stands before them, have been seen to give."""


@dataclass
class Copy:
    """What lies at the edge under one path."""

    status: int
    body: bytes
    headers: dict[str, str]
    taken: float


class EdgeServer:
    """The stand-in. `ttl_seconds`: how long it answers from its copy; `ailment` one of AILMENTS."""

    def __init__(self, client: S3Client, bucket: str, ttl_seconds: float = 3600.0) -> None:
        self.client, self.bucket, self.ttl_seconds = client, bucket, ttl_seconds
        self.ailment: str | None = None
        self.delay_seconds = 0.0
        self.statuses = Counter[int]()
        self.hits = 0
        """Answers that took no request to the bucket."""
        self.paths = list[str]()
        self.in_flight = self.max_in_flight = 0
        self.copies = dict[str, Copy]()
        self.lock = threading.Lock()
        edge = self

        class Handler(_Handler):
            owner = edge

        self._server = ThreadingHTTPServer((HOST, 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    @property
    def url(self) -> str:
        """For `read_endpoint`."""
        return f"http://{HOST}:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def forget(self) -> None:
        """As an invalidation of everything does."""
        self.copies.clear()

    def copy(self, path: str) -> Copy:
        """What it has of a path, fetched where it has nothing or only what is too old. Errors are kept, too."""
        found = self.copies.get(path)
        if found and time.monotonic() - found.taken < self.ttl_seconds:
            self.hits += 1
            return found
        self.copies[path] = fresh = self._fetch(unquote(path).removeprefix("/"))
        return fresh

    def _fetch(self, key: str) -> Copy:
        try:
            answer = self.client.get_object(Bucket=self.bucket, Key=key)
        except ClientError as error:
            status = int(error.response["ResponseMetadata"]["HTTPStatusCode"])
            return Copy(status, b"<Error/>", {"Content-Type": "application/xml"}, time.monotonic())
        with answer["Body"] as stream:
            body = stream.read()
        headers = {
            "Content-Type": answer["ContentType"],
            "ETag": answer["ETag"],
            "Last-Modified": format_datetime(answer["LastModified"].astimezone(UTC), usegmt=True),
        }
        return Copy(200, body, headers, time.monotonic())


class _Handler(BaseHTTPRequestHandler):
    owner: EdgeServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        edge = self.owner
        with edge.lock:
            edge.paths.append(self.path)
            edge.in_flight += 1
            edge.max_in_flight = max(edge.max_in_flight, edge.in_flight)
        try:
            time.sleep(edge.delay_seconds)
            self._answer()
        finally:
            with edge.lock:
                edge.in_flight -= 1

    def _answer(self) -> None:
        copy = self.owner.copy(self.path)
        asked = self.headers.get("If-None-Match")
        if self.owner.ailment:
            self._answer_wrong(copy, self.owner.ailment)
        elif copy.status == 200 and asked == copy.headers["ETag"]:
            self._send(304, b"", {"ETag": asked})
        else:
            self._send(copy.status, copy.body, copy.headers)

    def _answer_wrong(self, copy: Copy, ailment: str) -> None:
        body, headers = copy.body, dict(copy.headers)
        match ailment:
            case "forbidden" | "gone" | "unavailable":
                self._send({"forbidden": 403, "gone": 404, "unavailable": 503}[ailment], b"<Error/>", {})
            case "html":
                self._send(200, b"<html>Please log in</html>", {**headers, "Content-Type": "text/html"})
            case "not json":
                self._send(200, b"[1, 2]", headers)
            case "other":
                self._send(200, b'{"id": "somebody-else", "data": {"n": -1}}', headers)
            case "half":  # cut, and its length says so
                self._send(200, body[: len(body) // 2], headers)
            case "short":  # the connection ends within the body
                self._send(200, body[:-1], {**headers, "Content-Length": str(len(body))})
                self.close_connection = True
            case "weak":
                self._send(200, body, {**headers, "ETag": "W/" + headers.get("ETag", '"x"')})
            case "gzip":
                self._send(200, gzip.compress(body), {**headers, "Content-Encoding": "gzip"})
            case "no etag" | "no date":
                headers.pop("ETag" if ailment == "no etag" else "Last-Modified", None)
                self._send(200, body, headers)
            case "no length":
                self._send(200, body, {**headers, "Content-Length": ""})
                self.close_connection = True
            case "redirect":
                self._send(302, b"", {"Location": f"{self.owner.url}/elsewhere"})
            case "stale 304":
                self._send(304, b"", {"ETag": '"of-another-version"'})
            case "partial":
                self._send(206, body, headers)
            case "closed":
                self.close_connection = True
            case _:
                raise AssertionError(ailment)

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        with self.owner.lock:
            self.owner.statuses[status] += 1
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            if value:
                self.send_header(name, value)
        self.end_headers()
        if status != 304:
            self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Quiet."""
