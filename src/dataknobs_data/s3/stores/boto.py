"""The object store port over boto3: everything S3 can do. Used for what obstore cannot, and for all of it without obstore."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, urlencode

from botocore import xform_name
from botocore.exceptions import ClientError

from dataknobs_data.s3.encryption import Encryption
from dataknobs_data.s3.store import (
    Absent,
    Blob,
    Condition,
    Fault,
    Head,
    Kind,
    Listed,
    ListedVersion,
    Match,
    Page,
    PutOptions,
    VersionPage,
)
from dataknobs_data.s3.stores.checksums import Checksum, add_content_md5, asks_for_checksum
from dataknobs_data.s3.stores.failures import fault_of_answer, faults, status_of

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

T = TypeVar("T")


class BotoStore:
    """One bucket through a boto3 client whose own retries are off."""

    def __init__(
        self, client: S3Client, bucket: str, region: str, encryption: Encryption | None, owner: str | None
    ) -> None:
        self.bucket = bucket
        self.region = region
        self.encryption = encryption
        self._client = client
        self._where: Any = {"Bucket": bucket, **({"ExpectedBucketOwner": owner} if owner else {})}
        self._checksum = Checksum.NONE

    def close(self) -> None:
        self._client.close()

    # ------------------------------------------------------------------ objects
    def get(self, key: str, *, unless_etag: str | None = None, version_id: str | None = None) -> Blob | None:
        extra: Any = _given(IfNoneMatch=unless_etag, VersionId=version_id)
        with faults():
            try:
                answer = self._client.get_object(**self._where, Key=key, **extra)
            except ClientError as error:
                if status_of(error) == 304:
                    return None
                raise
            body = answer["Body"].read()
            return Blob(
                body, answer["ETag"], answer["Metadata"], text_time(answer["LastModified"]), answer.get("VersionId")
            )

    def get_range(self, key: str, offset: int, length: int, *, version_id: str | None = None) -> bytes | memoryview:
        extra: Any = _given(VersionId=version_id)
        wanted = f"bytes={offset}-{offset + length - 1}"
        with faults():
            return self._client.get_object(**self._where, Key=key, Range=wanted, **extra)["Body"].read()

    def head(self, key: str, *, version_id: str | None = None) -> Head:
        extra: Any = _given(VersionId=version_id)
        with faults(bare_404=Kind.MISSING):
            answer = self._client.head_object(**self._where, Key=key, **extra)
            now = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
            return Head(
                etag=answer["ETag"],
                size=answer["ContentLength"],
                metadata=answer["Metadata"],
                modified=text_time(answer["LastModified"]),
                storage_class=answer.get("StorageClass", "STANDARD"),
                restore=answer.get("Restore"),
                now=text_time(now) if now else None,
                archive_status=answer.get("ArchiveStatus"),
            )

    def put(self, key: str, body: bytes | memoryview, options: PutOptions, condition: Condition) -> str:
        def send() -> str:
            content: Any = body if isinstance(body, bytes) else io.BufferedReader(_View(body))
            with faults():
                return self._client.put_object(
                    **self._where, Key=key, Body=content, **self._headers(options), **_condition(condition)
                )["ETag"]

        return self._with_checksum_if_asked(send)

    def delete(self, key: str, condition: Match | None) -> None:
        with faults():
            self._client.delete_object(**self._where, Key=key, **_condition(condition))

    def delete_many(self, keys: Sequence[str]) -> dict[str, Fault]:
        with faults():
            answer = self._client.delete_objects(
                **self._where, Delete={"Objects": [{"Key": key} for key in keys], "Quiet": True}
            )
        return {e["Key"]: fault_of_answer(None, e.get("Code"), e.get("Message", "")) for e in answer.get("Errors", ())}

    def list_page(self, prefix: str, *, token: str | None = None, start_after: str | None = None) -> Page:
        extra: Any = _given(ContinuationToken=token, StartAfter=start_after)
        with faults():
            answer = self._client.list_objects_v2(**self._where, Prefix=prefix, **extra)
            lines: Any = answer.get("Contents", ())  # as stores/parsing.py makes them: times are text
            items = [
                Listed(line["Key"], line["ETag"], line["Size"], line["StorageClass"], line["LastModified"])
                for line in lines
            ]
            return Page(items, answer["NextContinuationToken"] if answer["IsTruncated"] else None)

    def list_folder(self, folder: str, start_after: str) -> Page | None:
        return self.list_page(folder, start_after=start_after)

    def list_versions(self, prefix: str, *, after: tuple[str, str | None] | None = None) -> VersionPage:
        extra: Any = _given(KeyMarker=after and after[0], VersionIdMarker=after and after[1])
        with faults():
            answer = self._client.list_object_versions(**self._where, Prefix=prefix, **extra)
            lines = _in_order(answer)
            more = (answer["NextKeyMarker"], answer["NextVersionIdMarker"]) if answer["IsTruncated"] else None
            return VersionPage([_listed_version(line) for line in lines], more)

    def get_tags(self, key: str) -> dict[str, str]:
        with faults():
            answer = self._client.get_object_tagging(**self._where, Key=key)
            return {tag["Key"]: tag["Value"] for tag in answer["TagSet"]}

    # ------------------------------------------------------------------ multipart uploads
    def create_upload(self, key: str, options: PutOptions) -> str:
        with faults():
            return self._client.create_multipart_upload(**self._where, Key=key, **self._headers(options))["UploadId"]

    def upload_part(self, key: str, upload_id: str, number: int, body: memoryview) -> str:
        def send() -> str:
            part: Any = io.BufferedReader(_View(body))
            with faults():
                return self._client.upload_part(
                    **self._where, Key=key, UploadId=upload_id, PartNumber=number, Body=part, ContentLength=len(body)
                )["ETag"]

        return self._with_checksum_if_asked(send)

    def complete_upload(self, key: str, upload_id: str, etags: Sequence[str], condition: Condition) -> str:
        parts: Any = [{"PartNumber": number, "ETag": etag} for number, etag in enumerate(etags, 1)]
        with faults():
            return self._client.complete_multipart_upload(
                **self._where, Key=key, UploadId=upload_id, MultipartUpload={"Parts": parts}, **_condition(condition)
            )["ETag"]

    def abort_upload(self, key: str, upload_id: str) -> None:
        with faults():
            self._client.abort_multipart_upload(**self._where, Key=key, UploadId=upload_id)

    # ------------------------------------------------------------------ checksums
    def _with_checksum_if_asked(self, send: Callable[[], T]) -> T:
        """Sends again, with a checksum from now on, what the store refused for having none."""
        while True:
            sent = self._checksum
            try:
                return send()
            except Fault as fault:
                if sent is Checksum.MD5 or not asks_for_checksum(fault):
                    raise
            self._send_checksums(Checksum(sent + 1))

    def _send_checksums(self, wanted: Checksum) -> None:
        """boto3 sends the oldest of them at once: every store knows it."""
        for operation in ("PutObject", "UploadPart"):
            event = f"before-sign.s3.{operation}"
            self._client.meta.events.register(event, add_content_md5, unique_id=f"{event} content-md5")
        self._checksum = max(self._checksum, wanted)

    # ------------------------------------------------------------------ the bucket
    def head_bucket(self) -> None:
        with faults(bare_404=Kind.NO_BUCKET):
            self._client.head_bucket(**self._where)

    def create_bucket(self) -> None:
        # us-east-1 is the one region that must not be named: API_CreateBucket, LocationConstraint.
        place: Any = (
            {} if self.region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": self.region}}
        )
        try:
            with faults():
                self._client.create_bucket(Bucket=self.bucket, **place)
        except Fault as fault:
            if fault.code not in ("BucketAlreadyOwnedByYou", "BucketAlreadyExists"):
                raise

    def control(self, operation: str, **parameters: Any) -> dict[str, Any]:
        where = {} if "Bucket" in parameters else self._where
        with faults(bare_404=Kind.MISSING if operation.startswith("Head") else Kind.SERVER):
            answer: dict[str, Any] = getattr(self._client, xform_name(operation))(**where, **parameters)
        return answer

    def presign(self, key: str, seconds: int, *, version_id: str | None = None) -> str:
        # Without the expected owner: it would be signed as a header, which no browser sends.
        parameters = {"Bucket": self.bucket, "Key": key, **_given(VersionId=version_id)}
        with faults():
            return self._client.generate_presigned_url("get_object", Params=parameters, ExpiresIn=seconds)

    def _headers(self, options: PutOptions) -> Any:
        headers = {
            "ContentType": options.content_type,
            "Metadata": dict(options.metadata),
            **(self.encryption.parameters() if self.encryption else {}),
        }
        if options.tags:
            headers["Tagging"] = tag_header(options.tags)
        if options.storage_class:
            headers["StorageClass"] = options.storage_class
        return headers


def _in_order(answer: Any) -> list[Any]:
    """The lines of a listing of versions as they came, which is newest first (see stores/parsing.py)."""
    by_kind = {"Version": iter(answer.get("Versions", ())), "DeleteMarker": iter(answer.get("DeleteMarkers", ()))}
    return [next(by_kind[kind]) for kind in answer["Lines"]]


def _listed_version(line: Any) -> ListedVersion:
    owner = line.get("Owner", {})
    return ListedVersion(
        key=line["Key"],
        version_id=line["VersionId"],
        modified=text_time(line["LastModified"]),
        is_latest=line["IsLatest"],
        is_delete_marker="ETag" not in line,
        owner=owner.get("DisplayName") or owner.get("ID"),
        etag=line.get("ETag", ""),
        size=line.get("Size", 0),
        storage_class=line.get("StorageClass", "STANDARD"),
    )


class _View(io.RawIOBase):
    """A part of a document as a file, without copying it."""

    def __init__(self, body: memoryview) -> None:
        self._body = body
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: len(self._body)}[whence]
        self._at = start + offset
        return self._at

    def readinto(self, buffer: Any) -> int:
        piece = self._body[self._at : self._at + len(buffer)]
        buffer[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)


def tag_header(tags: Mapping[str, str]) -> str:
    """Tags as the x-amz-tagging header wants them: a URL query."""
    return urlencode(tags, quote_via=quote)


def text_time(value: Any) -> datetime:
    """A store's timestamp as an instant: HTTP dates and ISO 8601 arrive as text (see parsing.py)."""
    if isinstance(value, datetime):
        return value
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        moment = parsedate_to_datetime(value)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _given(**parameters: Any) -> dict[str, Any]:
    return {name: value for name, value in parameters.items() if value is not None}


def _condition(condition: Condition) -> Any:
    if isinstance(condition, Absent):
        return {"IfNoneMatch": "*"}
    return {"IfMatch": condition.etag} if condition else {}
