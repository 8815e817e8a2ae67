"""Documents on their way into the table: packs of one long job, uploaded as they fill, made visible by one commit."""

from __future__ import annotations

import logging
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta

from dataknobs_data.codec import to_tree
from dataknobs_data.documents import Document
from dataknobs_data.exceptions import DatabaseOperationError, DataknobsDataError
from dataknobs_data.s3.calls import Deadline
from dataknobs_data.s3.steps import step
from dataknobs_data.s3.store import Fault
from dataknobs_data.s3.table.actions import Remove
from dataknobs_data.s3.table.log import Committed, Job
from dataknobs_data.s3.table.packs import Pack
from dataknobs_data.s3.table.rows import Rows
from dataknobs_data.s3.table.shape import Shape, grow_for
from dataknobs_data.s3.table.writing import PackWriter
from dataknobs_data.s3.tiered.journals import HEARTBEAT_MAX
from dataknobs_data.s3.tiered.packing import Uploaded, adopted, united
from dataknobs_data.s3.tiered.table import View
from dataknobs_data.s3.tiered.tiers import Tiers

logger = logging.getLogger("dataknobs_data.s3")

HEARTBEAT = timedelta(hours=1)


class LongJob:
    """A load or a bulk update: what its packs have in common.

    id     of its commit, and the birth or revision of its rows
    shape  columns of the packs to come: those of the table, and what its own records have besides
    now    the time that its records bear
    """

    def __init__(self, tiers: Tiers, operation: str) -> None:
        runtime = tiers.parts.runtime
        self.id = runtime.new_id()
        self.operation = operation
        self.now = runtime.timestamp()
        known = tiers.table.log.at_first()
        self.shape = Shape.from_schema_string(known.schema) if known else Shape()
        self._tiers = tiers
        self._paths: list[str] = []
        self._clock = runtime.monotonic
        self._heartbeat = runtime.monotonic()
        self._has_journal = False
        self._may_be_visible = False

    def new_path(self) -> str:
        """The path of a pack that is about to be written."""
        path = self._tiers.packs.new_path()
        if not self._paths:
            self._heartbeat = self._clock()  # before its first pack there is nothing that vacuum could take
        self._paths.append(path)
        self.beat()
        return path

    def beat(self) -> None:
        """A job that takes hours says that it lives, so that vacuum spares its packs (see journals.py)."""
        silent = self._clock() - self._heartbeat
        if not self._paths or silent < HEARTBEAT.total_seconds():
            return
        if silent > HEARTBEAT_MAX.total_seconds():
            raise DatabaseOperationError(
                f"the {self.operation.lower()} {self.id} was silent for more than {HEARTBEAT_MAX}: vacuum may have taken its "
                "packs for left behind; nothing of it is visible, do it again"
            )
        began = self._clock()
        self._has_journal = True
        self._tiers.journals.open(self.id, self._paths, job=self.operation)
        self._heartbeat = began

    def commit(
        self,
        view: View,
        packs: Sequence[Uploaded],
        removed: Sequence[Remove],
        told: Mapping[str, str],
        deadline: Deadline,
        name: str,
    ) -> bool:
        """One attempt to make packs part of the table, and others no part of it any more; `name`: the step of the protocol.

        False: somebody else has committed meanwhile.
        """
        log, job = self._tiers.table.log, Job(self.id, self.operation, told)
        self.beat()  # after the deadline began: whoever sleeps from here on is too late to commit
        self._may_be_visible = True
        with step(name):
            if view.snapshot is None:
                shape = united(Shape(), [pack.shape for pack in packs])
                outcome = log.begin(shape.schema_string(), [pack.add for pack in packs], job, deadline)
            else:
                try:
                    outcome = log.commit(view.snapshot, [*removed, *adopted(view.snapshot, packs)], job, deadline)
                except Fault:  # what is not certain is another error there
                    self._may_be_visible = False
                    raise
        self._may_be_visible = isinstance(outcome, Committed)
        return self._may_be_visible

    def abandon(self, packs: Iterable[Uploaded]) -> None:
        """Deletes packs, unless a commit names them, or may. Raises nothing."""
        if self._may_be_visible:
            return
        try:
            self._tiers.packs.discard(packs)
            self.close()
        except Exception as error:  # noqa: BLE001  vacuum removes what is left
            logger.debug("packs of the %s %s are left behind: %s", self.operation.lower(), self.id, error)

    def close(self) -> None:
        """It is over."""
        if self._has_journal:
            self._tiers.journals.close([self.id])
            self._has_journal = False


class PackSender:
    """One stream of rows into packs of a job. `load`: the birth that its packs are marked with (see catalog.LOAD)."""

    def __init__(self, tiers: Tiers, job: LongJob) -> None:
        self.packs: list[Uploaded] = []
        self.load: str | None = None
        self.records = 0
        self._tiers = tiers
        self._job = job
        target = tiers.parts.settings.pack_target_bytes
        self._encoder = ThreadPoolExecutor(1, "dataknobs-encoding")
        self._writer = PackWriter(job.shape, target, companion=tiers.packs.companion, executor=self._encoder)
        self._uploads = ThreadPoolExecutor(1, "dataknobs-packs")
        self._uploading: Future[Uploaded] | None = None
        self._indexes: list[Sequence[int]] = []
        self._gone: set[int] = set()

    def add(self, rows: Rows, indexes: Sequence[int]) -> dict[int, DataknobsDataError]:
        """Takes rows, with their places in the input. Those that have no stored form fail alone: why, by place."""
        bad: dict[int, DataknobsDataError] = {}
        start = 0
        while start < len(rows):
            end = start + self._writer.window
            bad |= self._write(rows.part(start, end), indexes[start:end])
            start = end
        return bad

    def _write(self, rows: Rows, indexes: Sequence[int]) -> dict[int, DataknobsDataError]:
        try:
            shape = grow_for(self._job.shape, rows.datas)
            self._writer.shape = shape
            full = self._writer.add(rows)
        except DataknobsDataError:
            errors = {row: error for row in range(len(rows)) if (error := _unstorable(rows.document(row)))}
            if not errors:
                raise
            good = [index for row, index in enumerate(indexes) if row not in errors]
            bad = {indexes[row]: error for row, error in errors.items()}
            return bad | self._write(rows.without(errors), good) if good else bad
        self._job.shape = shape
        self.records += len(rows)
        self._indexes.append(indexes if isinstance(indexes, range) else array("q", indexes))
        if full:
            self._send(full)
        return {}

    def _send(self, pack: Pack) -> None:
        """Uploads a pack beside the making of the next one."""
        self._arrived()
        path = self._job.new_path()
        upload = self._tiers.packs.upload
        self._uploading = self._uploads.submit(upload, pack, path=path, load=self.load)

    def _arrived(self) -> None:
        if self._uploading:
            self.packs.append(self._uploading.result())
            self._uploading = None

    def finish(self) -> None:
        """All that was added lies in `packs` now."""
        if pack := self._writer.finish():
            self._send(pack)
        self._arrived()
        self._encoder.shutdown()
        self._uploads.shutdown()

    def abandon(self) -> list[Uploaded]:
        """Ends; the packs that were uploaded. Raises nothing."""
        self._encoder.shutdown(wait=True)
        self._uploads.shutdown(wait=True)
        try:
            self._arrived()
        except Exception as error:  # noqa: BLE001  it failed, which was said or does not matter any more
            logger.debug("a pack was not uploaded: %s", error)
        return self.packs

    def withdraw(self, indexes: Iterable[int]) -> None:
        """These are no longer among `indexes`."""
        self._gone.update(indexes)

    def indexes(self) -> Iterator[int]:
        """Places in the input of all documents that were taken."""
        return (index for chunk in self._indexes for index in chunk if index not in self._gone)


def _unstorable(document: Document) -> DataknobsDataError | None:
    try:
        to_tree(document)
    except DataknobsDataError as error:
        return error
    return None
