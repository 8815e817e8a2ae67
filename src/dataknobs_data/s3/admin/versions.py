"""A bucket that keeps every version of an object: its switch, and one record's history.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/Versioning.html. Where records may lie in packs, a deletion is a version
too, a tombstone, and a delete marker only says that compaction has packed what was there.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from typing import Any

from dataknobs_data.documents import check_id
from dataknobs_data.s3.admin.control import PERMISSIONS, Control
from dataknobs_data.s3.admin.plan import Configuration, Plan
from dataknobs_data.s3.faults import translated
from dataknobs_data.s3.headers import author_of, outline
from dataknobs_data.s3.store import ABSENT, UNVERSIONED, Fault, Head, Kind, ListedVersion, PutOptions
from dataknobs_data.s3.tombstones import KILLS, may_be_tombstone

logger = logging.getLogger("dataknobs_data.s3")

PROPAGATION_NOTE = (
    "on AWS, wait 15 minutes before you write to a bucket whose versioning was never on before: "
    "https://docs.aws.amazon.com/AmazonS3/latest/userguide/manage-versioning-examples.html"
)
COST_NOTE = "every version is paid for until it is deleted: lifecycle.add(noncurrent_days=…) bounds that"


@dataclass(frozen=True)
class Past:
    """What the versions of a record's object tell, newest first.

    document    the newest that is a document; None where there is none
    since       what has come after it: delete markers, and tombstones
    tombstones  of these only the tombstones
    """

    document: ListedVersion | None
    since: list[ListedVersion]
    tombstones: list[ListedVersion]

    @property
    def was_buried(self) -> bool:
        """Whether the document was what a tombstone deleted: nothing came between the two."""
        return bool(self.tombstones) and self.since[-1] is self.tombstones[0]


@dataclass(frozen=True)
class Version:
    """One version of a record, or its deletion.

    version_id        for `read(id, version_id=…)` and `revert`; "null" for what was written without versioning
    at                when the store had it, by the store's clock
    is_latest         it is what `read(id)` finds; as a deletion: why `read(id)` finds nothing. No version is it where a record
                      lies in a pack as no object of it ever was
    is_delete_marker  the record was deleted here; there is nothing to read
    revision          what `get_version` said then; None for a deletion
    author            the `author` setting of whoever wrote it; None where they had none, and for a deletion
    owner             the account that owns it, as the store tells
    size_bytes        of the document
    storage_class     where it lies
    etag              of the object
    """

    version_id: str
    at: datetime
    is_latest: bool
    is_delete_marker: bool
    revision: str | None
    author: str | None
    owner: str | None
    size_bytes: int
    storage_class: str
    etag: str


class Versioning(Configuration):
    """Whether the bucket keeps versions: "Enabled", "Suspended", or None where it never did."""

    what = "versioning"

    def _read(self) -> str | None:
        answer = self._control.send("GetBucketVersioning", "reading whether versions are kept")
        status: str | None = answer.get("Status")
        return status

    def _write(self, value: Any) -> None:
        self._control.send("PutBucketVersioning", "switching versioning", VersioningConfiguration={"Status": value})

    def status(self) -> str | None:
        """As the store says now."""
        return self._read()

    def enable(self, *, dry_run: bool) -> Plan:
        """From now on a write or delete keeps what was there before. Leaves a mark, whose version proves that to `at()`."""
        first = PROPAGATION_NOTE if self._control.place.is_aws else None
        plan = self._change(
            lambda before: ("Enabled", [note for note in (None if before else first, COST_NOTE) if note]),
            dry_run=dry_run,
        )
        if not dry_run:
            self._leave_mark()
        return plan

    def _leave_mark(self) -> None:
        control = self._control
        key, body = control.keys.versioning, json.dumps({"versioning": "Enabled"}).encode()
        try:
            control.caller.send("PutObject", lambda store: store.put(key, body, PutOptions(), ABSENT))
        except Fault as fault:
            if fault.kind is not Kind.CONDITION:
                logger.warning(
                    "%s could not be written, so at() has to look for other proof of versions: %s", key, fault
                )

    def suspend(self, *, dry_run: bool) -> Plan:
        """From now on a write replaces what was there; versions that there are stay."""
        return self._change(
            lambda before: ("Suspended" if before else before, ["the versions that there are stay, and are paid for"]),
            dry_run=dry_run,
        )


class History:
    """The versions of single records."""

    def __init__(self, control: Control) -> None:
        self._control = control

    def of(self, id: str, limit: int | None = None) -> list[Version]:
        """Newest first: one listing, and a HEAD for each version; where the newest is no document, a look for its pack."""
        doing = f"reading the history of record {id!r}"
        markers: list[ListedVersion] = []
        with translated(doing, self._control.place, needs=PERMISSIONS["ListObjectVersions"], id=id):
            listed = sorted(islice(self._told(id, markers), limit), key=_when, reverse=True)
        with translated(doing, self._control.place, needs=PERMISSIONS["HeadObject"], id=id):
            heads = list(self._control.many.map(self._head, listed))
            pairs = zip(listed, heads, strict=True)
            versions = [_version(id, line, head) for line, head in pairs if line.is_delete_marker or head]
            return self._by_pack(id, versions, markers)[:limit] if self._control.packed.exists else versions

    def _told(self, id: str, markers: list[ListedVersion]) -> Iterator[ListedVersion]:
        """All versions, in the objects layout. Where records may lie in packs, the delete markers go to `markers`."""
        for line in self._listed(id):
            if line.is_delete_marker and self._control.packed.exists:
                markers.append(line)
            else:
                yield line

    def _by_pack(self, id: str, versions: list[Version], markers: list[ListedVersion]) -> list[Version]:
        """With what the listing cannot tell: which version is the present one where that lies in a pack."""
        newest = versions[0] if versions else None
        if newest and newest.is_latest and not newest.is_delete_marker:
            return versions
        lying = self._control.packed.lying([id]).get(id)
        if lying:
            at = next((n for n, one in enumerate(versions) if one.revision == lying.revision), None)
            return [replace(one, is_latest=number == at) for number, one in enumerate(versions)]
        if newest and newest.is_delete_marker:
            return [replace(newest, is_latest=True), *versions[1:]]
        return [*(_version(id, line, None) for line in markers if line.is_latest), *versions]

    def newest(self, id: str) -> Past:
        """The newest version of a record that is no deletion, and what has come since."""
        doing, needs = f"looking for versions of record {id!r}", PERMISSIONS["ListObjectVersions"]
        since: list[ListedVersion] = []
        tombstones: list[ListedVersion] = []
        with translated(doing, self._control.place, needs=needs, id=id):
            for line in self._listed(id):
                if self._is_tombstone(line):
                    tombstones.append(line)
                elif not line.is_delete_marker:
                    return Past(line, since, tombstones)
                since.append(line)
        return Past(None, since, tombstones)

    def _is_tombstone(self, line: ListedVersion) -> bool:
        if line.is_delete_marker or not self._control.packed.exists or not may_be_tombstone(line.size):
            return False
        head = self._head(line)
        return head is not None and KILLS in head.metadata

    def _listed(self, id: str) -> Iterator[ListedVersion]:
        key = self._control.keys.record(check_id(id))
        after: tuple[str, str | None] | None = None
        # SeaweedFS 4.48 lists the version "null" last, moto 5.2 delete markers. AWS's order is right, and its times are not:
        # a version uploaded in parts has the time when its upload began.
        order = _is_latest if self._control.place.behaves_like_aws else _when
        while True:
            page = self._control.caller.send("ListObjectVersions", _page_of(key, after))
            lines = [line for line in page.items if line.key == key]
            yield from sorted(lines, key=order, reverse=True)
            after = page.after
            if after is None or after[0] > key:
                return

    def _head(self, line: ListedVersion) -> Head | None:
        """Its headers; None for a deletion, and where the version is gone since it was listed."""
        if line.is_delete_marker:
            return None
        # moto 5.2 knows no version "null" in a bucket that never kept versions.
        version_id = None if line.is_latest and line.version_id == UNVERSIONED else line.version_id
        try:
            head = self._control.caller.send("HeadObject", lambda store: store.head(line.key, version_id=version_id))
        except Fault as fault:
            if fault.kind is Kind.MISSING:
                return None
            raise
        return head if head.etag == line.etag else None


def _page_of(key: str, after: tuple[str, str | None] | None) -> Any:
    return lambda store: store.list_versions(key, after=after)


def _is_latest(line: ListedVersion) -> tuple[Any, ...]:
    return (line.is_latest,)


def _when(line: ListedVersion) -> tuple[Any, ...]:
    return line.is_latest, line.modified


def _version(id: str, line: ListedVersion, head: Head | None) -> Version:
    document = head if head and KILLS not in head.metadata else None
    return Version(
        version_id=line.version_id,
        at=line.modified,
        is_latest=line.is_latest,
        is_delete_marker=document is None,
        revision=outline(id, document).revision if document else None,
        author=author_of(document.metadata) if document else None,
        owner=line.owner,
        size_bytes=line.size if document else 0,
        storage_class=line.storage_class,
        etag=line.etag,
    )
