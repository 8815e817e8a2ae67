"""`sql`: rows in every format, parameters, joins, scripts, the past; what goes wrong."""

from __future__ import annotations

import csv
import io
import json
import time
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dataknobs_data.backends.s3 import S3Database
from dataknobs_data.cli.results import Format, format_of
from dataknobs_data.cli.sql import parse_parameters
from dataknobs_data.exceptions import ConfigurationError
from dataknobs_data.records import Record
from tests.cli.conftest import Cli
from tests.servers import SeaweedServer, make_config, new_bucket_name, open_client

MIXED = [
    {
        "id": "a",
        "n": 1,
        "text": 'two "words", and\nlines',
        "made": datetime(2024, 5, 1, 12, tzinfo=UTC),
        "nested": {"x": [1]},
    },
    {"id": "b", "n": 2, "text": "", "due": date(2024, 5, 1), "flag": True},
    {"id": "c", "n": 3, "sum": 1.5, "raw": b"\x00\xff"},
]


@pytest.fixture(scope="module")
def asked(seaweed: SeaweedServer) -> str:
    """The URL of records that are only read."""
    config = make_config(seaweed, bucket=new_bucket_name(), prefix="records/", layout="tiered", pack_threshold=2)
    seaweed.create_bucket(config["bucket"])
    with S3Database(config) as db:
        db.batch_create([Record(data) for data in MIXED])
        db.create(Record({"id": "single", "n": 4, "text": "[red]x\x1b[0m"}))
    return f"s3://{config['bucket']}/records"


@pytest.fixture(autouse=True)
def _environment(seaweed: SeaweedServer, clean_environment: None, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in seaweed.environment().items():
        monkeypatch.setenv(name, value)


# ---------------------------------------------------------------------------------------------- formats
def test_lines_of_json_where_nobody_looks(cli: Cli, asked: str) -> None:
    ended = cli("sql", asked, "SELECT id, n * 2 AS twice, s.nested.x[0] AS x FROM S3Object s ORDER BY n;")
    assert (ended.code, ended.err) == (0, "")
    assert [line["twice"] for line in ended.lines] == [2, 4, 6, 8]
    assert ended.lines[0] == {"id": "a", "twice": 2, "x": "1"}


def test_csv_that_others_read(cli: Cli, asked: str) -> None:
    ended = cli(
        "sql", asked, "SELECT id, text, made, due, flag, sum, s.nested FROM S3Object s ORDER BY id", "-f", "csv"
    )
    rows = list(csv.DictReader(io.StringIO(ended.out)))
    assert rows[0]["text"] == MIXED[0]["text"]
    assert (rows[0]["made"], rows[0]["nested"]) == ("2024-05-01T12:00:00+00:00", '{"x":[1]}')
    assert (rows[1]["due"], rows[1]["flag"], rows[2]["sum"]) == ("2024-05-01", "true", "1.5")
    lines = ended.out.splitlines()
    assert lines[0] == "id,text,made,due,flag,sum,nested"
    assert lines[3] == 'b,"",,2024-05-01,true,,', "the empty text is not null"


@pytest.mark.parametrize("name", ["x.csv", "x.jsonl", "x.json", "x.parquet"])
def test_files_say_by_their_name_what_they_are(cli: Cli, asked: str, tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    file.write_text("old")
    ended = cli("sql", asked, "SELECT id, n, text FROM S3Object", "-o", str(file))
    assert (ended.code, ended.out, ended.err) == (0, "", f"4 rows written to {file}\n")
    assert list(tmp_path.iterdir()) == [file]
    with duckdb.connect() as engine:
        source = f"read_csv('{file}', allow_quoted_nulls = false)" if name.endswith("csv") else f"'{file}'"
        found = engine.execute(f"SELECT id, n, text FROM {source} ORDER BY id").fetchall()
    assert found == sorted(
        (d["id"], d["n"], d.get("text")) for d in [*MIXED, {"id": "single", "n": 4, "text": "[red]x\x1b[0m"}]
    )


def test_a_file_stays_as_it_was_when_the_statement_fails(cli: Cli, asked: str, tmp_path: Path) -> None:
    file = tmp_path / "x.csv"
    file.write_text("old")
    ended = cli("sql", asked, "SELECT n / 0, CAST(text AS INT) FROM S3Object", "-o", str(file))
    assert ended.code == 2
    assert ended.err.count("\n") == 1
    assert (list(tmp_path.iterdir()), file.read_text()) == ([file], "old")


def test_parquet_in_a_pipe(cli: Cli, asked: str, tmp_path: Path) -> None:
    file = tmp_path / "x.parquet"
    assert (
        cli("sql", asked, "SELECT n, made, raw, 1.10::DECIMAL(5,2) AS d FROM S3Object ORDER BY n", "-o", str(file)).code
        == 0
    )
    table = pq.read_table(file)
    assert table["n"].to_pylist() == [1, 2, 3, 4]
    assert table["made"].to_pylist()[0] == MIXED[0]["made"]
    assert (table["d"].to_pylist()[0], table.schema.field("raw").type) == (Decimal("1.10"), pa.binary())


def test_a_table_for_people(cli: Cli, asked: str) -> None:
    ended = cli("sql", asked, "SELECT id, n, text, flag FROM S3Object ORDER BY id DESC", "--table", "--limit", "3")
    lines = [line.rstrip() for line in ended.out.splitlines()]
    assert lines[0] == "id       n   text            flag"
    assert lines[2] == "single   4   [red]x\\x1b[0m   null"
    assert lines[5].startswith("the first 3 rows; --limit N shows more (")
    empty = cli("sql", asked, "SELECT id FROM S3Object WHERE n > 10", "--table")
    assert (empty.code, empty.out.splitlines()[-1].startswith("0 rows (")) == (0, True)


def test_many_columns_are_named_where_they_do_not_fit(cli: Cli, asked: str) -> None:
    columns = ", ".join(f"'{'x' * 20}' AS column_{n:02}" for n in range(10))
    ended = cli("sql", asked, f"SELECT {columns}", "--table")
    assert "not shown: column_03, column_04, column_05" in ended.out


def test_no_rows(cli: Cli, asked: str) -> None:
    none = "SELECT id, n FROM S3Object WHERE n > 10"
    assert cli("sql", asked, none).out == ""
    assert cli("sql", asked, none, "-f", "csv").out == "id,n\n"
    assert json.loads(cli("sql", asked, none, "-f", "json").out) == []


@pytest.mark.parametrize(
    ("named", "file", "json", "table", "words"),
    [
        (Format.CSV, None, True, False, "exclude each other"),
        (None, None, True, True, "exclude each other"),
        (None, Path("x.txt"), False, False, "--format"),
        (None, Path("x.csv"), False, True, "--format"),
    ],
)
def test_formats_that_make_no_sense(
    named: Format | None, file: Path | None, json: bool, table: bool, words: str
) -> None:
    with pytest.raises(ConfigurationError, match=words):
        format_of(named, file, json=json, table=table)


def test_a_format_that_is_named_goes_before_the_ending() -> None:
    assert format_of(Format.CSV, Path("x.json"), json=False, table=False) is Format.CSV
    assert format_of(None, Path("x.NDJSON"), json=False, table=False) is Format.JSONL


# ---------------------------------------------------------------------------------------------- statements
def test_parameters_by_name_and_by_number(cli: Cli, asked: str) -> None:
    named = "SELECT id FROM S3Object WHERE n > $least AND text = $text"
    assert cli("sql", asked, named, "--param", "least=1", "--param", 'text=""').lines == [{"id": "b"}]
    numbered = "SELECT id FROM S3Object WHERE n > ? AND n < ? ORDER BY id"
    assert cli("sql", asked, numbered, "--param", "2=4", "--param", "1=1").lines == [{"id": "b"}, {"id": "c"}]
    wrong = cli("sql", asked, named, "--param", "lest=1", "--param", "text=x")
    assert (wrong.code, "did you mean 'least'" in wrong.err) == (2, True)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ([], None),
        (
            ["a=1", "b=x", 'c="1"', "d=[1, 2]", "e=", "f=a=b"],
            {"a": 1, "b": "x", "c": "1", "d": [1, 2], "e": "", "f": "a=b"},
        ),
        (["2=b", "1=a"], ["a", "b"]),
        (["2=b"], {"2": "b"}),
    ],
)
def test_values_of_parameters(given: list[str], wanted: Any) -> None:
    assert parse_parameters(given) == wanted


def test_other_databases_are_joined(cli: Cli, asked: str, tmp_path: Path) -> None:
    other = f"file:{tmp_path / 'names.jsonl'}"
    cli("create", other, stdin='{"key": "a", "name": "Alpha"}\n{"key": "c", "name": "Gamma"}')
    joined = "SELECT o.id, t.name FROM S3Object o JOIN titles t ON t.key = o.id ORDER BY 1"
    assert [line["name"] for line in cli("sql", asked, joined, "--with", f"titles={other}").lines] == ["Alpha", "Gamma"]
    for wrong in ("titles", "a b=memory:", "timeout=memory:"):
        ended = cli("sql", asked, joined, "--with", wrong)
        assert (ended.code, "--with" in ended.err) == (2, True)


def test_statements_from_stdin(cli: Cli, asked: str, tmp_path: Path) -> None:
    script = "SELECT count(*) AS c FROM S3Object; -- ;\nSELECT max(n) AS m FROM S3Object"
    assert cli("sql", asked, stdin=script).lines == [{"c": 4}, {"m": 4}]
    ended = cli("sql", asked, "--output", str(tmp_path / "x.csv"), stdin=script)
    assert (ended.code, "2 statements" in ended.err) == (2, True)
    nothing = cli("sql", asked, stdin="-- nothing\n")
    assert (nothing.code, "no statement" in nothing.err) == (2, True)


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("SELECT nn FROM S3Object", "did you mean 'n'"),
        ("DROP TABLE S3Object", "SELECT"),
        ("SELECT * FROM '/etc/passwd'", "error: "),
    ],
)
def test_what_cannot_be_asked_is_one_line(cli: Cli, asked: str, statement: str, words: str) -> None:
    ended = cli("sql", asked, statement)
    assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1)
    assert words in ended.err


def test_a_timeout(cli: Cli, asked: str) -> None:
    ended = cli("sql", asked, "SELECT count(*) FROM range(10000000000) a, range(1000) b", "--timeout", "0.3")
    assert ended.code == 3
    assert "took longer" in ended.err


def test_only_databases_in_s3_are_asked(cli: Cli) -> None:
    ended = cli("sql", "memory:", "SELECT 1")
    assert (ended.code, "s3://" in ended.err) == (2, True)


# ---------------------------------------------------------------------------------------------- the past
def test_the_past(cli: Cli, seaweed: SeaweedServer) -> None:
    bucket = new_bucket_name()
    seaweed.create_bucket(bucket)
    with open_client(seaweed) as client:
        client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    url = f"s3://{bucket}/records"
    lines = "\n".join(json.dumps({"id": f"r{n:02}", "n": n}) for n in range(20))
    assert cli("create", "-q", f"{url}?layout=tiered&pack_threshold=10", stdin=lines).code == 0
    time.sleep(1.1)  # a moment is a second
    assert cli("rm", url, "r01").code == 0
    then = cli("at", url, "0")
    assert then.code == 0, then.err
    (moment,) = then.lines
    assert (moment["table_version"], moment["records"]) == (0, 20)
    assert cli("count", url, "--at", moment["at"]).out == "20\n"
    assert cli("sql", url, "SELECT count(*) AS c FROM S3Object", "--at", "0").lines == [{"c": 20}]
    assert cli("get", url, "r05", "--at", "0").lines == [{"id": "r05", "n": 5}]
    assert cli("search", url, "--where", "n > 17", "--at", "0").lines == [{"id": f"r{n}", "n": n} for n in (18, 19)]
    assert "table version 0, " in cli("at", url, "0", "--table").out
    for never in ("7", "2001-01-01"):
        refused = cli("search", url, "--at", never)
        assert (refused.code, refused.out, refused.err.count("\n")) == (3, "", 1)
    assert cli("count", url, "--at", "someday").code == 2
    assert cli("count", "memory:", "--at", "0").code == 2


# ---------------------------------------------------------------------------------------------- explain
def test_explain_only_looks(cli: Cli, asked: str, tmp_path: Path) -> None:
    shown = cli("explain", "search", asked, "--where", "n > 2", "--sort", "n", "--limit", "1")
    assert (shown.code, shown.err) == (0, "")
    assert shown.out.startswith("search\n")
    assert "packs: 1 of 1 to read" in shown.out
    found = json.loads(cli("explain", "search", asked, "--where", "n > 100", "--json").out)
    assert (len(found["packs_pruned"]), found["packs_read"]) == (1, [])
    statement = json.loads(
        cli("explain", "sql", asked, "SELECT n FROM S3Object WHERE n > $x;", "--param", "x=9", "--json").out
    )
    assert (len(statement["packs_pruned"]), statement["packs_read"]) == (1, [])
    assert cli("explain", "sql", asked, "SELECT 1; SELECT 2").code == cli("explain", "sql", asked, "SELEC").code == 2
    lines = tmp_path / "x.jsonl"
    lines.write_text('{"id": "new"}\n\n{"id": "newer"}\n')
    created = json.loads(cli("explain", "create", asked, str(lines), "--count", "1000", "--json").out)
    assert created["records"] == 1000
    assert cli("explain", "compact", asked, "--full").out.startswith("compact(full=True)")
    assert cli("count", asked).out == "4\n"


def test_explain_of_what_makes_no_sense(cli: Cli, asked: str) -> None:
    broken = cli("explain", "create", asked, stdin='{"a": 1}\n{"a"')
    assert broken.code == 3
    assert "line 2: it is no JSON" in broken.err
    assert cli("explain").code == cli("explain", "serch", asked).code == cli("explain", "search", "memory:").code == 2
