"""A record database whose only server is an object store.

    from dataknobs_data import Query, Record
    from dataknobs_data.backends.s3 import S3Database

    db = S3Database.from_config({"bucket": "my-data-bucket", "prefix": "records/"})
    id = db.create(Record({"name": "Alice", "age": 30}))
    db.search(Query().filter("age", ">=", 18).sort("name"))

This module is the front door: names only. What needs asyncio or YAML is imported when it is first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from dataknobs_data.database import SearchResults, SyncDatabase
from dataknobs_data.exceptions import (
    BackendNotFoundError,
    BatchError,
    ConcurrencyError,
    ConfigurationError,
    DatabaseConnectionError,
    DatabaseOperationError,
    DataFormatError,
    DataknobsDataError,
    DuplicateRecordError,
    IncompatibleStoreError,
    MigrationError,
    OutcomeUnknownError,
    QueryError,
    RecordArchivedError,
    RecordNotFoundError,
    RecordValidationError,
    SerializationError,
    SnapshotExpiredError,
    ThrottledError,
    TimeTravelError,
    TransactionError,
)
from dataknobs_data.fields import Field, FieldType
from dataknobs_data.query import (
    ComplexQuery,
    Filter,
    LogicOperator,
    Operator,
    Query,
    QueryBuilder,
    SortOrder,
    SortSpec,
)
from dataknobs_data.records import Record
from dataknobs_data.streaming import ConflictPolicy, StreamConfig, StreamResult

if TYPE_CHECKING:
    from dataknobs_data.aio import AsyncDatabase
    from dataknobs_data.factory import (
        AsyncDatabaseFactory,
        DatabaseFactory,
        async_database_factory,
        database_factory,
        open_async_url,
        open_url,
    )

__all__ = [
    "AsyncDatabase",
    "AsyncDatabaseFactory",
    "BackendNotFoundError",
    "BatchError",
    "ComplexQuery",
    "ConcurrencyError",
    "ConfigurationError",
    "ConflictPolicy",
    "DataFormatError",
    "DatabaseConnectionError",
    "DatabaseFactory",
    "DatabaseOperationError",
    "DataknobsDataError",
    "DuplicateRecordError",
    "Field",
    "FieldType",
    "Filter",
    "IncompatibleStoreError",
    "LogicOperator",
    "MigrationError",
    "Operator",
    "OutcomeUnknownError",
    "Query",
    "QueryBuilder",
    "QueryError",
    "Record",
    "RecordArchivedError",
    "RecordNotFoundError",
    "RecordValidationError",
    "SearchResults",
    "SerializationError",
    "SnapshotExpiredError",
    "SortOrder",
    "SortSpec",
    "StreamConfig",
    "StreamResult",
    "SyncDatabase",
    "ThrottledError",
    "TimeTravelError",
    "TransactionError",
    "async_database_factory",
    "database_factory",
    "open_async_url",
    "open_url",
]

_LAZY = {
    "AsyncDatabase": "dataknobs_data.aio",
    "AsyncDatabaseFactory": "dataknobs_data.factory",
    "DatabaseFactory": "dataknobs_data.factory",
    "async_database_factory": "dataknobs_data.factory",
    "database_factory": "dataknobs_data.factory",
    "open_async_url": "dataknobs_data.factory",
    "open_url": "dataknobs_data.factory",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
