"""The objects layout: one record is one object, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from dataknobs_data.documents import Change, Document, Verb
from dataknobs_data.engine import Bulk, EachWindow, ErrorSink, Outcome, run_query
from dataknobs_data.exceptions import DataFormatError, DataknobsDataError, RecordArchivedError
from dataknobs_data.matching import id_bounds
from dataknobs_data.query import Query
from dataknobs_data.s3.cache import Recent
from dataknobs_data.s3.changing import Changer
from dataknobs_data.s3.deleting import Deleter
from dataknobs_data.s3.faults import translated
from dataknobs_data.s3.layout import ApplyMany, ErrorOf, Guard, Layout, Parts, Writers
from dataknobs_data.s3.objects import record_of
from dataknobs_data.s3.probe import Capabilities
from dataknobs_data.s3.rehearsal.script import Script
from dataknobs_data.s3.removal import Remover
from dataknobs_data.s3.store import Listed
from dataknobs_data.streaming import windows


class ObjectsWriters:
    """See layout.Writers."""

    def __init__(self, parts: Parts, found: Capabilities) -> None:
        self._place = parts.place
        self._many = parts.many
        deleter = Deleter(parts.caller, parts.keys, parts.objects, found)
        self.apply = Changer(parts.caller, parts.runtime, parts.objects, parts.putter(found)).apply
        self.delete = deleter.delete
        self._remover = Remover(parts, deleter)

    def apply_many(self, changes: Sequence[Change], guard: Guard) -> list[Outcome]:
        """See layout.Writers."""
        return list(self._many.map(lambda change: guard(change.id, lambda: self.apply(change)), changes))

    def delete_many(self, ids: Sequence[str], error_of: ErrorOf) -> list[bool | DataknobsDataError]:
        """See layout.Writers."""
        return self._remover.delete_many(ids, error_of)

    def clear(self) -> int:
        """See layout.Writers."""
        etags = self._remover.everything(str(self._place))
        self._remover.clear(etags)
        return len(etags)


class ObjectsLayout(Layout):
    """See layout.Layout."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._place = parts.place
        self._objects = parts.objects
        self._recent: Recent[list[str]] = Recent(parts.settings.cache_ttl, parts.runtime.monotonic, parts.clock)

    def bulk(self, verb: Verb, apply: ApplyMany, writers: Callable[[], Writers]) -> Bulk:
        return EachWindow(apply)

    def writers(self, found: Capabilities, check_key: Callable[[str], None]) -> ObjectsWriters:
        return ObjectsWriters(self._parts, found)

    # ------------------------------------------------------------------ by id
    def read(self, id: str) -> Document | None:
        found = record_of(id, self._objects.read(id))
        return found.document if found else None

    def get(self, id: str) -> Document | None:
        found = self._objects.fetch(id)
        return found.document if found else None

    def version(self, id: str) -> str | None:
        found = self._objects.fetch_or_outline(id)
        return found.document.revision if found else None

    def exists(self, id: str) -> bool:
        return self._objects.head(id) is not None

    def read_many(self, ids: Sequence[str]) -> list[Document | None]:
        return list(self._parts.many.map(self._read, ids))

    def _read(self, id: str) -> Document | None:
        with translated(f"reading record {id!r}", self._place, id=id):
            return self.read(id)

    # ------------------------------------------------------------------ by query
    def scan(self, query: Query, on_damage: ErrorSink | None) -> Iterator[Document]:
        return run_query(self.candidates(query, on_damage), query)

    def candidates(self, query: Query, on_damage: ErrorSink | None) -> Iterator[Document]:
        bounds = id_bounds(query.expression)
        listed = self._list(bounds.prefix) if bounds.ids is None else {}
        ids = sorted(listed if bounds.ids is None else filter(self._parts.keys.can_hold, bounds.ids))
        many = self._parts.many
        for window in windows(ids, fetched_at_once(query) or max(len(ids), 1)):
            for outcome in many.map(partial(self._read_listed, listed), window, partial(self._holds, listed)):
                if isinstance(outcome, Document):
                    yield outcome
                elif outcome is not None:
                    report(outcome, on_damage)

    def _list(self, prefix: str) -> dict[str, Listed]:
        with translated(f"listing records {prefix!r}…", self._place):
            return self._parts.lister.records(prefix)

    def _holds(self, listed: dict[str, Listed], id: str) -> bool:
        return id in listed and self._objects.holds(listed[id])

    def _read_listed(self, listed: dict[str, Listed], id: str) -> Outcome:
        """One document of a scan; None where it was deleted since it was listed."""
        try:
            with translated(f"reading record {id!r}", self._place, id=id):
                return self._objects.fetch_listed(id, listed[id]) if id in listed else self.get(id)
        except (DataFormatError, RecordArchivedError) as error:
            return error

    def count(self) -> int:
        return len(self._all_ids())

    def ids(self, prefix: str) -> Iterator[str]:
        if prefix and self._recent.value() is None:
            return iter(sorted(self._list(prefix)))
        return (id for id in self._all_ids() if id.startswith(prefix))

    def _all_ids(self) -> list[str]:
        return self._recent.get(self._list_all)

    def _list_all(self) -> list[str]:
        ids = sorted(self._list(""))
        self._parts.presence.known_size = len(ids)
        return ids

    def rehearsed(self, parts: Parts, script: Script, made: Writers | None) -> ObjectsLayout:
        return ObjectsLayout(parts)

    def close(self) -> None:
        """There is nothing to end."""


def fetched_at_once(query: Query) -> int | None:
    """How many documents answer `query` if none of them is gone meanwhile; None where only their content tells."""
    if query.expression is not None or query.sort_specs or query.limit_value is None:
        return None
    return query.offset_value + query.limit_value


def report(error: DataknobsDataError, on_damage: ErrorSink | None) -> None:
    """Raises the error of a damaged record, unless somebody collects them."""
    if on_damage is None:
        raise error
    on_damage(error)
