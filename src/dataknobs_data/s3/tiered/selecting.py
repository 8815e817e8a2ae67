"""Which packs a compaction makes anew, and which of them together."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from dataknobs_data.s3.tiered.catalog import Packed

DEAD_SHARE = 0.1
"""Of its rows, from which a pack is made anew: until then other engines see rows that are dead or old."""

SMALL = 4
"""A pack is small that has less than this part of the bytes that a pack should have."""

SMALL_MIN = 8
"""So many small packs are worth merging."""

PACKS_MAX = 256
"""Packs that are merged at a time: each may take one row group's memory (1 MB)."""


@dataclass(frozen=True)
class Group:
    """Packs to merge, with documents whose ids are not below `start`, but below `end` (None: all that follow).

    `good`: the packs can stay as they are if none of the documents becomes a row after all.
    """

    packs: Sequence[Packed] = ()
    start: str = ""
    end: str | None = None
    good: bool = False

    def among(self, ids: Sequence[str]) -> Sequence[str]:
        """Those of sorted ids that belong here."""
        return ids[bisect_left(ids, self.start) : None if self.end is None else bisect_left(ids, self.end)]


@dataclass(frozen=True)
class Selection:
    """What to make anew, in order of ids. `goes_on`: there is more than can be merged at a time."""

    groups: Sequence[Group]
    goes_on: bool = False

    @property
    def packs(self) -> list[Packed]:
        """Of all groups."""
        return [pack for group in self.groups for pack in group.packs]


def is_worth(pack: Packed, dead: Mapping[str, int]) -> bool:
    """Whether enough of a pack is dead to make it anew."""
    return bool(dead.get(pack.path)) and dead[pack.path] >= DEAD_SHARE * pack.records


def worthwhile(packs: Sequence[Packed], dead: Mapping[str, int], target_bytes: int) -> Selection:
    """What is worth the bytes. `dead`: how many rows of each pack objects hide, by path."""
    chosen = {pack.path for pack in packs if is_worth(pack, dead)}
    small = {pack.path for pack in packs if _is_small(pack, target_bytes)}
    if len(small | chosen) >= SMALL_MIN:
        chosen |= small
    merged = _sorted(pack for pack in packs if pack.path in chosen)
    return Selection([Group(merged[:PACKS_MAX])], len(merged) > PACKS_MAX)


def everything(
    packs: Sequence[Packed], dead: Mapping[str, int], new_ids: Collection[str], target_bytes: int
) -> Selection:
    """What has to be made anew to leave nothing dead or overlapping, and no two small packs side by side.

    Packs that are good as they are stay, and are walls: what lies between two of them is merged by itself, so that nothing
    comes to lie across a good one. `new_ids`: of documents that become rows.
    """
    ids = sorted(new_ids)
    bad = {pack.path for pack in packs if dead.get(pack.path) or pack.stats is None} | _overlapping(packs)
    small = {pack.path for pack in packs if _is_small(pack, target_bytes)}
    moved = bad | small | {pack.path for pack in packs if _holds(pack, ids)}
    walls = [_least(pack) for pack in _sorted(pack for pack in packs if pack.path not in moved)]
    between: dict[int, list[Packed]] = {}
    for pack in _sorted(pack for pack in packs if pack.path in moved):
        between.setdefault(bisect_right(walls, _least(pack)), []).append(pack)
    groups = []
    for place, (start, end) in enumerate(zip(["", *walls], [*walls, None], strict=True)):
        inside = between.get(place, [])
        good = not any(pack.path in bad for pack in inside) and sum(pack.path in small for pack in inside) < 2
        group = Group(inside, start, end, good)
        if not good or group.among(ids):
            groups.append(group)
    return _limited(groups)


def _limited(groups: Sequence[Group]) -> Selection:
    """As many packs as can be merged at a time; documents go on being folded where packs have to wait."""
    left, limited = PACKS_MAX, []
    for group in groups:
        limited.append(replace(group, packs=group.packs[:left]))
        left -= len(limited[-1].packs)
    return Selection(limited, sum(len(group.packs) for group in groups) > PACKS_MAX)


def _is_small(pack: Packed, target_bytes: int) -> bool:
    return pack.size * SMALL < target_bytes


def _holds(pack: Packed, ids: Sequence[str]) -> bool:
    """Whether one of these sorted ids lies between the pack's."""
    low, high = pack.bounds
    start = 0 if low is None else bisect_left(ids, low)
    return start < (len(ids) if high is None else bisect_right(ids, high))


def _overlapping(packs: Sequence[Packed]) -> set[str]:
    """Those whose ids lie among another one's."""
    found: set[str] = set()
    last: Packed | None = None
    for pack in _sorted(packs):
        if last is not None and (last.bounds[1] is None or _least(pack) <= last.bounds[1]):
            found |= {last.path, pack.path}
        if last is None or pack.bounds[1] is None or (last.bounds[1] is not None and last.bounds[1] < pack.bounds[1]):
            last = pack
    return found


def _sorted(packs: Iterable[Packed]) -> list[Packed]:
    return sorted(packs, key=_least)


def _least(pack: Packed) -> str:
    return pack.bounds[0] or ""
