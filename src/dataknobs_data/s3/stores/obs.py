"""GET, PUT and some listings through obstore (Rust): 3 to 5 times the throughput of boto3 on the same cores. The rest stays
with boto3."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import boto3
from obstore.auth.boto3 import Boto3CredentialProvider
from obstore.exceptions import BaseError, InvalidPathError, NotModifiedError, UnauthenticatedError
from obstore.store import S3Store

from dataknobs_data.s3.encryption import Encryption
from dataknobs_data.s3.listing import PAGE_KEYS
from dataknobs_data.s3.place import Place
from dataknobs_data.s3.store import Absent, Blob, Condition, Fault, Kind, Listed, Page, PutOptions
from dataknobs_data.s3.stores.boto import BotoStore
from dataknobs_data.s3.stores.checksums import Checksum
from dataknobs_data.s3.stores.failures import kind_of

if TYPE_CHECKING:
    from obstore import GetOptions, ObjectMeta, PutMode
    from obstore.store import ClientConfig

CREDENTIALS_GOOD_FOR = timedelta(minutes=10)
"""botocore refreshes credentials in the last 15 minutes of their life, so what it hands out is good for longer."""

READ_SECONDS_MAX = 3600
"""A large document may take long to arrive as long as bytes keep coming; reading it is one snapshot however long it takes."""

SHA256: dict[str, Any] = {"checksum_algorithm": "SHA256"}

_PLAIN = re.compile(r"(?:(?!\.{1,2}/)[\w.=-]+/)+", re.ASCII)
"""Folders that obstore asks for as they are."""

_STATUS = re.compile(r"status code: (\d{3})")
_CODE = re.compile(r"<Code>(\w+)</Code>")
_MESSAGE = re.compile(r"<Message>([^<]*)</Message>")
_CONNECT = re.compile(r"HttpError \{\s*kind: Connect,")


class ObstoreStore(BotoStore):
    """A BotoStore whose GETs and PUTs go through obstore, without its retries: those are in calls.py, for all SDKs alike."""

    def __init__(
        self, boto: BotoStore, session: boto3.Session, place: Place, attempt_seconds: float, ca_bundle: bytes | None
    ) -> None:
        super().__init__(boto._client, boto.bucket, boto.region, boto.encryption, None)
        common: dict[str, Any] = {
            # By this name: as `endpoint` it would yield to AWS_ENDPOINT_URL_S3, even where that is not what boto3 obeys.
            "aws_endpoint_url_s3": place.bucket_url() if place.virtual_hosted else place.endpoint,
            "region": boto.region,
            "credential_provider": Boto3CredentialProvider(session, ttl=CREDENTIALS_GOOD_FOR),
            "virtual_hosted_style_request": place.virtual_hosted,
            "retry_config": {"max_retries": 0, "retry_timeout": timedelta(0)},
            **_encryption(boto.encryption),
        }
        attempt = timedelta(seconds=attempt_seconds)
        http: ClientConfig = {
            "allow_http": place.endpoint.startswith("http://"),
            "connect_timeout": min(attempt, timedelta(seconds=5)),
        }
        if place.endpoint.startswith("http://"):
            # There are none. It spares each of the two clients 5 ms, in which it would read the system's.
            http["allow_invalid_certificates"] = True
        if ca_bundle:
            http["root_certificate"] = ca_bundle
        read: ClientConfig = {**http, "timeout": timedelta(seconds=READ_SECONDS_MAX), "read_timeout": attempt}
        self._reads = S3Store(boto.bucket, client_options=read, **common)
        self._open_writes = partial(S3Store, boto.bucket, client_options={**http, "timeout": attempt}, **common)
        self._checksum = Checksum.SHA256 if place.behaves_like_aws else Checksum.NONE
        self._writes = self._open_writes(**(SHA256 if place.behaves_like_aws else {}))

    def get(self, key: str, *, unless_etag: str | None = None, version_id: str | None = None) -> Blob | None:
        options: GetOptions = {}
        if unless_etag:
            options["if_none_match"] = unless_etag
        if version_id:
            options["version"] = version_id
        with _faults(key):
            try:
                answer = self._reads.get(key, options=options)
            except NotModifiedError:
                return None
            body = memoryview(answer.bytes())
        meta = answer.meta
        metadata = {name.lower(): value for name, value in answer.attributes.items()}
        return Blob(body, meta["e_tag"] or "", metadata, meta["last_modified"], meta["version"])

    def get_range(self, key: str, offset: int, length: int, *, version_id: str | None = None) -> bytes | memoryview:
        with _faults(key):
            if version_id is None:
                return memoryview(self._reads.get_range(key, start=offset, length=length))
            options: GetOptions = {"range": (offset, offset + length), "version": version_id}
            return memoryview(self._reads.get(key, options=options).bytes())

    def list_folder(self, folder: str, start_after: str) -> Page | None:
        if not _PLAIN.fullmatch(folder):
            return super().list_folder(folder, start_after)
        with _faults(folder):
            try:
                lines = next(iter(self._reads.list(folder, offset=start_after, chunk_size=PAGE_KEYS)), ())
            except InvalidPathError:  # of a stranger all the same
                return None
        if not lines:  # to obstore, any XML is a listing
            return None
        items = [_listed(line) for line in lines]
        return Page(items, items[-1].key if len(items) == PAGE_KEYS else None)  # it does not say whether there are more

    def put(self, key: str, body: bytes | memoryview, options: PutOptions, condition: Condition) -> str:
        attributes = {"Content-Type": options.content_type, **options.metadata}
        if options.storage_class:
            attributes["Storage-Class"] = options.storage_class
        mode: PutMode = (
            "overwrite"
            if condition is None
            else "create"
            if isinstance(condition, Absent)
            else {"e_tag": condition.etag}
        )
        tags = dict(options.tags) if options.tags else None

        def send() -> str:
            if self._checksum is Checksum.MD5:
                return super(ObstoreStore, self).put(key, body, options, condition)
            with _faults(key):
                answer = self._writes.put(key, body, attributes=attributes, tags=tags, mode=mode, use_multipart=False)
            return answer["e_tag"] or ""

        return self._with_checksum_if_asked(send)

    def _send_checksums(self, wanted: Checksum) -> None:
        self._writes = self._open_writes(**SHA256)
        super()._send_checksums(wanted)


def _listed(line: ObjectMeta) -> Listed:
    return Listed(line["path"], line["e_tag"] or "", line["size"], "", line["last_modified"].isoformat())


def _encryption(encryption: Encryption | None) -> dict[str, Any]:
    if not encryption:
        return {}
    key = {"sse_kms_key_id": encryption.kms_key} if encryption.kms_key else {}
    bucket_key = {"sse_bucket_key_enabled": True} if encryption.can_have_bucket_key else {}
    return {"server_side_encryption": encryption.algorithm, **key, **bucket_key}


@contextmanager
def _faults(key: str) -> Iterator[None]:
    """Turns every error of obstore into a Fault. obstore 0.12 tells status and S3's error code only in its message, which
    may also hold what a traceback should not show (S3 repeats tokens), so the Fault does not carry it on.
    """
    try:
        yield
    except UnauthenticatedError as error:
        raise fault_of(str(error), key, Kind.CREDENTIALS) from None
    except (BaseError, FileNotFoundError, NotImplementedError, ValueError) as error:
        raise fault_of(str(error), key) from None


def fault_of(message: str, key: str, without_status: Kind | None = None) -> Fault:
    """The Fault behind an obstore error message about `key`, whose own text must not be read as an answer."""
    message = message.replace(key, "…")
    status = _found(_STATUS, message)
    if status is None:
        return Fault(without_status or _kind_without_status(message), message.partition("\n")[0])
    code = _found(_CODE, message)
    detail = ", ".join(part for part in (f"HTTP {status}", code, _found(_MESSAGE, message)) if part)
    return Fault(kind_of(int(status), code), detail, status=int(status), code=code)


def _kind_without_status(message: str) -> Kind:
    if _CONNECT.search(message):
        return Kind.UNREACHABLE
    return Kind.REGION if "redirect without LOCATION" in message else Kind.NETWORK


def _found(pattern: re.Pattern[str], text: str) -> str | None:
    match = pattern.search(text)
    return match[1] if match else None
