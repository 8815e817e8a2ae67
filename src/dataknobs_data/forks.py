"""What a forked process must not go on with: threads and locks that stayed with its parent, connections and counters that both
would use.

A library that runs native threads cannot be told of a fork. It stays as it is in the child, without its threads, and
shares what the kernel keeps for it with the parent: `inherited` says so, and another way must be taken.
"""

from __future__ import annotations

import os
import sys
import weakref
from typing import Protocol

NATIVE = ("obstore",)
"""Modules whose threads a child lacks. With obstore 0.12.1 every request in a child hangs, and what it asks of the epoll instance
that both have can end the *parent* by a segmentation fault."""


class Forked(Protocol):
    """Something that takes notice of a fork."""

    def forked(self) -> None:
        """This is a child: what it has is its parent's. Called when no other thread runs yet."""


_told: weakref.WeakSet[Forked] = weakref.WeakSet()
_inherited: set[str] = set()


def tell_of_forks(one: Forked) -> None:
    """From now on, for as long as it lives."""
    _told.add(one)


def inherited(module: str) -> bool:
    """Whether this process was forked from one that had imported that module of NATIVE."""
    return module in _inherited


def _in_child() -> None:
    _inherited.update(name for name in NATIVE if name in sys.modules)
    for one in list(_told):
        one.forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
