"""Dotted names: how `address.city` and `metadata.author` find their values.

A name that exists as it stands wins over the path that it spells: a field called `a.b` hides `b` inside the field `a`.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any, Final, Literal


class _Missing(Enum):
    MISSING = "MISSING"

    def __repr__(self) -> str:
        return self.value

    def __bool__(self) -> Literal[False]:
        return False


MISSING: Final = _Missing.MISSING
"""Stands for a value that is not there, where None is a value. It is false and a singleton, also when pickled."""


def dig(tree: Any, path: str) -> Any:
    """What lies at the dotted `path` in nested mappings, MISSING where there is nothing.

    >>> dig({"a": {"b": {"c": 1}}}, "a.b.c"), dig({"a.b": 2, "a": {"b": 1}}, "a.b"), dig({"a": 1}, "a.b")
    (1, 2, MISSING)
    """
    if not isinstance(tree, Mapping):
        return MISSING
    if path in tree:
        return tree[path]
    cut = path.rfind(".")
    while cut != -1:
        head = path[:cut]
        if head in tree:
            found = dig(tree[head], path[cut + 1 :])
            if found is not MISSING:
                return found
        cut = path.rfind(".", 0, cut)
    return MISSING


def find(name: str, data: Mapping[str, Any], metadata: Mapping[str, Any]) -> Any:
    """The value that `name` means in a record: a field, a path into one, or `metadata.x`; MISSING where there is none.

    `metadata.x` reads the record's metadata unless the record has a field `metadata` that holds a mapping.
    """
    found = dig(data, name)
    if found is MISSING and name.startswith("metadata.") and not isinstance(data.get("metadata"), Mapping):
        return dig(metadata, name.removeprefix("metadata."))
    return found
