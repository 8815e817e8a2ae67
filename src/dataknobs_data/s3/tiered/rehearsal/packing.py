"""New packs in rehearsals: those of a load are made, and weighed; those of a compaction are reckoned by what goes into them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from math import ceil

import pyarrow as pa

from dataknobs_data.documents import Document
from dataknobs_data.s3.keys import PACKS
from dataknobs_data.s3.layout import Parts
from dataknobs_data.s3.probe import Capabilities
from dataknobs_data.s3.rehearsal.script import STAMP, Blank, Script
from dataknobs_data.s3.store import PutOptions
from dataknobs_data.s3.table.bounds import Stats
from dataknobs_data.s3.table.merging import merged
from dataknobs_data.s3.table.packs import Pack, encode
from dataknobs_data.s3.table.shape import ID, Shape, grow
from dataknobs_data.s3.table.sweep import Fan, Source
from dataknobs_data.s3.table.writing import HELD_MAX
from dataknobs_data.s3.tiered.packing import PackStore

SAMPLE = 500
"""Documents that are made a pack of, to see how large their rows are."""

ROW_BYTES = 100
"""Of a row, where nothing tells."""


class RehearsedPacks(PackStore):
    """Stands for the uploads of the process. `sizes`: of the files that were put, so far, by path."""

    def __init__(self, parts: Parts, found: Capabilities, script: Script) -> None:
        super().__init__(parts, found)
        self.sizes: dict[str, int] = {}
        self.count = 0
        self._script = script

    def _put(self, path: str, body: memoryview, options: PutOptions) -> None:
        self.sizes[path] = len(body)
        self.count += path.startswith(PACKS)
        self._script.made.add(path)
        if not self._script.deferred:
            super()._put(path, body, options)

    def settle(self, factor: float, *, is_ordered: bool) -> None:
        """Puts what was held back as if there were `factor` times as much of it."""
        packs = [size for path, size in self.sizes.items() if path.startswith(PACKS)]
        companions = sum(self.sizes.values()) - sum(packs)
        full = self._parts.settings.pack_target_bytes
        if len(packs) > 1:
            full = max(packs)
        elif not is_ordered:
            full = min(full, HELD_MAX // 4)
        self.count = ceil(factor * sum(packs) / full)
        self._script.deferred = False
        for total in (sum(packs), companions):
            for _ in range(self.count if total else 0):
                super()._put(self.new_path(), memoryview(bytes(round(factor * total / self.count))), PutOptions())

    def repacked(
        self, sources: Sequence[Source], documents: Iterable[Document], shape: Shape, fan: Fan
    ) -> Iterator[Pack]:
        """See PackStore. Reads what that reads."""
        for _ in merged(sources, shape, fan=fan, numbered=True):
            pass
        old = [_weighed(source) for source in sources]
        new = Documents(documents)
        rows = sum(count for count, _ in old) + new.count
        if rows:
            yield from self._packs(rows, sum(size for _, size in old) + new.bytes(shape), shape)

    def _packs(self, rows: int, size: float, shape: Shape) -> Iterator[Pack]:
        number = max(1, ceil(size / self._parts.settings.pack_target_bytes))
        model = encode([Document("", {}, {}, STAMP, STAMP, "", "")], shape, companion=self.companion)
        before = bytes(max(int(size / number) - model.size, 0))
        for place in range(number):
            stats = Stats(rows // number, {ID: f"{place:08}"}, {ID: f"{place:08}"}, {})
            yield replace(model, body=pa.py_buffer(before + model.body.to_pybytes()), stats=stats)


def _weighed(source: Source) -> tuple[int, float]:
    """Rows that live, and their bytes."""
    metadata = source.reader.metadata
    groups = map(metadata.row_group, range(metadata.num_row_groups))
    size = sum(group.column(place).total_compressed_size for group in groups for place in range(group.num_columns))
    living = max(metadata.num_rows - source.gone, 0)
    return living, size * living / max(metadata.num_rows, 1)


class Documents:
    """Documents that become rows: how many, and how large, by those among them that were read."""

    def __init__(self, documents: Iterable[Document]) -> None:
        self.count = 0
        self._read: list[Document] = []
        for document in documents:
            self.count += 1
            if len(self._read) < SAMPLE and not isinstance(document, Blank):
                self._read.append(document)

    def bytes(self, shape: Shape) -> float:
        """Of all of them together, in a pack."""
        if not self._read:
            return float(self.count * ROW_BYTES)
        pack = encode(self._read, grow(shape, self._read))
        return pack.tail + (pack.size - pack.tail) * self.count / len(self._read)
