"""What a proxy saw: every request, how often each operation came, how many were in flight at once."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl, unquote

from tests.wire.http1 import Head
from tests.wire.operations import operation_of


@dataclass(frozen=True)
class Request:
    """One request as it passed. Sizes are of bodies as on the wire, in bytes; times are time.monotonic() seconds.

    status: what the store (or the proxy in its place) answered, None when there was no answer. A response that was
    lost on its way has the store's status. ended: None while the request is in flight.
    """

    index: int
    operation: str
    method: str
    bucket: str
    key: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    started: float
    body_bytes: int = 0
    status: int | None = None
    response_bytes: int = 0
    ended: float | None = None


class Seen:
    """The requests of one stretch of time, alive while it lasts."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder, self._first, self._end = recorder, recorder.count, None
        self.max_in_flight = 0

    @property
    def requests(self) -> Sequence[Request]:
        """In the order of their arrival."""
        return self._recorder.between(self._first, self._end)

    def counts(self) -> Counter[str]:
        """How many of each operation."""
        return Counter(request.operation for request in self.requests)

    def close(self) -> None:
        """Requests that come later do not belong to it."""
        self._end = self._recorder.count

    _end: int | None


class Recorder:
    """Keeps requests, and who is watching. Safe for many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: list[Request] = []
        self._in_flight = 0
        self._watching: list[Seen] = []

    @property
    def count(self) -> int:
        """How many requests have arrived."""
        return len(self._requests)

    def between(self, first: int, end: int | None) -> list[Request]:
        """Requests by index."""
        with self._lock:
            return self._requests[first:end]

    def watch(self) -> Seen:
        """Begin a stretch."""
        with self._lock:
            seen = Seen(self)
            self._watching.append(seen)
        return seen

    def unwatch(self, seen: Seen) -> None:
        """End a stretch."""
        with self._lock:
            seen.close()
            self._watching.remove(seen)

    def begin(self, head: Head) -> Request:
        """A request has arrived."""
        method, target, _ = head.first
        path, _, query_text = target.partition("?")
        bucket, _, key = unquote(path[1:]).partition("/")
        query = dict(parse_qsl(query_text, keep_blank_values=True))
        operation = operation_of(method, bucket, key, query, head.headers)
        with self._lock:
            index = len(self._requests)
            request = Request(index, operation, method, bucket, key, query, head.headers, time.monotonic())
            self._requests.append(request)
            self._in_flight += 1
            for seen in self._watching:
                seen.max_in_flight = max(seen.max_in_flight, self._in_flight)
        return request

    def end(self, index: int, body_bytes: int, status: int | None, response_bytes: int) -> None:
        """It is over: answered, or never to be. Said *before* the last byte of the answer leaves, so that a client
        that has its answer finds the record complete, and its next request is not counted beside this one."""
        with self._lock:
            self._in_flight -= 1
            self._requests[index] = replace(
                self._requests[index],
                body_bytes=body_bytes,
                status=status,
                response_bytes=response_bytes,
                ended=time.monotonic(),
            )
