"""Packs that lie in archive classes: which of them cannot be read, and what becomes of a read that meets some."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TypeVar

from dataknobs_data.engine import ErrorSink
from dataknobs_data.exceptions import DataFormatError, DataknobsDataError, RecordArchivedError
from dataknobs_data.s3.archive.met import ArchivedPack, archived_error
from dataknobs_data.s3.archive.states import ARCHIVES, RestoreState, RestoreStatus, may_be_archived, status_of
from dataknobs_data.s3.costs.prices import default_prices
from dataknobs_data.s3.faults import translated
from dataknobs_data.s3.layout import Parts
from dataknobs_data.s3.objects_layout import report
from dataknobs_data.s3.store import Fault, Kind, Listed
from dataknobs_data.s3.table.sweep import Guard
from dataknobs_data.s3.tiered.catalog import Packed

logger = logging.getLogger("dataknobs_data.s3")

T = TypeVar("T")

_OBJECT = "object:"
"""Before the id of a record, where paths of packs stand beside it."""

NO_OBJECTS: Mapping[str, Listed] = MappingProxyType({})


def lines_of(parts: Parts, packs: Iterable[Packed]) -> dict[str, Listed]:
    """The lines of packs in a listing, by path; one LIST for each 1,000 packs that lie there. Raises Fault."""
    wanted = {parts.keys.table_file(pack.path): pack.path for pack in packs}
    pages = parts.lister.pages(parts.keys.packs) if wanted else ()
    return {wanted[line.key]: line for page in pages for line in page.items if line.key in wanted}


def archived_among(parts: Parts, packs: Sequence[Packed]) -> dict[str, RestoreStatus]:
    """Of these packs those that cannot be read before they are restored, by path: a listing says which may lie in an archive,
    and a HEAD of each of those whether it does. Raises Fault.
    """
    lines = lines_of(parts, packs) if len(packs) > 1 else {}
    asked = [pack for pack in packs if len(packs) == 1 or (pack.path in lines and may_be_archived(lines[pack.path]))]
    found = parts.many.map(lambda pack: status_of_pack(parts, parts.keys.table_file(pack.path)), asked)
    return {pack.path: one for pack, one in zip(asked, found, strict=True) if one.state in _UNREADABLE}


class Readable:
    """Which packs can be read now, found out once for each. Raises Fault.

    Unless `of_all`, those without companions are taken to be readable, without a request: nobody should have archived them.
    """

    def __init__(self, parts: Parts, *, of_all: bool = False) -> None:
        self._parts = parts
        self._of_all = of_all
        self._known: dict[str, bool] = {}

    def among(self, packs: Iterable[Packed]) -> set[str]:
        """The paths of those of these packs."""
        every = {pack.path: pack for pack in packs}
        asked = (one for one in every.values() if self._of_all or one.companion_size is not None)
        unknown = [pack for pack in asked if pack.path not in self._known]
        archived = archived_among(self._parts, unknown) if unknown else {}
        self._known |= {pack.path: pack.path not in archived for pack in unknown}
        return {path for path in every if self._known.get(path, True)}


_UNREADABLE = frozenset({RestoreState.ARCHIVED, RestoreState.IN_PROGRESS})


def status_of_pack(parts: Parts, key: str) -> RestoreStatus:
    """How a pack stands: 1 HEAD. Raises Fault."""
    try:
        head = parts.caller.send("HeadObject", lambda store: store.head(key))
    except Fault as fault:
        if fault.kind is not Kind.MISSING:
            raise
        head = None  # it was vacuumed meanwhile
    return status_of("", head, key)


class Encounter:
    """One read, and the archived packs that it meets. The first of them makes it look how all of the others stand, so that one
    error names them all; then none of those is asked for again. Public errors only; safe in the threads of `View.fan`.

    packs        that it may read
    on_archived  takes the error, to go on without them; None: it is raised
    objects      of records that it reads, as a listing has them, by id
    """

    def __init__(
        self,
        parts: Parts,
        packs: Sequence[Packed],
        on_archived: ErrorSink | None = None,
        *,
        doing: str = "searching",
        objects: Mapping[str, Listed] = NO_OBJECTS,
    ) -> None:
        self._parts = parts
        self._packs = packs
        self._on_archived = on_archived
        self._doing = doing
        self._objects = objects
        self._skipped: set[str] = set()
        self._error: RecordArchivedError | None = None
        self._lock = threading.Lock()

    def guard(self, pack: Packed, on_damage: ErrorSink | None = None) -> Guard:
        """What carries out all that is read of a pack: errors name it. `on_damage`: see Engine.scan."""
        key = self._parts.keys.table_file(pack.path)

        def guard(call: Callable[[], T], otherwise: T) -> T:
            if self._on_archived is not None and pack.path in self._skipped:
                return otherwise
            try:
                with translated(f"reading the pack {key}", self._parts.place, key=key):
                    return call()
            except DataFormatError as error:
                report(error, on_damage)
            except RecordArchivedError as error:
                self._told_once(pack, pack.path, error)
            return otherwise

        return guard

    def met_object(self, id: str, error: RecordArchivedError) -> None:
        """What becomes of the error of an archived object: it is raised, or told once, for all that there are."""
        self._told_once(None, _OBJECT + id, error)

    def narrow(self, packs: Sequence[Packed]) -> None:
        """From now on it reads only these."""
        with self._lock:
            self._packs = packs

    def _told_once(self, met: Packed | None, name: str, error: RecordArchivedError) -> None:
        with self._lock:
            is_known = name in self._skipped  # another thread was first
            if self._error is None or not is_known:
                self._error = self._told(met, name, error)
            found = self._error
        if self._on_archived is None:
            raise found from error.__cause__
        if not is_known:
            self._on_archived(found)

    def _told(self, met: Packed | None, name: str, error: RecordArchivedError) -> RecordArchivedError:
        """One error for all that cannot be read and was not told yet; `met`, or the object `name`, was to be read."""
        packs = [pack for pack in self._packs if pack.path not in self._skipped]
        found = self._archived_among(packs)
        if met is not None and met.path not in found:  # restored in this moment, or nobody may see how it stands
            self._skipped.add(name)
            return error
        objects = self._archived_objects() if met is None or self._on_archived is None else NO_OBJECTS
        self._skipped |= {name, *found, *(_OBJECT + id for id in objects)}
        archived = [ArchivedPack(found[pack.path], _records(pack)) for pack in packs if pack.path in found]
        if not archived and not objects:
            return error
        doing = f"{self._doing} in {self._parts.place}"
        return archived_error(doing, archived, len(self._packs), objects, default_prices())

    def _archived_among(self, packs: Sequence[Packed]) -> dict[str, RestoreStatus]:
        try:
            with translated("looking which packs are archived", self._parts.place):
                return archived_among(self._parts, packs)
        except DataknobsDataError as failure:
            logger.debug("which packs are archived beside the first one cannot be seen: %s", failure)
            return {}

    def _archived_objects(self) -> dict[str, Listed]:
        """Those that must be restored, as far as a listing tells."""
        holds = self._parts.objects.holds
        archived = ((id, line) for id, line in self._objects.items() if line.storage_class in ARCHIVES)
        return {id: line for id, line in archived if _OBJECT + id not in self._skipped and not holds(line)}


def _records(pack: Packed) -> int | None:
    return pack.stats.records if pack.stats else None
