"""What this process has folded itself, and may delete when its own commits are old enough.

Nothing depends on it: without it the log tells (`fences.py`), but only when nobody has compacted for a grace period. A process
that compacts again and again would never get to delete anything by that alone.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from dataknobs_data.s3.store import Listed

OBJECTS_MAX = 200_000
"""Objects that are remembered; some 100 MB."""


@dataclass(frozen=True)
class _Folded:
    version: int
    lines: Mapping[str, Listed]


class Folded:
    """Objects folded by commits of this process, by version. They are deleted only as they were then."""

    def __init__(self) -> None:
        self._commits: list[_Folded] = []
        self._lock = threading.Lock()

    def know(self, other: Folded) -> None:
        """What another one remembers."""
        with other._lock:
            self._commits = list(other._commits)

    def add(self, version: int, lines: Mapping[str, Listed]) -> None:
        """A commit has folded these."""
        with self._lock:
            if lines and sum(len(one.lines) for one in self._commits) + len(lines) <= OBJECTS_MAX:
                self._commits.append(_Folded(version, dict(lines)))

    def take(self, is_old: Callable[[int], bool]) -> list[Listed]:
        """Those whose commit is old enough; from now on they are forgotten."""
        with self._lock:
            old = [one for one in self._commits if is_old(one.version)]
            versions = {one.version for one in old}
            self._commits = [one for one in self._commits if one.version not in versions]
        return [line for one in old for line in one.lines.values()]

    def waiting(self, lines: Mapping[str, Listed]) -> Collection[str]:
        """The ids of those among these objects which are remembered as they are."""
        with self._lock:
            known = {id: line.etag for one in self._commits for id, line in one.lines.items()}
        return {id for id, line in lines.items() if known.get(id) == line.etag}
