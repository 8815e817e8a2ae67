"""Names of a statement → columns of its relations, and the statement's tree made fit for those.

A statement changes only where it must: a name that goes deeper than a column becomes the column that stands for it, and stars
leave out what is no part of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dataknobs_data.exceptions import QueryError
from dataknobs_data.select.failures import unknown_name
from dataknobs_data.select.naming import listed_names
from dataknobs_data.select.relation import Binding, Path, Relation
from dataknobs_data.select.scopes import Meaning, Name, Source, Star
from dataknobs_data.select.surveying import Survey
from dataknobs_data.select.trees import Tree, function, reference

if TYPE_CHECKING:
    import pyarrow as pa


def bound(survey: Survey, relations: Mapping[str, Relation]) -> Bound:
    """Asks the relations what the statement's names are. Raises QueryError for what can be none of them, as far as can be told
    here; other unknown names may be aliases, and are left to the engine.
    """
    searches = [_Search(name) for name in survey.names]
    stars = {source.relation for star in survey.stars for source in star.sources()}
    bindings: dict[str, Binding] = {}
    asked: dict[str, tuple[frozenset[Path], bool]] = {}
    while True:
        wanted = {name: (_paths(name, searches), name in stars) for name in relations}
        if wanted == asked:
            return Bound(survey, relations, bindings, searches)
        for name, question in wanted.items():
            if asked.get(name) != question:
                bindings[name] = relations[name].bind(*question)
        asked = wanted
        for search in searches:
            search.go_on(bindings)
            if search.found is None and search.exhausted and (row := search.name.row_of()):
                stars.add(row.relation)


def _paths(relation: str, searches: Iterable[_Search]) -> frozenset[Path]:
    return frozenset(
        meaning.path for search in searches for meaning in search.meanings if meaning.source.relation == relation
    )


class _Search:
    """What one name means: the first of its attempts that a relation knows."""

    def __init__(self, name: Name) -> None:
        self.name = name
        self._attempts = list(name.attempts())
        self._at = 0
        self.found: list[Meaning] | None = None

    @property
    def exhausted(self) -> bool:
        return self._at >= len(self._attempts)

    @property
    def meanings(self) -> list[Meaning]:
        """What the relations are asked for."""
        return self.found or ([] if self.exhausted else self._attempts[self._at])

    def go_on(self, bindings: Mapping[str, Binding]) -> None:
        """Takes the answers for the present attempt, or goes on to the next."""
        if self.found is None and not self.exhausted:
            known = [one for one in self.meanings if one.path in bindings[one.relation].columns]
            if known:
                self.found = known
            else:
                self._at += 1


@dataclass
class Bound:
    """A statement's names with what they are.

    bindings  of each relation, by its name
    """

    survey: Survey
    relations: Mapping[str, Relation]
    bindings: Mapping[str, Binding]
    searches: list[_Search]

    def rewrite(self) -> bool:
        """Changes the statement's tree; whether there was anything to change."""
        changed = [self._rewrite_name(search) for search in self.searches]
        changed += [self._rewrite_star(star) for star in self.survey.stars]
        return any(changed)

    # ------------------------------------------------------------------------------------------ names
    def _rewrite_name(self, search: _Search) -> bool:
        name = search.name
        if search.found is None:
            self._check_known(name)
            row = name.row_of()
            return self._rewrite_row(name, row) if row and not name.inside else False
        meaning = self._nearest(name, search.found)
        end = meaning.start + len(meaning.path)
        self._check_rest(meaning, name.parts[end:])
        if len(meaning.path) == 1:
            return False
        node, rest = self._target(name, end)
        alias = _label(meaning.path) if name.listed and node is name.node and not node["alias"] else node["alias"]
        column = self.bindings[meaning.relation].columns[meaning.path]
        node.clear()
        node.update(reference([meaning.source.name, column, *rest], alias))
        return True

    def _check_known(self, name: Name) -> None:
        """A name behind that of a relation can be nothing else than a field of it."""
        source = name.scope.named(name.names[0]) if len(name.names) > 1 else None
        if source is not None and source.relation is not None:
            raise unknown_name(_label(name.parts[1:], full=True), self.relations[source.relation].names)

    def _nearest(self, name: Name, found: list[Meaning]) -> Meaning:
        """Of several relations that know the name, the one of the innermost SELECT."""
        for scope in name.scope.levels():
            here = [meaning for meaning in found if any(meaning.source is source for source in scope.sources)]
            sources = [meaning.source.name for meaning in here]
            if here and not here[0].start:
                sources += [source.name for source in scope.others_with(name.names[0])]
            if len(sources) > 1 and len(here[0].path) > 1:
                raise QueryError(
                    f"SQL: {_label(here[0].path, full=True)!r} may be of {' or '.join(sources)}: write {sources[0]}.… for one"
                )
            if here:
                return here[0]
        return found[0]

    @staticmethod
    def _target(name: Name, end: int) -> tuple[Tree, tuple[str, ...]]:
        """The expression that is the first `end` parts of a name, and those of its names that are behind them."""
        deeper = end - len(name.names)
        if deeper > 0:
            return name.inside[deeper - 1][0], ()
        node = name.node
        while node["class"] != "COLUMN_REF":
            node = node["children"][0]
        return node, name.names[end:]

    def _check_rest(self, meaning: Meaning, rest: Path) -> None:
        """Names behind a column that has no parts are fields that no record has."""
        binding = self.bindings[meaning.relation]
        if not rest or not isinstance(rest[0], str) or _has_parts(binding.schema, binding.columns[meaning.path]):
            return
        raise unknown_name(_label((*meaning.path, *rest), full=True), self.relations[meaning.relation].names)

    def _rewrite_row(self, name: Name, source: Source) -> bool:
        """A relation's name where a value should be is its whole row: what a star has of it."""
        assert source.relation is not None
        binding = self.bindings[source.relation]
        if not binding.hidden:
            return False
        visible = [column for column in binding.schema.names if column not in binding.hidden]
        alias = name.node["alias"] or (name.names[0] if name.listed else "")
        name.node.clear()
        columns = [reference([source.name, column], alias=column) for column in visible]
        name.node.update(function("struct_pack", columns, visible), alias=alias)
        return True

    # ------------------------------------------------------------------------------------------ stars
    def _rewrite_star(self, star: Star) -> bool:
        hiding = [(one, column) for one in star.sources() for column in self._hidden(one)]
        node = star.node
        if not hiding or listed_names(node["expr"]) is not None:
            return False
        if node["columns"] and node["expr"]:
            if node["expr"].get("class") == "FUNCTION":
                return False  # COLUMNS(c -> …) has a star of its own inside
            raise QueryError(
                f"SQL: COLUMNS('…') beside {hiding[0][1]!r}, which is no part of *: name the columns, as in COLUMNS(['a', 'b'])"
            )
        excluded = {name.lower() for name in node["exclude_list"]}
        excluded |= {entry["column"].lower() for entry in node["qualified_exclude_list"]}
        more = [
            {"catalog": "", "schema": "", "table": source.name, "column": column}
            for source, column in hiding
            if column.lower() not in excluded
        ]
        node["qualified_exclude_list"] = [*node["qualified_exclude_list"], *more]
        return True

    def _hidden(self, source: Source) -> list[str]:
        assert source.relation is not None
        return sorted(self.bindings[source.relation].hidden)


def _has_parts(schema: pa.Schema, column: str) -> bool:
    return bool(schema.field(column).type.num_fields > 0)


def _label(path: Path, *, full: bool = False) -> str:
    """A path as a column's name: `city` of `address.city`, `tags[0]` of `tags[0]`; `full` has all of it."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text = f"{text}.{part}" if full and text else part
    return text
