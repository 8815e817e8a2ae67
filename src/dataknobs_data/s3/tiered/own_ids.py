"""The ids that users gave the records of a load: which came before, and at which place of the input."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import chain
from operator import lt

import pyarrow as pa
import pyarrow.compute as pc

from dataknobs_data.s3.tiered.hashes import Hashes

RECENT_MAX = 1 << 16
"""Ids that are held as they are, to compare others with: that is the fastest. Of those before them the hashes are."""


class OwnIds:
    """As columns: a million ids take some 35 MB, and 16 more if they do not come in ascending order."""

    def __init__(self) -> None:
        self._ids: list[pa.Array] = []
        self._indexes: list[pa.Array] = []
        self._last = ""
        self._recent: set[str] | None = None
        self._older = Hashes()
        self._gone: set[str] = set()
        self.count = 0

    def __bool__(self) -> bool:
        return self.count > 0

    def repeats(self, ids: Sequence[str]) -> set[int]:
        """Positions in `ids` of those that stand before themselves, here or among those taken so far."""
        if self._recent is None:
            if all(map(lt, chain([self._last], ids), ids)):
                return set()
            self._recent = set()
            for chunk in self._ids:
                self._older.add(_hashes(chunk.to_pylist()))
        seen = {*self._recent.intersection(ids), *self._named_before(ids)}
        if not seen and len(set(ids)) == len(ids):
            return set()
        found: set[int] = set()
        for place, id in enumerate(ids):
            if id in seen:
                found.add(place)
            seen.add(id)
        return found

    def _named_before(self, ids: Sequence[str]) -> list[str]:
        """Those that came before the recent ones: two ids may have one hash, so that it only says which to look for."""
        hashes = _hashes(ids)
        known = self._older.among(hashes)
        return self._named([id for id, hash in zip(ids, hashes, strict=True) if hash in known]) if known else []

    def take(self, ids: Sequence[str], indexes: Sequence[int]) -> None:
        """Adds ids that are no repeats, with their places in the input."""
        if not ids:
            return
        self._ids.append(pa.array(ids, pa.string()))
        self._indexes.append(pa.array(indexes, pa.int64()))
        self._last = ids[-1]
        self.count += len(ids)
        if self._recent is not None:
            self._recent.update(ids)
            if len(self._recent) >= RECENT_MAX:
                self._older.add(_hashes(self._recent))
                self._recent.clear()

    def drop(self, ids: Iterable[str]) -> None:
        """From now on these are not among them."""
        self._gone.update(ids)

    def every(self) -> Iterator[str]:
        """All of them."""
        for chunk in self._ids:
            ids = chunk.to_pylist()
            yield from (id for id in ids if id not in self._gone) if self._gone else ids

    def among(self, ids: Collection[str]) -> list[str]:
        """Those of `ids` that are among them."""
        return [id for id in self._named(ids) if id not in self._gone]

    def _named(self, ids: Collection[str]) -> list[str]:
        return [id for id, _ in self.indexes(ids)] if ids else []

    def indexes(self, ids: Iterable[str]) -> Iterator[tuple[str, int]]:
        """Each of these ids with its place in the input, dropped or not."""
        wanted = pa.array(sorted(set(ids)), pa.string())
        every, indexes = pa.chunked_array(self._ids, pa.string()), pa.chunked_array(self._indexes, pa.int64())
        named = pc.is_in(every, value_set=wanted)
        yield from zip(every.filter(named).to_pylist(), indexes.filter(named).to_pylist(), strict=True)


def _hashes(ids: Iterable[str]) -> list[int]:
    return [hash(id) or 1 for id in ids]
