"""Records in archive classes: restoring them, and how far that is."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from dataknobs_data.query import Query
from dataknobs_data.s3.engine import S3Engine


class RestoreStatus:
    """How one record stands."""


class Restoration:
    """What was asked for, what it costs and takes, and how far it is."""


class Archive:
    """Restores records that lie in archive classes."""

    def __init__(self, engine: S3Engine) -> None:
        self._engine = engine

    def restore(
        self,
        which: str | Iterable[str] | Query,
        *,
        days: int,
        tier: str,
        wait: bool,
        timeout: float | None,
        on_progress: Callable[[Restoration], None] | None,
        dry_run: bool,
    ) -> Restoration:
        """See S3Database.restore."""
        raise NotImplementedError

    def status(self, which: str | Iterable[str] | Query) -> list[RestoreStatus]:
        """See S3Database.restore_status."""
        raise NotImplementedError
