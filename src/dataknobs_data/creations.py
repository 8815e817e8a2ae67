"""Creations of many records at once, as columns: bulks that make packs of them need no object for each."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import compress, repeat
from typing import Any, overload

from dataknobs_data.documents import Change, Verb, check_id
from dataknobs_data.exceptions import RecordValidationError
from dataknobs_data.records import Record, ids_of


class Creations(Sequence[Change]):
    """Creations by the columns of their changes, to be treated as read-only.

    generated   for each whether its id was made by us
    """

    __slots__ = ("generated", "ids", "records")

    def __init__(self, ids: Sequence[str], records: Sequence[Record], generated: Sequence[bool]) -> None:
        self.ids = ids
        self.records = records
        self.generated = generated

    @classmethod
    def of_records(cls, records: Sequence[Any], new_ids: Callable[[int], list[str]]) -> Creations:
        """Those of records, under their own ids or new ones. Raises RecordValidationError where one of them makes no sense."""
        if set(map(type, records)) - {Record}:
            for record in records:
                checked(record)
        ids: list[Any] = ids_of(records)
        if ids.count(None) == len(ids):
            return cls(new_ids(len(ids)), records, [True] * len(ids))
        own = [id for id in ids if id is not None]
        if "" in own or not "".join(own).isascii():
            for id in own:
                check_id(id)
        if len(own) == len(ids):
            return cls(ids, records, [False] * len(ids))
        fresh = iter(new_ids(len(ids) - len(own)))
        return cls([next(fresh) if id is None else id for id in ids], records, [id is None for id in ids])

    @classmethod
    def of_changes(cls, changes: Sequence[Change]) -> Creations:
        """The columns of changes of whatever verb: each a creation from here on."""
        if isinstance(changes, cls):
            return changes
        return cls(
            [change.id for change in changes],
            [change.record for change in changes],
            [change.generated for change in changes],
        )

    def only(self, keep: Collection[bool]) -> Creations:
        """Those for which `keep` is true."""
        return Creations(
            list(compress(self.ids, keep)), list(compress(self.records, keep)), list(compress(self.generated, keep))
        )

    def __len__(self) -> int:
        return len(self.ids)

    @overload
    def __getitem__(self, place: int) -> Change: ...

    @overload
    def __getitem__(self, place: slice) -> Creations: ...

    def __getitem__(self, place: int | slice) -> Change | Creations:
        if isinstance(place, slice):
            return Creations(self.ids[place], self.records[place], self.generated[place])
        return Change(Verb.CREATE, self.ids[place], self.records[place], generated=self.generated[place])

    def __iter__(self) -> Iterator[Change]:
        return map(Change, repeat(Verb.CREATE), self.ids, self.records, repeat(None), self.generated)


def checked(record: Any) -> Record:
    """`record` if it is one. Raises RecordValidationError."""
    if isinstance(record, Record):
        return record
    raise RecordValidationError(f"expected a Record, not {type(record).__name__}: wrap it as Record({{…}})")
