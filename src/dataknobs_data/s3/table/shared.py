"""What metadata all rows of a pack have: those become the tags of its object."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc


class Shared:
    """Takes the metadata column of rows. `found`: what all rows so far have, with values as JSON has them."""

    def __init__(self) -> None:
        self._found: dict[str, Any] | None = None

    @property
    def found(self) -> Mapping[str, Any]:
        """Empty where they share nothing."""
        return self._found or {}

    def add(self, column: pa.ChunkedArray) -> None:
        """More rows."""
        if self._found == {}:
            return
        if column.null_count:
            self._found = {}
            return
        for text in pc.unique(column):
            metadata = json.loads(text.as_py())
            if self._found is None:
                self._found = metadata
            else:
                self._found = {name: value for name, value in self._found.items() if _same(metadata, name, value)}
            if not self._found:
                return


def _same(metadata: Mapping[str, Any], name: str, value: Any) -> bool:
    return name in metadata and type(metadata[name]) is type(value) and bool(metadata[name] == value)
