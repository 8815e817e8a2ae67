"""Records in an S3 bucket: the database whose only server is an object store."""

from __future__ import annotations

from typing import Any, cast

from dataknobs_data.aio import AsyncDatabase
from dataknobs_data.database import SyncDatabase
from dataknobs_data.documents import check_id
from dataknobs_data.engine import Engine
from dataknobs_data.runtime import Runtime
from dataknobs_data.s3.engine import S3Engine
from dataknobs_data.s3.settings import s3_settings
from dataknobs_data.s3.tags import TagReport
from dataknobs_data.s3.usage import Usage


class S3Database(SyncDatabase):
    """Records as objects `{prefix}{id}.json` of a bucket, on AWS or any compatible store.

    The settings are those of `dataknobs_data.s3.settings.S3Settings`; only `bucket` is required. It connects on first
    use and may be shared by threads; at most `max_workers` requests are in flight.
    """

    backend = "s3"

    @classmethod
    def make_engine(cls, config: dict[str, Any], runtime: Runtime) -> Engine:
        return S3Engine(s3_settings(config), runtime)

    def _s3(self) -> S3Engine:
        return cast(S3Engine, self._ready())

    def tags(self, id: str) -> TagReport | None:
        """The object tags of a record, as the store has them; None where there is no record.

        `.skipped` of the answer names the metadata that is not among them, and why.
        """
        return self._s3().tags(check_id(id))

    @property
    def usage(self) -> Usage:
        """The requests sent by this database since it was opened, by S3 operation, with bytes and dollars."""
        return self._s3().usage


class AsyncS3Database(AsyncDatabase):
    """`S3Database` for asyncio."""

    sync_class = S3Database
    sync: S3Database

    async def tags(self, id: str) -> TagReport | None:
        """See S3Database.tags."""
        return await self._run(self.sync.tags, id)

    @property
    def usage(self) -> Usage:
        """See S3Database.usage."""
        return self.sync.usage


SyncS3Database = S3Database
