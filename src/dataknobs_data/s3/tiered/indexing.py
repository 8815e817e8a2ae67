"""Companions for packs that were written without: before packs may move to an archive class, and whenever some still lack one.

From the first run on the table says itself (WANTED, in its configuration) that packs are to have companions: whoever writes
packs and knows that version writes them with theirs. Packs of somebody who did not know it yet get theirs by the next
compaction.

    log            which packs lack one
    packs          the columns that a companion has, of one pack after the other; its companion, If-None-Match
    commit         the same packs, with tags that name their companions

It can end at any request: a companion that no tag names is found by the next run, and used.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa

from dataknobs_data.exceptions import DataFormatError
from dataknobs_data.s3.keys import companion_of
from dataknobs_data.s3.store import ABSENT, Fault, Kind, PutOptions
from dataknobs_data.s3.table.actions import Action, MetaData
from dataknobs_data.s3.table.companions import COLUMNS, Companion, companion
from dataknobs_data.s3.table.log import Job
from dataknobs_data.s3.table.shape import Shape
from dataknobs_data.s3.table.snapshot import Snapshot
from dataknobs_data.s3.tiered.catalog import IDS, WANTED, Packed, are_wanted, companion_tags
from dataknobs_data.s3.tiered.fences import CREATION, INDEXING
from dataknobs_data.s3.tiered.packing import PARQUET
from dataknobs_data.s3.tiered.table import View
from dataknobs_data.s3.tiered.tiers import Tiers
from dataknobs_data.streaming import windows

PACKS_AT_ONCE = 100
"""Packs whose companions are named by one commit."""


@dataclass(frozen=True, slots=True)
class Indexed:
    """What came of it: how many packs got a companion, and the keys of those that are archived already and have none."""

    packs: int
    archived: tuple[str, ...]


def lacking(packs: Iterable[Packed]) -> list[Packed]:
    """Those of these packs that have none."""
    return [pack for pack in packs if pack.companion_size is None]


class Indexing:
    """Gives companions to packs. Raises Fault where the store fails; beside anybody else, at any time."""

    def __init__(self, tiers: Tiers) -> None:
        self._tiers = tiers
        self._parts = tiers.parts
        self._log = tiers.table.log
        self._done = 0
        self._archived: dict[str, str] = {}

    def run(self) -> Indexed:
        """Asks for companions from now on, and gives one to every pack that lacks it."""
        self._want()
        while left := [pack for pack in lacking(self._look().packs) if pack.path not in self._archived]:
            for some in windows(left, PACKS_AT_ONCE):
                self._index(some)
        return Indexed(self._done, tuple(self._archived.values()))

    def heal(self) -> int:
        """The same where the table asks for them, as it was last seen; how many packs got one."""
        known = self._log.known
        wanted = are_wanted(known) and lacking(self._tiers.table.view(known).packs)
        return self.run().packs if wanted else 0

    def _look(self) -> View:
        return self._tiers.table.look(None, "index.start")

    def _want(self) -> None:
        job = Job(self._parts.runtime.new_id(), CREATION)
        self._log.ensure(Shape().schema_string(), job)

        def decide(snapshot: Snapshot) -> Sequence[Action] | None:
            return None if are_wanted(snapshot) else [_wanting(snapshot.metadata)]

        self._log.commit_with(decide, self._job(0))

    def _job(self, packs: int) -> Job:
        return Job(self._parts.runtime.new_id(), INDEXING, {"packs": str(packs)})

    def _index(self, packs: Sequence[Packed]) -> None:
        tags: dict[str, dict[str, str]] = {}
        for pack in packs:
            made = self._companion(pack)
            if made is not None:
                tags[pack.path] = companion_tags(made)

        def decide(snapshot: Snapshot) -> Sequence[Action] | None:
            there = [add for path, add in snapshot.packs.items() if path in tags and IDS not in (add.tags or {})]
            named = [replace(add, tags={**(add.tags or {}), **tags[add.path]}, data_change=False) for add in there]
            return named or None

        if tags and self._log.commit_with(decide, self._job(len(tags))):
            self._done += len(tags)

    def _companion(self, pack: Packed) -> Companion | None:
        """The companion that the pack has now; None where it is archived."""
        view = self._tiers.table.view_of([pack])
        reader = view.reader(pack)
        try:
            rows: list[pa.Table] = [reader.read([group], COLUMNS).select(COLUMNS) for group in reader.groups]
        except Fault as fault:
            if fault.kind is not Kind.ARCHIVED:
                raise
            self._archived[pack.path] = reader.name
            return None
        return self._put(companion_of(pack.path), companion(rows))

    def _put(self, path: str, made: Companion) -> Companion:
        key, body = self._parts.keys.table_file(path), memoryview(made.body).cast("B")
        caller = self._parts.caller
        try:
            caller.send("PutObject", lambda store: store.put(key, body, PutOptions(content_type=PARQUET), ABSENT))
        except Fault as fault:
            if fault.kind is not Kind.CONDITION:
                raise
            found = caller.send("GetObject", lambda store: store.get(key))  # of a run that ended, or one beside this
            assert found is not None, "it was not asked whether it has changed"
            return self._there(key, found.body)
        return made

    def _there(self, key: str, body: bytes | memoryview) -> Companion:
        try:
            return Companion.of(pa.py_buffer(body))
        except (pa.ArrowException, OSError) as error:
            raise DataFormatError(f"{key}: damaged companion: {error}; delete it", key=key) from error


def _wanting(metadata: MetaData) -> MetaData:
    return replace(metadata, configuration={**metadata.configuration, WANTED: "true"})
