"""The contract of every database, in its blocking form. `aio.py` has the same in asyncio's form.

A database turns records into changes and documents into records; its engine does the storing. Everything a user can
ask of any backend is here, once.
"""

from __future__ import annotations

import reprlib
import threading
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from types import TracebackType
from typing import Any, ClassVar, Literal, Self, TypeVar

from dataknobs_data.batches import BATCH, change_batch, delete_batch
from dataknobs_data.creations import Creations
from dataknobs_data.documents import Change, Deletion, Document, Verb, check_id, to_record
from dataknobs_data.engine import Engine, ErrorSink
from dataknobs_data.exceptions import ConfigurationError, DataknobsDataError, QueryError, RecordValidationError
from dataknobs_data.forks import in_child
from dataknobs_data.matching import project
from dataknobs_data.query import Query
from dataknobs_data.record_likes import RecordLike, as_record, checked
from dataknobs_data.records import Record
from dataknobs_data.registry import load_backend
from dataknobs_data.runtime import Runtime
from dataknobs_data.streaming import StreamConfig, StreamResult, prefetched, windows
from dataknobs_data.writing import OnWritten, StreamWriter

OnError = Literal["raise", "collect"]
T = TypeVar("T")


class SearchResults(list[Record]):
    """The records a search found, and in `errors` the damaged ones it was asked to collect instead of raising."""

    def __init__(self, records: Iterable[Record] = (), errors: Iterable[DataknobsDataError] = ()) -> None:
        super().__init__(records)
        self.errors = list(errors)


class SyncDatabase:
    """A record database. It connects on first use, may be shared by threads, and is a context manager.

    Errors: every method may raise DatabaseConnectionError (the store cannot be reached or refuses us) and
    DatabaseOperationError (it failed). A failed request is never an empty answer.
    """

    backend: ClassVar[str]

    def __init__(self, config: Mapping[str, Any] | None = None, *, runtime: Runtime | None = None) -> None:
        runtime = runtime or Runtime()
        self._set_up(self.make_engine(dict(config or {}), runtime), runtime)

    def _set_up(self, engine: Engine, runtime: Runtime) -> None:
        """Over an engine that is not open yet."""
        self._runtime = runtime
        self._engine = engine
        self._opened = False
        self._opening = threading.Lock()
        in_child(self._forked)

    def _forked(self) -> None:
        """This process is a child: the database connects again when it is used."""
        self._opened = False
        self._opening = threading.Lock()
        self._engine.forked()

    # ------------------------------------------------------------------ making and closing one
    @classmethod
    def make_engine(cls, config: dict[str, Any], runtime: Runtime) -> Engine:
        """The engine for `config`; checks the settings, connects to nothing. For backends to define."""
        raise ConfigurationError(f"{cls.__name__} is not a backend; use one of them, or from_backend(name, config)")

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """A database with these settings. Raises ConfigurationError for unknown, missing or impossible ones."""
        return cls(config)

    @staticmethod
    def from_backend(name: str, config: Mapping[str, Any] | None = None) -> SyncDatabase:
        """A database of the backend of that name. Raises BackendNotFoundError listing what there is."""
        made: SyncDatabase = load_backend(name).from_config(config or {})
        return made

    def connect(self) -> Self:
        """Connects now instead of on first use, and returns this database. Connecting twice is harmless."""
        self._ready()
        return self

    def close(self) -> None:
        """Lets go of connections, threads and files. The database connects again when it is used again."""
        with self._opening:
            if self._opened:
                self._opened = False
                self._engine.close()

    def __enter__(self) -> Self:
        return self.connect()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._engine!r}>"

    @property
    def concurrency(self) -> int:
        """How many operations may run side by side before one waits for another."""
        return self._engine.concurrency

    def _ready(self) -> Engine:
        if not self._opened:
            with self._opening:
                if not self._opened:
                    self._engine.open()
                    self._opened = True
        return self._engine

    # ------------------------------------------------------------------ one record
    def create(self, record: RecordLike) -> str:
        """Stores a new record and returns its id: the record's own, or a generated one that sorts by time.

        A mapping stands for the record of it, as in all that creates or upserts: `create(data)` is `create(Record(data))`.
        The caller's record is not changed. Raises DuplicateRecordError when the id is taken, RecordValidationError and
        SerializationError when the record cannot be stored; then nothing was written.
        """
        return self._change(self._creations([record])[0]).id

    def read(self, id: str, *, version_id: str | None = None) -> Record | None:
        """The record of that id, or None. `version_id` reads an older object version of a versioned bucket."""
        engine = self._ready()
        document = engine.get_at_version(check_id(id), version_id) if version_id else engine.get_many([check_id(id)])[0]
        return to_record(document) if document else None

    def exists(self, id: str) -> bool:
        """Whether there is a record of that id."""
        return self._ready().exists(check_id(id))

    def update(self, id: str, record: Record, *, expected_version: str | None = None) -> bool:
        """Replaces the fields and metadata of an existing record; False when there is none.

        With `expected_version` (from `get_version`) it changes the record only if it is still at that version, and
        raises ConcurrencyError otherwise, a missing record included.
        """
        change = Change(Verb.UPDATE, check_id(id), checked(record), expected_version)
        return _raised(self._ready().apply_many([change])[0]) is not None

    def upsert(
        self, id: str | RecordLike, record: RecordLike | None = None, *, expected_version: str | None = None
    ) -> str:
        """Creates or replaces a record and returns its id: `upsert(record)`, or `upsert(id, record)`."""
        return self._change(self._upsertion(id if record is None else (id, record), expected_version)).id

    def delete(self, id: str, *, expected_version: str | None = None) -> bool:
        """Deletes a record; False when there is none. `expected_version` as in `update`."""
        return _raised(self._ready().delete_many([Deletion(check_id(id), expected_version)])[0])

    def get_version(self, id: str) -> str | None:
        """The version of a record, for `expected_version`; None when there is no such record."""
        return self._ready().get_version(check_id(id))

    # ------------------------------------------------------------------ many records
    def search(self, query: Query | None = None, *, on_error: OnError = "raise") -> SearchResults:
        """The records that `query` finds, sorted as it says, by id (code point) when it does not.

        A record that is damaged in the store raises DataFormatError; with `on_error="collect"` it is left out and its
        error stands in the result's `errors`.
        """
        errors: list[DataknobsDataError] = []
        return SearchResults(self._searched(query, on_error, errors.append if on_error == "collect" else None), errors)

    def _searched(self, query: Query | None, on_error: str, sink: ErrorSink | None) -> list[Record]:
        if on_error not in ("raise", "collect"):
            raise ConfigurationError(f"on_error must be 'raise' or 'collect', not {on_error!r}")
        chosen = as_query(query)
        return list(_records(self._ready().scan(chosen, sink), chosen))

    def all(self) -> SearchResults:
        """All records, by id."""
        return self.search()

    def count(self, query: Query | None = None) -> int:
        """How many records `query` finds; all of them without one."""
        return self._ready().count(as_query(query))

    def list_ids(self, prefix: str = "") -> list[str]:
        """The ids that start with `prefix`, by code point."""
        return list(self._ready().list_ids(prefix))

    def clear(self) -> int:
        """Deletes every record of this database, and nothing else; returns how many there were."""
        return self._ready().clear()

    # ------------------------------------------------------------------ batches
    def batch_create(self, records: Iterable[RecordLike]) -> list[str]:
        """Creates records and returns their ids in input order. Takes any iterable; of its records only ids are kept.

        Dicts in their place are the fastest: a load makes no Record of them. Each has to be one of its own, for some
        thousand are taken before they are read.

        Records that fail (an id that is taken, a value that cannot be stored) do not stop the others; then BatchError
        names each of them with its reason, and the ids that are in.

        On a store that can, a batch is one commit: its records become visible together in the end, all but those that
        BatchError names, and an exception of `records` itself leaves nothing behind. Elsewhere they are written as they
        come, some thousand at a time, and what was written before such an exception stays.
        """
        return change_batch(self._ready(), Verb.CREATE, windows(records, BATCH), self._creations).ids()

    def batch_read(self, ids: Iterable[str]) -> list[Record | None]:
        """The records of `ids`, in their order; None for each that does not exist."""
        engine = self._ready()
        found: list[Record | None] = []
        for window in windows(ids, BATCH):
            documents = engine.get_many([check_id(id) for id in window])
            found += [to_record(document) if document else None for document in documents]
        return found

    def batch_update(self, updates: Iterable[tuple[str, Record]]) -> list[bool]:
        """Updates (id, record) pairs; for each, whether there was a record. Failures and commits as in `batch_create`."""
        return change_batch(self._ready(), Verb.UPDATE, windows(updates, BATCH), _pair_updates).found()

    def batch_upsert(self, records: Iterable[RecordLike | tuple[str, RecordLike]]) -> list[str]:
        """Creates or replaces records, given bare or as (id, record), and returns their ids in input order.

        Failures and commits as in `batch_create`.
        """
        return change_batch(self._ready(), Verb.UPSERT, windows(records, BATCH), self._upsertions).ids()

    def batch_delete(self, ids: Iterable[str]) -> list[bool]:
        """Deletes records; for each id, whether there was one. Failures as in `batch_create`; never one commit."""
        return delete_batch(self._ready(), windows(ids, BATCH)).found()

    create_batch, read_batch, update_batch = batch_create, batch_read, batch_update
    upsert_batch, delete_batch = batch_upsert, batch_delete

    # ------------------------------------------------------------------ streams
    def stream_read(self, query: Query | None = None, config: StreamConfig | None = None) -> Generator[Record]:
        """The records that `query` finds, one by one, in bounded memory unless the query sorts."""
        with closing(self.stream_windows(query, config)) as source:
            for window in source:
                yield from window

    def stream_windows(self, query: Query | None = None, config: StreamConfig | None = None) -> Generator[list[Record]]:
        """As `stream_read`, in lists of `config.batch_size`, `config.prefetch` of them read ahead."""
        return self._streamed(query, config, None)

    def _streamed(
        self, query: Query | None, config: StreamConfig | None, sink: ErrorSink | None
    ) -> Generator[list[Record]]:
        settings, chosen = config or StreamConfig(), as_query(query)
        records = _records(self._ready().scan(chosen, sink), chosen)
        return prefetched(windows(records, settings.batch_size), settings.prefetch)

    def stream_write(self, records: Iterable[RecordLike], config: StreamConfig | None = None) -> StreamResult:
        """Writes records batch by batch, in bounded memory, and says what came of them.

        Records that fail are counted and named in the result (see StreamConfig.on_error and on_conflict). On a store that
        can, a stream is one commit, as in `batch_create`: an exception of `records` or `on_error` leaves nothing behind
        there, and elsewhere what was written before. A timeout or a False of `on_error` does not undo anything: what was
        taken is carried out.
        """
        with self.stream_writer(config) as writer:
            for window in windows(records, writer.config.batch_size):
                if not writer.write(window):
                    break
            return writer.finish()

    def stream_writer(self, config: StreamConfig | None = None, on_written: OnWritten | None = None) -> StreamWriter:
        """What `stream_write` uses, for a caller who has the batches in hand: `write` each, then `finish`.

        `on_written` is called with the id of each record once it is in; ids are kept until then.
        """
        settings = config or StreamConfig()
        return StreamWriter(self._ready(), settings, self._runtime, self._creations, self._upsertions, on_written)

    # ------------------------------------------------------------------ from records to changes
    def _creations(self, records: Sequence[Any]) -> Creations:
        return Creations.of_records(records, self._runtime.new_ids)

    def _upsertions(self, items: Sequence[Any]) -> list[Change]:
        return [self._upsertion(item) for item in items]

    def _upsertion(self, item: Any, expected_version: str | None = None) -> Change:
        if isinstance(item, tuple):
            id, record = _pair(item)
            return Change(Verb.UPSERT, check_id(id), as_record(record), expected_version)
        record = as_record(item)
        if (own := record.id) is None:
            return Change(Verb.UPSERT, self._runtime.new_id(), record, expected_version, generated=True)
        return Change(Verb.UPSERT, check_id(own), record, expected_version)

    def _change(self, change: Change) -> Document:
        document = _raised(self._ready().apply_many([change])[0])
        assert document is not None, "only an update can find nothing"
        return document


def as_query(query: Query | None) -> Query:
    """`query`, or the one that finds everything. Raises QueryError for what is no query."""
    if query is None:
        return Query()
    if isinstance(query, Query):
        return query
    raise QueryError(f"a query must be a Query, not {type(query).__name__}: build one with Query().filter(…)")


def _records(documents: Iterator[Document], query: Query) -> Iterator[Record]:
    return (project(to_record(document), query.projection) for document in documents)


def _pair_updates(items: Sequence[Any]) -> list[Change]:
    return [Change(Verb.UPDATE, check_id(id), checked(record)) for id, record in map(_pair, items)]


def _pair(item: Any) -> tuple[Any, Any]:
    if isinstance(item, tuple | list) and len(item) == 2:
        return item[0], item[1]
    raise RecordValidationError(f"expected an (id, record) pair, not {type(item).__name__} {reprlib.repr(item)}")


def _raised(outcome: T | DataknobsDataError) -> T:
    if isinstance(outcome, DataknobsDataError):
        raise outcome
    return outcome
