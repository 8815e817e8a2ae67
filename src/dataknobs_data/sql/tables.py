"""The table that records live in: its columns, how it is made, and how a row becomes a document and back.

id                        the storage key, ordered by code point
data, metadata            JSON objects as `codec` writes them, to the letter
types                     what JSON cannot tell apart in them, by JSON Pointer; NULL where there is nothing to say
fields                    declared field types and field metadata; NULL where there are none
created_at, updated_at    ISO 8601, UTC
born, replaces, revision  see `documents.Document`; replaces is a JSON list, or NULL
"""

from __future__ import annotations

from typing import Any

import orjson
from sqlalchemy import Column, Connection, MetaData, Row, Table, Text, inspect
from sqlalchemy.exc import NoSuchTableError
from sqlalchemy.schema import CreateSchema

from dataknobs_data.codec import dump, from_tree, to_tree
from dataknobs_data.documents import Document
from dataknobs_data.exceptions import ConfigurationError, DataFormatError
from dataknobs_data.sql.dialect import Dialect

_JSON_COLUMNS = ("data", "metadata", "types", "fields", "replaces")
_OPTIONAL = ("types", "fields", "replaces")
_COLUMNS = ("id", *_JSON_COLUMNS, "created_at", "updated_at", "born", "revision")


# ---------------------------------------------------------------------------------------------- the table
def record_table(name: str, schema: str | None, dialect: Dialect) -> Table:
    """The table as SQLAlchemy knows it; nothing is created."""
    columns = [
        Column(
            column,
            dialect.id_type if column == "id" else dialect.json_type if column in _JSON_COLUMNS else Text(),
            primary_key=column == "id",
            nullable=column in _OPTIONAL,
        )
        for column in _COLUMNS
    ]
    return Table(name, MetaData(), *columns, schema=schema)


def check_table(connection: Connection, table: Table) -> bool:
    """Whether the table is there. Raises ConfigurationError when it is there and holds something else than records."""
    try:
        found = {column["name"] for column in inspect(connection).get_columns(table.name, table.schema)}
    except NoSuchTableError:
        return False
    missing = [name for name in _COLUMNS if name not in found]
    if missing:
        raise ConfigurationError(
            f"the table {table.fullname!r} exists and is no record table: it has no {', '.join(missing)}"
            f" (it has {', '.join(sorted(found)) or 'no columns'}); choose another name for 'table'",
            table=table.fullname,
            missing=missing,
        )
    return True


def create_table(connection: Connection, table: Table, dialect: Dialect) -> None:
    """Creates the table, and its schema, unless somebody did in the meantime."""
    dialect.wait_for_turn(connection)
    if table.schema and not inspect(connection).has_schema(table.schema):
        connection.execute(CreateSchema(table.schema))
    table.create(connection, checkfirst=True)


# ---------------------------------------------------------------------------------------------- its rows
def to_row(document: Document) -> dict[str, str | None]:
    """The row of a document. Raises SerializationError, naming path and type."""
    tree = to_tree(document)
    row = {column: _json(tree.get(column), document.id, column) for column in _JSON_COLUMNS}
    return {**row, **{column: tree[column] for column in _COLUMNS if column not in _JSON_COLUMNS}}


def from_row(row: Row[Any]) -> Document:
    """The document of a row with all columns, in their order. Raises DataFormatError."""
    tree: dict[str, Any] = dict(zip(_COLUMNS, row, strict=True))
    id = tree["id"]
    for column in _JSON_COLUMNS:
        if tree[column] is not None:
            tree[column] = _value(tree[column], id, column)
    return from_tree(tree, id=id, birth=id, modified="")


def _json(value: Any, id: str, column: str) -> str | None:
    return dump(value, id).decode() if value or column not in _OPTIONAL else None


def _value(text: Any, id: str, column: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise DataFormatError(
            f"record {id!r}: damaged row: {column!r} is no JSON: {error}", id=id, column=column
        ) from error
