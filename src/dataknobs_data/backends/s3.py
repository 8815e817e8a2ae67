"""Records in an S3 bucket: the database whose only server is an object store."""

from __future__ import annotations

from dataknobs_data.backends.s3_async import AsyncS3Database, AsyncS3Past
from dataknobs_data.backends.s3_database import S3Database, S3Past
from dataknobs_data.s3.admin.cost_tags import CostShare, CostTags
from dataknobs_data.s3.admin.encryption import BucketEncryption, ObjectEncryption
from dataknobs_data.s3.admin.lifecycle.section import Lifecycle
from dataknobs_data.s3.admin.object_lock import BucketLock, Lock, ObjectLock
from dataknobs_data.s3.admin.plan import Plan
from dataknobs_data.s3.admin.policy.section import BucketPolicy
from dataknobs_data.s3.admin.public_access import PublicAccess
from dataknobs_data.s3.admin.replication.role import RoleDocuments
from dataknobs_data.s3.admin.replication.section import Replication
from dataknobs_data.s3.admin.versions import Version
from dataknobs_data.s3.archive.states import Restoration, RestoreState, RestoreStatus
from dataknobs_data.s3.costs.explain import Explain
from dataknobs_data.s3.costs.prices import ClassPrices, Prices, Tier
from dataknobs_data.s3.costs.restoring import Offer, RestoreEstimate
from dataknobs_data.s3.costs.storage import StorageEstimate
from dataknobs_data.s3.costs.usage import Measured, Usage
from dataknobs_data.s3.costs.work import CompactEstimate, CreateEstimate, SearchEstimate
from dataknobs_data.s3.delta import DeltaAddress, Options
from dataknobs_data.s3.tags import TagReport
from dataknobs_data.s3.tiered.reports import (
    CommitTime,
    CompactProgress,
    CompactReport,
    LogEntry,
    SizeClass,
    TableStats,
    VacuumReport,
)
from dataknobs_data.select.asynchronous import AsyncSqlResult
from dataknobs_data.select.results import SqlResult

__all__ = [
    "AsyncS3Database",
    "AsyncS3Past",
    "AsyncSqlResult",
    "BucketEncryption",
    "BucketLock",
    "BucketPolicy",
    "ClassPrices",
    "CommitTime",
    "CompactEstimate",
    "CompactProgress",
    "CompactReport",
    "CostShare",
    "CostTags",
    "CreateEstimate",
    "DeltaAddress",
    "Explain",
    "Lifecycle",
    "Lock",
    "LogEntry",
    "Measured",
    "ObjectEncryption",
    "ObjectLock",
    "Offer",
    "Options",
    "Plan",
    "Prices",
    "PublicAccess",
    "Replication",
    "Restoration",
    "RestoreEstimate",
    "RestoreState",
    "RestoreStatus",
    "RoleDocuments",
    "S3Database",
    "S3Past",
    "SearchEstimate",
    "SizeClass",
    "SqlResult",
    "StorageEstimate",
    "SyncS3Database",
    "TableStats",
    "TagReport",
    "Tier",
    "Usage",
    "VacuumReport",
    "Version",
]

SyncS3Database = S3Database
