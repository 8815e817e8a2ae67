"""Retention and legal holds: versions that nobody can delete for a time.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock.html. A lock is on one *version* of a record's object. It
keeps that version, not the record: `delete` still puts a delete marker on top of it, and `update` a new version, which is
not locked (unless the bucket has a default retention). `undelete` and `revert` bring back what is locked.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from dataknobs_data.documents import check_id
from dataknobs_data.exceptions import ConfigurationError, DatabaseOperationError, RecordNotFoundError
from dataknobs_data.s3.admin.control import PERMISSIONS
from dataknobs_data.s3.admin.each import for_each
from dataknobs_data.s3.admin.heads import headers_of_record
from dataknobs_data.s3.admin.lock_terms import COMPLIANCE, check_default, check_longer, check_mode, end_of
from dataknobs_data.s3.admin.plan import Configuration, Plan
from dataknobs_data.s3.faults import public_error
from dataknobs_data.s3.store import Fault, Kind

FOREVER_NOTE = "object lock cannot be turned off again, and versioning can no longer be suspended"
DEFAULT_NOTE = (
    "every object written to the bucket from now on is locked by this, everybody's: what is replaced or deleted is paid for "
    "until its time is over"
)
PACKS_NOTE = (
    "packs, tombstones and the table's log are locked too: compact() and vacuum() work as before, but what they take away only "
    "gets a delete marker, and can be deleted for good (lifecycle.add(noncurrent_days=…)) when its time is over"
)


@dataclass(frozen=True)
class BucketLock:
    """A bucket in which versions can be locked. `mode` with `days` or `years`: what is written is locked so from the start."""

    mode: str | None = None
    days: int | None = None
    years: int | None = None


@dataclass(frozen=True)
class Lock:
    """How one version of a record is locked.

    version_id  which version: the newest when it was looked at
    mode        "GOVERNANCE": who has s3:BypassGovernanceRetention can undo it; "COMPLIANCE": nobody can; None: not retained
    until       when the retention ends, by the store's clock
    hold        a legal hold is on, until somebody takes it off
    pack        the key of the pack in which the record lies, with others: the lock is the pack's; None: it is an object
    """

    id: str
    version_id: str
    mode: str | None
    until: datetime | None
    hold: bool
    pack: str | None = None


class ObjectLock(Configuration):
    """Locks on the versions of single records, and the bucket's switch and default for them."""

    what = "object lock"

    # ------------------------------------------------------------------ the bucket
    def get(self) -> BucketLock | None:
        """The bucket's default retention (BucketLock() without one); None where nothing can be locked."""
        found = self._read()
        if found is None:
            return None
        rule = found.get("Rule", {}).get("DefaultRetention", {})
        return BucketLock(rule.get("Mode"), rule.get("Days"), rule.get("Years"))

    def enable(
        self,
        *,
        mode: str | None = None,
        days: int | None = None,
        years: int | None = None,
        irrevocable: bool = False,
        dry_run: bool = False,
    ) -> Plan:
        """Lets versions be locked in this bucket, which must keep versions (`enable_versioning`). It cannot be undone.

        mode         with `days` or `years`: what is written from now on, by anybody, is locked for so long. Without it, a
                     default that there is stays
        irrevocable  must be said for mode="COMPLIANCE": what is written so cannot be deleted before its time, by nobody
        """
        check_default(mode, days, years)
        _check_irrevocable(mode, irrevocable)
        rule = {"DefaultRetention": {"Mode": mode, **({"Days": days} if days else {"Years": years})}} if mode else None
        self._check_versioning()

        def decide(before: Any) -> tuple[Any, Sequence[str]]:
            after = {**(before or {}), "ObjectLockEnabled": "Enabled", **({"Rule": rule} if rule else {})}
            locks = [DEFAULT_NOTE, *([PACKS_NOTE] if self._control.packed.exists else [])] if rule else []
            notes = [*([] if before else [FOREVER_NOTE]), *locks]
            return after, notes if after != before else []

        return self._change(decide, dry_run=dry_run)

    def remove_default(self, *, dry_run: bool = False) -> Plan:
        """From now on nothing is locked from the start. What is locked stays so; the bucket can still lock."""
        return self._change(
            lambda before: (before and {key: value for key, value in before.items() if key != "Rule"}, []),
            dry_run=dry_run,
        )

    def _check_versioning(self) -> None:
        if self._control.send("GetBucketVersioning", "looking whether versions are kept").get("Status") != "Enabled":
            raise ConfigurationError(
                f"object lock is for buckets that keep versions, and {self._control.place} does not: call "
                "enable_versioning() first (versioning --enable)",
                key="versioning",
            )

    def _read(self) -> Any:
        doing = "reading the object lock configuration"
        answer = self._control.look("GetObjectLockConfiguration", doing)
        return answer and _plain(answer["ObjectLockConfiguration"])

    def _write(self, value: Any) -> None:
        self._control.send("PutObjectLockConfiguration", "configuring object lock", ObjectLockConfiguration=value)

    # ------------------------------------------------------------------ records
    def status(self, id: str) -> Lock | None:
        """How the present version of a record is locked, or the pack it lies in; None where there is no record. One HEAD.

        On AWS that does not tell a lock from a missing permission, so where it shows none, GetObjectRetention and
        GetObjectLegalHold are asked.
        """
        lock = self._look(check_id(id), f"looking how record {id!r} is locked")
        if lock is None or not self._control.place.behaves_like_aws:
            return lock
        return self._asked(lock) if lock.mode is None or not lock.hold else lock

    def retain(
        self,
        ids: str | Iterable[str],
        until: datetime | timedelta | int,
        mode: str = "GOVERNANCE",
        *,
        bypass: bool = False,
        irrevocable: bool = False,
    ) -> list[Lock]:
        """Keeps the present versions of these records from being deleted. Returns which versions those are, in order.

        until        an instant (without a zone: UTC), a duration, or days
        mode         "GOVERNANCE", or "COMPLIANCE", which nobody can shorten or take off, the account's root included
        bypass       shorten a GOVERNANCE retention; takes s3:BypassGovernanceRetention
        irrevocable  must be said for COMPLIANCE

        A version that somebody writes at the same moment is not locked: compare `version_id`. Of several ids, those that
        failed stand in BatchError; the others are locked.
        """
        check_mode(mode)
        _check_irrevocable(mode, irrevocable)
        end = end_of(until, self._control.runtime.now())

        def lock(id: str) -> Lock:
            found = self._present(id, f"retaining record {id!r}")
            check_longer(id, found.mode, found.until, mode, end, bypass=bypass)
            parameters: dict[str, Any] = {"Retention": {"Mode": mode, "RetainUntilDate": end}}
            if bypass:
                parameters["BypassGovernanceRetention"] = True
            self._put("PutObjectRetention", f"retaining record {id!r}", found, bypass, parameters)
            return replace(found, mode=mode, until=end)

        return for_each(self._control, "object_lock.retain", ids, lock)

    def hold(self, ids: str | Iterable[str]) -> list[Lock]:
        """Puts a legal hold on the present versions of these records: they cannot be deleted until `release`."""
        return self._switch_holds("object_lock.hold", ids, on=True)

    def release(self, ids: str | Iterable[str]) -> list[Lock]:
        """Takes the legal hold off the present versions. A retention stays."""
        return self._switch_holds("object_lock.release", ids, on=False)

    def _switch_holds(self, operation: str, ids: str | Iterable[str], *, on: bool) -> list[Lock]:
        def switch(id: str) -> Lock:
            doing = f"{'putting a legal hold on' if on else 'taking the legal hold off'} record {id!r}"
            found = self._present(id, doing)
            self._put("PutObjectLegalHold", doing, found, False, {"LegalHold": {"Status": "ON" if on else "OFF"}})
            return replace(found, hold=on)

        return for_each(self._control, operation, ids, switch)

    def _present(self, id: str, doing: str) -> Lock:
        """The version to lock. Raises RecordNotFoundError; DatabaseOperationError where it has none of its own."""
        found = self._look(id, doing)
        if found is None:
            raise RecordNotFoundError(f"{doing}: there is no such record", id=id)
        if found.pack:
            raise DatabaseOperationError(
                f"{doing}: it lies in a pack with others ({found.pack}) and has no object that could be locked alone. Write it "
                "again with update(), and lock it then: that version stays in the history, also when compaction has moved the "
                "record back into a pack. What locks everything from the start is a default: object_lock.enable(mode=…, days=…)",
                id=id,
                pack=found.pack,
            )
        if not found.version_id:
            raise DatabaseOperationError(
                f"{doing}: {self._control.place} keeps no versions, so nothing can be locked; enable_versioning() and then "
                "object_lock.enable() change that for what is written from then on",
                id=id,
            )
        return found

    def _look(self, id: str, doing: str) -> Lock | None:
        held = headers_of_record(self._control, id, doing)
        if held is None:
            return None
        head = held.headers
        until, hold = head.get("ObjectLockRetainUntilDate"), head.get("ObjectLockLegalHoldStatus")
        mode = head.get("ObjectLockMode")
        return Lock(id, head.get("VersionId", ""), mode, until and _instant(until), hold == "ON", held.pack)

    def _asked(self, lock: Lock) -> Lock:
        """The lock as those two say that the caller needs a permission for."""
        retention = self._ask("GetObjectRetention", lock).get("Retention", {})
        hold = self._ask("GetObjectLegalHold", lock).get("LegalHold", {})
        until = retention.get("RetainUntilDate")
        return replace(
            lock, mode=retention.get("Mode"), until=until and _instant(until), hold=hold.get("Status") == "ON"
        )

    def _ask(self, operation: str, lock: Lock) -> dict[str, Any]:
        key = lock.pack or self._control.keys.record(lock.id)
        version: dict[str, Any] = {"VersionId": lock.version_id} if lock.version_id else {}
        try:
            return self._control.attempt(operation, Key=key, **version)
        except Fault as fault:
            if fault.kind is Kind.UNSET or fault.code == "InvalidRequest":  # 400: the bucket cannot lock at all
                return {}
            raise self._control.error(operation, f"looking how record {lock.id!r} is locked", fault) from fault

    def _put(self, operation: str, doing: str, lock: Lock, bypass: bool, parameters: dict[str, Any]) -> None:
        key, needs = self._control.keys.record(lock.id), PERMISSIONS[operation]
        try:
            self._control.attempt(operation, Key=key, VersionId=lock.version_id, **parameters)
        except Fault as fault:
            if fault.code == "InvalidRequest" and fault.status == 400:
                doing += " (in a bucket that cannot lock? object_lock.enable() makes it one)"
            needs += " and s3:BypassGovernanceRetention" if bypass else ""
            raise public_error(fault, doing, self._control.place, needs=needs, id=lock.id) from fault


def _check_irrevocable(mode: str | None, said: bool) -> None:
    if mode == COMPLIANCE and not said:
        raise ConfigurationError(
            "COMPLIANCE cannot be undone or shortened by anybody, not even by the account's root, nor ended but by closing the "
            "account; if that is meant, say irrevocable=True (--irrevocable)",
            key="irrevocable",
        )


def _plain(configuration: dict[str, Any]) -> dict[str, Any]:
    """Without what says nothing: moto tells `Years` 0 beside days."""
    return {key: _plain(value) if isinstance(value, dict) else value for key, value in configuration.items() if value}


def _instant(value: Any) -> datetime:
    return value if isinstance(value, datetime) else datetime.fromisoformat(value)
