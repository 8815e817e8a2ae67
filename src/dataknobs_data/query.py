"""Queries as values: which records (one expression tree), in which order, how many, and what of them.

    Query().filter("department", "=", "Engineering").filter("age", ">=", 30).sort("name").limit(10)
    Query().filter("state", "=", "new").or_(Filter("priority", ">", 8)).not_(Filter("tag", "in", ["spam", "test"]))

What filters and sorting mean stands in `matching`, the tree itself in `expressions`.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from dataknobs_data.exceptions import QueryError
from dataknobs_data.expressions import (
    Combination,
    Expression,
    Filter,
    LogicOperator,
    Operator,
    all_of,
    any_of,
    checked_field,
    conjuncts,
    expression_from_dict,
    fold,
    negation,
    refuse_unknown,
)

__all__ = [
    "Combination",
    "ComplexQuery",
    "Condition",
    "Expression",
    "Filter",
    "LogicOperator",
    "Operator",
    "Query",
    "QueryBuilder",
    "SortOrder",
    "SortSpec",
    "conjuncts",
    "fold",
]


class SortOrder(StrEnum):
    """Ascending or descending."""

    ASC = "asc"
    DESC = "desc"

    @classmethod
    def parse(cls, text: SortOrder | str) -> SortOrder:
        """ASC or DESC, in any case. Raises QueryError otherwise."""
        try:
            return cls(text.strip().lower() if isinstance(text, str) else text)
        except ValueError:
            raise QueryError(f"unknown sort order {text!r}; it is 'ASC' or 'DESC'", order=text) from None


@dataclass(frozen=True, init=False, slots=True)
class SortSpec:
    """Sort by one field, or path, or `id`, or `metadata.x`."""

    field: str
    order: SortOrder

    def __init__(self, field: str, order: SortOrder | str = SortOrder.ASC) -> None:
        object.__setattr__(self, "field", checked_field(field, "sort"))
        object.__setattr__(self, "order", SortOrder.parse(order))

    @property
    def descending(self) -> bool:
        """Whether the order is DESC."""
        return self.order is SortOrder.DESC

    def to_dict(self) -> dict[str, Any]:
        """`{"field", "order"}`."""
        return {"field": self.field, "order": self.order.value}

    @classmethod
    def from_dict(cls, source: Mapping[str, Any]) -> SortSpec:
        """What `to_dict` wrote; `order` may be absent. Raises QueryError."""
        if not isinstance(source, Mapping):
            raise QueryError(f"a sort is {{'field', 'order'}}, not {source!r}")
        refuse_unknown("sort", source, ("field", "order"))
        return cls(source.get("field", ""), source.get("order", SortOrder.ASC))


@dataclass(slots=True)
class Query:
    """What to look for. Every method changes this query and returns it, so calls chain; `copy()` gives one of its own.

    expression    the tree of conditions; None: every record
    sort_specs    most significant first; without any, results come in the order of their ids
    limit_value   at most so many results; None: all
    offset_value  how many results to skip first
    projection    the names that results keep; None: all
    """

    expression: Expression | None = field(default=None, init=False)
    sort_specs: tuple[SortSpec, ...] = field(default=(), init=False)
    limit_value: int | None = field(default=None, init=False)
    offset_value: int = field(default=0, init=False)
    projection: tuple[str, ...] | None = field(default=None, init=False)

    # ------------------------------------------------------------------------------------------ conditions
    def filter(self, field: str, operator: Operator | str, value: Any = None) -> Query:
        """Requires one more comparison to hold. Raises QueryError for an unknown operator or a value it cannot take."""
        return self.and_(Filter(field, operator, value))

    def and_(self, *conditions: Condition) -> Query:
        """Requires all of `conditions` to hold as well."""
        self.expression = self._with(all_of, conditions)
        return self

    def or_(self, *conditions: Condition) -> Query:
        """Reads from left to right: what the query asked for so far, or any of `conditions`."""
        self.expression = self._with(any_of, conditions)
        return self

    def not_(self, condition: Condition) -> Query:
        """Requires `condition` not to hold."""
        return self.and_(negation(as_expression(condition)))

    def _with(self, join: Any, conditions: tuple[Condition, ...]) -> Expression | None:
        parts = [as_expression(one) for one in conditions]
        if self.expression is not None:
            parts.insert(0, self.expression)
        joined: Expression | None = join(*parts) if parts else None
        return joined

    @property
    def filters(self) -> list[Filter]:
        """The comparisons that must hold whatever else does: those at the top of the tree, joined by and."""
        return [one for one in conjuncts(self.expression) if isinstance(one, Filter)]

    def clear_filters(self) -> Query:
        """Forgets every condition."""
        self.expression = None
        return self

    # ------------------------------------------------------------------------------------------ order and size
    def sort(self, field: str, order: SortOrder | str = SortOrder.ASC) -> Query:
        """Sorts by `field`, after the fields that were named before."""
        self.sort_specs = (*self.sort_specs, SortSpec(field, order))
        return self

    sort_by = sort

    def clear_sort(self) -> Query:
        """Forgets the order."""
        self.sort_specs = ()
        return self

    def limit(self, count: int | None) -> Query:
        """At most `count` results; 0 finds nothing, None lifts the limit."""
        self.limit_value = None if count is None else _checked_count("limit", count)
        return self

    def offset(self, count: int) -> Query:
        """Skips the first `count` results."""
        self.offset_value = _checked_count("offset", count)
        return self

    def select(self, *fields: str) -> Query:
        """Results keep these fields only, in this order, with id and metadata; `select()` keeps all again."""
        self.projection = tuple(checked_field(name, "select") for name in fields) or None
        return self

    # ------------------------------------------------------------------------------------------ as a value
    def copy(self) -> Query:
        """A query of its own that asks for the same."""
        return copy.copy(self)

    def to_dict(self) -> dict[str, Any]:
        """`{"filter", "sort", "limit", "offset", "select"}`, only what is set; operands stay as they are."""
        form = {
            "filter": self.expression.to_dict() if self.expression else None,
            "sort": [spec.to_dict() for spec in self.sort_specs],
            "limit": self.limit_value,
            "offset": self.offset_value or None,
            "select": list(self.projection or ()),
        }
        return {key: part for key, part in form.items() if part is not None and part != []}

    @classmethod
    def from_dict(cls, source: Mapping[str, Any]) -> Query:
        """The query that `to_dict` wrote. Raises QueryError."""
        if not isinstance(source, Mapping):
            raise QueryError(f"a query is made from a mapping, not {type(source).__name__}")
        refuse_unknown("query", source, ("filter", "sort", "limit", "offset", "select"))
        query = cls().limit(source.get("limit")).offset(source.get("offset", 0)).select(*_listed(source, "select"))
        if source.get("filter") is not None:
            query.expression = expression_from_dict(source["filter"])
        query.sort_specs = tuple(SortSpec.from_dict(spec) for spec in _listed(source, "sort"))
        return query


ComplexQuery = Query
"""A query holds any tree of conditions, so the complex one needs no class of its own."""

Condition = Filter | Combination | Query
"""What conditions are given as. Of a query only the conditions count, so it must have nothing else."""


def as_expression(condition: Condition) -> Expression:
    """The expression that a condition stands for. Raises QueryError for a query that is empty or more than that."""
    if isinstance(condition, Filter | Combination):
        return condition
    if not isinstance(condition, Query):
        raise QueryError(f"a condition is a Filter or a Query, not {type(condition).__name__} {condition!r}")
    if condition.expression is None:
        raise QueryError("a query without filters cannot be a condition")
    if condition.to_dict().keys() != {"filter"}:
        raise QueryError("a query that sorts, cuts or selects cannot be a condition; do that in the outer query")
    return condition.expression


def _checked_count(what: str, count: Any) -> int:
    if isinstance(count, int) and not isinstance(count, bool) and count >= 0:
        return count
    raise QueryError(f"{what} is a whole number from 0 on, not {count!r}", **{what: count})


def _listed(source: Mapping[str, Any], key: str) -> list[Any] | tuple[Any, ...]:
    items = source.get(key, ())
    if isinstance(items, list | tuple):
        return items
    raise QueryError(f"query: {key!r} is a list, not {items!r}", key=key)


class QueryBuilder:
    """Builds a query from left to right, each step naming one comparison (or one ready condition).

    QueryBuilder().where("age", ">", 30).or_("vip", "=", True).not_("state", "=", "left").sort("name").build()
    """

    __slots__ = ("_query",)

    def __init__(self) -> None:
        self._query = Query()

    def where(self, condition: str | Condition, operator: str = Operator.EQ, value: Any = None) -> QueryBuilder:
        """Requires the comparison to hold; the same as `and_`."""
        self._query.and_(_condition(condition, operator, value))
        return self

    and_ = where

    def or_(self, condition: str | Condition, operator: str = Operator.EQ, value: Any = None) -> QueryBuilder:
        """What was asked for so far, or this."""
        self._query.or_(_condition(condition, operator, value))
        return self

    def not_(self, condition: str | Condition, operator: str = Operator.EQ, value: Any = None) -> QueryBuilder:
        """Requires the comparison not to hold."""
        self._query.not_(_condition(condition, operator, value))
        return self

    def sort(self, field: str, order: SortOrder | str = SortOrder.ASC) -> QueryBuilder:
        """As `Query.sort`."""
        self._query.sort(field, order)
        return self

    sort_by = sort

    def limit(self, count: int | None) -> QueryBuilder:
        """As `Query.limit`."""
        self._query.limit(count)
        return self

    def offset(self, count: int) -> QueryBuilder:
        """As `Query.offset`."""
        self._query.offset(count)
        return self

    def select(self, *fields: str) -> QueryBuilder:
        """As `Query.select`."""
        self._query.select(*fields)
        return self

    def build(self) -> Query:
        """The query; building on does not change it."""
        return self._query.copy()


def _condition(condition: str | Condition, operator: str, value: Any) -> Condition:
    return Filter(condition, operator, value) if isinstance(condition, str) else condition
