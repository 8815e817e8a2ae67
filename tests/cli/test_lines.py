"""Records as JSON lines: with metadata nothing is lost, and what is no record is said."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataknobs_data.cli.lines import from_line, to_line
from dataknobs_data.exceptions import DataknobsDataError
from dataknobs_data.records import Record

NAMES = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
    st.sampled_from(["_id", "__id", "_types", "_metadata", "a/b"]),
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(st.characters(exclude_categories=["Cs"])),
    st.dates(),
    st.datetimes(timezones=st.just(UTC)),
    st.decimals(allow_nan=False),
    st.binary(),
    st.uuids(),
)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(NAMES, inner), max_leaves=5)


@given(
    st.dictionaries(NAMES, VALUES),
    st.dictionaries(NAMES, VALUES),
    st.none() | st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
)
def test_with_metadata_every_record_comes_back_as_it_was(
    data: dict[str, Any], metadata: dict[str, Any], id: str | None
) -> None:
    record = Record(data, metadata, id)
    line = to_line(record, metadata=True)
    assert line.find(b"\n") == len(line) - 1
    assert from_line(line) == record


def test_without_metadata_a_line_is_the_data_in_readable_form() -> None:
    record = Record(
        {"due": date(2024, 5, 1), "price": Decimal("9.90"), "key": UUID(int=1), "at": datetime(2024, 5, 1, tzinfo=UTC)},
        {"source": "x"},
        id="7",
    )
    assert json.loads(to_line(record, metadata=False)) == {
        "due": "2024-05-01",
        "price": "9.90",
        "key": "00000000-0000-0000-0000-000000000001",
        "at": "2024-05-01T00:00:00+00:00",
    }


def test_fields_with_the_names_of_our_own_keep_their_values() -> None:
    record = Record({"_id": "mine", "__types": 1, "_metadata": None}, id="7")
    assert json.loads(to_line(record, metadata=False)) == {"__id": "mine", "___types": 1, "__metadata": None}
    assert from_line(to_line(record, metadata=True)) == record


@pytest.mark.parametrize(
    ("line", "id_field", "id"),
    [
        ('{"_id": "x", "id": "y", "code": 5}', None, "x"),
        ('{"_id": 17}', None, "17"),
        ('{"id": "y", "code": 5}', None, "y"),
        ('{"record_id": 8, "code": 5}', None, "8"),
        ('{"code": 5}', None, None),
        ('{"_id": "x", "id": "y", "code": 5}', "code", "5"),
    ],
)
def test_where_the_id_comes_from(line: str, id_field: str | None, id: str | None) -> None:
    assert from_line(line.encode(), id_field).id == id


@pytest.mark.parametrize(
    ("line", "id_field", "words"),
    [
        (b"oops", None, "no JSON"),
        (b'{"a": 1', None, "no JSON"),
        (b'{"a": "\xff"}', None, "no JSON"),
        (b"[1]", None, "jq -c '.[]'"),
        (b"5", None, "no JSON object"),
        (b"[" * 100_000, None, "nested too deeply"),
        (b'{"_id": 1.5}', None, "cannot be an id"),
        (b'{"_id": true}', None, "cannot be an id"),
        (b'{"code": [1]}', "code", "cannot be an id"),
        (b'{"a": 1}', "code", "no field 'code'"),
        (b'{"a": 1, "_metadata": 5}', None, "'_metadata' is no JSON object"),
        (b'{"a": 1, "_types": {"/a": "date"}}', None, "the value at /a is no date"),
        (b'{"a": 1, "_types": {"/b": "date"}}', None, "the value at /b is no date"),
        (b'{"": 1}', None, "non-empty"),
    ],
)
def test_what_is_no_record_is_said(line: bytes, id_field: str | None, words: str) -> None:
    with pytest.raises(DataknobsDataError, match="(?s)" + words.replace("[", r"\[").replace("]", r"\]")):
        from_line(line, id_field)
