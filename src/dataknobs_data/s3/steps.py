"""Which step of the protocol a request belongs to, by its name in the model of the two tiers (tests/model/tiers.py).

The tests hold the requests that were sent against runs of the model: see tests/model/test_traces.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_current: ContextVar[str | None] = ContextVar("dataknobs_step", default=None)


@contextmanager
def step(name: str) -> Iterator[None]:
    """Names the one request to the store that decides, among those which this thread sends inside the block."""
    token = _current.set(name)
    try:
        yield
    finally:
        _current.reset(token)


def current_step() -> str | None:
    """The step that this thread is in."""
    return _current.get()
