"""Many records by their ids: what stands in front of each, then one look at the log for what lies behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from dataknobs_data.documents import Document
from dataknobs_data.engine import Outcome
from dataknobs_data.exceptions import DataFormatError, DataknobsDataError, RecordArchivedError
from dataknobs_data.s3.faults import translated
from dataknobs_data.s3.layout import Parts
from dataknobs_data.s3.objects import Found, Grave, Stored
from dataknobs_data.s3.store import Listed
from dataknobs_data.s3.tiered.places import Places, alive, fresh

NOTHING: frozenset[str] = frozenset()

Read = Callable[[str], Found]


class Lookup:
    """Looks many records up. Raises public errors."""

    def __init__(self, parts: Parts, places: Places) -> None:
        self._parts = parts
        self._places = places

    def each(self, ids: Sequence[str], read: Read) -> Iterator[Outcome]:
        """For each of the distinct `ids` its record, None where there is none, or why it makes no sense. `read`: reads an
        object of which no listing has told.
        """
        fronts = self._fronts(ids, read)
        rows = self._behind([id for id, found in fronts.items() if found is None or isinstance(found, Grave)])
        for id in ids:
            found = fronts[id]
            if isinstance(found, Stored):
                yield found.document
            elif isinstance(found, DataknobsDataError):
                yield found
            else:
                yield self._shown(id, rows, kills_of(found))

    def _fronts(self, ids: Sequence[str], read: Read) -> dict[str, Found | DataknobsDataError]:
        """What stands in front; objects that a listing of few pages does not show are not asked for."""
        with translated("looking which records are objects", self._parts.place):
            there = self._parts.presence.listed_in_few(ids)
        asked = ids if there is None else list(there)
        found: dict[str, Found | DataknobsDataError] = dict.fromkeys(ids)
        found.update(zip(asked, self._parts.many.map(lambda id: self._front(id, there, read), asked), strict=True))
        return found

    def _front(self, id: str, there: Mapping[str, Listed] | None, read: Read) -> Found | DataknobsDataError:
        try:
            with translated(f"reading record {id!r}", self._parts.place, id=id):
                return read(id) if there is None else self._parts.objects.look_listed(id, there[id])
        except (DataFormatError, RecordArchivedError) as error:
            return error

    def _behind(self, ids: Sequence[str]) -> Mapping[str, Sequence[Document]] | None:
        """Rows by id; None where one of them makes no sense, so that they have to be read one by one."""
        if not ids:
            return {}
        try:
            with translated("reading packs", self._parts.place):
                found = fresh(self._places.table, None, "read.table", lambda view: view.documents(ids))
        except (DataFormatError, RecordArchivedError):
            return None
        return {id: [document for document, _ in rows] for id, rows in found.items()}

    def _shown(self, id: str, rows: Mapping[str, Sequence[Document]] | None, kills: frozenset[str]) -> Outcome:
        if rows is not None:
            return alive(id, rows.get(id, ()), kills)
        try:
            with translated(f"reading record {id!r}", self._parts.place, id=id):
                return self._places.behind(id, self._parts.caller.deadline(), "read.table", kills)
        except (DataFormatError, RecordArchivedError) as error:
            return error


def kills_of(found: Found) -> frozenset[str]:
    """The births that a tombstone declares dead; of anything else none."""
    return found.tombstone.kills if isinstance(found, Grave) else NOTHING
