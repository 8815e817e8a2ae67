"""Which parts of a syntax tree are names."""

from __future__ import annotations

from dataknobs_data.exceptions import QueryError
from dataknobs_data.select.scopes import Columns, Name, Scope
from dataknobs_data.select.trees import Tree, text_of

PARTS_MAX = 100
"""Of a name with what is taken out of it."""


def as_name(node: Tree, scope: Scope) -> Name | None:
    """The reference that an expression is, with what is taken out of it; None for any other expression."""
    inside: list[tuple[Tree, str | int]] = []
    innermost = node
    while innermost.get("class") == "OPERATOR" and innermost["type"] in ("STRUCT_EXTRACT", "ARRAY_EXTRACT"):
        child, key_node = innermost["children"]
        key = _key(key_node)
        if key is None:
            return None
        inside.insert(0, (innermost, key))
        innermost = child
    if innermost.get("class") != "COLUMN_REF":
        return None
    if len(innermost["column_names"]) + len(inside) > PARTS_MAX:
        raise QueryError(
            f"SQL: a name in the statement has more than {PARTS_MAX} parts: {innermost['column_names'][0]}.…"
        )
    return Name(node, scope, tuple(innermost["column_names"]), inside)


def _key(node: Tree) -> str | int | None:
    literal = node.get("literal") if node.get("class") == "CONSTANT" else None
    if literal and literal["kind"] == "INTEGER" and literal["text"].isdecimal():
        return int(literal["text"])
    return text_of(node)


def listed_names(expression: Tree | None) -> list[str] | None:
    """The names in `COLUMNS(['a', 'b'])`; None for another kind of COLUMNS."""
    if expression and expression.get("class") == "FUNCTION" and expression["function_name"] == "list_value":
        keys = [_key(argument["expression"]) for argument in expression["arguments"]]
        if all(isinstance(key, str) for key in keys):
            return [str(key) for key in keys]
    return None


def outputs(select_list: list[Tree], scope: Scope) -> Columns:
    """The names of what a SELECT gives, as far as it says them: not what a star has of records, which never are structs."""
    names: list[str] = []
    for item in select_list:
        if item.get("class") == "STAR":
            names += [name for source in scope.sources for name in source.columns]
        elif item["alias"] or (name := as_name(item, scope)) is None:
            names.append(item["alias"])
        else:
            names.append(str(name.parts[-1]))
    return tuple(name.lower() for name in names)


def renamed(columns: Columns, aliases: list[str]) -> Columns:
    """With names given to the first of them."""
    return *(alias.lower() for alias in aliases), *columns[len(aliases) :]


def lambda_names(lhs: Tree) -> list[str]:
    """The names that a lambda makes: `x`, or those of `(x, i)`."""
    if lhs.get("class") == "COLUMN_REF":
        return [str(lhs["column_names"][0])]
    arguments = lhs.get("arguments", [])
    return [name for argument in arguments for name in lambda_names(argument["expression"])]
