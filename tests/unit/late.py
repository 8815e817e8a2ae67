"""An engine that makes no change visible before all of them have come, as one that commits does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dataknobs_data.backends.memory import MemoryEngine
from dataknobs_data.database import SyncDatabase
from dataknobs_data.documents import Change, Document, Verb
from dataknobs_data.engine import Bulk, Engine, Settled
from dataknobs_data.exceptions import DataknobsDataError, SerializationError
from dataknobs_data.runtime import Runtime


class LateBulk(Bulk):
    """Says at once what is wrong with a record that has a field `early`. All else it says at `finish`, from the last to
    the first: which records are written only for those with a field `sure`.

    `fail_add`: the number of the `add` that fails, from 1; `fail_finish`: so does `finish`. `ended`: what it was told.
    """

    def __init__(self, engine: MemoryEngine, fail_add: int = 0, fail_finish: bool = False) -> None:
        self.engine = engine
        self.waiting: list[tuple[int, Change]] = []
        self.added = self.adds = 0
        self.ended: list[str] = []
        self.error = DataknobsDataError("the commit failed")
        self._fail_add = fail_add
        self._fail_finish = fail_finish

    def add(self, changes: Sequence[Change]) -> list[Settled]:
        assert changes
        assert not self.ended
        self.adds += 1
        if self.adds == self._fail_add:
            raise self.error
        news: list[Settled] = []
        for index, change in enumerate(changes, self.added):
            if "early" in change.record.data:
                error = SerializationError("no form", id=change.id)
                news.append(Settled(index, error, change.record, change.id))
            else:
                self.waiting.append((index, change))
        self.added += len(changes)
        return news

    def finish(self) -> list[Settled]:
        assert not self.ended
        if self._fail_finish:
            raise self.error
        self.ended.append("finished")
        news: list[Settled] = []
        for index, change in self.waiting:
            [outcome] = self.engine.apply_many([change])
            if isinstance(outcome, DataknobsDataError):
                news.append(Settled(index, outcome, change.record, change.id))
            elif outcome is None:
                news.append(Settled(index, False))
            elif isinstance(outcome, Document) and "sure" in outcome.data:
                news.append(Settled(index, True))
        return news[::-1]

    def abandon(self) -> None:
        self.ended.append("abandoned")


class LateEngine(MemoryEngine):
    """`bulks` holds every bulk that was asked for, with its verb; `faults` go to the next ones."""

    def __init__(self, runtime: Runtime, faults: dict[str, Any]) -> None:
        super().__init__(runtime)
        self.bulks: list[tuple[Verb, LateBulk]] = []
        self._faults = faults

    def bulk(self, verb: Verb) -> Bulk:
        made = LateBulk(self, **self._faults)
        self.bulks.append((verb, made))
        return made


class LateDatabase(SyncDatabase):
    """A database on a LateEngine; `faults` are LateBulk's."""

    backend = "late"
    engine: LateEngine

    def __init__(self, config: object = None, *, runtime: Runtime | None = None, **faults: Any) -> None:
        self._faults = faults
        super().__init__({}, runtime=runtime)

    def make_engine(self, config: dict[str, Any], runtime: Runtime) -> Engine:  # type: ignore[override]
        self.engine = LateEngine(runtime, self._faults)
        return self.engine

    @property
    def last(self) -> LateBulk:
        """The bulk that was asked for last."""
        return self.engine.bulks[-1][1]
