"""Records as a relation: the names of a statement become columns, and scans read portion by portion.

What the records are (documents, packs) says a `Source`; it is looked at once, when the first answer needs it.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from typing import TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from dataknobs_data.s3.relations.choosing import Chooser
from dataknobs_data.s3.relations.columns import Column
from dataknobs_data.s3.relations.conditions import Chosen
from dataknobs_data.s3.relations.names import SYSTEM_NAMES, Names, check_apart
from dataknobs_data.s3.relations.portions import Portion, Task
from dataknobs_data.s3.table.shape import REST, Shape
from dataknobs_data.s3.table.sweep import Fan
from dataknobs_data.select.relation import Binding, Path, Relation

T = TypeVar("T")

COUNTED = pa.schema([("_", pa.bool_())])
"""Where a statement names nothing: rows, and nothing of them."""

COUNTED_AT_ONCE = 1 << 17


class Source(ABC):
    """The records of a relation. Raises public errors."""

    fan: Fan = map

    @abstractmethod
    def load(self) -> tuple[Shape, Sequence[Portion]]:
        """The columns of all of them, and what they come in."""

    @abstractmethod
    def expect(self, portions: Sequence[Portion]) -> None:
        """Only these are read next."""

    @abstractmethod
    def count(self) -> int:
        """How many there are. Asked if nothing else is: nothing was loaded."""

    @abstractmethod
    def close(self) -> None:
        """Gives back what it holds."""


@dataclass(frozen=True)
class Bound(Binding):
    """A Binding that knows what its columns are, in order; none: the statement only counts."""

    plan: Mapping[str, Column] = field(default_factory=dict)


class Records(Relation):
    """See Relation."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._lock = threading.RLock()

    # ------------------------------------------------------------------ names
    @cached_property
    def _loaded(self) -> tuple[Shape, Sequence[Portion]]:
        return self._source.load()

    @cached_property
    def _count(self) -> int:
        return self._source.count()

    @cached_property
    def _names(self) -> Names:
        shape, portions = self._loaded
        known = set(shape.kinds).union(*({*(portion.rest_names or ()), *portion.null_names} for portion in portions))
        return Names(known, self._every)

    def _every(self) -> Collection[str]:
        shape, portions = self._loaded
        return set(shape.kinds).union(*self._source.fan(lambda portion: portion.names(), portions))

    @property
    def names(self) -> Collection[str]:
        with self._lock:
            return sorted({*SYSTEM_NAMES, *self._every()})

    # ------------------------------------------------------------------ columns
    def bind(self, paths: Collection[Path], star: bool) -> Binding:
        if not paths and not star:
            return Bound(COUNTED, frozenset(COUNTED.names))
        with self._lock:
            return self._bind(sorted(paths, key=str), star)

    def _bind(self, paths: Sequence[Path], star: bool) -> Binding:
        shape, portions = self._loaded
        shown = [*shape.kinds, REST] if star else []
        meant = {path: name for path in paths if isinstance(path[0], str) and (name := self._names.of(path[0]))}
        check_apart([*shown, *(name for path, name in meant.items() if len(path) == 1)])
        looked_at = [name for path, name in meant.items() if len(path) > 1 or name in shape.kinds]
        chooser = Chooser(shape, portions, self._source.fan, [*shown, *looked_at])
        plan: dict[str, Column] = {name: chooser.column(name, name) for name in shown}
        columns: dict[Path, str] = {}
        for path, name in sorted(meant.items(), key=lambda item: len(item[0])):
            made = chooser.at(path, name, plan)
            if made is not None:
                plan[made.name] = made
                columns[path] = made.name
        if not plan:
            return Bound(COUNTED, frozenset(COUNTED.names))
        schema = pa.schema([(column.name, column.type) for column in plan.values()])
        return Bound(schema, frozenset(plan.keys() - set(shown)), columns, plan)

    # ------------------------------------------------------------------ rows
    def scan(
        self, binding: Binding, columns: Sequence[str], condition: pc.Expression | None
    ) -> Iterator[pa.RecordBatch]:
        assert isinstance(binding, Bound), "it was made by this relation"
        if not binding.plan:
            return self._counted(columns)
        return self._scan(
            self._chosen([binding.plan[name] for name in columns], condition, list(binding.plan.values()))
        )

    def _chosen(self, columns: Sequence[Column], condition: pc.Expression | None, among: Sequence[Column]) -> Chosen:
        return Chosen.of(columns, condition, among)

    def _counted(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        with self._lock:
            rows = self._count
        for start in range(0, rows, COUNTED_AT_ONCE):
            nulls = pa.nulls(min(COUNTED_AT_ONCE, rows - start), pa.bool_())
            yield pa.RecordBatch.from_arrays([nulls for _ in columns], names=list(columns))

    def _scan(self, chosen: Chosen) -> Iterator[pa.RecordBatch]:
        with self._lock:
            _, portions = self._loaded
        portions = [portion for portion in portions if portion.may_answer(chosen)]
        self._source.expect(portions)

        def tasks(portion: Portion) -> Sequence[Task]:
            return list(portion.tasks(chosen))

        def run(task: Task) -> list[pa.RecordBatch]:
            return task()

        fan = self._source.fan
        with (
            closing(_closable(fan(tasks, portions))) as found,
            closing(_closable(fan(run, chain.from_iterable(found)))) as read,
        ):
            yield from chain.from_iterable(read)

    def close(self) -> None:
        self._source.close()


def _closable(items: Iterator[T]) -> Generator[T, None, None]:
    """A fan need not be."""
    yield from items
