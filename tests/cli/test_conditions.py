"""`--where`: the little grammar, by table."""

from __future__ import annotations

import pytest

from dataknobs_data.cli.conditions import parse_condition
from dataknobs_data.exceptions import QueryError
from dataknobs_data.expressions import Filter


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("age >= 30", Filter("age", ">=", 30)),
        ("age>=30", Filter("age", ">=", 30)),
        ("  age   <  -1.5e3 ", Filter("age", "<", -1500.0)),
        ("age == 30", Filter("age", "=", 30)),
        ("big = 123456789012345678901234567890", Filter("big", "=", 123456789012345678901234567890)),
        ("name = Alice", Filter("name", "=", "Alice")),
        ("name = Alice B. Clark", Filter("name", "=", "Alice B. Clark")),
        ('name = "5"', Filter("name", "=", "5")),
        ('name = ""', Filter("name", "=", "")),
        ("name = a=b", Filter("name", "=", "a=b")),
        ("name != >", Filter("name", "!=", ">")),
        ("name = NaN", Filter("name", "=", "NaN")),
        ("vip = true", Filter("vip", "=", True)),
        ("due < 2024-05-01", Filter("due", "<", "2024-05-01")),
        ('"first name" = x', Filter("first name", "=", "x")),
        ('"a\\"b" = x', Filter('a"b', "=", "x")),
        ("address.city = Berlin", Filter("address.city", "=", "Berlin")),
        ("metadata.source = import", Filter("metadata.source", "=", "import")),
        ("größe > 1", Filter("größe", ">", 1)),
        ("carrier in UA, AA", Filter("carrier", "in", ["UA", "AA"])),
        ("n IN 1,2.5, x", Filter("n", "in", [1, 2.5, "x"])),
        ('tag in ["a, b", 1]', Filter("tag", "in", ["a, b", 1])),
        ('tag in "a, b"', Filter("tag", "in", ["a, b"])),
        ("tag in 5", Filter("tag", "in", [5])),
        ("tag not in x,y", Filter("tag", "not_in", ["x", "y"])),
        ("tag NOT_IN x", Filter("tag", "not_in", ["x"])),
        ("delay between 5, 15", Filter("delay", "between", (5, 15))),
        ("delay not between [5, 15]", Filter("delay", "not_between", (5, 15))),
        ("name like A%", Filter("name", "like", "A%")),
        ("flight like 15", Filter("flight", "like", "15")),
        ('flight like "15"', Filter("flight", "like", "15")),
        ("name not like %x", Filter("name", "not_like", "%x")),
        ("id starts_with 2013/", Filter("id", "starts_with", "2013/")),
        ("id starts with 2013/", Filter("id", "starts_with", "2013/")),
        ("note regex ^to.?do$", Filter("note", "regex", "^to.?do$")),
        ("id = 17", Filter("id", "=", "17")),
        ("id in 1, 2", Filter("id", "in", ["1", "2"])),
        ("email exists", Filter("email", "exists")),
        ("email not exists ", Filter("email", "not_exists")),
        ("in in in", Filter("in", "in", ["in"])),
    ],
)
def test_reads(text: str, expected: Filter) -> None:
    assert parse_condition(text) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "expected 'field operator value'"),
        ("age", "expected 'field operator value'"),
        ("= 5", "expected 'field operator value'"),
        ("age 5", "expected 'field operator value'"),
        ("age over 30", "unknown operator 'over'"),
        ("age => 30", "unknown operator '=>'"),
        ("name lik A%", "did you mean 'like'?"),
        ("name not A%", "did you mean 'not_"),
        ("age >=", "needs a value"),
        ("name like", "needs a value"),
        ("age = null", "use 'age not exists' or 'age exists'"),
        ("email exists 5", "takes no value"),
        ("delay between 5", "takes two values"),
        ("note regex (", "regular expression"),
    ],
)
def test_refuses_and_says_why(text: str, words: str) -> None:
    with pytest.raises(QueryError) as caught:
        parse_condition(text)
    assert str(caught.value).startswith(f"--where {text!r}: ")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
