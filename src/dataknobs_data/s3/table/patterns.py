"""Patterns of conditions in the syntax of RE2, which Arrow searches texts with.

RE2 and Python's `re` agree on ASCII text for the patterns that pass here; on other text they differ in what is a letter, a
digit, or the same letter in another case. RE2's syntax: https://github.com/google/re2/wiki/Syntax
"""

from __future__ import annotations

import re

_OTHER = r"\x{80}-\x{10FFFF}"
"""Characters beyond ASCII: a few are the lower or upper case of an ASCII letter, as U+212A is of k."""


def like_in_re2(pattern: str) -> str:
    """What finds every text that a LIKE pattern matches, and on ASCII text, for an ASCII pattern, no other."""
    pieces = ["".join(map(_liked, piece)) for piece in pattern.split("%")]
    first, last = "^" if pieces[0] else "", "$" if pieces[-1] else ""
    if len(pieces) == 1:
        return f"(?s)^{pieces[0]}$"
    return f"(?s){first}{'.*'.join(pieces).removeprefix('.*').removesuffix('.*')}{last}"


def _liked(character: str) -> str:
    if character == "_":
        return "."
    if not character.isascii():
        return f"[a-zA-Z{_OTHER}]"
    if character.isalpha():
        return f"[{character.lower()}{character.upper()}{_OTHER}]"
    return rf"\x{{{ord(character):x}}}"


_ITEM = r"(?:[a-z]-[a-z]|[A-Z]-[A-Z]|[0-9]-[0-9]|[A-Za-z0-9_ .,:/@%]|\\[dw.-])"
_ATOM = rf"""(?:[A-Za-z0-9_ ,:/@%\#&<>=!~"'`;.-]|\\[][.*+?(){{}}|^$/\\dDwW-]|\[\^?{_ITEM}+\])"""
_QUANTIFIER = r"(?:[*+?]|\{\d{1,3}(?:,\d{0,3})?\})\??(?![*+?{])"
_PORTABLE = re.compile(
    rf"(?:\(\?i\))?(?:{_ATOM}(?:{_QUANTIFIER}|(?![*+?{{]))|\^|\\b|\((?:\?:)?(?!\?)|\)(?![*+?{{])|\|)*\$?"
)
"""Literals, classes, `.`, `^`, `$` at the end, `\\d \\w \\b`, alternatives, groups that are not repeated, `(?i)`."""


def regex_in_re2(pattern: str) -> str | None:
    """A valid pattern of `re`, which RE2 finds in the same ASCII texts; None where that is not certain."""
    if not _PORTABLE.fullmatch(pattern):
        return None
    if pattern.endswith("$") and _ends_with_anchor(pattern):
        return rf"{pattern[:-1]}\n?$"  # Python's matches before a last line break as well
    return pattern


def _ends_with_anchor(pattern: str) -> bool:
    escapes = len(pattern) - 1 - len(pattern[:-1].rstrip("\\"))
    return escapes % 2 == 0
