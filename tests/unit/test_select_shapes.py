"""Statements of every shape mean over a relation what they mean to DuckDB over an ordinary table: as they stand, and when they
have gone through their syntax tree.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime

import duckdb
import pyarrow as pa
import pytest

from dataknobs_data.exceptions import QueryError
from dataknobs_data.select.rewriting import Bound
from tests.unit.select_tables import Plain, rows, run

PEOPLE = pa.table(
    {
        "name": ["Ann", "Bob", "Cid", "Dee", "Eve"],
        "n": pa.array([1, 2, 3, None, 5], pa.int64()),
        "v": [1.5, -2.0, None, 0.0, 9.25],
        "ok": [True, False, None, True, True],
        "day": [date(2020, 1, 1), date(2021, 6, 30), None, date(2019, 12, 31), date(2020, 1, 1)],
        "seen": pa.array([datetime(2020, 1, day, tzinfo=UTC) for day in range(1, 6)], pa.timestamp("us", "UTC")),
        "city": ["Rome", "Oslo", "Rome", None, "Bern"],
        "a b; \"c'": ["x", "y", "z", "w", None],
    }
)
CITIES = pa.table({"city": ["Rome", "Oslo", "Paris"], "land": ["IT", "NO", "FR"], "n": [10, 20, 30]})

IDS = PEOPLE.append_column("_id", pa.array(["1", "2", "3", "4", "5"])).append_column(
    "address.city", pa.array(["A", None, "C", "D", "E"])
)

SHAPES = r"""
SELECT * FROM people
FROM people
FROM people SELECT name WHERE n > 1
TABLE people
SELECT p.* FROM people p ORDER BY ALL
SELECT people.name FROM people
SELECT PEOPLE.NAME FROM People
SELECT * EXCLUDE (v, ok) FROM people
SELECT * EXCLUDE (p.v) FROM people p
SELECT * REPLACE (upper(name) AS name) FROM people
SELECT * RENAME (name AS who) FROM people
SELECT COLUMNS('n.*') FROM people
SELECT COLUMNS(['name', 'n']) FROM people
SELECT COLUMNS(lambda c: c LIKE 'n%') FROM people
SELECT min(COLUMNS(* EXCLUDE (ok, name))) FROM people
SELECT "a b; ""c'" AS odd FROM people
SELECT n, n + 1 AS m, m * 2 AS twice FROM people WHERE m > 2
SELECT count(*), count(n), sum(n), avg(v), min(day), max(seen) FROM people
SELECT city, count(*) AS c FROM people GROUP BY city HAVING c > 1 ORDER BY city NULLS FIRST
SELECT city, count(*) FROM people GROUP BY ALL ORDER BY ALL
SELECT city, ok, sum(n) FROM people GROUP BY ROLLUP (city, ok) ORDER BY ALL
SELECT city, ok, sum(n), GROUPING(city) FROM people GROUP BY GROUPING SETS ((city), (ok), ()) ORDER BY ALL
SELECT count(*) FILTER (WHERE n > 1) AS c, string_agg(name, ';' ORDER BY name DESC) FROM people
SELECT list(name ORDER BY n DESC NULLS LAST), arg_max(name, n), quantile_cont(n, 0.5), mode(city) FROM people
SELECT DISTINCT city FROM people ORDER BY 1
SELECT DISTINCT ON (city) city, name FROM people ORDER BY city, name
SELECT count(DISTINCT city) FROM people
SELECT name FROM people ORDER BY n DESC NULLS LAST, name LIMIT 2 OFFSET 1
SELECT name FROM people ORDER BY n LIMIT 40%
SELECT name FROM people WHERE name LIKE 'A%' OR name ILIKE '%B' OR name SIMILAR TO 'C.d'
SELECT name FROM people WHERE name LIKE 'x!%y' ESCAPE '!' OR name NOT LIKE 'A%'
SELECT name FROM people WHERE n BETWEEN 2 AND 5 AND city IN ('Rome', 'Bern') AND NOT (ok IS NULL)
SELECT name FROM people WHERE n IS NULL OR v IS NOT DISTINCT FROM NULL
SELECT name FROM people WHERE (city, ok) = ('Rome', true)
SELECT name FROM people WHERE seen >= '2020-01-03' AND day < DATE '2021-01-01'
SELECT name FROM people WHERE seen > TIMESTAMPTZ '2020-01-02 00:00:00+00' + INTERVAL 1 DAY
SELECT CASE WHEN n > 2 THEN 'big' WHEN n IS NULL THEN 'none' ELSE 'small' END AS size FROM people
SELECT CASE city WHEN 'Rome' THEN 1 ELSE 0 END FROM people
SELECT coalesce(city, 'nowhere'), nullif(n, 2), ifnull(v, 0), n::VARCHAR, TRY_CAST(name AS INTEGER) FROM people
SELECT name COLLATE NOCASE AS c FROM people ORDER BY c
SELECT seen AT TIME ZONE 'Asia/Tokyo' AS local, extract(year FROM seen), date_trunc('month', day) FROM people
SELECT -n, n ** 2, n // 2, n % 2, n::DOUBLE / 3, n << 1, ~n FROM people
SELECT 'it''s', "name" || ' ' || coalesce(city, ''), E'a\nb', $$dollar ' "$$ FROM people
SELECT [n, n + 1], {'a': n, 'b': name}, MAP {'k': n} FROM people
SELECT {'a': {'b': n}}.a.b AS deep, [10, 20][2] AS second, 'hello'[2:3] FROM people
SELECT list_transform([1, 2], lambda x: x + n) AS l, [y * 2 for y in [1, 2, 3] if y > 1] FROM people
SELECT unnest([1, 2]) AS u, name FROM people ORDER BY ALL
SELECT name, u FROM people, unnest([n, 7]) AS t(u) ORDER BY ALL
SELECT p.name, c.land FROM people p JOIN cities c ON p.city = c.city ORDER BY 1
SELECT * FROM people JOIN cities USING (city) ORDER BY name
SELECT name, land FROM people LEFT JOIN cities USING (city) ORDER BY ALL
SELECT p.name, c.city FROM people p FULL JOIN cities c ON c.city = p.city AND p.n > 1 ORDER BY ALL
SELECT p.name FROM people p SEMI JOIN cities c USING (city) ORDER BY 1
SELECT p.name FROM people p ANTI JOIN cities c USING (city) ORDER BY 1
SELECT a.name, b.name FROM people a, people b WHERE a.n < b.n ORDER BY ALL
SELECT a.name, b.name FROM people a CROSS JOIN people b ORDER BY ALL LIMIT 7
SELECT p.name, c.land FROM people p POSITIONAL JOIN cities c
SELECT p.name, c.land FROM people p ASOF JOIN cities c ON p.n * 10 >= c.n ORDER BY ALL
SELECT name, (SELECT land FROM cities c WHERE c.city = p.city) AS land FROM people p ORDER BY 1
SELECT name FROM people WHERE city IN (SELECT city FROM cities WHERE n > 10)
SELECT name FROM people p WHERE EXISTS (SELECT 1 FROM cities WHERE cities.city = p.city) ORDER BY 1
SELECT name FROM people WHERE n > ALL (SELECT n FROM people WHERE n < 3)
SELECT p.name, l.land FROM people p, LATERAL (SELECT land FROM cities c WHERE c.city = p.city) l ORDER BY 1
SELECT x.who, x.twice FROM (SELECT name AS who, n * 2 AS twice FROM people) AS x WHERE x.twice > 2
SELECT * FROM (SELECT * FROM people) ORDER BY name
SELECT t.* FROM (SELECT name, n FROM people) t(who, number) ORDER BY who
WITH old AS (SELECT * FROM people WHERE n > 1) SELECT name FROM old ORDER BY n DESC
WITH people AS (SELECT name AS alias FROM people) SELECT alias FROM people ORDER BY 1
WITH a AS (SELECT n FROM people), b AS MATERIALIZED (SELECT n + 1 AS m FROM a) SELECT a.n, b.m FROM a JOIN b ON a.n = b.m ORDER BY 1
WITH a(x, y) AS (SELECT name, n FROM people) SELECT x FROM a WHERE y > 1 ORDER BY 1
WITH RECURSIVE t(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM t WHERE i < 5) SELECT i, name FROM t LEFT JOIN people ON n = i ORDER BY 1
SELECT * FROM (WITH c AS (SELECT n FROM people) SELECT sum(n) AS s FROM c)
SELECT name FROM people UNION ALL SELECT city FROM cities ORDER BY 1
SELECT city FROM people UNION SELECT city FROM cities ORDER BY city
SELECT city FROM people INTERSECT SELECT city FROM cities ORDER BY 1
SELECT city FROM people EXCEPT SELECT city FROM cities ORDER BY 1
(SELECT n, city FROM people LIMIT 1) UNION ALL BY NAME (SELECT city, land FROM cities LIMIT 1)
SELECT name, row_number() OVER (ORDER BY n DESC NULLS LAST) AS r, sum(n) OVER (PARTITION BY city ORDER BY name) AS s FROM people ORDER BY r
SELECT name, lag(n, 1, 0) OVER w, avg(n) OVER (ORDER BY name ROWS BETWEEN 1 PRECEDING AND CURRENT ROW EXCLUDE TIES) FROM people WINDOW w AS (ORDER BY name) ORDER BY 1
SELECT name FROM people QUALIFY rank() OVER (PARTITION BY city ORDER BY n DESC) = 1 ORDER BY 1
SELECT p FROM people p ORDER BY name LIMIT 1
SELECT p.name AS "select" FROM people p ORDER BY "select" LIMIT 1
SELECT name AS n2, n FROM people ORDER BY n2 DESC, people.n
SELECT n, n FROM people ORDER BY 1
PIVOT (SELECT city, ok, n FROM people WHERE city IS NOT NULL) ON city IN ('Rome', 'Oslo') USING sum(n)
UNPIVOT (SELECT name, n, v FROM people) ON n, v INTO NAME which VALUE what
SELECT * FROM (VALUES (1, 'a'), (2, 'b')) AS t(x, y) WHERE x IN (SELECT n FROM people)
VALUES (1, 'x'), (2, 'y')
SELECT i FROM range(3) AS t(i) WHERE i IN (SELECT n FROM people)
SELECT 1 AS one
SELECT count(*) FROM people WHERE false
SELECT struct_pack(*COLUMNS(['name', 'n'])) AS s FROM people
SELECT name FROM people USING SAMPLE 100%
SELECT name FROM people TABLESAMPLE RESERVOIR (10 ROWS)
DESCRIBE people
DESCRIBE SELECT name, n FROM people
SUMMARIZE SELECT name FROM people
"""


@pytest.fixture(params=["as it stands", "through its tree"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Statements that need no change are not changed; here they are written anew all the same."""
    if request.param == "through its tree":
        rewrite = Bound.rewrite
        monkeypatch.setattr(Bound, "rewrite", lambda self: rewrite(self) or True)


@pytest.fixture(scope="module")
def tables() -> Iterator[duckdb.DuckDBPyConnection]:
    """Ordinary tables: people and cities, and `known`, which are people with ids."""
    with duckdb.connect(":memory:", config={"python_enable_replacements": False}) as connection:
        connection.execute("SET TimeZone = 'UTC'").fetchall()
        for name, table in {"people": PEOPLE, "cities": CITIES, "known": IDS.drop_columns("address.city")}.items():
            connection.register("arrow", table)
            connection.execute(f"CREATE TABLE {name} AS FROM arrow").fetchall()
            connection.unregister("arrow")
        yield connection


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("sql", SHAPES.strip().splitlines())
def test_a_statement_means_what_it_means_over_a_table(sql: str, tables: duckdb.DuckDBPyConnection) -> None:
    ours = run(sql, people=Plain(IDS, ["_id", "address.city"]), cities=Plain(CITIES))
    theirs = tables.sql(sql).to_arrow_table()
    found = ours.to_arrow()
    if len(set(theirs.column_names)) == theirs.num_columns:
        assert found.column_names == theirs.column_names
    theirs = theirs.rename_columns(found.column_names)
    assert found.schema.types == theirs.schema.types
    ordered = " ORDER BY " in sql or found.num_rows < 2
    assert found.to_pylist() == theirs.to_pylist() if ordered else same_rows(found, theirs)


def same_rows(one: pa.Table, other: pa.Table) -> bool:
    return sorted(map(repr, one.to_pylist())) == sorted(map(repr, other.to_pylist()))


# ---------------------------------------------------------------------------------------------- what is no part of a star
WITH_HIDDEN = [
    ("SELECT *, _id FROM people WHERE n > 1", "SELECT * EXCLUDE (_id), _id FROM people WHERE n > 1"),
    ("SELECT * FROM people WHERE _id = '2'", "SELECT * EXCLUDE (_id) FROM people WHERE _id = '2'"),
    ("SELECT p.* FROM people p ORDER BY p._id DESC", "SELECT p.* EXCLUDE (_id) FROM people p ORDER BY p._id DESC"),
    ("SELECT * EXCLUDE (n) FROM people WHERE _id > '1'", "SELECT * EXCLUDE (n, _id) FROM people WHERE _id > '1'"),
    ("SELECT * EXCLUDE (_id) FROM people ORDER BY _ID", "SELECT * EXCLUDE (_id) FROM people ORDER BY _id"),
    (
        "SELECT *, a._id FROM people a, cities ORDER BY ALL",
        "SELECT * EXCLUDE (a._id), a._id FROM people a, cities ORDER BY ALL",
    ),
    (
        "SELECT a.*, b.name FROM people a JOIN people b ON a._id < b._id ORDER BY ALL",
        "SELECT a.* EXCLUDE (_id), b.name FROM people a JOIN people b ON a._id < b._id ORDER BY ALL",
    ),
    (
        "SELECT * FROM people a JOIN people b USING (_id) ORDER BY ALL",
        "SELECT * EXCLUDE (a._id, b._id) FROM people a JOIN people b USING (_id) ORDER BY ALL",
    ),
    (
        "SELECT c.*, x FROM (SELECT *, _id AS x FROM people) c ORDER BY ALL",
        "SELECT c.*, x FROM (SELECT * EXCLUDE (_id), _id AS x FROM people) c ORDER BY ALL",
    ),
    (
        "WITH c AS (SELECT * FROM people WHERE _id < '3') SELECT * FROM c UNION ALL SELECT * FROM people WHERE _id = '5'",
        (
            "WITH c AS (SELECT * EXCLUDE (_id) FROM people WHERE _id < '3') SELECT * FROM c UNION ALL "
            "SELECT * EXCLUDE (_id) FROM people WHERE _id = '5'"
        ),
    ),
    (
        "SELECT name FROM people p WHERE EXISTS (SELECT * FROM people q WHERE q._id > p._id) ORDER BY name",
        "SELECT name FROM people p WHERE EXISTS (SELECT * FROM people q WHERE q._id > p._id) ORDER BY name",
    ),
    ("SELECT p FROM people p WHERE _id = '1'", "SELECT p FROM (SELECT * EXCLUDE (_id) FROM people WHERE _id = '1') p"),
    (
        "SELECT min(COLUMNS(*)) FROM people WHERE _id > '2'",
        "SELECT min(COLUMNS(* EXCLUDE (_id))) FROM people WHERE _id > '2'",
    ),
    (
        "SELECT COLUMNS(lambda c: c LIKE '%n%') FROM people WHERE _id > '2'",
        "SELECT COLUMNS(lambda c: c LIKE '%n%') FROM (SELECT * EXCLUDE (_id) FROM people WHERE _id > '2')",
    ),
    ("SELECT COLUMNS(['_id', 'n']) FROM people", "SELECT COLUMNS(['_id', 'n']) FROM people"),
    ("SELECT _id AS n, n AS m FROM people ORDER BY n", "SELECT _id AS n, n AS m FROM people ORDER BY n"),
    ("SUMMARIZE SELECT * FROM people WHERE _id < '3'", "SUMMARIZE SELECT * EXCLUDE (_id) FROM people WHERE _id < '3'"),
]


@pytest.mark.parametrize(("sql", "plain"), WITH_HIDDEN)
def test_stars_leave_out_what_is_hidden(sql: str, plain: str, tables: duckdb.DuckDBPyConnection) -> None:
    ours = run(sql, people=Plain(IDS, ["_id", "address.city"]), cities=Plain(CITIES)).to_arrow()
    theirs = tables.sql(plain.replace("people", "known")).to_arrow_table()
    if len(set(theirs.column_names)) == theirs.num_columns:
        assert ours.column_names == theirs.column_names
    assert same_rows(ours, theirs.rename_columns(ours.column_names))


# ---------------------------------------------------------------------------------------------- paths
DEEP = pa.table(
    {
        "name": ["Ann", "Bob", "Cid"],
        "s": ["x", "y", "z"],
        "_rest": ["{}", None, "{}"],
        "address": ['{"city":"A"}', None, '{"city":"C"}'],
        "address.city": ["A", None, "C"],
        "tags[1]": ["t1", "t2", None],
        "a.b[0].c": ["deep", None, None],
        "s.x": ["of a field", None, None],
    }
)
PATHS = {
    ("address", "city"): "address.city", ("tags", 1): "tags[1]", ("a", "b", 0, "c"): "a.b[0].c", ("s", "x"): "s.x",
}  # fmt: skip


def deep() -> Plain:
    return Plain(DEEP, [name for name in DEEP.column_names if name not in ("name", "s", "_rest")], PATHS)


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT p.address.city FROM people p", [{"city": "A"}, {"city": None}, {"city": "C"}]),
        ("SELECT address.city FROM people WHERE address.city = 'C'", [{"city": "C"}]),
        ("SELECT p.address['city'] FROM people p LIMIT 1", [{"city": "A"}]),
        ("SELECT (p.address).city AS c FROM people p LIMIT 1", [{"c": "A"}]),
        ("SELECT tags[1] FROM people LIMIT 1", [{"tags[1]": "t1"}]),
        ("SELECT upper(p.tags[1]) AS u FROM people p LIMIT 1", [{"u": "T1"}]),
        ("SELECT p.a.b[0].c FROM people p LIMIT 1", [{"c": "deep"}]),
        ("SELECT a.b[0].c[1:2] AS part FROM people LIMIT 1", [{"part": "de"}]),
        ("SELECT a.address.city FROM people a WHERE a.name = 'Ann'", [{"city": "A"}]),
        ("SELECT s.x FROM people s LIMIT 1", [{"x": "of a field"}]),
        ("SELECT s.x FROM people LIMIT 1", [{"x": "of a field"}]),
        ("SELECT s.s FROM people s LIMIT 1", [{"s": "x"}]),
        ("SELECT name[1] AS first FROM people", [{"first": "A"}, {"first": "B"}, {"first": "C"}]),
        ("SELECT address.city, count(*) AS c FROM people GROUP BY address.city HAVING address.city > 'B'", [{"city": "C", "c": 1}]),
        ("SELECT name FROM people ORDER BY address.city DESC NULLS LAST LIMIT 1", [{"name": "Cid"}]),
        ("SELECT * FROM people WHERE address.city = 'A'", [{"name": "Ann", "s": "x", "_rest": "{}"}]),
        ("SELECT address FROM people WHERE tags[1] = 't1'", [{"address": '{"city":"A"}'}]),
        ("SELECT (SELECT max(q.address.city) FROM people q WHERE q.address.city >= p.address.city) AS m FROM people p WHERE name = 'Ann'", [{"m": "C"}]),
        ("SELECT list_transform([1], lambda address: address + 1) AS l FROM people LIMIT 1", [{"l": [2]}]),
        ("SELECT address->>'city' AS c FROM people LIMIT 1", [{"c": "A"}]),
        ("SELECT q.address.city FROM people p, people q WHERE p.name = 'Ann' AND q.name = 'Cid'", [{"city": "C"}]),
    ],
)  # fmt: skip
def test_paths_become_columns(sql: str, expected: list[dict[str, object]]) -> None:
    assert rows(sql, people=deep()) == expected


INNER = "(SELECT {'city': 'inner'} AS address)"


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        (f"SELECT (SELECT address.city FROM {INNER} q) AS c FROM people LIMIT 1", "inner"),
        (f"SELECT (SELECT address.city FROM {INNER} AS q(address)) AS c FROM people LIMIT 1", "inner"),
        (f"SELECT (SELECT address.city FROM (SELECT * FROM {INNER})) AS c FROM people LIMIT 1", "inner"),
        (f"WITH q AS {INNER} SELECT (SELECT address.city FROM q) AS c FROM people LIMIT 1", "inner"),
        ("WITH q(address) AS (SELECT {'city': 'inner'}) SELECT (SELECT address.city FROM q) AS c FROM people LIMIT 1", "inner"),
        ("SELECT (SELECT address.city FROM (VALUES ({'city': 'inner'})) v(address)) AS c FROM people LIMIT 1", "inner"),
        ("SELECT (SELECT address.city FROM unnest([{'city': 'inner'}]) AS u(address)) AS c FROM people LIMIT 1", "inner"),
        ("WITH RECURSIVE r(address) AS (SELECT {'city': 'inner'} UNION SELECT address FROM r) SELECT (SELECT address.city FROM r) AS c FROM people LIMIT 1", "inner"),
        (f"SELECT (SELECT address.city || q.address.city FROM {INNER} q) AS c FROM people LIMIT 1", "innerinner"),
        ("SELECT (SELECT address.city FROM (SELECT {'city': 'inner'} AS address) r(other)) AS c FROM people LIMIT 1", "A"),
        ("SELECT c FROM people, LATERAL (SELECT address.city AS c, 1 AS address) q LIMIT 1", "A"),
        ("SELECT people.address.city AS c FROM people, (SELECT {'city': 'inner'} AS address) q LIMIT 1", "A"),
        ("SELECT array(SELECT address.city FROM people WHERE address.city IS NOT NULL ORDER BY 1 DESC)[1] AS c", "C"),
    ],
)  # fmt: skip
def test_the_nearest_source_with_a_name_has_it(sql: str, expected: str) -> None:
    assert rows(sql, people=deep()) == [{"c": expected}]


@pytest.mark.parametrize("from_", [f"people, {INNER} q", f"{INNER} q JOIN people ON true"])
def test_a_path_that_a_subquery_beside_has_too(from_: str) -> None:
    with pytest.raises(QueryError, match=r"'address.city' may be of people or q: write people\.… for one"):
        rows(f"SELECT address.city FROM {from_}", people=deep())


def test_columns_with_parts_are_duckdbs_own() -> None:
    table = pa.table({"place": [{"city": "Rome", "at": [1, 2]}], "tags": [["a", "b"]]})
    assert rows("SELECT p.place.city, place.at[2] AS at, tags[1] AS t FROM people p", people=Plain(table)) == [
        {"city": "Rome", "at": 2, "t": "a"}
    ]


def test_a_relation_is_asked_for_what_the_statement_names_of_it() -> None:
    people, cities = Plain(PEOPLE), Plain(CITIES)
    rows("SELECT p.name FROM people p JOIN cities c ON p.city = c.city WHERE c.n > 1", people=people, cities=cities)
    assert people.asked == [(frozenset({("name",), ("city",)}), False)]
    assert cities.asked == [(frozenset({("city",), ("n",)}), False)]
    assert people.scans == [(["name", "city"], "None")]
    assert [condition for _, condition in cities.scans] == ["(n > 1)"]


def test_only_what_a_statement_names_is_opened_and_closed() -> None:
    people, cities = Plain(PEOPLE), Plain(CITIES)
    assert rows("SELECT count(*) AS c FROM people a, people b", people=people, cities=cities) == [{"c": 25}]
    assert (people.opened, people.closed, cities.opened, cities.closed) == (1, 1, 0, 0)
    assert people.asked == [(frozenset(), False)]
