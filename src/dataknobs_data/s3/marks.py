"""What a compare-and-set leaves in its object's user metadata for bulk updates that run beside it (tests/model/cas.py).

A document's or tombstone's content does not say it: it matters for the moment only, and is gone with the next plain write.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, unquote

OVER, SETTLES = "over", "settles"


@dataclass(frozen=True, slots=True)
class Mark:
    """`over`: the revision of the table's row that the object relies on. `settles`: the revision of the compare-and-set over
    which this object was put, so that its writer knows what came of it.
    """

    over: str
    settles: str | None = None

    def headers(self) -> dict[str, str]:
        """As user metadata, in plain ASCII."""
        headers = {OVER: quote(self.over, safe=":")}
        return headers if self.settles is None else {**headers, SETTLES: quote(self.settles, safe=":")}


def mark_of(metadata: Mapping[str, str]) -> Mark | None:
    """The mark in an object's user metadata."""
    if OVER not in metadata:
        return None
    return Mark(unquote(metadata[OVER]), unquote(metadata[SETTLES]) if SETTLES in metadata else None)
