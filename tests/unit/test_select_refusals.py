"""What is no SELECT over records is refused before anything is read, and says why."""

from __future__ import annotations

import pyarrow as pa
import pytest

from dataknobs_data.exceptions import DatabaseOperationError, QueryError
from dataknobs_data.select.parsing import parsed
from dataknobs_data.select.sandbox import Limits, Sandbox
from tests.unit.select_tables import LIMITS, Plain, rows, value

TABLE = pa.table({"name": ["Ann"], "n": [1], "_rest": ["{}"]})


def refused(sql: str, params: object = None) -> str:
    """Why; nothing was opened."""
    relation = Plain(TABLE)
    with pytest.raises(QueryError) as caught:
        rows(sql, params, S3Object=relation)  # type: ignore[arg-type]
    assert relation.scans == []
    return str(caught.value)


# ---------------------------------------------------------------------------------------------- other statements
@pytest.mark.parametrize(
    ("sql", "kind"),
    [
        ("INSERT INTO S3Object VALUES (1)", "INSERT"), ("UPDATE S3Object SET n = 2", "UPDATE"),
        ("DELETE FROM S3Object", "DELETE"), ("CREATE TABLE t AS SELECT 1", "CREATE"), ("DROP VIEW S3Object", "DROP"),
        ("ATTACH '/tmp/x.db'", "ATTACH"), ("COPY S3Object TO '/tmp/x.csv'", "COPY"), ("SET threads = 1", "SET"),
        ("INSTALL httpfs", "LOAD"), ("LOAD httpfs", "LOAD"), ("CALL duckdb_settings()", "CALL"), ("CHECKPOINT", "CALL"),
        ("EXPLAIN SELECT 1", "EXPLAIN"), ("EXPORT DATABASE '/tmp/x'", "EXPORT"), ("USE memory", "SET"), ("BEGIN", "TRANSACTION"),
        ("PREPARE p AS SELECT 1", "PREPARE"), ("VACUUM", "VACUUM"), ("DETACH memory", "DETACH"),
    ],
)  # fmt: skip
def test_only_select(sql: str, kind: str) -> None:
    said = refused(sql)
    assert "only one SELECT is carried out here" in said
    assert kind in said


@pytest.mark.parametrize(
    "sql", ["PRAGMA database_list", "PRAGMA threads = 1", "SHOW TABLES", "SHOW ALL TABLES", "SHOW DATABASES"]
)
def test_nothing_that_shows_the_engine(sql: str) -> None:
    refused(sql)


@pytest.mark.parametrize("sql", ["SELECT 1; SELECT 2", "SELECT 1; DROP VIEW S3Object", "SELECT 1;;SELECT 1"])
def test_one_statement_at_a_time(sql: str) -> None:
    assert "one SELECT" in refused(sql)


@pytest.mark.parametrize("sql", ["", " ", ";", "-- nothing", "/* nothing */"])
def test_no_statement(sql: str) -> None:
    assert refused(sql) == "SQL: there is no statement"


def test_a_semicolon_may_end_it() -> None:
    assert rows("SELECT 1 AS x;") == [{"x": 1}]


def test_writing_inside_a_with_is_refused() -> None:
    sql = "WITH w AS (INSERT INTO S3Object VALUES (1) RETURNING *) SELECT * FROM w"
    assert refused(sql) == "SQL: only SELECT is carried out here, no INSERT"


@pytest.mark.parametrize(
    ("sql", "where"),
    [
        ("SELEC 1", '"SELEC", at character 1'),
        ("SELECT 'ü' FRM x y", '"x", at character 16'),
        ("SELECT *\nFROM S3Object\nWHERE AND", '"AND", in line 3, column 7'),
    ],
)
def test_syntax_errors_say_where(sql: str, where: str) -> None:
    assert refused(sql).endswith(where)


@pytest.mark.parametrize("sql", [None, 5, b"SELECT 1", "SELECT '\ud800'"])
def test_what_is_no_text(sql: object) -> None:
    with pytest.raises(QueryError, match="text"):
        rows(sql)  # type: ignore[arg-type]


# ---------------------------------------------------------------------------------------------- names
@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("SELECT nmae FROM S3Object", "there is no field 'nmae'; did you mean 'name'?"),
        ("SELECT s.nmae FROM S3Object s", "there is no field 'nmae'; did you mean 'name'?"),
        ("SELECT s.name.first FROM S3Object s", "there is no field 'name.first'; did you mean 'name'?"),
        ("SELECT name FROM S3Object WHERE nn = 1", "there is no field 'nn'; did you mean 'n'?"),
        ("SELECT sum(nn) AS nn FROM S3Object", "there is no field 'nn'; did you mean 'n'?"),
        ("SELECT name FROM S3Object ORDER BY nam", "there is no field 'nam'; did you mean 'name'?"),
        ("SELECT * EXCLUDE (nam) FROM S3Object", "there is no field 'nam'; did you mean 'name'?"),
        ("SELECT t.nam FROM (SELECT name FROM S3Object) t", "there is no field 'nam'; did you mean 'name'?"),
        ("SELECT n FROM (SELECT name FROM S3Object)", "'n' is a field, but not within reach here"),
        ("SELECT x.name FROM S3Object s", 'Referenced table "x" not found'),
        ("SELECT * FROM S3Objects", "there is no table 'S3Objects'; did you mean 'S3Object'?"),
        ("SELECT * FROM main.S3Object", "there is no table 'main.S3Object'"),
        ("SELECT nope(name) FROM S3Object", "Scalar Function with name nope does not exist"),
        ("SELECT name + 1 FROM S3Object", "No function matches"),
        ("SELECT 'x'::INTEGER", "Could not convert"),
    ],
)  # fmt: skip
def test_unknown_names_are_named_with_the_nearest(sql: str, said: str) -> None:
    with pytest.raises(QueryError) as caught:
        rows(sql, S3Object=Plain(TABLE))
    assert said in str(caught.value)
    assert "LINE 1" not in str(caught.value)


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("SELECT * FROM S3Object NATURAL JOIN S3Object t", "USING"),
        ("SELECT a FROM S3Object AS t(a)", "have no order"),
        ("SELECT #1 FROM S3Object", "have no order"),
        ("PIVOT S3Object ON name IN ('a') USING sum(n)", "choose them first"),
        ("UNPIVOT S3Object ON n INTO NAME a VALUE b", "choose them first"),
        ("SELECT * FROM S3Object AT (VERSION => 3)", "db.at"),
        ("SELECT COLUMNS('n.*') FROM S3Object WHERE _rest IS NULL", "COLUMNS(['a', 'b'])"),
    ],
)  # fmt: skip
def test_forms_that_mean_little_over_records(sql: str, said: str) -> None:
    with pytest.raises(QueryError) as caught:
        rows(sql, S3Object=Plain(TABLE, ["_rest"]))
    assert said in str(caught.value)


def test_databases_that_sql_cannot_tell_apart_or_name() -> None:
    with pytest.raises(QueryError, match="'a' and 'A' differ only in case"):
        rows("SELECT 1", a=Plain(TABLE), A=Plain(TABLE))
    with pytest.raises(QueryError, match="cannot be named ''"):
        rows("SELECT 1", **{"": Plain(TABLE)})


# ---------------------------------------------------------------------------------------------- out of the sandbox
@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM '/etc/passwd'", "SELECT * FROM 'x.csv'", "SELECT * FROM read_csv('/etc/passwd')", "FROM read_text('/etc/*')",
        "FROM read_blob('/etc/passwd')", "FROM read_json('x')", "FROM parquet_scan('x')", "FROM glob('/*')", "FROM sniff_csv('x')",
        "FROM duckdb_settings()", "FROM duckdb_secrets()", "FROM duckdb_views()", "FROM pragma_version()", "FROM query('SELECT 1')",
        "FROM query_table('S3Object')", "FROM arrow_scan(1::POINTER, 2::POINTER, 3::POINTER)", "FROM pandas_scan(1)",
        "FROM python_map_function()", "FROM which_secret('x', 's3')", "FROM enable_logging()", "FROM test_all_types()",
        "FROM json_execute_serialized_sql('{}')", "FROM pg_catalog.pg_class", "FROM information_schema.tables", "FROM sqlite_master",
        "FROM duckdb_tables", "SELECT write_log('x')", "SELECT sleep_ms(100000)", "SELECT pg_sleep(100)", "SELECT json_serialize_plan('SELECT 1')",
        "SELECT __internal_decompress_string(1::UHUGEINT)", "SELECT finalize('x')", "SELECT system.main.repeat('x', 2)", "SELECT nextval('x')",
        "SELECT (SELECT count(*) FROM read_text('/etc/passwd'))", "SELECT 1 WHERE EXISTS (FROM read_text('/etc/passwd'))",
        "WITH x AS (FROM read_text('/etc/passwd')) FROM x", "SELECT [x FOR x IN (SELECT content FROM read_text('/etc/passwd'))]",
        "SELECT 1 LIMIT (SELECT count(*) FROM read_text('/etc/passwd'))", "SELECT 1 ORDER BY (FROM read_text('/etc/passwd'))",
        "SELECT 1 FROM S3Object JOIN S3Object t ON (SELECT true FROM read_text('/etc/passwd'))",
        "SELECT * REPLACE ((SELECT content FROM read_text('/etc/passwd')) AS name) FROM S3Object",
        "DESCRIBE SELECT * FROM read_text('/etc/passwd')", "FROM (VALUES ((SELECT content FROM read_text('/etc/passwd'))))",
        "SELECT sum(n) OVER (ORDER BY (SELECT size FROM read_text('/etc/passwd'))) FROM S3Object",
        "PIVOT (SELECT 1 AS a, 2 AS b) ON a IN ((SELECT 1 FROM read_text('/etc/passwd'))) USING sum(b)",
    ],
)  # fmt: skip
def test_nothing_else_is_within_reach(sql: str) -> None:
    refused(sql)


def test_the_gate_is_not_the_only_lock() -> None:
    """What a statement's tree would let pass the engine itself refuses."""
    sandbox = Sandbox(LIMITS)
    try:
        sandbox.lock(10)
        for sql in (
            "SELECT * FROM read_text('/etc/passwd')", "COPY (SELECT 1) TO '/tmp/never.csv'", "ATTACH '/tmp/never.db'",
            "INSTALL httpfs", "LOAD httpfs", "SET memory_limit = '100GB'", "SET enable_external_access = true",
            "RESET max_execution_time", "SELECT * FROM local_frame", "SELECT getenv('HOME')",
        ):  # fmt: skip
            with pytest.raises(Exception, match=r"Permission|locked|does not exist|disabled"):
                sandbox.connection.execute(sql).fetchall()
    finally:
        sandbox.close()


local_frame = TABLE
"""Not to be found by a statement, though the client of DuckDB would look for it."""


def test_variables_of_the_caller_are_no_tables() -> None:
    local_frame = TABLE
    assert local_frame.num_rows == 1
    assert "there is no table 'local_frame'" in refused("SELECT * FROM local_frame")


# ---------------------------------------------------------------------------------------------- parameters
def test_parameters_are_values() -> None:
    evil = "x'; DROP VIEW S3Object; --"
    assert value("SELECT $1", [evil]) == evil
    assert rows("SELECT name FROM S3Object WHERE name = ?", ["Ann' OR '1'='1"], S3Object=Plain(TABLE)) == []
    assert rows(
        "SELECT name FROM S3Object WHERE name = $who AND n = $n", {"who": "Ann", "n": 1}, S3Object=Plain(TABLE)
    ) == [{"name": "Ann"}]
    assert value("SELECT $a + $a + $b", {"A": 1, "b": 2}) == 4
    assert value("SELECT len(?) + ?", [[1, 2, 3], 1]) == 4
    assert rows("SELECT 1 AS x LIMIT ?", [0]) == []


def test_parameters_in_statements_that_are_written_anew() -> None:
    relation = Plain(TABLE, ["n"])
    assert rows("SELECT * FROM S3Object WHERE n = ? AND name LIKE $2", [1, "A%"], S3Object=relation) == [
        {"name": "Ann", "_rest": "{}"}
    ]


@pytest.mark.parametrize(
    ("sql", "params", "said"),
    [
        ("SELECT ?", None, r"has parameters \(\$1\): give their values"),
        ("SELECT ?, ?", [1], r"1 values are given, but the statement's parameters are \$1, \$2"),
        ("SELECT ?", [1, 2], r"2 values are given"),
        ("SELECT $name", {"nmae": 1}, r"no parameter 'nmae'; did you mean 'name'\?"),
        ("SELECT $name, $other", {"name": 1}, r"no value for \$other"),
        ("SELECT $name", [1], r"by name, as a dict"),
        ("SELECT 1", [1], "has no parameters, but 1 values"),
        ("SELECT ?", "x", "as a list"),
        ("SELECT ?", [object()], "parameter 1 is a object"),
        ("SELECT $x", {"x": [pa.table({})]}, "parameter 'x' is a Table"),
    ],
)  # fmt: skip
def test_parameters_that_do_not_fit(sql: str, params: object, said: str) -> None:
    with pytest.raises(QueryError, match=said):
        rows(sql, params)  # type: ignore[arg-type]


# ---------------------------------------------------------------------------------------------- hostile names
HOSTILE = [
    'a"b', "a'b", "a;b", "a\nb", "a\\b", "ünï çødé ☃", "SELECT", "*", "a.b", "a[0]", " ", "\t", "--", "/* */", "$1", "?",
    '"; DROP VIEW S3Object; --', "x" * 1000, "%s", "{0}", "S3Object", "S3Object[*]", "`", "``2010T``",
]  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_fields_and_databases_of_any_name(name: str) -> None:
    quoted = '"' + name.replace('"', '""') + '"'
    relation = Plain(pa.table({name: ["v"], "_id": ["1"]}), ["_id"])
    assert rows(f"SELECT * FROM {quoted} WHERE _id = '1'", **{name: relation}) == [{name: "v"}]
    assert rows(f"SELECT t.{quoted} AS x FROM S3Object t WHERE {quoted} = ?", ["v"], S3Object=relation) == [{"x": "v"}]
    hidden = Plain(pa.table({"n": [1], name: ["v"]}), [name])
    assert rows(f"SELECT * FROM S3Object WHERE {quoted} = 'v'", S3Object=hidden) == [{"n": 1}]
    deep = Plain(pa.table({"n": [1], name: ["v"]}), [name], {("deep", name): name})
    assert rows(f"SELECT t.deep.{quoted} AS x FROM S3Object t", S3Object=deep) == [{"x": "v"}]


# ---------------------------------------------------------------------------------------------- too long, too much
SOON = Limits(256 << 20, 0.4)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT count(*) FROM range(1000000000000000)",
        "WITH RECURSIVE t(i) AS (SELECT 1 UNION ALL SELECT i FROM t) SELECT count(*) FROM t",
        "SELECT count(*) FROM range(10000000) a, range(10000000) b WHERE hash(a.range, b.range) = 0",
        "SELECT * FROM range(1000000000000000) t(i) WHERE i < 0",
    ],
)
def test_endless_statements_end(sql: str) -> None:
    with pytest.raises(DatabaseOperationError, match="longer than it may: give it more time with timeout"):
        rows(sql, limits=SOON)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT list(i) FROM range(10000000000) t(i)",
        "SELECT string_agg(repeat('x', 1000), '') FROM range(10000000000) t(i)",
        "SELECT len(range(0, 10000000000, 1)) FROM range(3)",
        "SELECT json_group_array(i) FROM range(10000000000) t(i)",
    ],
)
def test_too_much_memory(sql: str) -> None:
    with pytest.raises(DatabaseOperationError, match="more than the 67108864 bytes that memory_limit leaves it"):
        rows(sql, limits=Limits(64 << 20, 20))


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT repeat('x', 10000000000)", "SELECT repeat('x', i) FROM range(1000000000, 1000000010) t(i)",
        "SELECT 'x'.repeat(((random() + 1) * 1000000000)::BIGINT)", "SELECT lpad('x', 2000000000, 'y')", "SELECT rpad('x', 2000000000, 'y')",
        "SELECT range(1000000000)", "SELECT generate_series(1, 1000000000)", "SELECT list_resize([1], 1000000000)",
        "SELECT array_resize([1], 1000000000, 0)", "SELECT bitstring('1', 2000000000)", "SELECT to_base(1, 2, 1000000000)",
        "SELECT bar(1, 0, 10, 1000000000)", "SELECT format('{:>2000000000}', 'x')", "SELECT printf('%2000000000d', 1)",
        "SELECT format('{:{}}', 'x', 2000000000)", "SELECT printf('%*d', 2000000000, 1)",
    ],
)  # fmt: skip
def test_values_that_are_too_large(sql: str) -> None:
    with pytest.raises(QueryError, match=r"makes more than|widths of up to three digits"):
        rows(sql)


@pytest.mark.parametrize(
    "name", ["levenshtein", "editdist3", "damerau_levenshtein", "jaro_similarity", "jaro_winkler_similarity"]
)
def test_texts_too_long_to_be_compared_within_a_timeout(name: str) -> None:
    sql = f"SELECT sum({name}(repeat('a', 12000) || i, repeat('b', 12000))) FROM range(2048) t(i)"
    with pytest.raises(QueryError, match="lengths make at most"):
        rows(sql)
    assert value(f"SELECT {name}(NULL, 'abc')") is None
    assert value(f"SELECT {name}(repeat('a', 1000), repeat('a', 1000))") in (0, 1.0)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT '[1]'::JSON::VARIANT", "SELECT TRY_CAST('1' AS STRUCT(a VARIANT[]))", "SELECT CAST(MAP {} AS MAP(VARCHAR, variant))",
        "SELECT variant_typeof('[1]')", "SELECT '1'::BIGNUM", "SELECT '1'::\"varint\"",
    ],
)  # fmt: skip
def test_types_that_end_the_process_or_no_timeout_ends(sql: str) -> None:
    assert "is not possible here" in refused(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT " + "+".join(["n"] * count) + " FROM S3Object" for count in (400, 900)
    ] + [
        "SELECT " + "CASE WHEN true THEN " * 400 + "1" + " END" * 400, "SELECT " + "[" * 900 + "]" * 900,
        "SELECT * FROM " + "(SELECT * FROM " * 900 + "S3Object" + ")" * 900,
    ],
)  # fmt: skip
def test_statements_that_are_nested_too_deeply(sql: str) -> None:
    assert "nested too deeply" in refused(sql)


def test_statements_that_are_nested_deeply() -> None:
    relation = Plain(TABLE, ["n"])
    assert rows("SELECT *, " + "+".join(["n"] * 100) + " AS s FROM S3Object", S3Object=relation)[0]["s"] == 100


def test_names_with_very_many_parts() -> None:
    assert "more than 100 parts" in refused("SELECT s" + ".n" * 20_000 + " FROM S3Object s")


def test_types_that_arrow_cannot_hold() -> None:
    with pytest.raises(DatabaseOperationError, match="Recursion level"):
        rows("SELECT NULL::INT" + "[]" * 100)


def test_nothing_is_drawn_on_standard_output() -> None:
    assert value("SELECT current_setting('enable_progress_bar')") is False


def test_functions_with_bounds_do_what_they_did() -> None:
    assert rows(
        "SELECT repeat('ab', 2) AS a, repeat([1], 2) AS b, repeat(NULL, 2) AS c, lpad('1', 3, '0') AS d, rpad('1', 3, '0') AS e, "
        "range(3) AS f, range(1, 3) AS g, generate_series(1, 5, 2) AS h, list_resize([1], 2) AS i, array_resize([1], 2, 7) AS j, "
        "to_base(5, 2) AS k, to_base(5, 2, 4) AS l, format('{:>3}', 'x') AS m, printf('%3d', 1) AS n, length(bar(1, 0, 2)) AS o, "
        "range(3, 0) AS p, range(0, 0, 1) AS q, bit_length(bitstring('1', 3)) AS r"
    ) == [
        {
            "a": "abab", "b": [1, 1], "c": None, "d": "001", "e": "100", "f": [0, 1, 2], "g": [1, 2], "h": [1, 3, 5], "i": [1, None],
            "j": [1, 7], "k": "101", "l": "0101", "m": "  x", "n": "  1", "o": 80, "p": [], "q": [], "r": 3,
        }
    ]  # fmt: skip
    assert rows("SELECT x, range(0, x, 2) AS l FROM range(4) t(x) ORDER BY x")[3] == {"x": 3, "l": [0, 2]}


def test_sorts_beyond_memory_go_to_disk() -> None:
    sql = "SELECT count(*) AS c, max(s) AS m FROM (SELECT i, repeat('x', 200) || i AS s FROM range(400000) t(i) ORDER BY hash(i) OFFSET 1)"
    assert rows(sql, limits=Limits(64 << 20, 60))[0]["c"] == 399_999


def test_no_time_at_all() -> None:
    for seconds in (0, -1, float("nan"), float("inf")):
        with pytest.raises(QueryError, match="must be a number of seconds above 0"):
            rows("SELECT 1", limits=Limits(seconds=seconds))


def test_a_tree_of_a_newer_duckdb_is_refused() -> None:
    """What is not known here does not pass."""
    from dataknobs_data.select.surveying import surveyed

    sandbox = Sandbox(LIMITS)
    try:
        statement = parsed(sandbox.connection, "SELECT * FROM S3Object")
    finally:
        sandbox.close()
    statement["node"]["from_table"]["type"] = "TELEPATHY_REF"
    with pytest.raises(QueryError, match="FROM TELEPATHY is not possible here"):
        surveyed(statement, {"s3object": "S3Object"})
    statement["node"]["type"] = "MERGE_QUERY_NODE"
    with pytest.raises(QueryError, match="no MERGE"):
        surveyed(statement, {"s3object": "S3Object"})
