"""Query: building, what it refuses, the tree it builds, dict form."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from dataknobs_data.exceptions import QueryError
from dataknobs_data.query import (
    Combination,
    ComplexQuery,
    Filter,
    LogicOperator,
    Operator,
    Query,
    QueryBuilder,
    SortOrder,
    SortSpec,
    conjuncts,
    fold,
)

A, B, C = Filter("a", "=", 1), Filter("b", "=", 2), Filter("c", "=", 3)


def both(*children: Any) -> Combination:
    return Combination(LogicOperator.AND, children)


def either(*children: Any) -> Combination:
    return Combination(LogicOperator.OR, children)


def no(child: Any) -> Combination:
    return Combination(LogicOperator.NOT, (child,))


# ---------------------------------------------------------------------------------------------- building
def test_the_query_of_the_s3_example() -> None:
    query = (
        Query()
        .filter("department", "=", "Engineering")
        .filter("active", "=", True)
        .sort("created_at", "DESC")
        .limit(10)
    )
    assert query.expression == both(Filter("department", "=", "Engineering"), Filter("active", Operator.EQ, True))
    assert query.sort_specs == (SortSpec("created_at", SortOrder.DESC),)
    assert (query.limit_value, query.offset_value, query.projection) == (10, 0, None)


def test_methods_change_the_query_and_return_it() -> None:
    query = Query()
    assert query.expression is None
    assert query.filter("a", "=", 1) is query
    query.filter("b", "=", 2)
    query.sort_by("a").offset(3).select("a", "b")
    assert query.expression == both(A, B)
    assert (query.sort_specs, query.offset_value, query.projection) == ((SortSpec("a"),), 3, ("a", "b"))
    query.clear_filters().clear_sort().limit(None).offset(0).select()
    assert query == Query()


def test_a_copy_goes_its_own_way() -> None:
    query = Query().filter("a", "=", 1)
    again = query.copy().filter("b", "=", 2).sort("a").limit(1)
    assert query == Query().filter("a", "=", 1)
    assert again.expression == both(A, B)


def test_the_tree_reads_from_left_to_right() -> None:
    assert Query().or_(A, B).expression == either(A, B)
    assert Query().and_(A).or_(B).expression == either(A, B)
    assert Query().and_(A).or_(B, C).expression == either(A, B, C)
    assert Query().and_(A).or_(B).and_(C).expression == both(either(A, B), C)
    assert Query().not_(A).expression == no(A)
    assert Query().and_(A).not_(either(B, C)).expression == both(A, no(either(B, C)))
    assert Query().and_(A).or_(Query().and_(B, C)).expression == either(A, both(B, C))
    assert Query().and_(A).or_().and_().expression == A


def test_the_builder_builds_the_same_queries() -> None:
    builder = QueryBuilder().where("a", "=", 1).and_("b", "=", 2).or_("c", "=", 3).not_("a", "in", [5])
    query = builder.sort("a", "desc").sort_by("b").limit(5).offset(1).select("a").build()
    expected = Query().and_(A, B).or_(C).not_(Filter("a", "in", [5])).sort("a", "desc").sort("b").limit(5).offset(1)
    assert query == expected.select("a")
    assert QueryBuilder().where(A).or_(Query().and_(B, C)).build().expression == either(A, both(B, C))
    builder.limit(6)
    assert query.limit_value == 5, "what was built does not change with the builder"


def test_a_complex_query_is_a_query() -> None:
    assert isinstance(Query().or_(A, B), ComplexQuery)


def test_filters_are_those_that_must_hold() -> None:
    assert Query().filters == []
    assert Query().and_(A).filters == [A]
    assert Query().and_(A, either(B, C)).filters == [A]
    assert Query().or_(A, B).filters == []


# ---------------------------------------------------------------------------------------------- operators and operands
@pytest.mark.parametrize("operator", Operator)
def test_operators_are_known_in_any_spelling(operator: Operator) -> None:
    spellings = {operator, operator.value, operator.value.upper(), f" {operator.value.replace('_', ' ').upper()} "}
    assert {Operator.parse(spelling) for spelling in spellings} == {operator}


def test_two_equals_signs_are_one() -> None:
    assert Filter("a", "==", 1) == A


@pytest.mark.parametrize(
    ("operator", "hint"),
    [
        ("startswith", "did you mean 'starts_with'?"),
        ("=>", "did you mean '>='?"),
        ("not-in", "did you mean 'not_in'?"),
        ("~", "it is one of '!=', '<', '<=', '=', '>', '>=', 'between', "),
        (None, "it is one of "),
        (5, "it is one of "),
    ],
)
def test_an_unknown_operator_names_the_nearest(operator: Any, hint: str) -> None:
    with pytest.raises(QueryError) as caught:
        Query().filter("a", operator, 1)
    assert str(caught.value).startswith(f"unknown operator {operator!r}; {hint}")


@pytest.mark.parametrize(
    ("operator", "value", "message"),
    [
        ("in", "abc", "filter on 'a': 'in' takes a list of values, not str 'abc'"),
        ("in", 5, "filter on 'a': 'in' takes a list of values, not int 5"),
        ("not_in", {"a": 1}, "filter on 'a': 'not_in' takes a list of values, not dict {'a': 1}"),
        ("in", None, "filter on 'a': 'in' takes a list of values, not NoneType None"),
        ("between", [1], "filter on 'a': 'between' takes two values, (low, high), not list [1]"),
        ("between", (1, None), "filter on 'a': 'between' takes two values, (low, high), not tuple (1, None)"),
        ("not_between", "ab", "filter on 'a': 'not_between' takes two values, (low, high), not str 'ab'"),
        ("like", 5, "filter on 'a': 'like' takes text, not int 5"),
        ("not_like", None, "filter on 'a': 'not_like' takes text, not NoneType None"),
        ("starts_with", b"a", "filter on 'a': 'starts_with' takes text, not bytes b'a'"),
        ("regex", 5, "filter on 'a': 'regex' takes text, not int 5"),
        (
            "regex",
            "a(b",
            "filter on 'a': the regular expression 'a(b' is wrong at position 1: missing ), unterminated subpattern",
        ),
        (
            "regex",
            "a{9999999999999}",
            "filter on 'a': the regular expression is too large: the repetition number is too large",
        ),
        (
            "exists",
            False,
            "filter on 'a': 'exists' takes no value (its opposite is 'exists' or 'not_exists'), not bool False",
        ),
    ],
)
def test_an_operand_that_the_operator_cannot_take(operator: str, value: Any, message: str) -> None:
    with pytest.raises(QueryError) as caught:
        Query().filter("a", operator, value)
    assert str(caught.value) == message


def test_a_pattern_error_carries_its_position() -> None:
    with pytest.raises(QueryError) as caught:
        Filter("a", "regex", "a(b")
    assert caught.value.context == {"field": "a", "position": 1}


@pytest.mark.parametrize("values", [[1, 2], (1, 2), {1, 2}, {1: "x", 2: "y"}.keys(), range(1, 3)])
def test_lists_of_any_kind_are_kept_as_a_tuple(values: Any) -> None:
    assert Filter("a", "in", values).value == (1, 2)


def test_a_filter_does_not_follow_the_callers_list() -> None:
    values = [1]
    leaf = Filter("a", "in", values)
    values.append(2)
    assert leaf.value == (1,)


@pytest.mark.parametrize("name", ["", None, 5])
def test_names_are_non_empty_strings(name: Any) -> None:
    query = Query()
    for purpose, arguments in (("filter", (name, "=", 1)), ("sort", (name,)), ("select", ("a", name))):
        with pytest.raises(QueryError, match=f"^{purpose}: a field name is a non-empty string, not {name!r}$"):
            getattr(query, purpose)(*arguments)
    assert query == Query()


@pytest.mark.parametrize("count", [-1, True, 1.0, "10"])
@pytest.mark.parametrize("method", ["limit", "offset"])
def test_counts_are_whole_numbers_from_zero(method: str, count: Any) -> None:
    with pytest.raises(QueryError, match=f"^{method} is a whole number from 0 on, not {count!r}$"):
        getattr(Query(), method)(count)


@pytest.mark.parametrize("order", ["ASC", "asc", "Asc ", SortOrder.ASC])
def test_sort_orders_are_known_in_any_case(order: str) -> None:
    assert SortSpec("a", order) == SortSpec("a")
    assert not SortSpec("a", order).descending


@pytest.mark.parametrize("order", ["up", "", None, True])
def test_an_unknown_sort_order(order: Any) -> None:
    with pytest.raises(QueryError, match=f"^unknown sort order {order!r}; it is 'ASC' or 'DESC'$"):
        Query().sort("a", order)


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        (Query(), "a query without filters cannot be a condition"),
        (Query().and_(A).limit(1), "a query that sorts, cuts or selects cannot be a condition"),
        (Query().and_(A).sort("a"), "a query that sorts, cuts or selects cannot be a condition"),
        ("a = 1", "a condition is a Filter or a Query, not str 'a = 1'"),
    ],
)
def test_what_cannot_be_a_condition(condition: Any, message: str) -> None:
    for combine in (Query().and_, Query().or_, Query().not_):
        with pytest.raises(QueryError, match=message):
            combine(condition)


@pytest.mark.parametrize(("operator", "children"), [("and", ()), ("or", ()), ("not", ()), ("not", (A, B))])
def test_a_combination_needs_children(operator: str, children: tuple[Filter, ...]) -> None:
    with pytest.raises(QueryError, match=f"'{operator}' cannot join {len(children)} conditions"):
        Combination(LogicOperator(operator), children)


# ---------------------------------------------------------------------------------------------- visiting
def test_fold_visits_from_the_leaves_up() -> None:
    expression = both(A, either(B, no(C)))
    shown = fold(expression, lambda leaf: leaf.field, lambda logic, parts: f"{logic.value}({', '.join(parts)})")
    assert shown == "and(a, or(b, not(c)))"


def test_conjuncts() -> None:
    assert conjuncts(None) == ()
    assert conjuncts(A) == (A,)
    assert conjuncts(both(A, either(B, C))) == (A, either(B, C))
    assert conjuncts(either(A, B)) == (either(A, B),)


# ---------------------------------------------------------------------------------------------- dict form
def test_the_dict_form() -> None:
    query = Query().and_(A).or_(B).not_(Filter("c", "exists")).filter("d", "between", (1, 2)).sort("a", "desc").limit(0)
    form = {
        "filter": {
            "and": [
                {"or": [{"field": "a", "operator": "=", "value": 1}, {"field": "b", "operator": "=", "value": 2}]},
                {"not": {"field": "c", "operator": "exists"}},
                {"field": "d", "operator": "between", "value": [1, 2]},
            ]
        },
        "sort": [{"field": "a", "order": "desc"}],
        "limit": 0,
    }
    assert query.to_dict() == form
    assert Query.from_dict(form) == Query.from_dict(json.loads(json.dumps(form))) == query
    assert Query().to_dict() == {}
    assert Query.from_dict({}) == Query()


def test_python_values_stay_what_they_are() -> None:
    moment = datetime(2024, 1, 1, tzinfo=UTC)
    query = Query().filter("at", "<", moment).filter("tags", "=", ["a"]).offset(2).select("at")
    again = Query.from_dict(query.to_dict())
    assert again == query
    assert again.filters[0].value is moment


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ([], "a query is made from a mapping, not list"),
        ({"filters": []}, "query: unknown key 'filters'; did you mean 'filter'?"),
        ({"filter": {"field": "a", "op": "="}}, "filter: unknown key 'op'; it is one of 'field', 'operator', 'value'"),
        ({"filter": {"nand": []}}, "condition: unknown key 'nand'; did you mean 'and'?"),
        ({"filter": {"and": {}}}, "'and' joins a list of conditions, not {}"),
        ({"filter": {"or": []}}, "'or' cannot join 0 conditions"),
        (
            {"filter": {"and": [], "or": []}},
            "a condition has 'field', 'operator', 'value', or one of 'and', 'or', 'not': ",
        ),
        ({"filter": [1]}, "a condition has 'field', 'operator', 'value', or one of 'and', 'or', 'not': [1]"),
        ({"sort": "a"}, "query: 'sort' is a list, not 'a'"),
        ({"sort": ["a"]}, "a sort is {'field', 'order'}, not 'a'"),
        ({"sort": [{"name": "a"}]}, "sort: unknown key 'name'; it is one of 'field', 'order'"),
        ({"select": "abc"}, "query: 'select' is a list, not 'abc'"),
        ({"limit": -1}, "limit is a whole number from 0 on, not -1"),
    ],
)
def test_a_dict_that_is_no_query(form: Any, message: str) -> None:
    with pytest.raises(QueryError) as caught:
        Query.from_dict(form)
    assert str(caught.value).startswith(message)
