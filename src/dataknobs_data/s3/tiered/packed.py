"""What the helpers of S3 want to know of packs and tombstones: see s3/packed.py."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dataknobs_data.exceptions import DataFormatError
from dataknobs_data.expressions import Expression
from dataknobs_data.s3.layout import Parts
from dataknobs_data.s3.objects import Found, Stored
from dataknobs_data.s3.packed import Lying, PackedRecords, PackFile
from dataknobs_data.s3.store import Listed
from dataknobs_data.s3.table.prune import may_match
from dataknobs_data.s3.tiered.catalog import Packed, are_wanted
from dataknobs_data.s3.tiered.front import front_of
from dataknobs_data.s3.tiered.lookup import kills_of
from dataknobs_data.s3.tiered.places import Places, alive, fresh
from dataknobs_data.s3.tiered.table import Row


class TieredPacks(PackedRecords):
    """See packed.PackedRecords. May be asked about one record in the threads of `parts.many`, about several not."""

    exists = True

    def __init__(self, parts: Parts, places: Places) -> None:
        self._parts = parts
        self._places = places

    def lying(self, ids: Sequence[str]) -> Mapping[str, Lying]:
        found = dict(zip(ids, self._parts.many.map(self._front, ids), strict=True))
        behind = [id for id, one in found.items() if not isinstance(one, Stored)]
        if not behind:
            return {}
        rows = self._behind(behind)
        living = {id: alive(id, rows.get(id, ()), kills_of(found[id])) for id in behind}
        keys = self._parts.keys
        return {id: Lying(keys.table_file(row.pack.path), row.revision) for id, row in living.items() if row}

    def _front(self, id: str) -> Found:
        return self._places.front(id, self._parts.caller.deadline(), "read.start", damaged=True)

    def _behind(self, ids: Sequence[str]) -> dict[str, list[Row]]:
        return fresh(self._places.table, None, "read.table", lambda view: view.rows(ids))

    def revisions(self, id: str) -> frozenset[str]:
        return frozenset(row.revision for row in self._behind([id]).get(id, ()))

    def files(self, expression: Expression | None = None) -> list[PackFile]:
        keys, view = self._parts.keys, self._places.table.look(None, "scan.table")
        may_hold = (pack for pack in view.packs if pack.facts is None or may_match(expression, pack.facts))
        chosen = {keys.table_file(pack.path): pack for pack in may_hold}
        if not chosen:
            return []
        lines = (line for page in self._parts.lister.pages(keys.packs) for line in page.items)
        return [_file(line, chosen[line.key]) for line in lines if line.key in chosen]

    def indexed(self) -> bool:
        view = self._places.table.look(None, "scan.table")
        return are_wanted(view.snapshot) and all(pack.companion_size is not None for pack in view.packs)

    def documents(self, listed: Mapping[str, Listed]) -> Mapping[str, Listed]:
        return front_of(listed, self._parts.objects, self._parts.many).documents


def _file(line: Listed, pack: Packed) -> PackFile:
    try:
        records = pack.records
    except DataFormatError:
        return PackFile(line, None, pack.companion_size is not None)
    return PackFile(line, records, pack.companion_size is not None)
