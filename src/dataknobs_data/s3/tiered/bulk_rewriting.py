"""New versions of rows, and packs that have the old ones, made anew without them: one side of a bulk update."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from dataknobs_data.documents import STAMPS, Document, to_record
from dataknobs_data.engine import Settled
from dataknobs_data.s3.table.actions import Remove
from dataknobs_data.s3.table.repacking import repacked
from dataknobs_data.s3.table.rows import Rows
from dataknobs_data.s3.table.shape import Shape
from dataknobs_data.s3.table.sweep import Source
from dataknobs_data.s3.tiered.catalog import Packed
from dataknobs_data.s3.tiered.cold import Readable
from dataknobs_data.s3.tiered.loading import Withdrawn
from dataknobs_data.s3.tiered.packing import Uploaded
from dataknobs_data.s3.tiered.replaced import Place, Replaced
from dataknobs_data.s3.tiered.rewriting import (
    discard_quietly,
    documents_in,
    kept_of,
    leaving_out,
    reshaped,
    without_ids,
)
from dataknobs_data.s3.tiered.sending import LongJob, PackSender
from dataknobs_data.s3.tiered.table import View
from dataknobs_data.s3.tiered.tiers import Tiers


class Exchange:
    """The rows that one job replaces: their new versions (`sender`), and their places (`replaced`).

    A pack made anew bears no load's birth, for only rows of finished creations are replaced, and a mark is never taken back.
    """

    def __init__(self, tiers: Tiers, job: LongJob, replaceable: Replaceable) -> None:
        self._replaceable = replaceable
        self.sender = PackSender(tiers, job)
        self.replaced = Replaced()
        self._tiers = tiers
        self._job = job
        self._remade: list[Uploaded] = []
        self._is_remade = False

    def add(self, documents: Sequence[tuple[int, Document]], places: Mapping[str, Place]) -> list[Settled]:
        """Takes new versions; `places`: of the old ones, by id. Those that cannot be stored fail alone."""
        failed = self.sender.add(Rows.of([document for _, document in documents]), [index for index, _ in documents])
        good = [(index, places[document.id]) for index, document in documents if index not in failed]
        self.replaced.take([place for _, place in good], [index for index, _ in good])
        return [
            Settled(index, failed[index], to_record(document), document.id)
            for index, document in documents
            if index in failed
        ]

    # ------------------------------------------------------------------ packs
    def fit(self, table: Shape) -> None:
        """Where somebody has given the table a column of another type meanwhile, the new versions' packs are made anew."""
        self.sender.packs = reshaped(self._tiers, table, self.sender.packs, None)

    def packs(self, view: View) -> list[Uploaded]:
        """All new packs that the commit adds."""
        if not self._is_remade:
            self._remake(view)
        return [*self.sender.packs, *self._remade]

    def removed(self, view: View) -> list[Remove]:
        """The packs that it removes."""
        paths, at = self.replaced.paths(), self._tiers.milliseconds()
        return [pack.add.removed(at) for pack in view.packs if pack.path in paths]

    def _remake(self, view: View) -> None:
        """The rows that stay, of packs of which not all rows are replaced."""
        packs = self._tiers.packs
        target, fan = self._tiers.parts.settings.pack_target_bytes, self._tiers.table.fan
        sources = list(self._staying(view))
        if sources:
            for pack in repacked(sources, (), view.shape, target, companion=packs.companion, fan=fan):
                self._remade.append(packs.upload(pack, path=self._job.new_path()))
        self._is_remade = True

    def _staying(self, view: View) -> Iterator[Source]:
        paths = self.replaced.paths()
        for pack in view.packs:
            if pack.path in paths:
                gone = self.replaced.ids_in(pack.path)
                if len(gone) < pack.records:
                    yield kept_of(view, pack, leaving_out(gone))

    # ------------------------------------------------------------------ conflicts
    def look_again(self, view: View, objects: Collection[str]) -> list[Withdrawn]:
        """After a conflict: what is not as it was is taken out. `objects`: ids that have an object now."""
        lost = set(self.replaced.own.among(objects))
        moved: dict[str, Place] = {}
        for places in self.replaced.elsewhere({pack.path for pack in view.packs}):
            moved.update(self._moved(view, places))
            lost.update(place.id for place in places if place.id not in moved)
        if moved:
            self.replaced.move(moved)
        if moved or lost:
            discard_quietly(self._tiers, self._remade)
            self._is_remade = False
        return self._withdrawn(lost)

    def _moved(self, view: View, places: Sequence[Place]) -> Iterator[tuple[str, Place]]:
        """Those of these records that lie in another pack now, with their rows there: as they were, or changed, which does not
        matter.
        """
        found = view.rows(place.id for place in places)
        replaceable = self._replaceable.among(row.pack for rows in found.values() for row in rows)
        for place in places:
            rows = found.get(place.id, [])
            if [row.born for row in rows] == [place.born] and rows[0].pack.path in replaceable:
                yield place.id, Place(place.id, place.born, rows[0].revision, rows[0].pack.path)

    def _withdrawn(self, ids: Collection[str]) -> list[Withdrawn]:
        found = self.withdrawn(ids)
        if found:
            self.sender.packs = without_ids(self._tiers, self.sender.packs, ids, None)
        return found

    def withdrawn(self, ids: Collection[str]) -> list[Withdrawn]:
        """These do not count; packs that were committed stay as they are."""
        if not ids:
            return []
        rows = documents_in(self._tiers, self.sender.packs, ids)
        found = [Withdrawn(index, id, to_record(rows[id])) for id, index in self.replaced.own.indexes(ids)]
        for one in found:
            for name in STAMPS:  # they are of the version that was to be replaced
                one.record.metadata.pop(name, None)
        self.sender.withdraw(one.index for one in found)
        self.replaced.drop(ids)
        return found

    def abandon(self) -> list[Uploaded]:
        """Ends; the packs that were uploaded. Raises nothing."""
        return [*self.sender.abandon(), *self._remade]


class Replaceable:
    """Of which packs rows may be replaced: their creations are over, and the pack can be read, so that it can be made anew."""

    def __init__(self, tiers: Tiers) -> None:
        self._journals = tiers.journals
        self._readable = Readable(tiers.parts)

    def among(self, packs: Iterable[Packed]) -> set[str]:
        """The paths of those of these packs."""
        known = {pack.path: pack for pack in packs if pack.stats is not None}.values()
        finished = self._journals.finished({pack.load for pack in known if pack.load is not None})
        return self._readable.among(pack for pack in known if pack.load is None or pack.load in finished)


def is_dear(packs: Sequence[Packed], bytes_max: int) -> bool:
    """Whether more than so many bytes would have to be made anew for each row that is replaced. `packs`: each row's."""
    rows: dict[str, int] = {}
    for pack in packs:
        rows[pack.path] = rows.get(pack.path, 0) + 1
    distinct = {pack.path: pack for pack in packs}.values()
    staying = sum(pack.size for pack in distinct if rows[pack.path] < pack.records)
    return staying > bytes_max * len(packs)
