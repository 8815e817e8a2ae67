"""Runs one server as its child and takes it down when whoever started it is gone. A script, not a module to import.

Why a process of its own rather than PR_SET_PDEATHSIG: that signal is sent when the *thread* that forked ends, not the
process, so a server started from a worker thread would die with the thread; it needs `preexec_fn`, which may deadlock
in programs with threads; and it exists on Linux alone. Here the parent holds the write end of our standard input:
the kernel closes it however the parent dies, and we stop the server, wait, kill what is left, and remove its files.

Run as `python -I -S supervisor.py PLAN`; PLAN is JSON: command, cwd, log, stop_signal, grace_seconds, remove, user,
group. The environment (secrets too) is handed on as it is. Prints the server's process id, then waits; exits with the
server's exit code.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any


def remove(paths: Iterable[str]) -> None:
    """Delete files and whole folders; what is gone already is fine."""
    for path in map(Path, paths):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def supervise(plan: dict[str, Any]) -> int:
    """Start the server, outlive it, and return its exit code."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # Only the end of our input stops the server. Not SIG_IGN: the server would inherit it.
        signal.signal(number, lambda *_: None)
    with open(plan["log"], "ab") as log:
        server = subprocess.Popen(
            plan["command"],
            cwd=plan["cwd"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            user=plan["user"],
            group=plan["group"],
            extra_groups=None if plan["user"] is None else [],
        )
    print(server.pid, flush=True)
    threading.Thread(target=_stop_at_end_of_input, args=(server, plan), daemon=True).start()
    code = server.wait()
    _kill_group(server.pid)
    if _orphaned.is_set():
        remove(plan["remove"])
    return code


_orphaned = threading.Event()


def _stop_at_end_of_input(server: subprocess.Popen[bytes], plan: dict[str, Any]) -> None:
    while os.read(0, 1):  # not sys.stdin, whose lock this thread would still hold when the interpreter ends
        pass
    _orphaned.set()
    server.send_signal(plan["stop_signal"])
    try:
        server.wait(plan["grace_seconds"])
    except subprocess.TimeoutExpired:
        _kill_group(server.pid)


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):  # nobody of the group is left, as it should be
        os.killpg(pid, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(supervise(json.loads(sys.argv[1])))
