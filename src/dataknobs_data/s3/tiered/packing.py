"""New packs on their way into the table: uploaded under names of their own, then named by a commit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from dataknobs_data.documents import Document
from dataknobs_data.s3.archive.states import ARCHIVES
from dataknobs_data.s3.keys import companion_of, pack_path
from dataknobs_data.s3.layout import Parts
from dataknobs_data.s3.probe import Capabilities
from dataknobs_data.s3.removal import DELETE_KEYS
from dataknobs_data.s3.settings import MIB
from dataknobs_data.s3.store import PutOptions
from dataknobs_data.s3.table.actions import Action, Add
from dataknobs_data.s3.table.log import Log
from dataknobs_data.s3.table.packs import Pack
from dataknobs_data.s3.table.repacking import repacked
from dataknobs_data.s3.table.shape import COLUMNS_MAX, Shape, folded
from dataknobs_data.s3.table.snapshot import Snapshot
from dataknobs_data.s3.table.sweep import Fan, Source
from dataknobs_data.s3.tiered.catalog import IDS, are_wanted, tags_of
from dataknobs_data.streaming import windows

PARQUET = "application/vnd.apache.parquet"
"""https://www.iana.org/assignments/media-types/application/vnd.apache.parquet"""

CHUNK_BYTES = 16 * MIB
"""Of a part; a pack that is not larger goes with one PUT."""


@dataclass(frozen=True)
class Uploaded:
    """A pack that lies in the bucket, and is no part of the table yet. `add` makes it one."""

    add: Add
    shape: Shape


class PackStore:
    """Uploads packs. Raises Fault where the store fails."""

    def __init__(self, parts: Parts, found: Capabilities, log: Log | None = None) -> None:
        """`log`: of the table, which may ask for companions."""
        self._parts = parts
        self._can_tag = found.tags
        self._cold = parts.settings.storage_class in ARCHIVES
        self._log = log

    @property
    def companion(self) -> bool:
        """Whether packs are to be made with companions."""
        return self._cold or (self._log is not None and are_wanted(self._log.known))

    def new_path(self) -> str:
        """The path of a pack that is about to be written."""
        return pack_path(self._parts.runtime.new_id())

    def repacked(
        self, sources: Sequence[Source], documents: Iterable[Document], shape: Shape, fan: Fan
    ) -> Iterator[Pack]:
        """New packs of the rows of old ones and of documents: see `table.repacking.repacked`."""
        target = self._parts.settings.pack_target_bytes
        return repacked(sources, documents, shape, target, companion=self.companion, fan=fan)

    def upload(
        self,
        pack: Pack,
        *,
        path: str | None = None,
        load: str | None = None,
    ) -> Uploaded:
        """Puts a pack, its companion first, where it has one. It gets the tags that all its records share.

        load  the birth of its load, where that has to be marked as finished
        """
        parts, path = self._parts, path or self.new_path()
        tags = parts.tagger.tags_of(pack.shared) if pack.shared and self._can_tag else None
        if pack.companion is not None:
            self._put(companion_of(path), memoryview(pack.companion.body).cast("B"), PutOptions(content_type=PARQUET))
        options = PutOptions(tags=tags, storage_class=parts.settings.storage_class, content_type=PARQUET)
        self._put(path, memoryview(pack.body).cast("B"), options)
        modified = int(parts.runtime.now().timestamp() * 1000)
        add = Add(path, pack.size, modified, pack.stats.to_json(), tags_of(pack, load))
        return Uploaded(add, pack.shape)

    def _put(self, path: str, body: memoryview, options: PutOptions) -> None:
        parts, key = self._parts, self._parts.keys.table_file(path)
        if len(body) > CHUNK_BYTES:
            parts.uploader.upload(key, body, options, None, CHUNK_BYTES)
        else:
            parts.caller.send("PutObject", lambda store: store.put(key, body, options, None))

    def discard(self, packs: Iterable[Uploaded]) -> None:
        """Deletes packs that no commit will ever name."""
        keys = [
            self._parts.keys.table_file(path)
            for pack in packs
            for path in (pack.add.path, *([companion_of(pack.add.path)] if IDS in (pack.add.tags or {}) else []))
        ]
        for some in windows(keys, DELETE_KEYS):
            self._delete(some)

    def _delete(self, keys: list[str]) -> None:
        self._parts.caller.send("DeleteObjects", lambda store: store.delete_many(keys))


def agree(table: Shape, packs: Sequence[Shape]) -> bool:
    """Whether all their columns fit into one table: the same type under one name, no names that differ in case only."""
    kinds = dict(table.fields)
    names = {folded(name): name for name in kinds}
    for shape in packs:
        for name, kind in shape.fields:
            if kinds.setdefault(name, kind) != kind or names.setdefault(folded(name), name) != name:
                return False
    return len(kinds) <= COLUMNS_MAX


def united(table: Shape, packs: Sequence[Shape]) -> Shape:
    """The table's columns with those that packs bring along which `agree`."""
    return Shape(tuple(dict(chain(table.fields, *(shape.fields for shape in packs))).items()))


def adopted(snapshot: Snapshot, packs: Sequence[Uploaded]) -> list[Action]:
    """The actions that make packs which `agree` with the table part of it, their new columns included."""
    before = Shape.from_schema_string(snapshot.schema)
    after = united(before, [pack.shape for pack in packs])
    grown: list[Action] = [replace(snapshot.metadata, schema=after.schema_string())] if after != before else []
    return [*grown, *(pack.add for pack in packs)]
