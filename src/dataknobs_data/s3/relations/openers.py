"""A database's engine → its relation."""

from __future__ import annotations

from collections.abc import Callable

from dataknobs_data.engine import Engine, ErrorSink
from dataknobs_data.s3.engine import S3Engine
from dataknobs_data.s3.faults import translated
from dataknobs_data.s3.relations.records import Records, Source
from dataknobs_data.s3.relations.sources import Documents, Tiers
from dataknobs_data.s3.tiered.layout import TieredLayout
from dataknobs_data.select.relation import Relation


def relation_of(
    engine: Engine,
    memory_bytes: int,
    on_archived: ErrorSink | None = None,
    records: Callable[[Source], Relation] = Records,
) -> Relation:
    """The records of an engine, as they are when it is first asked.

    memory_bytes  of single records that are kept in memory as columns; those beyond go to a temporary file
    on_archived   takes the errors of what is archived, to go on without it; None: they are raised
    records       makes the relation of a source
    """
    if not isinstance(engine, S3Engine):
        return records(Documents(engine, memory_bytes))
    layout = engine.layout
    if not isinstance(layout, TieredLayout):
        return records(Documents(engine, memory_bytes, lambda: _listed(engine), on_archived))
    return records(Tiers(layout.parts, layout.scanner, layout.known_forms, memory_bytes, on_archived))


def _listed(engine: S3Engine) -> int:
    """How many objects there are now: `count()` may be of a minute ago."""
    parts = engine.parts
    with translated("listing records", parts.place):
        return len(parts.lister.records(""))
