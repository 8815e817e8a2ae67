"""The table tier: looks at the log, and rows of its packs by id."""

from __future__ import annotations

import threading
from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import pyarrow as pa

from dataknobs_data.documents import Document
from dataknobs_data.exceptions import SnapshotExpiredError
from dataknobs_data.runtime import Runtime
from dataknobs_data.s3.calls import Caller, Deadline
from dataknobs_data.s3.fanout import FanOut
from dataknobs_data.s3.keys import Keys, companion_of
from dataknobs_data.s3.steps import step
from dataknobs_data.s3.store import Fault, Kind
from dataknobs_data.s3.table.held import HeldColumns
from dataknobs_data.s3.table.log import Log
from dataknobs_data.s3.table.reading import PackReader
from dataknobs_data.s3.table.shape import BORN, CREATED, ID, REVISION, Shape
from dataknobs_data.s3.table.snapshot import Snapshot
from dataknobs_data.s3.table.spans import Span
from dataknobs_data.s3.table.stamps import texts_of
from dataknobs_data.s3.table.sweep import Fan
from dataknobs_data.s3.tiered.catalog import Catalog, Packed

TAILS_BYTES_MAX = 32 << 20
"""Of tails of packs that are kept in memory."""

TAIL_GUESS = 1 << 16

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Row:
    """That a record lies in a pack of the table."""

    id: str
    born: str
    revision: str
    pack: Packed


class Readers:
    """Readers of packs and companions, which keep their tails, and columns: files of the table never change."""

    def __init__(self, caller: Caller, keys: Keys, workers: int, held_bytes: int) -> None:
        self._caller = caller
        self._columns = HeldColumns(held_bytes) if held_bytes else None
        self._keys = keys
        self._spans = FanOut(workers, "dataknobs-spans")
        self._lock = threading.Lock()
        self._held: OrderedDict[str, tuple[PackReader, int]] = OrderedDict()
        self._bytes = 0

    def pack(self, pack: Packed) -> PackReader:
        """The reader of a pack."""
        return self._reader(pack, pack.path, pack.size, pack.tail, pack.tail_crc)

    def ids(self, pack: Packed) -> PackReader:
        """What answers questions about ids, births and revisions alone: the companion, which is never archived, or the pack."""
        if pack.companion_size is None:
            return self.pack(pack)
        tail, tail_crc = pack.companion_tail, pack.companion_tail_crc
        return self._reader(pack, companion_of(pack.path), pack.companion_size, tail, tail_crc)

    def _reader(self, pack: Packed, path: str, size: int, tail: int | None, tail_crc: int | None) -> PackReader:
        with self._lock:
            if path in self._held:
                self._held.move_to_end(path)
                return self._held[path][0]
            reader = self._made(pack, path, size, tail, tail_crc)
            cost = min(size, tail or TAIL_GUESS)
            self._held[path] = reader, cost
            self._bytes += cost
            while self._bytes > TAILS_BYTES_MAX and len(self._held) > 1:
                self._bytes -= self._held.popitem(last=False)[1][1]
            return reader

    def _made(self, pack: Packed, path: str, size: int, tail: int | None, tail_crc: int | None) -> PackReader:
        name = self._keys.table_file(path)
        return PackReader(self._ranges(path), size, tail, tail_crc=tail_crc, name=name, held=self._columns)

    def _ranges(self, path: str) -> Callable[[Sequence[Span]], Sequence[bytes]]:
        key = self._keys.table_file(path)

        def read(span: Span) -> bytes:
            try:
                body = self._caller.send("GetObject", lambda store: store.get_range(key, *span))
            except Fault as fault:
                if fault.kind is Kind.ARCHIVED:
                    fault.pack = key
                if fault.kind is not Kind.MISSING:
                    raise
                raise SnapshotExpiredError(f"{key} is gone: it was vacuumed while it was read", key=key) from fault
            return bytes(body)

        return lambda spans: list(self._spans.map(read, spans))

    def begin(self) -> None:
        """An operation that will read; see HeldColumns."""
        if self._columns:
            self._columns.begin()

    def close(self) -> None:
        """Ends threads."""
        self._spans.close()


class View:
    """The table as one look at its log found it; `snapshot` is None where there is no table yet."""

    def __init__(self, snapshot: Snapshot | None, packs: Sequence[Packed], readers: Readers, fan: FanOut) -> None:
        self.snapshot = snapshot
        self.packs = packs
        self._readers = readers
        self._fan = fan

    @property
    def fan(self) -> Fan:
        """Calls for many packs or row groups side by side. They must not use it themselves."""
        return self._fan.map

    @property
    def shape(self) -> Shape:
        """The table's columns."""
        return Shape.from_schema_string(self.snapshot.schema) if self.snapshot else Shape()

    def reader(self, pack: Packed) -> PackReader:
        """What reads rows of a pack."""
        return self._readers.pack(pack)

    def ids_reader(self, pack: Packed) -> PackReader:
        """What reads ids, births and revisions."""
        return self._readers.ids(pack)

    def rows(self, ids: Iterable[str], packs: Sequence[Packed] | None = None) -> dict[str, list[Row]]:
        """Where records of these ids lie; ids that lie nowhere are not among the keys."""
        found: dict[str, list[Row]] = {}
        for row in self._each_pack(ids, self._rows, packs):
            found.setdefault(row.id, []).append(row)
        return found

    def documents(self, ids: Iterable[str]) -> dict[str, list[tuple[Document, Packed]]]:
        """The documents of these ids, with the packs that hold them."""
        found: dict[str, list[tuple[Document, Packed]]] = {}
        for document, pack in self._each_pack(ids, self._documents, None):
            found.setdefault(document.id, []).append((document, pack))
        return found

    def current(self, ids: Iterable[str]) -> dict[str, list[tuple[Document, Packed]]]:
        """What a change has to know of the records of these ids, with the packs that hold them: documents, but where a companion
        tells it, without content: the pack may be archived.
        """
        found: dict[str, list[tuple[Document, Packed]]] = {}
        for document, pack in self._each_pack(ids, self._current, None):
            found.setdefault(document.id, []).append((document, pack))
        return found

    def _each_pack(
        self,
        ids: Iterable[str],
        read: Callable[[tuple[Packed, list[str]]], list[T]],
        packs: Sequence[Packed] | None,
    ) -> Iterator[T]:
        wanted = sorted(set(ids))
        chosen = self.packs if packs is None else packs
        asked = [(pack, within) for pack in chosen if (within := _within(pack, wanted))]
        for part in self._fan.map(read, asked):
            yield from part

    def _rows(self, asked: tuple[Packed, list[str]]) -> list[Row]:
        pack, ids = asked
        rows: list[Row] = []
        for table in self._readers.ids(pack).rows(ids, [BORN, REVISION]):
            columns = (table[name].to_pylist() for name in (ID, BORN, REVISION))
            rows += [Row(id, born, revision, pack) for id, born, revision in zip(*columns, strict=True)]
        return rows

    def _current(self, asked: tuple[Packed, list[str]]) -> list[tuple[Document, Packed]]:
        pack, ids = asked
        reader = self._readers.ids(pack)
        if pack.companion_size is None or not reader.has(CREATED):
            return self._documents(asked)
        tables = list(reader.rows(ids, [BORN, REVISION, CREATED]))
        if any(table[CREATED].null_count for table in tables):  # it is written otherwise than we write it
            return self._documents(asked)
        return [(document, pack) for table in tables for document in outlines_of(table)]

    def _documents(self, asked: tuple[Packed, list[str]]) -> list[tuple[Document, Packed]]:
        pack, ids = asked
        return [(document, pack) for document in self._readers.pack(pack).find(ids)]


def outlines_of(table: pa.Table) -> Iterator[Document]:
    """Rows of a companion as documents without content."""
    columns = [*(table[name].to_pylist() for name in (ID, BORN, REVISION)), texts_of(table[CREATED])]
    for id, born, revision, created in zip(*columns, strict=True):
        yield Document(id, {}, {}, created, created, born, revision)


def _within(pack: Packed, ids: list[str]) -> list[str]:
    """Of sorted ids those between the pack's bounds."""
    low, high = pack.bounds
    start = 0 if low is None else bisect_left(ids, low)
    return ids[start : len(ids) if high is None else bisect_right(ids, high)]


class Table:
    """The table of one database, for all its threads."""

    def __init__(
        self,
        caller: Caller,
        keys: Keys,
        runtime: Runtime,
        workers: int,
        held_bytes: int = 0,
        author: str | None = None,
    ) -> None:
        """`held_bytes`: of packs' columns that are kept in memory. `author`: stands in what is committed."""
        self.log = Log(caller, keys, runtime, workers, author)
        self._readers = Readers(caller, keys, workers, held_bytes)
        self._catalog = Catalog()
        self._fan = FanOut(workers, "dataknobs-packs")

    def look(self, deadline: Deadline | None, name: str) -> View:
        """The table with every commit that was acknowledged before this: 1 LIST. `name`: the step of the protocol."""
        self._readers.begin()
        with step(name):
            return self.view(self.log.refresh(deadline))

    def view(self, snapshot: Snapshot | None) -> View:
        """Of a snapshot."""
        packs = self._catalog.packs(snapshot) if snapshot else []
        return View(snapshot, packs, self._readers, self._fan)

    def view_of(self, packs: Sequence[Packed]) -> View:
        """Of packs that are no part of the table."""
        return View(None, packs, self._readers, self._fan)

    @property
    def fan(self) -> Fan:
        """See View.fan."""
        return self._fan.map

    def close(self) -> None:
        """Ends threads."""
        self.log.close()
        self._readers.close()
        self._fan.close()
