"""What SQL decides is what `matching` decides: on SQLite, and on a real PostgreSQL."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dataknobs_data.backends.memory import MemoryDatabase
from dataknobs_data.backends.postgres import PostgresDatabase
from dataknobs_data.backends.sqlite import SQLiteDatabase
from dataknobs_data.database import SyncDatabase
from dataknobs_data.engine import run_query
from dataknobs_data.matching import matches
from dataknobs_data.query import Expression, Filter, Operator, Query
from dataknobs_data.records import Record
from dataknobs_data.sql.conditions import conditions
from dataknobs_data.sql.engine import RelationalEngine
from tests.contract.exactness import exact_record
from tests.properties.strategies import expressions, likely_records, likely_values, queries, records, storable_scalars

COMPARISONS = (Operator.EQ, Operator.NEQ, Operator.LT, Operator.LTE, Operator.GT, Operator.GTE)

module_scoped = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgres", marks=pytest.mark.server)])
def db(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SyncDatabase]:
    """One database for all examples; each starts by clearing it."""
    if request.param == "sqlite":
        database: SyncDatabase = SQLiteDatabase({"path": tmp_path_factory.mktemp("sql") / "records.db"})
    else:
        server = request.getfixturevalue("postgres")
        database = PostgresDatabase({"connection_string": server.url, "table": "properties"})
    with database:
        yield database


def fill(db: SyncDatabase, records: list[Record]) -> None:
    db.clear()
    db.batch_create(records)


def assert_decided_rightly(db: SyncDatabase, expression: Expression) -> None:
    """Every row that `must` finds matches, every row that matches `may` finds, and neither is ever NULL."""
    engine = db._engine
    assert isinstance(engine, RelationalEngine)
    pair = conditions(expression, engine._table, engine._dialect)
    with engine._looking() as connection:
        decided = connection.execute(sa.select(engine._table.c.id, pair.must, pair.may)).all()
    documents = {document.id: document for document in engine.scan(Query())}
    for id, must, may in decided:
        assert must is not None
        assert may is not None
        truth = matches(expression, documents[id])
        assert must <= truth <= may, (expression, documents[id], must, truth, may)


# ---------------------------------------------------------------------------------------------- everything
@module_scoped
@given(found=st.lists(likely_records(), max_size=8, unique_by=lambda record: record.id), asked=expressions)
def test_a_condition_is_decided_rightly_or_left_to_matching(
    db: SyncDatabase, found: list[Record], asked: Expression
) -> None:
    fill(db, found)
    assert_decided_rightly(db, asked)


@module_scoped
@given(
    found=st.lists(likely_records(), max_size=8, unique_by=lambda record: record.id),
    asked=st.lists(queries(), min_size=1, max_size=5),
)
def test_a_search_with_pushdown_finds_what_one_without_finds(
    db: SyncDatabase, found: list[Record], asked: list[Query]
) -> None:
    fill(db, found)
    memory = MemoryDatabase()
    memory.batch_create(found)
    for query in asked:
        pushed = list(db._engine.scan(query))
        assert [one.id for one in pushed] == [one.id for one in run_query(db._engine.scan(Query()), query)]
        assert [exact_record(one) for one in db.search(query)] == [exact_record(one) for one in memory.search(query)]
        assert db.count(query) == len(pushed)


@module_scoped
@given(record=records(), operand=storable_scalars | likely_values, op=st.sampled_from(COMPARISONS))
def test_any_name_and_value_may_be_asked_for(db: SyncDatabase, record: Record, operand: Any, op: Operator) -> None:
    record.id = "r"
    fill(db, [record])
    for name in (*record.data, *(f"metadata.{key}" for key in record.metadata)):
        assert_decided_rightly(db, Filter(name, op, operand))
        assert_decided_rightly(db, Filter(name, Operator.EXISTS))


@module_scoped
@given(found=st.lists(records(), min_size=2, max_size=4))
def test_a_batch_comes_back_exactly(db: SyncDatabase, found: list[Record]) -> None:
    for number, record in enumerate(found):
        record.id = str(number)
    fill(db, found)
    assert [exact_record(record) for record in db.all()] == [exact_record(record) for record in found]


# ---------------------------------------------------------------------------------------------- where types go wrong
def _neighbors(base: float) -> list[Any]:
    """Numbers that are equal to `base`, or nearly."""
    around = [base, math.nextafter(base, math.inf), math.nextafter(base, -math.inf), base * (1 + 1e-13)]
    whole = [int(base), int(base) + 1] if abs(base) < 2**70 else []
    return [*around, *whole, Decimal(base), Decimal(repr(base)), Decimal(repr(base)) + Decimal("1E-30")]


numbers = (
    st.floats(allow_nan=False, allow_infinity=False).filter(lambda base: abs(base) < 1e308)
    | st.sampled_from([0.0, 0.1, 1.0, 2.0**53, 2.0**63, 2.0**64, 1e16, 1e22, 5e-324, 1e-300, 1e300])
).flatmap(lambda base: st.lists(st.sampled_from(_neighbors(base)), min_size=2, max_size=6))


@module_scoped
@given(values=numbers)
def test_numbers_that_are_nearly_equal(db: SyncDatabase, values: list[Any]) -> None:
    operand, *stored = values
    fill(db, [Record({"n": value}, id=str(index)) for index, value in enumerate(stored)])
    for op in COMPARISONS:
        assert_decided_rightly(db, Filter("n", op, operand))
    assert_decided_rightly(db, Filter("n", Operator.IN, values[:2]))
    assert_decided_rightly(db, Filter("n", Operator.BETWEEN, values[:2]))


_zones = st.sampled_from([None, UTC, *(timezone(timedelta(minutes=minutes)) for minutes in (-1439, 60, 1439))])
_days = st.sampled_from([date(2024, 3, 1), date(1, 1, 1), date(9999, 12, 31)])


@st.composite
def instants(draw: st.DrawFn, day: date) -> Any:
    """An instant some days from `day`, as a value or a text, or a text that only looks like one."""
    offset = timedelta(days=draw(st.sampled_from([-1, 0, 1, -2, 2, 9, -9])), hours=draw(st.integers(0, 23)))
    try:
        moment = datetime(day.year, day.month, day.day, tzinfo=draw(_zones)) + offset
    except OverflowError:
        moment = datetime(day.year, day.month, day.day)
    odd = [moment.date(), moment.date().isoformat(), f"{moment.isoformat()}x", f"{moment.year:04d}-02-30"]
    return draw(st.sampled_from([moment, moment.isoformat(), moment.isoformat(" "), draw(st.sampled_from(odd))]))


@module_scoped
@given(data=st.data(), day=_days)
def test_instants_that_are_near(db: SyncDatabase, data: st.DataObject, day: date) -> None:
    operand, *stored = data.draw(st.lists(instants(day), min_size=5, max_size=10))
    fill(db, [Record({"when": value}, id=str(index)) for index, value in enumerate(stored)])
    for op in COMPARISONS:
        assert_decided_rightly(db, Filter("when", op, operand))
    assert_decided_rightly(db, Filter("when", Operator.IN, [operand, "soon", 1]))


def test_instants_of_neighboring_dates_in_far_zones(db: SyncDatabase) -> None:
    texts = [
        f"{day}T{hour:02}:30:00{zone}"
        for day in ("2024-02-28", "2024-02-29", "2024-03-01", "2024-03-02")
        for hour in (0, 12, 23)
        for zone in ("Z", "+23:59", "-23:59", "")
    ]
    fill(db, [Record({"when": text}, id=text) for text in texts])
    for operand in texts:
        for op in COMPARISONS:
            assert_decided_rightly(db, Filter("when", op, operand))


_alphabets = st.sampled_from(["kK\u212a%", "sSſßẞ_", "iIİı%", "µμ!\\", "\n\0a", "\ud7ff\ue000\U0010ffff"])


@module_scoped
@given(texts=_alphabets.flatmap(lambda alphabet: st.lists(st.text(alphabet, max_size=2), min_size=4, max_size=8)))
def test_texts_that_databases_read_differently(db: SyncDatabase, texts: list[str]) -> None:
    operand, *stored = texts
    ids = sorted({text for text in stored if text and "\0" not in text})
    fill(db, [Record({"t": text, f"t{text}": 1}, id=text) for text in ids])
    db.batch_create(Record({"t": text}) for text in stored if "\0" in text)
    for op in (*COMPARISONS, Operator.LIKE, Operator.NOT_LIKE, Operator.STARTS_WITH):
        assert_decided_rightly(db, Filter("t", op, operand))
        assert_decided_rightly(db, Filter("id", op, operand))
    assert_decided_rightly(db, Filter("t", Operator.IN, texts[:3]))
    for value in stored:
        assert_decided_rightly(db, Filter(f"t{value}", Operator.EQ, 1))


_keys = st.sampled_from(["a", "b", "a.b", "b.a", "a.b.a", "metadata", "", "0", 'q"q', "created_at", "metadata.a", "ä"])
_trees = st.recursive(
    st.none() | st.sampled_from([1, "x", Decimal("1.5"), (1, 2)]),
    lambda inner: st.dictionaries(_keys, inner, max_size=3) | st.lists(inner, max_size=2),
    max_leaves=6,
)


@module_scoped
@given(
    data=st.dictionaries(_keys.filter(bool), _trees, max_size=4),
    metadata=st.dictionaries(_keys.filter(lambda key: key != "created_at"), _trees, max_size=4),
    name=st.lists(_keys, min_size=1, max_size=4).map(".".join).filter(bool),
    leaf=st.sampled_from([("=", 1), ("!=", 1), ("exists", None), ("not_exists", None), (">", Decimal("1.4"))]),
)
def test_paths_with_dots_find_the_same_value(
    db: SyncDatabase, data: dict[str, Any], metadata: dict[str, Any], name: str, leaf: tuple[str, Any]
) -> None:
    fill(db, [Record(data, metadata, id="r")])
    assert_decided_rightly(db, Filter(name, *leaf))
    assert_decided_rightly(db, Filter(f"metadata.{name}", *leaf))
    assert_decided_rightly(db, Filter("metadata.created_at", ">", "2024-01-01"))


def test_a_tree_too_large_for_sql_is_left_to_matching(db: SyncDatabase, tmp_path: Path) -> None:
    fill(db, [Record({"n": n}, id=str(n)) for n in range(5)])
    wide = Query().filter("n", "=", 0).or_(*(Filter("n", "=", n) for n in range(3, 2_000)))
    assert [record.id for record in db.search(wide)] == ["0", "3", "4"]
    long = Query().filter("n", "in", list(range(3, 50_000)))
    assert [record.id for record in db.search(long)] == ["3", "4"]
    assert db.count(Query().filter("id", "in", [str(n) for n in range(3, 50_000)])) == 2
