"""How records lie under a prefix: the port between the S3 engine and its two layouts, and what both are made of."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

from dataknobs_data.documents import Change, Deletion, Document, Verb
from dataknobs_data.engine import Bulk, ErrorSink, Outcome
from dataknobs_data.exceptions import ConfigurationError, DataknobsDataError
from dataknobs_data.query import Query
from dataknobs_data.runtime import Runtime
from dataknobs_data.s3.cache import WriteClock
from dataknobs_data.s3.calls import Caller
from dataknobs_data.s3.fanout import FanOut
from dataknobs_data.s3.keys import Keys
from dataknobs_data.s3.listing import Lister
from dataknobs_data.s3.multipart import Uploader
from dataknobs_data.s3.objects import Objects
from dataknobs_data.s3.packed import NO_PACKS, PackedRecords
from dataknobs_data.s3.place import Place
from dataknobs_data.s3.presence import Presence
from dataknobs_data.s3.probe import Capabilities
from dataknobs_data.s3.putting import Putter
from dataknobs_data.s3.rehearsal.script import Script
from dataknobs_data.s3.settings import S3Settings
from dataknobs_data.s3.store import Fault
from dataknobs_data.s3.tags import Tagger
from dataknobs_data.streaming import windows

if TYPE_CHECKING:
    from dataknobs_data.s3.tiered.maintenance import Maintenance
    from dataknobs_data.s3.tiered.rehearsal.packing import RehearsedPacks

ApplyMany = Callable[[Sequence[Change]], Sequence[Outcome]]
ErrorOf = Callable[[str, Fault], DataknobsDataError]
T = TypeVar("T")

MARKED = 1000
"""Keys that the write clock is told of at a time."""


class Guard(Protocol):
    """Carries out what is done to one record; makes public errors of faults, and answers with them."""

    def __call__(self, id: str, call: Callable[[], T], /) -> T | DataknobsDataError: ...


@dataclass(frozen=True)
class Parts:
    """What a layout is made of. `many`: threads in which records are handled side by side."""

    settings: S3Settings
    runtime: Runtime
    caller: Caller
    place: Place
    keys: Keys
    objects: Objects
    lister: Lister
    presence: Presence
    uploader: Uploader
    tagger: Tagger
    clock: WriteClock
    many: FanOut

    def putter(self, found: Capabilities) -> Putter:
        """What puts single objects into a store that can do so much."""
        cache = self.objects.cache
        return Putter(self.caller, self.keys, self.settings, self.tagger, cache, self.uploader, found)

    def wrote(self, ids: Iterable[str]) -> None:
        """Records of these ids were written, or perhaps: from now on this process must not see them older than they are."""
        for window in windows(ids, MARKED):
            self.clock.mark(*self.keys.records(window))
        self.clock.tick()


class Writers(Protocol):
    """What changes records. An operation keeps the ones it began with, whatever becomes of the engine meanwhile."""

    def apply(self, change: Change) -> Document | None:
        """One change. Raises Fault where the store fails, and what is wrong with the change itself."""

    def apply_many(self, changes: Sequence[Change], guard: Guard) -> list[Outcome]:
        """Changes of distinct ids, side by side. Each is carried out under `guard`."""

    def delete(self, deletion: Deletion) -> bool:
        """One delete. Raises as `apply` does."""

    def delete_many(self, ids: Sequence[str], error_of: ErrorOf) -> list[bool | DataknobsDataError]:
        """Deletes distinct ids, whatever version they are at."""

    def clear(self) -> int:
        """Deletes every record; how many there were."""


class Layout(ABC):
    """Records of one prefix. Raises Fault where the store fails, unless it says otherwise.

    packed   what there is besides an object for each record
    uploads  in a rehearsal, what packs were put, if something was that writes packs
    """

    packed: PackedRecords = NO_PACKS
    uploads: RehearsedPacks | None = None

    @abstractmethod
    def read(self, id: str) -> Document | None:
        """The record for somebody who reads it, from the edge where there is one."""

    @abstractmethod
    def get(self, id: str) -> Document | None:
        """The record as the store has it."""

    @abstractmethod
    def version(self, id: str) -> str | None:
        """Its revision."""

    @abstractmethod
    def exists(self, id: str) -> bool:
        """Whether there is one of that id."""

    @abstractmethod
    def read_many(self, ids: Sequence[str]) -> list[Document | None]:
        """As `read`, of many, in their order. Raises public errors."""

    @abstractmethod
    def scan(self, query: Query, on_damage: ErrorSink | None) -> Iterator[Document]:
        """See Engine.scan. Raises public errors."""

    @abstractmethod
    def candidates(self, query: Query, on_damage: ErrorSink | None) -> Iterator[Document]:
        """What `scan` reads and holds against the query: documents in order of their ids, or in any where it sorts."""

    @abstractmethod
    def count(self) -> int:
        """How many records there are, perhaps from a recent answer."""

    @abstractmethod
    def ids(self, prefix: str) -> Iterator[str]:
        """Their ids, by code point."""

    @abstractmethod
    def bulk(self, verb: Verb, apply: ApplyMany, writers: Callable[[], Writers]) -> Bulk:
        """See Engine.bulk. `apply` is the engine's apply_many; `writers` finds out what the store can do, if need be."""

    @abstractmethod
    def writers(self, found: Capabilities, check_key: Callable[[str], None]) -> Writers:
        """What writes to a store that can do so much. `check_key`: raises for an id that it cannot hold."""

    def maintenance(self, writers: Callable[[], Writers]) -> Maintenance:
        """What is done to the table. Raises ConfigurationError where there is none."""
        raise ConfigurationError(
            "this database has layout 'objects': there is no table to compact, vacuum or look at; layout 'tiered' has one",
            key="layout",
        )

    @abstractmethod
    def rehearsed(self, parts: Parts, script: Script, made: Writers | None) -> Layout:
        """The same for a rehearsal, over its parts. `made`: what writes, where that has been made."""

    @abstractmethod
    def close(self) -> None:
        """Ends threads. Sends nothing."""
