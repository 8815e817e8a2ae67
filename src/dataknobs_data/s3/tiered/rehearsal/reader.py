"""A pack whose footer is read and whose columns are not: what would be asked for is counted, rows are made up."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from dataknobs_data.documents import Document
from dataknobs_data.lazily import lazily
from dataknobs_data.s3.rehearsal.script import ROW, Blank
from dataknobs_data.s3.table.held import HeldColumns
from dataknobs_data.s3.table.joining import OnDamage, raised
from dataknobs_data.s3.table.reading import PackReader
from dataknobs_data.s3.table.shape import Shape
from dataknobs_data.s3.table.spans import Span
from dataknobs_data.s3.tiered.rehearsal.rows import RowsOf, group_of
from dataknobs_data.s3.tiered.rehearsal.values import arrow_bytes

Counted = Callable[[Sequence[Span]], None]
Found = Callable[[pa.Table], None]

_NOTHING = pa.table({})


class RehearsedReader(PackReader):
    """Stands for a reader of the process. Which of the ids that it is asked for are there is really looked up.

    counted   is told what would be asked for
    rows      makes up the rows of a scan
    found     is told of rows that really are there, by tables with ids and births
    """

    def __init__(
        self,
        real: PackReader,
        counted: Counted,
        rows: RowsOf,
        found: Found,
        held: HeldColumns | None,
        *,
        is_known: bool,
    ) -> None:
        """`is_known`: its tail is in memory."""
        super().__init__(lambda spans: [], real.size, real._tail, name=real.name, held=held)
        self._real = real
        self._is_known = is_known
        self._counted = counted
        self._rows = rows
        self._found = found

    # ------------------------------------------------------------------------------------------ the tail
    @lazily
    def _end(self) -> bytes:
        came = 0  # where it is refused
        try:
            end = self._real._end
            came = self._tail
        finally:
            if not self._is_known:
                self._counted([(self.size - self._tail, came)])
                self._rows.script.deepened = True
        return end

    @lazily
    def metadata(self) -> pq.FileMetaData:
        """See PackReader."""
        return self._real.metadata if self._end else None

    @lazily
    def shape(self) -> Shape:
        """See PackReader."""
        return self._real.shape if self._end else Shape()

    # ------------------------------------------------------------------------------------------ columns
    def read(
        self, groups: Sequence[int] | None = None, columns: Sequence[str] | None = None, *, hold: bool = False
    ) -> pa.Table:
        """See PackReader."""
        chosen = self.groups if groups is None else groups
        super().read(chosen, columns, hold=hold)
        sql = self._rows.script.sql
        if sql is not None and sql.looks:
            self._rows.script.deepened = True
            return self._real.read(chosen, columns, hold=hold)
        if sql is not None and columns is not None:
            return self._rows.values(self, chosen, self._present(set(columns)))
        return self._rows.table(self, chosen, columns)

    def _fetched(self, groups: Sequence[int], wanted: set[str] | None) -> pa.Table:
        self._counted(self.spans(groups, wanted))
        return _NOTHING

    def _each_fetched(self, groups: Sequence[int], wanted: set[str]) -> Iterator[tuple[int, pa.Table]]:
        self._counted(self.spans(groups, wanted))
        names = self._present(wanted)
        for group in groups:
            yield group, pa.schema([self._schema.field(name) for name in names]).empty_table()

    def _hold(self, group: int, table: pa.Table) -> None:
        assert self._held is not None
        for name, column in zip(table.column_names, table.columns, strict=True):
            chunk = self.metadata.row_group(group).column(self._names.index(name))
            self._held.put((self.name, group, name), column, arrow_bytes(column.type, chunk))

    def _united(self, columns: Mapping[str, pa.ChunkedArray], names: Sequence[str]) -> pa.Table:
        return _NOTHING

    # ------------------------------------------------------------------------------------------ ids
    def find(self, ids: Iterable[str], on_damage: OnDamage = raised) -> Iterator[Document]:
        """See PackReader. Documents only of ids that were made up, and only where it matters how many there are."""
        wanted = list(ids)
        for _ in self.rows(wanted):
            pass
        if self._rows.script.query.limit_value is not None:
            yield from (Blank.of(id, ROW) for id in wanted if group_of(id) is not None)

    def rows(self, ids: Iterable[str], columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """See PackReader. Real rows where only some columns are wanted: which ids are there, and of which births."""
        wanted = list(ids)
        counted = super().rows(wanted, columns)
        if columns is None:
            yield from counted
            return
        for _ in counted:
            pass
        for table in self._real.rows(wanted, columns):
            self._found(table)
            yield table

    def may_hold(self, ids: Iterable[str]) -> list[int]:
        """See PackReader. Ids that were made up name their row groups."""
        wanted = list(ids)
        made_up = {group for id in wanted if (group := group_of(id)) is not None}
        return sorted(made_up) if made_up else super().may_hold(wanted)
