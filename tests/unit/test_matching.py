"""The reference evaluator, by example; `tests/properties/test_matching.py` has its laws."""

from __future__ import annotations

import pickle
import time as clock
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from dataknobs_data.matching import (
    MISSING,
    IdBounds,
    StoredRow,
    compile_expression,
    id_bounds,
    instant,
    matches,
    order,
    project,
    row_of,
)
from dataknobs_data.query import Filter, Query, SortSpec
from dataknobs_data.records import Record

NAN = float("nan")
BERLIN = ZoneInfo("Europe/Berlin")
ALL = [
    "=",
    "!=",
    ">",
    "<",
    ">=",
    "<=",
    "in",
    "not_in",
    "like",
    "not_like",
    "regex",
    "starts_with",
    "between",
    "not_between",
]


def holds(value: Any, operator: str, operand: Any) -> bool:
    return matches(Filter("x", operator, operand), row_of(Record({"x": value})))


# ---------------------------------------------------------------------------------------------- absent
@pytest.mark.parametrize("data", [{}, {"x": None}])
@pytest.mark.parametrize("operator", ALL)
def test_an_absent_value_satisfies_no_operator(data: dict[str, Any], operator: str) -> None:
    operand: Any = ["a", "b"] if "in" in operator or "between" in operator else "a"
    assert not matches(Filter("x", operator, operand), row_of(Record(data)))


@pytest.mark.parametrize(("data", "there"), [({}, False), ({"x": None}, False), ({"x": 0}, True), ({"x": ""}, True)])
def test_exists(data: dict[str, Any], there: bool) -> None:
    assert matches(Filter("x", "exists"), row_of(Record(data))) is there
    assert matches(Filter("x", "not_exists"), row_of(Record(data))) is not there


def test_nothing_equals_none_and_everything_else_differs_from_it() -> None:
    assert not holds(1, "=", None)
    assert not holds(None, "=", None)
    assert holds(1, "!=", None)
    assert not holds(1, "in", [None])


# ---------------------------------------------------------------------------------------------- comparing
EQUAL = [
    (1, 1.0),
    (1, Decimal("1.00")),
    (0.5, Decimal("0.5")),
    (0.0, -0.0),
    (2**53, float(2**53)),
    (float("inf"), Decimal("Infinity")),
    ("2024-01-01T00:00:00Z", "2024-01-01"),
    ("2024-01-01T00:00:00Z", "2024-01-01T01:00:00+01:00"),
    ("2024-01-01 00:00+00", datetime(2024, 1, 1)),
    (datetime(2024, 1, 1, tzinfo=UTC), date(2024, 1, 1)),
    (datetime(2024, 10, 27, 2, 30, fold=1, tzinfo=BERLIN), "2024-10-27T01:30:00Z"),
    (datetime(2024, 10, 27, 2, 30, fold=0, tzinfo=BERLIN), "2024-10-27T00:30:00Z"),
    (
        datetime.max.replace(tzinfo=timezone(timedelta(hours=-2))),
        datetime.max.replace(tzinfo=timezone(timedelta(hours=-2))),
    ),
    (b"ab", bytearray(b"ab")),
    (time(12), time(14, tzinfo=timezone(timedelta(hours=2)))),
    (timedelta(days=1), timedelta(hours=24)),
    (UUID(int=1), UUID(int=1)),
    ([1, {"a": (2,)}], (1.0, {"a": [Decimal(2)]})),
    ([None], [None]),
    ({1, 2}, frozenset({2.0, 1})),
]

UNEQUAL = [
    (1, True),
    (0, False),
    (1, "1"),
    (True, "true"),
    (2**53 + 1, float(2**53)),
    (0.1, Decimal("0.1")),
    (NAN, NAN),
    (Decimal("sNaN"), Decimal("sNaN")),
    ([NAN], [NAN]),
    ("abc", "ABC"),
    ("é", "e\u0301"),
    ("2024", "2024-01-01"),
    ("20240101", "2024-01-01"),
    (" 2024-01-01", "2024-01-01"),
    (datetime(2024, 10, 27, 2, 30, fold=0, tzinfo=BERLIN), datetime(2024, 10, 27, 2, 30, fold=1, tzinfo=BERLIN)),
    (datetime(2024, 1, 1), 1704067200),
    (datetime(2024, 1, 1), "2024"),
    (b"ab", "ab"),
    (UUID(int=1), str(UUID(int=1))),
    ([1], [True]),
    ([1], [1, 1]),
    ([1], {1}),
    ({"a": 1}, {"a": 2}),
    ({"a": 1}, {"b": 1}),
    ({"a": None}, {}),
    ([], {}),
]


@pytest.mark.parametrize(("mine", "other"), EQUAL)
def test_equal_values(mine: Any, other: Any) -> None:
    for value, operand in ((mine, other), (other, mine)):
        assert holds(value, "=", operand)
        assert holds(value, "in", ["?", operand])
        assert not holds(value, "!=", operand)
        assert not holds(value, "not_in", [operand])


@pytest.mark.parametrize(("mine", "other"), UNEQUAL)
def test_unequal_values(mine: Any, other: Any) -> None:
    for value, operand in ((mine, other), (other, mine)):
        assert not holds(value, "=", operand)
        assert not holds(value, "in", ["?", operand])
        assert holds(value, "!=", operand)
        assert holds(value, "not_in", [operand])


@pytest.mark.parametrize(
    ("lower", "higher"),
    [
        (1, 1.5),
        (float(2**53), 2**53 + 1),
        (Decimal("-Infinity"), -(10**400)),
        (False, True),
        ("Z", "a"),
        ("\uffff", "\U00010000"),
        ("2024-01-01T23:00:00-05:00", "2024-01-02T05:00:00Z"),
        ("2024-01-01T23:00:00Z", date(2024, 1, 2)),
        ("2024-01-01", "2024-01-01x"),
        ("2024-01-31T23:59:59.999999Z", "2024-02"),
        (time(9), time(10, tzinfo=UTC)),
        (b"a", b"b"),
        (timedelta(hours=1), timedelta(days=1)),
        (UUID(int=1), UUID(int=2)),
    ],
)
def test_order_within_a_kind(lower: Any, higher: Any) -> None:
    assert [holds(lower, operator, higher) for operator in ("<", "<=", ">", ">=")] == [True, True, False, False]
    assert [holds(higher, operator, lower) for operator in ("<", "<=", ">", ">=")] == [False, False, True, True]
    assert holds(lower, "between", (lower, higher))
    assert holds(higher, "between", (lower, higher))
    assert not holds(higher, "between", (lower, lower))
    assert holds(higher, "not_between", (lower, lower))


@pytest.mark.parametrize(
    ("mine", "other"),
    [(1, "2"), (1, True), (NAN, 1), (1, NAN), ([1], [2]), ({"a": 1}, {"a": 2}), ({1}, {1, 2}), (b"a", "b"), (1, None)],
)
def test_no_order_between_kinds_nor_within_containers(mine: Any, other: Any) -> None:
    for value, operand in ((mine, other), (other, mine)):
        assert not any(holds(value, operator, operand) for operator in ("<", "<=", ">", ">="))


@pytest.mark.parametrize("value", [5, None, b"abc", ["abc"], datetime(2024, 1, 1)])
def test_text_operators_ask_for_text(value: Any) -> None:
    assert not any(holds(value, operator, "") for operator in ("like", "starts_with", "regex"))


@pytest.mark.parametrize(
    ("value", "pattern", "found"),
    [
        ("Alice", "a%e", True),
        ("Alice", "ali", False),
        ("Alice", "%LIC%", True),
        ("Alice", "_lice", True),
        ("Alice", "%", True),
        ("", "%", True),
        ("", "_", False),
        ("", "", True),
        ("a\nb", "a%b", True),
        ("a\nb", "a_b", True),
        ("a\n", "a", False),
        ("abc", "a.c", False),
        ("a.c", "a.c", True),
        ("(x)[1]", "(x)[_]", True),
        ("a\\b", "a\\%", True),
        ("aXbXb", "a%b", True),
        ("abab", "%ab%ab", True),
        ("aba", "%ab%ba", False),
        ("ÄPFEL", "ä%", True),
    ],
)
def test_like(value: str, pattern: str, found: bool) -> None:
    assert holds(value, "like", pattern) is found
    assert holds(value, "not_like", pattern) is not found


def test_like_with_many_wildcards_is_quick() -> None:
    started = clock.process_time()
    assert not holds("a" * 5000, "like", "%a" * 40 + "%b")
    assert clock.process_time() - started < 1


def test_starts_with_is_literal_and_regex_searches() -> None:
    assert holds("a.%b", "starts_with", "a.%")
    assert not holds("A.%b", "starts_with", "a")
    assert holds("xxabc", "regex", "ab+")
    assert not holds("xxabc", "regex", "^ab+")


# ---------------------------------------------------------------------------------------------- instants
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-01-31", datetime(2024, 1, 31, tzinfo=UTC)),
        ("2024-01-31T23:59", datetime(2024, 1, 31, 23, 59, tzinfo=UTC)),
        ("2024-01-31 23:59:58", datetime(2024, 1, 31, 23, 59, 58, tzinfo=UTC)),
        ("2024-01-31T23:59:58.5Z", datetime(2024, 1, 31, 23, 59, 58, 500000, tzinfo=UTC)),
        ("2024-01-31T23:59:58.123456789Z", datetime(2024, 1, 31, 23, 59, 58, 123456, tzinfo=UTC)),
        ("2024-01-31T23:59:58+02:00", datetime(2024, 1, 31, 21, 59, 58, tzinfo=UTC)),
        ("2024-01-31T23:59-05", datetime(2024, 2, 1, 4, 59, tzinfo=UTC)),
    ],
)
def test_texts_that_are_instants(text: str, expected: datetime) -> None:
    assert instant(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        *("", "2024", "2024-01", "20240131", "2024-W05-3", "2024-031", "2024-1-31", "24-01-31", "soon"),
        *("2024-02-30", "2024-13-01", "0000-01-01", "2024-01-31T24:00:00Z", "2024-01-31T23:59:60Z"),
        *("2024-01-31T", "2024-01-31T23", "2024-01-31Z", "2024-01-31t23:59", "2024-01-31T23:59z", "2024-01-31_23:59"),
        *(
            "2024-01-31T23:59:58.Z",
            "2024-01-31T23:59:58,5Z",
            "2024-01-31T23:59:58.1234567890Z",
            "2024-01-31T23:59+0200",
        ),
        *(
            "2024-01-31T23:59+25:00",
            " 2024-01-31",
            "2024-01-31 ",
            "2024-01-31\n",
            "\u0662\u0660\u0662\u0664-\u0660\u0661-\u0663\u0661",
            "2024-01-31T23:59:58[UTC]",
        ),
    ],
)
def test_texts_that_are_only_text(text: str) -> None:
    assert instant(text) is None


@pytest.mark.parametrize("value", [None, 5, 1.5, True, time(12), b"2024-01-31", ["2024-01-31"]])
def test_other_values_are_no_instants(value: Any) -> None:
    assert instant(value) is None


# ---------------------------------------------------------------------------------------------- names
def test_id_is_the_storage_key_and_only_ever_text() -> None:
    row = StoredRow("2024-01-01", {"id": "other"}, {})
    assert matches(Filter("id", "=", "2024-01-01"), row)
    assert not matches(Filter("id", "=", "other"), row)
    assert not matches(Filter("id", "=", "2024-01-01T00:00:00Z"), row)
    assert not matches(Filter("id", "in", [date(2024, 1, 1)]), row)
    assert matches(Filter("id", ">", "2024"), row)
    assert matches(Filter("id", "starts_with", "2024-"), row)


def test_names_reach_into_dicts_and_metadata() -> None:
    row = StoredRow("k", {"a": {"b": {"c": 1}}, "a.x": 2, "n": 5}, {"by": "admin"})
    for name, value in (("a.b.c", 1), ("a.x", 2), ("metadata.by", "admin"), ("a.b", {"c": 1})):
        assert matches(Filter(name, "=", value), row)
    for name in ("a.c", "n.x", "metadata", "metadata.x", "by", "."):
        assert row.value(name) is MISSING


def test_a_dotted_name_may_be_split_anywhere() -> None:
    row = StoredRow("k", {"a.b": 5, "a": {"b": {"c": 1}}, "x": {"y": 5}, "x.y": {"z": 2}}, {})
    assert (row.value("a.b"), row.value("a.b.c"), row.value("x.y.z")) == (5, 1, 2)


def test_missing_is_one_false_thing() -> None:
    assert not MISSING
    assert repr(MISSING) == "MISSING"
    assert pickle.loads(pickle.dumps(MISSING)) is MISSING


# ---------------------------------------------------------------------------------------------- whole queries
def test_combinations() -> None:
    query = Query().filter("a", "=", 1).or_(Filter("b", "=", 2)).not_(Filter("c", "exists"))
    answers = {
        name: matches(query.expression, row_of(Record(data)))
        for name, data in {"a": {"a": 1}, "b": {"b": 2}, "neither": {"a": 2}, "c": {"a": 1, "c": 0}}.items()
    }
    assert answers == {"a": True, "b": True, "neither": False, "c": False}
    assert matches(Query().not_(Filter("x", "!=", 1)).expression, row_of(Record())), (
        "not turns around the False of absent"
    )


def test_no_expression_matches_everything() -> None:
    assert compile_expression(None)(row_of(Record()))


def test_all_and_any_stop_at_the_first_answer() -> None:
    asked: list[str] = []

    class Row:
        def value(self, name: str) -> Any:
            asked.append(name)
            return 1

    assert not matches(Query().filter("a", "=", 2).filter("b", "=", 1).expression, Row())
    assert matches(Query().or_(Filter("c", "=", 1), Filter("d", "=", 1)).expression, Row())
    assert asked == ["a", "c"]


# ---------------------------------------------------------------------------------------------- sorting
def sorted_values(values: list[Any], direction: str) -> list[Any]:
    rows = [StoredRow(f"{position:03}", {"x": value}, {}) for position, value in enumerate(values)]
    return [row.data["x"] for row in order(rows, (SortSpec("x", direction),))]


def test_mixed_values_have_one_order() -> None:
    ascending = [
        *(False, True, Decimal("-Infinity"), 1, 1.5, 2**60, "2023-12-31", datetime(2024, 1, 1), "2024-01-02"),
        *("", "2024", "Z", "a", "ä", time(9), timedelta(1), b"a", b"b", UUID(int=1)),
    ]
    assert sorted_values(ascending[::-1], "ASC") == ascending
    assert sorted_values(ascending, "DESC") == ascending[::-1]


def test_absent_values_come_last_in_either_direction() -> None:
    assert sorted_values([None, 2, None, 1], "ASC") == [1, 2, None, None]
    assert sorted_values([None, 1, None, 2], "DESC") == [2, 1, None, None]


def test_values_without_an_order_stand_together_in_the_order_of_their_ids() -> None:
    containers = [{"b": 1}, NAN, [3], {1}, [1]]
    assert sorted_values([*containers, "text", None, 5], "ASC") == [5, "text", *containers, None]
    assert sorted_values([*containers, "text", None, 5], "DESC") == [*containers, "text", 5, None]


def test_sorting_by_several_fields_then_by_id() -> None:
    rows = [StoredRow(id, {"x": x, "y": y}, {}) for id, x, y in [("d", 1, 1), ("c", 2, 1), ("b", 1, 2), ("a", 1, 1)]]
    for specs, expected in (
        ((), "abcd"),
        ((SortSpec("x"),), "abdc"),
        ((SortSpec("x", "desc"),), "cabd"),
        ((SortSpec("x"), SortSpec("y", "desc")), "badc"),
        ((SortSpec("y", "desc"), SortSpec("x", "desc")), "bcad"),
        ((SortSpec("id", "desc"),), "dcba"),
    ):
        assert "".join(row.id for row in order(rows, specs)) == expected


def test_ids_sort_by_code_point_also_where_they_look_like_dates() -> None:
    rows = [StoredRow(id, {}, {}) for id in ("2024-01-02", "2024-01-01T23:00:00-05:00", "\U00010000", "\uffff", "1")]
    assert order(rows, (SortSpec("id"),)) == order(rows, ()) == sorted(rows, key=lambda row: row.id)


def test_project() -> None:
    record = Record({"a": 1, "b": 2}, id="k")
    assert project(record, None) is record
    assert project(record, ["b"]) == Record({"b": 2}, id="k")


# ---------------------------------------------------------------------------------------------- id bounds
@pytest.mark.parametrize(
    ("query", "bounds"),
    [
        (Query(), IdBounds()),
        (Query().filter("x", "=", "a"), IdBounds()),
        (Query().filter("id", "=", "a"), IdBounds(ids=frozenset({"a"}))),
        (Query().filter("id", "=", 5), IdBounds(ids=frozenset())),
        (Query().filter("id", "in", ["a", "b", 5]), IdBounds(ids=frozenset({"a", "b"}))),
        (Query().filter("id", "in", ["a", "b"]).filter("id", "in", ["b", "c"]), IdBounds(ids=frozenset({"b"}))),
        (Query().filter("id", "starts_with", "a/"), IdBounds("a/")),
        (Query().filter("id", "starts_with", "a").filter("id", "starts_with", "a/b"), IdBounds("a/b")),
        (Query().filter("id", "starts_with", "a/b").filter("id", "starts_with", "a"), IdBounds("a/b")),
        (
            Query().filter("id", "starts_with", "a").filter("x", "=", 1).filter("id", "in", ["a1", "b1"]),
            IdBounds("a", frozenset({"a1"})),
        ),
        (Query().filter("id", ">", "a").filter("id", "like", "a%"), IdBounds()),
        (Query().filter("id", "=", "a").or_(Filter("id", "=", "b")), IdBounds()),
        (Query().not_(Filter("id", "=", "a")), IdBounds()),
    ],
)
def test_id_bounds(query: Query, bounds: IdBounds) -> None:
    assert id_bounds(query.expression) == bounds


def test_prefixes_that_exclude_each_other_leave_no_id() -> None:
    bounds = id_bounds(Query().filter("id", "starts_with", "a").filter("id", "starts_with", "b").expression)
    assert bounds.ids == frozenset()


def test_ids_within_bounds() -> None:
    bounds = IdBounds("a", frozenset({"a1"}))
    assert "a1" in bounds
    assert "a2" not in bounds
    assert "b" not in IdBounds("a")
    assert "anything" in IdBounds()
