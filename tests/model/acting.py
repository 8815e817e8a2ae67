"""The code's side of a run: public operations, each in a thread that waits before every step of the protocol."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from dataknobs_data.s3.steps import current_step
from tests.model.stores import OBJECT, RECORD, Mismatch, Store, open_database
from tests.model.turns import Kind
from tests.unit.log_fakes import KEYS
from tests.unit.s3_fakes import FakeWorld

WAIT_SECONDS = 20


class Died(BaseException):
    """Ends the thread of an actor that is not to go on."""


LISTINGS = {"log": KEYS.log, "marks": KEYS.loads, "objects": KEYS.prefix}


def _kind(method: str, key: str) -> str | None:
    """What a request is about."""
    if method == "list_page":
        return next((kind for kind, prefix in LISTINGS.items() if key.startswith(prefix)), None)
    if key == OBJECT:
        return "object"
    if key.startswith(KEYS.log) and method == "put":
        return "commit"
    return "mark" if key.startswith(KEYS.loads) and method == "put" else None


OF_VERSIONS = ("bulk_update.check", "bulk_update.judge")
"""Looks that decide nothing where nobody names a version: they are steps of the other model (cas.py)."""

SEVERAL = {("load.undo", "log"): "load.undo", ("load.undo", "commit"): "load.withdraw"}
"""Blocks of the code in which more than one request decides."""


class Door:
    """A store for one actor: requests that are steps wait until it is let through."""

    def __init__(self, store: Store, actor: Actor) -> None:
        self._store = store
        self._actor = actor

    def close(self) -> None: ...

    def __getattr__(self, method: str) -> Callable[..., Any]:
        send = getattr(self._store, method)

        def request(*args: Any, **named: Any) -> Any:
            self._actor.comes(method, args[0] if args and isinstance(args[0], str) else "")
            return send(*args, **named)

        return request


class Actor:
    """A thread that carries out one public operation, from door to door. `at`: the step before which it waits."""

    def __init__(self, name: str, kind: Kind, store: Store, world: FakeWorld) -> None:
        numbers = itertools.count(1)
        runtime = replace(world.runtime, new_id=lambda: f"{name}_{next(numbers)}")
        self.kind = kind
        self.at: str | None = None
        self.result: Any = None
        self._name = name
        self._block: str | None = None
        self._open = True
        self._dead = False
        self._turn, self._waits = threading.Lock(), threading.Lock()
        self._turn.acquire()
        self._waits.acquire()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.database = open_database(Door(store, self), runtime, kind.settings)
        if kind.held:
            self.database.read(RECORD)
        self._open = False

    def begin(self) -> None:
        """Goes as far as its first door."""
        self._thread.start()
        self._until_it_waits()

    def proceed(self) -> None:
        """Lets it through its door, and on to the next or to its end."""
        self._turn.release()
        self._until_it_waits()

    def _until_it_waits(self) -> None:
        if not self._waits.acquire(timeout=WAIT_SECONDS):
            raise Mismatch(f"{self._name} hangs after {self.at}")

    def comes(self, method: str, key: str) -> None:
        """A request of its database is at the door."""
        if self._dead:
            raise Died
        step, kind = current_step(), _kind(method, key)
        step = None if step in OF_VERSIONS else step
        if self._open or threading.current_thread() is not self._thread:
            return
        block, self._block = self._block, step
        if step is None or (step == block and (step, kind) not in SEVERAL):
            return
        self.at = SEVERAL.get((step, kind or ""), step)
        self._waits.release()
        self._turn.acquire()
        if self._dead:
            raise Died

    def _run(self) -> None:
        try:
            self.result = self.kind.operation(self.database, self._name)
        except Died:
            pass
        except Exception as error:  # noqa: BLE001  the model has no such result: it is told there
            self.result = error
        self.at = None
        self._waits.release()

    def end(self) -> None:
        """Gives up what is still going on."""
        self._dead = True
        if self._thread.ident is not None:
            if self._thread.is_alive() and self.at is not None:
                self._turn.release()
            self._thread.join(WAIT_SECONDS)
        self.database.close()
