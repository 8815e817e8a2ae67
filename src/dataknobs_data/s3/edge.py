"""Reading records at a read endpoint, such as a CloudFront distribution before the bucket: near, and never the last word.

What lies at the edge may be as old as its cache lets it be; whoever sets `read_endpoint` has chosen that for `read` and
`batch_read`. Everything else stays as it is without:

- Lists, heads, versions, writes, and every look before a write go to the store.
- A search lists at the store and takes a copy from the edge only with the ETag that the store has just listed.
- A record that this process has written or deleted, or of which it knows the version, is read at the store from then on, for
  the edge may have it older than that (`WriteClock` in cache.py). So is one of which another copy is in memory than the edge
  has: which of the two is newer, only the store knows.
- Anything but a whole document (an error, a redirect, a page of HTML, half a body, an ETag that is weak because somebody
  recoded the content) says nothing, not even "there is no such record": the store is asked.

An edge is asked once, never again on failure: the store is what one falls back on, with all its retries. An edge that
cannot be reached, or is in trouble itself, twice in a row is left alone for a while.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Protocol

from dataknobs_data.runtime import Runtime, iso_utc
from dataknobs_data.s3.cache import Held, WriteClock
from dataknobs_data.s3.calls import Caller, Deadline
from dataknobs_data.s3.marks import mark_of
from dataknobs_data.s3.store import Fault

REST_SECONDS = 10.0
"""How long an edge is left alone."""

OPERATION = "EdgeGet"
"""What its requests are called where requests are counted."""

METADATA = "x-amz-meta-"
_STRONG_ETAG = re.compile(r'"[\x21\x23-\x7e\x80-\xff]+"')
"""RFC 9110, section 8.8.3; https://www.rfc-editor.org/rfc/rfc9110.html#name-etag."""

logger = logging.getLogger("dataknobs_data.s3")


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one GET. Names of headers are in lower case; the body is as it was sent, not decoded."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Web(Protocol):
    """The way to the read endpoint: one method, one HTTP request (stores/web.py)."""

    def get(self, key: str, *, unless_etag: str | None = None) -> Answer:
        """The answer, whatever it is; redirects are answers. Raises Fault where none came."""

    def close(self) -> None:
        """Closes connections."""


@dataclass(frozen=True, slots=True)
class NoCopy:
    """The edge has nothing to go by. `why` in words, where that may be a mistake in its configuration."""

    why: str | None = None


class Edge:
    """One database's read endpoint."""

    def __init__(self, web: Web, caller: Caller, clock: WriteClock, runtime: Runtime) -> None:
        self._web = web
        self._caller = caller
        self._clock = clock
        self._monotonic = runtime.monotonic
        self._rests_until = float("-inf")
        self._troubles = 0
        self._warned = False

    def get(
        self, key: str, deadline: Deadline, *, held: Held | None = None, listed: str | None = None
    ) -> Held | NoCopy:
        """The copy of a document there that may be shown: `held` itself where that is what the edge has too.

        held     what is in memory of it
        listed   the ETag that the store has just listed
        """
        if (listed is None and self._clock.knows(key)) or self._monotonic() < self._rests_until:
            return NoCopy()
        try:
            copy = self._caller.send(OPERATION, lambda store: self._ask(key, held), deadline)
        except Fault:  # its turn did not come in time; the store's may
            return NoCopy()
        expected = listed or (held.etag if held else None)
        return NoCopy() if isinstance(copy, Held) and expected not in (None, copy.etag) else copy

    def _ask(self, key: str, held: Held | None) -> Held | NoCopy:
        """One request. No Fault leaves it: retries are for the store."""
        try:
            answer = self._web.get(key, unless_etag=held.etag if held else None)
        except Fault as fault:
            return self._in_trouble(str(fault))
        if answer.status >= 500 or answer.status == 429:
            return self._in_trouble(f"it answers {answer.status}")
        self._troubles = 0
        return copy_of(answer, held)

    def _in_trouble(self, why: str) -> NoCopy:
        """Once may happen, as when a connection kept for later has ended meanwhile; twice in a row it is left alone."""
        self._troubles += 1
        if self._troubles == 1:
            return NoCopy()
        self._rests_until = self._monotonic() + REST_SECONDS
        return NoCopy(why)

    def missed(self, why: NoCopy) -> None:
        """The store had a record that the edge had nothing of: the first time, people are told."""
        if why.why and not self._warned:
            self._warned = True
            logger.warning("read_endpoint: %s; records are read at the store instead (said once)", why.why)

    def close(self) -> None:
        """Closes connections."""
        self._web.close()


def copy_of(answer: Answer, held: Held | None) -> Held | NoCopy:
    """What an answer is worth; `held` is what the request was conditional on."""
    etag = answer.headers.get("etag")
    if answer.status == 304 and held is not None:
        return (
            held if etag in (None, held.etag) else NoCopy("it answers 304 for another version than it was asked about")
        )
    if answer.status != 200:
        return NoCopy(f"it answers {answer.status}")
    if answer.headers.get("content-encoding", "identity").lower() != "identity":
        return NoCopy("it compresses though it was asked not to")
    if etag is None or not _STRONG_ETAG.fullmatch(etag):
        return NoCopy("it gives no ETag, or a weak one")
    if answer.headers.get("content-length") != str(len(answer.body)):
        return NoCopy("the document did not arrive whole, or its length was not said")
    try:
        modified = parsedate_to_datetime(answer.headers.get("last-modified", ""))
    except ValueError:
        return NoCopy("it does not say when the document was written")
    told = {name.removeprefix(METADATA): value for name, value in answer.headers.items() if name.startswith(METADATA)}
    return Held(answer.body, etag, iso_utc(modified), mark_of(told))
