"""Nodes of syntax trees, as `json_serialize_sql` writes them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

Tree = dict[str, Any]
"""A part of a syntax tree."""


def nodes(part: Any) -> Iterator[Tree]:
    """All there are in a part of a tree, it first."""
    if isinstance(part, list):
        for one in part:
            yield from nodes(one)
    elif isinstance(part, dict):
        yield part
        for one in part.values():
            yield from nodes(one)


def reference(names: Sequence[str], alias: str = "") -> Tree:
    """A column."""
    return {"class": "COLUMN_REF", "type": "COLUMN_REF", "alias": alias, "column_names": list(names)}


def constant(text: str) -> Tree:
    """A string."""
    return {"class": "CONSTANT", "type": "VALUE_CONSTANT", "alias": "", "literal": {"kind": "STRING", "text": text}}


def function(name: str, arguments: Sequence[Tree], names: Sequence[str] = ()) -> Tree:
    """A call. `names`: of the arguments, where they are given by name."""
    named = names or [""] * len(arguments)
    return {
        "class": "FUNCTION", "type": "FUNCTION", "alias": "", "function_name": name, "schema": "", "catalog": "", "filter": None,
        "order_bys": {"type": "ORDER_MODIFIER", "orders": []}, "distinct": False, "is_operator": name == "+",
        "export_state": False, "qualified_name": {"path": [name]},
        "arguments": [{"name": name, "expression": one} for name, one in zip(named, arguments, strict=True)],
    }  # fmt: skip


def cast(node: Tree, kind: str) -> Tree:
    """CAST(node AS kind)."""
    type_expr = {
        "class": "TYPE", "type": "TYPE", "alias": "", "schema": "", "catalog": "", "type_name": kind, "children": [],
        "qualified_name": {"path": [kind]},
    }  # fmt: skip
    return {
        "class": "CAST", "type": "OPERATOR_CAST", "alias": "", "child": node, "try_cast": False, "type_expr": type_expr,
    }  # fmt: skip


def text_of(node: Tree) -> str | None:
    """What a string constant says; None for any other expression."""
    literal = node.get("literal") if node.get("class") == "CONSTANT" else None
    return literal["text"] if literal and literal["kind"] == "STRING" else None


def is_call(node: Tree, name: str, count: int) -> bool:
    """Whether it calls that function with so many arguments."""
    return (
        node.get("class") == "FUNCTION"
        and node["function_name"].lower() == name
        and node["qualified_name"]["path"][:-1] == []
        and len(node["arguments"]) == count
    )
