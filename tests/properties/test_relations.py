"""What records offer to SQL, against plain evaluation: columns, rows, conditions, whatever lies in which tier."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import partial
from typing import Any
from unittest.mock import patch
from uuid import UUID

import duckdb
import orjson
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from dataknobs_data.backends.memory import MemoryDatabase
from dataknobs_data.backends.s3 import S3Database
from dataknobs_data.database import SyncDatabase
from dataknobs_data.json_values import to_json
from dataknobs_data.records import Record
from dataknobs_data.s3.relations import packs
from dataknobs_data.s3.relations.openers import relation_of
from dataknobs_data.s3.relations.records import Records
from dataknobs_data.s3.table.kinds import BY_NAME, kind_of
from dataknobs_data.select.lazy import LazyDataset
from dataknobs_data.select.relation import Relation
from tests.unit.tiered_world import TieredWorld

IDS = ["a", "ab", "b", "1", "2024", "user/1", "ä"]
NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)

scalars = st.sampled_from(
    [
        *(None, True, False, 0, 1, -7, 2**53 + 1, 2**63 - 1, 2**63, 2**64, 2**70, 1.0, 1.5, -0.0, 1e22, 1e-7),
        *(
            float("nan"),
            float("inf"),
            Decimal("1.50"),
            "",
            "1",
            "x",
            "Straße",
            'q"\\\n',
            "\U0001f600",
            "null",
            "long " * 20,
        ),
        *(NOON, NOON.replace(microsecond=5), NOON.replace(tzinfo=None), date(2024, 5, 1), b"", b"abc", UUID(int=1)),
    ]
)
nested = st.sampled_from(
    [
        {"x": 1, "Y": {"z": "deep"}},
        {"x": None},
        {"X": [1, {"z": 2.5}]},
        [],
        [1, "two", None],
        (1, 2),
        {date(2024, 5, 1)},
        {},
    ]
)
names = st.sampled_from(
    ["n", "N", "t", "a b", 'q"t', "Straße", "STRASSE", "x.y", "_id", "_own", "id", "order", "data", "rare"]
)


@st.composite
def records(draw: st.DrawFn) -> Record:
    """Some fields keep their type for the most part, others have any."""
    data: dict[str, Any] = {}
    for name, usual in (
        ("n", st.integers(0, 9)),
        ("t", st.sampled_from("xyz")),
        ("f", st.sampled_from([0.5, 2.0, -1.0])),
    ):
        if draw(st.integers(0, 5)):
            data[name] = draw(usual)
    data |= draw(st.dictionaries(names, scalars | nested, max_size=3))
    order = draw(st.permutations(sorted(data)))
    return Record({name: data[name] for name in order}, {"m": draw(st.integers(0, 2))}, draw(st.sampled_from(IDS)))


batches = st.lists(records(), min_size=1, max_size=7, unique_by=lambda record: record.id)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("load"), batches),
        st.tuples(st.just("upsert"), records()),
        st.tuples(st.just("delete"), st.sampled_from(IDS)),
        st.tuples(st.just("compact"), st.booleans()),
    ),
    max_size=6,
)


def perform(database: SyncDatabase, loaded: list[Record], then: Iterable[tuple[str, Any]]) -> None:
    """Loads, changes, folds."""
    for verb, what in [("load", loaded), *then]:
        if verb == "load":
            database.batch_upsert([(record.id, record.copy()) for record in what])
        elif verb == "upsert":
            database.upsert(what.id, what.copy())
        elif verb == "delete":
            database.delete(what)
        elif isinstance(database, S3Database):
            database.compact(full=what)


# ---------------------------------------------------------------------------------------------- the reference
def as_text(value: Any) -> str | None:
    """A value as people read it in the record's JSON."""
    plain = to_json(value, "", {})
    return plain if plain is None or isinstance(plain, str) else orjson.dumps(plain).decode()


def agrees(value: Any, kind: str) -> bool:
    """Whether a value may stand in such a column of SQL."""
    own = kind_of(value)
    return value is None or (own is not None and own.delta == kind)


def expected(name: str, kind: str | None, every: Sequence[Record]) -> tuple[pa.DataType, list[Any]]:
    """The column of a field of which the table has a column of that type, or none."""
    values = [record.data.get(name) for record in every]
    if kind and all(agrees(value, kind) for value in values):
        return BY_NAME[kind].arrow, values
    is_number = kind in ("long", "double") and all(
        agrees(value, "double") or (agrees(value, "long") and abs(value) <= 2**53) for value in values
    )
    if is_number:
        return pa.float64(), [None if value is None else float(value) for value in values]
    return pa.string(), [as_text(value) for value in values]


def reference(every: Sequence[Record], kinds: dict[str, str]) -> pa.Table:
    """All columns that a statement may name, and those of the star."""
    found = {name: expected(name, kind, every) for name, kind in kinds.items()}
    rest = [{name: value for name, value in record.data.items() if name not in kinds} for record in every]
    found["_rest"] = pa.string(), [as_text(one) if one else None for one in rest]
    found["_id"] = pa.string(), [record.id for record in every]
    return pa.table({name: pa.array(values, type) for name, (type, values) in found.items()})


def shown(table: pa.Table) -> list[str]:
    """Rows in no order; NaN is NaN."""
    return sorted(repr(list(row.items())) for row in table.to_pylist())


CONNECTION = duckdb.connect(":memory:", config={"threads": 1})
CONNECTION.execute("SET TimeZone = 'UTC'")


def asked(relation: Relation, sql: str, *named: str, star: bool = False) -> pa.Table:
    """What a statement finds that names these fields."""
    binding = relation.bind([(name,) for name in named], star)
    return told(LazyDataset(binding.schema, partial(relation.scan, binding)), sql)


def told(rows: Any, sql: str) -> pa.Table:
    """What DuckDB says of rows."""
    CONNECTION.register("S3Object", rows)
    return CONNECTION.sql(sql).to_arrow_table()


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _condition(column: pa.Field, draw: st.DrawFn) -> str:
    operands = {
        pa.string(): ["'x'", "''", "'1'", "'b'", "'long long'", "'Straße'"],
        pa.int64(): ["0", "5", "-7", "9223372036854775807"],
        pa.float64(): ["0.5::DOUBLE", "'nan'::DOUBLE", "1e21::DOUBLE", "'inf'::DOUBLE"],
        pa.bool_(): ["true", "false"],
        pa.date32(): ["DATE '2024-05-01'", "DATE '2023-01-01'"],
        pa.timestamp("us", "UTC"): ["TIMESTAMPTZ '2024-05-01 12:00:00+00'", "TIMESTAMPTZ '2030-01-01 00:00:00+00'"],
        pa.binary(): ["'abc'::BLOB", "''::BLOB"],
    }[column.type]
    name, operand = quoted(column.name), draw(st.sampled_from(operands))
    operator = draw(st.sampled_from(["=", "<>", "<", "<=", ">", ">=", "IN", "IS NULL", "IS NOT NULL"]))
    if operator.startswith("IS"):
        return f"{name} {operator}"
    return f"{name} IN ({operand}, {operands[0]})" if operator == "IN" else f"{name} {operator} {operand}"


# ---------------------------------------------------------------------------------------------- both are the same
def check(database: SyncDatabase, draw: st.DrawFn) -> None:
    """Everything that is asked of it, against its records as they are read."""
    every = list(database.all())
    relation = relation_of(database._ready(), 0)
    assert isinstance(relation, Records)
    kinds = dict(relation._loaded[0].fields)
    truth = reference(every, kinds)
    star = asked(relation, "SELECT * FROM S3Object", star=True)
    assert star.column_names == [*kinds, "_rest"]
    assert [star.schema.field(name).type for name in kinds] == [truth.schema.field(name).type for name in kinds]
    assert shown(star) == shown(truth.select([*kinds, "_rest"]))
    assert asked(relation, "SELECT count(*) c FROM S3Object")["c"].to_pylist() == [len(every)]
    for sql, named in statements(truth, draw):
        found = shown(asked(relation, sql, *named))
        assert found == shown(told(truth, sql)), sql
        with patch.object(packs, "surviving", lambda condition, columns, stored, facts: range(len(list(facts)))):
            assert shown(asked(relation, sql, *named)) == found, sql
    for name in sorted({name for record in every for name in record.data} - kinds.keys() - {"_id"}):
        texts = [as_text(record.data.get(name)) for record in every]
        wanted = pa.table({"v": pa.array(texts, pa.string()), "w": [record.id for record in every]})
        found = shown(asked(relation, f"SELECT {quoted(name)} v, _id w FROM S3Object", name, "_id"))
        assert found == shown(wanted), name
    relation.close()


def statements(truth: pa.Table, draw: st.DrawFn) -> Iterator[tuple[str, list[str]]]:
    """Rows and groups under a condition; with the names in them."""
    asks = draw(st.lists(st.sampled_from(truth.column_names), min_size=1, max_size=2))
    where = f" {draw(st.sampled_from(['AND', 'OR']))} ".join(
        _condition(truth.schema.field(name), draw) for name in asks
    )
    names = [draw(st.sampled_from(truth.column_names)) for _ in range(2)]
    one, other = map(quoted, names)
    yield f"SELECT {one} a, {other} b, _id c FROM S3Object WHERE {where}", [*asks, *names, "_id"]
    aggregates = f"SELECT {one} a, count(*) b, count({other}) c, max({other}) d"
    yield f"{aggregates} FROM S3Object WHERE {where} GROUP BY ALL ORDER BY a", [*asks, *names]


@settings(deadline=None)
@given(batches, steps, st.data())
def test_both_tiers_are_the_records(loaded: list[Record], then: list[tuple[str, Any]], data: st.DataObject) -> None:
    world = TieredWorld(pack_threshold=2)
    with world.open() as database, world.open() as other:
        perform(database, loaded, then)
        check(other, data.draw)


@settings(deadline=None)
@given(batches, steps, st.data())
def test_any_database_is_its_records(loaded: list[Record], then: list[tuple[str, Any]], data: st.DataObject) -> None:
    database = MemoryDatabase()
    perform(database, loaded, then)
    check(database, data.draw)
