"""A record's metadata as object tags, as far as tags can hold it. The document is the truth, tags are a projection.

Limits: https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-tagging.html (10 tags, 128 and 256 UTF-16 units) and
https://docs.aws.amazon.com/tag-editor/latest/userguide/best-practices-and-strats.html (characters).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

from dataknobs_data.documents import Document

TAGS_MAX, NAME_UNITS_MAX, VALUE_UNITS_MAX = 10, 128, 256

NOT_SHARED = "the record lies in a pack, which has the tags that all its records share"

_ALLOWED = re.compile(r"[\w \-+=.:/@]*")
_SCALARS = (str, int, float, Decimal, datetime, date, time, UUID)

logger = logging.getLogger("dataknobs_data.s3")


class TagReport(dict[str, str]):
    """The tags that an object has; `skipped` says which metadata is not among them, and why.

    Of an archived record that is not known (`skipped_known` is False): its metadata cannot be read.

    pack  the key of the pack in which the record lies, together with others: the tags are the pack's; None: it is an object
    """

    def __init__(self, tags: Mapping[str, str], skipped: Mapping[str, str] | None, pack: str | None = None) -> None:
        super().__init__(tags)
        self.pack = pack
        self.skipped = dict(skipped or {})
        self.skipped_known = skipped is not None


class Tagger:
    """Chooses a document's tags. `chosen`: True for all, False for none, or the names to mirror."""

    def __init__(self, chosen: bool | list[str]) -> None:
        self._chosen = chosen
        self._warned: set[str] = set()

    def tags(self, document: Document) -> dict[str, str]:
        """The tags to write. What cannot be one is left out, with a warning in the log, once for each name."""
        return self._warned_of(*self.project(document))

    def tags_of(self, metadata: Mapping[str, Any]) -> dict[str, str]:
        """The tags of an object of many records that all have this metadata."""
        return self._warned_of(*_projected(self._wanted(metadata.items())))

    def _warned_of(self, tags: dict[str, str], skipped: dict[str, str]) -> dict[str, str]:
        for name in skipped.keys() - self._warned:
            self._warned.add(name)
            logger.warning(
                "metadata %r is not mirrored as an object tag: %s (said once; see tags(id))", name, skipped[name]
            )
        return tags

    def project(self, document: Document) -> tuple[dict[str, str], dict[str, str]]:
        """(tags, name → why it is none)."""
        values = {"id": document.id, "created_at": document.created_at, **document.metadata}
        return _projected(self._wanted(values.items()))

    def _wanted(self, values: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
        if self._chosen is False:
            return
        for name, value in values:
            if self._chosen is True or name in self._chosen:
                yield name, value


def _projected(values: Iterable[tuple[str, Any]]) -> tuple[dict[str, str], dict[str, str]]:
    tags: dict[str, str] = {}
    skipped: dict[str, str] = {}
    for name, value in values:
        text = tag_text(value)
        reason = refusal(name, text, value)
        if reason is None and len(tags) == TAGS_MAX:
            reason = f"an object has at most {TAGS_MAX} tags"
        if reason is None and text is not None:
            tags[name] = text
        else:
            skipped[name] = reason or ""
    return tags, skipped


def tag_text(value: Any) -> str | None:
    """A value as a tag has it; None for what is no single value."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    return str(value) if isinstance(value, _SCALARS) else None


def refusal(name: str, text: str | None, value: Any) -> str | None:
    """Why this cannot be a tag, of an object or a bucket; None where it can. `text`: the value as a tag would have it."""
    if text is None:
        return f"a {type(value).__name__} is no single value"
    if not name or name.lower().startswith("aws:"):
        return "a tag's name must not be empty or start with 'aws:'"
    for what, part, most in (("name", name, NAME_UNITS_MAX), ("value", text, VALUE_UNITS_MAX)):
        units = len(part) if part.isascii() else len(part.encode("utf-16-le", "surrogatepass")) // 2
        if units > most:
            return f"its {what} has {units} UTF-16 units, a tag's {what} at most {most}"
        if not _ALLOWED.fullmatch(part):
            return f"its {what} holds characters other than letters, digits, space and + - = . _ : / @"
    return None
