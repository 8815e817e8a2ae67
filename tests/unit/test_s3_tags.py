"""Metadata as object tags: which, how written, and what is said about the rest."""

from __future__ import annotations

import logging
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from dataknobs_data.documents import Document
from dataknobs_data.s3.stores.boto import tag_header
from dataknobs_data.s3.tags import Tagger


def document(id: str = "x", **metadata: Any) -> Document:
    return Document(id, {}, metadata, "2026-01-01T00:00:00.000000Z", "2026-01-02T00:00:00.000000Z", "born", "revision")


def test_id_and_created_at_come_first_then_metadata_in_its_order() -> None:
    tags = Tagger(True).tags(document(created_by="admin", version="1.0", department="Engineering"))
    assert list(tags.items()) == [
        ("id", "x"),
        ("created_at", "2026-01-01T00:00:00.000000Z"),
        ("created_by", "admin"),
        ("version", "1.0"),
        ("department", "Engineering"),
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("", ""),
        ("a B-1+=.:/@_", "a B-1+=.:/@_"),
        ("Straße 日本", "Straße 日本"),
        (7, "7"),
        (1.5, "1.5"),
        (True, "true"),
        (Decimal("1.50"), "1.50"),
        (date(2026, 1, 2), "2026-01-02"),
        (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00+00:00"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        ("x" * 256, "x" * 256),
        ("𝒳" * 128, "𝒳" * 128),
    ],
)
def test_single_values_become_text(value: Any, text: str) -> None:
    tags, skipped = Tagger(True).project(document(k=value))
    assert tags["k"] == text
    assert skipped == {}


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("k", [1], "a list is no single value"),
        ("k", None, "a NoneType is no single value"),
        ("k", {"a": 1}, "a dict is no single value"),
        ("k", b"x", "a bytes is no single value"),
        ("k", "a&b", "its value holds characters other than letters, digits, space and + - = . _ : / @"),
        ("k", "line\nbreak", "its value holds characters other than"),
        ("k", "x" * 257, "its value has 257 UTF-16 units, a tag's value at most 256"),
        ("k", "𝒳" * 129, "its value has 258 UTF-16 units"),
        ("k" * 129, "v", "its name has 129 UTF-16 units, a tag's name at most 128"),
        ("a!b", "v", "its name holds characters other than"),
        ("aws:x", "v", "must not be empty or start with 'aws:'"),
        ("AWS:x", "v", "must not be empty or start with 'aws:'"),
        ("", "v", "must not be empty"),
    ],
)
def test_what_cannot_be_a_tag_is_skipped_with_its_reason(name: str, value: Any, why: str) -> None:
    tags, skipped = Tagger(True).project(document(**{name: value, "after": "1"}))
    assert name not in tags
    assert tags["after"] == "1"
    assert why in skipped[name]


def test_ten_tags_are_the_most() -> None:
    tags, skipped = Tagger(True).project(document(**{f"k{i}": i for i in range(12)}))
    assert list(tags) == ["id", "created_at", *(f"k{i}" for i in range(8))]
    assert skipped == {f"k{i}": "an object has at most 10 tags" for i in range(8, 12)}


def test_off_means_none_and_names_mean_those() -> None:
    assert Tagger(False).project(document(a=1)) == ({}, {})
    assert Tagger(["a", "id"]).project(document(a=1, b=[1])) == ({"id": "x", "a": "1"}, {})


def test_a_skipped_name_is_warned_about_once(caplog: pytest.LogCaptureFixture) -> None:
    tagger = Tagger(True)
    with caplog.at_level(logging.WARNING, "dataknobs_data.s3"):
        for _ in range(3):
            tagger.tags(document(secretive=["never-log-values"]))
    assert [record.getMessage() for record in caplog.records] == [
        "metadata 'secretive' is not mirrored as an object tag: a list is no single value (said once; see tags(id))"
    ]


def test_the_header_is_a_url_query() -> None:
    assert tag_header({"a b": "x+y", "ü": "1/2"}) == "a%20b=x%2By&%C3%BC=1%2F2"
