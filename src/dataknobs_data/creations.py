"""Creations of many records at once, as columns: bulks that make packs of them need no object for each."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import compress, repeat
from typing import Any, overload

from dataknobs_data.documents import Change, Verb, check_id
from dataknobs_data.record_likes import are_plain_dicts, as_record, ids_in
from dataknobs_data.records import bare_data, ids_of


class Creations(Sequence[Change]):
    """Creations by the columns of their changes, to be treated as read-only.

    given       the records, or plain dicts in the place of all of them (`record_likes.are_plain_dicts`): then none need be made
    generated   for each whether its id was made by us
    """

    __slots__ = ("generated", "given", "ids")

    def __init__(self, ids: Sequence[str], given: Sequence[Any], generated: Sequence[bool]) -> None:
        self.ids = ids
        self.given = given
        self.generated = generated

    @classmethod
    def of_records(cls, given: Sequence[Any], new_ids: Callable[[int], list[str]]) -> Creations:
        """Those of records or mappings in their place, under their own ids or new ones.

        Raises RecordValidationError where one of them makes no sense.
        """
        are_plain = are_plain_dicts(given)
        if not are_plain:
            given = [as_record(one) for one in given]
        ids: list[Any] = ids_in(given) if are_plain else ids_of(given)
        if ids.count(None) == len(ids):
            return cls(new_ids(len(ids)), given, [True] * len(ids))
        own = [id for id in ids if id is not None]
        if "" in own or not "".join(own).isascii():
            for id in own:
                check_id(id)
        if len(own) == len(ids):
            return cls(ids, given, [False] * len(ids))
        fresh = iter(new_ids(len(ids) - len(own)))
        return cls([next(fresh) if id is None else id for id in ids], given, [id is None for id in ids])

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

    def datas(self) -> list[Mapping[str, Any] | None]:
        """The values of each that has nothing else, None for others. Not copies: to be read at once."""
        has_dicts = bool(self.given) and isinstance(self.given[0], dict)
        return [*self.given] if has_dicts else [*bare_data(self.given)]

    def only(self, keep: Collection[bool]) -> Creations:
        """Those for which `keep` is true."""
        return Creations(
            list(compress(self.ids, keep)), list(compress(self.given, keep)), list(compress(self.generated, keep))
        )

    def __len__(self) -> int:
        return len(self.ids)

    @overload
    def __getitem__(self, place: int) -> Change: ...

    @overload
    def __getitem__(self, place: slice) -> Creations: ...

    def __getitem__(self, place: int | slice) -> Change | Creations:
        if isinstance(place, slice):
            return Creations(self.ids[place], self.given[place], self.generated[place])
        return Change(Verb.CREATE, self.ids[place], as_record(self.given[place]), generated=self.generated[place])

    def __iter__(self) -> Iterator[Change]:
        return map(Change, repeat(Verb.CREATE), self.ids, map(as_record, self.given), repeat(None), self.generated)
