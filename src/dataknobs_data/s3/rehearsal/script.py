"""What a rehearsal takes for granted, where only what it does not read could tell; and what it has seen."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from dataknobs_data.documents import Document
from dataknobs_data.matching import compile_expression
from dataknobs_data.query import Query
from dataknobs_data.s3.costs.estimate import Amount


class Matches(Enum):
    """Which records a query finds of those that are not read."""

    NOTHING = "as few as may be"
    LIKELY = "as many as statistics say, if values are spread evenly"
    SPARSE = "one here and there, so that row groups are not read together"
    ALL = "as many as may be"
    VAIN = "none, which is seen only when they are read"


class Unread(bytes):
    """Stands for so many bytes, of which only the last are at hand."""

    size: int

    def __new__(cls, size: int, end: bytes = b"") -> Unread:
        made = super().__new__(cls, end)
        made.size = size
        return made

    def range(self, offset: int, length: int) -> bytes:
        """Some of them, which must be at hand."""
        end = bytes(self)
        start = offset - (self.size - bytes.__len__(self))
        return end[start : start + length]

    def __len__(self) -> int:
        return self.size


STAMP = "2000-01-01T00:00:00+00:00"
"""A time, where nothing depends on it."""


class Blank(Document):
    """Stands for a document that nobody has read."""

    __slots__ = ()

    @classmethod
    def of(cls, id: str, born: str = "", revision: str = "", replaces: frozenset[str] = frozenset()) -> Blank:
        """One of that id."""
        return cls(id, {}, {}, STAMP, STAMP, born, revision, replaces)


@dataclass
class Sql:
    """A statement.

    handed    rows that it is given of each scan, all null; `early`: of one part of it only
    looks     whether columns are bound to its names now: that is done by what packs really hold
    texts     that it compares with
    rows      of the row groups that were read last; `stride`: of them such are not read together
    """

    handed: int
    early: bool = False
    looks: bool = False
    texts: set[str] = field(default_factory=set)
    rows: Sequence[int] = ()
    stride: int = 2


@dataclass
class Script:
    """One rehearsal.

    query, matches   what is searched for, and how many records match
    ahead            calls that are begun before the result of the first of them is taken
    thinned          one row is made up for so many, and as many fewer are fetched at a time: a million takes its time
    deepened         whether looking has filled memories of the process: done again, the rehearsal shows what is sent then
    reads            GETs of objects by storage class, with their bytes
    sql              what is known of a statement, where it is one that is rehearsed
    deferred         whether packs are weighed, and only put when all are known
    made             paths of files of the table that were put
    classes          storage classes of packs, by path, as far as they are known
    packs, groups    which packs, and row groups of them with their rows, would be read
    documents        records with objects of their own that would be read
    carried          the part of a row that was made up too much or too little so far: row groups have whole rows
    """

    query: Query = field(default_factory=Query)
    matches: Matches = Matches.LIKELY
    ahead: int = 0
    thinned: int = 1
    deepened: bool = False
    sql: Sql | None = None
    deferred: bool = False
    made: set[str] = field(default_factory=set)
    reads: dict[str, Amount] = field(default_factory=lambda: defaultdict(Amount))
    classes: Mapping[str, str] = field(default_factory=dict)
    packs: set[str] = field(default_factory=set)
    groups: dict[tuple[str, int], int] = field(default_factory=dict)
    documents: Amount = field(default_factory=Amount)
    carried: float = 0.5

    def __post_init__(self) -> None:
        self._matching = compile_expression(self.query.expression)

    def finds(self, document: Document) -> bool:
        """Whether the query finds it. Of what was not read it is taken for granted that rows do which whole columns have let
        pass, and objects do as far as that makes for more or fewer requests.
        """
        if not isinstance(document, Blank):
            return self._matching(document)
        if self.query.expression is None:
            return True
        some = self.matches in (Matches.LIKELY, Matches.SPARSE) and document.born == ROW
        return some or self.matches is Matches.ALL


ROW = "row"
"""The birth of what stands for a row."""
