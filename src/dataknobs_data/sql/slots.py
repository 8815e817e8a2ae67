"""Where in a row the value lies that a name means: `Document.value` and `paths.find`, said in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace

from sqlalchemy import Table, case, null

from dataknobs_data.documents import STAMPS
from dataknobs_data.sql.dialect import Dialect, Slot, Sql

_DOTS_MAX = 3  # a name with n dots can be read in 2**n ways: as a key, as b.c in a, as c in a.b, as c in b in a


def slot_of(table: Table, name: str, dialect: Dialect) -> Slot | None:
    """The value that `name` means, for any name but `id`; None where SQL cannot say it."""
    if name.count(".") > _DOTS_MAX:
        return None
    within = name.removeprefix("metadata.")
    in_data = _routes(name)
    in_metadata = _routes(within) if within != name and within not in STAMPS else []
    if not all(dialect.reaches(keys) for keys in in_data + in_metadata):
        return None
    slots = [dialect.slot(table, "data", keys) for keys in in_data]
    if within != name:
        metadata = [dialect.slot(table, "metadata", keys) for keys in in_metadata]
        slots += _unless_shadowed(table, metadata or [dialect.text_slot(table.c[within])], dialect)
    slot = slots[0] if len(slots) == 1 else _first(slots)
    return replace(slot, text=dialect.by_code_point(slot.text))


def _routes(name: str) -> list[list[str]]:
    """The paths of keys that `name` can mean, in the order in which `paths.dig` tries them."""
    routes = [[name]]
    cut = name.rfind(".")
    while cut != -1:
        routes += [[name[:cut], *rest] for rest in _routes(name[cut + 1 :])]
        cut = name.rfind(".", 0, cut)
    return routes


def _unless_shadowed(table: Table, metadata: Sequence[Slot], dialect: Dialect) -> list[Slot]:
    """A field `metadata` that holds a mapping hides the record's metadata."""
    field = dialect.slot(table, "data", ["metadata"])
    return [replace(slot, kind=case((field.kind == "object", null()), else_=slot.kind)) for slot in metadata]


def _first(slots: Sequence[Slot]) -> Slot:
    """The first that is there."""

    def pick(part: str) -> Sql:
        return case(*((slot.kind.is_not(None), getattr(slot, part)) for slot in slots))

    return Slot(**{part.name: pick(part.name) for part in fields(Slot)})
