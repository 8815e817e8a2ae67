"""The engine of a view of the past: that of the database, over a store as it was. It reads, and writes nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import NoReturn

from dataknobs_data.documents import Verb
from dataknobs_data.engine import Bulk
from dataknobs_data.exceptions import ConfigurationError, QueryError, TimeTravelError
from dataknobs_data.runtime import Runtime
from dataknobs_data.s3.admin.control import Control
from dataknobs_data.s3.cache import RecordCache
from dataknobs_data.s3.engine import S3Engine
from dataknobs_data.s3.faults import translated
from dataknobs_data.s3.layout import Layout, Parts
from dataknobs_data.s3.listing import Lister
from dataknobs_data.s3.objects import Objects
from dataknobs_data.s3.objects_layout import ObjectsLayout
from dataknobs_data.s3.presence import Presence
from dataknobs_data.s3.travel.horizon import Clock, Horizon, clock_of
from dataknobs_data.s3.travel.moment import SECOND, Instant, Moment, check_version, refuse, second_of, shown
from dataknobs_data.s3.travel.past import Past, Versions
from dataknobs_data.s3.travel.store import PastCaller


class PastEngine(S3Engine):
    """Records as they were at `moment`. It sends by way of the engine `live`, and lives no longer than that.

    table_version  of the table then; None where there was none, and in the objects layout
    notes          what one should know of what it shows
    """

    def __init__(self, live: S3Engine, moment: Moment, clock: Clock) -> None:
        super().__init__(live.parts.settings, live.parts.runtime)
        self.moment = moment
        self.table_version: int | None = None
        self.notes: tuple[str, ...] = ()
        self._live = live
        self._newest_commit: datetime | None = None
        self._then = clock

    def __repr__(self) -> str:
        return f"{self._live!r} at {self.moment}"

    @property
    def runtime(self) -> Runtime:
        """That of the database."""
        return self._runtime

    def open(self) -> None:
        """Looks whether the moment can be answered. Raises TimeTravelError where it cannot."""
        live = self._live
        if live.is_parents:
            live.open()
        past = Past(live.parts.caller, live.parts.place, live.parts.keys, self.moment)
        notes = Horizon(live.control, past, self._then).check()
        self._use(_parts(live.parts, past))
        self._format = live._format.over(self._caller)
        with translated(f"opening the table at {self.moment}", self._place):
            self._layout = self._layout_then(past)
        self._edge = None
        parts = self._parts
        packed = self._layout.packed
        self.control = Control(parts.caller, parts.place, parts.keys, parts.settings, parts.runtime, parts.many, packed)
        self.notes = tuple(notes)

    def _layout_then(self, past: Past) -> Layout:
        if isinstance(self._live.layout, ObjectsLayout):
            return ObjectsLayout(self._parts)
        from dataknobs_data.s3.tiered.layout import TieredLayout  # imports pyarrow
        from dataknobs_data.s3.travel.table import PastLog, PastTable, table_of

        table = PastTable(self._parts)
        try:
            snapshot = PastLog(past, table_of(self._live.layout).log, self._many).open(table)
        except BaseException:
            table.close()
            raise
        if snapshot is not None:
            self.table_version, self._newest_commit = snapshot.version, snapshot.commits[-1].modified
        return TieredLayout(self._parts, table)

    def earlier(self) -> PastEngine | None:
        """The same second with the table one version before, not opened yet; None unless its version came in that second."""
        version, commit = self.table_version, self._newest_commit
        if not version or commit is None or commit < self.moment.second:
            return None
        return PastEngine(self._live, replace(self.moment, version=version - 1), self._then)

    def close(self) -> None:
        """Ends its own threads. The connections are the database's."""
        self.sandboxes.close()
        self._layout.close()

    # ------------------------------------------------------------------ what the past does not have
    def _writers(self) -> NoReturn:
        raise TimeTravelError(
            f"this is a view of {self.moment}, which can only be read: write to the database that at() was called on, for "
            "instance what you have read here",
            timestamp=self.moment.second,
        )

    def bulk(self, verb: Verb) -> Bulk:
        self._writers()


def _parts(live: Parts, past: Past) -> Parts:
    caller = PastCaller(past)
    objects = Objects(caller, live.keys, RecordCache(live.settings.cache_bytes))
    objects.etags_tell = True  # a key has one content at a moment
    lister = Lister(caller, live.keys)
    presence = Presence(live.keys, objects, lister, live.many)
    return replace(live, caller=caller, objects=objects, lister=lister, presence=presence)


def past_of(live: S3Engine, table_version: int | None, timestamp: Instant | None) -> PastEngine:
    """The engine of a view, not opened yet. Waits until the second that is meant is over, if it is the present one.

    Raises QueryError where it is not clear what is meant, TimeTravelError where that moment never was, or is yet to come.
    """
    if table_version is not None and timestamp is None:
        version, second = check_version(table_version), None
    elif timestamp is not None and table_version is None:
        version, second = None, second_of(timestamp)
    else:
        raise QueryError("at() takes one of the two: table_version=…, or timestamp=…")
    clock = clock_of(live.control)
    if clock.versions is False:
        _refuse_unversioned(live, f"table version {version}" if second is None else shown(second))
    moment = _committed(live, version) if version is not None else Moment(second or clock.now)
    if moment.second > clock.now:
        refuse(moment, f"it is yet to come: the store's clock says {shown(clock.now)}")
    if moment.second == clock.now:
        live.parts.runtime.sleep(SECOND.total_seconds())
    return PastEngine(live, moment, clock)


def _refuse_unversioned(live: S3Engine, what: str) -> NoReturn:
    why = (
        f"{live.parts.place} keeps no versions, so what has been changed or deleted is gone; enable_versioning() keeps it from "
        "now on"
    )
    refuse(what, why)


def _committed(live: S3Engine, version: int) -> Moment:
    if isinstance(live.layout, ObjectsLayout):
        raise ConfigurationError(
            "this database has layout 'objects': there is no table, and so no version of it; at(timestamp=…) is what it can show",
            key="layout",
        )
    from dataknobs_data.s3.travel.table import moment_of, table_of  # imports pyarrow

    with translated(f"looking for table version {version}", live.parts.place):
        return moment_of(version, Versions(live.parts.caller), live.parts.keys, table_of(live.layout).log)
