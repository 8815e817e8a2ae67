"""With row-level pruning == without: no match, and none of the first of a sorted result, is ever left out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from dataknobs_data.documents import Change, Document, Verb, resolve
from dataknobs_data.expressions import Expression, Filter, Operator, negation
from dataknobs_data.matching import compile_expression, order
from dataknobs_data.query import SortOrder, SortSpec
from dataknobs_data.records import Record
from dataknobs_data.runtime import Runtime
from dataknobs_data.s3.table.best import best_rows
from dataknobs_data.s3.table.bounds import Stats
from dataknobs_data.s3.table.filtering import judge_rows
from dataknobs_data.s3.table.groups import group_facts
from dataknobs_data.s3.table.joining import documents_of
from dataknobs_data.s3.table.locations import columns_for
from dataknobs_data.s3.table.packs import Pack, encode
from dataknobs_data.s3.table.prune import may_match
from dataknobs_data.s3.table.reading import PackReader
from dataknobs_data.s3.table.shape import Shape, grow
from tests.properties.strategies import filters, likely_ids, likely_names, likely_records, queries, records

LONG = "a" * 40

COLUMNS: dict[str, Sequence[Any]] = {
    "integers": [0, 1, -1, 2**53, 2**53 + 1, 2**63 - 1, -(2**63)],
    "doubles": [0.0, -0.0, 1.0, 1.5, float(2**53), 1e300, float("inf"), -float("inf"), float("nan")],
    "texts": ["", "a", "ab", "Abc", "a\nc", "a_c", "Straße", "\U0001f600", LONG, LONG + "b", "\u212a", "\u017f"],
    "dates": [
        *("2024-05-01", "2024-05-01T12:00:00Z", "2024-05-01T14:00:00+02:00", "2024-05-01 12:00", "2024-05-02T00:30+01"),
        *("2024-05-01T12:00:00.5Z", "2024-04-30T23:00:00-14:00", "2024-05-01T12:00:00.123456789Z", "2024-05-30"),
        *("2024-02-30", "2024-05-01X", "20240501", "2024-05-01T25:00:00Z", "soon", "1999-05-01", "0001-01-01"),
    ],
    "moments": [
        datetime(2024, 5, 1, 12, tzinfo=UTC),
        datetime(2024, 5, 1, tzinfo=UTC),
        datetime.max.replace(tzinfo=UTC),
    ],
    "days": [date(2024, 5, 1), date(2024, 4, 30), date.min, date.max],
    "truths": [True, False],
    "bytes": [b"", b"a", b"\xff"],
}
"""Values that share a column, close to one another and to operands."""

OTHER = [None, "1", 1, 1.5, [1], {"x": 1}, "2024-05-01", datetime(2024, 5, 1, 12)]
"""Values that now and then come between."""


@st.composite
def columnar(draw: st.DrawFn) -> list[Document]:
    """Records whose fields mostly keep to one type, as those of real tables do."""
    usual = {name: st.sampled_from(COLUMNS[draw(st.sampled_from(sorted(COLUMNS)))]) for name in "abc"}
    odd = draw(st.booleans())
    stamped = draw(st.booleans())
    found = []
    for n in range(draw(st.integers(1, 12))):
        data = {}
        for name, values in usual.items():
            kind = draw(st.sampled_from(["usual"] * 5 + ["absent"] + ["other"] * odd))
            if kind != "absent":
                data[name] = draw(values if kind == "usual" else st.sampled_from(OTHER))
        metadata = {"m": draw(st.sampled_from([1, "x"]))} if stamped else {}
        found.append(made(f"{draw(likely_ids)}{n}", Record(data, metadata)))
    return found


def made(id: str, record: Record) -> Document:
    document = resolve(Change(Verb.CREATE, id, record), None, Runtime())
    assert document is not None
    return document


mixed = st.lists(
    st.builds(made, likely_ids, likely_records() | records()), min_size=1, max_size=6, unique_by=lambda one: one.id
)


@st.composite
def packs(draw: st.DrawFn) -> tuple[list[Document], Pack]:
    """Records and their pack, whose columns fit them, or others, or there are none."""
    found = draw(columnar() | mixed)
    model = draw(st.sampled_from([found, found, found[:1], [], draw(mixed)]))
    return found, encode(found, grow(Shape(), model))


OPERANDS = [value for values in COLUMNS.values() for value in values]
operators = st.sampled_from([Operator.EQ, Operator.NEQ, Operator.GT, Operator.LT, Operator.GTE, Operator.LTE])
names = st.sampled_from(["a", "b", "c"])
expressions = st.one_of(
    st.builds(Filter, names, operators, st.sampled_from(OPERANDS)),
    st.builds(Filter, names, st.sampled_from(["in", "not_in"]), st.lists(st.sampled_from(OPERANDS), max_size=4)),
    st.builds(Filter, names, st.just("between"), st.tuples(*[st.sampled_from(OPERANDS)] * 2)),
    st.builds(
        Filter, names, st.just("like"), st.sampled_from(["a%", "%K%", "s", "Stra_e", "STRASSE", "%\n%", "", "a_c"])
    ),
    st.builds(
        Filter, names, st.just("regex"), st.sampled_from(["(?i)k", r"\w$", "a.c", "^a|b$", r"\d{2}-0[1-9]", "a*+"])
    ),
    filters(),
    queries().map(lambda query: query.expression),
)
sorts = st.lists(
    st.builds(
        SortSpec,
        names | likely_names | st.sampled_from(["metadata.created_at", "metadata.id"]),
        st.sampled_from(SortOrder),
    ),
    max_size=3,
)


def reader_of(pack: Pack) -> PackReader:
    body = pack.body.to_pybytes()
    return PackReader(lambda spans: [body[start : start + size] for start, size in spans], pack.size, pack.tail)


def ids(documents: Iterable[Document]) -> list[str]:
    return [document.id for document in documents]


def rows_of(
    pack: Pack, expression: Expression | None, specs: Sequence[SortSpec], unnamed: bool
) -> tuple[pa.Table, frozenset[str] | None]:
    """The columns that judging needs, and what is known of `_rest`."""
    rest_names = None if unnamed else pack.rest_names
    wanted = columns_for(expression, specs, pack.shape.kinds, rest_names)
    return reader_of(pack).read(columns=sorted(wanted)), rest_names


@given(packs(), expressions, st.booleans())
def test_masks_hide_no_match_and_promise_none_that_is_not(
    made: tuple[list[Document], Pack], expression: Expression | None, unnamed: bool
) -> None:
    _, pack = made
    everything = reader_of(pack).read()
    for one in (expression, expression and negation(expression)):
        table, rest_names = rows_of(pack, one, [], unnamed)
        judged = judge_rows(one, table, pack.shape.kinds, rest_names)
        matches = compile_expression(one)
        found = [matches(document) for document in documents_of(everything)]
        may = judged.may.to_pylist() if judged.may is not None else [True] * len(found)
        sure = judged.sure.to_pylist() if judged.sure is not None else [True] * len(found)
        assert all(may[row] for row, matching in enumerate(found) if matching)
        assert all(found[row] for row, certain in enumerate(sure) if certain)
        assert judged.may is None or not all(may)


@given(packs(), expressions, sorts, st.integers(0, 6), st.booleans())
def test_the_first_results_of_a_pack_are_those_of_its_best_rows(
    made: tuple[list[Document], Pack],
    expression: Expression | None,
    specs: list[SortSpec],
    count: int,
    unnamed: bool,
) -> None:
    documents, pack = made
    kinds = pack.shape.kinds
    table, rest_names = rows_of(pack, expression, specs, unnamed)
    everything = reader_of(pack).read()
    judged = judge_rows(expression, table, kinds, rest_names)
    sure = judged.sure
    if judged.may is not None:
        table, everything = table.filter(judged.may), everything.filter(judged.may)
        sure = sure.filter(judged.may) if sure is not None else None
    best = best_rows(table, specs, count, kinds, rest_names, sure)
    if best is not None:
        everything = everything.take(best)
        assert best.to_pylist() == sorted(set(best.to_pylist()))
    matches = compile_expression(expression)
    expected = order(filter(matches, documents), specs)[:count]
    assert ids(order(filter(matches, documents_of(everything)), specs)[:count]) == ids(expected)


@given(packs(), expressions, st.booleans())
def test_a_row_group_that_is_left_out_holds_no_match(
    made: tuple[list[Document], Pack], expression: Expression | None, alone: bool
) -> None:
    documents, pack = made
    whole = None if alone else Stats.from_json(pack.stats.to_json())
    facts = group_facts(reader_of(pack), 0, pack.rest_names, whole)
    for one in (expression, expression and negation(expression)):
        if any(map(compile_expression(one), documents)):
            assert may_match(one, facts)
