"""Which statements a relational database was sent."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

from dataknobs_data.database import SyncDatabase
from dataknobs_data.sql.engine import RelationalEngine


@contextmanager
def statements_of(db: SyncDatabase) -> Iterator[list[str]]:
    """The SELECTs, INSERTs, UPDATEs and DELETEs that `db` sends meanwhile."""
    engine = db.connect()._engine
    assert isinstance(engine, RelationalEngine)
    assert engine._pool is not None
    sent: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        if not statement.startswith("BEGIN"):
            sent.append(" ".join(statement.split()))

    sa.event.listen(engine._pool, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        sa.event.remove(engine._pool, "before_cursor_execute", note)
