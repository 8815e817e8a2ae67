"""Functions that make large values of small ones, or take very long over two, kept within bounds.

DuckDB counts the memory of tables, sorts and groups, but not that of single values while it works on some thousand rows of
them (seen in 2.0.0: `repeat('x', 1000000000)` over ten rows takes 10 GB under a limit of 256 MB). Macros of the same names stand
before these functions, and refuse what is too much.

Nor can it be interrupted within such rows: two texts of 16,000 characters each take `levenshtein` half a second.

Statements that put large values together from ever larger ones, step by step, are not held up by this.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from dataknobs_data.exceptions import QueryError
from dataknobs_data.select.trees import Tree, text_of

ROWS = 2048
"""That DuckDB works on at once: https://duckdb.org/docs/stable/internals/vector."""

SHARE = 8
"""Of a statement's memory, an eighth may go to such values of so many rows."""

_REFUSE = "error('{name}() makes more than {most}, the most that memory_limit allows for')"
_REFUSE_LONG = "error('{name}() compares texts whose lengths make at most {most} when multiplied')"
_AT_MOST = f"(list_transform([{{n}}], lambda n: CASE WHEN n > {{most}} THEN {_REFUSE} ELSE n END))[1]"


def _both(arguments: str, size: str, call: str, refuse: str = _REFUSE) -> str:
    """A macro whose arguments are evaluated once though they are looked at twice: they may be random()."""
    names = [name.strip() for name in arguments.split(",")]
    packed = ", ".join(f"{name} := {name}" for name in names)
    return (
        f"({arguments}) AS (list_transform([struct_pack({packed})], "
        f"lambda a: CASE WHEN {size} > {{most}} THEN {refuse} ELSE system.main.{call} END))[1]"
    )


def _resized(name: str) -> tuple[str, ...]:
    n = _AT_MOST.replace("{n}", "n")
    return f"(l, n) AS system.main.{name}(l, {n})", f"(l, n, v) AS system.main.{name}(l, {n}, v)"


def _series(name: str) -> tuple[str, ...]:
    return (
        f"(n) AS system.main.{name}({_AT_MOST.replace('{n}', 'n')})",
        _both("x, y", "a.y - a.x", f"{name}(a.x, a.y)"),
        f"(x, y, z) AS coalesce((SELECT list(v) FROM system.main.{name}(x, y, z) AS t(v)), [])",  # lists of rows are counted
    )


def _padded(name: str) -> tuple[str, ...]:
    return (f"(s, n, p) AS system.main.{name}(s, {_AT_MOST.replace('{n}', 'n')}, p)",)


def _compared(name: str) -> tuple[str, ...]:
    return (_both("s, t", "strlen(a.s) * strlen(a.t)", f"{name}(a.s, a.t)", _REFUSE_LONG),)


def _scored(name: str) -> tuple[str, ...]:
    scored = _both("s, t, c", "strlen(a.s) * strlen(a.t)", f"{name}(a.s, a.t, a.c)", _REFUSE_LONG)
    return *_compared(name), scored


_TEXTS: dict[str, tuple[str, ...]] = {
    "repeat": (_both("s, n", "strlen(CAST(a.s AS VARCHAR)) * a.n", "repeat(a.s, a.n)"),),
    "lpad": _padded("lpad"),
    "rpad": _padded("rpad"),
    "bitstring": (f"(s, n) AS system.main.bitstring(s, {_AT_MOST.replace('{n}', 'n')})",),
    "to_base": (
        "(x, r) AS system.main.to_base(x, r)",
        f"(x, r, n) AS system.main.to_base(x, r, {_AT_MOST.replace('{n}', 'n')})",
    ),
    "bar": (
        "(x, a, b) AS system.main.bar(x, a, b)",
        f"(x, a, b, n) AS system.main.bar(x, a, b, {_AT_MOST.replace('{n}', 'n')})",
    ),
}
_LISTS: dict[str, tuple[str, ...]] = {
    "range": _series("range"),
    "generate_series": _series("generate_series"),
    "list_resize": _resized("list_resize"),
    "array_resize": _resized("array_resize"),
}
_PAIRS: dict[str, tuple[str, ...]] = {
    **{name: _compared(name) for name in ("levenshtein", "editdist3", "damerau_levenshtein")},
    **{name: _scored(name) for name in ("jaro_similarity", "jaro_winkler_similarity")},
}
CELLS = 1 << 20
"""Of the table in which two texts are compared: for `ROWS` of them that takes seconds."""

_WIDTH = re.compile(r"\d{4}|\{[^}]*\{|\*")


def macros(functions: Collection[str], memory_bytes: int) -> list[str]:
    """Statements that put bounds to those of `functions` that need them."""
    text = max(1024, memory_bytes // (SHARE * ROWS))
    return [
        f"CREATE TEMP MACRO {name}{', '.join(overloads).replace('{most}', str(most)).replace('{name}', name)}"
        for made, most in ((_TEXTS, text), (_LISTS, text // 4), (_PAIRS, CELLS))
        for name, overloads in made.items()
        if name in functions
    ]


def check_format(name: str, arguments: list[Tree]) -> None:
    """`format` and `printf` pad to a width that stands in their first argument."""
    pattern = text_of(arguments[0]["expression"]) if arguments else None
    if pattern is None or _WIDTH.search(pattern):
        raise QueryError(
            f"SQL: {name}() takes a text of its own in the statement, with widths of up to three digits", name=name
        )
