"""What the SQL of a condition looks like: what it decides, what it leaves open, and that nothing of a query is in it."""

from __future__ import annotations

from datetime import UTC, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from dataknobs_data.query import Expression, Filter, Query
from dataknobs_data.sql.conditions import conditions
from dataknobs_data.sql.dialect import Dialect
from dataknobs_data.sql.pairs import ALWAYS, NEVER, UNKNOWN, Pair
from dataknobs_data.sql.postgresql import PostgreSQL
from dataknobs_data.sql.sqlite import SQLite
from dataknobs_data.sql.tables import record_table

DIALECTS: list[Dialect] = [SQLite(), PostgreSQL()]
dialects = pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)


def pair_of(expression: Expression | None, dialect: Dialect) -> Pair:
    return conditions(expression, record_table("records", None, dialect), dialect)


def sql(test: sa.ColumnElement[bool], dialect: Dialect) -> str:
    spoken = postgresql.dialect() if isinstance(dialect, PostgreSQL) else sqlite.dialect()
    return str(sa.select(test).compile(dialect=spoken))


def is_decided(pair: Pair, dialect: Dialect) -> bool:
    """Whether `must` and `may` are the same but for rows that SQL cannot look into."""
    must, may = (sql(test, dialect).rpartition(" ELSE ")[0] for test in (pair.must, pair.may))
    return must == may


# ---------------------------------------------------------------------------------------------- injection
NASTY = "x'); DROP TABLE records; --\"`$1 :id %s %(id)s ?"


@dialects
@pytest.mark.parametrize("op", ["=", "<", "like", "starts_with", "in", "between"])
def test_nothing_of_a_query_becomes_sql(dialect: Dialect, op: str) -> None:
    value: Any = [NASTY, NASTY] if op in ("in", "between") else NASTY
    for field in ("id", "name", NASTY, f"metadata.{NASTY}"):
        pair = pair_of(Filter(field, op, value), dialect)
        assert "DROP" not in sql(pair.must, dialect) + sql(pair.may, dialect)


# ---------------------------------------------------------------------------------------------- what is decided
@dialects
@pytest.mark.parametrize(
    ("op", "value"),
    [
        ("=", "Engineering"),
        ("!=", "Engineering"),
        ("<", "M"),
        ("=", True),
        ("!=", False),
        ("in", ["a", "b"]),
        ("starts_with", "a"),
        ("exists", None),
        ("not_exists", None),
        ("=", None),
        ("=", float("nan")),
        ("=", Decimal("NaN")),
        ("=", UUID(int=1)),
    ],
)
def test_texts_truths_uuids_and_presence_are_decided_in_sql(dialect: Dialect, op: str, value: Any) -> None:
    assert is_decided(pair_of(Filter("name", op, value), dialect), dialect)
    assert is_decided(pair_of(Filter("metadata.name", op, value), dialect), dialect)


@dialects
@pytest.mark.parametrize(
    ("op", "value"),
    [
        ("=", 1),  # tagged numbers are for Python
        ("<", 1.5),
        ("=", "2024-05-01"),  # the same instant has many texts
        ("<", datetime(2024, 5, 1, tzinfo=UTC)),
        ("like", "a%"),  # beyond ASCII, case is a matter of opinion
        ("regex", "a"),
        ("=", [1]),
        (">", time(12)),
        ("=", b"x"),
    ],
)
def test_the_rest_is_narrowed_down_only(dialect: Dialect, op: str, value: Any) -> None:
    pair = pair_of(Filter("name", op, value), dialect)
    assert not is_decided(pair, dialect)
    assert pair is not UNKNOWN


@dialects
def test_no_condition_is_always_true(dialect: Dialect) -> None:
    assert pair_of(None, dialect) is ALWAYS


# ---------------------------------------------------------------------------------------------- the key
@dialects
def test_conditions_on_the_id_stay_in_the_open_for_the_index(dialect: Dialect) -> None:
    expression = Query().filter("id", "starts_with", "user/").filter("name", "=", "x").expression
    shown = sql(pair_of(expression, dialect).may, dialect)
    assert "records.id >= " in shown.partition("CASE")[0]
    assert "records.id < " in shown.partition("CASE")[0]


@dialects
def test_a_condition_on_the_id_alone_looks_into_no_json(dialect: Dialect) -> None:
    pair = pair_of(Query().filter("id", ">", "a").filter("id", "in", ["b", "2024-05-01", 5]).expression, dialect)
    assert "data" not in sql(pair.may, dialect)
    assert pair.must is pair.may or sql(pair.must, dialect) == sql(pair.may, dialect)


@dialects
def test_an_id_is_only_ever_text(dialect: Dialect) -> None:
    assert pair_of(Filter("id", "=", 5), dialect).may.compare(NEVER.may)
    assert "2024-05-01" in sa.select(pair_of(Filter("id", "=", "2024-05-01"), dialect).must).compile().params.values()


# ---------------------------------------------------------------------------------------------- what cannot be said
@dialects
@pytest.mark.parametrize("pattern", ["a\0", "\0", "Straße", "K\u212a", "x" * 1_001])
def test_patterns_that_databases_read_differently_are_left_to_matching(dialect: Dialect, pattern: str) -> None:
    pair = pair_of(Filter("id", "like", pattern), dialect)
    assert pair.must.compare(UNKNOWN.must)
    assert pair.may.compare(UNKNOWN.may)


@pytest.mark.parametrize("name", ['quo"te', "back\\slash", "line\nbreak", "a.b.c.d.e"])
def test_names_that_sqlite_s_paths_cannot_say_are_left_to_matching(name: str) -> None:
    assert pair_of(Filter(name, "=", "x"), DIALECTS[0]).may is not NEVER.may
    assert "json_extract" not in sql(pair_of(Filter(name, "=", "x"), DIALECTS[0]).may, DIALECTS[0])


@dialects
@pytest.mark.parametrize("operand", ["lone \ud800", "\ud800"])
def test_texts_that_cannot_be_sent_are_not_sent(dialect: Dialect, operand: str) -> None:
    for op in ("=", "<", "starts_with", "like"):
        for field in ("id", "name"):
            pair = pair_of(Filter(field, op, operand), dialect)
            assert operand not in str(sa.select(pair.may).compile().params.values())


def test_postgresql_is_never_sent_u0000() -> None:
    for op in ("=", "<", "starts_with", "like", "in"):
        value: Any = ["\0"] if op == "in" else "\0"
        for field in ("id", "name", "na\0me"):
            pair = pair_of(Filter(field, op, value), DIALECTS[1])
            assert "\0" not in "".join(map(str, sa.select(pair.may).compile().params.values()))
