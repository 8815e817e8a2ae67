"""Which version of each object stood there at a moment.

It is the newest that was written in that second or before; where that is a delete marker, there was none. What was written
while versioning was suspended has the id "null" and takes the place of what had it: where such a version is younger than the
moment, nobody can tell any more what stood there. While versioning was on, everything has left its trace.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import NoReturn

from dataknobs_data.runtime import Runtime
from dataknobs_data.s3.calls import Caller, Deadline
from dataknobs_data.s3.keys import Keys
from dataknobs_data.s3.place import Place
from dataknobs_data.s3.store import UNVERSIONED, Listed, ListedVersion, Page, VersionPage
from dataknobs_data.s3.table.folder import ENTRY
from dataknobs_data.s3.travel.moment import Moment, refuse

KNOWN_MAX = 10_000
"""Keys of which it is kept in memory what stood there."""

Lines = Sequence[ListedVersion]
After = tuple[str, str | None] | None


class Versions:
    """Listings of versions, as the store has them. `caller`: of the real store."""

    def __init__(self, caller: Caller) -> None:
        self.caller = caller

    def pages(self, prefix: str, after: After = None, deadline: Deadline | None = None) -> Iterator[VersionPage]:
        """All versions below a prefix: one LIST for each 1,000."""
        while True:
            page = self._page(prefix, after, deadline)
            yield page
            after = page.after
            if after is None:
                return

    def _page(self, prefix: str, after: After, deadline: Deadline | None) -> VersionPage:
        return self.caller.send("ListObjectVersions", lambda store: store.list_versions(prefix, after=after), deadline)

    def of(self, key: str, deadline: Deadline | None = None) -> Iterator[Lines]:
        """All versions of a key, page by page."""
        for page in self.pages(key, deadline=deadline):
            yield [line for line in page.items if line.key == key]
            if page.after is not None and page.after[0] != key:
                return

    def newest(self, key: str, deadline: Deadline | None = None) -> ListedVersion | None:
        """The newest version of a file that never changes, of whatever time; None where there is none but delete markers."""
        there = (line for lines in self.of(key, deadline) for line in lines if not line.is_delete_marker)
        return next(there, None)


class Past(Versions):
    """The versions of one prefix at one moment.

    next_commit  the first version of the table that was committed later, as far as the log was listed
    """

    def __init__(self, caller: Caller, place: Place, keys: Keys, moment: Moment) -> None:
        super().__init__(caller)
        self.keys = keys
        self.moment = moment
        self.next_commit: int | None = None
        self._kept_until: Callable[[], bool] | None = None
        self._in_order = place.behaves_like_aws
        self._lock = threading.Lock()
        self._known: OrderedDict[str, ListedVersion | None] = OrderedDict()

    def keep(self, seconds: float, runtime: Runtime) -> None:
        """Versions are kept for so long; of a view that is open for longer a listing may not have them any more."""
        end = runtime.monotonic() + seconds
        self._kept_until = lambda: runtime.monotonic() <= end

    def pages(self, prefix: str, after: After = None, deadline: Deadline | None = None) -> Iterator[VersionPage]:
        """See Versions. Raises TimeTravelError where a lifecycle rule may have deleted some since the view was opened."""
        for page in super().pages(prefix, after, deadline):
            if self._kept_until and not self._kept_until():
                refuse(
                    self.moment,
                    "a lifecycle rule may have deleted versions since this view was opened; at() says what is left",
                )
            yield page

    # ------------------------------------------------------------------ one key
    def line(self, key: str, deadline: Deadline | None = None) -> ListedVersion | None:
        """What stood there; None: nothing. 1 LIST, the first time."""
        with self._lock:
            if key in self._known:
                self._known.move_to_end(key)
                return self._known[key]
        found = self.standing(self._lines(key, deadline))
        self._know({key: found})
        return found

    def _know(self, standing: Mapping[str, ListedVersion | None]) -> None:
        with self._lock:
            self._known.update(standing)
            while len(self._known) > KNOWN_MAX:
                self._known.popitem(last=False)

    def _lines(self, key: str, deadline: Deadline | None) -> list[ListedVersion]:
        """All versions of a key, as far as they matter."""
        found: list[ListedVersion] = []
        for lines in self.of(key, deadline):
            found += lines
            if self._in_order and any(self.moment.has(line.modified) for line in found):
                break
        return found

    def standing(self, lines: Lines) -> ListedVersion | None:
        """Of all versions of one key the one that stood there. Raises TimeTravelError where it may have been overwritten."""
        number, kind = (lines and self.keys.log_name(lines[0].key)) or (0, "")
        if kind and self.moment.version is not None and number > self.moment.version:
            return None
        found = next((line for line in self._newest_first(lines) if self.moment.has(line.modified)), None)
        if lines and self.keys.id(lines[0].key) is not None and self._overwriting(lines):
            self._refuse_overwritten(lines[0].key)
        return None if found is None or found.is_delete_marker else found

    def _newest_first(self, lines: Lines) -> Lines:
        """SeaweedFS 4.48 lists the version "null" last, moto 5.2 delete markers. AWS's order is right, and its times are not: a
        version uploaded in parts has the time when its upload began."""
        return lines if self._in_order else sorted(lines, key=lambda one: (one.is_latest, one.modified), reverse=True)

    # ------------------------------------------------------------------ overwritten without a trace
    def _overwriting(self, lines: Iterable[ListedVersion]) -> list[datetime]:
        """When objects were written without leaving what had stood there, later than the moment."""
        return [
            line.modified for line in lines if line.version_id == UNVERSIONED and not self.moment.has(line.modified)
        ]

    def _refuse_overwritten(self, key: str) -> NoReturn:
        found: list[datetime] = []
        for page in self.pages(self.keys.prefix):
            found += self._overwriting(line for line in page.items if self.keys.id(line.key) is not None)
        why = (
            f"{key} was written later while versioning was suspended, and what had stood there may have been lost by that; "
            "enable_versioning() keeps it from now on"
        )
        refuse(self.moment, why, max(found, default=None))

    # ------------------------------------------------------------------ listings
    def listed(self, prefix: str, after: str | None, deadline: Deadline | None) -> Page:
        """What stood below a prefix, behind the key `after`; the token is another such key."""
        found, end = self._whole(prefix, after, deadline)
        standing = {key: self.standing(lines) for key, lines in found.items()}
        if prefix == self.keys.log:
            self._know(standing)  # what is read next
            if self._comes_to_later(found):
                end = None
        return Page([_listed(line) for line in standing.values() if line is not None], end)

    def _whole(
        self, prefix: str, after: str | None, deadline: Deadline | None
    ) -> tuple[dict[str, list[ListedVersion]], str | None]:
        """Some keys with all of their versions, and the last of these keys where more follow."""
        found: dict[str, list[ListedVersion]] = {}
        for page in self.pages(prefix, (after, None) if after else None, deadline):
            for line in page.items:
                if line.key != after:  # moto 5.2 lists the key of a marker again
                    found.setdefault(line.key, []).append(line)
            if page.after is None:
                break
            whole = [key for key in found if key != page.after[0]]
            if whole:
                return {key: found[key] for key in whole}, whole[-1]
        return found, None

    def _comes_to_later(self, found: Mapping[str, Lines]) -> bool:
        """Whether a listing of the log has come to commits after the moment: only later ones follow."""
        names = ((self.keys.log_name(key), lines) for key, lines in found.items())
        later = [
            name[0]
            for name, lines in names
            if name and name[1] == ENTRY and not any(self.moment.has(line.modified) for line in lines)
        ]
        if later:
            self.next_commit = min([*later, *([] if self.next_commit is None else [self.next_commit])])
        return bool(later)


def _listed(line: ListedVersion) -> Listed:
    return Listed(line.key, line.etag, line.size, line.storage_class, line.modified.isoformat(), line.version_id)
