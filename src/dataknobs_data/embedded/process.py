"""A server as a child process: started under a supervisor, watched until it answers, stopped without leftovers."""

from __future__ import annotations

import atexit
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dataknobs_data.embedded import supervisor
from dataknobs_data.exceptions import DatabaseConnectionError

POLL_SECONDS = 0.02
LOG_TAIL_CHARACTERS = 2_000


class ServerStartError(DatabaseConnectionError):
    """A server ended or stayed silent while it was started; the message holds the end of its log."""


class PortTakenError(ServerStartError):
    """Somebody else took one of the server's ports meanwhile: start again with others."""


@dataclass(frozen=True)
class Command:
    """What to run and how to end it. `environment` is the server's whole environment: nothing is inherited.

    `remove` names files and folders to delete once the server has ended; `user` and `group` are ids to run as.
    """

    name: str
    arguments: Sequence[str]
    environment: Mapping[str, str]
    directory: Path
    remove: Sequence[Path] = ()
    stop_signal: signal.Signals = signal.SIGTERM
    grace_seconds: float = 10.0
    user: int | None = None
    group: int | None = None
    log: Path = field(default=Path("server.log"))

    def plan(self) -> str:
        """What the supervisor is told. No secrets: command lines are public, environments are not."""
        return json.dumps(
            {
                "command": list(self.arguments),
                "cwd": str(self.directory),
                "log": str(self.log_path),
                "stop_signal": int(self.stop_signal),
                "grace_seconds": self.grace_seconds,
                "remove": [str(path) for path in self.remove],
                "user": self.user,
                "group": self.group,
            }
        )

    @property
    def log_path(self) -> Path:
        """Where the server's output goes (inside `directory` unless `log` is absolute)."""
        return self.directory / self.log


class ServerProcess:
    """One running server. It ends with `stop()`, with the interpreter, or when this process is killed."""

    def __init__(self, command: Command) -> None:
        self._command, self._owner = command, os.getpid()
        with command.log_path.open("ab") as log:
            self._supervisor = subprocess.Popen(
                [sys.executable, "-I", "-S", supervisor.__file__, command.plan()],
                env=dict(command.environment),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the program that uses the server, which then stops it
            )
        atexit.register(self.stop)
        assert self._supervisor.stdout is not None
        announced = self._supervisor.stdout.readline()
        if not announced:
            raise self._failure("could not be started")
        self.pid = int(announced)

    @property
    def alive(self) -> bool:
        """Whether the server still runs."""
        return self._supervisor.poll() is None

    def log_tail(self) -> str:
        """The end of the server's output."""
        return self._command.log_path.read_text(errors="replace")[-LOG_TAIL_CHARACTERS:].strip()

    def wait_until(self, ready: Callable[[], bool], timeout_seconds: float) -> None:
        """Return when `ready()` is true; ServerStartError when the server ends before, or after the timeout."""
        deadline = time.monotonic() + timeout_seconds
        while not ready():
            if not self.alive:
                raise self._failure(f"ended at once with exit code {self._supervisor.returncode}")
            if time.monotonic() > deadline:
                raise self._failure(f"was not ready within {timeout_seconds:g} s")
            time.sleep(POLL_SECONDS)
        if not self.alive:  # what answered is not this server
            raise self._failure(f"ended at once with exit code {self._supervisor.returncode}")

    def stop(self) -> None:
        """Ask the server to end, wait, kill it if need be, and remove its files. Harmless when repeated."""
        if os.getpid() != self._owner:
            return  # a fork of the process it belongs to is ending
        assert self._supervisor.stdin is not None
        assert self._supervisor.stdout is not None
        self._supervisor.stdin.close()
        self._supervisor.wait()
        self._supervisor.stdout.close()
        supervisor.remove(str(path) for path in self._command.remove)
        atexit.unregister(self.stop)

    def _failure(self, what: str) -> ServerStartError:
        log = self.log_tail()
        self.stop()
        kind = PortTakenError if "address already in use" in log.lower() else ServerStartError
        return kind(f"{self._command.name} {what}. Its log ends:\n{log}", log=log)
