"""Which columns the table has, and how it gets new ones.

    _id _born _revision _created_at _updated_at _metadata _rest      and one column per user field that has a type

A user field is stored in its column where its value has the column's type, else in `_rest`: so a shape never decides what
can be stored, only where. It only ever grows, by nullable columns at its end. A field name gets a column when, in the
documents at hand,

- it occurs with a value that some column type takes, in at least one document of a hundred, and in at least two when
  there are ten or more: a column costs a quarter of a byte a record even where it is empty, and rarer names cost less
  inside `_rest`. Where its values are of several types, the most frequent one is the column's;
- it is a name that all readers of Delta tables take (PROTOCOL.md, "Schema Serialization Format"; Spark and Parquet refuse
  ` ,;{}()\\n\\t=`): not empty, does not start with `_`, no control characters, and differs from every other column in more
  than case, for most engines ignore that;
- there are fewer than COLUMNS_MAX columns: the most frequent names come first.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any

import pyarrow as pa

from dataknobs_data.documents import Document
from dataknobs_data.exceptions import DataFormatError
from dataknobs_data.s3.table.kinds import BY_NAME, BY_PYTHON, Kind

ID, BORN, REVISION, CREATED, UPDATED, METADATA, REST = (
    "_id",
    "_born",
    "_revision",
    "_created_at",
    "_updated_at",
    "_metadata",
    "_rest",
)
SYSTEM: Mapping[str, Kind] = MappingProxyType(
    {
        name: BY_NAME["timestamp" if name in (CREATED, UPDATED) else "string"]
        for name in (ID, BORN, REVISION, CREATED, UPDATED, METADATA, REST)
    }
)
"""The columns that every table has, first and in this order."""

COLUMNS_MAX = 500
"""User columns."""

_RARE = 100
_FEW = 10
_FORBIDDEN = re.compile(r"[\x00-\x20,;{}()=\x7f]|\A_|\A\Z")


@dataclass(frozen=True)
class Shape:
    """The columns of user fields, in order: name → type (a key of `kinds.BY_NAME`). Immutable; the empty shape has none."""

    fields: tuple[tuple[str, str], ...] = ()

    @cached_property
    def kinds(self) -> Mapping[str, Kind]:
        """The type of every user column, in order."""
        return MappingProxyType({name: BY_NAME[kind] for name, kind in self.fields})

    @cached_property
    def columns(self) -> Mapping[str, Kind]:
        """The type of every column, SYSTEM included, in order."""
        return MappingProxyType({**SYSTEM, **self.kinds})

    @cached_property
    def places(self) -> Mapping[str, int]:
        """Where each user column stands among them."""
        return MappingProxyType({name: place for place, (name, _) in enumerate(self.fields)})

    @cached_property
    def arrow(self) -> pa.Schema:
        """The schema of packs."""
        return pa.schema([pa.field(name, kind.arrow, nullable=name != ID) for name, kind in self.columns.items()])

    def schema_string(self) -> str:
        """The schema as the log's metaData action has it (`schemaString`)."""
        fields: list[dict[str, Any]] = [
            {"name": name, "type": kind.delta, "nullable": True, "metadata": {}} for name, kind in self.columns.items()
        ]
        return json.dumps({"type": "struct", "fields": fields}, ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def from_schema_string(cls, text: str) -> Shape:
        """The inverse of `schema_string`.

        Raises DataFormatError for what is no schema of ours: columns of SYSTEM missing, or types that we never write.
        """
        try:
            found = {field["name"]: field["type"] for field in json.loads(text)["fields"]}
        except (ValueError, TypeError, LookupError) as error:
            raise DataFormatError(f"the table's schema is damaged: {error!r}") from error
        return cls._of(found)

    @classmethod
    def from_arrow(cls, schema: pa.Schema) -> Shape:
        """The shape of a pack. Wider Arrow types of other writers (large strings, views) count as ours."""
        return cls._of({field.name: _delta_name(field.type) for field in schema})

    @classmethod
    def _of(cls, found: Mapping[str, Any]) -> Shape:
        missing = [name for name, kind in SYSTEM.items() if found.get(name) != kind.delta]
        if missing:
            raise DataFormatError(f"not a table of records: its column {missing[0]!r} is missing or of another type")
        users = tuple((name, kind) for name, kind in found.items() if name not in SYSTEM)
        for name, kind in users:
            if not isinstance(kind, str) or kind not in BY_NAME:
                raise DataFormatError(
                    f"the table's column {name!r} has the type {kind!r}, which this package does not write "
                    f"(it writes {', '.join(BY_NAME)}); drop the column",
                    column=name,
                )
        return cls(users)

    def extends(self, other: Shape) -> bool:
        """Whether this is `other`, perhaps with more columns at its end."""
        return self.fields[: len(other.fields)] == other.fields


def grow(shape: Shape, documents: Iterable[Document]) -> Shape:
    """`shape` with the columns that `documents` ask for, by the rule at the top of this module."""
    return grow_for(shape, [document.data for document in documents])


def grow_for(shape: Shape, datas: Sequence[Mapping[str, Any]]) -> Shape:
    """The same for documents of these data."""
    if shape.places.keys() >= set().union(*datas):
        return shape
    present = _presence(shape, datas)
    needed = max(len(datas) / _RARE, 2 if len(datas) >= _FEW else 1)
    taken = {folded(name) for name in shape.places}
    added: dict[str, str] = {}
    for name in sorted(present, key=lambda name: -present[name]):  # stable: equals as they came
        if len(shape.fields) + len(added) >= COLUMNS_MAX or present[name] < needed:
            break
        if folded(name) not in taken and may_be_column(name) and (kind := _kind(name, datas, needed)):
            taken.add(folded(name))
            added[name] = kind
    return Shape((*shape.fields, *((name, added[name]) for name in present if name in added))) if added else shape


def _presence(shape: Shape, datas: Sequence[Mapping[str, Any]]) -> Counter[str]:
    """How many documents have each name that has no column."""
    present: Counter[str] = Counter()
    for form, count in Counter(map(tuple, datas)).items():
        for name in form:
            if name not in shape.places:
                present[name] += count
    return present


def _kind(name: str, datas: Sequence[Mapping[str, Any]], needed: float) -> str | None:
    """The column type that most values of a field have; None where too few have any."""
    values = [data[name] for data in datas if name in data]
    counts: Counter[str] = Counter()
    for python, count in Counter(map(type, values)).items():
        kind = BY_PYTHON.get(python)
        if kind is not None:
            counts[kind.delta] = count if kind.takes is None else sum(map(kind.accepts, values))
    return counts.most_common(1)[0][0] if counts.total() >= needed else None


def may_be_column(name: str) -> bool:
    """Whether all readers of Delta tables take such a column name."""
    if _FORBIDDEN.search(name):
        return False
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def folded(name: str) -> str:
    """The same for two names that some engine might take for one."""
    return name.upper().casefold()


def _delta_name(type: pa.DataType) -> str:
    if pa.types.is_dictionary(type):
        return _delta_name(type.value_type)
    if pa.types.is_large_string(type) or pa.types.is_string_view(type):
        return "string"
    if pa.types.is_large_binary(type) or pa.types.is_binary_view(type):
        return "binary"
    return next((kind.delta for kind in BY_NAME.values() if kind.arrow == type), str(type))
