"""Merging and repacking against sorting: whatever the packs, their shapes and the order they come in."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st

from dataknobs_data.codec import as_read
from dataknobs_data.documents import Document
from dataknobs_data.s3.table import merging, packs, repacking
from dataknobs_data.s3.table.joining import documents_of
from dataknobs_data.s3.table.merging import PACK, Source, merged, without
from dataknobs_data.s3.table.packs import Pack, encode
from dataknobs_data.s3.table.reading import PackReader
from dataknobs_data.s3.table.repacking import repacked
from dataknobs_data.s3.table.shape import ID, Shape, grow
from tests.properties.test_packs import batches, faithful, plain, shapes, table_of

_keys = st.text(st.sampled_from("ab/\uffff\U0001f600"), min_size=1, max_size=3)
_id_sets = st.lists(st.sets(_keys, min_size=1), max_size=6)


def source(pack: Pack, **over: Any) -> Source:
    """The pack as a source."""
    content = pack.body.to_pybytes()
    reader = PackReader(lambda spans: [content[at : at + size] for at, size in spans], pack.size, pack.tail)
    return Source(reader, **{"least": pack.stats.least[ID], "rest_names": pack.rest_names, **over})


def forms(documents: Iterable[Document]) -> list[Any]:
    """What nobody can tell apart is equal; in the order of ids."""
    return sorted((one.id, faithful(as_read(one))) for one in documents)


@given(
    _id_sets,
    st.tuples(st.text("ab/", max_size=2), st.none() | _keys),
    st.sampled_from([1, 200, 1 << 20]),
    st.sampled_from([1, 1 << 20]),
    st.randoms(),
)
@settings(deadline=None)
def test_merging_is_sorting(
    id_sets: list[set[str]], span: tuple[str, str | None], group_bytes: int, table_bytes: int, random: Any
) -> None:
    start, end = span
    with (
        patch.object(packs, "GROUP_BYTES", group_bytes),
        patch.object(merging, "STEP_BYTES", table_bytes),
        patch.object(merging, "TABLE_BYTES", table_bytes),
    ):
        sources = []
        for names in id_sets:
            pack = encode([plain(name, {}) for name in names], Shape())
            least = random.choice([pack.stats.least[ID], ""])
            sources.append(source(pack, start=start, end=end, least=least))
        tables = list(merged(sources, Shape(), numbered=True))
    found = [pair for table in tables for pair in zip(*(table[name].to_pylist() for name in (ID, PACK)), strict=True)]
    every = sorted((name, number) for number, names in enumerate(id_sets) for name in names)
    assert found == [pair for pair in every if pair[0] >= start and (end is None or pair[0] < end)]
    assert all(one[ID][-1].as_py() < other[ID][0].as_py() for one, other in itertools.pairwise(tables))


@given(_id_sets, st.sets(_keys), st.sets(st.tuples(_keys, _keys)), st.sampled_from([1, 300]))
@settings(deadline=None)
def test_every_row_that_is_not_dead_is_repacked_once(
    id_sets: list[set[str]], fresh: set[str], dead: set[tuple[str, str]], part_bytes: int
) -> None:
    keep = without(dead)
    sources = [source(encode([plain(name, {}) for name in names], Shape()), keep=keep) for names in id_sets]
    with patch.object(packs, "GROUP_BYTES", 1), patch.object(repacking, "PART_BYTES", part_bytes):
        made = list(repacked(sources, [plain(name, {}) for name in sorted(fresh)], Shape(), 1))
    every = [name for names in id_sets for name in names if (name, name) not in dead] + list(fresh)
    assert [id for pack in made for id in table_of(pack)[ID].to_pylist()] == sorted(every)
    assert all(one.stats.most[ID] < other.stats.least[ID] for one, other in itertools.pairwise(made))


@given(batches, batches, batches, shapes, st.sampled_from([1, 1 << 20]))
@settings(deadline=None)
def test_records_stay_what_they_are_while_the_shape_grows(
    first: list[Document], second: list[Document], third: list[Document], shape: Shape, target: int
) -> None:
    with patch.object(repacking, "PART_BYTES", target):
        old = encode(first, shape)
        shape = grow(shape, second)
        middle = list(repacked([source(old)], in_order(second), shape, target))
        shape = grow(shape, third)
        dead = {(one.id, one.born) for one in second}
        last = list(repacked([source(pack, keep=without(dead)) for pack in middle], in_order(third), shape, target))
    found = [one for pack in last for one in documents_of(table_of(pack))]
    assert [one.id for one in found] == sorted(one.id for one in found)
    kept = [one for one in first if (one.id, one.born) not in dead]
    assert forms(found) == forms([*kept, *third])
    assert all(pack.shape == shape for pack in last)


@given(batches, batches, shapes)
@settings(deadline=None)
def test_names_in_rest_stay_known(first: list[Document], second: list[Document], shape: Shape) -> None:
    (pack,) = repacked([source(encode(first, shape))], in_order(second), grow(shape, second), 1 << 20)
    told = set(encode([*first, *second], shape).rest_names or ())
    assert pack.rest_names is not None
    assert pack.rest_names <= told
    for document in documents_of(table_of(pack)):
        row = encode([document], grow(shape, second))
        assert row.rest_names is not None
        assert row.rest_names <= pack.rest_names


def in_order(documents: Iterable[Document]) -> list[Document]:
    """As `repacked` wants them."""
    return sorted(documents, key=lambda document: document.id)
