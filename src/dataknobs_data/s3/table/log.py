"""The table's log: what the table is, and how it is changed. One commit is one PUT If-None-Match of the next version.

https://github.com/delta-io/delta/blob/master/PROTOCOL.md. Store faults leave as Fault; what is wrong with the data, and a
commit whose outcome cannot be told, as public errors.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count

from dataknobs_data.exceptions import DataFormatError, OutcomeUnknownError, SnapshotExpiredError
from dataknobs_data.runtime import Runtime
from dataknobs_data.s3.calls import Caller, Deadline
from dataknobs_data.s3.fanout import FanOut
from dataknobs_data.s3.keys import Keys
from dataknobs_data.s3.store import ABSENT, Fault, Kind, PutOptions
from dataknobs_data.s3.table.actions import Action, Add, MetaData, Protocol, encode
from dataknobs_data.s3.table.features import check_commit, check_writable
from dataknobs_data.s3.table.folder import ENTRY
from dataknobs_data.s3.table.history import History
from dataknobs_data.s3.table.infos import AUTHOR, METRICS, metrics_of
from dataknobs_data.s3.table.opening import LogReader
from dataknobs_data.s3.table.snapshot import JOB, Commit, Entry, Snapshot, State, snapshot_of

STALE = timedelta(hours=1)
"""A snapshot that was not looked at for so long is not committed on unseen: cleaning may have taken the commits after it, and
a PUT If-None-Match into such a hole would succeed. Cleaning leaves what is younger than a day (`upkeep.py`)."""

ENGINE = "dataknobs-data"


@dataclass(frozen=True, slots=True)
class Job:
    """On whose behalf a commit is made. `id` is in the log once at most after the snapshot that it is based on; `operation`
    and `parameters` are for people who read the history.
    """

    id: str
    operation: str
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Committed:
    """The commit is in the log as `version`; `snapshot` is that version or a later one."""

    version: int
    snapshot: Snapshot


@dataclass(frozen=True, slots=True)
class Conflict:
    """Nothing was changed: somebody else was first. `snapshot` has what they did."""

    snapshot: Snapshot


class Log:
    """The log of one table, for all threads of a database."""

    def __init__(self, caller: Caller, keys: Keys, runtime: Runtime, workers: int, author: str | None = None) -> None:
        """`author`: stands in what is committed."""
        self._author = author
        self.place = keys.log
        self._caller = caller
        self._keys = keys
        self._runtime = runtime
        self._fan = FanOut(workers, "log")
        self.reader = LogReader(caller, keys, runtime, self._fan)
        self._history = History(self.reader, runtime, self.place)
        self._turn = threading.Lock()

    def close(self) -> None:
        """Ends threads. Sends nothing."""
        self._fan.close()

    def know(self, other: Log) -> None:
        """What another one knows of the same log."""
        self._history.know(other._history)

    # ------------------------------------------------------------------ reading
    @property
    def known(self) -> Snapshot | None:
        """The newest snapshot that was seen, without a request."""
        return self._history.known

    def at_first(self, deadline: Deadline | None = None) -> Snapshot | None:
        """As `known`, but looks where this process never did. See History."""
        return self._history.at_first(deadline)

    def refresh(self, deadline: Deadline | None = None) -> Snapshot | None:
        """The table with every commit that was acknowledged before this call; None: there is no table. See History."""
        return self._history.refresh(deadline)

    def commits_since(self, snapshot: Snapshot, version: int, deadline: Deadline | None = None) -> Sequence[Commit]:
        """The commits after `version` up to `snapshot`, oldest first, all with their info. See History."""
        return self._history.commits_since(snapshot, version, deadline)

    # ------------------------------------------------------------------ writing
    def ensure(self, schema: str, job: Job, deadline: Deadline | None = None) -> Snapshot:
        """The table, which is made (with this schema) where there is none. Of several who make it one succeeds."""
        deadline = deadline or self._caller.deadline()
        found = self.refresh(deadline)
        for attempt in count():
            if found is not None:
                return found
            outcome = self.begin(schema, [], job, deadline)
            if outcome is not None:
                return outcome.snapshot
            self._caller.pause(attempt)
            found = self.refresh(deadline)
        raise AssertionError("the deadline ends this")

    def begin(
        self, schema: str, files: Sequence[Add], job: Job, deadline: Deadline | None = None
    ) -> Committed | Conflict | None:
        """Makes the table where there was none, with these files: one commit, as `commit`. None: look again."""
        deadline = deadline or self._caller.deadline()
        id = str(uuid.uuid5(uuid.NAMESPACE_OID, self._runtime.new_id()))
        actions: list[Action] = [Protocol(), MetaData(id, schema, created=self._milliseconds()), *files]
        seen, info = self._runtime.now(), self._info(job, actions, {})
        try:
            etag = self._put(0, encode(info, actions), deadline)
        except Fault as fault:
            if fault.kind is not Kind.CONDITION and not fault.answer_lost:
                raise
            return self._begun(job, fault, deadline)
        made = snapshot_of(State().after(actions), [Commit(0, etag, None, info)], seen, self.place)
        self._history.keep(made)
        return Committed(0, made)

    def _begun(self, job: Job, fault: Fault, deadline: Deadline) -> Committed | Conflict | None:
        """What came of the first commit, which was refused, or whose answer was lost."""
        lost = fault.answer_lost
        try:
            found = self.refresh(deadline.for_a_look() if lost else deadline)
            version = self._version_of(job, found, -1, lost, deadline.for_a_look()) if found else None
        except (Fault, SnapshotExpiredError) as error:
            if lost:
                raise self._unknown(job, 0, f"looking at the log failed: {error}") from error
            raise
        if found is None:
            if lost:
                raise self._unknown(job, 0, f"it is not there yet ({fault})") from fault
            return None
        return Conflict(found) if version is None else Committed(version, found)

    def commit(
        self, snapshot: Snapshot, actions: Sequence[Action], job: Job, deadline: Deadline | None = None
    ) -> Committed | Conflict:
        """Makes `actions` the next version, if `snapshot` is still the newest: 1 PUT; after a conflict a `refresh`.

        Raises OutcomeUnknownError when the answer was lost and the log does not tell what came of it, DataFormatError when
        the table asks of its writers what is not done here.
        """
        deadline = deadline or self._caller.deadline()
        fault, made = self._attempt(snapshot, actions, job, deadline)
        return made or self._settle(snapshot, job, fault, deadline)

    def commit_with(
        self,
        decide: Callable[[Snapshot], Sequence[Action] | None],
        job: Job,
        deadline: Deadline | None = None,
        snapshot: Snapshot | None = None,
    ) -> Committed | None:
        """Commits what `decide` makes of the newest snapshot, and lets it decide again after each conflict.

        None when it decides for nothing. Begins with `snapshot` where it is given, else with a `refresh`. Raises a Fault
        of kind LATE when others were first until the deadline.
        """
        deadline = deadline or self._caller.deadline()
        current = snapshot or self._table(deadline)
        for attempt in count():
            actions = decide(current)
            if actions is None:
                return None
            fault, made = self._attempt(current, actions, job, deadline)
            if made:
                return made
            if fault:
                self._caller.pause(attempt)  # before looking again, so that the look is fresh
            outcome = self._settle(current, job, fault, deadline)
            if isinstance(outcome, Committed):
                return outcome
            current = outcome.snapshot
        raise AssertionError("the deadline ends this")

    # ------------------------------------------------------------------ parts of a commit
    def _attempt(
        self, snapshot: Snapshot, actions: Sequence[Action], job: Job, deadline: Deadline
    ) -> tuple[Fault | None, Committed | None]:
        """One PUT. Neither: it was not worth sending, for somebody was first."""
        check_writable(snapshot.protocol, snapshot.metadata, self.place)
        check_commit(snapshot.metadata, actions, self.place)
        with self._my_turn(deadline):
            if self._is_stale(snapshot, deadline):
                return None, None
            version, seen = snapshot.version + 1, self._runtime.now()
            info = {**self._info(job, actions, snapshot.packs), "readVersion": snapshot.version}
            try:
                etag = self._put(version, encode(info, actions), deadline)
            except Fault as fault:
                if fault.kind is Kind.CONDITION or fault.answer_lost:
                    return fault, None
                raise
            made = snapshot.after([Entry(Commit(version, etag, None, info), actions)], seen, self.place)
            self._history.keep(made)
            return None, Committed(version, made)

    def _is_stale(self, snapshot: Snapshot, deadline: Deadline) -> bool:
        """Whether a newer snapshot is known, or one of another table, having looked where the last look was long ago."""
        if abs(self._runtime.now() - snapshot.seen) > STALE:
            self.refresh(deadline)
        known = self.known
        return known is not None and (known.version > snapshot.version or known.metadata.id != snapshot.metadata.id)

    def _settle(self, snapshot: Snapshot, job: Job, fault: Fault | None, deadline: Deadline) -> Committed | Conflict:
        """What came of a commit that was refused, or whose answer was lost."""
        lost = fault is not None and fault.answer_lost
        time = deadline.for_a_look() if lost else deadline
        try:
            current = (self.known if fault is None else None) or self._table(time)
            version = self._version_of(job, current, snapshot.version, lost, time)
        except (Fault, SnapshotExpiredError) as error:
            if lost:
                raise self._unknown(job, snapshot.version + 1, f"looking at the log failed: {error}") from error
            raise
        if version is not None:
            return Committed(version, current)
        if lost and current.version == snapshot.version:
            raise self._unknown(job, snapshot.version + 1, f"it is not there yet ({fault})") from fault
        return Conflict(current)

    def _version_of(self, job: Job, current: Snapshot, after: int, lost: bool, deadline: Deadline) -> int | None:
        """The version that this job committed. Without a lost answer only what is remembered is searched, for the case that
        an earlier run of the job has committed it: nothing of this one is in the log."""
        commits = self.commits_since(current, after, deadline) if lost else current.commits
        return next((commit.version for commit in commits if commit.version > after and commit.job == job.id), None)

    def _unknown(self, job: Job, version: int, seen: str) -> OutcomeUnknownError:
        return OutcomeUnknownError(
            f"{self._keys.log_file(version, ENTRY)}: a commit (job {job.id}) was sent, but its answer was lost, "
            f"and whether it is in the log cannot be told: {seen}; read the table before writing again",
            job=job.id,
            version=version,
        )

    def _put(self, version: int, body: bytes, deadline: Deadline) -> str:
        key = self._keys.log_file(version, ENTRY)
        return self._caller.send("PutObject", lambda store: store.put(key, body, PutOptions(), ABSENT), deadline)

    @contextmanager
    def _my_turn(self, deadline: Deadline) -> Iterator[None]:
        """Commits of one process do not race each other: the losers would only pay for it."""
        left = deadline.last_start - self._runtime.monotonic()
        if left < 0 or not self._turn.acquire(timeout=min(left, threading.TIMEOUT_MAX)):
            raise Fault(Kind.LATE, "other commits of this process took too long")
        try:
            yield
        finally:
            self._turn.release()

    def _table(self, deadline: Deadline) -> Snapshot:
        found = self.refresh(deadline)
        if found is None:
            raise DataFormatError(f"{self.place}: there is no table", place=self.place)
        return found

    def _info(self, job: Job, actions: Sequence[Action], packs: Mapping[str, Add]) -> dict[str, object]:
        return {
            "timestamp": self._milliseconds(),
            "operation": job.operation,
            "operationParameters": dict(job.parameters),
            METRICS: metrics_of(actions, packs),
            "engineInfo": ENGINE,
            **({AUTHOR: self._author} if self._author else {}),
            JOB: job.id,
        }

    def _milliseconds(self) -> int:
        return int(self._runtime.now().timestamp() * 1000)
