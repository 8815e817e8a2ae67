"""Sandboxes that are opened before they are needed."""

from __future__ import annotations

import gc
import glob
import os
import stat
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator

import duckdb
import pytest

from dataknobs_data.select import ahead
from dataknobs_data.select.ahead import Sandboxes
from dataknobs_data.select.sandbox import Limits, Sandbox

LIMITS = Limits(1 << 28)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> Iterator[list[Sandbox]]:
    """All that are opened."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    found: list[Sandbox] = []

    def opening(limits: Limits) -> Sandbox:
        found.append(Sandbox(limits))
        return found[-1]

    monkeypatch.setattr(ahead, "Sandbox", opening)
    yield found
    for sandbox in found:
        sandbox.close()


def folders() -> list[str]:
    return glob.glob(os.path.join(tempfile.gettempdir(), "dataknobs-sql-*"))


def settled() -> None:
    """Ends when those are open that were begun."""
    for thread in threading.enumerate():
        if thread.name == "dataknobs-sandbox":
            thread.join()


def asked(sandboxes: Sandboxes, times: int = 1, limits: Limits = LIMITS) -> None:
    for _ in range(times):
        sandbox = sandboxes.take(limits)
        sandboxes.prepare(limits)
        sandbox.close()
        settled()


def test_one_statement_opens_one(opened: list[Sandbox]) -> None:
    asked(Sandboxes())
    assert len(opened) == 1


def test_from_the_second_on_the_next_is_there(opened: list[Sandbox]) -> None:
    sandboxes = Sandboxes()
    asked(sandboxes, 2)
    assert len(opened) == 3
    taken = sandboxes.take(LIMITS)
    assert taken is opened[2]
    assert taken.connection.execute("SELECT 1").fetchall() == [(1,)]
    assert sandboxes.take(LIMITS) is opened[3], "it is nobody else's"


class Crossing:
    """A lock; whoever gives it back is overtaken by somebody else, once."""

    def __init__(self, overtake: Callable[[], None]) -> None:
        self._lock = threading.Lock()
        self._overtake: Callable[[], None] | None = overtake

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()
        overtake, self._overtake = self._overtake, None
        if overtake:
            overtake()


def test_of_two_who_come_at_once_one_gets_it(opened: list[Sandbox]) -> None:
    sandboxes = Sandboxes()
    asked(sandboxes, 2)
    others: list[Sandbox] = []
    sandboxes._lock = Crossing(lambda: others.append(sandboxes.take(LIMITS)))  # type: ignore[assignment]
    mine = sandboxes.take(LIMITS)
    assert len(others) == 1
    assert mine is not others[0]
    assert opened[2] in (mine, others[0])


def test_one_that_is_being_opened_is_waited_for(opened: list[Sandbox], monkeypatch: pytest.MonkeyPatch) -> None:
    sandboxes = Sandboxes()
    asked(sandboxes, 2)
    sandboxes.take(LIMITS).close()
    held, plain = threading.Event(), ahead.Sandbox

    def slow(limits: Limits) -> Sandbox:
        held.wait()
        return plain(limits)

    monkeypatch.setattr(ahead, "Sandbox", slow)
    sandboxes.prepare(LIMITS)
    sandboxes.prepare(LIMITS)
    threading.Timer(0.05, held.set).start()
    assert sandboxes.take(LIMITS) is opened[-1]
    assert len(opened) == 4, "and there is only ever one"


def test_limits_are_those_of_who_asks(opened: list[Sandbox]) -> None:
    sandboxes = Sandboxes()
    asked(sandboxes, 2)
    other = sandboxes.take(Limits(1 << 27))
    assert other.connection.execute("SELECT current_setting('memory_limit')").fetchall() == [("128.0 MiB",)]
    with pytest.raises(duckdb.ConnectionException, match="closed"):
        opened[2].connection.execute("SELECT 1")


def test_what_went_wrong_ahead_is_tried_again(opened: list[Sandbox], monkeypatch: pytest.MonkeyPatch) -> None:
    sandboxes, plain = Sandboxes(), ahead.Sandbox

    def broken(limits: Limits) -> Sandbox:
        raise OSError("no space left")

    asked(sandboxes, 2)
    sandboxes.take(LIMITS).close()
    monkeypatch.setattr(ahead, "Sandbox", broken)
    sandboxes.prepare(LIMITS)
    settled()
    with pytest.raises(OSError, match="no space"):
        sandboxes.take(LIMITS)
    sandboxes.prepare(LIMITS)
    settled()
    monkeypatch.setattr(ahead, "Sandbox", plain)
    assert sandboxes.take(LIMITS) is opened[-1]


@pytest.mark.parametrize("end", [Sandboxes.close, lambda sandboxes: None], ids=["closed", "forgotten"])
def test_nothing_stays(opened: list[Sandbox], end: Callable[[Sandboxes], None]) -> None:
    sandboxes = Sandboxes()
    asked(sandboxes, 2)
    assert folders() == [], "nor where the process is killed now"
    opened[2].lock(60)
    assert [stat.S_IMODE(os.stat(folder).st_mode) for folder in folders()] == [0o700]
    end(sandboxes)
    del sandboxes
    opened.clear()
    gc.collect()
    assert folders() == []


def test_nothing_is_opened_for_who_has_closed(opened: list[Sandbox]) -> None:
    sandboxes = Sandboxes()
    asked(sandboxes, 2)
    sandboxes.close()
    sandboxes.prepare(LIMITS)
    settled()
    assert len(opened) == 3
    assert folders() == []


def test_where_no_thread_can_be_begun_nothing_is_opened_ahead(
    opened: list[Sandbox], monkeypatch: pytest.MonkeyPatch
) -> None:
    sandboxes = Sandboxes()

    def refused(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refused)
        asked(sandboxes, 3)
    assert len(opened) == 3
    asked(sandboxes)
    assert len(opened) == 5
    sandboxes.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks")
def test_a_fork_gets_none(opened: list[Sandbox]) -> None:
    sandboxes = Sandboxes()
    asked(sandboxes, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # from Python 3.12 on, where there are threads
        child = os.fork()
    if not child:
        os._exit(0)
    os.waitpid(child, 0)
    with pytest.raises(duckdb.ConnectionException, match="closed"):
        opened[2].connection.execute("SELECT 1")
    asked(sandboxes)
    assert sandboxes.take(LIMITS) is opened[-1]
