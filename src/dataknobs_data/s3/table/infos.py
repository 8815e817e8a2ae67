"""What a commit says of itself, for people who read the history: who made it, why, and how much of the table it changed.

Of a commitInfo every field is free (PROTOCOL.md, "Commit Provenance Information"); the names are those of Delta's own history
where it has them: https://docs.delta.io/latest/delta-utility.html#history-schema. `numRemovedRows` is ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson

from dataknobs_data.s3.table.actions import Action, Add, Remove

AUTHOR, METRICS = "userName", "operationMetrics"
ROWS, ROWS_REMOVED = "numOutputRows", "numRemovedRows"


def metrics_of(actions: Sequence[Action], packs: Mapping[str, Add]) -> dict[str, str]:
    """How many files and rows come and go by these actions; `packs`: of the table before. A number nobody knows is left out.

    Of a pack that is there already an action only says something else: it does not come.
    """
    added = [action for action in actions if isinstance(action, Add) and action.path not in packs]
    removed = [action for action in actions if isinstance(action, Remove)]
    found = {
        "numAddedFiles": len(added),
        "numRemovedFiles": len(removed),
        "numOutputBytes": sum(add.size for add in added),
        ROWS: _rows(added),
        ROWS_REMOVED: _rows(packs.get(action.path) for action in removed),
    }
    return {name: str(number) for name, number in found.items() if number is not None}


def _rows(adds: Iterable[Add | None]) -> int | None:
    rows = 0
    for add in adds:
        number = orjson.loads(add.stats).get("numRecords") if add and add.stats else None
        if not isinstance(number, int):
            return None
        rows += number
    return rows


def metric(info: Mapping[str, Any], name: str) -> int | None:
    """A number that a commit says; None where it does not."""
    metrics = info.get(METRICS)
    text = metrics.get(name) if isinstance(metrics, dict) else None
    return int(text) if isinstance(text, str) and text.isascii() and text.isdigit() else None
