"""Tombstones: objects that stand in the place of a deleted record while a row of it may lie in the table.

A tombstone names the births that it declares dead, and hides no others (tests/model/tiers.py). It never carries the user's
storage class or tags. Listings tell it from documents by its size: a tombstone is padded to a multiple of UNIT bytes, and no
document that is written in this layout has such a size. What other writers put here may have one: then its content tells.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote

import orjson

from dataknobs_data.exceptions import DataFormatError
from dataknobs_data.s3.marks import Mark, mark_of

UNIT = 128
KILLS, REVISION, DELETED = "kills", "revision", "deleted"
FORMAT = 1

HEADER_BYTES_MAX = 1024
"""Of births in one header, so that all user metadata stays below 2 KB; https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html."""

TOO_MANY = "*"
"""Stands in a header for births that would take more: the content names them."""

_START = b'{"tombstone":'


@dataclass(frozen=True, slots=True)
class Tombstone:
    """`kills`: births declared dead. `revision`: new with every write, so that no two have the same content. `deleted`: that
    of the record it deleted, which tells whoever brings it back whether a row is that. It and `mark` only the headers say.
    """

    kills: frozenset[str]
    revision: str
    mark: Mark | None = None
    deleted: str | None = None

    def encode(self) -> bytes:
        """The object's content: JSON, padded with spaces."""
        tree = {"tombstone": FORMAT, KILLS: sorted(self.kills), REVISION: self.revision}
        body = orjson.dumps(tree) + b"\n"
        return body.ljust(-(-len(body) // UNIT) * UNIT)

    def headers(self) -> dict[str, str]:
        """The object's user metadata, so that HEAD is enough to know it."""
        headers = {KILLS: births_header(self.kills), REVISION: quote(self.revision, safe=":")}
        if self.deleted is not None:
            headers[DELETED] = quote(self.deleted, safe=":")
        return {**headers, **self.mark.headers()} if self.mark else headers


def may_be_tombstone(size: int) -> bool:
    """Whether an object of that many bytes may be one; False is certain."""
    return size > 0 and size % UNIT == 0


def told_apart(body: bytes) -> bytes:
    """A document's JSON with a size that no tombstone has."""
    return body + b"\n" if may_be_tombstone(len(body)) else body


def is_tombstone(body: bytes | memoryview) -> bool:
    """Whether that is the content of one."""
    return may_be_tombstone(len(body)) and bytes(body[: len(_START)]) == _START


def decode(body: bytes | memoryview, key: str) -> Tombstone:
    """The inverse of `encode`. Raises DataFormatError, naming the key, for what is none."""
    try:
        tree = orjson.loads(bytes(body))
        version, kills, revision = tree["tombstone"], tree[KILLS], tree[REVISION]
        if version != FORMAT:
            raise DataFormatError(
                f"{key}: tombstone format {version!r} is not known to this version (it knows {FORMAT}); upgrade dataknobs-data",
                key=key,
            )
        return Tombstone(_births(kills), _text(revision))
    except (ValueError, TypeError, LookupError) as error:
        raise DataFormatError(f"{key}: damaged tombstone: {error}", key=key) from error


def from_headers(metadata: Mapping[str, str]) -> Tombstone | None:
    """The tombstone whose object has this user metadata; None where it is no tombstone, or only its content tells."""
    kills = metadata.get(KILLS)
    if kills is None or kills == TOO_MANY or REVISION not in metadata:
        return None
    deleted = unquote(metadata[DELETED]) if DELETED in metadata else None
    return Tombstone(births_of(kills), unquote(metadata[REVISION]), mark_of(metadata), deleted)


def births_header(births: Iterable[str]) -> str:
    """Births as a header has them."""
    text = " ".join(quote(birth, safe=":") for birth in sorted(births))
    return text if len(text) <= HEADER_BYTES_MAX else TOO_MANY


def births_of(header: str) -> frozenset[str]:
    """The inverse of `births_header`."""
    return frozenset(map(unquote, header.split()))


def _births(value: Any) -> frozenset[str]:
    if not isinstance(value, list):
        raise TypeError(f"its {KILLS} are no list")
    return frozenset(map(_text, value))


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"text was to come, not {value!r:.80}")
    return value
