"""Loads that died after their commit are finished by whoever compacts, by doing their last look for them (the model's `adopt`)."""

from __future__ import annotations

from dataknobs_data.s3.steps import step
from dataknobs_data.s3.tiered.catalog import Packed
from dataknobs_data.s3.tiered.fences import Ages
from dataknobs_data.s3.tiered.front import Front, standing
from dataknobs_data.s3.tiered.loading import foreign_to
from dataknobs_data.s3.tiered.rewriting import taken_back
from dataknobs_data.s3.tiered.table import View
from dataknobs_data.s3.tiered.tiers import Tiers


class Loads:
    """The loads whose packs still bear their births, as a compaction that has listed all objects finds them."""

    def __init__(self, tiers: Tiers, view: View) -> None:
        self._tiers = tiers
        self._view = view
        self.births = {pack.load for pack in view.packs if pack.load is not None}
        self.finished: set[str] = set()

    def look(self) -> None:
        """Which of them are finished: read afresh, after the objects."""
        with step("compact.journal"):
            self.finished = self._tiers.journals.finished(self.births) if self.births else set()

    def is_finished(self, pack: Packed) -> bool:
        """Whether all births in the pack are of creations that are over."""
        return pack.load is None or pack.load in self.finished

    def dead(self, ages: Ages) -> list[str]:
        """Those that are not finished and cannot be running."""
        return sorted(birth for birth in self.births - self.finished if ages.is_over(birth))

    def adopt(self, birth: str, front: Front) -> None:
        """Takes back what the load lost to others, and marks it as finished."""
        lost = self._lost(birth, front)
        deadline = self._tiers.parts.caller.deadline()
        if lost:
            with step("compact.adopt"):
                taken_back(self._tiers, birth, lost, deadline)
        with step("compact.adopt"):
            self._tiers.journals.finish(birth, deadline)

    def _lost(self, birth: str, front: Front) -> list[str]:
        packs = [pack for pack in self._view.packs if pack.load == birth]
        rows = self._view.rows(front.ids, packs)
        return [id for id in rows if any(row.born == birth for row in rows[id]) and self._is_foreign(birth, id, front)]

    def _is_foreign(self, birth: str, id: str, front: Front) -> bool:
        line = front.documents.get(id) or front.tombstones[id]
        return foreign_to(birth, standing(self._tiers.parts.objects, id, line))
