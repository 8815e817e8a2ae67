"""Reading few rows, or few columns, of a pack in an object store.

    PackReader(ranges, size, tail)     asks for nothing yet
    the first question                 one range: the pack's tail (bloom filters, page index, footer), which is kept
    find(ids)                          one range for each row group that may hold one, those side by side; none for an id
                                       that the pack does not have (but for one in a hundred, see parquet.BLOOM_WRONG)
    read(groups, columns)              the column chunks asked for, neighbors in one range

A pack never changes, so its reader may be kept as long as there is room: the tail is all that it holds itself.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from zlib import crc32

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dataknobs_data.documents import Document
from dataknobs_data.exceptions import DataFormatError
from dataknobs_data.lazily import lazily
from dataknobs_data.s3.table.bloom import BloomFilter, xxh64
from dataknobs_data.s3.table.companions import COLUMNS
from dataknobs_data.s3.table.held import HeldColumns
from dataknobs_data.s3.table.joining import OnDamage, documents_of, raised
from dataknobs_data.s3.table.parquet import end_of, start_of
from dataknobs_data.s3.table.shape import ID, SYSTEM, Shape
from dataknobs_data.s3.table.spans import Ranges, Span, SpanFile, joined

TAIL_GUESS = 1 << 16
_FOOTER_END = 8
_MAGIC = b"PAR1"
_TOGETHER = 16
"""Row groups whose rows `find` holds at a time."""


class PackReader:
    """One pack. `size` and `tail` in bytes; without `tail` (see `packs.Pack`) a long footer costs a second range, and without
    `tail_crc` damage there may go unseen. `held`: where its columns are kept that are likely to be asked for again; `name` is
    the pack's own there.

    All methods raise DataFormatError, naming the pack, for bytes that are no pack, and whatever `ranges` raises.
    """

    def __init__(
        self,
        ranges: Ranges,
        size: int,
        tail: int | None = None,
        *,
        tail_crc: int | None = None,
        name: str = "pack",
        held: HeldColumns | None = None,
    ) -> None:
        self._ranges = ranges
        self.size = size
        self._tail = min(size, tail or TAIL_GUESS)
        self._tail_crc = tail_crc if tail == self._tail else None
        self.name = name
        self._held = held
        self._filters: dict[int, BloomFilter | None] = {}

    # ------------------------------------------------------------------------------------------ the tail
    @property
    def is_open(self) -> bool:
        """Whether its tail is in memory."""
        return "_end" in self.__dict__

    @lazily
    def _end(self) -> bytes:
        (end,) = self._ranges([(self.size - self._tail, self._tail)])
        footer = int.from_bytes(end[-_FOOTER_END:-4], "little") + _FOOTER_END
        if self._tail_crc not in (None, crc32(end)):
            raise self._damaged(
                "its end is not what was written"
            )  # pyarrow 26 ends the process for some damaged footers
        if end[-4:] != _MAGIC or footer > self.size:
            raise self._damaged("it does not end as a Parquet file does")
        if footer <= len(end):
            return bytes(end)
        (before,) = self._ranges([(self.size - footer, footer - len(end))])
        return bytes(before) + bytes(end)

    @lazily
    def metadata(self) -> pq.FileMetaData:
        """The footer."""
        with self._told():  # the footer alone is file enough to say what it says
            return pq.read_metadata(pa.BufferReader(self._end))

    @lazily
    def _schema(self) -> pa.Schema:
        with self._told():
            return self.metadata.schema.to_arrow_schema()

    @lazily
    def _names(self) -> list[str]:
        with self._told():
            return list(self.metadata.schema.names)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """What pyarrow makes of damaged bytes, as DataFormatError."""
        try:
            yield
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            raise self._damaged(error) from error

    def _damaged(self, why: object) -> DataFormatError:
        return DataFormatError(f"{self.name}: damaged pack: {why}", key=self.name)

    @lazily
    def shape(self) -> Shape:
        """The pack's own columns."""
        try:
            return Shape.from_arrow(self._schema)
        except DataFormatError as error:
            raise DataFormatError(f"{self.name}: {error}", **{**error.context, "key": self.name}) from error

    @property
    def is_companion(self) -> bool:
        """Whether it is a companion: that has no user's columns, and not all of ours."""
        return set(self._names) <= set(COLUMNS)

    def has(self, column: str) -> bool:
        """Whether it has a column of that name."""
        return column in self._names

    @property
    def groups(self) -> range:
        """The numbers of its row groups."""
        return range(self.metadata.num_row_groups)

    # ------------------------------------------------------------------------------------------ columns
    def read(
        self, groups: Sequence[int] | None = None, columns: Sequence[str] | None = None, *, hold: bool = False
    ) -> pa.Table:
        """These row groups, all unless given; these columns, all unless given. Unknown names are left out.

        hold   keeps them in memory for the next time, as far as there is room
        """
        chosen = self.groups if groups is None else groups
        wanted = None if columns is None else set(columns)
        if self._held is None or not chosen or wanted == set():
            return self._fetched(chosen, wanted)
        names = list(self.shape.columns) if wanted is None else self._present(wanted)
        known = {group: self._known(group, names) for group in chosen}
        missing: dict[tuple[str, ...], list[int]] = {}
        for group, columns_of in known.items():
            if len(columns_of) < len(names):
                missing.setdefault(tuple(name for name in names if name not in columns_of), []).append(group)
        if not hold and missing and (len(missing) > 1 or next(iter(missing)) == tuple(names)):
            return self._fetched(chosen, wanted)
        for some, lacking in missing.items():
            for group, table in self._each_fetched(lacking, set(some)):
                known[group].update(zip(table.column_names, table.columns, strict=True))
                if hold:
                    self._hold(group, table)
        return pa.concat_tables([self._united(known[group], names) for group in chosen])

    def _united(self, columns: Mapping[str, pa.ChunkedArray], names: Sequence[str]) -> pa.Table:
        fields = [self._schema.field(name).with_type(columns[name].type) for name in names]
        return pa.table([columns[name] for name in names], schema=pa.schema(fields))

    def _known(self, group: int, names: Sequence[str]) -> dict[str, pa.ChunkedArray]:
        assert self._held is not None
        found = ((name, self._held.get((self.name, group, name))) for name in names)
        return {name: column for name, column in found if column is not None}

    def _hold(self, group: int, table: pa.Table) -> None:
        assert self._held is not None
        for name, column in zip(table.column_names, table.columns, strict=True):
            self._held.put((self.name, group, name), column)

    def _fetched(self, groups: Sequence[int], wanted: set[str] | None) -> pa.Table:
        with self._file(groups, wanted) as (file, names):
            return _sound(file.read_row_groups(list(groups), columns=names))

    def _each_fetched(self, groups: Sequence[int], wanted: set[str]) -> Iterator[tuple[int, pa.Table]]:
        """One by one, so that they share no memory."""
        with self._file(groups, wanted) as (file, names):
            for group in groups:
                yield group, _sound(file.read_row_group(group, columns=names))

    @contextmanager
    def _file(
        self, groups: Sequence[int], wanted: set[str] | None
    ) -> Iterator[tuple[pq.ParquetFile, list[str] | None]]:
        """What is to be read, fetched, and its columns by name."""
        spans = self.spans(groups, wanted)
        fetched = self._ranges(spans) if spans else []
        parts = [(start, content) for (start, _), content in zip(spans, fetched, strict=True)]
        names = None if wanted is None else self._present(wanted)
        with self._told():
            source = pa.PythonFile(SpanFile(self.size, parts), "r")
            yield pq.ParquetFile(source, metadata=self.metadata, page_checksum_verification=True), names

    def spans(self, groups: Iterable[int], columns: Collection[str] | None = None) -> list[Span]:
        """What is asked for where these row groups are read, these columns of them (all unless given), and none is held."""
        wanted = None if columns is None else set(columns)
        return joined(span for group in groups for span in self._chunks(group, wanted))

    def _present(self, wanted: set[str]) -> list[str]:
        """Those of these columns that there are. A companion has not all that a pack has."""
        names = [name for name in self._names if name in wanted]
        missing = [name for name in SYSTEM if name in wanted and name not in names]
        if missing:
            raise DataFormatError(f"{self.name}: not a pack of records: its column {missing[0]!r} is missing")
        return names

    def _chunks(self, group: int, wanted: set[str] | None) -> Iterator[Span]:
        whole = self.metadata.row_group(group)
        chunks = [whole.column(place) for place in range(whole.num_columns)]
        if wanted is None:
            start = min(map(start_of, chunks))
            yield self._inside(start, end_of(whole) - start)
            return
        with self._told():
            chosen = [chunk for chunk in chunks if chunk.path_in_schema in wanted]
        for chunk in chosen:
            yield self._inside(start_of(chunk), chunk.total_compressed_size)

    def _inside(self, start: int, length: int) -> Span:
        if start < 0 or length < 0 or start + length > self.size:
            raise self._damaged(f"a column is said to lie beyond its {self.size} bytes")
        return start, length

    # ------------------------------------------------------------------------------------------ ids
    def find(self, ids: Iterable[str], on_damage: OnDamage = raised) -> Iterator[Document]:
        """The documents of those ids that are here."""
        for table in self.rows(ids):
            yield from documents_of(table, on_damage)

    def rows(self, ids: Iterable[str], columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """The rows of those ids that are here, a few row groups' at a time."""
        wanted = sorted(set(ids))
        groups = self.may_hold(wanted)
        values = pa.array(wanted, pa.string())
        asked = None if columns is None else [ID, *columns]
        for start in range(0, len(groups), _TOGETHER):
            table = self.read(groups[start : start + _TOGETHER], asked, hold=True)
            yield table.filter(pc.is_in(table[ID].cast(pa.string()), value_set=values))

    def may_hold(self, ids: Iterable[str]) -> list[int]:
        """The row groups that may hold one of these ids, by bounds and bloom filters."""
        wanted = sorted(set(ids))
        found = []
        for group, (low, high) in enumerate(self.id_bounds):
            start = 0 if low is None else bisect_left(wanted, low)
            inside = []
            for id in wanted[start:]:
                if high is not None and id > high:
                    break
                inside.append(id)
            if inside and self._filter_passes(group, inside):
                found.append(group)
        return found

    @lazily
    def id_bounds(self) -> list[tuple[str | None, str | None]]:
        """For each row group, ids between which all of its ids lie; None where the pack does not say."""
        found: list[tuple[str | None, str | None]] = []
        for group in self.groups:
            least, most = bounds_of(self._id_chunk(group).statistics)
            found.append((least if isinstance(least, str) else None, most if isinstance(most, str) else None))
        return found

    def _id_chunk(self, group: int) -> pq.ColumnChunkMetaData:
        return self.metadata.row_group(group).column(self._id_place)

    @lazily
    def _id_place(self) -> int:
        self._present({ID})
        return self._names.index(ID)

    def _filter_passes(self, group: int, ids: Iterable[str]) -> bool:
        if group not in self._filters:
            self._filters[group] = self._filter(group)
        known = self._filters[group]
        return known is None or any(known.may_hold(xxh64(id.encode())) for id in ids)

    def _filter(self, group: int) -> BloomFilter | None:
        """None where there is none at hand: it is not worth a request of its own."""
        chunk = self._id_chunk(group)
        offset, length = chunk.bloom_filter_offset, chunk.bloom_filter_length
        start = self.size - len(self._end)
        if not offset or not length or offset < start:
            return None
        return BloomFilter(memoryview(self._end)[offset - start : offset - start + length])


def bounds_of(statistics: pq.Statistics | None) -> tuple[Any, Any]:
    """Values between which all of a column chunk lie; None where it does not say."""
    if statistics is None or not statistics.has_min_max:
        return None, None
    try:
        return statistics.min, statistics.max
    except UnicodeDecodeError:  # cut within a character
        return None, None


def _sound(table: pa.Table) -> pa.Table:
    """What was read, checked: pyarrow takes texts that are no UTF-8 as they are. 21 MB take 3 ms. And without the views that
    other programs may have written: pyarrow 26 can neither compare nor filter them.
    """
    table.validate(full=True)
    for place, field in enumerate(table.schema):
        plain = _PLAIN.get(field.type)
        if plain is not None:
            table = table.set_column(place, field.with_type(plain), table.column(place).cast(plain))
    return table


_PLAIN = {pa.string_view(): pa.string(), pa.binary_view(): pa.binary()}
