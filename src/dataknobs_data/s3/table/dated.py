"""Which texts of a column are instants, by whole columns."""

from __future__ import annotations

from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from dataknobs_data.s3.table.kinds import STAMP
from dataknobs_data.s3.table.masks import Mask, both, inverted, mask_of

_DATED = r"^\d{4}-\d{2}-\d{2}"
"""How all texts begin that are instants (`instants`)."""

_MONTHS = r"(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\d|30)|02-(?:0[1-9]|1\d|2[0-8]))"
_DATE = rf"[12]\d{{3}}-{_MONTHS}"
_TIME = r"[T ](?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d{1,6})?)?"
_ZONED = rf"^{_DATE}{_TIME}(?:Z|[+-][01]\d(?::[0-5]\d)?)$"
_ZONELESS = rf"^{_DATE}(?:{_TIME})?$"
"""Texts of which Arrow reads the same instants as Python."""


class DatedTexts(NamedTuple):
    """A column of texts, taken apart.

    instants   of texts that surely are some; null elsewhere
    plain      texts that surely are none, and null
    unread     texts of which only Python can tell (29 February, nanoseconds, the Middle Ages)
    """

    instants: pa.ChunkedArray
    plain: Mask
    unread: Mask


def dated_texts(texts: pa.ChunkedArray) -> DatedTexts | None:
    """None where no text can be an instant."""
    dated = _matching(texts, _DATED)
    if dated is False:
        return None
    zoned = both(dated, _matching(texts, _ZONED))
    rest = both(dated, inverted(zoned))
    zoneless = both(rest, _matching(texts, _ZONELESS)) if rest is not False else False
    # Arrow reads texts with a zone and texts without one as two types
    instants = pc.coalesce(_only(texts, zoned).cast(STAMP), _only(texts, zoneless).cast(pa.timestamp("us")).cast(STAMP))
    unread = both(rest, inverted(zoneless))
    return DatedTexts(instants, inverted(dated), unread if isinstance(unread, bool) else mask_of(unread))


def _matching(texts: pa.ChunkedArray, pattern: str) -> Mask:
    return mask_of(pc.fill_null(pc.match_substring_regex(texts, pattern), False))


def _only(texts: pa.ChunkedArray, mask: Mask) -> pa.ChunkedArray:
    if mask is True:
        return texts
    if mask is False:
        return pa.chunked_array([pa.nulls(len(texts), texts.type)])
    return pc.if_else(mask, texts, pa.scalar(None, texts.type))
