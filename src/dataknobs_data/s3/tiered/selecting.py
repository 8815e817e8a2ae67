"""Which packs a compaction makes anew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dataknobs_data.s3.tiered.catalog import Packed

DEAD_SHARE = 0.1
"""Of its rows, from which a pack is made anew: until then other engines see rows that are dead or old."""

SMALL = 4
"""A pack is small that has less than this part of the bytes that a pack should have."""

SMALL_MIN = 8
"""So many small packs are worth merging."""

OVERLAPPING_MAX = 256
"""Packs that are merged at a time: each may take one row group's memory (1 MB)."""


def to_rewrite(packs: Sequence[Packed], dead: Mapping[str, int], target_bytes: int, *, full: bool) -> list[Packed]:
    """The packs to make anew, in the order of their least ids; OVERLAPPING_MAX at most.

    packs  those whose births are all finished
    dead   how many rows of each pack objects hide, by path
    full   leave nothing dead, small or overlapping
    """
    if full:
        chosen = {pack.path for pack in packs if dead.get(pack.path)} | _overlapping(packs)
    else:
        chosen = {pack.path for pack in packs if dead.get(pack.path, 0) >= max(1, DEAD_SHARE * pack.records)}
    small = {pack.path for pack in packs if pack.size * SMALL < target_bytes}
    if len(small | chosen) >= (2 if full else SMALL_MIN):
        chosen |= small
    return sorted((pack for pack in packs if pack.path in chosen), key=_least)[:OVERLAPPING_MAX]


def _overlapping(packs: Sequence[Packed]) -> set[str]:
    """Those whose ids lie among another one's."""
    found: set[str] = set()
    last: Packed | None = None
    for pack in sorted(packs, key=_least):
        if last is not None and (last.bounds[1] is None or _least(pack) <= last.bounds[1]):
            found |= {last.path, pack.path}
        if last is None or pack.bounds[1] is None or (last.bounds[1] is not None and last.bounds[1] < pack.bounds[1]):
            last = pack
    return found


def _least(pack: Packed) -> str:
    return pack.bounds[0] or ""
