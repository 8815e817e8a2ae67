"""Those changes of a bulk that go one by one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from dataknobs_data.documents import Change
from dataknobs_data.engine import EachWindow, Settled
from dataknobs_data.exceptions import DataknobsDataError
from dataknobs_data.s3.layout import ApplyMany

WINDOW = 1000

Numbered = tuple[int, Change]
"""A change and its place in the input."""


def one_by_one(apply: ApplyMany, changes: Sequence[Numbered], *, last: bool = False) -> Iterator[Settled]:
    """Carries them out, a window at a time. `last`: there is nothing that a failure of the whole store could still stop, so
    that it is told of each change that it concerns instead of raised.
    """
    for start in range(0, len(changes), WINDOW):
        window = changes[start : start + WINDOW]
        try:
            for settled in EachWindow(apply).add([change for _, change in window]):
                yield replace(settled, index=window[settled.index][0])
        except DataknobsDataError as error:  # all of the window is settled
            if not last:
                raise
            for index, change in changes[start + WINDOW :]:
                yield Settled(index, error, change.record, change.id)
            return
