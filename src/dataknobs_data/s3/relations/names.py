"""Which field a name in a statement means: in exactly that case first, then in any, as SQL has it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from dataknobs_data.exceptions import QueryError
from dataknobs_data.s3.table.outside import ascii_lower
from dataknobs_data.s3.table.shape import BORN, CREATED, ID, METADATA, REST, REVISION, UPDATED

SYSTEM_NAMES = (ID, CREATED, UPDATED, METADATA, REST, BORN, REVISION)
"""The database's own columns. Where a user's field has such a name, it is found in `_rest`."""

STAND_INS = {"id": ID, "metadata": METADATA}
"""Names that mean such a column where there is no field of that name."""


class Names:
    """All names that there are. `fields`: of users' fields, some of them; `every`: all, which may take long to find out."""

    def __init__(self, fields: Collection[str], every: Callable[[], Collection[str]]) -> None:
        self._fields = fields
        self._every = every
        self._by_lower: dict[str, list[str]] | None = None

    def of(self, name: str) -> str | None:
        """The field or system column that a name means; None: none. Raises QueryError where it could be several."""
        if name in SYSTEM_NAMES or name in self._fields:
            return name
        found = self._in_any_case(name)
        if name in found:
            return name
        if len(found) > 1:
            raise QueryError(
                f"{name} could be {' or '.join(map(repr, sorted(found)))}: write it in exactly that case, in double quotes",
                field=name,
            )
        return found[0] if found else STAND_INS.get(ascii_lower(name))

    def _in_any_case(self, name: str) -> list[str]:
        if self._by_lower is None:
            self._by_lower = {}
            for one in [*SYSTEM_NAMES, *(set(self._every()) - set(SYSTEM_NAMES))]:
                self._by_lower.setdefault(ascii_lower(one), []).append(one)
        return self._by_lower.get(ascii_lower(name), [])


def check_apart(names: Iterable[str]) -> None:
    """Raises QueryError where two names differ only in case, which SQL does not tell apart."""
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(ascii_lower(name), name)
        if other != name:
            raise QueryError(
                f"the fields {other!r} and {name!r} differ only in case, and one statement cannot have both: name the columns "
                "that it needs, without a star, and one of these in a statement of its own",
                fields=[other, name],
            )
