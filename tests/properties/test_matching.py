"""The evaluator against a naive reading of its own contract, and laws that hold for all conditions."""

from __future__ import annotations

import json
import random
import re
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from dataknobs_data.matching import MISSING, id_bounds, instant, matches, order, row_of
from dataknobs_data.query import Combination, Expression, Filter, LogicOperator, Operator, Query, SortOrder, SortSpec
from dataknobs_data.records import Record
from tests.properties.strategies import (
    expressions,
    filters,
    likely_names,
    likely_patterns,
    likely_records,
    likely_values,
    queries,
    storable_values,
)


# ---------------------------------------------------------------------------------------------- a naive evaluator
def lookup(record: Record, name: str) -> Any:
    return record.id if name == "id" else record.get_value(name)


def seconds(value: Any) -> Fraction | None:
    """Where an instant lies, in seconds."""
    if isinstance(value, str) and len(value) >= 10 and value[:4].isdecimal() and value[4] == value[7] == "-":
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime.combine(value, time())
    if not isinstance(value, datetime):
        return None
    span = value.replace(tzinfo=None) - (value.utcoffset() or timedelta()) - datetime(1970, 1, 1)
    return Fraction(span // timedelta(microseconds=1), 10**6)


def sign(mine: Any, other: Any) -> int:
    return int(mine > other) - int(mine < other)


def compare(mine: Any, other: Any) -> int | None:
    """-1, 0 or 1 as `mine` is less, equal or greater; None where there is no such answer."""
    if isinstance(mine, bool) or isinstance(other, bool):
        return sign(mine, other) if isinstance(mine, bool) and isinstance(other, bool) else None
    numeric = (int, float, Decimal)
    if isinstance(mine, numeric) and isinstance(other, numeric):
        if is_nan(mine) or is_nan(other):
            return None
        infinite = [Decimal(value).is_infinite() for value in (mine, other)]
        return sign(Decimal(mine), Decimal(other)) if any(infinite) else sign(Fraction(mine), Fraction(other))
    if (when := seconds(mine)) is not None and (then := seconds(other)) is not None:
        return sign(when, then)
    for kind in (str, timedelta, (bytes, bytearray), UUID):
        if isinstance(mine, kind) and isinstance(other, kind):
            return sign(mine, other)
    if isinstance(mine, time) and isinstance(other, time):
        return sign(
            *(datetime.combine(date(2000, 1, 1), clock.replace(tzinfo=clock.tzinfo or UTC)) for clock in (mine, other))
        )
    return None


def is_nan(value: Any) -> bool:
    return Decimal(value).is_nan()


def equal(mine: Any, other: Any) -> bool:
    if isinstance(mine, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(mine) == len(other) and all(a is b is None or equal(a, b) for a, b in zip(mine, other, strict=True))
    if isinstance(mine, dict) and isinstance(other, dict):
        return mine.keys() == other.keys() and all(equal(mine[key], other[key]) for key in mine)
    if isinstance(mine, (set, frozenset)) and isinstance(other, (set, frozenset)):
        return len(mine) == len(other) and all(any(equal(a, b) for b in other) for a in mine)
    return compare(mine, other) == 0


def like(text: str, pattern: str) -> bool:
    """LIKE by trying everything."""
    if not pattern:
        return not text
    if pattern[0] == "%":
        return any(like(text[skip:], pattern[1:]) for skip in range(len(text) + 1))
    return bool(text) and (pattern[0] == "_" or pattern[0].lower() == text[0].lower()) and like(text[1:], pattern[1:])


def naive(expression: Expression, record: Record) -> bool:
    if isinstance(expression, Combination):
        answers = [naive(child, record) for child in expression.children]
        return {LogicOperator.AND: all(answers), LogicOperator.OR: any(answers), LogicOperator.NOT: not answers[0]}[
            expression.operator
        ]
    value, operand = lookup(record, expression.field), expression.value
    if expression.operator is Operator.NOT_EXISTS:
        return value is None
    return value is not None and naive_operator(expression.operator, value, operand, expression.field == "id")


def naive_operator(operator: Operator, value: Any, operand: Any, is_id: bool) -> bool:
    def order_of(bound: Any) -> int | None:
        if is_id:
            return sign(value, bound) if isinstance(bound, str) else None
        return compare(value, bound)

    def is_equal(one: Any) -> bool:
        return order_of(one) == 0 if is_id else equal(value, one)

    match operator:
        case Operator.EXISTS:
            return True
        case Operator.EQ:
            return is_equal(operand)
        case Operator.NEQ:
            return not is_equal(operand)
        case Operator.LT:
            return order_of(operand) == -1
        case Operator.GT:
            return order_of(operand) == 1
        case Operator.LTE:
            return order_of(operand) in (-1, 0)
        case Operator.GTE:
            return order_of(operand) in (0, 1)
        case Operator.IN:
            return any(map(is_equal, operand))
        case Operator.NOT_IN:
            return not any(map(is_equal, operand))
        case Operator.BETWEEN | Operator.NOT_BETWEEN:
            inside = order_of(operand[0]) in (0, 1) and order_of(operand[1]) in (-1, 0)
            return inside is (operator is Operator.BETWEEN)
        case Operator.LIKE | Operator.NOT_LIKE:
            return (isinstance(value, str) and like(value, operand)) is (operator is Operator.LIKE)
        case Operator.STARTS_WITH:
            return isinstance(value, str) and value[: len(operand)] == operand
        case Operator.REGEX:
            return isinstance(value, str) and bool(re.search(operand, value))
    raise AssertionError(operator)


@given(expressions, likely_records())
def test_says_what_the_contract_says(expression: Expression, record: Record) -> None:
    assert matches(expression, row_of(record)) is naive(expression, record)


@given(filters(), likely_records())
def test_one_comparison_says_what_the_contract_says(leaf: Filter, record: Record) -> None:
    record["a"] = record.get_value(leaf.field)
    assert matches(leaf, row_of(record)) is naive(leaf, record)


@given(st.text("abAB\n", max_size=8), likely_patterns)
def test_like_finds_what_trying_everything_finds(text: str, pattern: str) -> None:
    assert matches(Filter("a", "like", pattern), row_of(Record({"a": text}))) is like(text, pattern)


# ---------------------------------------------------------------------------------------------- laws
NEGATIONS = {"=": "!=", "in": "not_in", "like": "not_like", "between": "not_between", "exists": "not_exists"}


@given(storable_values, storable_values, st.sampled_from(["=", "!=", "<", ">", "<=", ">="]))
def test_nothing_raises_and_a_value_is_never_on_both_sides(mine: Any, other: Any, operator: str) -> None:
    row = row_of(Record({"a": mine}))
    assert matches(Filter("a", operator, other), row) in (True, False)
    assert sum(matches(Filter("a", one, other), row) for one in "<=>") <= 1


@given(likely_values, likely_values)
def test_comparing_is_symmetric(mine: Any, other: Any) -> None:
    forth, back = row_of(Record({"a": mine})), row_of(Record({"a": other}))
    for operator, mirrored in (("=", "="), ("<", ">"), ("<=", ">=")):
        assert matches(Filter("a", operator, other), forth) is matches(Filter("a", mirrored, mine), back)


@given(expressions, likely_records())
def test_not_turns_every_answer_around(expression: Expression, record: Record) -> None:
    row = row_of(record)
    assert matches(Query().not_(expression).expression, row) is not matches(expression, row)


@given(filters().filter(lambda leaf: leaf.operator in NEGATIONS), likely_records())
def test_a_negated_operator_is_the_opposite_where_there_is_a_value(leaf: Filter, record: Record) -> None:
    opposite = Filter(leaf.field, NEGATIONS[leaf.operator], leaf.value)
    present = matches(Filter(leaf.field, "exists"), row_of(record))
    answers = matches(leaf, row_of(record)), matches(opposite, row_of(record))
    if present or leaf.operator is Operator.EXISTS:
        assert answers[0] is not answers[1]
    else:
        assert answers == (False, False)


@given(likely_records(), likely_names, st.lists(likely_values, max_size=4))
def test_in_is_equality_with_any(record: Record, name: str, values: list[Any]) -> None:
    row = row_of(record)
    assert matches(Filter(name, "in", values), row) is any(matches(Filter(name, "=", one), row) for one in values)


@given(expressions, likely_records())
def test_no_match_lies_outside_the_id_bounds(expression: Expression, record: Record) -> None:
    if matches(expression, row_of(record)):
        assert str(record.id) in id_bounds(expression)


@given(queries(), likely_records())
def test_a_query_survives_as_a_dict(query: Query, record: Record) -> None:
    again = Query.from_dict(query.to_dict())
    assert again.to_dict() == query.to_dict()
    assert matches(again.expression, row_of(record)) is matches(query.expression, row_of(record))


@given(st.lists(st.integers() | st.text(), max_size=3), st.integers(0))
def test_a_query_of_json_values_survives_as_json(values: list[Any], limit: int) -> None:
    query = Query().filter("a", "in", values).or_(Filter("b", "=", values)).sort("a", "desc").limit(limit)
    assert Query.from_dict(json.loads(json.dumps(query.to_dict()))) == query


# ---------------------------------------------------------------------------------------------- instants
@given(st.datetimes(), st.integers(-1439, 1439), st.integers(-1439, 1439))
def test_one_instant_is_equal_in_every_zone(naive_utc: datetime, first: int, second: int) -> None:
    try:
        moments = [naive_utc.replace(tzinfo=UTC).astimezone(timezone(timedelta(minutes=m))) for m in (first, second)]
    except OverflowError:  # the zone's clock would show the year 0 or 10000
        return
    for value in (moments[0], moments[0].isoformat()):
        for operand in (
            moments[1],
            moments[1].isoformat(),
            moments[1].isoformat(sep=" "),
            naive_utc,
            naive_utc.isoformat(),
        ):
            assert matches(Filter("a", "=", operand), row_of(Record({"a": value})))


@given(st.text("0123456789-:TZ+. ", min_size=8, max_size=30))
def test_what_reads_as_an_instant_is_iso(text: str) -> None:
    moment = instant(text)
    if moment is not None:
        assert text[:10] == datetime.fromisoformat(text).date().isoformat()
        assert moment.tzinfo is not None


# ---------------------------------------------------------------------------------------------- sorting
sort_specs = st.lists(st.builds(SortSpec, likely_names, st.sampled_from(SortOrder)), max_size=3)


@st.composite
def tables(draw: st.DrawFn) -> list[Record]:
    """Records with ids of their own."""
    found = draw(st.lists(likely_records(), max_size=8))
    for position, record in enumerate(found):
        record.id = f"{record.id}-{position}"
    return found


@given(tables(), sort_specs, st.randoms())
def test_the_order_does_not_depend_on_where_rows_came_from(
    table: list[Record], specs: list[SortSpec], chance: random.Random
) -> None:
    rows = [row_of(record) for record in table]
    expected = [row.id for row in order(rows, specs)]
    chance.shuffle(rows)
    assert [row.id for row in order(rows, specs)] == expected


@given(tables(), st.sampled_from(["a", "b", "a.x", "metadata.m"]), st.sampled_from(SortOrder))
def test_sorted_neighbors_agree_with_the_filters(table: list[Record], name: str, direction: SortOrder) -> None:
    rows = order([row_of(record) for record in table], [SortSpec(name, direction)])
    values = [None if row.value(name) is MISSING else row.value(name) for row in rows]
    for earlier, later in pairwise(values):
        assert earlier is not None or later is None, "absent values come last"
        if (seconds(earlier) is None) is (seconds(later) is None):  # a stamp and other text differ in kind
            assert compare(earlier, later) != (1 if direction is SortOrder.ASC else -1)
