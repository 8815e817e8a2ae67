"""The rows of the table that a bulk update is about to replace."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from dataknobs_data.s3.table.shape import BORN, ID, REVISION
from dataknobs_data.s3.tiered.own_ids import OwnIds

_PACK = "pack"


class Place(NamedTuple):
    """A row, and the path of the pack that has it."""

    id: str
    born: str
    revision: str
    path: str


class Replaced:
    """As columns: a million rows of one load take some 40 MB. `own`: their ids, with the places of their new versions."""

    def __init__(self) -> None:
        self.own = OwnIds()
        self._chunks: list[pa.Table] = []
        self._paths: list[str] = []

    def take(self, rows: Sequence[Place], indexes: Sequence[int]) -> None:
        """Adds rows."""
        if not rows:
            return
        self.own.take([row.id for row in rows], indexes)
        columns = {
            ID: pa.array([row.id for row in rows], pa.string()),
            BORN: pa.array([row.born for row in rows], pa.string()).dictionary_encode(),
            REVISION: pa.array([row.revision for row in rows], pa.string()).dictionary_encode(),
            _PACK: self._numbers(row.path for row in rows),
        }
        self._chunks.append(pa.table(columns))

    def _numbers(self, paths: Iterable[str]) -> pa.Array:
        numbers = {path: number for number, path in enumerate(self._paths)}
        found = pa.array([numbers.setdefault(path, len(numbers)) for path in paths], pa.int32())
        self._paths = list(numbers)
        return found

    def paths(self) -> set[str]:
        """Of the packs that have them."""
        numbers = {number for chunk in self._chunks for number in pc.unique(chunk[_PACK]).to_pylist()}
        return {self._paths[number] for number in numbers}

    def ids_in(self, path: str) -> pa.Array:
        """The ids of the rows in a pack, in order."""
        number = self._paths.index(path)
        found = [chunk[ID].filter(pc.equal(chunk[_PACK], number)) for chunk in self._chunks]
        ids = pa.chunked_array([piece for one in found for piece in one.chunks], pa.string()).combine_chunks()
        return ids.take(pc.sort_indices(ids))

    def elsewhere(self, paths: Collection[str]) -> Iterator[list[Place]]:
        """Those that lie in other packs than these, some at a time."""
        gone = pa.array([number for number, path in enumerate(self._paths) if path not in paths], pa.int32())
        for chunk in self._chunks:
            rows = chunk.filter(pc.is_in(chunk[_PACK], value_set=gone))
            if rows.num_rows:
                values = (rows[name].to_pylist() for name in (ID, BORN, REVISION, _PACK))
                yield [Place(id, born, revision, self._paths[n]) for id, born, revision, n in zip(*values, strict=True)]

    def revisions(self, ids: Collection[str]) -> dict[str, str]:
        """Of the rows of those of these ids that are among them."""
        wanted = pa.array(sorted(ids), pa.string())
        found: dict[str, str] = {}
        for chunk in self._chunks:
            rows = chunk.filter(pc.is_in(chunk[ID], value_set=wanted))
            found.update(zip(rows[ID].to_pylist(), rows[REVISION].to_pylist(), strict=True))
        return found

    def move(self, places: Mapping[str, Place]) -> None:
        """From now on these ids' rows lie in other packs, and may have other revisions."""
        for number, chunk in enumerate(self._chunks):
            values = (chunk[name].to_pylist() for name in (ID, REVISION, _PACK))
            rows = [
                (there.revision, there.path) if (there := places.get(id)) else (revision, self._paths[n])
                for id, revision, n in zip(*values, strict=True)
            ]
            revisions = pa.array([revision for revision, _ in rows], pa.string()).dictionary_encode()
            kept = chunk.select([ID, BORN])
            moved = self._numbers(path for _, path in rows)
            self._chunks[number] = kept.append_column(REVISION, revisions).append_column(_PACK, moved)

    def drop(self, ids: Collection[str]) -> None:
        """These are not to be replaced after all."""
        self.own.drop(ids)
        gone = pa.array(sorted(ids), pa.string())
        self._chunks = [chunk.filter(pc.invert(pc.is_in(chunk[ID], value_set=gone))) for chunk in self._chunks]
