"""What a statement reads: its tables, the names of columns in it, its stars, its parameters. Refuses what has no business in a
statement over records.

Tables come from nowhere else than the FROM clauses that are looked at here; a member of one that is not known here is
refused, so that a newer DuckDB's inventions are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from dataknobs_data.exceptions import QueryError
from dataknobs_data.select.naming import as_name, lambda_names, listed_names, outputs, renamed
from dataknobs_data.select.refusals import check_function, check_table_function, check_type
from dataknobs_data.select.scopes import Columns, Name, Scope, Source, Star
from dataknobs_data.select.trees import Tree, reference
from dataknobs_data.spelling import did_you_mean

JSON_COLUMNS = ("key", "value", "type", "atom", "id", "parent", "fullkey", "path")
"""Of `json_each` and `json_tree`: https://duckdb.org/docs/stable/data/json/json_functions."""

_Deferred = list[Callable[[], object]]
_Tables = Mapping[str, Columns]
"""Common table expressions by their names in lower case, with the names of their columns."""


@dataclass
class Survey:
    """What was found.

    tables      names of relations that are read
    names       references to columns
    stars       in the order of the text
    parameters  identifiers: "1", "2", … or names
    functions   that are called, in lower case
    """

    tables: set[str] = field(default_factory=set)
    names: list[Name] = field(default_factory=list)
    stars: list[Star] = field(default_factory=list)
    parameters: set[str] = field(default_factory=set)
    functions: set[str] = field(default_factory=set)


def surveyed(statement: Tree, known: Mapping[str, str]) -> Survey:
    """Of a whole statement. `known`: the relations there are, from their names in lower case to the names themselves.

    Raises QueryError for a table that is not known, and for what is refused.
    """
    surveyor = _Surveyor(known)
    surveyor.query(statement["node"], None, {})
    return surveyor.found


class _Surveyor:
    def __init__(self, known: Mapping[str, str]) -> None:
        self._known = known
        self.found = Survey()

    # ------------------------------------------------------------------------------------------ queries
    def query(self, node: Tree, outer: Scope | None, tables: _Tables) -> Columns:
        """The names of its columns, as far as it says them."""
        tables = self._expressions_of_with(node, outer, tables)
        scope = Scope(outer)
        match node["type"]:
            case "SELECT_NODE":
                self._select(node, scope, tables)
                return outputs(node["select_list"], scope)
            case "SET_OPERATION_NODE":
                columns = [self.query(child, outer, tables) for child in node["children"]]
                self._expression(node["modifiers"], scope, tables)
                return columns[0]
            case "RECURSIVE_CTE_NODE":
                name = node["cte_name"].lower()
                first = renamed(self.query(node["left"], outer, {**tables, name: ()}), node["aliases"])
                self.query(node["right"], outer, {**tables, name: first})
                return first
            case other:
                raise QueryError(f"SQL: only SELECT is carried out here, no {_words(other, '_QUERY_NODE', '_NODE')}")

    def _expressions_of_with(self, node: Tree, outer: Scope | None, tables: _Tables) -> _Tables:
        for entry in node["cte_map"]["map"]:
            columns = self.query(entry["value"]["query_node"], outer, tables)
            self._expression([entry["value"][key] for key in ("key_targets", "payload_aggregates")], Scope(), tables)
            tables = {**tables, entry["key"].lower(): renamed(columns, entry["value"]["aliases"])}
        return tables

    def _select(self, node: Tree, scope: Scope, tables: _Tables) -> None:
        for later in self._source(node["from_table"], scope, tables):
            later()
        for item in node["select_list"]:
            self._expression(item, scope, tables, listed=True)
        for key, part in node.items():
            if key == "modifiers":
                self._modifiers(part, scope, tables)
            elif key not in ("cte_map", "from_table", "select_list"):
                self._expression(part, scope, tables)

    def _modifiers(self, modifiers: list[Tree], scope: Scope, tables: _Tables) -> None:
        for modifier in modifiers:
            orders = modifier.get("orders", [])
            if len(orders) == 1 and orders[0]["expression"]["class"] == "STAR":
                continue  # ORDER BY ALL: what was selected, whatever there is
            self._expression(modifier, scope, tables)

    # ------------------------------------------------------------------------------------------ FROM
    def _source(self, ref: Tree, scope: Scope, tables: _Tables) -> _Deferred:
        """Adds the sources of a FROM clause to `scope`; what is returned looks at its expressions, when all of them are there."""
        match ref["type"]:
            case "EMPTY":
                return []
            case "BASE_TABLE":
                self._table(ref, scope, tables)
                return []
            case "JOIN":
                return self._join(ref, scope, tables)
            case "SUBQUERY":
                return self._subquery(ref, scope, tables)
            case "EXPRESSION_LIST":
                scope.sources.append(Source(ref["alias"]))
                return [lambda: self._expression(ref["values"], scope, tables)]
            case "TABLE_FUNCTION":
                return self._table_function(ref, scope, tables)
            case "SHOW_REF" if ref.get("query"):
                scope.sources.append(Source(ref["alias"]))
                return [lambda: self.query(ref["query"], scope.outer, tables)]
            case "PIVOT":
                return self._pivot(ref, scope, tables)
            case other:
                raise QueryError(f"SQL: FROM {_words(other, '_REF')} is not possible here")

    def _table(self, ref: Tree, scope: Scope, tables: _Tables) -> None:
        path = ref["qualified_name"]["path"]
        name: str = path[-1]
        if (len(path) == 1 or path[:-1] == ["recurring"]) and name.lower() in tables:
            columns = renamed(tables[name.lower()], ref["column_name_alias"])
            scope.sources.append(Source(ref["alias"] or name, columns=columns))
            return
        relation = self._known.get(name.lower()) if len(path) == 1 else None
        if relation is None:
            raise QueryError(
                f"SQL: there is no table {'.'.join(path)!r}; {did_you_mean(name, self._known.values())} Files and other "
                "databases are not within reach",
                name=name,
            )
        if ref["column_name_alias"]:
            raise QueryError(
                f"SQL: the columns of {name} cannot be renamed in FROM: the fields of records have no order"
            )
        if ref["at_clause"]:
            raise QueryError(f"SQL: {name} AT (…) is not possible here; db.at(timestamp=…) is a database of the past")
        self.found.tables.add(relation)
        scope.sources.append(Source(ref["alias"] or name, relation))

    def _subquery(self, ref: Tree, scope: Scope, tables: _Tables) -> _Deferred:
        source, beside = Source(ref["alias"]), Scope(scope.outer, list(scope.sources))  # it sees what stands left of it
        scope.sources.append(source)

        def look() -> None:
            source.columns = renamed(self.query(ref["subquery"]["node"], beside, tables), ref["column_name_alias"])

        return [look]

    def _join(self, ref: Tree, scope: Scope, tables: _Tables) -> _Deferred:
        before = len(scope.sources)
        later = [*self._source(ref["left"], scope, tables), *self._source(ref["right"], scope, tables)]
        members = [source for source in scope.sources[before:] if source.relation is not None]
        if ref["ref_type"] == "NATURAL" and members:
            raise QueryError(
                f"SQL: NATURAL JOIN of {members[0].name} would compare every column that both have, _rest too: name them "
                "with USING (…)"
            )
        for name in ref["using_columns"]:
            self.found.names.append(Name(reference([name]), Scope(None, members), (name,), []))
        return [*later, lambda: self._expression([ref["condition"], ref.get("ranking_expression")], scope, tables)]

    def _table_function(self, ref: Tree, scope: Scope, tables: _Tables) -> _Deferred:
        name = ref["function"]["function_name"].lower()
        check_table_function(name)
        columns = renamed(JSON_COLUMNS if name.startswith("json") else (name,), ref["column_name_alias"])
        scope.sources.append(Source(ref["alias"] or name, columns=columns))
        return [lambda: self._expression(ref["function"]["arguments"], scope, tables)]

    def _pivot(self, ref: Tree, scope: Scope, tables: _Tables) -> _Deferred:
        inner = Scope(scope.outer)
        later = self._source(ref["source"], inner, tables)
        if inner.relations():
            name = inner.relations()[0].name
            verb = "UNPIVOT" if ref["unpivot_names"] else "PIVOT"
            raise QueryError(
                f"SQL: {verb} of {name} would keep all its other columns, _rest too: choose them first, as in {verb} (SELECT "
                f"a, b FROM {name}) …"
            )
        scope.sources.append(Source(ref["alias"]))
        expressions = [ref["aggregates"], ref["pivots"]]
        return [*later, lambda: self._expression(expressions, inner, tables)]

    # ------------------------------------------------------------------------------------------ expressions
    def _expression(self, part: Any, scope: Scope, tables: _Tables, *, listed: bool = False) -> None:
        if isinstance(part, list):
            for one in part:
                self._expression(one, scope, tables)
        elif isinstance(part, dict):
            if str(part.get("type", "")).endswith("_NODE"):
                self.query(part, scope, tables)
            elif (name := as_name(part, scope)) is not None:
                name.listed = listed
                self.found.names.append(name)
            else:
                self._other(part, scope, tables)

    def _other(self, part: Tree, scope: Scope, tables: _Tables) -> None:
        match part.get("class"):
            case "STAR":
                self._star(part, scope, tables)
                return
            case "LAMBDA":
                self._lambda(part, scope, tables)
                return
            case "POSITIONAL_REFERENCE" if scope.relations():
                raise QueryError(f"SQL: #{part['index']} is not possible here: the fields of records have no order")
            case "PARAMETER":
                self.found.parameters.add(part["identifier"])
            case "FUNCTION" | "WINDOW":
                check_function(part)
                self.found.functions.add(part["function_name"].lower())
            case "TYPE":
                check_type(part)
        for one in part.values():
            self._expression(one, scope, tables)

    def _star(self, part: Tree, scope: Scope, tables: _Tables) -> None:
        self.found.stars.append(Star(part, scope))
        for name in listed_names(part["expr"]) or ():
            self.found.names.append(Name(reference([name]), scope, (name,), []))
        self._expression([part["replace_list"], part["expr"]], scope, tables)

    def _lambda(self, part: Tree, scope: Scope, tables: _Tables) -> None:
        """`x -> f(x)` makes a name of its own; but `->` may also take something out of JSON, and then its left side is a column."""
        arrow = part.get("syntax_type") == "SINGLE_ARROW"
        names = [Source(one, parameter=True) for one in lambda_names(part["lhs"])]
        if arrow:
            self._expression(part["lhs"], scope, tables)
        self._expression(part["expr"], Scope(scope, names), tables)


def _words(kind: str, *endings: str) -> str:
    for ending in endings:
        kind = kind.removesuffix(ending)
    return kind.replace("_", " ")
