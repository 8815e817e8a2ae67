"""The nearest known word, for error messages about unknown ones."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def did_you_mean(word: object, known: Iterable[str]) -> str:
    """`did you mean 'sort'?` where a known word is near, else `it is one of 'and', 'not', 'or'` or `there are none`."""
    words = sorted(str(one) for one in known)
    near = difflib.get_close_matches(str(word).lower(), words, n=1, cutoff=0.5)
    if near:
        return f"did you mean {near[0]!r}?"
    return f"it is one of {', '.join(map(repr, words))}" if words else "there are none"
