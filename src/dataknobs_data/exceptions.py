"""Every error this package raises, and what the caller should do about it.

    DataknobsDataError
    ├── ConfigurationError            fix the settings; the message names the key
    │   └── BackendNotFoundError      choose one of the backends it lists (also a ValueError)
    ├── DatabaseConnectionError       the store cannot be reached or refuses us: fix address, credentials, bucket
    ├── DatabaseOperationError        the store failed; `__cause__` has its answer
    │   ├── ThrottledError            the store asks for patience: wait, then try again
    │   ├── OutcomeUnknownError       an answer was lost and cannot be recovered: read before you write again
    │   ├── RecordArchivedError       the record lies in an archive class: restore it first
    │   ├── BatchError                part of a batch failed; it names which part and why
    │   ├── TransactionError          the relational database rolled the work back: try again
    │   ├── SnapshotExpiredError      what was being read has been cleaned away: start the read again
    │   └── TimeTravelError           that instant can no longer be read; the message names the earliest that can
    ├── IncompatibleStoreError        the store lacks what correctness rests on: use another, or degrade knowingly
    ├── RecordNotFoundError           no record has that id
    ├── ConcurrencyError              somebody else changed the record: read it again, decide again
    │   └── DuplicateRecordError      the id is taken (also a ValueError): choose another, or update
    ├── RecordValidationError         the record or id cannot be stored as it is: fix the input (also a ValueError)
    ├── QueryError                    the query makes no sense: fix it (also a ValueError)
    ├── SerializationError            a value has no faithful stored form: convert it first (also a ValueError)
    ├── DataFormatError               stored data is damaged or foreign; nothing was changed
    └── MigrationError                a migration stopped; the message says where

Every error carries `context`, a dict of the facts in its message (ids, keys, versions), for programs that look.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class DataknobsDataError(Exception):
    """The root of all errors of this package. `context` holds the facts behind the message, by name."""

    def __init__(self, message: str, **context: Any) -> None:
        super().__init__(message)
        self.context: dict[str, Any] = context

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.args, self.__dict__)


def _rebuild(cls: type[DataknobsDataError], args: tuple[Any, ...], state: Mapping[str, Any]) -> DataknobsDataError:
    error = cls.__new__(cls)
    error.args = args
    error.__dict__.update(state)
    return error


class ConfigurationError(DataknobsDataError):
    """A setting is missing, unknown or impossible."""


class BackendNotFoundError(ConfigurationError, ValueError):
    """No backend has that name, or its driver is not installed."""


class DatabaseConnectionError(DataknobsDataError):
    """The store cannot be reached, does not know the bucket or database, or refuses the credentials."""


class DatabaseOperationError(DataknobsDataError):
    """The store failed while doing what was asked."""


class ThrottledError(DatabaseOperationError):
    """The store kept answering "slow down" until the deadline of the operation."""


class OutcomeUnknownError(DatabaseOperationError):
    """A write was sent, its answer was lost, and what the store shows now does not tell whether it was applied."""


class RecordArchivedError(DatabaseOperationError):
    """The record's object lies in an archive storage class and must be restored before it can be read."""


class BatchError(DatabaseOperationError):
    """Part of a batch failed; the rest is done.

    `succeeded` maps input index to record id; `failed` maps input index to (record id, error). `stopped`: the store
    could not be reached any more, so nothing after the highest index in either was attempted.
    """

    def __init__(
        self,
        operation: str,
        succeeded: Mapping[int, str],
        failed: Mapping[int, tuple[str | None, DataknobsDataError]],
        *,
        stopped: bool = False,
    ) -> None:
        first = min(failed)
        first_id, error = failed[first]
        total = len(succeeded) + len(failed)
        rest = f" Nothing after index {total - 1} was attempted." if stopped else ""
        super().__init__(
            f"{operation}: {len(failed)} of {total} records failed, the others are done.{rest} "
            f"First: index {first}, id {first_id!r}: {error}",
            operation=operation,
            failed_ids=[record_id for record_id, _ in failed.values()],
        )
        self.operation = operation
        self.succeeded = dict(succeeded)
        self.failed = dict(failed)
        self.stopped = stopped

    @property
    def failed_indices(self) -> list[int]:
        """Input positions that failed, ascending."""
        return sorted(self.failed)


class TransactionError(DatabaseOperationError):
    """The relational database rolled back the work."""


class SnapshotExpiredError(DatabaseOperationError):
    """What a long read was reading has been cleaned away meanwhile."""


class TimeTravelError(DatabaseOperationError):
    """The instant asked for can no longer be read."""


class IncompatibleStoreError(DataknobsDataError):
    """The object store ignores or lacks a condition that correctness rests on; the message says which."""


class RecordNotFoundError(DataknobsDataError):
    """No record has that id."""


class ConcurrencyError(DataknobsDataError):
    """The record is not at the version that was expected. Context: id, expected_version, actual_version."""


class DuplicateRecordError(ConcurrencyError, ValueError):
    """A record of that id exists already. Context: id."""


class RecordValidationError(DataknobsDataError, ValueError):
    """The record, its id or one of its fields cannot be stored as it is."""


class QueryError(DataknobsDataError, ValueError):
    """A query names an unknown operator, gives a value of the wrong kind, or asks for what the backend cannot do."""


class SerializationError(DataknobsDataError, ValueError):
    """A value has no faithful stored form. The message names its path and type."""


class DataFormatError(DataknobsDataError):
    """Stored data is damaged, truncated or written by something else. The message names the key."""


class MigrationError(DataknobsDataError):
    """A migration stopped. The message says after how many records, and why."""
