"""Columns → documents: the inverse of `shredding`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pyarrow as pa

from dataknobs_data.codec import from_tree
from dataknobs_data.documents import Document
from dataknobs_data.exceptions import DataFormatError
from dataknobs_data.json_values import loads
from dataknobs_data.s3.table.shape import BORN, CREATED, ID, METADATA, REST, REVISION, UPDATED, Shape
from dataknobs_data.s3.table.stamps import texts_of

_STEP = 8192
"""Rows that are Python objects at a time."""


OnDamage = Callable[[DataFormatError], None]
"""Is told of a row that makes no sense, and raises what it is told, or not."""


def raised(error: DataFormatError) -> None:
    """An OnDamage that makes an end of it."""
    raise error


def documents_of(table: pa.Table, on_damage: OnDamage = raised) -> Iterator[Document]:
    """The documents of rows that have all columns of their pack. They share what is equal."""
    shape = Shape.from_arrow(table.schema)
    for start in range(0, table.num_rows, _STEP):
        yield from _documents(table.slice(start, _STEP), shape, on_damage)


def _documents(table: pa.Table, shape: Shape, on_damage: OnDamage) -> Iterator[Document]:
    names = [name for name in shape.places if table[name].null_count < table.num_rows]
    columns = [shape.kinds[name].values(table[name].cast(shape.kinds[name].arrow)) for name in names]
    dense = not any(table[name].null_count for name in names)
    rows: Iterator[tuple[Any, ...]] = zip(*columns, strict=True) if columns else iter([()] * table.num_rows)
    if dense:
        datas = [dict(zip(names, row, strict=True)) for row in rows]
    else:
        datas = [{name: value for name, value in zip(names, row, strict=True) if value is not None} for row in rows]
    system = zip(
        *(table[name].to_pylist() for name in (ID, BORN, REVISION)),
        *(texts_of(table[name]) for name in (CREATED, UPDATED)),
        *(table[name].to_pylist() for name in (METADATA, REST)),
        strict=True,
    )
    parsed = _Parsed()
    for data, (id, born, revision, created, updated, metadata, rest) in zip(datas, system, strict=True):
        try:
            if rest is None:
                document = Document(id, data, parsed.metadata(metadata, id), created, updated, born, revision)
            else:
                tree = parsed.rest(rest, id)
                tree["data"] = _merged(data, tree)
                tree.setdefault("created_at", created)
                tree.setdefault("updated_at", updated)
                tree["metadata"] = _object(metadata, id, METADATA) if metadata is not None else {}
                tree |= {"born": born, "revision": revision}
                document = from_tree(tree, id=id, birth=born, modified=updated or "")
        except DataFormatError as error:
            on_damage(error)
        else:
            yield document


class _Parsed:
    """Parsed JSON; texts that many rows have are parsed once."""

    def __init__(self) -> None:
        self._orders: dict[str, Sequence[str]] = {}
        self._metadata: dict[str | None, dict[str, Any]] = {None: {}}

    def metadata(self, text: str | None, id: str) -> dict[str, Any]:
        """Metadata without types to restore; not the caller's own."""
        if text not in self._metadata:
            self._metadata[text] = _object(text or "", id, METADATA)
        return self._metadata[text]

    def rest(self, text: str, id: str) -> dict[str, Any]:
        """A tree of the caller's own."""
        if text in self._orders:
            return {"order": self._orders[text]}
        tree = _object(text, id, REST)
        if tree.keys() == {"order"}:
            self._orders[text] = tree["order"]
        return tree


def _merged(typed: dict[str, Any], tree: dict[str, Any]) -> dict[str, Any]:
    outside, order = tree.get("data"), tree.pop("order", None)
    data = {**typed, **outside} if outside else typed
    return {name: data[name] for name in order} if order else data


def _object(text: str, id: str, column: str) -> dict[str, Any]:
    try:
        tree = loads(text.encode())
    except ValueError as error:
        raise DataFormatError(f"record {id!r}: damaged row: {column} is no JSON: {error}", id=id) from error
    if not isinstance(tree, dict):
        raise DataFormatError(f"record {id!r}: damaged row: {column} is no JSON object", id=id)
    return tree
