"""What stands in front of the table: a listing of all objects, told apart into documents and tombstones."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import pyarrow as pa
import pyarrow.compute as pc

from dataknobs_data.exceptions import DataFormatError
from dataknobs_data.s3.fanout import FanOut
from dataknobs_data.s3.listing import Lister
from dataknobs_data.s3.objects import Found, Grave, Objects, outlined
from dataknobs_data.s3.store import Fault, Kind, Listed
from dataknobs_data.s3.table.shape import BORN, ID
from dataknobs_data.s3.tombstones import may_be_tombstone

Lines = Mapping[str, Listed]


@dataclass(frozen=True)
class Front:
    """Documents by id, which hide all rows of their ids; and for the ids of tombstones the births that those kill."""

    documents: Lines
    graves: Mapping[str, frozenset[str]] = field(default_factory=dict)
    tombstones: Lines = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.documents or self.graves)

    @property
    def size(self) -> int:
        """How many objects."""
        return len(self.documents) + len(self.graves)

    @property
    def ids(self) -> Iterable[str]:
        """All of them."""
        return [*self.documents, *self.graves]

    def outside(self, prefixes: tuple[str, ...]) -> Front:
        """Without the objects whose keys begin so."""
        if not prefixes:
            return self
        documents = {id: line for id, line in self.documents.items() if not line.key.startswith(prefixes)}
        tombstones = {id: line for id, line in self.tombstones.items() if not line.key.startswith(prefixes)}
        return Front(documents, {id: self.graves[id] for id in tombstones}, tombstones)

    @property
    def needs(self) -> frozenset[str]:
        """The columns by which it is decided which rows it hides."""
        return frozenset([BORN] if self.graves else [])

    def hides(self, id: str, born: str) -> bool:
        """Whether it hides that row."""
        return id in self.documents or born in self.graves.get(id, ())

    def is_near(self, low: str | None, high: str | None) -> bool:
        """Whether it has an object with an id between these (None: without end)."""
        return any(_among(ids, low, high) for ids in (self._documents, self._graves))

    @cached_property
    def _documents(self) -> list[str]:
        return sorted(self.documents)

    @cached_property
    def _graves(self) -> list[str]:
        return sorted(self.graves)

    def visible(self, table: pa.Table) -> pa.Table:
        """The rows that it does not hide."""
        documents = _near(table, self._documents)
        if documents is not None:
            table = table.filter(pc.invert(pc.is_in(table[ID], value_set=documents)))
        graves = _near(table, self._graves)
        if graves is None or not pc.any(pc.is_in(table[ID], value_set=graves), min_count=0).as_py():
            return table
        rows = zip(table[ID].to_pylist(), table[BORN].to_pylist(), strict=True)
        return table.filter(pa.array([not self.hides(id, born) for id, born in rows], pa.bool_()))


def _near(table: pa.Table, ids: list[str]) -> pa.StringArray | None:
    """Of sorted ids those between the least and the greatest of these rows: Arrow would hash all others for each row group."""
    if not ids or not table.num_rows:
        return None
    ends = pc.min_max(table[ID].cast(pa.string()))
    near = _among(ids, ends["min"].as_py(), ends["max"].as_py())
    return pa.array(near, pa.string()) if near else None


def _among(ids: list[str], low: str | None, high: str | None) -> list[str]:
    """Of sorted ids those from `low` to `high`."""
    return ids[0 if low is None else bisect_left(ids, low) : None if high is None else bisect_right(ids, high)]


def front_of(listed: Lines, objects: Objects, many: FanOut) -> Front:
    """What a listing shows; one GET for each tombstone that is not in memory. Ask the log after this, never before: of what is
    gone since it was listed, that alone tells whether there is a record.
    """
    doubtful = [id for id, line in listed.items() if may_be_tombstone(line.size)]
    found = dict(zip(doubtful, many.map(lambda id: standing(objects, id, listed[id]), doubtful), strict=True))
    graves = {id: one.tombstone.kills for id, one in found.items() if isinstance(one, Grave)}
    no_documents = graves.keys() | {id for id, one in found.items() if one is None}
    if not no_documents:
        return Front(listed)
    documents = {id: line for id, line in listed.items() if id not in no_documents}
    return Front(documents, graves, {id: listed[id] for id in graves})


def standing(objects: Objects, id: str, line: Listed) -> Found:
    """What stands behind a line of a listing; of what is archived or makes no sense, what its headers say (1 HEAD)."""
    try:
        return objects.look_listed(id, line)
    except Fault as fault:
        if fault.kind is not Kind.ARCHIVED:
            raise
    except DataFormatError:
        pass
    head = objects.head(id)
    return outlined(id, head) if head else None


def whole_front(lister: Lister, objects: Objects, many: FanOut, prefix: str = "") -> Front:
    """All objects whose ids begin with `prefix`."""
    return front_of(lister.records(prefix), objects, many)
