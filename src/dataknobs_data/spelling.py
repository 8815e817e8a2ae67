"""The nearest known word, for error messages about unknown ones."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def did_you_mean(word: object, known: Iterable[str]) -> str:
    """`did you mean 'sort'?` where a known word is near, else `it is one of 'and', 'not', 'or'` or `there are none`."""
    words = sorted(str(one) for one in known)
    spelled = {one.lower(): one for one in words}
    near = _near(word.lower(), list(spelled)) if isinstance(word, str) else []
    if near:
        return f"did you mean {spelled[near[0]]!r}?"
    return f"it is one of {', '.join(map(repr, words))}" if words else "there are none"


def _near(word: str, words: list[str]) -> list[str]:
    swapped = [one for one in words if sorted(one) == sorted(word)]  # difflib finds `>` nearer to `=>` than `>=`
    return swapped or difflib.get_close_matches(word, words, n=1, cutoff=0.5)
