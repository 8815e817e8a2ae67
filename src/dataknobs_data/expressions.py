"""Conditions as values: a tree of filters.

An `Expression` is a `Filter`, or a `Combination` (and, or, not) of expressions. `matching` says what it means; whoever
wants to say it in SQL, or prune with it, folds over the same tree (`fold`, `conjuncts`). Everything is checked when it
is built: mistakes raise QueryError there, not in the middle of a search.
"""

from __future__ import annotations

import re
import reprlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

from dataknobs_data.exceptions import QueryError
from dataknobs_data.spelling import did_you_mean

T = TypeVar("T")


class Operator(StrEnum):
    """How a filter compares. `Query.filter` takes these texts in any case; `==` is `=`, and `NOT IN` is `not_in`."""

    EQ = "="
    NEQ = "!="
    GT = ">"
    LT = "<"
    GTE = ">="
    LTE = "<="
    IN = "in"
    NOT_IN = "not_in"
    LIKE = "like"
    NOT_LIKE = "not_like"
    REGEX = "regex"
    STARTS_WITH = "starts_with"
    EXISTS = "exists"
    NOT_EXISTS = "not_exists"
    BETWEEN = "between"
    NOT_BETWEEN = "not_between"

    @classmethod
    def parse(cls, text: Operator | str) -> Operator:
        """The operator of that spelling. Raises QueryError naming the nearest."""
        spelling = "_".join(text.lower().split()) if isinstance(text, str) else text
        try:
            return cls("=" if spelling == "==" else spelling)
        except ValueError:
            raise QueryError(f"unknown operator {text!r}; {did_you_mean(text, cls)}", operator=text) from None


class LogicOperator(StrEnum):
    """How a combination joins its children. NOT has exactly one."""

    AND = "and"
    OR = "or"
    NOT = "not"


# ---------------------------------------------------------------------------------------------- the tree
@dataclass(frozen=True, init=False, slots=True)
class Filter:
    """A leaf of the tree: one comparison of one field.

    `value` is what the operator compares with: a tuple for in and not_in, (low, high) for between and not_between, text
    for like, not_like, regex and starts_with, None for exists and not_exists, anything for the rest.
    """

    field: str
    operator: Operator
    value: Any

    def __init__(self, field: str, operator: Operator | str, value: Any = None) -> None:
        known = Operator.parse(operator)
        object.__setattr__(self, "field", checked_field(field, "filter"))
        object.__setattr__(self, "operator", known)
        object.__setattr__(self, "value", _checked_operand(field, known, value))

    def to_dict(self) -> dict[str, Any]:
        """`{"field", "operator", "value"}`, without the value where the operator takes none."""
        form = {"field": self.field, "operator": self.operator.value}
        if self.operator in _LONE:
            return form
        return {**form, "value": list(self.value) if self.operator in _LISTS | _RANGES else self.value}


@dataclass(frozen=True, slots=True)
class Combination:
    """An inner node of the tree: its children joined by and, or, not."""

    operator: LogicOperator
    children: tuple[Expression, ...]

    def __post_init__(self) -> None:
        if not self.children or (self.operator is LogicOperator.NOT and len(self.children) > 1):
            raise QueryError(f"{self.operator.value!r} cannot join {len(self.children)} conditions")

    def to_dict(self) -> dict[str, Any]:
        """`{"and": [children]}`, `{"or": [children]}` or `{"not": child}`."""
        children = [child.to_dict() for child in self.children]
        return {self.operator.value: children[0] if self.operator is LogicOperator.NOT else children}


Expression = Filter | Combination
"""A condition that a record satisfies or not."""


def all_of(*conditions: Expression) -> Expression:
    """What holds when all conditions hold; an and inside becomes part of this one."""
    return _joined(LogicOperator.AND, conditions)


def any_of(*conditions: Expression) -> Expression:
    """What holds when at least one condition holds; an or inside becomes part of this one."""
    return _joined(LogicOperator.OR, conditions)


def negation(condition: Expression) -> Expression:
    """What holds when `condition` does not."""
    return Combination(LogicOperator.NOT, (condition,))


def _joined(operator: LogicOperator, conditions: Sequence[Expression]) -> Expression:
    children: list[Expression] = []
    for one in conditions:
        children.extend(one.children if isinstance(one, Combination) and one.operator is operator else (one,))
    return children[0] if len(children) == 1 else Combination(operator, tuple(children))


# ---------------------------------------------------------------------------------------------- visiting it
def fold(expression: Expression, leaf: Callable[[Filter], T], join: Callable[[LogicOperator, list[T]], T]) -> T:
    """What `leaf` makes of the filters and `join` of their combinations, from the leaves up.

    This is the one way to visit an expression: matching, SQL texts and pruning are each a `leaf` and a `join`.
    """
    if isinstance(expression, Filter):
        return leaf(expression)
    return join(expression.operator, [fold(child, leaf, join) for child in expression.children])


def conjuncts(expression: Expression | None) -> tuple[Expression, ...]:
    """The conditions that must all hold: the children of a top-level and, else the expression itself, or nothing."""
    if expression is None:
        return ()
    if isinstance(expression, Combination) and expression.operator is LogicOperator.AND:
        return expression.children
    return (expression,)


def expression_from_dict(source: Mapping[str, Any]) -> Expression:
    """The expression that `to_dict` wrote. Raises QueryError."""
    if isinstance(source, Mapping) and "field" in source:
        refuse_unknown("filter", source, ("field", "operator", "value"))
        return Filter(source["field"], source.get("operator", Operator.EQ), source.get("value"))
    if not isinstance(source, Mapping) or len(source) != 1:
        raise QueryError(
            f"a condition has 'field', 'operator', 'value', or one of 'and', 'or', 'not': {reprlib.repr(source)}"
        )
    refuse_unknown("condition", source, ("field", *LogicOperator))
    [(name, inner)] = source.items()
    operator = LogicOperator(name)
    children = [inner] if operator is LogicOperator.NOT else inner
    if not isinstance(children, list | tuple):
        raise QueryError(f"{name!r} joins a list of conditions, not {reprlib.repr(children)}")
    return Combination(operator, tuple(expression_from_dict(child) for child in children))


# ---------------------------------------------------------------------------------------------- checks
_LISTS = frozenset({Operator.IN, Operator.NOT_IN})
_RANGES = frozenset({Operator.BETWEEN, Operator.NOT_BETWEEN})
_TEXTS = frozenset({Operator.LIKE, Operator.NOT_LIKE, Operator.REGEX, Operator.STARTS_WITH})
_LONE = frozenset({Operator.EXISTS, Operator.NOT_EXISTS})


def checked_field(name: Any, purpose: str) -> str:
    """`name` if it can name a field. Raises QueryError saying what it was meant for."""
    if isinstance(name, str) and name:
        return name
    raise QueryError(f"{purpose}: a field name is a non-empty string, not {reprlib.repr(name)}", field=name)


def refuse_unknown(what: str, source: Mapping[str, Any], known: Iterable[str]) -> None:
    """Raises QueryError for a key of `source` that is not `known`, naming the nearest."""
    words = list(known)
    for key in source:
        if key not in words:
            raise QueryError(f"{what}: unknown key {key!r}; {did_you_mean(key, words)}", key=key)


def _checked_operand(field: str, operator: Operator, value: Any) -> Any:
    if operator in _LONE:
        if value is None or value is True:
            return None
        raise _wrong_operand(field, operator, "no value (its opposite is 'exists' or 'not_exists')", value)
    if operator in _LISTS:
        if isinstance(value, Collection) and not isinstance(value, (str, bytes, bytearray, Mapping)):
            return tuple(value)
        raise _wrong_operand(field, operator, "a list of values", value)
    if operator in _RANGES:
        if isinstance(value, list | tuple) and len(value) == 2 and None not in value:
            return tuple(value)
        raise _wrong_operand(field, operator, "two values, (low, high)", value)
    if operator in _TEXTS and not isinstance(value, str):
        raise _wrong_operand(field, operator, "text", value)
    if operator is Operator.REGEX:
        _check_pattern(field, value)
    return value


def _wrong_operand(field: str, operator: Operator, wanted: str, value: Any) -> QueryError:
    return QueryError(
        f"filter on {field!r}: {operator.value!r} takes {wanted}, not {type(value).__name__} {reprlib.repr(value)}",
        field=field,
        operator=operator,
    )


def _check_pattern(field: str, pattern: str) -> None:
    try:
        re.compile(pattern)
    except re.error as error:
        raise QueryError(
            f"filter on {field!r}: the regular expression {pattern!r} is wrong at position {error.pos}: {error.msg}",
            field=field,
            position=error.pos,
        ) from error
    except (OverflowError, RecursionError) as error:
        raise QueryError(f"filter on {field!r}: the regular expression is too large: {error}", field=field) from error
