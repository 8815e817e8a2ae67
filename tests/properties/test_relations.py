"""What records offer to SQL, against plain evaluation: columns, rows, conditions, whatever lies in which tier."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from unittest.mock import patch
from uuid import UUID

import duckdb
import orjson
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from dataknobs_data.backends.memory import MemoryDatabase
from dataknobs_data.database import SyncDatabase
from dataknobs_data.json_values import to_json
from dataknobs_data.records import Record
from dataknobs_data.runtime import Runtime
from dataknobs_data.s3.relations import packs as pack_portions
from dataknobs_data.s3.relations.openers import relation_of
from dataknobs_data.s3.relations.records import Records
from dataknobs_data.s3.table.kinds import BY_NAME, kind_of
from dataknobs_data.select.running import Statement
from dataknobs_data.select.sandbox import Limits
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
    for verb, given in [("load", loaded), *then]:
        if verb == "load":
            database.batch_upsert([(record.id, record.copy()) for record in given])
        elif verb == "upsert":
            database.upsert(given.id, given.copy())
        elif verb == "delete":
            database.delete(given)
        elif hasattr(database, "compact"):
            database.compact(full=given)


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


def asked(database: SyncDatabase, sql: str, memory_bytes: int = 0) -> pa.Table:
    """What the statement finds."""
    opener = lambda: relation_of(database._ready(), memory_bytes)  # noqa: E731
    return Statement(sql, None, {"S3Object": opener}, Limits(), Runtime()).run().to_arrow()


def told(table: pa.Table, sql: str) -> pa.Table:
    """The same of DuckDB, of a table."""
    with duckdb.connect(":memory:", config={"threads": 1}) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.register("S3Object", table)
        return connection.sql(sql).to_arrow_table()


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def conditions(table: pa.Table, draw: st.DrawFn) -> str:
    """A condition on one column or two."""
    chosen = [draw(st.sampled_from(table.column_names)) for _ in range(draw(st.integers(1, 2)))]
    return f" {draw(st.sampled_from(['AND', 'OR']))} ".join(
        _condition(table.schema.field(name), draw) for name in chosen
    )


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
def kinds_of(database: SyncDatabase) -> dict[str, str]:
    """The columns that the relation has for fields."""
    relation = relation_of(database._ready(), 0)
    assert isinstance(relation, Records)
    shape, _ = relation._loaded
    relation.close()
    return dict(shape.fields)


def check(database: SyncDatabase, draw: st.DrawFn) -> None:
    """Everything that is asked of it, against its records as they are read."""
    every = list(database.all())
    kinds = kinds_of(database)
    truth = reference(every, kinds)
    star = asked(database, "SELECT * FROM S3Object")
    assert star.column_names == [*kinds, "_rest"]
    assert [star.schema.field(name).type for name in kinds] == [truth.schema.field(name).type for name in kinds]
    assert shown(star) == shown(truth.select([*kinds, "_rest"]))
    assert asked(database, "SELECT count(*) c FROM S3Object")["c"].to_pylist() == [len(every)]
    where = conditions(truth, draw)
    wanted = [quoted(draw(st.sampled_from(truth.column_names))) for _ in range(2)]
    grouped = f"SELECT {wanted[0]} g, count(*) c, count({wanted[1]}) d, max({wanted[1]}) e FROM S3Object WHERE {where} GROUP BY ALL"
    for sql in (f"SELECT {wanted[0]} a0, {wanted[1]} a1, _id a2 FROM S3Object WHERE {where}", grouped):
        found = shown(asked(database, sql))
        assert found == shown(told(truth, sql)), sql
        with patch.object(
            pack_portions, "surviving", lambda condition, columns, stored, facts: range(len(list(facts)))
        ):
            assert shown(asked(database, sql)) == found, sql
    others = {name for record in every for name in record.data} - kinds.keys() - {"_id"}
    for name in sorted(others):
        texts = [as_text(record.data.get(name)) for record in every]
        found = asked(database, f"SELECT {quoted(name)} v, _id w FROM S3Object")
        assert shown(found) == shown(pa.table({"v": pa.array(texts, pa.string()), "w": [one.id for one in every]})), (
            name
        )


@settings(max_examples=100, deadline=None)
@given(batches, steps, st.data())
def test_both_tiers_are_the_records(loaded: list[Record], then: list[tuple[str, Any]], data: st.DataObject) -> None:
    world = TieredWorld(pack_threshold=2)
    with world.open() as database, world.open() as other:
        perform(database, loaded, then)
        check(other, data.draw)


@settings(max_examples=50, deadline=None)
@given(batches, steps, st.data())
def test_any_database_is_its_records(loaded: list[Record], then: list[tuple[str, Any]], data: st.DataObject) -> None:
    database = MemoryDatabase()
    perform(database, loaded, then)
    check(database, data.draw)
