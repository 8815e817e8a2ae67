"""What a deletion killed in the table: a record that lay in a pack, as it was when its tombstone was put."""

from __future__ import annotations

from contextlib import closing
from datetime import datetime

from dataknobs_data.documents import Document
from dataknobs_data.exceptions import SnapshotExpiredError, TimeTravelError
from dataknobs_data.s3.engine import S3Engine
from dataknobs_data.s3.faults import translated
from dataknobs_data.s3.layout import Layout
from dataknobs_data.s3.store import ListedVersion
from dataknobs_data.s3.tombstones import Tombstone, from_headers
from dataknobs_data.s3.travel.engine import PastEngine, past_of


def buried(engine: S3Engine, id: str, tombstone: ListedVersion) -> Document | None:
    """The row that the newest tombstone of a record killed; None where that cannot be told.

    As long as the tombstone stood, nobody changed the row, until a compaction took it away: so the last version of the table
    that has it has it as it was: of the revision that the tombstone says; a row of another one had been changed since, in an object of
    which no version is left. Whoever cleared the database since may have taken away a later record of the id, which left
    no trace.
    """
    with translated(f"looking for what was deleted of record {id!r}", engine.parts.place, id=id):
        killed = told_by(engine, tombstone)
        try:
            return _killed(engine, id, killed, tombstone.modified) if killed else None
        except TimeTravelError:
            return None


def told_by(engine: S3Engine, tombstone: ListedVersion) -> Tombstone | None:
    """What that version of an object says of what it deleted. Raises Fault."""
    head = engine.parts.caller.send(
        "HeadObject", lambda store: store.head(tombstone.key, version_id=tombstone.version_id)
    )
    return from_headers(head.metadata)


def _killed(engine: S3Engine, id: str, killed: Tombstone, when: datetime) -> Document | None:
    past: PastEngine | None = past_of(engine, None, when)
    while past is not None:
        past.open()
        with closing(past):
            rows = [row for row in _rows(past.layout, id) if row.born in killed.kills]
            if rows:
                if len(rows) > 1 or killed.deleted not in (None, rows[0].revision):
                    return None
                return None if _cleared_since(engine.layout, past.table_version) else rows[0]
            past = past.earlier()  # a compaction may have been as quick
    return None


def _rows(layout: Layout, id: str) -> list[Document]:
    from dataknobs_data.s3.travel.table import table_of  # imports pyarrow

    return [document for document, _ in table_of(layout).look(None, "undelete").documents([id]).get(id, ())]


def _cleared_since(layout: Layout, version: int | None) -> bool:
    """Whether somebody has, or may have: that takes all rows away, and leaves no tombstones."""
    from dataknobs_data.s3.tiered.rewriting import CLEARING  # imports pyarrow
    from dataknobs_data.s3.travel.table import table_of

    log = table_of(layout).log
    snapshot = log.refresh()
    if snapshot is None or version is None:
        return True
    try:
        commits = log.commits_since(snapshot, version)
    except SnapshotExpiredError:
        return True
    return any((commit.info or {}).get("operation") == CLEARING for commit in commits)
