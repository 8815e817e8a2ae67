"""What every embedded server shares: start with free ports, try again when one was taken, stop, never leave a trace."""

from __future__ import annotations

import shutil
import tempfile
from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar, Self

from dataknobs_data.embedded.ports import HOST, PortBlock
from dataknobs_data.embedded.process import Command, PortTakenError, ServerProcess

START_ATTEMPTS = 5
START_TIMEOUT_SECONDS = 60.0


class Server(ABC):
    """A server on 127.0.0.1 that belongs to this process. Use it as a context manager, or `start()` and `stop()`.

    It ends with `stop()`, with the interpreter, and when this process is killed. port: the one to listen on; default
    a free one. start() raises ServerStartError (with the end of the server's log) when it does not come up in time,
    NoFreePortError when the wanted port is taken.
    """

    name: ClassVar[str]

    def __init__(self, port: int | None = None, start_timeout_seconds: float = START_TIMEOUT_SECONDS) -> None:
        self.host, self.port = HOST, port or 0
        self._wanted_port, self._start_timeout_seconds = port, start_timeout_seconds
        self._ports: PortBlock | None = None
        self._run = Path()
        self._process: ServerProcess | None = None

    @abstractmethod
    def _command(self, run: Path, ports: PortBlock) -> Command:
        """How to start it, listening on `self.port`. `run` is its own new folder; `ports` gives side ports."""

    @abstractmethod
    def _is_ready(self) -> bool:
        """Whether it answers; asked again and again after the start."""

    @property
    def running(self) -> bool:
        """Whether the server was started and has neither been stopped nor ended by itself."""
        return self._process is not None and self._process.alive

    @property
    def pid(self) -> int:
        """The server's process id; only while it runs."""
        if self._process is None:
            raise RuntimeError(f"{self.name} is not running: call start() first")
        return self._process.pid

    def start(self) -> Self:
        """Start the server and wait until it answers. Harmless when repeated."""
        if self._process is not None:
            return self
        for attempt in range(1, START_ATTEMPTS + 1):
            try:
                self._start_once()
                break
            except PortTakenError:
                if attempt == START_ATTEMPTS:
                    raise
        return self

    def stop(self) -> None:
        """Stop the server and remove its temporary files. Harmless when repeated."""
        if self._process is not None:
            self._process.stop()
            self._process = None
        if self._ports is not None:
            self._ports.release()
            self._ports = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def _start_once(self) -> None:
        self._ports = PortBlock(self._wanted_port)
        self._run = Path(tempfile.mkdtemp(prefix=f"dataknobs-{self.name.lower()}-"))
        try:
            self.port = self._wanted_port or self._ports.take()
            self._process = ServerProcess(self._command(self._run, self._ports))
            self._process.wait_until(self._is_ready, self._start_timeout_seconds)
        except BaseException:
            self.stop()
            shutil.rmtree(self._run, ignore_errors=True)
            raise
