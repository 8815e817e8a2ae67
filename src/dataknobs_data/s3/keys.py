"""Every object key is formed and parsed here, and nowhere else.

A record's key is `{prefix}{id}.json`. Ids may hold `/`. Only what a key cannot carry safely is escaped, as `%XX` of its
UTF-8 bytes: `%` and `\\`, control characters, whole segments that are empty (a lone `%`), `.`, `..` or reserved, and the
dot of a `.json` before a slash. All else is raw UTF-8, so that keys read like ids. A key that does not decode, or does not
encode back to itself, is a stranger's.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from dataknobs_data.documents import check_id
from dataknobs_data.exceptions import ConfigurationError, RecordValidationError

TABLE, JOBS = "_table", "_jobs"
PACKS, IDS = "packs/", "_ids/"
"""Folders of the table, as they stand in the paths of its log."""

RESERVED = frozenset({TABLE, JOBS})
"""Segments that hold control files, at any depth, and never records."""

KEY_BYTES_MAX = 1024
"""Bytes of a key in UTF-8; https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html."""

LONG_SEGMENT_BYTES = 255
"""Bytes between two slashes that every store takes; stores on a file system (SeaweedFS, MinIO) take no more."""

_SUFFIX, _ESCAPED_SUFFIX = ".json", "%2Ejson"
_EMPTY = "%"
_LAST = "~"
"""Sorts behind the name of every control file."""
_LOG_NAME = re.compile(r"(\d{20})\.([^/]+)", re.ASCII)
_PARQUET, _OPEN = ".parquet", ".open"
_FILE_PATH = re.compile(rf"(?:{PACKS}|{IDS})[^/]+{re.escape(_PARQUET)}")
_LOAD_NAME = re.compile(rf"([^/.]+)({re.escape(_OPEN)})?{re.escape(_SUFFIX)}")
_ESCAPED = re.compile(rb"%([0-9A-F]{2})")


@dataclass(frozen=True)
class Keys:
    """The keys of one database: everything below one prefix, which is empty or ends with one slash."""

    prefix: str

    def record(self, id: str) -> str:
        """The key of a record. Raises RecordValidationError when it would be longer than S3 allows."""
        key = self.prefix + self.path(id) + _SUFFIX
        size = len(key.encode())
        if size > KEY_BYTES_MAX:
            raise RecordValidationError(
                f"record id {id[:40]!r}… is too long: its key takes {size} bytes, S3 allows {KEY_BYTES_MAX}", id=id
            )
        return key

    def can_hold(self, id: str) -> bool:
        """Whether a record may have this id at all."""
        try:
            return bool(self.record(check_id(id)))
        except RecordValidationError:
            return False

    def records(self, ids: Sequence[str]) -> list[str]:
        """The keys of many records; faster than to ask for one after the other. Raises as `record`."""
        if self.surely_hold(ids) and _are_plain(ids):
            return [f"{self.prefix}{id}{_SUFFIX}" for id in ids]
        return [self.record(id) for id in ids]

    def surely_hold(self, ids: Sequence[str]) -> bool:
        """Whether every store can hold records of these ids, as far as that can be said without making their keys."""
        bytes_each = 3 if "".join(ids).isascii() else 12
        longest = bytes_each * max(map(len, ids), default=0) + len(_SUFFIX)
        return longest <= LONG_SEGMENT_BYTES and len(self.prefix.encode()) + longest <= KEY_BYTES_MAX

    def path(self, id: str) -> str:
        """An id as it stands in its key, without prefix and suffix."""
        folder, slash, name = id.rpartition("/")
        return (_escape_folders(folder) + slash if slash else "") + _escape_segment(name)

    def id(self, key: str) -> str | None:
        """The id of a record's key, None for control files and strangers."""
        if not key.startswith(self.prefix) or not key.endswith(_SUFFIX):
            return None
        path = key[len(self.prefix) : -len(_SUFFIX)]
        segments = path.split("/")
        if not RESERVED.isdisjoint(segments):
            return None
        if _is_plain(path) and not {"", ".", ".."}.intersection(segments):
            return path
        try:
            id = "/".join(map(_unescape_segment, segments))
        except UnicodeDecodeError:
            return None
        return id if id and self.path(id) == path else None

    def listing_prefix(self, id_prefix: str) -> str:
        """A key prefix that all ids starting with `id_prefix` share; it may cover others too."""
        folder, slash, last = id_prefix.rpartition("/")
        start = _sure_start(last)  # what follows may change how the rest of this segment is escaped
        return self.prefix + (_escape_folders(folder) + slash if slash else "") + start

    @property
    def format(self) -> str:
        """The key of the file that says layout and format version."""
        return f"{self.prefix}{JOBS}/format.json"

    @property
    def versioning(self) -> str:
        """The key of the file whose versions prove that the bucket keeps versions, and since when at the latest."""
        return f"{self.prefix}{JOBS}/versioning.json"

    def is_nested_format(self, key: str) -> bool:
        """Whether `key` says that another database lives inside this one's prefix."""
        return key.endswith(f"/{JOBS}/format.json") and key != self.format

    def nested_prefix(self, key: str) -> str | None:
        """The prefix of the database inside this one of which `key` is the format file; None for other keys."""
        return key.removesuffix(f"{JOBS}/format.json") if self.is_nested_format(key) else None

    def lock(self, key: str) -> str:
        """The key of the lock under which the object `key` is put together from parts."""
        return f"{self.prefix}{JOBS}/lock-{hashlib.sha256(key.encode()).hexdigest()[:32]}"

    @property
    def table(self) -> str:
        """What the keys of all files of the table begin with."""
        return f"{self.prefix}{TABLE}/"

    @property
    def log(self) -> str:
        """What the keys of the table's log begin with."""
        return f"{self.table}_delta_log/"

    def log_file(self, version: int, kind: str) -> str:
        """The key of a file of the log: kind `json` is the commit itself, `checkpoint.parquet` the state after it."""
        return f"{self.log}{version:020}.{kind}"

    def log_from(self, version: int) -> str:
        """A key behind which lie all files of the log from this version on, and none before it."""
        return f"{self.log}{version:020}"

    def log_name(self, key: str) -> tuple[int, str] | None:
        """Version and kind of a file of the log; None for what is no such file."""
        found = _LOG_NAME.fullmatch(key.removeprefix(self.log))
        return (int(found[1]), found[2]) if found else None

    @property
    def last_checkpoint(self) -> str:
        """The key of the log's hint where to begin to read."""
        return f"{self.log}_last_checkpoint"

    def table_file(self, path: str) -> str:
        """The key of a file by its path in the table's log, decoded."""
        return self.table + path

    def table_path(self, key: str) -> str | None:
        """The path in the table's log of a pack or companion of ours; None for other keys."""
        path = key.removeprefix(self.table)
        return path if key.startswith(self.table) and _FILE_PATH.fullmatch(path) else None

    def behind_control(self, key: str) -> str | None:
        """Where `key` is a control file of this database: a key behind which a listing finds none of that folder."""
        folder = next((name for name in (TABLE, JOBS) if key.startswith(f"{self.prefix}{name}/")), None)
        return f"{self.prefix}{folder}/{_LAST}" if folder else None

    @property
    def packs(self) -> str:
        """What the keys of all packs begin with."""
        return self.table + PACKS

    @property
    def ids(self) -> str:
        """What the keys of all companions begin with."""
        return self.table + IDS

    @property
    def loads(self) -> str:
        """What the keys of all loads' marks and journals begin with."""
        return f"{self.prefix}{JOBS}/loads/"

    def load(self, birth: str) -> str:
        """The key of the mark that says that a load is finished."""
        return f"{self.loads}{birth}{_SUFFIX}"

    def load_journal(self, birth: str) -> str:
        """The key of the journal of a load under way; it lies directly behind the mark."""
        return f"{self.loads}{birth}{_OPEN}{_SUFFIX}"

    def load_id(self, key: str) -> str | None:
        """The birth whose load this key marks as finished; None for other keys."""
        return self._birth(key, "")

    def load_journal_id(self, key: str) -> str | None:
        """The birth whose journal has this key; None for other keys."""
        return self._birth(key, _OPEN)

    def _birth(self, key: str, kind: str) -> str | None:
        found = _LOAD_NAME.fullmatch(key.removeprefix(self.loads)) if key.startswith(self.loads) else None
        return found[1] if found and (found[2] or "") == kind else None

    def probe(self, name: str) -> str:
        """A key for trying out what the store can do."""
        return f"{self.prefix}{JOBS}/probe-{name}"


def pack_path(name: str) -> str:
    """The path of a pack in the table's log."""
    return f"{PACKS}{name}{_PARQUET}"


def companion_of(pack_path: str) -> str:
    """The path of a pack's companion: the ids, births and revisions of its rows."""
    return IDS + pack_path.removeprefix(PACKS)


def longest_segment_bytes(key: str) -> int:
    """Bytes of the longest part between slashes."""
    return max(len(segment.encode()) for segment in key.split("/"))


def check_prefix(prefix: str) -> str:
    """A configured prefix with exactly one slash at its end and none at its start; "" stays "".

    Raises ConfigurationError for a prefix that S3 tools would not agree about.
    """
    trimmed = prefix.strip("/")
    if not trimmed:
        return ""
    for segment in trimmed.split("/"):
        if segment in ("", ".", "..") or segment in RESERVED or "\\" in segment or any(map(_is_control, segment)):
            raise ConfigurationError(
                f"s3 backend: prefix {prefix!r} cannot be used: its part {segment!r} is empty, '.', '..', reserved "
                "or holds a control character or backslash",
                key="prefix",
            )
    return trimmed + "/"


def _is_control(character: str) -> bool:
    """Control characters, and the two that XML 1.0 cannot hold (section 2.2): DeleteObjects names keys in XML."""
    return unicodedata.category(character) == "Cc" or character in "\ufffe\uffff"


def _is_plain(path: str) -> bool:
    return "%" not in path and "\\" not in path and f"{_SUFFIX}/" not in path and path.isprintable()


def _are_plain(ids: Sequence[str]) -> bool:
    """Whether all of them, for sure, are their own escaped forms."""
    return "/" not in (every := "".join(ids)) and _is_plain(every) and not {".", "..", *RESERVED}.intersection(ids)


def _escape_folders(path: str) -> str:
    """The segments before the last. None of them is ever called like a record, because in a store on a file system a folder
    and a record of one name lose each other (docs/decisions/0005)."""
    folders = map(_escape_segment, path.split("/"))
    return "/".join(
        name.removesuffix(_SUFFIX) + _ESCAPED_SUFFIX if name.endswith(_SUFFIX) else name for name in folders
    )


def _escape_segment(segment: str) -> str:
    if segment == "":
        return _EMPTY
    if segment in (".", ".."):
        return "%2E" * len(segment)
    if segment in RESERVED:
        return "%5F" + segment[1:]
    if segment.isprintable() and "%" not in segment and "\\" not in segment:
        return segment
    return "".join(_hex(c) if c in "%\\" or _is_control(c) else c for c in segment)


def _hex(character: str) -> str:
    return "".join(f"%{byte:02X}" for byte in character.encode())


def _unescape_segment(segment: str) -> str:
    if segment == _EMPTY:
        return ""
    return _ESCAPED.sub(lambda found: bytes([int(found[1], 16)]), segment.encode()).decode()


def _sure_start(start: str) -> str:
    """As much of `start` as the escaped form of every segment that begins with it begins with."""
    special = (".", "..", *RESERVED)
    if not start or _escape_segment(start) != start or any(word.startswith(start) for word in special):
        return ""
    begun = next((n for n in range(len(_SUFFIX), 0, -1) if start.endswith(_SUFFIX[:n])), 0)
    return start[: len(start) - begun]
