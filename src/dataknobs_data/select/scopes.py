"""What the names of a statement may stand for: which relations a place of it can see, and under which names."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from dataknobs_data.select.relation import Path
from dataknobs_data.select.trees import Tree

Columns = tuple[str, ...]
"""Names in lower case."""


@dataclass
class Source:
    """One member of a FROM clause.

    name       what its columns may be qualified with
    relation   whose rows it is; None: a subquery, a function, a common table expression
    parameter  of a lambda, which stands before all columns of that name
    columns    of one that is no relation, as far as the statement names them
    """

    name: str
    relation: str | None = None
    parameter: bool = False
    columns: Columns = ()


@dataclass
class Scope:
    """The sources of one SELECT, within those of the SELECTs around it."""

    outer: Scope | None = None
    sources: list[Source] = field(default_factory=list)

    def levels(self) -> Iterator[Scope]:
        """This one, then those around it, outwards."""
        scope: Scope | None = self
        while scope:
            yield scope
            scope = scope.outer

    def within_reach(self, name: str) -> Iterator[Scope]:
        """The levels where it may be looked for: none behind one whose subqueries have a column of that name."""
        for scope in self.levels():
            yield scope
            if scope.others_with(name):
                return

    def named(self, name: str) -> Source | None:
        """The nearest source of that name; case does not matter."""
        for scope in self.within_reach(name):
            for source in scope.sources:
                if source.name.lower() == name.lower():
                    return source
        return None

    def others_with(self, column: str) -> list[Source]:
        """Sources of this SELECT alone that are no relations and have such a column."""
        return [source for source in self.sources if column.lower() in source.columns]

    def relations(self) -> list[Source]:
        """Sources of this SELECT alone that are relations."""
        return [source for source in self.sources if source.relation is not None]


@dataclass(frozen=True)
class Meaning:
    """One thing that a name may be: this path in the records of that source. `start`: where among its parts the path begins,
    behind the source's name.
    """

    source: Source
    path: Path
    start: int = 0

    @property
    def relation(self) -> str:
        """The source's; only relations have records."""
        assert self.source.relation is not None
        return self.source.relation


@dataclass
class Name:
    """A reference to a column in a statement, perhaps with what is taken out of it: `a`, `s.a`, `s.a.b[0].c`.

    node     the outermost expression of it
    scope    what it can see
    names    of the reference itself
    inside   what is taken out of that: (node, key) from the innermost expression to `node`; a key is a name or a position
    listed   an item of a SELECT list, which gives a result's column its name
    """

    node: Tree
    scope: Scope
    names: tuple[str, ...]
    inside: list[tuple[Tree, str | int]]
    listed: bool = False

    @property
    def parts(self) -> Path:
        """All of it: the names, and what is taken out."""
        return (*self.names, *(key for _, key in self.inside))

    def attempts(self) -> Iterator[list[Meaning]]:
        """What it may be, the likelier first; several at once where only the relations can tell which of them."""
        source = self.scope.named(self.names[0])
        if source and source.parameter:
            return
        if source and len(self.names) > 1:
            if source.relation is None:
                return
            yield from ([Meaning(source, path, 1)] for path in shorter(self.parts[1:]))
        visible = [source for scope in self.scope.within_reach(self.names[0]) for source in scope.relations()]
        yield from ([Meaning(source, path) for source in visible] for path in shorter(self.parts))

    def row_of(self) -> Source | None:
        """The relation of which this would be the whole row, were it no column."""
        source = self.scope.named(self.names[0]) if len(self.names) == 1 else None
        return source if source and source.relation is not None else None


def shorter(path: Path) -> Iterator[Path]:
    """The path, then what is left of it without its last part, and so on."""
    for length in range(len(path), 0, -1):
        yield path[:length]


@dataclass
class Star:
    """A `*`, `s.*` or `COLUMNS(…)` in a statement."""

    node: Tree
    scope: Scope

    def sources(self) -> list[Source]:
        """The relations of which it has columns."""
        if not self.node["relation_name"]:
            return self.scope.relations()
        source = self.scope.named(self.node["relation_name"])
        return [source] if source and source.relation is not None else []
