"""How documents stand in a file: JSON lines, CSV, Parquet. All three give back exactly what they were given.

JSON lines: one document a line, as `codec` writes it.

CSV and Parquet: one row a record with the columns `_id`, `_created_at`, `_updated_at`, one per field, and last `_rest`,
JSON that holds what cells cannot say: metadata, revision, the order of the fields, which types the values had (`types`),
and the values that have no column (`data`). Values without a column are those whose name starts with `_` or is one of more
than 500, and in Parquet those of a field that is not everywhere of one type (boolean, 64-bit integer, float, text).

In CSV a cell is the text itself; other values are JSON (`31`, `true`, `["a"]`; null is an empty cell), and so is text that
a spreadsheet would run as a formula; `_rest` says which (`json`). The file starts with a byte order mark, which tells Excel
that it is UTF-8. Cells may be edited and rows added in a spreadsheet: what `_rest` does not know is text.
"""

from __future__ import annotations

import csv
import hashlib
import io
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from typing import Any, BinaryIO, ParamSpec

import orjson

from dataknobs_data.codec import encode, from_tree, loads, to_tree
from dataknobs_data.documents import Document, check_id
from dataknobs_data.exceptions import DataFormatError, DataknobsDataError
from dataknobs_data.registry import missing_driver

ID, CREATED, UPDATED, REST = "_id", "_created_at", "_updated_at", "_rest"
COLUMNS_MAX = 500
CELL_BYTES_MAX = 2**31 - 1
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
"""https://owasp.org/www-community/attacks/CSV_Injection"""

P = ParamSpec("P")
Read = Document | DataFormatError
Fail = Callable[[int, str], DataFormatError]
"""Makes the error of a place in the file: its line or row, and what is wrong there."""


class FileFormat(ABC):
    """Documents ⇄ the bytes of a file."""

    name: str
    driver: str | None = None

    def check(self) -> None:
        """Raises BackendNotFoundError where the driver is missing."""
        if self.driver:
            _imported(self.driver)

    def split(self, content: bytes) -> tuple[bytes, bytes]:
        """A file's content as what was completely written, and the torn end of an append that was interrupted."""
        return content, b""

    @abstractmethod
    def write(self, documents: Iterable[Document], file: BinaryIO) -> None:
        """Writes a whole file."""

    @abstractmethod
    def read(self, content: bytes, modified: str, fail: Fail) -> Iterator[Read]:
        """The documents of a whole file, in its order, each damaged one as its error."""


class JsonLines(FileFormat):
    """One document a line."""

    name = "jsonl"

    def write(self, documents: Iterable[Document], file: BinaryIO) -> None:
        file.writelines(map(self.line, documents))

    def line(self, document: Document) -> bytes:
        """A document as it stands in the file."""
        return encode(document) + b"\n"

    def split(self, content: bytes) -> tuple[bytes, bytes]:
        whole, newline, last = content.rpartition(b"\n")
        try:
            if last.strip():
                _loads(last)
        except DataFormatError:
            return whole + newline, last
        return content, b""

    def read(self, content: bytes, modified: str, fail: Fail) -> Iterator[Read]:
        for number, line in enumerate(content.split(b"\n"), start=1):
            if line.strip():
                yield _guarded(number, fail, self._document, line, modified)

    def _document(self, line: bytes, modified: str) -> Document:
        tree = _loads(line)
        if not isinstance(tree, dict):
            raise DataFormatError("no JSON object")
        return from_tree(tree, id=_id_of(tree.get("id")), birth=_birth(line), modified=modified)


class Table(FileFormat):
    """Rows of cells; for CSV and Parquet."""

    def _document(self, cells: Mapping[str, Any], modified: str) -> Document:
        """The document of a row; None and the empty text stand for a cell that holds nothing."""
        rest = _loads(cells[REST].encode()) if cells.get(REST) else {}
        if not isinstance(rest, dict):
            raise DataFormatError(f"{REST} is no JSON object")
        order, as_json, inside = rest.pop("order", []), rest.pop("json", []), rest.pop("data", {})
        data: dict[str, Any] = {}
        for name in order:
            data[name] = inside[name] if name in inside else self._value(cells.get(name), name in as_json, name)
        for name, cell in cells.items():
            if name not in data and not name.startswith("_") and cell not in (None, ""):
                data[name] = cell
        tree = {**rest, "data": data, "created_at": cells.get(CREATED), "updated_at": cells.get(UPDATED)}
        id = _id_of(cells[ID] if ID in cells else cells.get("id"))
        return from_tree(tree, id=id, birth=_birth(repr(cells).encode()), modified=modified)

    def _value(self, cell: Any, is_json: bool, name: str) -> Any:
        return cell


class Csv(Table):
    """Text cells, for spreadsheets."""

    name = "csv"

    def write(self, documents: Iterable[Document], file: BinaryIO) -> None:
        trees = [to_tree(document) for document in documents]
        columns = _columns(trees)
        text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="", write_through=True)
        writer = csv.writer(text)
        writer.writerow([ID, *columns, CREATED, UPDATED, REST])
        for tree in trees:
            writer.writerow(self._row(tree, columns))
        text.detach()

    def _row(self, tree: dict[str, Any], columns: Sequence[str]) -> list[str]:
        data, rest = tree["data"], _rest(tree, columns)
        cells = {name: _cell(data[name]) for name in columns if name in data}
        rest["json"] = [name for name, (_, is_json) in cells.items() if is_json]
        shown = [cells[name][0] if name in cells else "" for name in columns]
        return [tree["id"], *shown, tree["created_at"], tree["updated_at"], orjson.dumps(rest).decode()]

    def read(self, content: bytes, modified: str, fail: Fail) -> Iterator[Read]:
        try:
            lines = csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True)
        except UnicodeDecodeError as error:
            yield fail(content.count(b"\n", 0, error.start) + 1, f"not UTF-8: {error}")
            return
        csv.field_size_limit(max(csv.field_size_limit(), CELL_BYTES_MAX))  # one for the process: never lower it
        header: list[str] = []
        number = 1
        try:
            for row in lines:
                if not header:
                    header = _checked_header(row)
                elif row:
                    yield _guarded(number, fail, self._read_row, header, row, modified)
                number = lines.line_num + 1
        except (csv.Error, DataFormatError) as error:
            yield fail(number, str(error))

    def _read_row(self, header: Sequence[str], row: Sequence[str], modified: str) -> Document:
        if len(row) != len(header):
            raise DataFormatError(f"{len(row)} cells under {len(header)} column names")
        return self._document(dict(zip(header, row, strict=True)), modified)

    def _value(self, cell: Any, is_json: bool, name: str) -> Any:
        if not is_json:
            return cell or ""
        try:
            return orjson.loads(cell) if cell else None
        except orjson.JSONDecodeError as error:
            raise DataFormatError(f"column {name!r} should hold JSON, not {cell!r}: {error}") from error


class Parquet(Table):
    """Typed columns, for analysis."""

    name = "parquet"
    driver = "pyarrow"

    def write(self, documents: Iterable[Document], file: BinaryIO) -> None:
        arrow = _imported("pyarrow")
        trees = [to_tree(document) for document in documents]
        text, content = arrow.string(), {}
        content[ID] = arrow.array([tree["id"] for tree in trees], text)
        columns = []
        for name in _columns(trees):
            values = [tree["data"].get(name) for tree in trees]
            kind = _arrow_kind(values)
            if kind:
                columns.append(name)
                content[name] = arrow.array(values, getattr(arrow, kind)())
        content[CREATED] = arrow.array([tree["created_at"] for tree in trees], text)
        content[UPDATED] = arrow.array([tree["updated_at"] for tree in trees], text)
        content[REST] = arrow.array([orjson.dumps(_rest(tree, columns)).decode() for tree in trees], text)
        _imported("pyarrow.parquet").write_table(arrow.table(content), file, compression="zstd")

    def read(self, content: bytes, modified: str, fail: Fail) -> Iterator[Read]:
        if not content:
            return
        arrow = _imported("pyarrow")
        try:
            table = _imported("pyarrow.parquet").read_table(io.BytesIO(content))
            names = _checked_header(table.column_names)
        except (arrow.ArrowException, OSError, DataFormatError) as error:
            yield fail(1, f"not a Parquet file of records: {error}")
            return
        for number, cells in enumerate(zip(*(column.to_pylist() for column in table.columns), strict=True), start=1):
            row = dict(zip(names, cells, strict=True))
            yield _guarded(number, fail, self._document, row, modified)


FORMATS: dict[str, type[FileFormat]] = {one.name: one for one in (JsonLines, Csv, Parquet)}
EXTENSIONS = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".parquet": "parquet", ".pq": "parquet"}


# ---------------------------------------------------------------------------------------------- rows
def _columns(trees: Iterable[Mapping[str, Any]]) -> list[str]:
    """The names of the fields that get a column, in the order in which they first occur."""
    names = dict.fromkeys(name for tree in trees for name in tree["data"] if not name.startswith("_"))
    return list(names)[:COLUMNS_MAX]


def _rest(tree: Mapping[str, Any], columns: Sequence[str]) -> dict[str, Any]:
    data = tree["data"]
    rest = {key: part for key, part in tree.items() if key not in ("id", "created_at", "updated_at", "data")}
    known = frozenset(columns)
    return {**rest, "order": list(data), "data": {name: data[name] for name in data if name not in known}}


def _cell(value: Any) -> tuple[str, bool]:
    """A value as the text of a cell, and whether that is JSON."""
    if value is None:
        return "", True
    if isinstance(value, str) and not value.startswith(FORMULA_STARTS):
        return value, False
    return orjson.dumps(value).decode(), True


def _arrow_kind(values: Iterable[Any]) -> str | None:
    """The name of the Arrow type that all values have, besides None; nothing where there is none."""
    kinds = {type(value) for value in values if value is not None}
    if kinds == {int} and not all(value is None or -(2**63) <= value < 2**63 for value in values):
        return None
    return _ARROW.get(kinds.pop()) if len(kinds) == 1 else None


_ARROW: dict[type, str] = {bool: "bool_", int: "int64", float: "float64", str: "string"}


def _checked_header(names: Sequence[str]) -> list[str]:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataFormatError(f"the column name {twice[0]!r} stands there twice")
    if ID not in names and "id" not in names:
        raise DataFormatError(f"there is no column {ID!r} or 'id'")
    return list(names)


# ---------------------------------------------------------------------------------------------- small things
def _guarded(number: int, fail: Fail, read: Callable[P, Document], *args: P.args, **kwargs: P.kwargs) -> Read:
    try:
        return read(*args, **kwargs)
    except DataknobsDataError as error:
        return fail(number, str(error))
    except (TypeError, AttributeError) as error:
        return fail(number, f"not a record: {error}")


def _loads(text: bytes) -> Any:
    try:
        return loads(text)
    except ValueError as error:
        raise DataFormatError(f"no JSON: {error}") from error


def _id_of(value: Any) -> str:
    return check_id(value if value is None or isinstance(value, str) else str(value))


def _birth(content: bytes) -> str:
    """A name for what other writers left without a revision: it changes with the content."""
    return "file:" + hashlib.blake2b(content, digest_size=12).hexdigest()


def _imported(module: str) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        raise missing_driver("file", error, extra="parquet") from error
