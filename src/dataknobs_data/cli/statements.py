"""SQL statements in a text: where one ends, and whether there is anything behind it."""

from __future__ import annotations

import re

from dataknobs_data.select.dialect import CLOSED

_TOKEN = re.compile(
    rf"""
      (?P<whole>  {CLOSED} )
    | (?P<open>   ['"] | /\* | \$(?:[A-Za-z_]\w*)?\$ )
    | (?P<end>    ; )
    | .
    """,
    re.VERBOSE | re.DOTALL,
)
_NOTHING = re.compile(r"(?:\s|--[^\n]*(?:\n|\Z)|/\*.*?\*/)*", re.DOTALL)


def split(text: str) -> tuple[list[str], str]:
    """The statements that end with a semicolon, without it, and what comes behind the last of those."""
    found: list[str] = []
    start = 0
    for token in _TOKEN.finditer(text):
        if token["open"]:
            break  # a quotation or comment that is not closed: the rest is one with it
        if token["end"]:
            found.append(text[start : token.start()].strip())
            start = token.end()
    return [one for one in found if not is_blank(one)], text[start:]


def is_blank(text: str) -> bool:
    """Whether there are only blanks and comments."""
    return _NOTHING.fullmatch(text) is not None


def statements(text: str) -> list[str]:
    """All statements; the last need not end with a semicolon."""
    found, rest = split(text)
    return found if is_blank(rest) else [*found, rest.strip()]
