"""Both tiers against one dictionary: whatever is written, loaded, folded and vacuumed, every reader sees the same records."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any
from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st

from dataknobs_data.backends.memory import MemoryDatabase
from dataknobs_data.database import SyncDatabase
from dataknobs_data.exceptions import BatchError, DuplicateRecordError
from dataknobs_data.query import Query
from dataknobs_data.records import Record
from dataknobs_data.s3.tiered.catalog import Packed
from tests.properties.strategies import likely_records, queries
from tests.unit.tiered_world import OPERATION_OVER, TieredWorld

IDS = ["a", "ab", "abc", "b", "1", "2024-05-01", "2024-05-01T12:00:00Z", "user/1"]
"""Those of `likely_records`."""

LONG = "long " * 4000
"""Longer than the bounds that a pack's statistics have."""

typed = st.sampled_from([1, 2, 3.5, True, "x", "y", None, float("nan"), LONG, 2**70])
"""Values whose columns have a type until somebody changes it."""


@st.composite
def column_records(draw: st.DrawFn) -> Record:
    """Records of which most have the same columns: all null, missing, of another type."""
    data: dict[str, Any] = {"n": draw(st.integers(0, 9) | st.none()), "void": None}
    data |= draw(st.dictionaries(st.sampled_from(["a", "b", "n", "new"]), typed, max_size=3))
    return Record(data, draw(st.dictionaries(st.just("m"), st.integers(0, 2))), draw(st.sampled_from(IDS)))


records = likely_records() | column_records()
batches = st.lists(records, min_size=1, max_size=6)


class Step:
    """One thing to do, with its name for whoever reads a failure."""

    def __init__(self, name: str, do: Callable[[SyncDatabase], object], *given: object) -> None:
        self._name = f"{name}({', '.join(map(repr, given))})"
        self.do = do

    def __repr__(self) -> str:
        return self._name


def _told(do: Callable[[SyncDatabase], object], database: SyncDatabase) -> object:
    """What it answers, as far as all backends say the same."""
    try:
        return do(database)
    except DuplicateRecordError:
        return "duplicate"
    except BatchError as error:
        return sorted(error.succeeded.items()), sorted((index, id) for index, (id, _) in error.failed.items())


def _named(record: Record) -> tuple[str, Record]:
    assert record.id
    return record.id, record.copy()


WRITES: st.SearchStrategy[Step] = st.one_of(
    records.map(lambda one: Step("create", lambda db: db.create(one.copy()), one)),
    records.map(lambda one: Step("update", lambda db: db.update(*_named(one)), one)),
    records.map(lambda one: Step("upsert", lambda db: db.upsert(*_named(one)), one)),
    st.sampled_from(IDS).map(lambda id: Step("delete", lambda db: db.delete(id), id)),
    batches.map(lambda many: Step("batch_create", lambda db: db.batch_create([one.copy() for one in many]), many)),
    batches.map(lambda many: Step("batch_update", lambda db: db.batch_update([_named(one) for one in many]), many)),
    batches.map(lambda many: Step("batch_upsert", lambda db: db.batch_upsert([_named(one) for one in many]), many)),
    st.lists(st.sampled_from(IDS), max_size=5).map(
        lambda ids: Step("batch_delete", lambda db: db.batch_delete(ids), ids)
    ),
)


def _compact(full: bool, wait: bool) -> Step:
    return Step("compact", lambda db: db.compact(full=full, wait=wait) and None, full, wait)  # type: ignore[attr-defined]


UPKEEP: st.SearchStrategy[Step] = st.one_of(
    st.builds(_compact, st.booleans(), st.booleans()),
    st.just(Step("vacuum", lambda db: db.vacuum(retention=timedelta(days=1)) and None)),  # type: ignore[attr-defined]
)

TIMES = st.sampled_from([0, 1, 30, 130, 400, 90_000])
"""Seconds that pass: within a second, a deadline, the grace period, what a load may take, a vacuum's retention."""

STEPS = st.lists(st.tuples(WRITES | WRITES | UPKEEP, TIMES, st.integers(0, 1)), max_size=12)


def _shown(record: Record) -> object:
    return record.id, {name: repr(value) for name, value in record.data.items()}, repr(record.metadata)


def _same(ours: SyncDatabase, theirs: MemoryDatabase, asked: Sequence[Query]) -> None:
    assert ours.count() == theirs.count()
    assert ours.list_ids() == theirs.list_ids()
    assert list(map(_maybe, ours.batch_read(IDS))) == list(map(_maybe, theirs.batch_read(IDS)))
    for id in IDS[:2]:
        assert ours.exists(id) == theirs.exists(id)
    for query in asked:
        wanted = list(map(_shown, theirs.search(query)))
        assert list(map(_shown, ours.search(query))) == wanted, query
        assert list(map(_shown, ours.stream_read(query))) == wanted, query
        assert ours.count(query) == theirs.count(query), query


def _maybe(record: Record | None) -> object:
    return record and _shown(record)


def _perform(steps: Sequence[tuple[Step, int, int]], asked: Sequence[Query], **settings: Any) -> None:
    world = TieredWorld(**settings)
    processes = [world.open(), world.open()]
    reference = MemoryDatabase(runtime=world.world.runtime)
    for step, seconds, number in steps:
        ours = _told(step.do, processes[number])
        assert ours is None or ours == _told(step.do, reference), step
        world.passes(seconds)
        _same(processes[1 - number], reference, ())
    for process in [*processes, world.open()]:
        _same(process, reference, asked)
    with patch.object(Packed, "facts", None):
        _same(world.open(), reference, asked)
    world.passes(OPERATION_OVER)  # what several creations contest is left for so long
    processes[0].compact(full=True, wait=True)
    assert not world.hot(), "compactions alone bring it to rest"
    _same(processes[1], reference, asked)


@given(STEPS, st.lists(queries(), max_size=3))
def test_both_tiers_are_one_database(steps: list[tuple[Step, int, int]], asked: list[Query]) -> None:
    _perform(steps, asked)


@given(batches, STEPS, st.lists(queries(), max_size=3))
def test_what_was_loaded_and_changed_is_one_database(
    loaded: list[Record], steps: list[tuple[Step, int, int]], asked: list[Query]
) -> None:
    load = Step("batch_upsert", lambda db: db.batch_upsert([_named(one) for one in loaded]), loaded)
    _perform([(load, 400, 0), (_compact(False, False), 400, 0), *steps], asked, pack_threshold=1)
