"""Records in archive classes: asking S3 to restore them, and how far that is.

The protocol: one HEAD for each record tells how it stands, so that nothing is asked for that is there already, and what the
rest costs is known before it is spent. Then one RestoreObject for each; then, for who wants to wait, HEADs at growing
intervals. RestoreObject may be sent twice: the second is answered 409 or 200.
https://docs.aws.amazon.com/AmazonS3/latest/API/API_RestoreObject.html
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from datetime import timedelta

from dataknobs_data.exceptions import (
    DatabaseOperationError,
    DataknobsDataError,
    IncompatibleStoreError,
    QueryError,
    ThrottledError,
)
from dataknobs_data.s3.admin.control import PERMISSIONS
from dataknobs_data.s3.archive.choosing import Chooser, Chosen, Which
from dataknobs_data.s3.archive.run import Brake, RestoreRun, Steps, checked_days, checked_tier, raise_failures
from dataknobs_data.s3.archive.states import (
    TIERED,
    Restoration,
    RestoreState,
    RestoreStatus,
    Target,
    WholePack,
    may_be_archived,
    status_of,
    target_of,
)
from dataknobs_data.s3.costs.prices import Prices, default_prices
from dataknobs_data.s3.engine import S3Engine
from dataknobs_data.s3.faults import translated
from dataknobs_data.s3.store import Fault, Head, Kind

PAUSE_SECONDS_FIRST, PAUSE_GROWTH = 1.0, 2.0
PAUSE_SECONDS_MAX = {"Expedited": 30.0, "Standard": 300.0, "Bulk": 300.0}
"""Between two looks at a record, which cost a HEAD each."""

OnProgress = Callable[[Restoration], None]

_GONE_ON = {"InvalidObjectState", "ObjectAlreadyInActiveTierError"}
_BUSY = "GlacierExpeditedRetrievalNotAvailable"


class Archive:
    """Restores records that lie in archive classes."""

    def __init__(self, engine: S3Engine, prices: Prices | None = None) -> None:
        self._control = engine.control
        self._objects = engine.objects
        self._prices = prices or default_prices()

    # ------------------------------------------------------------------ what users call
    def restore(
        self,
        which: Which,
        *,
        days: int,
        tier: str,
        wait: bool = False,
        timeout: float | None = None,
        on_progress: OnProgress | None = None,
        dry_run: bool = False,
    ) -> Steps:
        """See S3Database.restore. Whoever runs the steps does the waiting."""
        run = RestoreRun(checked_days(days), checked_tier(tier))
        if timeout is not None and not timeout >= 0:
            raise QueryError(f"restore: timeout is {timeout!r}, but is in seconds, 0 or more")
        chosen = self._choose(which)
        self._plan(run, chosen)
        if not dry_run:
            self._ask_all(run)
            if wait:
                yield from self._until_readable(run, timeout, on_progress)
        restoration = run.restoration(self._prices, dry_run=dry_run)
        raise_failures("restore (dry run)" if dry_run else "restore", run.groups, run.errors, restoration=restoration)
        return restoration

    def status(self, which: Which) -> list[RestoreStatus]:
        """See S3Database.restore_status."""
        chosen = self._choose(which)
        found, errors = self._look_at(chosen.targets)
        raise_failures("restore_status", chosen.targets, errors)
        archived = found.values() if not chosen.by_query else filter(_is_archived, found.values())
        return list(archived)

    # ------------------------------------------------------------------ looking
    def _choose(self, which: Which) -> Chosen:
        return Chooser(self._control, self._objects).choose(which, may_be_archived)

    def _look_at(
        self, targets: Sequence[Target]
    ) -> tuple[dict[Target, RestoreStatus], dict[Target, DataknobsDataError]]:
        found: dict[Target, RestoreStatus] = {}
        errors: dict[Target, DataknobsDataError] = {}
        brake = Brake()
        outcomes = self._control.many.map(brake.guarding(self._look), targets)
        for target, outcome in zip(targets, outcomes, strict=True):
            if isinstance(outcome, RestoreStatus):
                found[target] = outcome
            else:
                errors[target] = outcome
        missing = [one.id for one in found.values() if one.state is RestoreState.MISSING and one.id]
        if missing:
            with translated("looking for records", self._control.place):
                self._objects.check_bucket()  # an answer to HEAD does not tell a missing record from a missing bucket
                found.update(self._look_at_packs(missing))
        return found, errors

    def _look_at_packs(self, ids: list[str]) -> dict[str, RestoreStatus]:
        """Of those ids that have no object: how the packs stand in which they lie. One HEAD for each pack."""
        lying = self._control.packed.lying(ids)
        packs = sorted({one.pack for one in lying.values()})
        heads = dict(zip(packs, self._control.many.map(self._head_of_pack, packs), strict=True))
        return {id: status_of(id, heads[one.pack], one.pack) for id, one in lying.items()}

    def _head_of_pack(self, key: str) -> Head:
        return self._control.caller.send("HeadObject", lambda store: store.head(key))

    def _look(self, target: Target) -> RestoreStatus:
        if isinstance(target, WholePack):
            with translated(f"looking how {target} stands", self._control.place, needs=PERMISSIONS["HeadObject"]):
                return self._look_at_pack(target.key)
        doing = f"looking how record {target!r} stands"
        with translated(doing, self._control.place, needs=PERMISSIONS["HeadObject"], id=target):
            return status_of(target, self._objects.peek(target))

    def _look_at_pack(self, key: str) -> RestoreStatus:
        try:
            return status_of("", self._head_of_pack(key), key)
        except Fault as fault:
            if fault.kind is not Kind.MISSING:
                raise
            return status_of("", None, key)

    # ------------------------------------------------------------------ deciding
    def _plan(self, run: RestoreRun, chosen: Chosen) -> None:
        """Decides for each record what has to be done."""
        found, errors = self._look_at(chosen.targets)
        run.work.listed, run.work.looked = chosen.listed, chosen.looked + len(chosen.targets)
        for target in chosen.targets:
            if target in errors:
                run.fail(target, errors[target])
            elif not chosen.by_query or _is_archived(found[target]):
                self._sort(run, found[target])
                run.work.packs += isinstance(target, WholePack)
        _check_tier_fits(run, self._prices)

    def _sort(self, run: RestoreRun, status: RestoreStatus) -> None:
        group = _GROUPS[status.state]
        extends = status.state is RestoreState.RESTORED and _ends_too_early(status, run.days)
        run.put(target_of(status), group)
        if status.state is RestoreState.ARCHIVED or extends:
            assert status.archive, "only what lies in an archive is archived or restored"
            if status.pack is None or status.pack not in {one.pack for one in run.to_ask}:
                run.work.add(status.archive, status.size_bytes, extends=extends)
            run.to_ask.append(status)

    # ------------------------------------------------------------------ asking
    def _ask_all(self, run: RestoreRun) -> None:
        brake = Brake()
        alike: dict[str, list[RestoreStatus]] = {}
        for status in run.to_ask:
            alike.setdefault(self._key(status), []).append(status)
        first = [statuses[0] for statuses in alike.values()]
        outcomes = self._control.many.map(brake.guarding(lambda status: self._ask(run, status)), first)
        for statuses, outcome in zip(alike.values(), outcomes, strict=True):
            for status in statuses:
                if isinstance(outcome, DataknobsDataError):
                    run.fail(target_of(status), outcome)
                else:
                    run.put(target_of(status), outcome)

    def _key(self, status: RestoreStatus) -> str:
        """Of what is to be restored."""
        return status.pack or self._control.keys.record(status.id)

    def _ask(self, run: RestoreRun, status: RestoreStatus) -> str:
        """The group that the record is in now."""
        request = {"GlacierJobParameters": {"Tier": run.tier}, "Days": run.days}
        if status.storage_class == TIERED:
            del request["Days"]  # it goes back to the first tier for good; API_RestoreObject refuses Days
        key = self._key(status)
        try:
            self._control.attempt("RestoreObject", Key=key, RestoreRequest=request)
        except Fault as fault:
            return self._what_it_means(fault, status, run.tier)
        return "restored" if status.state is RestoreState.RESTORED else "requested"

    def _what_it_means(self, fault: Fault, status: RestoreStatus, tier: str) -> str:
        if fault.code == "RestoreAlreadyInProgress":
            return "requested" if fault.answer_lost else "in_progress"
        if fault.code in _GONE_ON:
            return "not_archived"
        if fault.kind is Kind.MISSING:
            return "missing"
        doing = f"restoring {status.named}"
        if fault.code == _BUSY:
            raise ThrottledError(
                f"{doing} in {self._control.place}: S3 has no capacity for {tier} retrievals just now ({fault}); ask for tier "
                "'Standard', or try again later",
                id=status.id,
                code=fault.code,
            ) from fault
        error = self._control.error("RestoreObject", doing, fault)
        if isinstance(error, IncompatibleStoreError):
            raise IncompatibleStoreError(
                f"{error}. A store that cannot restore usually archives nothing: try read(id)", **error.context
            ) from fault
        raise error from fault

    # ------------------------------------------------------------------ waiting
    def _until_readable(
        self, run: RestoreRun, timeout: float | None, on_progress: OnProgress | None
    ) -> Generator[float, None, None]:
        clock = self._control.runtime.monotonic
        end = None if timeout is None else clock() + timeout
        pause = PAUSE_SECONDS_FIRST
        while True:
            self._look_again(run)
            if on_progress:
                on_progress(run.restoration(self._prices))
            left = pause if end is None else end - clock()
            if not run.waiting() or left <= 0:
                return
            yield min(pause, left)
            pause = min(pause * PAUSE_GROWTH, PAUSE_SECONDS_MAX[run.tier])

    def _look_again(self, run: RestoreRun) -> None:
        found, errors = self._look_at(run.waiting())
        for target, error in errors.items():
            run.doubt(target, error)
        for target, status in found.items():
            if status.state is RestoreState.ARCHIVED:
                run.doubt(target, _not_under_way(status))
            elif status.state is RestoreState.MISSING:
                run.put(target, "missing")
            elif status.readable:
                run.put(target, "restored")
            else:
                run.doubts.pop(target, None)


# ---------------------------------------------------------------------------------------------- decisions
_GROUPS = {
    RestoreState.ARCHIVED: "requested",
    RestoreState.IN_PROGRESS: "in_progress",
    RestoreState.RESTORED: "restored",
    RestoreState.NOT_ARCHIVED: "not_archived",
    RestoreState.MISSING: "missing",
}


def _is_archived(status: RestoreStatus) -> bool:
    return status.state not in (RestoreState.NOT_ARCHIVED, RestoreState.MISSING)


def _ends_too_early(status: RestoreStatus, days: int) -> bool:
    """Whether a restored copy goes away before `days` are over; asking anew would set its end from now on, also nearer."""
    return status.until is not None and (status.at is None or status.until < status.at + timedelta(days=days))


def _check_tier_fits(run: RestoreRun, prices: Prices) -> None:
    """Raises QueryError where some of the records cannot be restored with this tier."""
    unfit = [status for status in run.to_ask if run.tier not in prices.archives.get(status.archive or "", ())]
    if unfit:
        one = unfit[0]
        raise QueryError(
            f"restore: nothing was asked for: there is no {run.tier} retrieval from {one.archive}, where {one.named} lies"
            f"{f' and {len(unfit) - 1:,} more' if len(unfit) > 1 else ''}; "
            f"use {' or '.join(prices.archives.get(one.archive or '', ())) or 'another store'}",
            id=one.id,
            tier=run.tier,
            archive=one.archive,
        )


def _not_under_way(status: RestoreStatus) -> DataknobsDataError:
    return DatabaseOperationError(
        f"{status.named} was to be restored, but S3 shows no restore of it under way: perhaps it was written anew, or its "
        "copy has gone away again; restore it once more",
        id=status.id,
    )
