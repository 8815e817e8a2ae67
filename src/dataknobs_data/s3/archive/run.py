"""One restore under way: how each record stands, who waits for it, and what becomes of those that failed."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from dataknobs_data.exceptions import (
    BatchError,
    DatabaseConnectionError,
    DataknobsDataError,
    IncompatibleStoreError,
    QueryError,
    ThrottledError,
)
from dataknobs_data.s3.archive.states import WAITING, Restoration, RestoreStatus, Target, WholePack
from dataknobs_data.s3.costs.prices import Prices
from dataknobs_data.s3.costs.restoring import TIERS, RestoreWork, restore_estimate
from dataknobs_data.spelling import did_you_mean

A = TypeVar("A")
B = TypeVar("B")

Steps = Generator[float, None, Restoration]
"""A restore under way: yields the seconds to wait before it goes on."""

PATIENCE = 5
"""Looks in a row at one record that may fail, or show no restore under way, before it is given up."""

UNANSWERED_MAX = 10
"""So many requests in a row that the store did not answer, and no more are sent."""

_UNANSWERED = (DatabaseConnectionError, ThrottledError)


@dataclass
class RestoreRun:
    """One restore: how each record, or pack, stands by now, in the order of the input."""

    days: int
    tier: str
    groups: dict[Target, str] = field(default_factory=dict)
    errors: dict[Target, DataknobsDataError] = field(default_factory=dict)
    to_ask: list[RestoreStatus] = field(default_factory=list)
    work: RestoreWork = field(default_factory=RestoreWork)
    doubts: dict[Target, int] = field(default_factory=dict)

    def put(self, target: Target, group: str) -> None:
        """It stands in this group of Restoration now."""
        self.groups[target] = group

    def fail(self, target: Target, error: DataknobsDataError) -> None:
        """It is given up."""
        self.errors[target] = error
        self.groups[target] = "failed"

    def doubt(self, target: Target, error: DataknobsDataError) -> None:
        """A look told nothing; after some in a row it is given up."""
        self.doubts[target] = self.doubts.get(target, 0) + 1
        if self.doubts[target] >= PATIENCE:
            self.fail(target, error)

    def waiting(self) -> list[Target]:
        """What cannot be read yet."""
        return [target for target, group in self.groups.items() if group in WAITING]

    def restoration(self, prices: Prices, *, dry_run: bool = False) -> Restoration:
        """How it stands."""
        ids: dict[str, list[str]] = {}
        for target, group in self.groups.items():
            if group != "failed" and isinstance(target, str):
                ids.setdefault(group, []).append(target)
        packs = {target.key: group for target, group in self.groups.items() if isinstance(target, WholePack)}
        failed = {str(target): error for target, error in self.errors.items()}
        estimate = restore_estimate(prices, self.work, days=self.days, tier=self.tier)
        groups = {group: tuple(members) for group, members in ids.items()}
        return Restoration(self.days, self.tier, estimate, failed=failed, packs=packs, dry_run=dry_run, **groups)


class Brake:
    """Stops a row of requests that the store does not answer: what would follow fails with the same error, unsent."""

    def __init__(self) -> None:
        self._in_a_row = 0
        self._why: DataknobsDataError | None = None

    def guarding(self, call: Callable[[A], B]) -> Callable[[A], B | DataknobsDataError]:
        """`call`, with its public errors as answers."""

        def guarded(item: A) -> B | DataknobsDataError:
            if self._why is not None:
                return self._why
            try:
                answer = call(item)
            except DataknobsDataError as error:
                self._failed(error)
                return error
            self._in_a_row = 0
            return answer

        return guarded

    def _failed(self, error: DataknobsDataError) -> None:
        self._in_a_row = self._in_a_row + 1 if isinstance(error, _UNANSWERED) else 0
        if isinstance(error, IncompatibleStoreError) or self._in_a_row >= UNANSWERED_MAX:
            self._why = error


def finished(steps: Steps, sleep: Callable[[float], None]) -> Restoration:
    """Runs the steps of a restore to their end."""
    while isinstance(reached := next_step(steps), float):
        sleep(reached)
    return reached


def next_step(steps: Steps) -> float | Restoration:
    """The seconds to wait before the next step, or what has come of the restore."""
    try:
        return next(steps)
    except StopIteration as done:
        result: Restoration = done.value
        return result


def raise_failures(
    operation: str, targets: Iterable[Target], errors: Mapping[Target, DataknobsDataError], **context: object
) -> None:
    """Raises BatchError where some of them failed; the first error where all did, and alike."""
    if not errors:
        return
    numbered = dict(enumerate(targets))
    first, *others = errors.values()
    if len(errors) == len(numbered) and all(_cause(one) == _cause(first) for one in others):
        raise first
    succeeded = {number: str(one) for number, one in numbered.items() if one not in errors}
    failed = {number: (str(one), errors[one]) for number, one in numbered.items() if one in errors}
    failure = BatchError(operation, succeeded, failed)
    failure.context.update(context)
    raise failure from first


def _cause(error: DataknobsDataError) -> tuple[object, ...]:
    return type(error), error.context.get("status"), error.context.get("code")


def checked_days(days: int) -> int:
    """Days that a copy may stay. Raises QueryError."""
    if isinstance(days, bool) or not isinstance(days, int) or days < 1:
        raise QueryError(f"restore: days is {days!r}, but must be a whole number, 1 or more")
    return days


def checked_tier(tier: str) -> str:
    """A tier as S3 spells it. Raises QueryError naming the nearest."""
    found = [one for one in TIERS if isinstance(tier, str) and one.lower() == tier.lower()]
    if not found:
        raise QueryError(f"restore: there is no tier {tier!r}; {did_you_mean(tier, map(str.lower, TIERS))}", tier=tier)
    return found[0]
