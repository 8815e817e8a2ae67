"""From an HTTP request to the name of the S3 operation (path-style addresses; AWS's own operation names)."""

from __future__ import annotations

from collections.abc import Mapping

VERBS = {"GET": "Get", "PUT": "Put", "DELETE": "Delete"}
BUCKET_PARTS = {
    "accelerate": "AccelerateConfiguration",
    "acl": "Acl",
    "cors": "Cors",
    "encryption": "Encryption",
    "lifecycle": "LifecycleConfiguration",
    "location": "Location",
    "notification": "NotificationConfiguration",
    "policy": "Policy",
    "replication": "Replication",
    "tagging": "Tagging",
    "versioning": "Versioning",
}
OBJECT_PARTS = {
    "acl": "ObjectAcl",
    "attributes": "ObjectAttributes",
    "legal-hold": "ObjectLegalHold",
    "retention": "ObjectRetention",
    "tagging": "ObjectTagging",
}
BUCKET_METHODS = {"HEAD": "HeadBucket", "PUT": "CreateBucket", "DELETE": "DeleteBucket"}
OBJECT_METHODS = {"GET": "GetObject", "HEAD": "HeadObject", "PUT": "PutObject", "DELETE": "DeleteObject"}
OTHER = "Other"


def operation_of(method: str, bucket: str, key: str, query: Mapping[str, str], headers: Mapping[str, str]) -> str:
    """'PutObject', 'ListObjectsV2', …; 'Other' for what is not in the tables above. Header names are lower case."""
    if key:
        return _of_object(method, query, "x-amz-copy-source" in headers)
    if bucket:
        return _of_bucket(method, query)
    return "ListBuckets" if method == "GET" else OTHER


def _of_bucket(method: str, query: Mapping[str, str]) -> str:
    for part, name in BUCKET_PARTS.items():
        if part in query:
            return f"{VERBS[method]}Bucket{name}" if method in VERBS else OTHER
    if method == "POST":
        return "DeleteObjects" if "delete" in query else OTHER
    if method != "GET":
        return BUCKET_METHODS.get(method, OTHER)
    if "versions" in query:
        return "ListObjectVersions"
    if "uploads" in query:
        return "ListMultipartUploads"
    return "ListObjectsV2" if query.get("list-type") == "2" else "ListObjects"


def _of_object(method: str, query: Mapping[str, str], copies: bool) -> str:
    if "uploadId" in query:
        part = "UploadPartCopy" if copies else "UploadPart"
        names = {"PUT": part, "POST": "CompleteMultipartUpload", "DELETE": "AbortMultipartUpload", "GET": "ListParts"}
        return names.get(method, OTHER)
    if method == "POST":
        names = {"uploads": "CreateMultipartUpload", "restore": "RestoreObject", "select": "SelectObjectContent"}
        return next((name for part, name in names.items() if part in query), OTHER)
    for part, name in OBJECT_PARTS.items():
        if part in query:
            return f"{VERBS[method]}{name}" if method in VERBS else OTHER
    return "CopyObject" if copies and method == "PUT" else OBJECT_METHODS.get(method, OTHER)
