"""The ids that users gave the records of a load: which came before, and at which place of the input."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc


class OwnIds:
    """As columns: a million ids take some 35 MB. A set of them is made only if they do not come in ascending order."""

    def __init__(self) -> None:
        self._ids: list[pa.Array] = []
        self._indexes: list[pa.Array] = []
        self._last = ""
        self._seen: set[str] | None = None
        self._gone: set[str] = set()
        self.count = 0

    def __bool__(self) -> bool:
        return self.count > 0

    def repeats(self, ids: Sequence[str]) -> set[int]:
        """Positions in `ids` of those that stand before themselves, here or among those taken so far."""
        if self._seen is None and all(low < high for low, high in zip([self._last, *ids], ids, strict=False)):
            return set()
        if self._seen is None:
            self._seen = {id for chunk in self._ids for id in chunk.to_pylist()}
        seen, found = self._seen, set()
        fresh: set[str] = set()
        for place, id in enumerate(ids):
            if id in seen or id in fresh:
                found.add(place)
            fresh.add(id)
        return found

    def take(self, ids: Sequence[str], indexes: Sequence[int]) -> None:
        """Adds ids that are no repeats, with their places in the input."""
        if not ids:
            return
        self._ids.append(pa.array(ids, pa.string()))
        self._indexes.append(pa.array(indexes, pa.int64()))
        self._last = ids[-1]
        self.count += len(ids)
        if self._seen is not None:
            self._seen.update(ids)

    def drop(self, ids: Iterable[str]) -> None:
        """From now on these are not among them."""
        self._gone.update(ids)

    def every(self) -> Iterator[str]:
        """All of them."""
        return (id for chunk in self._ids for id in chunk.to_pylist() if id not in self._gone)

    def among(self, ids: Collection[str]) -> list[str]:
        """Those of `ids` that are among them."""
        if not ids or not self._ids:
            return []
        given = pa.array(ids, pa.string())
        named = given.filter(pc.is_in(given, value_set=pa.concat_arrays(self._ids)))
        return [id for id in named.to_pylist() if id not in self._gone]

    def indexes(self, ids: Iterable[str]) -> Iterator[tuple[str, int]]:
        """Each of these ids with its place in the input."""
        wanted = pa.array(sorted(set(ids)), pa.string())
        for chunk, indexes in zip(self._ids, self._indexes, strict=True):
            named = pc.is_in(chunk, value_set=wanted)
            yield from zip(chunk.filter(named).to_pylist(), indexes.filter(named).to_pylist(), strict=True)
