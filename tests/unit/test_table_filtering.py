"""Rows that are left out, and rows that must not be: masks, the first few of a sort, row groups."""

from __future__ import annotations

import itertools
import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from dataknobs_data.documents import Change, Document, Verb, resolve
from dataknobs_data.expressions import Expression, Filter, Operator, all_of, any_of, negation
from dataknobs_data.instants import instant
from dataknobs_data.query import SortSpec
from dataknobs_data.records import Record
from dataknobs_data.runtime import Runtime
from dataknobs_data.s3.table.best import best_rows
from dataknobs_data.s3.table.cuts import Cut, cut_of
from dataknobs_data.s3.table.dated import dated_texts
from dataknobs_data.s3.table.filtering import judge_rows, may_match_rows
from dataknobs_data.s3.table.groups import group_facts
from dataknobs_data.s3.table.kinds import BY_NAME
from dataknobs_data.s3.table.locations import columns_for
from dataknobs_data.s3.table.packs import Pack, encode
from dataknobs_data.s3.table.patterns import like_in_re2, regex_in_re2
from dataknobs_data.s3.table.prune import may_match
from dataknobs_data.s3.table.reading import PackReader
from dataknobs_data.s3.table.shape import Shape, grow

NAN = float("nan")


def pack_of(*datas: dict[str, Any], metadata: dict[str, Any] | None = None) -> Pack:
    """Of records 0, 1, …, with the columns that they ask for."""
    found: list[Document] = []
    for n, data in enumerate(datas):
        record = Record(data, metadata or {}, id=f"{n}")
        document = resolve(Change(Verb.CREATE, f"{n}", record), None, Runtime())
        assert document is not None
        found.append(document)
    return encode(found, grow(Shape(), found))


def reader_of(pack: Pack) -> PackReader:
    body = pack.body.to_pybytes()
    return PackReader(lambda spans: [body[start : start + size] for start, size in spans], pack.size, pack.tail)


def judged(pack: Pack, expression: Expression) -> tuple[list[int], list[int]]:
    """The rows that may match, and those that surely do."""
    table = reader_of(pack).read()
    found = judge_rows(expression, table, pack.shape.kinds, pack.rest_names)
    every = range(table.num_rows)
    may, sure = ([n for n in every if one is None or one[n].as_py()] for one in (found.may, found.sure))
    return may, sure


PACK = pack_of(
    {
        "n": 1,
        "x": 0.5,
        "t": "abc",
        "at": datetime(2024, 5, 1, tzinfo=UTC),
        "day": date(2024, 5, 1),
        "b": b"a",
        "ok": True,
    },
    {"n": 2**53 + 1, "x": -0.0, "t": "ABC", "at": datetime(2024, 5, 2, tzinfo=UTC), "day": date(2024, 5, 2), "b": b"b"},
    {"n": -5, "x": NAN, "t": "2024-05-01T01:00+01:00", "day": date.max, "b": b"", "ok": False},
    {"n": 2**63 - 1, "x": float("inf"), "t": "2024-05-03"},
    {"x": float(2**53)},
)


@pytest.mark.parametrize(
    ("field", "operator", "value", "expected"),
    [
        ("n", "=", 1, [0]),
        ("n", "=", 1.0, [0]),
        ("n", "=", Decimal("1.0"), [0]),
        ("n", "=", True, []),
        ("n", "=", float(2**53), []),
        ("n", ">", float(2**53), [1, 3]),
        ("n", ">=", 2**63, []),
        ("n", "<", Decimal("1E+999999"), [0, 1, 2, 3]),
        ("n", "<", Decimal("-4.5"), [2]),
        ("n", "<", float("-inf"), []),
        ("n", "!=", NAN, [0, 1, 2, 3]),
        ("n", "in", [1.0, Decimal(-5), "1", None, NAN, 2**70], [0, 2]),
        ("n", "not_in", [1.0, Decimal(-5)], [1, 3]),
        ("n", "between", (0.5, 1.5), [0]),
        ("n", "not_exists", None, [4]),
        ("n", "like", "%", []),
        ("x", "=", 0, [1]),
        ("x", "in", [0], [1]),
        ("x", "=", 2**53 + 1, []),
        ("x", ">", 2**53 - 1, [3, 4]),
        ("x", "<", 2**53 + 1, [0, 1, 4]),
        ("x", "<", 10**400, [0, 1, 4]),
        ("x", ">", Decimal("0.4999999999999999999999"), [0, 3, 4]),
        ("x", "!=", 0.5, [1, 2, 3, 4]),
        ("t", "=", "abc", [0]),
        ("t", "like", "AB%", [0, 1]),
        ("t", "regex", "(?i)^abc$", [0, 1]),
        ("t", "starts_with", "ab", [0]),
        ("t", "=", "2024-05-01", [2]),
        ("t", ">", date(2024, 5, 1), [3]),
        ("t", ">=", "2024-05-01T00:00Z", [0, 1, 2, 3]),
        ("t", "<", "2024-05-01T02:00+02:00", []),
        ("t", "in", [datetime(2024, 5, 3, tzinfo=UTC), "abc"], [0, 3]),
        ("t", "<", "ab\ud800", [0, 1, 2, 3]),
        ("t", "starts_with", "\ud800", []),
        ("at", "=", "2024-05-01T02:00+02:00", [0]),
        ("at", ">", date(2024, 5, 1), [1]),
        ("at", "<", "soon", []),
        ("day", ">", "2024-05-01T00:00:00.000001", [1, 2]),
        ("day", ">=", "2024-05-01", [0, 1, 2]),
        ("day", "=", "2024-05-01T12:00", []),
        ("b", ">", bytearray(b"a"), [1]),
        ("ok", "=", True, [0]),
        ("ok", "<", True, [2]),
        ("ok", "=", 1, []),
        ("id", "in", ["3", 4], [3]),
        ("id", ">=", "3", [3, 4]),
        ("nothing", "exists", None, []),
        ("nothing", "not_exists", None, [0, 1, 2, 3, 4]),
        ("metadata.m", "=", 1, []),
        ("metadata.id", "=", "3", [3]),
        ("metadata.created_at", "<", "2000-01-01", []),
        ("metadata.created_at", ">", date(2000, 1, 1), [0, 1, 2, 3, 4]),
    ],
)
def test_one_condition_is_judged_exactly(field: str, operator: str, value: Any, expected: list[int]) -> None:
    condition = Filter(field, operator, value)
    assert judged(PACK, condition) == (expected, expected)
    others = [row for row in range(5) if row not in expected]
    assert judged(PACK, negation(condition)) == (others, others)


def test_conditions_together() -> None:
    low, high = Filter("n", "<", 10), Filter("n", ">", -1)
    assert judged(PACK, all_of(low, high)) == ([0], [0])
    assert judged(PACK, any_of(low, high)) == ([0, 1, 2, 3],) * 2
    assert judged(PACK, negation(all_of(low, high))) == ([1, 2, 3, 4],) * 2
    assert judged(PACK, all_of(low, Filter("t", "regex", r"(?=a)"))) == ([0, 2], []), "only Python knows lookaheads"


def test_a_mask_is_made_only_where_it_leaves_something_out() -> None:
    table, kinds = reader_of(PACK).read(), PACK.shape.kinds
    assert may_match_rows(None, table, kinds, PACK.rest_names) is None
    assert may_match_rows(Filter("x", "exists"), table, kinds, PACK.rest_names) is None
    mask = may_match_rows(Filter("n", ">", 1), table, kinds, PACK.rest_names)
    assert isinstance(mask, pa.BooleanArray)
    assert mask.to_pylist() == [False, True, False, True, False]
    empty = may_match_rows(Filter("n", ">", 1), table.slice(0, 0), kinds, PACK.rest_names)
    assert empty is None or len(empty) == 0


def test_values_beside_the_column_stay_open_in_their_rows_alone() -> None:
    pack = pack_of({"n": 1}, {"n": "soon"}, {"n": 2}, {"n": 3, "a": {"x": 1}}, {"m": 1})
    assert judged(pack, Filter("n", ">", 1)) == ([1, 2, 3], [2, 3])
    assert judged(pack, negation(Filter("n", ">", 1))) == ([0, 1, 4], [0, 4])
    assert judged(pack, Filter("a.x", "=", 1)) == ([3], [])
    table = reader_of(pack).read()
    unnamed = may_match_rows(Filter("n", ">", 1), table, pack.shape.kinds, None)
    assert unnamed is not None
    assert unnamed.to_pylist() == [False, True, True, True, False]
    without_rest = table.drop_columns(["_rest"])
    assert may_match_rows(Filter("n", ">", 1), without_rest, pack.shape.kinds, pack.rest_names) is None
    assert may_match_rows(Filter("m", ">", 1), table.drop_columns(["m"]), pack.shape.kinds, frozenset()) is None


@pytest.mark.parametrize("name", ["metadata.created_at", "metadata.updated_at", "metadata.id"])
def test_a_null_that_hides_a_stamp_stays_open(name: str) -> None:
    pack = pack_of({name: None}, {"n": 1}, {"n": 2})
    assert 0 in judged(pack, Filter(name, Operator.NOT_EXISTS))[0]
    assert 0 not in judged(pack, Filter(name, Operator.EXISTS))[1]
    assert 1 in (best(pack, 1, (name, "asc")) or range(3))


def test_texts_that_only_python_can_read_stay_open() -> None:
    texts = ("2024-02-28", "2024-02-29", "2024-02-30", "2024-03-01T00:00:00.0000001Z", "2024-03-01", "x")
    pack = pack_of(*({"t": text} for text in texts))
    assert judged(pack, Filter("t", ">", "2024-02-28")) == ([1, 2, 3, 4, 5], [4, 5])
    assert judged(pack, negation(Filter("t", "=", "2024-02-28"))) == ([1, 2, 3, 4, 5], [4, 5])
    assert judged(pack, Filter("t", "in", ["2024-02-28", "x"])) == ([0, 1, 2, 3, 5], [0, 5])
    assert best(pack, 1, ("t", "asc")) == [0, 1, 2, 3]
    assert best(pack, 1, ("t", "desc")) == [1, 2, 3, 5]


def test_metadata_is_looked_for_by_its_key() -> None:
    pack = pack_of({"n": 1}, {"n": 2}, metadata={"m": 1})
    assert judged(pack, all_of(Filter("metadata.m", "=", 2), Filter("n", "=", 1))) == ([0], [])
    assert judged(pack, Filter("metadata.other", "=", 2)) == ([], [])


ODD_OPERANDS: list[Any] = [
    None,
    [],
    {},
    {1},
    object(),
    1j,
    timedelta(1),
    NAN,
    Decimal("sNaN"),
    "\udfff",
    "",
    -(10**500),
]


@pytest.mark.parametrize("operand", ODD_OPERANDS)
@pytest.mark.parametrize(
    "name", ["n", "x", "t", "at", "day", "b", "ok", "id", "metadata.created_at", "nothing", "a\ud800.b"]
)
def test_no_operand_makes_it_raise(name: str, operand: Any) -> None:
    for one in (Operator.EQ, Operator.LT, Operator.GTE, Operator.NEQ):
        judged(PACK, Filter(name, one, operand))
    judged(PACK, Filter(name, "in", [operand]))


@pytest.mark.parametrize("pattern", ["a{1500}", "a{999}b{999}c{999}d{999}", "x" * 5000])
def test_patterns_too_large_for_arrow_are_left_to_python(pattern: str) -> None:
    may, sure = judged(PACK, Filter("t", "regex", pattern))
    assert sure == []
    assert set(may) <= {0, 1, 2, 3}
    judged(PACK, Filter("t", "like", pattern))


# ---------------------------------------------------------------------------------------------- cuts, patterns, dates
def test_comparing_with_a_cut_is_comparing_with_the_operand() -> None:
    values: dict[str, list[Any]] = {
        "long": [-(2**63), -1, 0, 1, 2, 2**53, 2**53 + 1, 2**63 - 1],
        "double": [-float("inf"), -1.5, -0.0, 0.0, 0.1, 1.0, float(2**53), float(2**63), 1e308, float("inf")],
    }
    operands: list[Any] = [
        0,
        1,
        1.5,
        -0.5,
        Decimal("0.1"),
        Decimal("0.10"),
        2**53 + 1,
        2**63,
        -(2**63) - 1,
        10**400,
        -(10**400),
    ]
    operands += [float("inf"), -float("inf"), Decimal("Infinity"), Decimal("1E-400"), Decimal("-1E+400"), 1e308]
    for kind, operand in itertools.product(values, operands):
        cut = cut_of(operand, BY_NAME[kind])
        assert cut is not None
        for value in values[kind]:
            by_cut = (value > cut.point) - (value < cut.point) or -cut.side
            assert by_cut == (value > operand) - (value < operand), (value, operand, cut)


def test_cuts_of_texts_and_days() -> None:
    assert cut_of("a\udc00b", BY_NAME["string"]) == Cut("a\ue000", -1)
    assert cut_of("1970-01-02T00:00:00.5", BY_NAME["date"]) == Cut(1, 1)
    assert cut_of("0001-01-01T00:00+14:00", BY_NAME["date"]) == Cut((date.min - date(1970, 1, 1)).days - 1, 1)
    assert cut_of("soon", BY_NAME["timestamp"]) is None


TEXTS = [
    "",
    "a",
    "abc",
    "a.c",
    "a\n",
    "\n",
    "ab12",
    "A-B",
    "k",
    "S",
    "a b\tc",
    "x\x1cy",
    "aaa",
    "a+b",
    "[a]",
    "^a$",
    "a\\",
]


@pytest.mark.parametrize(
    "pattern",
    [
        *(
            "a",
            "^a",
            "a$",
            "^$",
            "$",
            "^a.c$",
            r"a\.c",
            r"\d+",
            r"\w\d",
            r"\W",
            r"[^a]",
            "[a-c0-9]+$",
            "a|b$",
            "(a|b)c",
        ),
        *(
            "(?:ab)",
            "(?i)a-b",
            "(?i)K$",
            "a{2}",
            "a{2,}",
            "a{1,2}?b",
            r"\bb",
            r"a\+b",
            r"\[a\]",
            r"\^a\$",
            r"\\",
            r"a\\$",
            "a*?",
        ),
    ],
)
def test_regular_expressions_that_re2_takes_mean_the_same(pattern: str) -> None:
    in_re2 = regex_in_re2(pattern)
    assert in_re2 is not None
    found = pc.match_substring_regex(pa.array(TEXTS), in_re2).to_pylist()
    assert found == [re.search(pattern, text) is not None for text in TEXTS]


@pytest.mark.parametrize(
    "pattern",
    [
        r"a*+",
        r"a++",
        r"(a)*",
        r"(?=a)",
        r"(?P<x>a)",
        r"(?s).",
        r"\s",
        r"\B",
        r"\Z",
        "a{,3}",
        "[[:alpha:]]",
        "ä",
        r"(a)\1",
        "a$b",
    ],
)
def test_other_regular_expressions_are_left_to_python(pattern: str) -> None:
    assert regex_in_re2(pattern) is None


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        ("a%c", "A\nC", True),
        ("a_c", "abc", True),
        ("a_c", "abbc", False),
        ("%", "", True),
        ("", "a", False),
        ("%%b%", "abc", True),
        ("a.c", "abc", False),
        ("100\\%", "100\\x", True),
        ("s", "\u017f", True),
        ("\u212a", "k", True),
        ("ß%", "a", True),  # more than matches, never less
        ("ß%", "1", False),
    ],
)
def test_like_patterns(pattern: str, text: str, found: bool) -> None:
    assert pc.match_substring_regex(pa.array([text]), like_in_re2(pattern)).to_pylist() == [found]


def test_texts_that_arrow_reads_as_instants_are_those_that_we_do() -> None:
    days = [
        "2024-05-01",
        "2024-02-29",
        "2023-02-29",
        "2024-02-28",
        "2024-04-31",
        "2024-12-31",
        "2024-00-01",
        "2024-05-00",
        "0999-01-01",
    ]
    clocks = [
        "",
        "T12",
        "T12:00",
        " 12:00",
        "T12:00:00",
        "T23:59:59.5",
        "T12:00:00.123456789",
        "T24:00",
        "T12:60",
        "T12:00:60",
        "t12:00",
    ]
    zones = ["", "Z", "+01", "-23:59", "+19:59", "+14:00", "+0100", "+01:60", "z", " "]
    texts = ["".join(parts) for parts in itertools.product(days, clocks, zones)]
    texts.append("soon")
    found = dated_texts(pa.chunked_array([texts]))
    assert found is not None
    assert not isinstance(found.plain, bool)
    assert not isinstance(found.unread, bool)
    columns = zip(texts, found.instants.to_pylist(), found.plain.to_pylist(), found.unread.to_pylist(), strict=True)
    for text, moment, plain, unread in columns:
        assert (moment is not None) + plain + unread == 1
        assert unread or moment == instant(text), text
    assert sum(moment is not None for moment in found.instants.to_pylist()) == 63


# ---------------------------------------------------------------------------------------------- the first few
def best(pack: Pack, count: int, *specs: tuple[str, str], sure: list[bool] | None = None) -> list[int] | None:
    table = reader_of(pack).read()
    certain = None if sure is None else pa.array(sure)
    found = best_rows(table, [SortSpec(*spec) for spec in specs], count, pack.shape.kinds, pack.rest_names, certain)
    return None if found is None else found.to_pylist()


@pytest.mark.parametrize(
    ("count", "specs", "expected"),
    [
        (2, [], [0, 1]),
        (1, [("n", "asc")], [2]),
        (2, [("n", "desc")], [1, 3]),
        (4, [("x", "asc")], [0, 1, 3, 4]),
        (1, [("x", "desc")], [2]),  # NaN has no order, and descending turns that to the front
        (2, [("x", "desc")], [2, 3]),
        (1, [("t", "asc")], [2]),  # instants come before texts
        (2, [("t", "desc")], [0, 1]),
        (3, [("t", "desc")], [0, 1, 3]),
        (1, [("ok", "desc")], [0]),
        (3, [("ok", "asc")], [0, 1, 2]),  # missing: by id
        (2, [("b", "desc")], [0, 1]),
        (1, [("id", "desc")], [4]),
        (1, [("nothing", "desc"), ("day", "desc")], [2]),
        (1, [("metadata.id", "desc")], [4]),
        (0, [("n", "asc")], []),
        (5, [("n", "asc")], None),
    ],
)
def test_the_first_few(count: int, specs: list[tuple[str, str]], expected: list[int] | None) -> None:
    assert best(PACK, count, *specs) == expected


def test_ties_are_settled_by_the_next_sort_and_then_by_the_id() -> None:
    pack = pack_of(*({"a": n // 4, "b": n % 2} for n in range(9)))
    assert best(pack, 3, ("a", "asc"), ("b", "desc")) == [0, 1, 3]
    assert best(pack, 3, ("a", "desc"), ("b", "asc")) == [4, 6, 8]
    assert best(pack, 3, ("b", "asc")) == [0, 2, 4]


def test_rows_of_which_the_column_says_nothing_are_kept() -> None:
    pack = pack_of(*({"n": n if n != 7 else "soon"} for n in range(9)))
    assert best(pack, 2, ("n", "asc")) == [0, 1, 7]
    assert best(pack, 2, ("metadata.x", "asc"), ("n", "asc")) == [0, 1, 7]
    everywhere = pack_of(*({"n": 1} for _ in range(3)), metadata={"x": 1})
    assert best(everywhere, 1, ("metadata.x", "asc")) is None


def test_only_rows_that_surely_match_push_others_out() -> None:
    pack = pack_of(*({"n": n} for n in range(6)))
    assert best(pack, 1, ("n", "asc"), sure=[False, False, True, False, True, True]) == [0, 1, 2]
    assert best(pack, 1, ("n", "desc"), sure=[True] * 5 + [False]) == [4, 5]
    assert best(pack, 2, ("n", "asc"), sure=[False] * 5 + [True]) is None


# ---------------------------------------------------------------------------------------------- columns, row groups
def test_only_the_columns_that_are_needed() -> None:
    kinds = PACK.shape.kinds
    assert columns_for(None, [], kinds, frozenset()) == {"_id"}
    expression = all_of(Filter("n", ">", 1), negation(Filter("id", "=", "x")), Filter("nothing", "exists"))
    assert columns_for(expression, [SortSpec("t")], kinds, frozenset({"x"})) == {"_id", "n", "t"}
    assert columns_for(Filter("n", ">", 1), [], kinds, frozenset({"n"})) == {"_id", "n", "_rest"}
    assert columns_for(Filter("n", ">", 1), [], kinds, None) == {"_id", "n", "_rest"}
    assert columns_for(Filter("a.x", ">", 1), [], kinds, frozenset({"a"})) == {"_id", "_rest"}
    assert columns_for(None, [SortSpec("metadata.m")], kinds, frozenset()) == {"_id", "_metadata"}
    assert columns_for(None, [SortSpec("metadata.created_at")], kinds, frozenset()) == {"_id", "_created_at"}


@pytest.mark.parametrize(
    ("field", "operator", "value", "expected"),
    [
        ("n", ">", 8, False),
        ("n", ">", 7, True),
        ("n", "not_exists", None, False),
        ("t", "starts_with", "u", False),
        ("at", "<", "2024-05-01", False),
        ("day", ">", "2024-05-09", False),
        ("x", ">", 100, False),
        ("x", "<=", 100, True),
        ("few", "exists", None, True),
        ("long", "=", "b", True),  # Parquet has no bounds of texts so long
        ("id", "=", "9", False),
        ("id", "=", "8", True),
    ],
)
def test_a_row_group_is_left_out_by_its_statistics(field: str, operator: str, value: Any, expected: bool) -> None:
    moments = ({"at": datetime(2024, 5, n, tzinfo=UTC), "day": date(2024, 5, n)} for n in range(1, 10))
    few = ({"few": 1} if n == 3 else {} for n in range(9))
    values = ({"n": n, "t": f"t{n}", "x": n / 2, "long": "a" * 10_000} for n in range(9))
    pack = pack_of(*({**one, **two, **three} for one, two, three in zip(moments, few, values, strict=True)))
    facts = group_facts(reader_of(pack), 0, pack.rest_names, pack.stats)
    assert may_match(Filter(field, operator, value), facts) is expected


def test_bounds_of_doubles_are_true_only_where_the_log_has_some() -> None:
    """Parquet leaves NaN out of them, and NaN satisfies every negation."""
    pack = pack_of({"x": 1.0}, {"x": NAN})
    without = negation(Filter("x", "=", 1))
    assert may_match(without, group_facts(reader_of(pack), 0, frozenset(), pack.stats))
    assert may_match(without, group_facts(reader_of(pack), 0, frozenset()))
    plain = pack_of({"x": 1.0}, {"x": 1.0})
    assert not may_match(without, group_facts(reader_of(plain), 0, frozenset(), plain.stats))
    assert may_match(without, group_facts(reader_of(plain), 0, frozenset()))
