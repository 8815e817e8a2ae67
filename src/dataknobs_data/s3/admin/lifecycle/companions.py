"""Packs that rules archive need companions first: small files with what identifies their records, which are never archived."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from dataknobs_data.exceptions import ConfigurationError
from dataknobs_data.s3.admin.control import Control
from dataknobs_data.s3.admin.lifecycle.dangers import archiving_packs
from dataknobs_data.s3.admin.lifecycle.rules import Rule
from dataknobs_data.s3.costs.estimate import counted
from dataknobs_data.s3.faults import translated

if TYPE_CHECKING:
    from dataknobs_data.s3.tiered.indexing import Indexed


class Companions:
    """Those of one database's packs. `index`: gives all packs companions; None: there are no packs."""

    def __init__(self, control: Control, index: Callable[[], Indexed] | None) -> None:
        self._control = control
        self._index = index

    def write(self) -> Indexed:
        """Gives every pack one that lacks it. Raises ConfigurationError in the objects layout."""
        if self._index is None:
            raise ConfigurationError(
                "this database has layout 'objects': there are no packs that could have companions"
            )
        return self._index()

    def before(self, new: Sequence[Rule]) -> list[str]:
        """Writes them before these rules are set, if they archive packs. What to say of it."""
        if self._index is None or not archiving_packs(new, self._control.keys):
            return []
        done = self.write()
        notes = [f"{counted(done.packs, 'pack')} got a companion with the ids"] if done.packs else []
        if done.archived:
            notes.append(
                f"{counted(len(done.archived), 'pack')} without companion in an archive already (such as {done.archived[0]}): "
                "restore(Query()) brings them back, then call lifecycle.write_companions()"
            )
        return notes

    def dangers(self, rules: Sequence[Rule]) -> list[str]:
        """Rules that archive packs where some, or some to come, have none."""
        packed = self._control.packed
        cold = archiving_packs(rules, self._control.keys) if packed.exists else []
        if not cold:
            return []
        with translated("looking at packs", self._control.place):
            if packed.indexed():
                return []
        without = "which have no companions, or not all of them: lifecycle.write_companions() writes those"
        return [f"{one}, {without}" for one in cold]
