"""What a listing of the log's folder says, and which of it makes up the newest snapshot."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain

from dataknobs_data.exceptions import DataFormatError
from dataknobs_data.s3.keys import Keys
from dataknobs_data.s3.store import Listed

ENTRY, CHECKPOINT = "json", "checkpoint.parquet"


@dataclass(frozen=True, slots=True)
class Folder:
    """Files of the log by version: commits, classic checkpoints, and all others (which no reader needs)."""

    entries: Mapping[int, Listed]
    checkpoints: Mapping[int, Listed]
    others: tuple[tuple[int, Listed], ...]

    @property
    def is_empty(self) -> bool:
        """Whether there is no file of a log at all."""
        return not (self.entries or self.checkpoints or self.others)

    def files(self) -> Iterator[tuple[int, Listed]]:
        """All of them, with their versions."""
        yield from chain(self.entries.items(), self.checkpoints.items(), self.others)


@dataclass(frozen=True, slots=True)
class Plan:
    """What to read: the checkpoint of this version (None: there is none), then all commits after it up to the last."""

    checkpoint: int | None
    last: int

    @property
    def versions(self) -> range:
        """Of the commits after the checkpoint."""
        return range(0 if self.checkpoint is None else self.checkpoint + 1, self.last + 1)


def folder_of(lines: Iterable[Listed], keys: Keys) -> Folder:
    """Sorts a listing."""
    entries: dict[int, Listed] = {}
    checkpoints: dict[int, Listed] = {}
    others: list[tuple[int, Listed]] = []
    for line in lines:
        if name := keys.log_name(line.key):
            version, kind = name
            if kind == ENTRY:
                entries[version] = line
            elif kind == CHECKPOINT:
                checkpoints[version] = line
            else:
                others.append((version, line))
    return Folder(entries, checkpoints, tuple(others))


def plan_of(folder: Folder, place: str) -> Plan:
    """The shortest way to the newest version. Raises DataFormatError when commits are missing. `place`: the log, for messages.

    A checkpoint whose commit and all later ones are gone is no end of a log: cleaning keeps the commit of a checkpoint.
    """
    last = max(folder.entries, default=-1)
    newest = max(folder.checkpoints, default=-1)
    if last < 0 or last < newest:
        found = f"the newest checkpoint is of version {newest}" if newest >= 0 else "it holds other files"
        raise DataFormatError(
            f"{place}: the log has no commit {max(newest, 0)}, but {found}: commits were lost; put them back from a backup",
            place=place,
        )
    plan = Plan(max(folder.checkpoints, default=None), last)
    missing = [version for version in plan.versions if version not in folder.entries]
    if missing:
        foreign = any("checkpoint" in line.key for _, line in folder.others)
        hint = "; it has checkpoints in parts or of the V2 form, which this package does not read" if foreign else ""
        raise DataFormatError(
            f"{place}: commit {missing[0]} is missing though commit {last} is there"
            f"{hint}; nothing can be read until it is put back",
            place=place,
            missing=missing,
        )
    return plan
