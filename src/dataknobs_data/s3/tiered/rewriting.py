"""Packs made anew: without some of their rows, or with other columns."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc

from dataknobs_data.documents import Document
from dataknobs_data.exceptions import DataknobsDataError
from dataknobs_data.s3.calls import Deadline
from dataknobs_data.s3.store import Fault
from dataknobs_data.s3.table.actions import Action
from dataknobs_data.s3.table.joining import documents_of
from dataknobs_data.s3.table.log import Job
from dataknobs_data.s3.table.shape import BORN, ID, Shape
from dataknobs_data.s3.table.snapshot import Snapshot
from dataknobs_data.s3.table.sweep import Source, without
from dataknobs_data.s3.table.writing import packs as packs_of
from dataknobs_data.s3.tiered.catalog import Packed
from dataknobs_data.s3.tiered.packing import Uploaded, agree
from dataknobs_data.s3.tiered.table import View
from dataknobs_data.s3.tiered.tiers import Tiers

WITHDRAWAL, CLEARING = "WITHDRAW", "CLEAR"


def source_of(view: View, pack: Packed, dead: Iterable[tuple[str, str]] = ()) -> Source:
    """All rows of a pack but those of these ids and births."""
    gone = frozenset(dead)
    source = kept_of(view, pack)
    return replace(source, keep=without(gone), needs=[BORN], gone=len(gone)) if gone else source


def kept_of(view: View, pack: Packed, keep: Callable[[pa.Table], pa.Table] | None = None) -> Source:
    """The rows of a pack that `keep` leaves."""
    return Source(
        view.reader(pack),
        pack.bounds[0] or "",
        keep=keep,
        rest_names=pack.rest_names,
        null_names=pack.null_names,
    )


def leaving_out(ids: pa.Array) -> Callable[[pa.Table], pa.Table]:
    """A `Source.keep` that leaves out all rows of these ids, which are in order."""

    def keep(table: pa.Table) -> pa.Table:
        found = pc.min_max(table[ID])
        if not len(ids) or not found["min"].is_valid:
            return table
        low = bisect_left(ids, found["min"].as_py(), key=as_text)
        high = bisect_right(ids, found["max"].as_py(), key=as_text)
        if low == high:
            return table
        return table.filter(pc.invert(pc.is_in(table[ID].cast(pa.string()), value_set=ids[low:high])))

    def as_text(id: pa.Scalar) -> str:
        return str(id.as_py())

    return keep


def lying(tiers: Tiers, packs: Sequence[Uploaded]) -> View:
    """Packs that are no part of the table, to be read as if they were one."""
    return tiers.table.view_of([Packed(pack.add, pack.shape) for pack in packs])


def documents_in(tiers: Tiers, packs: Sequence[Uploaded], ids: Iterable[str]) -> dict[str, Document]:
    """The records of these ids that uploaded packs hold."""
    return {id: rows[0][0] for id, rows in lying(tiers, packs).documents(ids).items()}


def without_ids(tiers: Tiers, packs: Sequence[Uploaded], ids: Collection[str], load: str | None) -> list[Uploaded]:
    """Uploaded packs without the rows of these ids."""
    keep = leaving_out(pa.array(sorted(ids), pa.string()))
    kept: list[Uploaded] = []
    for pack in packs:
        view = lying(tiers, [pack])
        if not view.rows(ids):
            kept.append(pack)
            continue
        (packed,) = view.packs
        kept += remade(tiers, [kept_of(view, packed, keep)], pack.shape, load)
        tiers.packs.discard([pack])
    return kept


def remade(tiers: Tiers, sources: Sequence[Source], shape: Shape, load: str | None) -> list[Uploaded]:
    """New packs of the rows of these sources."""
    made = tiers.packs.repacked(sources, (), shape, tiers.table.fan)
    return [tiers.packs.upload(pack, load=load) for pack in made]


def reshaped(tiers: Tiers, table: Shape, packs: Sequence[Uploaded], load: str | None) -> list[Uploaded]:
    """The packs themselves where their columns agree with the table's; else made anew by those that the table has."""
    fitting: list[Uploaded] = []
    for pack in packs:
        if agree(table, [*(one.shape for one in fitting), pack.shape]):
            fitting.append(pack)
            continue
        target, companion = tiers.parts.settings.pack_target_bytes, tiers.packs.companion
        for made in packs_of(_documents(tiers, pack), table, target, widen=_as_it_is, companion=companion):
            fitting.append(tiers.packs.upload(made, load=load))
        tiers.packs.discard([pack])
    return fitting


def _as_it_is(shape: Shape, documents: Sequence[Document]) -> Shape:
    return shape


def _documents(tiers: Tiers, pack: Uploaded) -> Iterator[Document]:
    view = lying(tiers, [pack])
    for packed in view.packs:
        reader = view.reader(packed)
        for group in reader.groups:
            yield from documents_of(reader.read([group]))


def taken_back(tiers: Tiers, birth: str, ids: Collection[str], deadline: Deadline) -> None:
    """Takes rows of a load out of the table again: one commit.

    Only out of packs that still bear its birth: without it the load is finished, and what it lost was taken back before.
    """
    job = Job(tiers.parts.runtime.new_id(), WITHDRAWAL, {"load": birth, "records": str(len(ids))})
    made: list[Uploaded] = []

    def decide(snapshot: Snapshot) -> list[Action] | None:
        discard_quietly(tiers, made)
        view = tiers.table.view(snapshot)
        packs = [pack for pack in view.packs if pack.load == birth]
        rows = [row for found in view.rows(ids, packs).values() for row in found]
        holders = {row.pack.path: row.pack for row in rows if row.born == birth}
        if not holders:
            return None
        dead = [(id, birth) for id in ids]
        actions: list[Action] = []
        for pack in holders.values():
            new = remade(tiers, [source_of(view, pack, dead)], pack.shape, birth)
            made.extend(new)
            actions += [pack.add.removed(tiers.milliseconds()), *(one.add for one in new)]
        return actions

    tiers.table.log.commit_with(decide, job, deadline)


def emptied(tiers: Tiers, *, shut_out: bool = False) -> None:
    """Takes every pack out of the table: one commit. `shut_out`: even where there is none, so that compactions which have
    listed objects before it commit in vain.
    """
    job = Job(tiers.parts.runtime.new_id(), CLEARING)

    def decide(snapshot: Snapshot) -> list[Action] | None:
        at = tiers.milliseconds()
        actions: list[Action] = [add.removed(at) for add in snapshot.packs.values()]
        return actions if actions or shut_out else None

    if tiers.table.log.refresh() is not None:
        tiers.table.log.commit_with(decide, job)


def discard_quietly(tiers: Tiers, packs: list[Uploaded]) -> None:
    """Deletes packs that no commit will name, if that can be done now: vacuum removes what is left."""
    if packs:
        try:
            tiers.packs.discard(packs)
        except (Fault, DataknobsDataError):
            pass
        packs.clear()
