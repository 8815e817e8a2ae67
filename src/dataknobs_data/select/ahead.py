"""Sandboxes that are opened before they are needed: DuckDB 2.0 takes 20 ms for it, which many statements do not take themselves."""

from __future__ import annotations

import os
import threading
import weakref
from concurrent.futures import Future

from dataknobs_data.select.sandbox import Limits, Sandbox

BEGIN_WITH = 2
"""Whoever has asked so many times will ask again. An idle sandbox takes 4 MB."""


class Sandboxes:
    """Those of one database. Safe to use from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken = 0
        self._closed = False
        self._next: Future[Sandbox] | None = None
        _EVERY.add(self)

    def take(self, limits: Limits) -> Sandbox:
        """One that nobody has used. To be closed."""
        with self._lock:
            ready, self._next = self._next, None
            self._taken += 1
        if ready is not None and ready.exception() is None:
            sandbox = ready.result()
            if sandbox.memory_bytes == limits.memory_bytes:
                return sandbox
            sandbox.close()
        return Sandbox(limits)

    def prepare(self, limits: Limits) -> None:
        """Opens the next one, in another thread, where it is likely to be needed."""
        with self._lock:
            if self._closed or self._next is not None or self._taken < BEGIN_WITH:
                return
            made: Future[Sandbox] = Future()
            try:
                threading.Thread(target=_make, args=(made, limits), name="dataknobs-sandbox").start()
            except RuntimeError:
                return  # there are too many threads, or the interpreter ends: a statement can do without
            self._next = made

    def close(self) -> None:
        """Closes the one that nobody took; from here on none is opened ahead."""
        with self._lock:
            self._closed = True
        self.drop()

    def drop(self) -> None:
        """Closes the one that nobody took."""
        with self._lock:
            ready, self._next = self._next, None
        if ready is not None and ready.exception() is None:
            ready.result().close()


def _make(made: Future[Sandbox], limits: Limits) -> None:
    try:
        made.set_result(Sandbox(limits))
    except BaseException as error:  # noqa: BLE001  # whoever would have taken it tries again, and is told
        made.set_exception(error)


_EVERY: weakref.WeakSet[Sandboxes] = weakref.WeakSet()


def _drop_all() -> None:
    for sandboxes in list(_EVERY):
        sandboxes.drop()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_drop_all)  # DuckDB waits for its threads, which a fork does not have
