"""The end of what was folded: objects are deleted as they were seen, when nobody relies on them any more."""

from __future__ import annotations

from collections.abc import Callable, Collection

from dataknobs_data.s3.steps import step
from dataknobs_data.s3.store import Fault, Kind, Listed, Match
from dataknobs_data.s3.tiered.fences import Ages, store_time
from dataknobs_data.s3.tiered.reports import CompactProgress
from dataknobs_data.s3.tiered.tiers import Tiers

Progress = Callable[[CompactProgress], None]

LOOK_AGAIN_SECONDS = 5.0
"""How often somebody who waits looks whether the grace period is over; a quarter of that period where it is shorter."""


class Dropper:
    """Deletes objects for one compaction. `count`: how many so far."""

    def __init__(self, tiers: Tiers, tell: Progress) -> None:
        self._tiers = tiers
        self._parts = tiers.parts
        self._tell = tell
        self.count = 0

    def drop(self, lines: Collection[Listed]) -> None:
        """Deletes objects, if they still are what they were."""
        for number, dropped in enumerate(self._parts.many.map(self._drop, lines)):
            if number % 1000 == 0:
                self._tell(CompactProgress("deleting what was folded", number, len(lines)))
            self.count += dropped

    def _drop(self, line: Listed) -> bool:
        try:
            with step("compact.drop"):
                self._parts.caller.send("DeleteObject", lambda store: store.delete(line.key, Match(line.etag)))
        except Fault as fault:
            if fault.kind not in (Kind.CONDITION, Kind.MISSING):
                raise
            return fault.answer_lost
        finally:
            self._parts.objects.cache.drop(line.key)
        return True

    def wait_and_drop(self, lines: Collection[Listed], version: int) -> None:
        """As `drop`, when the commit of that version is older than the grace period."""
        self._tell(CompactProgress("waiting until nobody relies on what was folded", 0, len(lines)))
        runtime, settings = self._parts.runtime, self._parts.settings
        while not self._ages().is_past_grace(version):
            runtime.sleep(min(LOOK_AGAIN_SECONDS, settings.grace / 4))
        self.drop(lines)

    def _ages(self) -> Ages:
        snapshot = self._tiers.table.look(None, "compact.start").snapshot
        return Ages(snapshot, store_time(self._parts.caller, self._parts.keys), self._parts.settings)
