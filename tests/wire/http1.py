"""Just enough HTTP/1.1 to pass messages on byte for byte: heads, and where bodies end (RFC 9112, section 6)."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass

RECEIVE_BYTES = 262_144
END_OF_HEAD = b"\r\n\r\n"
MAX_HEAD_BYTES = 1_048_576


@dataclass(frozen=True, slots=True)
class Head:
    """The first lines of a message: as they came, and parsed. Header names are lower case, repeated ones joined."""

    raw: bytes
    first: list[str]
    headers: dict[str, str]

    @property
    def status(self) -> int:
        """Of a response."""
        return int(self.first[1])

    @property
    def closes(self) -> bool:
        """Whether the sender ends the connection after this message."""
        return "close" in self.headers.get("connection", "").lower()


class Wire:
    """A connected socket, read in heads and bodies."""

    __slots__ = ("buffer", "socket")

    def __init__(self, connected: socket.socket) -> None:
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = connected
        self.buffer = b""

    def send(self, data: bytes) -> None:
        """All of it."""
        self.socket.sendall(data)

    def head(self) -> Head | None:
        """The next message's head; None when the other side ended the connection in good order before it."""
        while (end := self.buffer.find(END_OF_HEAD)) < 0:
            if len(self.buffer) > MAX_HEAD_BYTES:
                raise ConnectionError("the head of a message does not end")
            if not self._receive():
                if self.buffer:
                    raise ConnectionError("the connection ended within a head")
                return None
        raw, self.buffer = self.buffer[: end + 4], self.buffer[end + 4 :]
        first, *lines = raw[:-4].decode("latin-1").split("\r\n")
        headers: dict[str, str] = {}
        for line in lines:
            name, _, value = line.partition(":")
            name, value = name.lower(), value.strip()
            headers[name] = f"{headers[name]},{value}" if name in headers else value
        return Head(raw, first.split(" ", 2), headers)

    def body(self, head: Head, until_close: bool = False) -> Iterator[bytes]:
        """The body's bytes as on the wire. `until_close`: a response that says no length ends with the connection."""
        if "chunked" in head.headers.get("transfer-encoding", "").lower():
            yield from self._chunks()
        elif "content-length" in head.headers:
            yield from self._exactly(int(head.headers["content-length"]))
        elif until_close:
            while self.buffer or self._receive():
                piece, self.buffer = self.buffer, b""
                yield piece

    def _exactly(self, count: int) -> Iterator[bytes]:
        while count:
            if not self.buffer and not self._receive():
                raise ConnectionError("the connection ended within a body")
            piece, self.buffer = self.buffer[:count], self.buffer[count:]
            count -= len(piece)
            yield piece

    def _chunks(self) -> Iterator[bytes]:
        while True:
            line = self._line()
            yield line
            size = int(line.split(b";")[0], 16)
            if not size:
                break
            yield from self._exactly(size + 2)
        while (line := self._line()) != b"\r\n":  # trailers
            yield line
        yield line

    def _line(self) -> bytes:
        while (end := self.buffer.find(b"\r\n")) < 0:
            if not self._receive():
                raise ConnectionError("the connection ended within a chunk's size")
        line, self.buffer = self.buffer[: end + 2], self.buffer[end + 2 :]
        return line

    def _receive(self) -> bool:
        data = self.socket.recv(RECEIVE_BYTES)
        self.buffer += data
        return bool(data)


def has_body(method: str, status: int) -> bool:
    """Whether a response to this method may carry a body at all, whatever its headers say."""
    return method != "HEAD" and status not in (204, 304) and status >= 200
