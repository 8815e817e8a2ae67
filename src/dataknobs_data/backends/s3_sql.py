"""SQL over records, of an S3 database alone or joined with others."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from dataknobs_data.aio import AsyncDatabase
from dataknobs_data.database import SyncDatabase
from dataknobs_data.engine import Engine
from dataknobs_data.exceptions import ConfigurationError
from dataknobs_data.s3.archive.skipping import Archived, Skipped, skips
from dataknobs_data.s3.engine import S3Engine
from dataknobs_data.s3.statements import statement_over
from dataknobs_data.select.asynchronous import AsyncSqlResult, started
from dataknobs_data.select.dialect import OWN
from dataknobs_data.select.relation import Relation
from dataknobs_data.select.results import SqlResult
from dataknobs_data.select.running import Parameters, Statement


class AnswersSql(SyncDatabase):
    """A database that takes SQL."""

    def select_query(
        self, sql: str, params: Parameters = None, *, timeout: float | None = None, archived: Archived = "raise"
    ) -> SqlResult:
        """The rows that a SELECT finds `FROM S3Object`: exactly the live records of both tiers, read as far as it needs them.

        The SQL is DuckDB's, and takes S3 Select's forms. Fields are columns: of their type where all values have it, else text;
        what is nested is named by its path, `s.address.city`, `s.tags[0]`. `SELECT *` has the fields that are columns of the table, and
        all others as JSON in `_rest`; `_id`, `_created_at`, `_updated_at` and `_metadata` are there when named.

        params    a sequence for `?` and `$1`, a mapping for `$name`
        timeout   seconds for the statement with the reading of its rows; default: the setting query_timeout
        archived  "raise": RecordArchivedError names the archived packs that may have such rows, and what restoring them costs and
                  takes (`restore(error)` does it). "skip": they are left out; the result's `skipped` has that error, and the log

        It can read nothing else: no files, no network, no settings. Beyond `memory_limit` it goes to temporary files, within
        bounds. Rows stream; see SqlResult. Raises QueryError for what makes no sense, naming the nearest to an unknown name;
        DatabaseOperationError where time or memory do not suffice; ConfigurationError where the extra `sql` is not installed.
        """
        return self.sql(sql, params, timeout=timeout, archived=archived)

    def sql(
        self,
        sql: str,
        params: Parameters = None,
        *,
        timeout: float | None = None,
        archived: Archived = "raise",
        **databases: SyncDatabase,
    ) -> SqlResult:
        """As `select_query`, over several databases: this one is `S3Object`, the others have the names they are given here.

        db.sql("SELECT … FROM S3Object o JOIN customers c ON o.customer = c.id", customers=SQLiteDatabase({…}))
        """
        return self._statement(sql, params, timeout, archived, databases).run()

    def _statement(
        self, sql: str, params: Parameters, timeout: float | None, archived: Archived, databases: Mapping[str, Any]
    ) -> Statement:
        """Not run yet."""
        skipped = Skipped() if skips(archived) else None
        engine = self._ready()
        assert isinstance(engine, S3Engine), "only S3 databases are of this class"
        engines = {OWN: engine} | {name: _engine_of(name, database) for name, database in databases.items()}
        openers = {name: partial(_opened, one, skipped) for name, one in engines.items()}
        return statement_over(engine, sql, params, openers, timeout, skipped)


def _engine_of(name: str, database: Any) -> Engine:
    if isinstance(database, AsyncDatabase):
        database = database.sync
    if not isinstance(database, SyncDatabase):
        raise ConfigurationError(f"sql(): {name} is a {type(database).__name__}, but must be a database", name=name)
    return database._ready()


def _opened(engine: Engine, skipped: Skipped | None, memory_bytes: int) -> Relation:
    from dataknobs_data.s3.relations.openers import relation_of  # imports pyarrow

    return relation_of(engine, memory_bytes, skipped)


class AsyncAnswersSql(AsyncDatabase):
    """AnswersSql for asyncio. A task that is canceled ends its statement."""

    sync: AnswersSql

    async def select_query(
        self, sql: str, params: Parameters = None, *, timeout: float | None = None, archived: Archived = "raise"
    ) -> AsyncSqlResult:
        """See AnswersSql.select_query."""
        return await self.sql(sql, params, timeout=timeout, archived=archived)

    async def sql(
        self,
        sql: str,
        params: Parameters = None,
        *,
        timeout: float | None = None,
        archived: Archived = "raise",
        **databases: SyncDatabase | AsyncDatabase,
    ) -> AsyncSqlResult:
        """See AnswersSql.sql."""
        statement = await self._run(self.sync._statement, sql, params, timeout, archived, databases)
        return await started(statement, self._run)
