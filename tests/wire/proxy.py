"""A proxy on loopback between a client and an S3 server that counts what passes, and breaks it on demand.

    with WireProxy(server.port) as proxy:
        config["endpoint_url"] = proxy.endpoint
        lost = proxy.fault(Lose(), operation="PutObject", nth=3)
        with proxy.watch() as seen:
            database.batch_create(records)
        assert seen.counts() == {"PutObject": 101} and lost.hits == 1 and seen.max_in_flight <= 10

Messages pass byte for byte, the Host header too, so signatures stay valid. One thread a client connection.
"""

from __future__ import annotations

import select
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Self

from dataknobs_data.embedded.ports import HOST
from tests.wire.exchange import Exchange
from tests.wire.faults import (
    Action,
    Answer,
    Delay,
    DelayAnswer,
    Fault,
    Hang,
    Kill,
    Lose,
    Refuse,
    Truncate,
)
from tests.wire.http1 import Wire
from tests.wire.record import Recorder, Request, Seen

__all__ = [
    "Answer",
    "Delay",
    "DelayAnswer",
    "Fault",
    "Hang",
    "Kill",
    "Lose",
    "Refuse",
    "Request",
    "Seen",
    "Truncate",
    "WireProxy",
]


class WireProxy:
    """A proxy before the server on `upstream_port` of 127.0.0.1. Use it as a context manager, or start() and stop()."""

    def __init__(self, upstream_port: int) -> None:
        self.upstream_port, self.port = upstream_port, 0
        self._recorder, self._faults = Recorder(), list[Fault]()
        self._all = self._recorder.watch()
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._connections: set[_Connection] = set()
        self._threads: set[threading.Thread] = set()

    @property
    def endpoint(self) -> str:
        """The URL to use instead of the server's."""
        return f"http://{HOST}:{self.port}"

    @property
    def requests(self) -> Sequence[Request]:
        """Everything since the start or the last reset(), in order of arrival."""
        return self._all.requests

    @property
    def max_in_flight(self) -> int:
        """The most requests that were in flight at one time since then."""
        return self._all.max_in_flight

    def counts(self) -> Counter[str]:
        """How many requests of each operation since then."""
        return self._all.counts()

    @contextmanager
    def watch(self) -> Iterator[Seen]:
        """What passes inside the block: `requests`, `counts()`, `max_in_flight`."""
        seen = self._recorder.watch()
        try:
            yield seen
        finally:
            self._recorder.unwatch(seen)

    def fault(
        self,
        action: Action,
        when: Callable[[Request], bool] | None = None,
        *,
        operation: str | None = None,
        method: str | None = None,
        bucket: str | None = None,
        key: str | None = None,
        nth: int = 1,
        times: int | None = 1,
    ) -> Fault:
        """Let `action` befall the nth (from 1) of the requests that match all filters, and the `times` - 1 after it
        (None: all of them). The answer's `hits` says how often it has. Of several faults the first added wins."""
        wanted = {"operation": operation, "method": method, "bucket": bucket, "key": key}
        wanted = {name: value for name, value in wanted.items() if value is not None}

        def matches(request: Request) -> bool:
            return all(getattr(request, name) == value for name, value in wanted.items()) and (
                when is None or when(request)
            )

        fault = Fault(action, matches, nth, times)
        with self._lock:
            self._faults.append(fault)
        return fault

    def reset(self) -> None:
        """No faults, no requests seen; connections are closed, hanging ones too."""
        with self._lock:
            self._faults.clear()
        self._close_connections()
        self._recorder.unwatch(self._all)
        self._all = self._recorder.watch()

    def start(self) -> Self:
        """Listen on a free port."""
        self._listener = socket.create_server((HOST, 0), backlog=512)
        self.port = self._listener.getsockname()[1]
        self._acceptor = threading.Thread(target=self._accept, name="proxy", daemon=True)
        self._acceptor.start()
        return self

    def stop(self) -> None:
        """Close every connection and end every thread."""
        self._stopping.set()
        with suppress(OSError):  # wakes the acceptor; it may have ended already
            socket.create_connection((HOST, self.port)).close()
        self._acceptor.join()
        self._listener.close()
        self._close_connections()
        for thread in list(self._threads):
            thread.join()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def _accept(self) -> None:
        while True:
            accepted, _ = self._listener.accept()
            if self._stopping.is_set():
                accepted.close()
                return
            connection = _Connection(accepted, self.upstream_port, self._recorder, self._action_for, self._stopping)
            with self._lock:
                self._connections.add(connection)
                thread = threading.Thread(target=self._serve, args=(connection,), name="proxy connection", daemon=True)
                self._threads.add(thread)
            thread.start()

    def _serve(self, connection: _Connection) -> None:
        try:
            connection.serve()
        finally:
            with self._lock:
                self._connections.discard(connection)
                self._threads.discard(threading.current_thread())

    def _close_connections(self) -> None:
        with self._lock:
            for connection in self._connections:
                connection.shut()

    def _action_for(self, request: Request) -> Action | None:
        if not self._faults:
            return None
        with self._lock:
            return next((fault.action for fault in self._faults if fault.befalls(request)), None)


class _Connection:
    """A client's connection and its counterpart to the store."""

    def __init__(
        self,
        accepted: socket.socket,
        upstream_port: int,
        recorder: Recorder,
        action_for: Callable[[Request], Action | None],
        stopping: threading.Event,
    ) -> None:
        self._client, self._store = Wire(accepted), None
        self._upstream_port, self._recorder = upstream_port, recorder
        self._action_for, self._stopping = action_for, stopping

    _store: Wire | None

    def serve(self) -> None:
        """Request after request until a side closes."""
        try:
            while (head := self._client.head()) is not None:
                request = self._recorder.begin(head)
                exchange = Exchange(request, head, self._client, self._connect, self._recorder, self._stopping)
                if not exchange.run(self._action_for(request)):
                    return
        except OSError:
            return  # a side has gone; closing the other one is how a network says so
        finally:
            self._client.socket.close()
            if self._store is not None:
                self._store.socket.close()

    def shut(self) -> None:
        """End it from another thread: whoever waits on one of its sockets wakes up."""
        for wire in (self._client, self._store):
            if wire is not None:
                with suppress(OSError):  # closed meanwhile
                    wire.socket.shutdown(socket.SHUT_RDWR)

    def _connect(self) -> Wire:
        """The connection to the store, a new one where the store has closed the last while it was idle."""
        if self._store is not None:
            if not _is_readable(self._store.socket):
                return self._store
            self._store.socket.close()
        self._store = Wire(socket.create_connection((HOST, self._upstream_port)))
        return self._store


def _is_readable(idle: socket.socket) -> bool:
    poll = select.poll()
    poll.register(idle, select.POLLIN)
    return bool(poll.poll(0))
