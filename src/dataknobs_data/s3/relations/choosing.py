"""Which column a field is in a statement: typed where no live value disagrees, else text."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from dataknobs_data.s3.relations.columns import AtPath, Column, InMetadata, Others, System, Text, Typed
from dataknobs_data.s3.relations.names import SYSTEM_NAMES
from dataknobs_data.s3.relations.portions import Portion
from dataknobs_data.s3.table.kinds import BY_NAME, Kind
from dataknobs_data.s3.table.outside import BY_FORM, NESTED, Forms, ascii_lower
from dataknobs_data.s3.table.shape import METADATA, REST, Shape
from dataknobs_data.s3.table.sweep import Fan
from dataknobs_data.select.relation import Path

_NUMBERS = frozenset({"long", "double"})


class Chooser:
    """The columns of one statement."""

    def __init__(self, shape: Shape, portions: Sequence[Portion], fan: Fan, names: Collection[str]) -> None:
        """`names`: of fields that it will be asked about. What `_rest` holds of them is found out of all portions at once."""
        self._kinds = shape.kinds
        self._portions = portions
        asked = [name for name in dict.fromkeys(names) if name not in SYSTEM_NAMES]
        found = fan(lambda portion: portion.find_forms(asked), portions)
        self._forms = _joined(found)
        doubtful = [name for name in asked if name in self._kinds and self._disagrees(name)]
        if doubtful:
            self._forms |= dict.fromkeys(doubtful, frozenset())
            self._forms |= _joined(fan(lambda portion: portion.living_forms(doubtful), portions))

    def _disagrees(self, name: str) -> bool:
        return not self._forms.get(name, frozenset()) <= BY_FORM[self._kinds[name].delta]

    def column(self, name: str, called: str) -> Column:
        """A field's column, or one of the system's."""
        if name == REST:
            return Others(called, frozenset(self._kinds))
        if name in SYSTEM_NAMES:
            return System(called, name)
        kind = self._kinds.get(name)
        if kind is None:
            return Text(called, name, None)
        agreed = self._agreed(name, kind)
        return Text(called, name, kind) if agreed is None else Typed(called, name, agreed)

    def _agreed(self, name: str, kind: Kind) -> Kind | None:
        """The type that all values have, perhaps as doubles; None where there is none."""
        if not self._disagrees(name):
            return kind
        if kind.delta not in _NUMBERS or not self._forms[name] <= _NUMBERS:
            return None
        if kind.delta == "long" and any(name in one.kinds and one.has_wide(name) for one in self._portions):
            return None
        return BY_NAME["double"]

    def at(self, path: Path, name: str, plan: Mapping[str, Column]) -> Column | None:
        """The column of a path whose first part means the field `name`; None where nothing can stand there.

        plan  the columns that there are already
        """
        if len(path) == 1:
            lower = ascii_lower(str(path[0]))
            called = name if ascii_lower(name) == lower else lower  # a stand-in
            return plan.get(called) or self.column(name, called)
        called = _free(path, plan)
        if name == METADATA:
            return InMetadata(called, tuple(path[1:]))
        if name in SYSTEM_NAMES or NESTED not in self._forms.get(name, frozenset()):
            return None
        return AtPath(called, name, tuple(path[1:]))


def _joined(found: Iterable[Mapping[str, Forms]]) -> dict[str, Forms]:
    every: dict[str, Forms] = {}
    for forms in found:
        for name, some in forms.items():
            every[name] = every.get(name, frozenset()) | some
    return every


def _free(path: Path, taken: Collection[str]) -> str:
    """A name for a path that no other column has in any case."""
    called = "".join(f"[{one}]" if isinstance(one, int) else f".{one}" for one in path).removeprefix(".")
    lower = {ascii_lower(name) for name in taken}
    while ascii_lower(called) in lower:
        called += "'"
    return called
