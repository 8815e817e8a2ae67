"""Memories of a store: documents that are good while their ETag stands, and answers about all of it for a while."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar, Generic, TypeVar

from dataknobs_data.s3.marks import Mark

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Held:
    """A document's bytes and the ETag they had. `modified`: ISO 8601, when the object was written. `mark`: from its headers."""

    body: bytes | memoryview
    etag: str
    modified: str
    mark: Mark | None = None


class RecordCache:
    """Bytes of documents by key, the least recently used given up first. Never an answer by itself: the ETag is asked."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._held: OrderedDict[str, Held] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def get(self, key: str) -> Held | None:
        """What is held of `key`, which now counts as used."""
        with self._lock:
            held = self._held.get(key)
            if held:
                self._held.move_to_end(key)
            return held

    def put(self, key: str, held: Held) -> None:
        """Holds a document, unless it alone would fill an eighth of the cache."""
        with self._lock:
            self._drop(key)
            if len(held.body) * 8 > self._most_bytes:
                return
            self._held[key] = held if isinstance(held.body, bytes) else replace(held, body=bytes(held.body))
            self._bytes += _cost(key, held)
            while self._bytes > self._most_bytes:
                oldest, given_up = self._held.popitem(last=False)
                self._bytes -= _cost(oldest, given_up)

    def drop(self, key: str) -> None:
        """Forgets a document."""
        with self._lock:
            self._drop(key)

    def copy(self) -> RecordCache:
        """Another one that holds the same, and shares the bytes."""
        other = RecordCache(self._most_bytes)
        with self._lock:
            other._held, other._bytes = self._held.copy(), self._bytes
        return other

    def _drop(self, key: str) -> None:
        held = self._held.pop(key, None)
        if held:
            self._bytes -= _cost(key, held)


def _cost(key: str, held: Held) -> int:
    overhead = 400  # of the entry's Python objects, measured with sys.getsizeof
    return len(held.body) + len(key) + overhead


KNOWN_BITS = 8 * 1024 * 1024
"""Of a WriteClock: 1 MiB when they are all there, which come in pages, each when it is first touched: a process may write a
little to many buckets."""

PAGE_BYTES = 1024


class WriteClock:
    """Counts the writes that this process sent to one bucket, by whichever database, and never forgets their keys.

    It keeps a bit for the hash of a key. So of other keys it may believe that they were written (of every tenth after
    900,000 writes), which costs a request to the store.
    """

    _clocks: ClassVar[dict[tuple[str, str], WriteClock]] = {}
    _lock: ClassVar[threading.Lock] = threading.Lock()

    def __init__(self) -> None:
        self.writes = 0
        self._known: dict[int, bytearray] = {}

    @classmethod
    def of(cls, endpoint: str, bucket: str) -> WriteClock:
        """The clock of a bucket."""
        with cls._lock:
            return cls._clocks.setdefault((endpoint, bucket), cls())

    def tick(self, *keys: str) -> None:
        """A write of these keys was answered, or given up: what was listed before it no longer holds."""
        with self._lock:
            self.writes += 1
        self.mark(*keys)

    def mark(self, *keys: str) -> None:
        """From now on this process must not see these keys older than they are now."""
        with self._lock:
            known = self._known
            for page, place, bit in map(_bit_of, keys):
                if page not in known:
                    known[page] = bytearray(PAGE_BYTES)
                known[page][place] |= bit

    def knows(self, key: str) -> bool:
        """Whether this process has marked or written `key`, or may have."""
        page, place, bit = _bit_of(key)
        return page in self._known and bool(self._known[page][place] & bit)


def _bit_of(key: str) -> tuple[int, int, int]:
    """Which page, which byte of it, and the bit in that."""
    number = hash(key) % KNOWN_BITS
    return number // (8 * PAGE_BYTES), number // 8 % PAGE_BYTES, 1 << number % 8


class Recent(Generic[T]):
    """An answer about the whole database, for at most `ttl` seconds and never older than this process's own last write."""

    def __init__(self, ttl_seconds: float, monotonic: Callable[[], float], clock: WriteClock) -> None:
        self._ttl = ttl_seconds
        self._monotonic = monotonic
        self._clock = clock
        self._taken: tuple[T, int, float] | None = None

    def value(self) -> T | None:
        """The answer, if it may still be used."""
        if self._taken is None:
            return None
        answer, writes, began = self._taken
        fresh = writes == self._clock.writes and self._monotonic() - began < self._ttl
        return answer if fresh else None

    def fill(self, find: Callable[[], T]) -> T:
        """Finds it anew and keeps it; it counts as taken when the looking began."""
        writes, began = self._clock.writes, self._monotonic()
        answer = find()
        self._taken = (answer, writes, began)
        return answer

    def get(self, find: Callable[[], T]) -> T:
        """The answer, found anew where that has to be."""
        answer = self.value()
        return answer if answer is not None else self.fill(find)
