"""What a forked process must not go on with: threads and locks that stayed with its parent, connections and counters that both
would use.

A library that runs native threads cannot be told of a fork. It stays as it is in the child, without its threads, and
shares what the kernel keeps for it with the parent: `inherited` says so, and another way must be taken.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from weakref import WeakMethod

NATIVE = ("obstore",)
"""Modules whose threads a child lacks. With obstore 0.12.1 every request in a child hangs, and what it asks of the epoll instance
that both have can end the *parent* by a segmentation fault."""

_calls: set[WeakMethod[Callable[[], None]]] = set()
_inherited: set[str] = set()


def in_child(method: Callable[[], None]) -> None:
    """Calls that method in every process that is forked from this one, before any other thread runs there, while its object lives."""
    _calls.add(WeakMethod(method, _calls.discard))


def inherited(module: str) -> bool:
    """Whether this process was forked from one that had imported that module of NATIVE."""
    return module in _inherited


def _in_child() -> None:
    _inherited.update(name for name in NATIVE if name in sys.modules)
    for reference in list(_calls):
        if call := reference():
            call()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
