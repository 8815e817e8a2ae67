"""The table of a rehearsal: its log really is looked at, and what is committed to it stays in the rehearsal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy

import pyarrow as pa

from dataknobs_data.s3.layout import Parts
from dataknobs_data.s3.rehearsal.fan import InTurn
from dataknobs_data.s3.rehearsal.objects import RehearsedObjects
from dataknobs_data.s3.rehearsal.script import Script
from dataknobs_data.s3.table.reading import PackReader
from dataknobs_data.s3.table.shape import BORN, ID, REVISION
from dataknobs_data.s3.table.spans import Span
from dataknobs_data.s3.tiered.catalog import Packed
from dataknobs_data.s3.tiered.rehearsal.reader import RehearsedReader
from dataknobs_data.s3.tiered.rehearsal.rows import RowsOf
from dataknobs_data.s3.tiered.table import Readers, Table


class RehearsedReaders(Readers):
    """Stands for the readers of the process, and holds of tails and columns what those do."""

    def __init__(self, real: Readers, parts: Parts, script: Script) -> None:
        super().__init__(parts.caller, parts.keys, parts.settings.max_workers, 0)
        self._columns = real._columns.copy() if real._columns else None
        self._real = real
        self._objects = parts.objects
        self._script = script
        self._seen: set[str] = set()

    def _made(self, pack: Packed, path: str, size: int, tail: int | None, tail_crc: int | None) -> PackReader:
        is_pack, mine = path == pack.path, path in self._script.made
        if mine:
            real = super()._made(pack, path, size, tail, tail_crc)
        else:
            real = self._real.pack(pack) if is_pack else self._real.ids(pack)
        rows = RowsOf(self._script, pack)
        counted = self._counting(path if is_pack else None)
        known = mine or (real.is_open and path not in self._seen)  # what comes a second time had to make room
        self._seen.add(path)
        return RehearsedReader(real, counted, rows, self._found, self._columns, is_known=known)

    def _counting(self, path: str | None) -> Callable[[Sequence[Span]], None]:
        """`path`: of a pack, which may be of another class than all else."""
        meter, script = self._caller.meter, self._script

        def counted(spans: Sequence[Span]) -> None:
            amount = script.reads[script.classes.get(self._keys.table_file(path), "STANDARD") if path else "STANDARD"]
            for _, length in spans:
                meter.sent("GetObject")
                meter.moved(down=length)
                amount.add(length)

        return counted

    def _found(self, table: pa.Table) -> None:
        objects = self._objects
        if isinstance(objects, RehearsedObjects) and {BORN, REVISION} <= set(table.column_names):
            columns = (table[name].to_pylist() for name in (ID, BORN, REVISION))
            for id, born, revision in zip(*columns, strict=True):
                objects.behind.setdefault(id, {})[born] = revision


class RehearsedTable(Table):
    """Stands for the table of the process, which knows its log from here on."""

    def __init__(self, real: Table, parts: Parts, script: Script) -> None:
        super().__init__(parts.caller, parts.keys, parts.runtime, parts.settings.max_workers)
        real.log.at_first()
        self.log.know(real.log)
        self._catalog = copy(real._catalog)
        self._readers = RehearsedReaders(real._readers, parts, script)
        self._fan = InTurn(parts.settings.max_workers, script.ahead)
