"""Functions and types that have no business in a statement over records."""

from __future__ import annotations

from dataknobs_data.exceptions import QueryError
from dataknobs_data.select.bounded import check_format
from dataknobs_data.select.trees import Tree
from dataknobs_data.spelling import did_you_mean

TABLE_FUNCTIONS = frozenset({"range", "generate_series", "unnest", "json_each", "json_tree", "repeat", "repeat_row"})
"""Those that make rows of their arguments alone. Others read files, settings, or memory (`arrow_scan` takes addresses)."""

REFUSED = frozenset(
    {"to_aggregate_state", "finalize", "combine", "combine_aggr", "write_log", "json_serialize_plan", "create_sort_key",
     "variant_bytes_to_variant", "bitstring_byte_comparable", "timetz_byte_comparable", "nextval", "setval", "currval",
     "sleep_ms", "pg_sleep"}
)  # fmt: skip
"""Functions for the inside of an engine: they trust their arguments, leave something behind, or cannot be interrupted."""

INTERNAL = ("__internal", "variant_")
"""Beginnings of more such, and of those that take their arguments as VARIANT."""

REFUSED_TYPES = frozenset({"variant", "bignum", "varint"})
"""Seen in DuckDB 2.0.0: deeply nested JSON as VARIANT ends the process, and BIGNUM takes minutes over long texts, uninterruptibly."""


def check_function(call: Tree) -> None:
    """Raises QueryError for one that is refused, and for one with a schema, which may be what a macro of ours stands before."""
    name = call["function_name"].lower()
    if name in REFUSED or name.startswith(INTERNAL) or call["qualified_name"]["path"][:-1]:
        raise QueryError(
            f"SQL: the function {'.'.join(call['qualified_name']['path'])}() is not possible here", name=name
        )
    if name in ("format", "printf"):
        check_format(name, call["arguments"])


def check_type(node: Tree) -> None:
    """Raises QueryError for one that is refused."""
    name = node["qualified_name"]["path"][-1]
    if name.lower() in REFUSED_TYPES:
        raise QueryError(f"SQL: the type {name} is not possible here", name=name)


def check_table_function(name: str) -> None:
    """Raises QueryError for one that is refused."""
    if name not in TABLE_FUNCTIONS:
        raise QueryError(
            f"SQL: the table function {name}() is not possible here: {did_you_mean(name, TABLE_FUNCTIONS)}"
            if name.partition("_")[0] not in ("read", "glob", "parquet", "sniff")
            else f"SQL: {name}() is not possible here: files are not within reach",
            name=name,
        )
