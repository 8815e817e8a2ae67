"""What the SQL engine asks of records: the port between it and the databases whose records it reads.

A statement is parsed first. What it names of a relation is handed to `Relation.bind`, which says what columns those are; the
rows are read only when DuckDB asks for them, as far as it asks.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.compute as pc

Path = tuple[str | int, ...]
"""A name as a statement has it: ("address", "city"), ("tags", 0)."""


@dataclass(frozen=True)
class Binding:
    """What a statement's names are, in one relation.

    schema    the columns there are for this statement, with their Arrow types. No two are the same but for case
    hidden    names of columns of `schema` that are no part of `SELECT *`
    columns   path → name of its column in `schema`; a path that is no field of any record is not among the keys. A path of one
              name stands for the column of that name (perhaps in another case), a longer one for a column of its own
    """

    schema: pa.Schema
    hidden: frozenset[str] = frozenset()
    columns: Mapping[Path, str] = field(default_factory=dict)


class Relation(Protocol):
    """The records of one database as they were when it was made. Raises public errors.

    May be read several times by one statement, and by several threads: each time it is the same records.
    """

    @property
    def names(self) -> Collection[str]:
        """Of all fields that a record has, and of columns of the system: for errors that name the nearest."""

    def bind(self, paths: Collection[Path], star: bool) -> Binding:
        """The columns for a statement that has these paths, and perhaps a star, somewhere. Paths that it does not know may
        be aliases, or belong to another relation."""

    def scan(
        self, binding: Binding, columns: Sequence[str], condition: pc.Expression | None
    ) -> Iterator[pa.RecordBatch]:
        """Exactly the rows for which `condition` is true, in any order; of these columns, in this order.

        Closing the iterator ends what was begun for it.
        """

    def close(self) -> None:
        """Gives back what it holds: temporary files."""


Opener = Callable[[], Relation]
"""Makes a relation; called only if a statement names it."""
