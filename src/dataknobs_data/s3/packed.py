"""What a layout has besides one object for each record: packs of many records, and tombstones in the place of deleted ones.

The helpers for single records, versions, archives, rules and costs ask here. The objects layout has neither (`NO_PACKS`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dataknobs_data.expressions import Expression
from dataknobs_data.s3.store import Listed


@dataclass(frozen=True, slots=True)
class Lying:
    """Where a record lies that has no object of its own: the key of its pack, and its revision there."""

    pack: str
    revision: str


@dataclass(frozen=True, slots=True)
class PackFile:
    """A pack of the table, as a listing and the log have it.

    records   its rows, dead ones among them; None where the log does not say
    has_ids   it has a companion, by which its records are found, counted and deleted while it lies in an archive
    """

    line: Listed
    records: int | None
    has_ids: bool


class PackedRecords:
    """Records that lie in packs, and what stands in front of them. Raises Fault where the store fails."""

    exists: bool = False
    """Whether records may lie in packs at all. Then a deletion is a tombstone, and objects go when they have been packed."""

    def lying(self, ids: Sequence[str]) -> Mapping[str, Lying]:
        """Of distinct ids those records that live in a pack, because no object of theirs stands before it."""
        return {}

    def revisions(self, id: str) -> frozenset[str]:
        """What its rows have as revisions, also rows that are dead."""
        return frozenset()

    def files(self, expression: Expression | None = None) -> list[PackFile]:
        """The packs of the table that may hold records which an expression finds: each as a whole, as packs are kept."""
        return []

    def indexed(self) -> bool:
        """Whether all packs have companions, and those to come will."""
        return True

    def documents(self, listed: Mapping[str, Listed]) -> Mapping[str, Listed]:
        """Of objects in a listing, by id, those that are documents."""
        return listed


NO_PACKS = PackedRecords()


def without_ids_note(packs: Sequence[PackFile]) -> str | None:
    """What comes of moving packs without companions to an archive class; None where all have one."""
    number = sum(not file.has_ids for file in packs)
    if not number:
        return None
    return (
        f"{number:,} of {len(packs):,} packs have no companion with their ids yet: once such a pack is archived, its records cannot "
        "even be counted, listed, created anew, updated or deleted until it is restored. lifecycle.add() writes what is missing "
        "before it sets a rule, lifecycle.write_companions() at any time"
    )
