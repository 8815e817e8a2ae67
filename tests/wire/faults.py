"""What can go wrong between a client and a store, one class each, and when it shall.

Before the store hears of the request: Refuse, Answer, Delay, Hang, Kill(process).
After the store has applied it: Lose, DelayAnswer, Truncate, Kill(process, before=False).
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from tests.wire.proxy import Request


class HasPid(Protocol):
    """subprocess.Popen, multiprocessing.Process and the like."""

    @property
    def pid(self) -> int | None: ...


@dataclass(frozen=True)
class Refuse:
    """The connection is closed; the store never hears of the request."""


@dataclass(frozen=True)
class Lose:
    """The store applies the request; the connection is closed instead of its answer."""


@dataclass(frozen=True)
class Answer:
    """An S3 error of our own; the store never hears of the request."""

    status: int
    code: str
    message: str = "injected by the proxy"
    headers: Mapping[str, str] = field(default_factory=dict)

    def response(self, method: str) -> bytes:
        """The message on the wire."""
        body = (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            f"<Error><Code>{escape(self.code)}</Code><Message>{escape(self.message)}</Message>"
            "<RequestId>proxy</RequestId></Error>"
        ).encode()
        headers = {"Content-Type": "application/xml", "Content-Length": str(len(body)), "x-amz-request-id": "proxy"}
        lines = [f"HTTP/1.1 {self.status} {self.code}", *(f"{k}: {v}" for k, v in (headers | {**self.headers}).items())]
        return "\r\n".join([*lines, "", ""]).encode() + (b"" if method == "HEAD" else body)


@dataclass(frozen=True)
class Delay:
    """The request reaches the store late."""

    seconds: float


@dataclass(frozen=True)
class DelayAnswer:
    """The answer reaches the client late."""

    seconds: float


@dataclass(frozen=True)
class Truncate:
    """The answer announces its whole length; the connection is closed after `body_bytes` of the body."""

    body_bytes: int


@dataclass(frozen=True)
class Hang:
    """Nothing more comes, neither answer nor end, until the client gives up or the proxy stops."""


@dataclass(frozen=True)
class Kill:
    """SIGKILL to a client process: before the store hears of the request, or after it was applied.

    process: something with a `pid`, a pid, or a function that returns one (when the process starts later).
    """

    process: HasPid | int | Callable[[], HasPid | int]
    before: bool = True

    def strike(self) -> None:
        """End the process now."""
        process = self.process() if callable(self.process) else self.process
        pid = process if isinstance(process, int) else process.pid
        assert pid, "the process to kill has not been started"
        os.kill(pid, signal.SIGKILL)


Action = Refuse | Lose | Answer | Delay | DelayAnswer | Truncate | Hang | Kill


@dataclass
class Fault:
    """An action and the requests it befalls: of those that match, the `nth` (from 1) and the `times` - 1 after it."""

    action: Action
    matches: Callable[[Request], bool]
    nth: int = 1
    times: int | None = 1
    seen: int = 0
    hits: int = 0

    def befalls(self, request: Request) -> bool:
        """Whether it acts on this request; counts."""
        if not self.matches(request):
            return False
        self.seen += 1
        if self.seen < self.nth or (self.times is not None and self.hits >= self.times):
            return False
        self.hits += 1
        return True
