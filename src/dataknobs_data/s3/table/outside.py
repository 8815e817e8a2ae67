"""Values that lie in `_rest`: of which types they are, and what they are as text.

`packs.Pack.rest_names` says of which fields *some* value lies there: often that is an explicit null. Here it is looked at
closely. JSON is parsed only of rows that can have such a field, and equal texts once.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from dataknobs_data.exceptions import DataFormatError
from dataknobs_data.json_values import escape_pointer, loads, restore, to_json
from dataknobs_data.s3.table.kinds import BY_NAME, Kind, kind_of

Forms = frozenset[str]
"""What values of a field are: the names of the column types that could take them, and those that follow."""

WIDE, OTHER, NESTED = "wide long", "other", "nested"
"""A `long` that a double does not hold exactly; a scalar that no column takes; an object or a list."""

NOTHING: Forms = frozenset()
EXACT = 2**53
"""Up to this, doubles hold every integer."""

_NAMES_MAX = 4
"""Of so many names it is looked which of them a text can have, before it is parsed."""

Tree = Mapping[str, Any]
Segments = Sequence[str | int]


class Outside:
    """What some rows' `_rest` says of some fields, by the place of the row."""

    def __init__(self, rest: pa.ChunkedArray, names: Collection[str]) -> None:
        """`names`: no others will be asked for."""
        self.rows = len(rest)
        self._trees: list[tuple[int, Tree]] = list(_trees(rest, names)) if names else []

    def forms(self, names: Iterable[str]) -> dict[str, Forms]:
        """Of the values that are not null."""
        found: dict[str, set[str]] = {name: set() for name in names}
        for _, tree in self._trees:
            data = tree["data"]
            for name in found.keys() & data.keys():
                if data[name] is not None:
                    found[name].add(_form(_restored(tree, name)))
        return {name: frozenset(forms) for name, forms in found.items()}

    def names(self) -> set[str]:
        """Of all fields, those that are null too; if it was made for no names in particular."""
        return {name for _, tree in self._trees for name in tree["data"]}

    def values(self, name: str, kind: Kind) -> list[Any]:
        """For each row the field's value, None where it has none or a column of that type would not take it."""
        found: list[Any] = [None] * self.rows
        for place, tree in self._trees:
            if tree["data"].get(name) is not None:
                value = _restored(tree, name)
                if kind.delta == "double" and type(value) is int:
                    value = float(value)
                if kind.accepts(value):
                    found[place] = value
        return found

    def texts(self, name: str, path: Segments = ()) -> list[str | None]:
        """For each row what stands at that path in a field, as `text_of`."""
        found: list[str | None] = [None] * self.rows
        for place, tree in self._trees:
            found[place] = text_of(value_at(tree["data"].get(name), path))
        return found

    def objects(self, known: Collection[str]) -> list[str | None]:
        """For each row its fields there but for those, as a JSON object."""
        found: list[str | None] = [None] * self.rows
        for place, tree in self._trees:
            data = {name: value for name, value in tree["data"].items() if name not in known}
            found[place] = orjson.dumps(data).decode() if data else None
        return found


ALL = ("",)
"""As `names` of Outside: any. No field has an empty name."""


def _trees(rest: pa.ChunkedArray, names: Collection[str]) -> Iterator[tuple[int, Tree]]:
    if rest.null_count == len(rest):
        return
    whole = rest.combine_chunks() if isinstance(rest, pa.ChunkedArray) else rest
    places = pc.indices_nonzero(pc.fill_null(_may_have(whole, names), False))
    coded = pc.take(whole, places).dictionary_encode()
    parsed = [_parsed(text) for text in coded.dictionary.to_pylist()]
    for place, number in zip(places.to_pylist(), coded.indices.to_pylist(), strict=True):
        tree = parsed[number]
        if tree is not None:
            yield place, tree


def _may_have(texts: pa.Array, names: Collection[str]) -> pa.Array:
    """Which texts can have such fields, for their names are in quotes there as the writer has written them."""
    wanted = ['"data"'] if tuple(names) == ALL or len(names) > _NAMES_MAX else [quoted(name) for name in names]
    found = pc.match_substring(texts, wanted[0])
    for name in wanted[1:]:
        found = pc.or_(found, pc.match_substring(texts, name))
    return found


def quoted(name: str) -> str:
    """A name as it stands in JSON of ours."""
    return orjson.dumps(name).decode()


def _parsed(text: str) -> Tree | None:
    """None where there are no fields."""
    try:
        tree = loads(text.encode())
    except ValueError as error:
        raise DataFormatError(f"damaged row: _rest is no JSON: {error}") from error
    if not isinstance(tree, dict) or not isinstance(tree.get("data", {}), dict):
        raise DataFormatError("damaged row: _rest is no JSON object with fields")
    return tree if "data" in tree else None


def _restored(tree: Tree, name: str) -> Any:
    """The Python value of a field, if it is a scalar; of others, what JSON has."""
    value = tree["data"][name]
    if isinstance(value, (dict, list)) or "types" not in tree:
        return value
    pointer = f"/data/{escape_pointer(name)}"
    kind = tree["types"].get(pointer)
    if kind is None:
        return value
    holder = {"data": {name: value}}
    restore(holder, {pointer: kind}, "")
    return holder["data"][name]


def _form(value: Any) -> str:
    if isinstance(value, (dict, list)):
        return NESTED
    kind = kind_of(value)
    if kind is None:
        return OTHER
    return WIDE if kind.python is int and abs(value) > EXACT else kind.delta


# ---------------------------------------------------------------------------------------------- paths and text
def value_at(tree: Any, path: Segments) -> Any:
    """What stands at a path in JSON, None where nothing does. A key in exactly that case comes first, then any case."""
    for segment in path:
        if isinstance(segment, int):
            tree = tree[segment] if isinstance(tree, list) and -len(tree) <= segment < len(tree) else None
        else:
            tree = _member(tree, segment) if isinstance(tree, dict) else None
        if tree is None:
            return None
    return tree


def _member(tree: Tree, key: str) -> Any:
    if key in tree:
        return tree[key]
    lower = ascii_lower(key)
    return next((value for name, value in tree.items() if ascii_lower(name) == lower), None)


def ascii_lower(name: str) -> str:
    """The same for two names that SQL takes for one: DuckDB does not tell ASCII letters' cases apart, but all others."""
    return name.lower() if name.isascii() else "".join(c.lower() if c.isascii() else c for c in name)


def text_of(value: Any) -> str | None:
    """A JSON value as text: strings as they are, all else as JSON."""
    if value is None or isinstance(value, str):
        return value
    return orjson.dumps(value).decode()


def texts_of(column: pa.ChunkedArray, kind: Kind) -> pa.ChunkedArray:
    """A column's values as the text that they would be in `_rest`."""
    if kind.delta == "string":
        return column
    if kind.delta in ("long", "boolean", "date"):
        return column.cast(pa.string())
    if kind.delta == "timestamp":
        return pc.replace_substring_regex(column.cast(pa.string()), _STAMP_TEXT, r"\1T\2\3+00:00")
    return pa.chunked_array([pa.array([text_of(to_json(value, "", {})) for value in column.to_pylist()], pa.string())])


_STAMP_TEXT = r"\A(.{10}) (.{8})(?:\.000000|(\.\d{6}))Z\z"
"""As `datetime.isoformat`: without a fraction of nothing."""


# ---------------------------------------------------------------------------------------------- what was found out
class KnownForms:
    """Forms by pack and field. Packs never change, so what was found out of one holds for ever; there is room for `most`."""

    def __init__(self, most: int = 100_000) -> None:
        self._most = most
        self._known: OrderedDict[tuple[str, str], Forms] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, pack: str, name: str) -> Forms | None:
        """None: not known."""
        with self._lock:
            return self._known.get((pack, name))

    def put(self, pack: str, found: Mapping[str, Forms]) -> None:
        """Keeps them; what came first goes first."""
        with self._lock:
            self._known.update({(pack, name): forms for name, forms in found.items()})
            while len(self._known) > self._most:
                self._known.popitem(last=False)


BY_FORM = {name: frozenset({name, WIDE}) if name == "long" else frozenset({name}) for name in BY_NAME}
"""For each column type the forms that agree with it."""
