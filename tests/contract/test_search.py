"""search, count, list_ids, clear: the same answers from every backend."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dataknobs_data.backends.memory import MemoryDatabase
from dataknobs_data.database import SyncDatabase
from dataknobs_data.exceptions import ConfigurationError, DataFormatError, QueryError
from dataknobs_data.query import Filter, Query, QueryBuilder
from dataknobs_data.records import Record
from tests.contract.backends import Backend, Config
from tests.contract.exactness import exact_record
from tests.properties.strategies import likely_records, queries

STAFF = [
    Record({"name": "Ann", "team": "Engineering", "age": 31, "since": datetime(2020, 3, 1, tzinfo=UTC)}, id="e1"),
    Record({"name": "bob", "team": "Engineering", "age": 45, "since": "2021-07-01"}, id="e2"),
    Record({"name": "Cho", "team": "Sales", "age": 28.5, "boss": {"name": "Ann"}}, {"level": 3}, id="s1"),
    Record({"name": "Dee", "team": None, "age": "31", "active": True}, {"level": 5}, id="x1"),
    Record({"name": "100% _sure_", "age": Decimal(45), "active": False, "tags": ["a", "b"]}, id="x2"),
]


@pytest.fixture
def staff(filled: Callable[[Sequence[Record]], SyncDatabase]) -> SyncDatabase:
    """A database of five, to be read only."""
    return filled(STAFF)


@pytest.fixture
def changing_staff(db: SyncDatabase) -> SyncDatabase:
    """The same five in a database of the test's own."""
    db.batch_create(STAFF)
    return db


def ids(db: SyncDatabase, query: Query | None = None) -> list[str | None]:
    """The ids that a query finds, in order."""
    return [record.id for record in db.search(query)]


@pytest.mark.parametrize(
    ("field", "operator", "value", "found"),
    [
        ("team", "=", "Engineering", "e1 e2"),
        ("team", "==", "engineering", ""),
        ("age", "=", 45, "e2 x2"),
        ("age", "=", 45.0, "e2 x2"),
        ("age", "=", "31", "x1"),
        ("active", "=", True, "x1"),
        ("active", "=", 1, ""),
        ("tags", "=", ["a", "b"], "x2"),
        ("team", "=", None, ""),
        ("team", "!=", "Engineering", "s1"),
        ("active", "!=", True, "x2"),
        ("age", ">", 31, "e2 x2"),
        ("age", ">=", 31, "e1 e2 x2"),
        ("age", "<", 31, "s1"),
        ("age", "<=", Decimal("28.5"), "s1"),
        ("age", "<", "4", "x1"),
        ("since", ">", "2020-03-01T01:00:00+02:00", "e1 e2"),
        ("since", "=", "2020-03-01", "e1"),
        ("since", "<", datetime(2021, 1, 1), "e1"),
        ("name", "in", ["Ann", "Cho", 5], "e1 s1"),
        ("name", "in", [], ""),
        ("team", "NOT IN", ["Sales"], "e1 e2"),
        ("team", "not_in", [], "e1 e2 s1"),
        ("name", "like", "a%", "e1"),
        ("name", "LIKE", "_O_", "e2"),
        ("name", "like", "100%", "x2"),
        ("name", "like", "ann", "e1"),
        ("name", "not_like", "%n%", "e2 s1 x1 x2"),
        ("name", "starts_with", "A", "e1"),
        ("name", "starts_with", "100% _", "x2"),
        ("name", "starts_with", "", "e1 e2 s1 x1 x2"),
        ("name", "regex", "^[A-C]", "e1 s1"),
        ("name", "regex", "(?i)B", "e2"),
        ("active", "exists", None, "x1 x2"),
        ("team", "exists", None, "e1 e2 s1"),
        ("team", "not_exists", None, "x1 x2"),
        ("age", "between", (28.5, 31), "e1 s1"),
        ("age", "not_between", [28.5, 31], "e2 x1 x2"),
        ("boss.name", "=", "Ann", "s1"),
        ("metadata.level", ">", 3, "x1"),
        ("metadata.level", "exists", None, "s1 x1"),
        ("metadata.id", "=", "e1", "e1"),
        ("metadata.created_at", ">", "2020-01-01", "e1 e2 s1 x1 x2"),
        ("id", "=", "s1", "s1"),
        ("id", "in", ["x2", "e1", "nobody"], "e1 x2"),
        ("id", "starts_with", "x", "x1 x2"),
        ("id", ">", "s1", "x1 x2"),
        ("id", "like", "E%", "e1 e2"),
        ("no such field", "!=", 5, ""),
        ("no such field", "not_exists", None, "e1 e2 s1 x1 x2"),
    ],
)
def test_every_operator(staff: SyncDatabase, field: str, operator: str, value: Any, found: str) -> None:
    query = Query().filter(field, operator, value)
    assert ids(staff, query) == found.split()
    assert staff.count(query) == len(found.split())


@pytest.mark.parametrize(
    ("query", "found"),
    [
        (Query().filter("team", "=", "Engineering").filter("age", ">", 40), "e2"),
        (Query().filter("age", "=", 28.5).or_(Filter("name", "=", "Dee")), "s1 x1"),
        (Query().not_(Filter("team", "=", "Engineering")), "s1 x1 x2"),
        (Query().not_(Query().filter("age", ">", 30).or_(Filter("name", "=", "Dee"))), "s1"),
        (QueryBuilder().where("age", ">", 40).or_("name", "=", "Cho").not_("id", "=", "x2").build(), "e2 s1"),
    ],
)
def test_conditions_are_joined(staff: SyncDatabase, query: Query, found: str) -> None:
    assert ids(staff, query) == found.split()
    assert staff.count(query) == len(found.split())


@pytest.mark.parametrize(
    ("query", "found"),
    [
        (Query(), "e1 e2 s1 x1 x2"),
        (Query().sort("age"), "s1 e1 e2 x2 x1"),
        (Query().sort("age", "DESC"), "x1 e2 x2 e1 s1"),
        (Query().sort("team").sort("age", "DESC"), "e2 e1 s1 x1 x2"),
        (Query().sort("id", "desc"), "x2 x1 s1 e2 e1"),
        (Query().sort("metadata.level", "DESC"), "x1 s1 e1 e2 x2"),
        (Query().sort("name"), "x2 e1 s1 x1 e2"),
        (Query().sort("boss.name"), "s1 e1 e2 x1 x2"),
        (Query().limit(2), "e1 e2"),
        (Query().offset(3), "x1 x2"),
        (Query().offset(1).limit(2), "e2 s1"),
        (Query().offset(9), ""),
        (Query().limit(0), ""),
        (Query().limit(99), "e1 e2 s1 x1 x2"),
        (Query().filter("age", ">=", 31).sort("age").offset(1).limit(1), "e2"),
        (Query().filter("name", "regex", "[a-z]").limit(2), "e1 e2"),
        (Query().filter("id", "in", ["x1", "e1"]).sort("name", "DESC").limit(1), "x1"),
    ],
)
def test_order_offset_and_limit(staff: SyncDatabase, query: Query, found: str) -> None:
    assert ids(staff, query) == found.split()
    assert staff.count(query) == len(found.split())


def test_without_a_sort_pages_are_stable_by_code_point(db: SyncDatabase) -> None:
    names = ["b", "B", "a", "ä", "Z", "10", "9", "a/b", "a b", "\U0001f600", "\uffee", "_", "~", "a-b"]
    db.batch_create(Record({"n": 1}, id=name) for name in names)
    pages = [ids(db, Query().offset(n).limit(3)) for n in range(0, 15, 3)]
    assert [id for page in pages for id in page] == sorted(names)


def test_projections_keep_the_named_fields_in_order_and_the_id(staff: SyncDatabase) -> None:
    found = staff.search(Query().select("team", "name", "boss.name").filter("age", "<", 31))[0]
    assert found.data == {"team": "Sales", "name": "Cho", "boss.name": "Ann"}
    assert found.field_names() == ["team", "name", "boss.name"]
    assert (found.id, found.metadata["id"], found.metadata["level"]) == ("s1", "s1", 3)


def test_the_requirement_s_search(staff: SyncDatabase) -> None:
    query = Query()\
        .filter("team", "=", "Engineering")\
        .filter("age", ">", 30)\
        .sort("age", "DESC")\
        .limit(10)  # fmt: skip
    assert [record.get_value("name") for record in staff.search(query)] == ["bob", "Ann"]


def test_search_all_and_count_without_a_query(staff: SyncDatabase) -> None:
    assert [exact_record(record) for record in staff.all()] == [exact_record(record) for record in STAFF]
    assert ids(staff) == [record.id for record in staff.all()]
    assert staff.count() == 5
    assert staff.search().errors == []


def test_a_search_sees_what_was_just_written(changing_staff: SyncDatabase) -> None:
    query = Query().filter("team", "=", "Sales")
    assert ids(changing_staff, query) == ["s1"]
    changing_staff.create(Record({"team": "Sales"}, id="s2"))
    changing_staff.update("s1", Record({"team": "Support"}))
    assert (ids(changing_staff, query), changing_staff.count(query), changing_staff.count()) == (["s2"], 1, 6)
    changing_staff.delete("s2")
    assert (ids(changing_staff, query), changing_staff.count(query), changing_staff.count()) == ([], 0, 5)
    assert changing_staff.list_ids() == ["e1", "e2", "s1", "x1", "x2"]


def test_ids_are_listed_by_prefix(staff: SyncDatabase) -> None:
    assert staff.list_ids() == ["e1", "e2", "s1", "x1", "x2"]
    assert staff.list_ids("x") == ["x1", "x2"]
    assert staff.list_ids("x2") == ["x2"]
    assert staff.list_ids("nothing") == []


def test_clear_deletes_everything_once(changing_staff: SyncDatabase) -> None:
    assert changing_staff.clear() == 5
    assert (changing_staff.clear(), changing_staff.count(), changing_staff.list_ids(), ids(changing_staff)) == (
        0,
        0,
        [],
        [],
    )
    changing_staff.create(STAFF[0])
    assert ids(changing_staff) == ["e1"]


@pytest.mark.parametrize("query", ["name = 'Ann'", {"name": "Ann"}, Filter("name", "=", "Ann"), 5])
def test_what_is_no_query_is_refused(staff: SyncDatabase, query: Any) -> None:
    for call in (staff.search, staff.count, lambda query: list(staff.stream_read(query))):
        with pytest.raises(QueryError, match="Query"):
            call(query)


def test_an_unknown_way_to_treat_damage_is_refused(staff: SyncDatabase) -> None:
    with pytest.raises(ConfigurationError, match="collect"):
        staff.search(on_error="ignore")  # type: ignore[arg-type]


def test_text_in_a_query_is_only_ever_text(staff: SyncDatabase) -> None:
    for text in ("'; DROP TABLE records; --", '"', "\\", "%", "?", ":x", "$1", "x' OR '1'='1"):
        for operator in ("=", "like", "starts_with", ">"):
            staff.search(Query().filter("name", operator, text).sort(text))
        staff.search(Query().filter(text, "=", text))
        staff.search(Query().filter("id", "=", text))
    assert staff.count() == 5


def test_a_damaged_record_raises_or_is_collected(
    backend: Backend, request: pytest.FixtureRequest, config: Config, changing_staff: SyncDatabase
) -> None:
    if backend.damage is None:
        pytest.skip("nothing outside can reach one of its records")
    backend.damage(request, config, "e2")
    with pytest.raises(DataFormatError):
        changing_staff.search()
    try:
        counted = changing_staff.count(Query().filter("age", ">", 0))
    except DataFormatError:
        counted = 4
    assert counted == 4, "a store that counts by itself need not read the record, but it is there"
    with pytest.raises(DataFormatError):
        list(changing_staff.stream_read())
    with pytest.raises(DataFormatError):
        changing_staff.read("e2")
    with pytest.raises(DataFormatError):
        changing_staff.batch_read(["e1", "e2"])
    assert changing_staff.read("e1") is not None
    found = changing_staff.search(on_error="collect")
    assert [record.id for record in found] == ["e1", "s1", "x1", "x2"]
    [error] = found.errors
    assert isinstance(error, DataFormatError)


@settings(
    max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None
)
@given(
    records=st.lists(likely_records(), min_size=1, max_size=8, unique_by=lambda record: record.id),
    asked=st.lists(queries(), min_size=6, max_size=6),
)
def test_every_backend_answers_like_the_reference(db: SyncDatabase, records: list[Record], asked: list[Query]) -> None:
    db.clear()
    db.batch_create(records)
    reference = MemoryDatabase()
    reference.batch_create(records)
    for query in asked:
        assert [exact_record(found) for found in db.search(query)] == [
            exact_record(found) for found in reference.search(query)
        ]
        assert db.count(query) == reference.count(query)
