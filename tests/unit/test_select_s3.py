"""What AWS documents of S3 Select's SQL, example by example, and where it is otherwise here.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/s3-select-sql-reference.html and the pages below it: SELECT command, data
types, operators, reserved keywords, aggregate, conditional, conversion, date and string functions.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest

from dataknobs_data.exceptions import QueryError
from tests.unit.select_tables import Plain, rows, value

VENUES = pa.table(
    {
        "venuecity": ["Los Angeles", "New York City", "San Francisco", "Chicago"],
        "venueseats": [100, 25000, 42000, 7],
        "CAST": ["a", "b", "c", "d"],
        "_rest": ['{"address":{"zip":"1"}}', None, None, None],
        "address.zip": ["1", None, None, None],
        "colors[0]": ["red", None, None, None],
    }
)
DEEP = {("address", "zip"): "address.zip", ("colors", 0): "colors[0]"}


def venues() -> Plain:
    return Plain(VENUES, ["address.zip", "colors[0]"], DEEP)


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT venuecity FROM S3Object LIMIT 1", [{"venuecity": "Los Angeles"}]),
        ("SELECT s.venuecity FROM S3Object s LIMIT 1", [{"venuecity": "Los Angeles"}]),
        ("SELECT s.venuecity AS city FROM s3object AS s LIMIT 1", [{"city": "Los Angeles"}]),
        ("select s.VenueCity from S3OBJECT[*] s limit 1", [{"VenueCity": "Los Angeles"}]),
        ('SELECT s."venuecity", s."CAST" FROM S3Object[*] AS s WHERE s."CAST" = \'b\'', [{"venuecity": "New York City", "CAST": "b"}]),
        ("SELECT count(*) AS n FROM S3Object [ * ]", [{"n": 4}]),
        ("SELECT s.address.zip, s.colors[0] FROM S3Object[*] s LIMIT 1", [{"zip": "1", "colors[0]": "red"}]),
        ("SELECT s.* FROM S3Object s WHERE venueseats < 10", [{"venuecity": "Chicago", "venueseats": 7, "CAST": "d", "_rest": None}]),
        ("SELECT avg(venueseats) AS a, count(*) AS c, max(venueseats) AS m, min(venueseats) AS n, sum(venueseats) AS s FROM S3Object", [{"a": 16776.75, "c": 4, "m": 42000, "n": 7, "s": 67107}]),
        ("SELECT count(*) AS c FROM S3Object s WHERE s.venuecity LIKE 'San%' OR s.venuecity LIKE '%!_%' ESCAPE '!'", [{"c": 1}]),
        ("SELECT venuecity FROM S3Object WHERE venueseats BETWEEN 50 AND 200 AND venuecity IN ('Los Angeles', 'Chicago')", [{"venuecity": "Los Angeles"}]),
        ("SELECT venuecity FROM S3Object WHERE NOT (venueseats > 7 OR venuecity IS NULL) AND venueseats IS NOT NULL", [{"venuecity": "Chicago"}]),
        ("SELECT venuecity FROM S3Object WHERE venueseats <> 7 AND venueseats != 100 AND venueseats % 2 = 0 AND venueseats * 2 - 1 > 60000", [{"venuecity": "San Francisco"}]),
        (
            "SELECT venuecity, CASE venuecity WHEN 'New York City' THEN 'Big Apple' ELSE 'other' END AS name FROM S3Object LIMIT 2",
            [{"venuecity": "Los Angeles", "name": "other"}, {"venuecity": "New York City", "name": "Big Apple"}],
        ),
        (
            "SELECT CASE WHEN venueseats < 10000 THEN 'group 1' WHEN venueseats >= 10000 AND venueseats <= 30000 THEN 'group 2' ELSE 'group 3' END AS g FROM S3Object",
            [{"g": "group 1"}, {"g": "group 2"}, {"g": "group 3"}, {"g": "group 1"}],
        ),
        ("SELECT CAST(s.venueseats AS INT) AS i, CAST('5' AS INTEGER) + CAST('1.5' AS FLOAT) AS f, CAST('2.50' AS DECIMAL(5, 2)) AS d, CAST(7 AS STRING) AS s, CAST('true' AS BOOL) AS b FROM S3Object s LIMIT 1", None),
    ],
)  # fmt: skip
def test_the_select_command(sql: str, expected: list[dict[str, Any]] | None) -> None:
    found = rows(sql, S3Object=venues())
    if expected is None:
        expected = [{"i": 100, "f": 6.5, "d": found[0]["d"], "s": "7", "b": True}]
        assert str(found[0]["d"]) == "2.50"
    assert [{key.lower(): item for key, item in row.items()} for row in found] == [
        {key.lower(): item for key, item in row.items()} for row in expected
    ]


def utc(*numbers: int) -> datetime:
    return datetime(*numbers, tzinfo=UTC)  # type: ignore[misc,arg-type]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("CHAR_LENGTH('')", 0), ("CHAR_LENGTH('abcdefg')", 7), ("CHARACTER_LENGTH('abc')", 3),
        ("LOWER('AbCdEfG!@#$')", "abcdefg!@#$"), ("UPPER('AbCdEfG!@#$')", "ABCDEFG!@#$"),
        ("SUBSTRING('123456789', 0)", "123456789"), ("SUBSTRING('123456789', 1)", "123456789"), ("SUBSTRING('123456789', 2)", "23456789"),
        ("SUBSTRING('123456789', 0, 999)", "123456789"), ("SUBSTRING('123456789', 1, 5)", "12345"), ("SUBSTRING('123456789' FROM 2 FOR 3)", "234"),
        ("TRIM('       foobar         ')", "foobar"), ("TRIM(LEADING FROM '       foobar         ')", "foobar         "),
        ("TRIM(TRAILING FROM '       foobar         ')", "       foobar"), ("TRIM(BOTH FROM '       foobar         ')", "foobar"),
        ("TRIM(BOTH '12' FROM '1112211foobar22211122')", "foobar"),
        ("COALESCE(1)", 1), ("COALESCE(null)", None), ("COALESCE(null, null)", None), ("COALESCE(1, null)", 1),
        ("COALESCE(null, null, 1)", 1), ("COALESCE(null, 'string')", "string"),
        ("NULLIF(1, 1)", None), ("NULLIF(1, 2)", 1), ("NULLIF(1.0, 1)", None), ("NULLIF([1], [1])", None), ("NULLIF(1, NULL)", 1),
        ("NULLIF(NULL, 1)", None), ("NULLIF(null, null)", None),
        ("DATE_ADD(year, 5, `2010-01-01T`)", utc(2015, 1, 1)), ("DATE_ADD(month, 1, `2010T`)", utc(2010, 2, 1)),
        ("DATE_ADD(month, 13, `2010T`)", utc(2011, 2, 1)), ("DATE_ADD(day, -1, `2017-01-10T`)", utc(2017, 1, 9)),
        ("DATE_ADD(hour, 1, `2017T`)", utc(2017, 1, 1, 1)), ("DATE_ADD(hour, 1, `2017-01-02T03:04Z`)", utc(2017, 1, 2, 4, 4)),
        ("DATE_ADD(minute, 1, `2017-01-02T03:04:05.006Z`)", utc(2017, 1, 2, 3, 5, 5, 6000)),
        ("DATE_ADD(second, 1, `2017-01-02T03:04:05.006Z`)", utc(2017, 1, 2, 3, 4, 6, 6000)),
        ("DATE_DIFF(year, `2010-01-01T`, `2011-01-01T`)", 1), ("DATE_DIFF(month, `2010T`, `2010-05T`)", 4),
        ("DATE_DIFF(month, `2010T`, `2011T`)", 12), ("DATE_DIFF(month, `2011T`, `2010T`)", -12),
        ("DATE_DIFF(day, `2010-01-01T23:00Z`, `2010-01-02T01:00Z`)", 0),
        ("EXTRACT(YEAR FROM `2010-01-01T`)", 2010), ("EXTRACT(MONTH FROM `2010T`)", 1), ("EXTRACT(MONTH FROM `2010-10T`)", 10),
        ("EXTRACT(MINUTE FROM `2017-01-02T03:04:05+07:08`)", 56), ("EXTRACT(SECOND FROM `2017-01-02T03:04:05Z`)", 5),
        ("TO_STRING(`1969-07-20T20:18Z`, 'MMMM d, y')", "July 20, 1969"), ("TO_STRING(`1969-07-20T20:18Z`, 'MMM d, yyyy')", "Jul 20, 1969"),
        ("TO_STRING(`1969-07-20T20:18Z`, 'M-d-yy')", "7-20-69"), ("TO_STRING(`1969-07-20T20:18Z`, 'MM-d-y')", "07-20-1969"),
        ("TO_STRING(`1969-07-20T20:18Z`, 'MMMM d, y h:m a')", "July 20, 1969 8:18 PM"),
        ("TO_STRING(`1969-07-20T20:18Z`, 'y-MM-dd''T''H:m:ssX')", "1969-07-20T20:18:00Z"),
        ("TO_STRING(`1969-07-20T20:18:01.5+08:00`, 'HH:mm:ss.SSS ''100%'' xxx')", "12:18:01.500 100% +00:00"),
        ("TO_TIMESTAMP('2007T')", utc(2007, 1, 1)), ("TO_TIMESTAMP('2007-02-23T12:14:33.079-08:00')", utc(2007, 2, 23, 20, 14, 33, 79000)),
        ("CAST('2007-04-05T14:30Z' AS TIMESTAMP)", datetime(2007, 4, 5, 14, 30)), ("`2007-02-23T`", utc(2007, 2, 23)),
        ("DATE_DIFF(day, `2020-01-01T`, UTCNOW()) > 2000", True), ("DATE_ADD(day, 1, '2020-01-01')", utc(2020, 1, 2)),
        ("date_diff('day', DATE '2020-01-01', DATE '2020-01-02')", 1), ("to_timestamp(1)", utc(1970, 1, 1, 0, 0, 1)),
    ],
)  # fmt: skip
def test_functions(expression: str, expected: Any) -> None:
    assert value(f"SELECT {expression} AS x") == expected


@pytest.mark.parametrize(
    ("expression", "there", "here"),
    [
        # a start before the text: S3 Select goes on from its first character, DuckDB counts from the end
        ("SUBSTRING('123456789', -4)", "123456789", "6789"),
        # of different types: DuckDB compares what they are when one is cast to the other's
        ("NULLIF(1, '1')", 1, None),
        # S3 Select keeps the offset that an instant was written with; here all are in UTC
        ("EXTRACT(HOUR FROM `2017-01-02T03:04:05+07:08`)", 3, 19),
        ("EXTRACT(TIMEZONE_HOUR FROM `2017-01-02T03:04:05+07:08`)", 7, 0),
        ("EXTRACT(TIMEZONE_MINUTE FROM `2017-01-02T03:04:05+07:08`)", 8, 0),
        (
            "TO_STRING(`1969-07-20T20:18+08:00`, 'y-MM-dd''T''H:m:ssXXXX')",
            "1969-07-20T20:18:00+0800",
            "1969-07-20T12:18:00Z",
        ),
        # the page says 4, but means months
        ("DATE_DIFF(year, `2010T`, `2010-05T`)", 4, 0),
    ],
)
def test_where_it_is_otherwise_here(expression: str, there: Any, here: Any) -> None:
    found = value(f"SELECT {expression} AS x")
    assert found == here
    assert found != there


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        # a row is a record: there is nothing to unfold before
        ("SELECT id FROM S3Object[*].Rules[*].id", "a row is a record; name what lies in it by its path"),
        ("SELECT d.dir_name, d.files FROM S3Object[*] d, S3Object[*][*] e", "a row is a record"),
        # there are no columns by position
        ("SELECT s._1 FROM S3Object s", "there is no field '_1'"),
        # what is missing is NULL, and has no word
        ("SELECT COALESCE(missing, 1) FROM S3Object", "there is no field 'missing'"),
        # strings stand in single quotes, names in double ones
        ('SELECT CHAR_LENGTH("abcdefg") FROM S3Object', "there is no field 'abcdefg'"),
        ("SELECT `x` FROM S3Object", "is no timestamp"),
        ("SELECT TO_STRING(`2010T`, 'MMMMM')", "TO_STRING cannot write 'MMMMM' here; strftime() may"),
        ("SELECT TO_STRING(`2010T`, venuecity) FROM S3Object", "must stand in the statement"),
        ("SELECT TO_TIMESTAMP(venuecity) FROM S3Object", "No function matches"),
    ],
)
def test_what_is_not_here_says_so(sql: str, said: str) -> None:
    with pytest.raises(QueryError) as caught:
        rows(sql, S3Object=venues())
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "text", ["'S3Object[*]'", '"S3Object[*]"', "'it''s `2010T`'", "E'\\'`2010T`'", "$$`2010T`$$", "$x$S3Object[*].a$x$"]
)
def test_what_stands_in_quotes_stays(text: str) -> None:
    table = pa.table({"S3Object[*]": ["S3Object[*]"]})
    expected = {
        "'it''s `2010T`'": "it's `2010T`",
        "E'\\'`2010T`'": "'`2010T`",
        "$$`2010T`$$": "`2010T`",
        "$x$S3Object[*].a$x$": "S3Object[*].a",
    }
    assert rows(
        f"SELECT {text} AS x -- S3Object[*].a `\n FROM S3Object[*] /* S3Object[*].b ` */", S3Object=Plain(table)
    ) == [{"x": expected.get(text, "S3Object[*]")}]


def test_a_backslash_in_a_text_that_stands_right_behind_a_word() -> None:
    sql = r"WITH t AS (SELECT 1 WHERE 'a' LIKE'\') SELECT venuecity FROM S3Object[*] WHERE venuecity = 'Chicago'"
    assert rows(sql, S3Object=venues()) == [{"venuecity": "Chicago"}]
