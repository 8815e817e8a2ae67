"""Streams: how records flow through a database in batches, and what came of them."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import islice
from typing import Any, TypeVar

from dataknobs_data.exceptions import ConfigurationError, DataknobsDataError, RecordValidationError
from dataknobs_data.records import Record

T = TypeVar("T")


class ConflictPolicy(StrEnum):
    """What to do with a record whose id is taken: fail it, overwrite what is there, or leave what is there."""

    INSERT = "insert"
    UPSERT = "upsert"
    SKIP = "skip"


@dataclass(frozen=True)
class StreamConfig:
    """How a stream runs.

    batch_size   records a batch
    prefetch     batches read ahead of the consumer, in a thread of their own; 0 turns that off
    timeout      seconds a whole stream_write may take before it stops between two batches; None: no bound. What was taken
                 by then is still carried out
    on_error     called with (error, record) for each record that failed, once that is known; False ends the stream, what
                 was taken by then is still carried out. None: go on, and count it in the result
    on_conflict  what to do where the id is taken (a ConflictPolicy or its name)
    """

    batch_size: int = 1000
    prefetch: int = 2
    timeout: float | None = None
    on_error: Callable[[DataknobsDataError, Record], bool | None] | None = None
    on_conflict: ConflictPolicy | str = ConflictPolicy.INSERT

    def __post_init__(self) -> None:
        _require(_is_count(self.batch_size, 1), "batch_size", "a whole number from 1 up", self.batch_size)
        _require(_is_count(self.prefetch, 0), "prefetch", "a whole number from 0 up", self.prefetch)
        _require(
            self.timeout is None or _is_span(self.timeout), "timeout", "a positive number of seconds", self.timeout
        )
        policy = str(self.on_conflict).lower()
        _require(policy in list(ConflictPolicy), "on_conflict", f"one of {', '.join(ConflictPolicy)}", self.on_conflict)
        object.__setattr__(self, "on_conflict", ConflictPolicy(policy))


def _is_count(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _is_span(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0


def _require(holds: bool, name: str, wanted: str, value: Any) -> None:
    if not holds:
        raise ConfigurationError(f"StreamConfig: {name} must be {wanted}, not {value!r}", key=name)


@dataclass
class StreamResult:
    """What came of a stream.

    `total_processed` counts the records taken: `successful`, `failed`, `skipped`, and, as long as the stream is not
    finished, those on their way. `errors` holds (index, record id, error) for each record that failed, in the order in
    which that became known, and one more, without an id, where the stream ended before its input did. Where a store that
    makes all records visible in one step fails as a whole, that one error stands for all that were on their way: they are
    in `failed` and have none of their own. `duration` is in seconds.
    """

    total_processed: int = 0
    successful: int = 0
    failed: int = 0
    skipped: int = 0
    errors: list[tuple[int, str | None, DataknobsDataError]] = field(default_factory=list)
    duration: float = 0.0
    total_batches: int = 0

    @property
    def failed_indices(self) -> list[int]:
        """Input positions of the records in `errors`, ascending."""
        return sorted(index for index, _, _ in self.errors if index < self.total_processed)

    @property
    def success_rate(self) -> float:
        """Successful records in percent of those processed; 100 for an empty stream."""
        return 100.0 * self.successful / self.total_processed if self.total_processed else 100.0

    def merge(self, later: StreamResult) -> StreamResult:
        """This result with that of a later part of the same input added; its indices go on where this one's end."""
        start = self.total_processed
        return StreamResult(
            total_processed=start + later.total_processed,
            successful=self.successful + later.successful,
            failed=self.failed + later.failed,
            skipped=self.skipped + later.skipped,
            errors=[*self.errors, *((start + index, id, error) for index, id, error in later.errors)],
            duration=self.duration + later.duration,
            total_batches=self.total_batches + later.total_batches,
        )


def windows(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """`items` in lists of `size`, the last one shorter. Reads no further than the window asked for.

    Raises RecordValidationError for one thing in the place of many: a text or record is iterable, but never meant so.
    """
    if isinstance(items, (str, bytes, Record, Mapping)):
        raise RecordValidationError(f"expected a list or another iterable of many, not one {type(items).__name__}")
    source = iter(items)
    while window := list(islice(source, size)):
        yield window


def prefetched(items: Iterator[T], ahead: int) -> Generator[T]:
    """`items`, produced by a thread that stays at most `ahead` items in front of the consumer."""
    if ahead == 0:
        yield from items
        return
    handover: queue.Queue[tuple[str, Any]] = queue.Queue(maxsize=ahead)
    stopped = threading.Event()

    def offer(kind: str, value: Any) -> bool:
        while not stopped.is_set():
            try:
                handover.put((kind, value), timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def produce() -> None:
        try:
            if all(offer("item", item) for item in items):
                offer("end", None)
        except BaseException as error:  # noqa: BLE001  it is raised again in the consumer's thread
            offer("error", error)
        finally:
            getattr(items, "close", lambda: None)()

    producer = threading.Thread(target=produce, name="dataknobs-prefetch", daemon=True)
    producer.start()
    try:
        while True:
            kind, value = handover.get()
            if kind == "end":
                return
            if kind == "error":
                raise value
            yield value
    finally:
        stopped.set()
        producer.join()
