"""Statements in SQL over an S3 database, and others beside it: what each may take of the memory that there is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from dataknobs_data.s3.engine import S3Engine
from dataknobs_data.select.relation import Relation
from dataknobs_data.select.running import Parameters, Skipped, Statement
from dataknobs_data.select.sandbox import Limits

RELATIONS_SHARE = 4
"""Of `memory_limit` a fourth is for records on their way into SQL, the rest for the statement itself."""

OpenWith = Callable[[int], Relation]
"""Makes a relation that keeps at most so many bytes of single records in memory."""


def statement_over(
    engine: S3Engine,
    sql: str,
    parameters: Parameters,
    openers: Mapping[str, OpenWith],
    timeout: float | None = None,
    skipped: Skipped | None = None,
) -> Statement:
    """A statement that is not run yet, within the limits that are set for `engine`. `skipped`: see Statement."""
    parts = engine.parts
    settings = parts.settings
    share = settings.memory_limit // RELATIONS_SHARE
    limits = Limits(settings.memory_limit - share, settings.query_timeout if timeout is None else timeout)
    made = {name: partial(opener, share // len(openers)) for name, opener in openers.items()}
    return Statement(sql, parameters, made, limits, parts.runtime, skipped, engine.sandboxes)
