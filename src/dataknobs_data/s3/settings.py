"""The settings of an S3 database, checked."""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from dataknobs_data.exceptions import ConfigurationError
from dataknobs_data.s3.encryption import Encryption
from dataknobs_data.s3.keys import check_prefix
from dataknobs_data.settings import read_settings, secret

MIB = 1024 * 1024
PART_BYTES_MIN = 5 * MIB
"""Smallest part but the last; https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html."""

OBJECTS, TIERED = LAYOUTS = ("objects", "tiered")

PACK_BYTES_MIN = 64 * 1024

QUERY_BYTES_MIN = 64 * MIB
"""DuckDB needs some 10 MB for each thread: https://duckdb.org/docs/stable/guides/performance/environment."""

LOG_DAYS_MIN = 1
"""`table.upkeep.LOG_RETENTION_MIN`, whose module needs more than a mapping of settings does."""

STORAGE_CLASSES = (
    "STANDARD", "REDUCED_REDUNDANCY", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER", "DEEP_ARCHIVE",
    "OUTPOSTS", "GLACIER_IR", "SNOW", "EXPRESS_ONEZONE", "FSX_OPENZFS",
)  # fmt: skip
"""https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html, x-amz-storage-class."""

AUTHOR_BYTES_MAX = 200
"""It shares the 2 KB of user metadata with marks of our own; https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html."""

_BUCKET = re.compile(r"[A-Za-z0-9._-]{1,255}|arn:[!-~]+")
"""What boto3 takes; the store knows better. https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html"""

_SIZE = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>(?:[kmgt]i?)?b?)", re.IGNORECASE | re.ASCII)

ALIASES = {
    "region_name": "region",
    "aws_access_key_id": "access_key_id",
    "aws_secret_access_key": "secret_access_key",
    "aws_session_token": "session_token",
    "profile_name": "profile",
}


@dataclass(frozen=True)
class S3Settings:
    """Where the records lie, how to get there, and how hard to try.

    bucket, prefix             records are `{prefix}{id}.json` in `bucket`
    region                     default: the AWS chain (environment, profile), then us-east-1
    endpoint_url               another store than AWS; "" means AWS whatever the environment says
    read_endpoint              URL of a cache before the bucket, such as a CloudFront distribution, to read records at
    access_key_id …            explicit credentials; default: the AWS chain; `profile` names one of its profiles
    max_workers                requests in flight at most, over all threads
    max_retries                times a request is sent again at most
    cache_ttl                  seconds that count() and list_ids() may answer from the last listing; 0 turns it off
    cache_bytes                bytes of documents kept in memory to be re-used while their ETag stands, and at most half
                               as many of columns of packs; 0 turns it off
    multipart_threshold        bytes from which a document is uploaded in parts; `multipart_chunksize` bytes each
    storage_class              of documents
    encryption                 "SSE-S3", "SSE-KMS", "DSSE-KMS", or the KMS key (id, alias or ARN) to encrypt documents with
    expected_bucket_owner      account id; requests fail when the bucket belongs to another
    create_bucket              make a missing bucket; default: only on custom endpoints
    author                     who writes, in a word: a name or a job; stands in each version's history
    tags                       mirror metadata as object tags: true, false, or the names to mirror
    layout                     "tiered": single records are objects, many at once go into packs; "objects": one object a record.
                               Default: what is there already, else tiered where the extra `table` is installed
    pack_threshold             records from which a batch or stream goes into packs
    pack_target_bytes          of a pack, about
    log_retention              days (or a timedelta) that commits of the table stay in its log, for `at()` and `vacuum`; at least 1
    grace                      seconds that compaction waits before it deletes what it has folded; longer than any `deadline`
    timeout                    seconds for one request with its retries; deadline: for one operation on one record
    memory_limit               bytes that one SQL statement may take, or text such as "512MB"; beyond, sorts and groups go to
                               temporary files
    query_timeout              seconds for one SQL statement, with the reading of its rows
    require_conditions         refuse a store that ignores conditional requests; false: work without, last writer wins
    """

    bucket: str
    prefix: str = "records/"
    region: str | None = None
    endpoint_url: str | None = None
    read_endpoint: str | None = None
    access_key_id: str | None = None
    secret_access_key: str | None = secret()
    session_token: str | None = secret()
    profile: str | None = None
    max_workers: int = 10
    max_retries: int = 10
    cache_ttl: float = 60.0
    cache_bytes: int = 128 * MIB
    multipart_threshold: int = PART_BYTES_MIN
    multipart_chunksize: int = PART_BYTES_MIN
    storage_class: str | None = None
    encryption: str | None = None
    expected_bucket_owner: str | None = None
    create_bucket: bool | None = None
    author: str | None = None
    tags: bool | list[str] = True
    layout: str | None = None
    pack_threshold: int = 200
    pack_target_bytes: int = 64 * MIB
    log_retention: float = 30.0
    grace: float = 120.0
    timeout: float = 20.0
    deadline: float = 60.0
    memory_limit: int = 1 << 30
    query_timeout: float = 300.0
    require_conditions: bool = True


def s3_settings(config: Mapping[str, Any]) -> S3Settings:
    """Checked settings from a plain mapping. Raises ConfigurationError naming the key."""
    meant = ("endpoint_url", "prefix")  # for which empty text says something
    given = {key: value for key, value in config.items() if value is not None and (value != "" or key in meant)}
    if isinstance(given.get("log_retention"), timedelta):
        given["log_retention"] /= timedelta(days=1)
    if isinstance(limit := given.get("memory_limit"), str):
        given["memory_limit"] = _bytes("memory_limit", limit)
    settings = read_settings(S3Settings, "s3", {"bucket": "", **given}, ALIASES)
    if not settings.bucket:
        raise ConfigurationError("S3 backend requires 'bucket': bucket name is required", key="bucket")
    _check_numbers(settings)
    _check_choices(settings)
    read_endpoint = settings.read_endpoint.rstrip("/") if settings.read_endpoint else None
    return replace(settings, prefix=check_prefix(settings.prefix), read_endpoint=read_endpoint)


def _check_numbers(settings: S3Settings) -> None:
    least = {
        "max_workers": 1, "max_retries": 0, "cache_ttl": 0, "cache_bytes": 0, "multipart_threshold": 1,
        "multipart_chunksize": PART_BYTES_MIN, "timeout": 0.01, "deadline": 0.02, "pack_threshold": 1,
        "pack_target_bytes": PACK_BYTES_MIN, "log_retention": LOG_DAYS_MIN, "memory_limit": QUERY_BYTES_MIN,
        "query_timeout": 0.01,
    }  # fmt: skip
    for name, minimum in least.items():
        if not getattr(settings, name) >= minimum:
            raise ConfigurationError(
                f"s3 backend: {name} is {getattr(settings, name)}, but must be {minimum} or more", key=name
            )
    if settings.deadline <= settings.timeout:
        raise ConfigurationError(
            f"s3 backend: deadline ({settings.deadline} s, a whole operation) must be longer than timeout ({settings.timeout} s, one request)",
            key="deadline",
        )
    if settings.grace <= settings.deadline:
        raise ConfigurationError(
            f"s3 backend: grace ({settings.grace} s) must be longer than deadline ({settings.deadline} s): what compaction "
            "deletes must not be missed by an operation that is still running",
            key="grace",
        )


def _bytes(key: str, text: str) -> int:
    """Of "1073741824", "512MB", "1 GiB"."""
    found = _SIZE.fullmatch(text.strip())
    if not found:
        raise ConfigurationError(
            f"s3 backend: {key} {text!r} is no number of bytes: write 1073741824, or a unit with it, as 512MB or 1GiB",
            key=key,
        )
    step = 1024 if "i" in found["unit"].lower() else 1000
    power = ("", "k", "m", "g", "t").index(found["unit"][:1].lower().replace("b", ""))
    return int(float(found["number"]) * step**power)


def _check_choices(settings: S3Settings) -> None:
    if not _BUCKET.fullmatch(settings.bucket):
        raise ConfigurationError(
            f"s3 backend: bucket {settings.bucket!r} is no bucket's name: 3 to 63 lower-case letters, digits, dots and hyphens, "
            "without prefix and slashes; or an access point's ARN",
            key="bucket",
        )
    if settings.storage_class is not None and settings.storage_class not in STORAGE_CLASSES:
        raise ConfigurationError(
            f"s3 backend: storage_class {settings.storage_class!r} is none of {', '.join(STORAGE_CLASSES)}",
            key="storage_class",
        )
    Encryption.parse(settings.encryption)
    if settings.layout not in (None, *LAYOUTS):
        raise ConfigurationError(
            f"s3 backend: layout {settings.layout!r} is none of {', '.join(LAYOUTS)}", key="layout"
        )
    if bool(settings.access_key_id) != bool(settings.secret_access_key):
        raise ConfigurationError("s3 backend: access_key_id and secret_access_key go together", key="access_key_id")
    if settings.session_token and not settings.access_key_id:
        raise ConfigurationError(
            "s3 backend: session_token goes with access_key_id and secret_access_key", key="session_token"
        )
    if settings.author and len(settings.author.encode()) > AUTHOR_BYTES_MAX:
        raise ConfigurationError(f"s3 backend: author may have at most {AUTHOR_BYTES_MAX} bytes", key="author")
    if settings.endpoint_url:
        _check_url("endpoint_url", settings.endpoint_url, "set access_key_id and secret_access_key instead")
    if settings.read_endpoint:
        _check_url("read_endpoint", settings.read_endpoint, "it is read without any")
        if set("?#") & set(settings.read_endpoint):
            raise ConfigurationError(
                f"s3 backend: read_endpoint {_shown(settings.read_endpoint)!r} must end with its path, without ? and #: keys of "
                "records follow it",
                key="read_endpoint",
            )


def _check_url(key: str, url: str, instead: str) -> None:
    try:
        parts = urllib.parse.urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        usable = False
    if usable and (parts.username or parts.password):
        raise ConfigurationError(f"s3 backend: {key} holds a user name or password; {instead}", key=key)
    if not usable:
        raise ConfigurationError(
            f"s3 backend: {key} {_shown(url)!r} must start with http:// or https:// and name a host", key=key
        )


def _shown(url: str) -> str:
    """A URL without a password, and without what follows its path: there may be a signature."""
    return re.split("[?#]", url.rpartition("@")[2])[0]
