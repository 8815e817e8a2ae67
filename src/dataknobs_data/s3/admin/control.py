"""How the helpers of this package speak to the store, and which permission each request takes."""

from __future__ import annotations

from typing import Any

from dataknobs_data.exceptions import DataknobsDataError
from dataknobs_data.runtime import Runtime
from dataknobs_data.s3.calls import Caller, Deadline
from dataknobs_data.s3.fanout import FanOut
from dataknobs_data.s3.faults import public_error
from dataknobs_data.s3.keys import Keys
from dataknobs_data.s3.listing import Lister
from dataknobs_data.s3.packed import NO_PACKS, PackedRecords
from dataknobs_data.s3.place import Place
from dataknobs_data.s3.settings import S3Settings
from dataknobs_data.s3.store import Fault, Kind

PERMISSIONS = {
    "DeleteBucketEncryption": "s3:PutEncryptionConfiguration",
    "DeleteBucketLifecycle": "s3:PutLifecycleConfiguration",
    "DeleteBucketPolicy": "s3:DeleteBucketPolicy",
    "DeleteBucketReplication": "s3:PutReplicationConfiguration",
    "DeleteBucketTagging": "s3:PutBucketTagging",
    "DeletePublicAccessBlock": "s3:PutBucketPublicAccessBlock",
    "GetBucketEncryption": "s3:GetEncryptionConfiguration",
    "GetBucketLifecycleConfiguration": "s3:GetLifecycleConfiguration",
    "GetBucketPolicy": "s3:GetBucketPolicy",
    "GetBucketPolicyStatus": "s3:GetBucketPolicyStatus",
    "GetBucketReplication": "s3:GetReplicationConfiguration",
    "GetBucketTagging": "s3:GetBucketTagging",
    "GetBucketVersioning": "s3:GetBucketVersioning",
    "GetObjectLockConfiguration": "s3:GetBucketObjectLockConfiguration",
    "GetObject": "s3:GetObject and s3:GetObjectVersion",
    "GetObjectLegalHold": "s3:GetObjectLegalHold",
    "GetObjectRetention": "s3:GetObjectRetention",
    "GetObjectTagging": "s3:GetObjectTagging",
    "GetPublicAccessBlock": "s3:GetBucketPublicAccessBlock",
    "HeadBucket": "s3:ListBucket",
    "HeadObject": "s3:GetObject and s3:GetObjectVersion",
    "ListObjectVersions": "s3:ListBucketVersions",
    "ListObjectsV2": "s3:ListBucket",
    "PutBucketEncryption": "s3:PutEncryptionConfiguration",
    "PutBucketLifecycleConfiguration": "s3:PutLifecycleConfiguration",
    "PutBucketPolicy": "s3:PutBucketPolicy",
    "PutBucketReplication": "s3:PutReplicationConfiguration and iam:PassRole",
    "PutBucketTagging": "s3:PutBucketTagging",
    "PutBucketVersioning": "s3:PutBucketVersioning",
    "PutObjectLegalHold": "s3:PutObjectLegalHold",
    "PutObjectLockConfiguration": "s3:PutBucketObjectLockConfiguration",
    "PutObjectRetention": "s3:PutObjectRetention",
    "PutPublicAccessBlock": "s3:PutBucketPublicAccessBlock",
    "RestoreObject": "s3:RestoreObject",
}
"""Request → IAM action; https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html."""


class Control:
    """One database's way to its bucket's control plane: counted, retried and in time as all requests are (calls.py)."""

    def __init__(
        self,
        caller: Caller,
        place: Place,
        keys: Keys,
        settings: S3Settings,
        runtime: Runtime,
        many: FanOut,
        packed: PackedRecords = NO_PACKS,
    ) -> None:
        self.caller = caller
        self.place = place
        self.keys = keys
        self.settings = settings
        self.runtime = runtime
        self.many = many
        self.packed = packed
        self.lister = Lister(caller, keys)

    def send(self, operation: str, doing: str, **parameters: Any) -> dict[str, Any]:
        """The answer to one request (see ObjectStore.control). `doing` says for what, to a person whom it failed."""
        try:
            return self.attempt(operation, **parameters)
        except Fault as fault:
            raise self.error(operation, doing, fault) from fault

    def look(self, operation: str, doing: str, **parameters: Any) -> dict[str, Any] | None:
        """As `send`; None where the bucket or object has no such configuration."""
        try:
            return self.attempt(operation, **parameters)
        except Fault as fault:
            if fault.kind is Kind.UNSET:
                return None
            raise self.error(operation, doing, fault) from fault

    def attempt(self, operation: str, deadline: Deadline | None = None, **parameters: Any) -> dict[str, Any]:
        """As `send`, for a caller who knows what to make of the Fault. All these requests may be sent twice."""
        return self.caller.send(operation, lambda store: store.control(operation, **parameters), deadline)

    def error(self, operation: str, doing: str, fault: Fault) -> DataknobsDataError:
        """The public error for a request that failed, naming the permission where that is what was missing."""
        return public_error(fault, doing, self.place, needs=PERMISSIONS.get(operation), operation=operation)
