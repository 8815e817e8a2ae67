"""One record's two places: what stands in front (the object), and what lies behind it (rows of the table)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from dataknobs_data.documents import Document
from dataknobs_data.exceptions import DatabaseOperationError
from dataknobs_data.s3.calls import Caller, Deadline
from dataknobs_data.s3.objects import Found, Objects, Stored
from dataknobs_data.s3.steps import step
from dataknobs_data.s3.tiered.table import Row, Table, View
from dataknobs_data.snapshots import again

T = TypeVar("T")


class Places:
    """Looks at both tiers. Raises Fault where the store fails."""

    def __init__(self, caller: Caller, objects: Objects, table: Table) -> None:
        self.objects = objects
        self.table = table
        self._caller = caller

    def front(self, id: str, deadline: Deadline, name: str, *, damaged: bool = False) -> Found:
        """The object: 1 GET. `damaged`: it may be one that makes no sense."""
        with step(name):
            return self.objects.look_or_outline(id, deadline, damaged=damaged)

    def births(self, id: str, deadline: Deadline, name: str) -> frozenset[str]:
        """The births of the record's rows, by a fresh look at the log."""
        rows = self._behind(deadline, name, lambda view: view.rows([id]).get(id, ()))
        return frozenset(row.born for row in rows)

    def row(self, id: str, deadline: Deadline, name: str, kills: Iterable[str] = ()) -> Row | None:
        """Where the live row lies, by a fresh look at the log: the one whose birth is not killed."""
        return alive(id, self._behind(deadline, name, lambda view: view.rows([id]).get(id, ())), kills)

    def behind(self, id: str, deadline: Deadline, name: str, kills: Iterable[str] = ()) -> Document | None:
        """As `row`, with all that it says."""
        found = self._behind(deadline, name, lambda view: view.documents([id]).get(id, ()))
        return alive(id, [document for document, _ in found], kills)

    def current(self, id: str, deadline: Deadline, name: str, kills: Iterable[str] = ()) -> Document | None:
        """As `row`, with what a change has to know of it (see View.current)."""
        found = self._behind(deadline, name, lambda view: view.current([id]).get(id, ()))
        return alive(id, [document for document, _ in found], kills)

    def _behind(self, deadline: Deadline, name: str, read: Callable[[View], T]) -> T:
        return fresh(self.table, deadline, name, read)


def fresh(table: Table, deadline: Deadline | None, name: str, read: Callable[[View], T]) -> T:
    """What `read` finds in the table as it is now, having looked again where packs were vacuumed meanwhile."""
    return again(lambda: read(table.look(deadline, name)))


RowLike = TypeVar("RowLike", Row, Document)


def alive(id: str, rows: Iterable[RowLike], kills: Iterable[str]) -> RowLike | None:
    """The row whose birth is not killed. Raises DatabaseOperationError where there are two: the table is damaged."""
    dead = frozenset(kills)
    living = [row for row in rows if row.born not in dead]
    if len(living) > 1:
        raise DatabaseOperationError(
            f"record {id!r} lies in the table {len(living)} times (births {sorted(row.born for row in living)}): somebody else "
            "has written to the table; no answer would be right",
            id=id,
        )
    return living[0] if living else None


def is_untouched(found: Stored) -> bool:
    """Whether nobody has changed the record since its creation under an id of its own."""
    return found.document.born == found.document.revision
