"""Rows on their way into the table, as columns of Python values: of documents, or of records that are created.

A load makes no document of a record that has nothing but values, which is nearly every one: the documents would cost more
than all that Arrow and Parquet do. What has metadata or fields of declared types goes through its document.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import compress
from typing import Any, Self

from dataknobs_data.creations import Creations
from dataknobs_data.documents import Document, first_version
from dataknobs_data.exceptions import DataknobsDataError

_NOTHING: Mapping[str, Any] = {}


@dataclass(slots=True)
class Rows:
    """What Document has, by column. `replaces` and `fields`, which few rows have: by row.

    The values are whoever's they were: to be read at once, never changed or kept.
    """

    ids: Sequence[str]
    datas: list[Mapping[str, Any]]
    metadatas: list[Mapping[str, Any]]
    created_at: list[str]
    updated_at: list[str]
    born: list[str]
    revision: list[str]
    replaces: dict[int, frozenset[str]] = field(default_factory=dict)
    fields: dict[int, Mapping[str, Any]] = field(default_factory=dict)

    @classmethod
    def of(cls, documents: Sequence[Document]) -> Self:
        """Those of documents."""
        return cls(
            ids=[document.id for document in documents],
            datas=[document.data for document in documents],
            metadatas=[document.metadata for document in documents],
            created_at=[document.created_at for document in documents],
            updated_at=[document.updated_at for document in documents],
            born=[document.born for document in documents],
            revision=[document.revision for document in documents],
            replaces={row: document.replaces for row, document in enumerate(documents) if document.replaces},
            fields={row: document.fields for row, document in enumerate(documents) if document.fields},
        )

    @classmethod
    def created(cls, creations: Creations, birth: str, now: str) -> tuple[Self, dict[int, DataknobsDataError]]:
        """The first versions of records, all of one birth and revision; and why there is none, by row."""
        count = len(creations)
        datas = creations.datas()
        rows = cls(
            ids=creations.ids,
            datas=[_NOTHING if data is None else data for data in datas],
            metadatas=[_NOTHING] * count,
            created_at=[now] * count,
            updated_at=[now] * count,
            born=[birth] * count,
            revision=[birth] * count,
        )
        bad: dict[int, DataknobsDataError] = {}
        for row, data in enumerate(datas) if None in datas else ():
            if data is None:
                try:
                    rows._put(row, first_version(creations[row], birth, birth, now))
                except DataknobsDataError as error:
                    bad[row] = error
        return (rows.without(bad) if bad else rows), bad

    def _put(self, row: int, document: Document) -> None:
        self.datas[row] = document.data
        self.metadatas[row] = document.metadata
        self.created_at[row] = document.created_at
        if document.fields:
            self.fields[row] = document.fields

    def document(self, row: int) -> Document:
        """One of them, as a document."""
        return Document(
            id=self.ids[row],
            data=self.datas[row],
            metadata=self.metadatas[row],
            created_at=self.created_at[row],
            updated_at=self.updated_at[row],
            born=self.born[row],
            revision=self.revision[row],
            replaces=self.replaces.get(row, frozenset()),
            fields=self.fields.get(row, _NOTHING),
        )

    def without(self, rows: Collection[int]) -> Self:
        """The others."""
        return self._only([row not in rows for row in range(len(self))])

    def part(self, start: int, end: int) -> Self:
        """Those from `start` on, before `end`; themselves where these are all."""
        if start <= 0 and end >= len(self):
            return self
        return self._only([start <= row < end for row in range(len(self))])

    def _only(self, keep: Sequence[bool]) -> Self:
        places = {old: new for new, old in enumerate(compress(range(len(self)), keep))}
        return type(self)(
            ids=list(compress(self.ids, keep)),
            datas=list(compress(self.datas, keep)),
            metadatas=list(compress(self.metadatas, keep)),
            created_at=list(compress(self.created_at, keep)),
            updated_at=list(compress(self.updated_at, keep)),
            born=list(compress(self.born, keep)),
            revision=list(compress(self.revision, keep)),
            replaces={places[row]: births for row, births in self.replaces.items() if row in places},
            fields={places[row]: one for row, one in self.fields.items() if row in places},
        )

    def __len__(self) -> int:
        return len(self.ids)
