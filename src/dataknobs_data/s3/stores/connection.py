"""From settings to a connected store: credentials, endpoint and region as boto3 finds them, the same for every SDK."""

from __future__ import annotations

import functools
import logging
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    InvalidRegionError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
)
from botocore.loaders import Loader, create_loader

from dataknobs_data.exceptions import ConfigurationError, DatabaseConnectionError
from dataknobs_data.forks import inherited
from dataknobs_data.s3.encryption import Encryption
from dataknobs_data.s3.place import Place
from dataknobs_data.s3.settings import S3Settings
from dataknobs_data.s3.store import ObjectStore
from dataknobs_data.s3.stores.boto import BotoStore
from dataknobs_data.s3.stores.checksums import add_content_md5
from dataknobs_data.s3.stores.parsing import ListingParserFactory

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


OBJECT_STORE_ONLY = frozenset({
    "AWS_CONDITIONAL_PUT", "AWS_COPY_IF_NOT_EXISTS", "AWS_DISABLE_TAGGING", "AWS_REQUEST_PAYER", "AWS_S3_EXPRESS",
    "AWS_SERVER_SIDE_ENCRYPTION", "AWS_SKIP_SIGNATURE", "AWS_SSE_BUCKET_KEY_ENABLED", "AWS_SSE_CUSTOMER_KEY_BASE64",
    "AWS_SSE_KMS_KEY_ID", "AWS_UNSIGNED_PAYLOAD", "AWS_CHECKSUM_ALGORITHM", "AWS_VIRTUAL_HOSTED_STYLE_REQUEST",
})  # fmt: skip
"""Variables that object_store (under obstore 0.12) obeys and botocore does not know; they cannot be turned off."""

REGION = "us-east-1"
"""Where nothing says another."""

logger = logging.getLogger("dataknobs_data.s3")


def open_store(settings: S3Settings) -> tuple[ObjectStore, Place]:
    """A store for these settings and where it is. Sends nothing yet.

    Raises DatabaseConnectionError when there are no credentials, ConfigurationError for an unknown profile or region.
    """
    try:
        session = _session(settings)
        if session.get_credentials() is None:
            raise DatabaseConnectionError(
                "no AWS credentials found: set access_key_id and secret_access_key, the environment variables AWS_ACCESS_KEY_ID "
                "and AWS_SECRET_ACCESS_KEY, or a profile",
                bucket=settings.bucket,
            )
        client = _client(session, settings)
    except (NoCredentialsError, PartialCredentialsError) as error:
        raise DatabaseConnectionError(f"incomplete AWS credentials: {error}", bucket=settings.bucket) from error
    except (ProfileNotFound, InvalidRegionError) as error:
        raise ConfigurationError(f"s3 backend: {error}") from error
    except (BotoCoreError, ValueError) as error:
        raise ConfigurationError(f"s3 backend: no connection can be set up: {error}") from error
    place = Place(settings.bucket, client.meta.endpoint_url, mocked=_mocked())
    boto = BotoStore(
        client,
        settings.bucket,
        client.meta.region_name,
        Encryption.parse(settings.encryption),
        settings.expected_bucket_owner,
    )
    return _with_obstore(boto, session, settings, place), place


@dataclass(frozen=True)
class Access:
    """What another program needs to get in beside the address. Without credentials where none are found."""

    region: str
    key_id: str | None
    secret: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)


def access_of(settings: S3Settings) -> Access:
    """Region and credentials as boto3 finds them at this moment. Raises ConfigurationError as `open_store` does."""
    try:
        session = _session(settings)
        found = session.get_credentials()
        frozen = found.get_frozen_credentials() if found else None
    except BotoCoreError as error:
        raise ConfigurationError(f"s3 backend: no credentials can be found: {error}") from error
    region = session.region_name or REGION
    return Access(region, frozen.access_key, frozen.secret_key, frozen.token) if frozen else Access(region, None)


def _session(settings: S3Settings) -> boto3.Session:
    core = botocore.session.Session(profile=settings.profile)
    core.register_component("data_loader", _loader(core.get_config_variable("data_path")))
    core.register_component("response_parser_factory", ListingParserFactory())
    return boto3.Session(
        botocore_session=core,
        aws_access_key_id=settings.access_key_id,
        aws_secret_access_key=settings.secret_access_key,
        aws_session_token=settings.session_token,
        region_name=settings.region,
    )


@functools.cache
def _loader(data_path: str | None) -> Loader:
    """botocore's descriptions of the services, read once a process: two thirds of the time that opening takes."""
    return create_loader(data_path)


def _client(session: boto3.Session, settings: S3Settings) -> S3Client:
    attempt = attempt_seconds(settings)
    options: dict[str, Any] = {
        "connect_timeout": min(5.0, attempt),
        "read_timeout": attempt,
        "retries": {"total_max_attempts": 1},  # retries are ours (calls.py), the same for every SDK
        "max_pool_connections": settings.max_workers + 2,
        "ignore_configured_endpoint_urls": True if settings.endpoint_url == "" else None,
    }
    region = session.region_name or REGION
    endpoint = settings.endpoint_url or ""
    if not endpoint or Place(settings.bucket, endpoint).is_aws:
        client = session.client("s3", endpoint_url=endpoint or None, region_name=region, config=Config(**options))
        endpoint = client.meta.endpoint_url
        if Place(settings.bucket, endpoint).is_aws:
            _presign_as_s3_wants_it(client)
            return client
    # boto3 >= 1.36 adds CRC32 checksums that some compatible stores refuse: only where the API requires them.
    compatible = Config(
        **options,
        s3={"addressing_style": "path"},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    client = session.client("s3", endpoint_url=endpoint, region_name=region, config=compatible)
    _presign_as_s3_wants_it(client)
    # DeleteObjects needs a checksum of its body, and stores that go back to MinIO's older code know only this one.
    client.meta.events.register("before-sign.s3.DeleteObjects", add_content_md5)
    client.meta.events.register("before-endpoint-resolution.s3", _follow_no_redirect)
    return client


def _presign_as_s3_wants_it(client: S3Client) -> None:
    """Signature version 4 and the region's own address. botocore still presigns with version 2 where a region takes it, and
    for `s3.amazonaws.com`, which redirects to a region that this signature is not for:
    https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html.
    """

    def version_4(signature_version: str, **_: Any) -> str | None:
        return "s3v4-query" if signature_version in ("v4-query", "s3v4-query", "s3-query") else None

    def in_its_region(context: dict[str, Any], **_: Any) -> None:
        context["use_global_endpoint"] = False

    events: Any = client.meta.events  # the stubs know no handler that answers
    events.register_first("choose-signer.s3.GetObject", version_4)
    events.register_first("before-endpoint-resolution.s3", in_its_region)


def _follow_no_redirect(context: dict[str, Any], **_: Any) -> None:
    """A redirect is an answer, and off AWS no word about a region: botocore would ask for that, is redirected again, and
    goes on until Python's stack is full.
    """
    context.get("s3_redirect", {})["redirected"] = True


def attempt_seconds(settings: S3Settings) -> float:
    """How long one attempt of a request may take, so that it and its last retry fit into `timeout`."""
    return settings.timeout / 2


def _with_obstore(boto: BotoStore, session: boto3.Session, settings: S3Settings, place: Place) -> ObjectStore:
    """The data plane through obstore, 3 to 5 times as fast as boto3, wherever it can be."""
    if inherited("obstore"):
        return boto
    if place.mocked or settings.expected_bucket_owner or settings.bucket.startswith("arn:") or _meddles(os.environ):
        return boto  # moto patches boto3 only; obstore 0.12 cannot sign x-amz-expected-bucket-owner nor address an ARN
    try:
        from obstore.exceptions import BaseError

        from dataknobs_data.s3.stores.obs import ObstoreStore
    except ImportError as error:
        if error.name and error.name.partition(".")[0] == "obstore":
            return boto
        raise
    try:
        return ObstoreStore(boto, session, place, attempt_seconds(settings), _ca_bundle(session))
    except (BaseError, ValueError, OSError) as error:
        raise ConfigurationError(f"s3 backend: no connection can be set up: {error}") from error


def _meddles(environment: Mapping[str, str]) -> bool:
    """Whether the environment sets what object_store reads there and boto3 does not: both must do the same."""
    found = sorted(name for name in environment if name.upper() in OBJECT_STORE_ONLY)
    if found:
        logger.warning("requests go through boto3, more slowly, because of %s in the environment", ", ".join(found))
    return bool(found)


def _ca_bundle(session: boto3.Session) -> bytes | None:
    """The certificates that boto3 would trust, where the user named a file of them."""
    core = session._session
    path = core.get_config_variable("ca_bundle") or os.environ.get("REQUESTS_CA_BUNDLE")
    return Path(path).read_bytes() if path else None


def _mocked() -> bool:
    """Whether `moto.mock_aws()` is active: then only boto3 meets the mock."""
    models = sys.modules.get("moto.core.models")
    return bool(models and models.botocore_stubber.enabled)
