"""Packs that are left out, and packs that must not be."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from dataknobs_data.documents import Change, Document, Verb, resolve
from dataknobs_data.expressions import Expression, Filter, all_of, any_of, negation
from dataknobs_data.records import Record
from dataknobs_data.runtime import Runtime
from dataknobs_data.s3.table.bounds import Stats
from dataknobs_data.s3.table.packs import encode
from dataknobs_data.s3.table.prune import PackFacts, may_match
from dataknobs_data.s3.table.shape import Shape, grow


def documents(*datas: dict[str, Any]) -> list[Document]:
    """Records 000, 001, …"""
    made = (
        resolve(Change(Verb.CREATE, f"{n:03}", Record(data, id=f"{n:03}")), None, Runtime())
        for n, data in enumerate(datas)
    )
    return [one for one in made if one is not None]


def facts(*datas: dict[str, Any]) -> PackFacts:
    """Of a pack of these records, with the columns that they ask for."""
    found = documents(*datas)
    pack = encode(found, grow(Shape(), found))
    return PackFacts(pack.shape.kinds, Stats.from_json(pack.stats.to_json()), pack.rest_names)


PACK = facts(
    *(
        {
            "n": n,
            "price": n + 0.5,
            "name": f"name-{n:02}",
            "at": datetime(2024, 5, n, 12, tzinfo=UTC),
            "day": date(2024, 5, n),
            "text_day": f"2024-05-{n:02}",
            "late": n > 15,
            "good": True,
            **({"some": n} if n % 2 else {}),
        }
        for n in range(10, 21)
    )
)


@pytest.mark.parametrize(
    ("field", "operator", "value", "expected"),
    [
        ("n", "=", 15, True),
        ("n", "=", 9, False),
        ("n", "=", 21, False),
        ("n", "=", 10.0, True),
        ("n", "=", Decimal("20.1"), False),
        ("n", "=", "15", False),
        ("n", "=", True, False),
        ("n", "=", float("nan"), False),
        ("n", ">", 20, False),
        ("n", ">=", 20, True),
        ("n", "<", 10, False),
        ("n", "<=", 10, True),
        ("n", "between", (21, 30), False),
        ("n", "between", (0, 9), False),
        ("n", "between", (20, 30), True),
        ("n", "in", [1, 2, 30], False),
        ("n", "in", [1, 20], True),
        ("n", "in", [], False),
        ("n", "!=", 15, True),
        ("n", "not_between", (10, 20), False),
        ("n", "not_between", (11, 20), True),
        ("n", "exists", None, True),
        ("n", "not_exists", None, False),
        ("n", "like", "%", False),
        ("n", "starts_with", "1", False),
        ("price", ">", 20.5, False),
        ("price", ">", 20, True),
        ("name", "=", "name-15", True),
        ("name", "=", "nama", False),
        ("name", ">", "name-20", False),
        ("name", "starts_with", "name-1", True),
        ("name", "starts_with", "name-3", False),
        ("name", "starts_with", "nam", True),
        ("name", "starts_with", "", True),
        ("name", "like", "NAME%", True),
        ("name", "regex", "x", True),
        ("name", ">", 5, False),
        ("at", ">", datetime(2024, 5, 20, 12, tzinfo=UTC), False),
        ("at", ">=", "2024-05-20T14:00+02:00", True),
        ("at", "<", "2024-05-10", False),
        ("at", "=", "soon", False),
        ("day", "=", date(2024, 5, 15), True),
        ("day", ">", "2024-05-20", False),
        ("text_day", ">", "2024-05-21", True),  # within what another time zone can make of it
        ("text_day", ">", "2024-06-21", False),
        ("text_day", "<", datetime(2024, 4, 1, tzinfo=UTC), False),
        ("late", "=", True, True),
        ("good", "=", False, False),
        ("good", "!=", True, False),
        ("some", "exists", None, True),
        ("some", "not_exists", None, True),
        ("some", "=", 30, False),
        ("nothing", "exists", None, False),
        ("nothing", "not_exists", None, True),
        ("nothing", "!=", 1, False),
        ("nothing.inside", "=", 1, False),
        ("metadata.x", "=", 1, True),
        ("id", "=", "005", True),
        ("id", "=", "011", False),
        ("id", "starts_with", "00", True),
        ("id", "starts_with", "02", False),
        ("id", ">", "010", False),
        ("id", "=", 5, False),
    ],
)
def test_one_condition(field: str, operator: str, value: Any, expected: bool) -> None:
    assert may_match(Filter(field, operator, value), PACK) is expected


SMALL, LARGE, ODD = Filter("n", "<", 10), Filter("n", ">", 5), Filter("metadata.x", "=", 1)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (all_of(LARGE, SMALL), False),
        (any_of(LARGE, SMALL), True),
        (any_of(SMALL, SMALL), False),
        (all_of(LARGE, ODD), True),
        (all_of(SMALL, ODD), False),
        (negation(LARGE), False),
        (negation(SMALL), True),
        (negation(any_of(LARGE, ODD)), False),
        (negation(all_of(LARGE, ODD)), True),
        (negation(Filter("nothing", "exists")), True),
        (negation(Filter("nothing", "not_exists")), False),
        (negation(negation(SMALL)), False),
        (None, True),
    ],
)
def test_conditions_together(expression: Expression | None, expected: bool) -> None:
    assert may_match(expression, PACK) is expected


def test_values_beside_the_column_make_every_condition_on_the_name_open() -> None:
    """An integer a hundred times and then a text: the bounds speak of the integers only."""
    pack = facts(*({"n": n} for n in range(100)), {"n": "soon"}, {"n": [1]})
    assert pack.rest_names == {"n"}
    assert may_match(Filter("n", "=", "soon"), pack)
    assert may_match(Filter("n", ">", 1000), pack)
    assert not may_match(Filter("m", "=", 1), pack)


def test_nulls_beside_the_column_are_nulls_in_it() -> None:
    pack = facts(*({"n": n} for n in range(100)), {"n": None}, {"m": None})
    assert pack.rest_names == set()
    assert not may_match(Filter("n", ">", 1000), pack)
    assert not may_match(Filter("m", "exists"), pack)
    assert may_match(Filter("n", "not_exists"), pack)
    assert may_match(Filter("m", "not_exists"), pack)


def test_values_inside_others_are_found_by_their_path() -> None:
    pack = facts({"a": {"b": {"c": 1}}})
    assert may_match(Filter("a.b.c", "=", 1), pack)
    assert may_match(negation(Filter("a.b.c", "=", 1)), pack)
    assert not may_match(Filter("b.c", "=", 1), pack)


def test_what_is_not_known_hides_nothing() -> None:
    bare = PackFacts(PACK.kinds, Stats(11, {}, {}, {}), PACK.rest_names)
    for expression in (Filter("n", "=", 99), Filter("n", "not_exists"), negation(Filter("n", ">", 5))):
        assert may_match(expression, bare)
    unnamed = PackFacts(PACK.kinds, PACK.stats, None)
    assert may_match(Filter("n", "=", 99), unnamed)
    assert may_match(Filter("nothing", "exists"), unnamed)
    assert not may_match(Filter("id", "=", "nobody"), unnamed), "every record has its id in its column"


def test_a_double_that_is_not_a_number_leaves_its_column_open() -> None:
    pack = facts({"x": 1.0}, {"x": float("nan")}, {"x": 2.0})
    assert may_match(Filter("x", ">", 100), pack)
    assert may_match(negation(Filter("x", "<", 100)), pack)


def test_zeros_of_either_sign_are_one() -> None:
    pack = facts({"x": 0.0}, {"x": 0.0})
    assert may_match(Filter("x", "=", -0.0), pack)
    assert not may_match(Filter("x", "<", 0), pack)


def test_an_empty_pack_matches_nothing() -> None:
    assert not may_match(None, PackFacts({}, Stats(0, {}, {}, {}), frozenset()))
