"""The port to an object store: one method is one HTTP request, one exception says how it failed.

Adapters in stores/ implement `ObjectStore` over an SDK and know nothing of records, retries or deadlines. Conditions
follow RFC 9110 section 13 and https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-requests.html.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any, Protocol


class Kind(Enum):
    """Why a request failed, by what one can do about it."""

    MISSING = "no such object"
    NO_BUCKET = "no such bucket"
    CONDITION = "the condition does not hold: look again"
    DENIED = "access denied"
    CREDENTIALS = "the credentials are missing or wrong"
    REGION = "the bucket is in another region"
    UNSET = "the bucket has no such configuration"
    ARCHIVED = "the object lies in an archive class"
    UNSUPPORTED = "the store does not implement this"
    REFUSED = "the request makes no sense to the store"
    THROTTLED = "the store asks to slow down"
    SERVER = "the store failed"
    NETWORK = "the connection broke, or no answer came in time"
    UNREACHABLE = "no connection could be made"
    LATE = "the operation's deadline is over"


RETRYABLE = frozenset({Kind.THROTTLED, Kind.SERVER, Kind.NETWORK, Kind.UNREACHABLE})
AMBIGUOUS = frozenset({Kind.SERVER, Kind.NETWORK})
"""After these a write may or may not have been applied."""


class Fault(Exception):
    """A failed request.

    answer_lost  an earlier attempt of it ended ambiguously, so it may have been applied
    pack         the key of the archived pack that it asked for
    """

    def __init__(self, kind: Kind, detail: str, *, status: int | None = None, code: str | None = None) -> None:
        super().__init__(f"{kind.value} ({detail})" if detail else kind.value)
        self.kind = kind
        self.status = status
        self.code = code
        self.answer_lost = False
        self.pack: str | None = None


@dataclass(frozen=True, slots=True)
class Match:
    """Only if the object has this ETag; `*`: only if there is an object."""

    etag: str


@dataclass(frozen=True, slots=True)
class Absent:
    """Only if there is no object."""


EXISTS, ABSENT = Match("*"), Absent()
Condition = Match | Absent | None


@dataclass(frozen=True, slots=True)
class PutOptions:
    """What goes into an object's headers. `tags` None: none are sent."""

    metadata: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] | None = None
    storage_class: str | None = None
    content_type: str = "application/json"


@dataclass(frozen=True, slots=True)
class Blob:
    """An object's content and headers. `version_id` only from versioned buckets."""

    body: bytes | memoryview
    etag: str
    metadata: Mapping[str, str]
    modified: datetime
    version_id: str | None = None


@dataclass(frozen=True, slots=True)
class Head:
    """An object's headers. `restore` is S3's x-amz-restore text, `archive_status` the archive tier of an
    INTELLIGENT_TIERING object, if it is in one; `now` the store's clock when it answered.
    """

    etag: str
    size: int
    metadata: Mapping[str, str]
    modified: datetime
    storage_class: str
    restore: str | None
    now: datetime | None = None
    archive_status: str | None = None


@dataclass(frozen=True, slots=True)
class Listed:
    """One line of a listing; size in bytes, `modified_text` as the store wrote it (most listings' dates are not read).
    `version_id`: which version of the object the line is about; None: the present one.
    """

    key: str
    etag: str
    size: int
    storage_class: str = "STANDARD"
    modified_text: str = ""
    version_id: str | None = None

    @property
    def modified(self) -> datetime:
        """When it was written, by the store's clock. Raises ValueError where the store gave no such time."""
        return datetime.fromisoformat(self.modified_text)


UNVERSIONED = "null"
"""The id of what was written while versioning was off or suspended; a later such write takes its place:
https://docs.aws.amazon.com/AmazonS3/latest/userguide/AddingObjectstoVersionSuspendedBuckets.html."""


@dataclass(frozen=True, slots=True)
class ListedVersion:
    """One line of a listing of versions; size in bytes. A delete marker has neither ETag nor size."""

    key: str
    version_id: str
    modified: datetime
    is_latest: bool
    is_delete_marker: bool
    owner: str | None
    etag: str = ""
    size: int = 0
    storage_class: str = "STANDARD"


@dataclass(frozen=True, slots=True)
class VersionPage:
    """Up to 1,000 lines of a listing of versions, and where the next page begins: after this key and version (None: after
    all versions of the key).
    """

    items: list[ListedVersion]
    after: tuple[str, str | None] | None


@dataclass(frozen=True, slots=True)
class Page:
    """Up to 1,000 lines of a listing, and the token of the next page."""

    items: list[Listed]
    token: str | None


class ObjectStore(Protocol):
    """One bucket of an object store. Every method is one request and raises Fault when it fails."""

    def get(self, key: str, *, unless_etag: str | None = None, version_id: str | None = None) -> Blob | None:
        """The object; None when it still has the ETag `unless_etag`."""

    def get_range(self, key: str, offset: int, length: int, *, version_id: str | None = None) -> bytes | memoryview:
        """So many bytes of the object from there on, at least one; fewer where it ends before."""

    def head(self, key: str, *, version_id: str | None = None) -> Head:
        """The object's headers."""

    def put(self, key: str, body: bytes | memoryview, options: PutOptions, condition: Condition) -> str:
        """Writes the object and returns its ETag."""

    def delete(self, key: str, condition: Match | None) -> None:
        """Deletes the object. Without a condition a missing object is no error."""

    def delete_many(self, keys: Sequence[str]) -> dict[str, Fault]:
        """Deletes up to 1,000 objects; the faults of those that failed, by key. A missing object is no fault."""

    def list_page(self, prefix: str, *, token: str | None = None, start_after: str | None = None) -> Page:
        """The next up to 1,000 objects below `prefix`."""

    def list_folder(self, folder: str, start_after: str) -> Page | None:
        """As `list_page`, for a folder in which nobody else writes and something is known to lie behind `start_after`. Storage
        classes are not told. A token only says that there may be more, behind the last key. None: the answer tells nothing, and
        `list_page` must be asked.
        """

    def list_versions(self, prefix: str, *, after: tuple[str, str | None] | None = None) -> VersionPage:
        """The next up to 1,000 versions and delete markers of objects whose keys begin with `prefix`, newest first."""

    def get_tags(self, key: str) -> dict[str, str]:
        """The object's tags."""

    def create_upload(self, key: str, options: PutOptions) -> str:
        """Begins a multipart upload and returns its id."""

    def upload_part(self, key: str, upload_id: str, number: int, body: memoryview) -> str:
        """Sends one part and returns its ETag."""

    def complete_upload(self, key: str, upload_id: str, etags: Sequence[str], condition: Condition) -> str:
        """Makes the parts one object and returns its ETag."""

    def abort_upload(self, key: str, upload_id: str) -> None:
        """Throws the parts away."""

    def head_bucket(self) -> None:
        """Succeeds when the bucket is there and we may see it."""

    def create_bucket(self) -> None:
        """Makes the bucket; harmless when it is ours already."""

    def control(self, operation: str, **parameters: Any) -> dict[str, Any]:
        """One request of the control plane by its name in S3's API reference, with boto3's parameters and answer.

        The bucket is this one unless `Bucket` is given. Timestamps in the answer are text.
        """

    def presign(self, key: str, seconds: int, *, version_id: str | None = None) -> str:
        """An address at which anybody may GET the object for so long. Sends nothing."""

    def close(self) -> None:
        """Closes connections. Sends nothing."""
