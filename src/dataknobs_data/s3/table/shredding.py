"""Rows as Python has them → columns.

A row's `_rest` says, as JSON, what its other columns do not; it is null where that is nothing:

    data                      field values without a column of their type: name → value
    types                     the Python types of values in `data`, `_metadata` and `fields`, as in a record's JSON document
    fields                    declared types and metadata of fields
    order                     names of all fields, where they stand otherwise than: columns first, then `data`
    replaces                  births that the record replaces. Compaction leaves none, since the rows of those go with it
    created_at, updated_at    where the text is not that of the column

Columns are built one by one, for a value at a time costs several times as much.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain
from operator import itemgetter
from typing import Any

import orjson
import pyarrow as pa

from dataknobs_data.json_values import dump, escape_pointer, to_json
from dataknobs_data.s3.table.kinds import Kind
from dataknobs_data.s3.table.locations import hides_stamp
from dataknobs_data.s3.table.rows import Rows
from dataknobs_data.s3.table.shape import BORN, CREATED, ID, METADATA, REST, REVISION, UPDATED, Shape
from dataknobs_data.s3.table.stamps import stamps_of

Form = tuple[str, ...]
_PLAIN = frozenset({str, int, bool, type(None)})
"""Types of which JSON needs no notes."""


class Shredded:
    """Rows as a table, in the same order, by `shape`.

    rest_names   names of fields of which a value that is not null lies in `_rest`: there alone do a column's bounds say
                 too little, for to queries a null there is what a null in the column is; and of those that hide a stamp
    null_names   names of fields without a column of which a null lies in `_rest`
    Raises SerializationError, naming record and path, for a value that has no faithful stored form.
    """

    def __init__(self, rows: Rows, shape: Shape) -> None:
        self._rows = rows
        self._shape = shape
        self._datas = rows.datas
        forms = set(map(tuple, rows.datas))
        self._forms: list[Form] = list(map(tuple, rows.datas)) if len(forms) > 1 else [*forms] * len(rows)
        self._counts = Counter(self._forms) if len(forms) > 1 else Counter(dict.fromkeys(forms, len(rows)))
        self.rest_names: set[str] = set()
        self.null_names: set[str] = set()
        self._odd: dict[int, set[str]] = {}
        self._types: dict[int, dict[str, str]] = {}
        self._other_stamps: dict[int, dict[str, str]] = {}
        self.table = self._table()

    def _table(self) -> pa.Table:
        rows, text = self._rows, pa.string()
        users = [self._column(name, kind, present) for name, kind, present in self._presence()]
        columns = {
            ID: pa.array(rows.ids, text),
            BORN: _texts(rows.born),
            REVISION: _texts(rows.revision),
            CREATED: self._stamps("created_at", rows.created_at),
            UPDATED: self._stamps("updated_at", rows.updated_at),
            METADATA: pa.array(self._metadata(), text),
            REST: pa.array(self._rests(), text),
        }
        return pa.Table.from_arrays([*columns.values(), *users], schema=self._shape.arrow)

    # ------------------------------------------------------------------------------------------ typed columns
    def _presence(self) -> Iterable[tuple[str, Kind, int]]:
        present: Counter[str] = Counter()
        for form, count in self._counts.items():
            for name in form:
                present[name] += count
        return [(name, kind, present[name]) for name, kind in self._shape.kinds.items()]

    def _column(self, name: str, kind: Kind, present: int) -> pa.Array:
        if not present:
            return pa.nulls(len(self._datas), kind.arrow)
        values = self._values(name, present)
        types = set(map(type, values))
        nulls = values.count(None) if type(None) in types else 0
        if nulls == len(values) - present and kind.may_take(values, types):
            try:
                return pa.array(values, kind.arrow)
            except (OverflowError, pa.ArrowInvalid, UnicodeEncodeError):
                pass  # one of them: the closer look says which
        return self._mixed_column(name, kind, values)

    def _values(self, name: str, present: int) -> list[Any]:
        if present == len(self._datas):
            return list(map(itemgetter(name), self._datas))
        return [data.get(name) for data in self._datas]

    def _mixed_column(self, name: str, kind: Kind, values: list[Any]) -> pa.Array:
        """Where some values are of other types, or null: those go to `_rest`."""
        for row, value in enumerate(values):
            if not kind.accepts(value) and name in self._datas[row]:
                self._odd.setdefault(row, set()).add(name)
                values[row] = None
        for value in values if kind.python is str else ():
            to_json(value, f"/data/{escape_pointer(name)}", {})  # raises for text that UTF-8 cannot hold
        return pa.array(values, kind.arrow)

    # ------------------------------------------------------------------------------------------ stamps, metadata
    def _stamps(self, name: str, texts: list[str]) -> pa.Array:
        column, others = stamps_of(texts)
        for row in others:
            self._other_stamps.setdefault(row, {})[name] = texts[row]
        return column

    def _metadata(self) -> Sequence[str | None]:
        all_of_them = self._rows.metadatas
        if not any(all_of_them):
            return [None] * len(all_of_them)
        if _PLAIN.issuperset(map(type, chain.from_iterable(metadata.values() for metadata in all_of_them))):
            try:
                return [orjson.dumps(metadata).decode() if metadata else None for metadata in all_of_them]
            except TypeError:
                pass  # an integer beyond 64 bits, or what has no JSON at all: the codec knows, and says where
        return [self._metadata_of(row) if metadata else None for row, metadata in enumerate(all_of_them)]

    def _metadata_of(self, row: int) -> str:
        types: dict[str, str] = {}
        tree = to_json(self._rows.metadatas[row], "/metadata", types)
        if types:
            self._types[row] = types
        return dump(tree, self._rows.ids[row]).decode()

    # ------------------------------------------------------------------------------------------ _rest
    def _rests(self) -> Iterable[str | None]:
        by_form = {form: self._rest_of_form(form) for form in self._counts}
        rests = [*by_form.values()] * len(self._forms) if len(by_form) == 1 else [by_form[form] for form in self._forms]
        for row in self._special_rows():
            rests[row] = self._rest_of_row(row)
        return rests

    def _rest_of_form(self, form: Form) -> str | None:
        """That of rows which have nothing else to say than how their fields are ordered."""
        places = self._shape.places
        in_order = sorted(form, key=lambda name: places.get(name, len(places)))
        return None if tuple(in_order) == form else dump({"order": form}, "").decode()

    def _special_rows(self) -> Iterable[int]:
        outside = {form for form in self._counts if not self._shape.places.keys() >= set(form)}
        rows = {*self._odd, *self._types, *self._other_stamps, *self._rows.fields, *self._rows.replaces}
        if outside:
            rows.update(row for row, form in enumerate(self._forms) if form in outside)
        return rows

    def _rest_of_row(self, row: int) -> str | None:
        rows, data, odd, places = self._rows, self._datas[row], self._odd.get(row, ()), self._shape.places
        types = self._types.get(row, {})
        outside = [name for name in data if name not in places or name in odd]
        tree: dict[str, Any] = dict(self._other_stamps.get(row, {}))
        if outside:
            tree["data"] = to_json({name: data[name] for name in outside}, "/data", types)
            self.rest_names.update(name for name in outside if data[name] is not None or hides_stamp(name))
            self.null_names.update(name for name in outside if data[name] is None and name not in places)
        if row in rows.fields:
            tree["fields"] = to_json(rows.fields[row], "/fields", types)
        if row in rows.replaces:
            tree["replaces"] = sorted(rows.replaces[row])
        if types:
            tree["types"] = types
        names = list(data)
        typed = [name for name in names if name in places and name not in odd]
        if names != [*sorted(typed, key=places.__getitem__), *outside]:
            tree["order"] = names
        return dump(tree, rows.ids[row]).decode() if tree else None


def _texts(texts: Sequence[str]) -> pa.Array:
    """The rows of a load all have the same birth and revision."""
    if texts.count(texts[0]) == len(texts):
        return pa.repeat(pa.scalar(texts[0], pa.string()), len(texts))
    return pa.array(texts, pa.string())
