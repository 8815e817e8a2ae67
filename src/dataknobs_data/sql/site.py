"""A relational database that can be connected to, and the one place where its errors become ours."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from dataknobs_data.exceptions import (
    DatabaseConnectionError,
    DatabaseOperationError,
    DataknobsDataError,
    OutcomeUnknownError,
    TransactionError,
)
from dataknobs_data.sql.dialect import Dialect


class Site(ABC):
    """Where the records are: one table of one database."""

    dialect: ClassVar[Dialect]
    table: str
    schema: str | None = None
    pool_size: int
    """Connections that are kept; as many again are opened when they are all busy."""
    streams = True
    """Whether a read may stay open while others write."""

    @property
    @abstractmethod
    def place(self) -> str:
        """Which database this is, for messages; no secrets."""

    @abstractmethod
    def make_pool(self) -> sa.Engine:
        """A pool of connections, none of them opened yet."""

    @abstractmethod
    def is_unreachable(self, error: BaseException) -> bool:
        """Whether the driver's error says that there is no connection."""

    @abstractmethod
    def is_conflict(self, error: BaseException) -> bool:
        """Whether the driver's error says that the transaction lost against another one and may be tried again."""

    @abstractmethod
    def advice(self, error: BaseException) -> str:
        """What to do about the driver's error; empty where there is nothing to say."""

    # ------------------------------------------------------------------ errors
    @contextmanager
    def translating(self) -> Iterator[None]:
        """Within it, errors of SQLAlchemy and the driver are raised as ours."""
        try:
            yield
        except SQLAlchemyError as error:
            raise self._translated(error) from error

    @contextmanager
    def committing(self) -> Iterator[None]:
        """Around a commit: when the connection breaks there, nobody knows whether the changes are in."""
        try:
            yield
        except DBAPIError as error:
            if not error.connection_invalidated:
                raise
            raise OutcomeUnknownError(
                f"{self.place}: the connection broke while changes were committed ({_first_line(error.orig)}); "
                "read the records to see whether they are in"
            ) from error

    def _translated(self, error: SQLAlchemyError) -> DataknobsDataError:
        if isinstance(error, PoolTimeoutError):
            return DatabaseOperationError(
                f"{self.place}: all {2 * self.pool_size} connections were busy for too long; finish or close streams that "
                "are being read, or use a larger 'pool_size'"
            )
        cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
        message = "; ".join(filter(None, (f"{self.place}: {_first_line(cause)}", self.advice(cause))))
        if self.is_conflict(cause):
            return TransactionError(message)
        if self.is_unreachable(cause) or (isinstance(error, DBAPIError) and error.connection_invalidated):
            return DatabaseConnectionError(message)
        return DatabaseOperationError(message)


def _first_line(error: BaseException | None) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
