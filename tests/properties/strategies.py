"""What a user might throw at the database: values, names, records, conditions, queries.

Two flavors. `storable_values` ranges over everything that can be stored, for round trips. `likely_values` keeps to a
few values that are close to one another (1, 1.0, True, "1", one instant in two zones, NaN), so that conditions hit.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from dataknobs_data.fields import Field, FieldType
from dataknobs_data.query import Combination, Expression, Filter, LogicOperator, Operator, Query, SortOrder
from dataknobs_data.records import Record

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
"""Text that UTF-8 can hold: any character but lone surrogates."""

field_names = st.sampled_from(["a", "b.c", "metadata", "id", "Straße", " ", "_id", "a/b", "~1", "0"]) | texts.filter(
    bool
)

_zones = (
    st.none()
    | st.just(UTC)
    | st.just(ZoneInfo("Europe/Berlin"))
    | st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
)

storable_scalars: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.decimals(allow_nan=False),
    texts,
    st.binary(max_size=20),
    st.datetimes(timezones=_zones),
    st.dates(),
    st.times(),
    st.timedeltas(),
    st.uuids(),
)
"""Every scalar type that has a stored form."""

_members = st.one_of(st.integers(), texts, st.binary(max_size=5), st.dates(), st.uuids())

storable_values: st.SearchStrategy[Any] = st.recursive(
    storable_scalars | st.sets(_members, max_size=4) | st.frozensets(_members, max_size=4),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(texts, inner, max_size=4),
    ),
    max_leaves=8,
)
"""Every value that has a stored form, nested too."""

metadata = st.dictionaries(texts.filter(lambda name: name not in ("id", "created_at", "updated_at")), storable_values)

ids = st.sampled_from(["user-1", "a/b/c", "..", "x.json", "100%", "ä ö", "2024-01-01"]) | texts.filter(bool)


@st.composite
def records(draw: st.DrawFn, values: st.SearchStrategy[Any] = storable_values) -> Record:
    """Records with storable data and metadata; some with an id, some with declared types and field metadata."""
    data: dict[str, Any] = draw(st.dictionaries(field_names, values, max_size=5))
    for name in draw(st.sets(st.sampled_from(sorted(data)), max_size=2)) if data else ():
        data[name] = Field(name, data[name], draw(st.sampled_from(FieldType)), draw(metadata))
    return Record(data, draw(metadata), draw(st.none() | ids))


# ---------------------------------------------------------------------------------------------- things that meet
NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)

likely_values: st.SearchStrategy[Any] = st.sampled_from(
    [
        *(None, True, False, 0, 1, 1.0, Decimal(1), Decimal("1.5"), 1.5, -1, 2**53 + 1, float(2**53)),
        *(float("nan"), float("inf"), Decimal("NaN"), Decimal("sNaN"), Decimal("-Infinity"), -0.0),
        *("", "1", "true", "abc", "ABC", "ab", "a\nc", "a%c", "a_c", "a.c", "Straße", "\U0001f600", "2024", "2024-05"),
        *(
            "2024-05-01",
            "2024-05-01T12:00:00Z",
            "2024-05-01T14:00:00+02:00",
            "2024-05-01 12:00",
            "2024-05-01T12:00:00.5Z",
        ),
        *("2024-02-30", "2024-05-01X", "20240501", "2024-05-01T25:00:00Z"),
        *(NOON, NOON.replace(tzinfo=None), NOON.astimezone(ZoneInfo("Europe/Berlin")), date(2024, 5, 1)),
        *(time(12), time(12, tzinfo=UTC), time(14, tzinfo=timezone(timedelta(hours=2))), timedelta(1), timedelta(0)),
        *(b"", b"abc", bytearray(b"abc"), UUID(int=1), UUID(int=2)),
        *(
            [],
            [1],
            [True],
            (1,),
            [None],
            [float("nan")],
            {"x": 1},
            {"x": 1.0},
            {"x": True},
            {1, 2},
            frozenset({1.0, 2}),
        ),
    ]
)
"""Values that are equal, or nearly, to others of them: what comparing can get wrong."""

likely_names = st.sampled_from(["a", "b", "c", "a.x", "id", "metadata.m", "metadata.m.x"])

likely_ids = st.sampled_from(["a", "ab", "abc", "b", "1", "2024-05-01", "2024-05-01T12:00:00Z", "user/1"])

likely_patterns = st.text("aAb%_\n.1", max_size=6)

_OPERANDS: dict[Operator, st.SearchStrategy[Any]] = {
    Operator.IN: st.lists(likely_values, max_size=3),
    Operator.NOT_IN: st.lists(likely_values, max_size=3),
    Operator.BETWEEN: st.tuples(*[likely_values.filter(lambda value: value is not None)] * 2),
    Operator.NOT_BETWEEN: st.tuples(*[likely_values.filter(lambda value: value is not None)] * 2),
    Operator.LIKE: likely_patterns,
    Operator.NOT_LIKE: likely_patterns,
    Operator.STARTS_WITH: st.sampled_from(["", "a", "ab", "2024", "A"]),
    Operator.REGEX: st.sampled_from(["a", "^a", "c$", "b+", ".", "(?i)ABC", r"\d"]),
    Operator.EXISTS: st.none(),
    Operator.NOT_EXISTS: st.none(),
}


@st.composite
def filters(draw: st.DrawFn) -> Filter:
    """One comparison, with an operand that its operator can take."""
    operator = draw(st.sampled_from(Operator))
    return Filter(draw(likely_names), operator, draw(_OPERANDS.get(operator, likely_values | likely_ids)))


expressions: st.SearchStrategy[Expression] = st.recursive(
    filters(),
    lambda inner: st.one_of(
        st.builds(Combination, st.just(LogicOperator.NOT), st.tuples(inner)),
        st.builds(
            Combination,
            st.sampled_from([LogicOperator.AND, LogicOperator.OR]),
            st.lists(inner, min_size=1, max_size=3).map(tuple),
        ),
    ),
    max_leaves=5,
)
"""Trees of conditions over `likely_names`."""


@st.composite
def likely_records(draw: st.DrawFn) -> Record:
    """Records with an id, over the names and values that `expressions` ask for."""
    data = draw(st.dictionaries(st.sampled_from(["a", "b", "c", "id", "a.x", "metadata"]), likely_values, max_size=4))
    if draw(st.booleans()):
        data["a"] = {"x": draw(likely_values)}
    return Record(data, draw(st.dictionaries(st.just("m"), likely_values)), draw(likely_ids))


@st.composite
def queries(draw: st.DrawFn) -> Query:
    """Queries with every part."""
    query = Query()
    for expression in draw(st.lists(expressions, max_size=2)):
        query.and_(expression)
    for name in draw(st.lists(likely_names, max_size=2, unique=True)):
        query.sort(name, draw(st.sampled_from(SortOrder)))
    query.limit(draw(st.none() | st.integers(0, 5))).offset(draw(st.integers(0, 3)))
    return query.select(*draw(st.lists(likely_names, max_size=2, unique=True)))
