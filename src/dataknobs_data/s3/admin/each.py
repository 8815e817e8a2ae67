"""The same to each of many records, side by side: every record's own outcome, in order, with failures named."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import TypeVar, cast

from dataknobs_data.documents import check_id
from dataknobs_data.exceptions import BatchError, DatabaseConnectionError, DataknobsDataError, ThrottledError
from dataknobs_data.s3.admin.control import Control
from dataknobs_data.streaming import windows

T = TypeVar("T")

WINDOW = 1000
"""Records after which it is looked at whether the store still answers anything at all."""

_UNANSWERED = (DatabaseConnectionError, ThrottledError)


def for_each(control: Control, operation: str, ids: str | Iterable[str], one: Callable[[str], T]) -> list[T]:
    """`one(id)` for each id, as many at once as the database has workers. Ids are checked first, all of them.

    Raises the error of a single id as it is; of several, BatchError, whose context has the `results` of the others by
    index, and stops where a whole window of them (1,000) got no
    answer.
    """
    if isinstance(ids, str):
        return [one(check_id(ids))]
    wanted = [check_id(id) for id in ids]
    done: dict[int, T] = {}
    failed: dict[int, tuple[str | None, DataknobsDataError]] = {}
    for window in windows(enumerate(wanted), WINDOW):
        before = len(failed)
        outcomes = control.many.map(partial(_outcome, one), [id for _, id in window])
        for (index, id), (answer, error) in zip(window, outcomes, strict=True):
            if error is None:
                done[index] = cast(T, answer)
            else:
                failed[index] = (id, error)
        lost = [error for _, error in list(failed.values())[before:] if isinstance(error, _UNANSWERED)]
        if len(lost) == len(window):
            break
    if failed:
        stopped = len(done) + len(failed) < len(wanted)
        partly = BatchError(operation, {index: wanted[index] for index in done}, failed, stopped=stopped)
        partly.context["results"] = done
        raise partly
    return list(done.values())


def _outcome(one: Callable[[str], T], id: str) -> tuple[T | None, DataknobsDataError | None]:
    try:
        return one(id), None
    except DataknobsDataError as error:
        return None, error
