"""In which row groups the rows lie that stand first in a sorted result."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from heapq import nsmallest

from dataknobs_data.query import SortSpec
from dataknobs_data.s3.rehearsal.script import Matches
from dataknobs_data.s3.table.locations import may_lie_in_rest
from dataknobs_data.s3.table.prune import PackFacts
from dataknobs_data.s3.tiered.rehearsal.shares import column_of, places


def best_counts(
    matches: Matches, sort: SortSpec, first: int, groups: Sequence[tuple[int, PackFacts]], stride: int
) -> list[int]:
    """How many of the `first` rows lie in each of the row groups; of each is told how many of its rows match.

    stride  see `rows.stride_of`
    """
    counts = [count for count, _ in groups]
    if sum(counts) <= first:
        return counts
    if matches is Matches.NOTHING:
        return _together(first, counts)
    if matches is Matches.LIKELY and (found := _by_bounds(sort, first, groups)) is not None:
        return found
    if matches is not Matches.LIKELY and any(may_lie_in_rest(sort.field, facts.rest_names) for _, facts in groups):
        return counts  # rows of which the columns do not tell what they sort by are all read
    return _scattered(first, counts, stride)


def _together(first: int, counts: Sequence[int]) -> list[int]:
    """In as few row groups as may be."""
    chosen = [0] * len(counts)
    for number in sorted(range(len(counts)), key=lambda number: -counts[number]):
        chosen[number] = min(first, counts[number])
        first -= chosen[number]
    return chosen


def _by_bounds(sort: SortSpec, first: int, groups: Sequence[tuple[int, PackFacts]]) -> list[int] | None:
    """If values lie evenly between the bounds of their groups; None where bounds are not known."""
    name = column_of(sort.field)
    filled = [(number, count, facts.stats) for number, (count, facts) in enumerate(groups) if count]
    bounds = places(*(side.get(name) for _, _, stats in filled for side in (stats.least, stats.most)))
    if bounds is None:
        return None
    sign = -1 if sort.descending else 1
    values = []
    for place, (number, count, _) in enumerate(filled):
        low, high = bounds[2 * place : 2 * place + 2]
        best, worst = (high, low) if sort.descending else (low, high)
        values += [(sign * (best + (worst - best) * (row + 0.5) / count), number) for row in range(min(count, first))]
    chosen = Counter(number for _, number in nsmallest(first, values))
    return [chosen[number] for number in range(len(groups))]


def _scattered(first: int, counts: Sequence[int], stride: int) -> list[int]:
    """Over as many row groups as may be, those that are not read together before all: that takes the most requests."""
    order = sorted(range(len(counts)), key=lambda number: (number % stride, number))
    filled = [number for number in order if counts[number]]
    chosen = [0] * len(counts)
    for number in filled:
        if first:
            chosen[number] += 1
            first -= 1
    for number in filled:
        more = min(first, counts[number] - chosen[number])
        chosen[number] += more
        first -= more
    return chosen
