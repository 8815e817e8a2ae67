"""Calls into DuckDB that take long, made so that Ctrl-C ends them.

Python hears a signal in the main thread alone, and not before a call there has returned; DuckDB itself looks for signals in some
of its calls, and turns them into errors of its own. So the main thread lets another one make the call, and waits.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import wait as wait_for
from typing import TypeVar

T = TypeVar("T")

STEP = 0.05
"""Seconds between two interruptions: one that comes before anything runs has no effect."""


def interruptible(call: Callable[[], T], interrupt: Callable[[], None]) -> T:
    """What `call` gives. On KeyboardInterrupt `interrupt` is called until it has come out; then that is raised."""
    if threading.current_thread() is not threading.main_thread():
        return call()
    future: Future[T] = Future()
    threading.Thread(target=_work, args=(call, future), name="dataknobs-sql", daemon=True).start()
    try:
        return future.result()
    except KeyboardInterrupt:
        while not future.done():
            interrupt()
            wait_for([future], STEP)
        raise


def _work(call: Callable[[], T], future: Future[T]) -> None:
    try:
        future.set_result(call())
    except BaseException as error:  # noqa: BLE001  it is raised where the result is waited for
        future.set_exception(error)
