"""SQL text → the syntax tree of one SELECT, and back. DuckDB's own parser does it, so that a statement means here what it means
there: https://duckdb.org/docs/stable/data/json/sql_to_and_from_json. Whatever is no SELECT has no such tree, and is refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import orjson

from dataknobs_data.exceptions import QueryError
from dataknobs_data.select.trees import Tree

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def parsed(connection: DuckDBPyConnection, sql: str) -> Tree:
    """The tree of the one SELECT that `sql` is: `node`, the query, and `named_param_map`.

    Raises QueryError for text that is no SQL (with the position), no statement, several, or another one than SELECT.
    """
    if not isinstance(sql, str):
        raise QueryError(f"SQL must be text, not {type(sql).__name__}")
    answer = _answer(connection, sql)
    if answer["error"]:
        raise _refusal(connection, sql, answer)
    statements: list[Tree] = answer["statements"]
    if len(statements) != 1:
        raise QueryError(
            f"SQL: {len(statements)} statements; one SELECT at a time" if statements else "SQL: there is no statement"
        )
    return statements[0]


def _answer(connection: DuckDBPyConnection, sql: str) -> Tree:
    try:
        sql.encode()
    except UnicodeEncodeError:
        raise QueryError("SQL: the text holds a lone surrogate, which UTF-8 cannot hold") from None
    text = connection.execute("SELECT json_serialize_sql(?)", [sql]).fetchall()[0][0]
    try:
        answer: Tree = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise _too_deep() from None
    return answer


@contextmanager
def not_too_deep() -> Iterator[None]:
    """Turns the end of Python's stack into QueryError: trees are gone through by functions that call themselves."""
    try:
        yield
    except RecursionError:
        raise _too_deep() from None


def _too_deep() -> QueryError:
    return QueryError(
        "SQL: the statement is nested too deeply, or a chain of operators in it is too long: take steps of it with WITH, and IN "
        "or list functions in place of chains"
    )


def _refusal(connection: DuckDBPyConnection, sql: str, answer: Tree) -> QueryError:
    if answer.get("error_type") == "parser":
        return QueryError(f"SQL: {answer['error_message']}{_place(sql, answer.get('position'))}")
    kinds = [statement.type.name for statement in connection.extract_statements(sql)]
    connection.execute("SELECT 1").fetchall()  # a connection that only extracted has a result pending
    others = sorted({kind.replace("_", " ") for kind in kinds if kind not in ("SELECT", "SELECT_STATEMENT")})
    return QueryError(
        f"SQL: only one SELECT is carried out here, nothing else: no {', no '.join(others)}"
        if others
        else f"SQL: {answer['error_message']}"
    )


def _place(sql: str, position: str | None) -> str:
    """Where, for people; DuckDB counts bytes."""
    if position is None or not position.isdecimal():
        return ""
    before = sql.encode()[: int(position)].decode(errors="ignore")
    line, column = before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1
    return f", in line {line}, column {column}" if "\n" in sql else f", at character {column}"


def unparsed(connection: DuckDBPyConnection, statement: Tree) -> str:
    """The SQL text of a tree."""
    tree = json.dumps({"error": False, "statements": [statement]})  # orjson goes 254 levels deep
    text: str = connection.execute("SELECT json_deserialize_sql(?::JSON)", [tree]).fetchall()[0][0]
    return text
