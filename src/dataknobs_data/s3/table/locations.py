"""Where the rows of a pack keep the values that a name means in a query: in a column, in the JSON of another, nowhere.

a          the column `a`; where that is null perhaps `_rest`, if the pack has values of that name there
a.b        the column `a.b`, or inside the value `a`, which only `_rest` can hold
id         the column `_id`
metadata.x `_metadata`, unless the record has a field `metadata` with a dict; the database's own stamps in columns
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import reduce
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from dataknobs_data.expressions import Expression, fold
from dataknobs_data.query import SortSpec
from dataknobs_data.s3.table.kinds import BY_NAME, Kind
from dataknobs_data.s3.table.masks import Mask, both, either, inverted, mask_of
from dataknobs_data.s3.table.shape import CREATED, ID, METADATA, REST, UPDATED

_STAMPS = {"metadata.id": ID, "metadata.created_at": CREATED, "metadata.updated_at": UPDATED}
_AS_IN_JSON = re.compile(r'[^\x00-\x1f"\\\x7f\ud800-\udfff]*')


class Outside(NamedTuple):
    """Rows that have all of these texts in that column of JSON may have a value in it; no others have."""

    column: str
    texts: tuple[str, ...] = ()


class Location(NamedTuple):
    """Where the values of one name lie.

    column     its non-null values are the name's, and come back as they are; None: there is no such column
    outside    where a value may lie in rows where the column is null
    only_text  `id`: its texts are never instants
    stamp      the column is one of the database's own. Its timestamps stand for the texts that mean them, null is a text
               that means none, and values `outside` come first
    """

    column: str | None = None
    kind: Kind = BY_NAME["string"]
    outside: tuple[Outside, ...] = ()
    only_text: bool = False
    stamp: bool = False

    @property
    def columns(self) -> Iterable[str]:
        """All columns that this speaks of."""
        return [*([self.column] if self.column else []), *(other.column for other in self.outside)]


def location_of(name: str, kinds: Mapping[str, Kind], rest_names: frozenset[str] | None) -> Location:
    """Where values of `name` lie in a pack with those user columns; see `prune.PackFacts`."""
    if name == "id":
        return Location(ID, only_text=True)
    rest: tuple[Outside, ...] = (Outside(REST, ('"data"', *_key(name))),) if may_lie_in_rest(name, rest_names) else ()
    stamp = _STAMPS.get(name)
    if stamp and name not in kinds:
        return Location(stamp, BY_NAME["string" if stamp == ID else "timestamp"], rest, stamp=True)
    if stamp:
        rest += (Outside(ID),)
    elif name.startswith("metadata."):
        rest += (Outside(METADATA, _key(name.removeprefix("metadata."))),)
    return Location(name, kinds[name], rest) if name in kinds else Location(outside=rest)


def may_lie_in_rest(name: str, rest_names: frozenset[str] | None) -> bool:
    """Whether a field of that name, or one that its path leads into, may have values in `_rest`."""
    if rest_names is None or name in rest_names:
        return True
    return "." in name and any(name.startswith(f"{outer}.") for outer in rest_names)


def hides_stamp(name: str) -> bool:
    """Whether a field of that name, even where it is null, stands before one of the database's own stamps."""
    return name in _STAMPS


def _key(name: str) -> tuple[str, ...]:
    """How the key of JSON begins below which `name` lies, where JSON writes it as it is."""
    start = name.split(".", 1)[0]
    return (f'"{start}',) if _AS_IN_JSON.fullmatch(start) else ()


def columns_for(
    expression: Expression | None,
    sort_specs: Iterable[SortSpec],
    kinds: Mapping[str, Kind],
    rest_names: frozenset[str] | None,
) -> set[str]:
    """The columns of a pack by which its rows are judged (`filtering`) and sorted (`best`)."""
    names = {spec.field for spec in sort_specs}
    if expression is not None:
        fold(expression, lambda leaf: names.add(leaf.field), lambda operator, parts: None)
    return {ID}.union(*(location_of(name, kinds, rest_names).columns for name in names))


class Rows:
    """Rows of one pack, some of their columns. What a missing column would say is taken for unknown."""

    def __init__(self, table: pa.Table, kinds: Mapping[str, Kind], rest_names: frozenset[str] | None) -> None:
        self.table = table
        self._kinds = kinds
        self._rest_names = rest_names

    def location(self, name: str) -> Location:
        """See `location_of`."""
        return location_of(name, self._kinds, self._rest_names)

    def column(self, name: str, kind: Kind) -> pa.ChunkedArray:
        """That column; all null where it is not here."""
        if name not in self.table.column_names:
            return pa.chunked_array([pa.nulls(self.table.num_rows, kind.arrow)])
        return self.table[name].cast(kind.arrow)

    def values(self, location: Location) -> pa.ChunkedArray:
        """The values of a name, null where it has none, or an unknown one."""
        return self.column(location.column or "", location.kind)

    def unknown(self, location: Location) -> Mask:
        """The rows whose value of that name is not known."""
        if not set(location.columns) <= set(self.table.column_names):
            return True
        found: Mask = reduce(either, map(self._outside, location.outside), False)
        if location.column is None or (found is False and not location.stamp):
            return found
        nulls = mask_of(pc.is_null(self.table[location.column]))
        return either(found, nulls) if location.stamp else both(found, nulls)

    def _outside(self, outside: Outside) -> Mask:
        column = self.table[outside.column].cast(pa.string())
        if column.null_count == len(column):
            return False
        found: Mask = inverted(mask_of(pc.is_null(column)))
        for text in outside.texts:
            found = both(found, pc.match_substring(column, text))
        return found
