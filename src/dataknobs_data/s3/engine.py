"""The S3 engine: windows of records over the objects tier, listings, and what is done once per process."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from dataknobs_data.documents import Change, Deletion, Document, Verb
from dataknobs_data.engine import Bulk, Engine, ErrorSink, Outcome
from dataknobs_data.exceptions import DataknobsDataError, RecordArchivedError, RecordValidationError
from dataknobs_data.query import Query
from dataknobs_data.registry import missing_driver
from dataknobs_data.runtime import Runtime
from dataknobs_data.s3.admin.control import Control
from dataknobs_data.s3.cache import RecordCache, WriteClock
from dataknobs_data.s3.calls import Caller
from dataknobs_data.s3.costs.usage import Usage
from dataknobs_data.s3.edge import Edge
from dataknobs_data.s3.fanout import FanOut
from dataknobs_data.s3.faults import public_error, translated
from dataknobs_data.s3.format import FormatFile
from dataknobs_data.s3.keys import LONG_SEGMENT_BYTES, Keys, longest_segment_bytes
from dataknobs_data.s3.layout import Layout, Parts, Writers
from dataknobs_data.s3.layouts import default_layout, layout_of
from dataknobs_data.s3.listing import Lister
from dataknobs_data.s3.multipart import Uploader
from dataknobs_data.s3.objects import Objects
from dataknobs_data.s3.place import Place
from dataknobs_data.s3.presence import Presence
from dataknobs_data.s3.probe import (
    Capabilities,
    capabilities,
    forget_capabilities,
    holds_long_segments,
    require_conditions,
    require_encryption,
)
from dataknobs_data.s3.settings import S3Settings
from dataknobs_data.s3.store import Fault, Kind
from dataknobs_data.s3.tags import NOT_SHARED, Tagger, TagReport
from dataknobs_data.select.ahead import Sandboxes

if TYPE_CHECKING:
    from dataknobs_data.s3.tiered.maintenance import Maintenance

logger = logging.getLogger("dataknobs_data.s3")

T = TypeVar("T")


class S3Engine(Engine):
    """Records as objects below one prefix of one bucket."""

    _parts: Parts
    _edge: Edge | None
    _format: FormatFile
    _layout: Layout
    control: Control

    def __init__(self, settings: S3Settings, runtime: Runtime) -> None:
        self._settings = settings
        self._runtime = runtime
        self._keys = Keys(settings.prefix)
        self._tagger = Tagger(settings.tags)
        self._preparing = threading.Lock()
        self._made: Writers | None = None
        self.is_parents = False
        """Whether what it is made of belongs to the process that this one was forked from."""
        self.can: Capabilities | None = None
        self._long_segments: bool | None = None
        self.concurrency = settings.max_workers

    def __repr__(self) -> str:
        where = self._settings.endpoint_url or "AWS or the configured endpoint"
        return f"s3://{self._settings.bucket}/{self._settings.prefix} at {where}"

    # ------------------------------------------------------------------ once per process
    def open(self) -> None:
        try:
            from dataknobs_data.s3.stores.connection import open_store  # imports the SDKs
        except ImportError as error:
            raise missing_driver("s3", error) from error
        settings, runtime = self._settings, self._runtime
        store, place = open_store(settings)
        caller = Caller(store, settings, runtime)
        clock = WriteClock.of(place.endpoint, place.bucket)
        self._edge = self._open_edge(caller, place, clock)
        objects = Objects(caller, self._keys, RecordCache(settings.cache_bytes), self._edge)
        objects.etags_tell = place.behaves_like_aws
        many = FanOut(settings.max_workers, "dataknobs-s3")
        lister = Lister(caller, self._keys)
        self._use(
            Parts(
                settings=settings,
                runtime=runtime,
                caller=caller,
                place=place,
                keys=self._keys,
                objects=objects,
                lister=lister,
                presence=Presence(self._keys, objects, lister, many),
                uploader=Uploader(caller, self._keys, settings, runtime, guarded=not place.behaves_like_aws),
                tagger=self._tagger,
                clock=clock,
                many=many,
            )
        )
        self._format = FormatFile(caller, self._keys, settings.layout, default_layout())
        self._made = None
        with translated("opening the database", self._place):
            self._make_bucket()
            self._layout = layout = layout_of(self._format.check(), self._parts)
        self.control = Control(caller, self._place, self._keys, settings, runtime, many, layout.packed)

    def _use(self, parts: Parts) -> None:
        """From here on everything goes by way of these."""
        self.is_parents = False
        self._parts, self._caller, self._place = parts, parts.caller, parts.place
        self._objects, self._many, self._clock = parts.objects, parts.many, parts.clock
        self.sandboxes = Sandboxes()

    def _open_edge(self, caller: Caller, place: Place, clock: WriteClock) -> Edge | None:
        if not self._settings.read_endpoint or place.mocked:  # what moto mocks, no edge has
            return None
        from dataknobs_data.s3.stores.web import EndpointWeb  # imports an SDK

        return Edge(EndpointWeb(self._settings), caller, clock, self._runtime)

    def _make_bucket(self) -> None:
        wanted = self._settings.create_bucket
        if not (wanted or (wanted is None and not self._place.is_aws)):
            return
        try:
            self._caller.send("HeadBucket", lambda store: store.head_bucket())
        except Fault as fault:
            if fault.kind is Kind.NO_BUCKET:
                self._caller.send("CreateBucket", lambda store: store.create_bucket())
            elif fault.kind is not Kind.DENIED:  # a policy may allow the objects but not the bucket
                raise

    def _writers(self) -> Writers:
        """What writes, made for what the store can do, which is found out before the first write."""
        made = self._made
        if made is not None:
            return made
        with self._preparing, translated("preparing the first write", self._place):
            if self._made is None:
                self._made = self._make_writers()
            return self._made

    def _make_writers(self) -> Writers:
        found = self._capabilities()
        if self._settings.require_conditions:
            require_conditions(found, self._place)
        require_encryption(self._caller, self._keys, self._place, self._settings.encryption, self._runtime.new_id())
        self._objects.etags_tell = found.distinct_etags
        if not found.distinct_etags:
            self._objects.cache, self._objects.edge = RecordCache(0), None  # ETags of many contents prove nothing
        if self._settings.tags and not found.tags:
            logger.warning("%s takes no object tags: records are written without (said once)", self._place)
        self._format.ensure()
        self.can = found
        return self._layout.writers(found, self._check_key)

    def _capabilities(self) -> Capabilities:
        return capabilities(self._caller, self._keys, self._place, self._runtime.new_id())

    def bucket_changed(self) -> None:
        """What the store was found to do is found out again: the bucket was set up in another way."""
        with self._preparing:
            forget_capabilities(self._place)
            self._made = None

    def close(self) -> None:
        self.sandboxes.close()
        self._many.close()
        self._layout.close()
        self._parts.uploader.close()
        if self._edge:
            self._edge.close()
        self._caller.close()

    def forked(self) -> None:
        self._preparing = threading.Lock()
        self.is_parents = True

    # ------------------------------------------------------------------ by id
    def get_many(self, ids: Sequence[str]) -> list[Document | None]:
        if len(ids) > 1:
            return self._layout.read_many(ids)
        return [self._read(id) for id in ids]

    def _read(self, id: str) -> Document | None:
        with translated(f"reading record {id!r}", self._place, id=id):
            return self._layout.read(id)

    def _get(self, id: str) -> Document | None:
        """As the store has it, whatever lies at the edge."""
        with translated(f"reading record {id!r}", self._place, id=id):
            return self._layout.get(id)

    def get_at_version(self, id: str, version_id: str) -> Document | None:
        with translated(f"reading version {version_id!r} of record {id!r}", self._place, id=id):
            return self._objects.fetch_version(id, version_id)

    def get_version(self, id: str) -> str | None:
        with translated(f"reading the version of record {id!r}", self._place, id=id):
            revision = self._layout.version(id)
        self.version_known(id)
        return revision

    def version_known(self, id: str) -> None:
        """Somebody is told the version of a record: what he reads of it next must not be older, or `expected_version`
        would let him undo what is in between.
        """
        self._clock.mark(self._keys.record(id))

    def exists(self, id: str) -> bool:
        with translated(f"looking for record {id!r}", self._place, id=id):
            return self._layout.exists(id)

    def tags(self, id: str) -> TagReport | None:
        """The tags of a record's object, or of its pack, and which metadata is not among them; None where there is no record."""
        wanted, skipped = dict[str, str](), None
        try:
            document = self._get(id)
            if document is None:
                return None
            wanted, skipped = self._tagger.project(document)
        except RecordArchivedError:
            logger.debug("record %r lies in an archive: which of its metadata is no tag cannot be seen", id)
        with translated(f"reading the tags of record {id!r}", self._place, id=id):
            lying = self._layout.packed.lying([id]).get(id)
            key = lying.pack if lying else self._keys.record(id)
            tags = self._caller.send("GetObjectTagging", lambda store: store.get_tags(key))
        if lying and skipped is not None:
            skipped |= {name: NOT_SHARED for name, text in wanted.items() if tags.get(name) != text}
        return TagReport(tags, skipped, lying.pack if lying else None)

    def apply_many(self, changes: Sequence[Change]) -> list[Outcome]:
        writers = self._writers()
        with translated("looking which records there are", self._place):
            return writers.apply_many(changes, self._guarded)

    def bulk(self, verb: Verb) -> Bulk:
        return self._layout.bulk(verb, self.apply_many, self._writers)

    def _guarded(self, id: str, call: Callable[[], T]) -> T | DataknobsDataError:
        try:
            self._check_key(id)
            with translated(f"writing record {id!r}", self._place, id=id):
                return call()
        except DataknobsDataError as error:
            return error
        finally:
            self._wrote(id)

    def _wrote(self, id: str) -> None:
        self._clock.tick(*([self._keys.record(id)] if self._keys.can_hold(id) else ()))

    def _check_key(self, id: str) -> None:
        """Says before sending what this store cannot hold."""
        key = self._keys.record(id)
        if self._place.is_aws or longest_segment_bytes(key) <= LONG_SEGMENT_BYTES:
            return
        with self._preparing, translated(f"looking whether the store holds ids as long as {id[:40]!r}…", self._place):
            if self._long_segments is None:
                self._long_segments = holds_long_segments(self._caller, self._keys, self._runtime.new_id())
        if not self._long_segments:
            raise RecordValidationError(
                f"record id {id[:40]!r}… is too long for this store: a part between slashes may have at most "
                f"{LONG_SEGMENT_BYTES} bytes with its '.json'; nothing was sent",
                id=id,
            )

    def delete_many(self, deletions: Sequence[Deletion]) -> list[bool | DataknobsDataError]:
        writers = self._writers()
        plain = [one.id for one in deletions if one.expected_version is None]
        if len(plain) == len(deletions) > 1:
            with translated("looking which records there are to delete", self._place):
                return writers.delete_many(plain, lambda id, fault: self._error(f"deleting record {id!r}", id, fault))
        return list(self._many.map(partial(self._delete, writers), deletions))

    def _delete(self, writers: Writers, deletion: Deletion) -> bool | DataknobsDataError:
        try:
            with translated(f"deleting record {deletion.id!r}", self._place, id=deletion.id):
                return writers.delete(deletion)
        except DataknobsDataError as error:
            return error
        finally:
            self._wrote(deletion.id)

    def _error(self, doing: str, id: str, fault: Fault) -> DataknobsDataError:
        return public_error(fault, doing, self._place, id=id)

    # ------------------------------------------------------------------ by query
    def scan(self, query: Query, on_damage: ErrorSink | None = None) -> Iterator[Document]:
        return self._layout.scan(query, on_damage)

    def count(self, query: Query) -> int:
        if query.expression is not None:
            return super().count(query)
        beyond_offset = max(0, self._layout.count() - query.offset_value)
        return beyond_offset if query.limit_value is None else min(beyond_offset, query.limit_value)

    def list_ids(self, prefix: str) -> Iterator[str]:
        return self._layout.ids(prefix)

    def clear(self) -> int:
        writers = self._writers()
        with translated("clearing the database", self._place):
            return writers.clear()

    def maintenance(self) -> Maintenance:
        """What is done to the table. Raises ConfigurationError where there is none."""
        return self._layout.maintenance(self._writers)

    @property
    def parts(self) -> Parts:
        """What its layout is made of."""
        return self._parts

    @property
    def layout(self) -> Layout:
        """How records lie under the prefix."""
        return self._layout

    @property
    def objects(self) -> Objects:
        """What reads single objects, and keeps them in memory."""
        return self._objects

    @property
    def usage(self) -> Usage:
        """What was sent since the database was opened."""
        return self._caller.meter.usage()
