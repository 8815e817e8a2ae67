"""With pruning == without: whatever the records, the columns and the query, no pack that holds a match is left out."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dataknobs_data.documents import Change, Document, Verb, resolve
from dataknobs_data.expressions import negation
from dataknobs_data.matching import compile_expression
from dataknobs_data.records import Record
from dataknobs_data.runtime import Runtime
from dataknobs_data.s3.table.bounds import Stats
from dataknobs_data.s3.table.packs import encode
from dataknobs_data.s3.table.prune import PackFacts, may_match
from dataknobs_data.s3.table.shape import Shape, grow
from tests.properties.strategies import filters, likely_ids, likely_records, queries, records

SHAPES = ["empty", "grown", "foreign"]


@st.composite
def documents(draw: st.DrawFn) -> Document:
    record: Record = draw(likely_records() | records())
    made = resolve(Change(Verb.CREATE, draw(likely_ids), record), None, Runtime())
    assert made is not None
    return made


@st.composite
def packs(draw: st.DrawFn) -> tuple[list[Document], PackFacts]:
    """Records and what is known of their pack, whose columns fit them, or others, or nothing."""
    found = draw(st.lists(documents(), min_size=1, max_size=4, unique_by=lambda one: one.id))
    kind = draw(st.sampled_from(SHAPES))
    others = draw(st.lists(documents(), max_size=3)) if kind == "foreign" else found
    pack = encode(found, Shape() if kind == "empty" else grow(Shape(), others))
    return found, PackFacts(pack.shape.kinds, Stats.from_json(pack.stats.to_json()), pack.rest_names)


@given(packs(), st.data())
def test_a_pack_that_is_left_out_holds_no_match(pack: tuple[list[Document], PackFacts], data: st.DataObject) -> None:
    found, known = pack
    expression = data.draw(filters() | queries().map(lambda query: query.expression))
    for one in (expression, expression and negation(expression)):
        matches = compile_expression(one)
        if any(matches(document) for document in found):
            assert may_match(one, known)
