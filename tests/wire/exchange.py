"""One request's way to the store and its answer's way back, with what is to go wrong in between."""

from __future__ import annotations

import select
import threading
from collections.abc import Callable, Iterator

from tests.wire.faults import Action, Answer, Delay, DelayAnswer, Hang, Kill, Lose, Refuse, Truncate
from tests.wire.http1 import Head, Wire, has_body
from tests.wire.record import Recorder, Request

JOIN_BYTES = 65_536


class Exchange:
    """Passes one request and its answer on. `run()` says whether both connections can be used again."""

    def __init__(
        self,
        request: Request,
        head: Head,
        client: Wire,
        connect: Callable[[], Wire],
        recorder: Recorder,
        stopping: threading.Event,
    ) -> None:
        self.request, self.head, self.client = request, head, client
        self.connect, self.recorder, self.stopping = connect, recorder, stopping
        self.body_bytes = self.response_bytes = 0
        self.status: int | None = None
        self.reusable = not head.closes
        self.recorded = False

    def run(self, action: Action | None) -> bool:
        """The whole exchange; raises OSError when a side has gone."""
        try:
            match action:
                case Refuse():
                    return False
                case Kill(before=True):
                    action.strike()
                    return False
                case Hang():
                    while self.client.socket.recv(JOIN_BYTES):
                        pass  # what the client still sends goes nowhere; the loop ends when it or the proxy gives up
                    return False
                case Answer():
                    return self._answer(action)
                case Delay(seconds):
                    self.stopping.wait(seconds)
            return self._pass_on(action)
        finally:
            self._record()

    @property
    def _asks_first(self) -> bool:
        return "100-continue" in self.head.headers.get("expect", "").lower()

    def _answer(self, answer: Answer) -> bool:
        self.status = answer.status
        if not self._asks_first:
            for piece in self.client.body(self.head):
                self.body_bytes += len(piece)
        self._record()
        self.client.send(answer.response(self.request.method))
        return self.reusable and not self._asks_first

    def _pass_on(self, action: Action | None) -> bool:
        store = self.connect()
        response = self._send(store) or store.head()
        while response is not None and response.status < 200:
            response = store.head()  # a late "100 Continue", for a client that no longer waits for it
        if response is None:
            return False
        self.status = response.status
        body = self._response_body(store, response)
        match action:
            case Lose() | Kill():
                for _ in body:
                    pass  # to its end: some operations are applied only then
                if isinstance(action, Kill):
                    action.strike()
                return False
            case DelayAnswer(seconds):
                self.stopping.wait(seconds)
            case Truncate(count):
                body, self.reusable = _cut(body, count), False
        for block, is_last in _blocks(response.raw, body):
            if is_last:
                self._record()
            self.client.send(block)
        return self.reusable

    def _send(self, store: Wire) -> Head | None:
        """Pass the request on. A head: the answer that came before the body was asked for."""
        first = self.head.raw
        if self._asks_first:
            store.send(first)
            early = self._await_permission(store)
            if early is not None:
                self.reusable = False
                return early
            first = b""
        for block, _ in _blocks(first, self._request_body()):
            try:
                store.send(block)
            except OSError:
                self.reusable = False  # it has answered before the end of the body, or has gone: its answer will tell
                break
        return None

    def _await_permission(self, store: Wire) -> Head | None:
        """Wait for the store's word or for a client that sends without it."""
        poll = select.poll()
        poll.register(store.socket, select.POLLIN)
        poll.register(self.client.socket, select.POLLIN)
        if self.client.buffer or store.socket.fileno() not in {fd for fd, _ in poll.poll()}:
            return None
        word = store.head()
        if word is None:
            raise ConnectionError("the store closed the connection instead of answering")
        if word.status != 100:
            return word
        self.client.send(word.raw)
        return None

    def _request_body(self) -> Iterator[bytes]:
        for piece in self.client.body(self.head):
            self.body_bytes += len(piece)
            yield piece

    def _response_body(self, store: Wire, response: Head) -> Iterator[bytes]:
        self.reusable = self.reusable and not response.closes
        if not has_body(self.request.method, response.status):
            return
        if not {"content-length", "transfer-encoding"} & response.headers.keys():
            self.reusable = False
        for piece in store.body(response, until_close=True):
            self.response_bytes += len(piece)
            yield piece

    def _record(self) -> None:
        if not self.recorded:
            self.recorded = True
            self.recorder.end(self.request.index, self.body_bytes, self.status, self.response_bytes)


def _blocks(first: bytes, pieces: Iterator[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Head and body in few writes; with each, whether it is the last."""
    pending = first
    for piece in pieces:
        if len(pending) + len(piece) <= JOIN_BYTES:
            pending += piece
        else:
            yield pending, False
            pending = piece
    yield pending, True


def _cut(pieces: Iterator[bytes], count: int) -> Iterator[bytes]:
    for piece in pieces:
        yield piece[:count]
        count -= len(piece)
        if count <= 0:
            return
