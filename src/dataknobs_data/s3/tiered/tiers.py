"""Both tiers of one database, and what is done to them in bulk."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dataknobs_data.s3.layout import Parts
from dataknobs_data.s3.probe import Capabilities
from dataknobs_data.s3.tiered.journals import Journals
from dataknobs_data.s3.tiered.packing import PackStore
from dataknobs_data.s3.tiered.places import Places
from dataknobs_data.s3.tiered.remembering import Folded
from dataknobs_data.s3.tiered.table import Table


@dataclass(frozen=True)
class Tiers:
    """What loads, bulk updates and compaction work with.

    check_key  raises RecordValidationError for an id whose object this store could not hold
    """

    parts: Parts
    table: Table
    places: Places
    journals: Journals
    packs: PackStore
    check_key: Callable[[str], None]
    can: Capabilities
    folded: Folded

    def milliseconds(self) -> int:
        """Now, by this machine's clock, as the log has times that nobody relies on."""
        return int(self.parts.runtime.now().timestamp() * 1000)
