"""What people see of the table: its state in numbers with advice, and its history."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime

from dataknobs_data.s3.archive.states import ARCHIVES
from dataknobs_data.s3.calls import Deadline
from dataknobs_data.s3.store import Listed
from dataknobs_data.s3.table.actions import Add, Remove
from dataknobs_data.s3.table.folder import Folder
from dataknobs_data.s3.table.infos import AUTHOR, ROWS_REMOVED, metric
from dataknobs_data.s3.table.log import Log
from dataknobs_data.s3.table.shape import Shape
from dataknobs_data.s3.table.snapshot import Entry, Snapshot
from dataknobs_data.s3.tiered.catalog import Packed, are_wanted
from dataknobs_data.s3.tiered.reports import CommitTime, LogEntry, SizeClass, TableStats
from dataknobs_data.s3.tombstones import may_be_tombstone

SIZE_LIMITS = tuple(mebibytes << 20 for mebibytes in (1, 4, 16, 64, 256, 1024))
"""Where one class of pack sizes ends and the next begins, in bytes."""

SMALL_SHARE, SMALL_PACKS = 4, 10
"""So many packs, each below the target size by this factor, are worth a compaction: every query opens each of them."""

HOT_SHARE, HOT_OBJECTS = 10, 1000
"""So many hot objects, and one for so many rows or fewer, are worth one too: every search reads each of them."""

COMMITS_BEHIND = 100
"""Commits behind the checkpoint that are worth a new one: whoever opens the table reads each of them."""


def table_stats(
    snapshot: Snapshot | None,
    folder: Folder,
    hot: Mapping[str, Listed],
    unfinished: Collection[str],
    *,
    lines: Mapping[str, Listed],
    pack_target_bytes: int,
) -> TableStats:
    """The numbers of a snapshot (None: there is no table yet), the log's whole folder, the hot objects by id, and the births
    named by a pack whose load is not finished. `lines`: its packs in a listing, by path; `pack_target_bytes`: how large packs
    are to be.
    """
    shape = Shape.from_schema_string(snapshot.schema) if snapshot else Shape()
    packs = [Packed(add, shape) for add in snapshot.packs.values()] if snapshot else []
    version = snapshot.version if snapshot else None
    rows = _rows(pack.stats.records if pack.stats else None for pack in packs)
    cold = [pack for pack in packs if pack.path in lines and lines[pack.path].storage_class in ARCHIVES]
    bare = [pack for pack in (packs if are_wanted(snapshot) else cold) if pack.companion_size is None]
    tombstones = sum(may_be_tombstone(line.size) for line in hot.values())
    checkpoint = max(folder.checkpoints, default=None)
    return TableStats(
        version=version,
        packs=len(packs),
        rows=rows,
        bytes=sum(pack.size for pack in packs),
        sizes=_sizes(packs),
        columns=dict(shape.fields),
        documents=len(hot) - tombstones,
        tombstones=tombstones,
        hot_bytes=sum(line.size for line in hot.values()),
        covering=_covering(hot, packs),
        oldest=_time_of(folder, min(folder.entries, default=None)),
        newest=_time_of(folder, max(folder.entries, default=None)),
        checkpoint=checkpoint,
        unfinished=tuple(sorted(unfinished)),
        classes=dict(Counter(line.storage_class for line in lines.values())),
        without_companion=len(bare),
        advice=(
            *_advice_on_packs(packs, pack_target_bytes),
            *_advice_on_hot(len(hot), rows),
            *_advice_on_log(-1 if version is None else version, checkpoint),
            *_advice_on_loads(len(unfinished)),
            *_advice_on_archives(len(cold), len(bare), _covering(hot, cold)),
        ),
    )


def _rows(counts: Iterable[int | None]) -> int | None:
    """Their sum, where all are known."""
    total = 0
    for count in counts:
        if count is None:
            return None
        total += count
    return total


def _sizes(packs: Iterable[Packed]) -> tuple[SizeClass, ...]:
    classes: dict[int, list[int]] = {}
    for pack in packs:
        classes.setdefault(bisect_right(SIZE_LIMITS, pack.size), []).append(pack.size)
    ends = (0, *SIZE_LIMITS, None)
    return tuple(
        SizeClass(ends[number] or 0, ends[number + 1], len(sizes), sum(sizes))
        for number, sizes in sorted(classes.items())
    )


def _covering(ids: Iterable[str], packs: Iterable[Packed]) -> int:
    """How many of the ids lie between the bounds of some pack."""
    spans = sorted((low or "", high is None, high or "") for low, high in (pack.bounds for pack in packs))
    begun, endless, reach, count = 0, False, "", 0
    for id in sorted(ids):
        while begun < len(spans) and spans[begun][0] <= id:
            endless, reach = endless or spans[begun][1], max(reach, spans[begun][2])
            begun += 1
        count += endless or (begun > 0 and id <= reach)
    return count


def _time_of(folder: Folder, version: int | None) -> CommitTime | None:
    return None if version is None else CommitTime(version, folder.entries[version].modified)


# ---------------------------------------------------------------------------------------------- advice
def _advice_on_packs(packs: Sequence[Packed], target: int) -> Iterable[str]:
    small = sum(pack.size < target / SMALL_SHARE for pack in packs)
    if small >= SMALL_PACKS:
        yield f"compact: {small:,} small packs, which every query opens one by one"


def _advice_on_hot(objects: int, rows: int | None) -> Iterable[str]:
    if objects >= HOT_OBJECTS and objects * HOT_SHARE >= (rows or 0):
        yield f"compact: {objects:,} hot objects, which every search reads one by one"


def _advice_on_log(version: int, checkpoint: int | None) -> Iterable[str]:
    behind = version - (-1 if checkpoint is None else checkpoint)
    if behind > COMMITS_BEHIND:
        since = "without a checkpoint" if checkpoint is None else "since the last checkpoint"
        yield f"compact: {behind:,} commits {since}, which everyone reads who opens the table"


def _advice_on_loads(unfinished: int) -> Iterable[str]:
    if unfinished:
        loads = "1 load is" if unfinished == 1 else f"{unfinished:,} loads are"
        yield f"compact: {loads} not finished; it finishes what died"


def _advice_on_archives(cold: int, bare: int, covering: int) -> Iterable[str]:
    if bare:
        yield (
            f"lifecycle.write_companions(): {bare:,} packs have no companion; archived ones have to be restored before that, for "
            "without it their records cannot be counted, listed or changed"
        )
    if covering:
        yield (
            f"compact, once restored: {cold:,} packs are archived, and up to {covering:,} objects stand in front of their rows, "
            "where they stay until those packs can be made anew"
        )


# ---------------------------------------------------------------------------------------------- history
def history(log: Log, snapshot: Snapshot, limit: int, deadline: Deadline | None = None) -> list[LogEntry]:
    """The newest at most `limit` commits up to `snapshot`, newest first; cleaning may have left fewer: 1 LIST and 1 GET each.

    Raises Fault where the store fails, SnapshotExpiredError when some are cleaned away meanwhile.
    """
    first = max(0, snapshot.version - limit + 1)
    if first > snapshot.version:
        return []
    found = log.reader.folder(first, deadline).entries
    lines = [(number, found[number]) for number in range(snapshot.version, first - 1, -1) if number in found]
    return [
        _log_entry(entry, line.modified)
        for entry, (_, line) in zip(log.reader.entries(lines, deadline), lines, strict=True)
    ]


def _log_entry(entry: Entry, at: datetime) -> LogEntry:
    removed = [action for action in entry.actions if isinstance(action, Remove)]
    moves = any(not action.data_change for action in removed)  # as OPTIMIZE of other programs
    added = [
        Packed(action, Shape())
        for action in entry.actions
        if isinstance(action, Add)
        and (action.data_change or moves)  # else it says something else of a pack that is there
    ]
    info = entry.commit.info or {}
    operation, parameters = info.get("operation"), info.get("operationParameters")
    return LogEntry(
        version=entry.commit.version,
        at=at,
        operation=operation,
        job=entry.commit.job,
        parameters=parameters if isinstance(parameters, dict) else {},
        rows=_rows(pack.stats.records if pack.stats else None for pack in added),
        packs_added=len(added),
        packs_removed=len(removed),
        bytes=sum(pack.size for pack in added),
        rows_removed=metric(info, ROWS_REMOVED),
        author=info.get(AUTHOR),
    )
