"""What lifecycle rules would do to a table: which of its files they take, by key and size."""

from __future__ import annotations

from typing import Any

import pytest

from dataknobs_data.s3.admin.lifecycle.dangers import endangering
from dataknobs_data.s3.keys import Keys

KEYS = Keys("r/")
EXPIRE = {"Expiration": {"Days": 7}}
COLD = {"Transitions": [{"Days": 7, "StorageClass": "GLACIER"}]}
WARM = {"Transitions": [{"Days": 7, "StorageClass": "STANDARD_IA"}]}
LOG, COMPANIONS, JOURNALS, TOMBSTONES = "the table's log", "companions", "journals", "tombstones"


def said(
    does: dict[str, Any], where: dict[str, Any], *, minimum: str | None = None, status: str = "Enabled"
) -> set[str]:
    """Which files of a table a rule is said to take."""
    rule = {"ID": "theirs", "Status": status, "Filter": where, **does}
    found = "\n".join(endangering([rule], KEYS, minimum=minimum, tiered=True))
    return {name for name in (LOG, COMPANIONS, JOURNALS, TOMBSTONES) if name in found}


ALL = {LOG, COMPANIONS, JOURNALS, TOMBSTONES}


@pytest.mark.parametrize(
    ("where", "taken"),
    [
        ({"Prefix": ""}, ALL),
        ({"Prefix": "r/"}, ALL),
        ({"Prefix": "r/2024/"}, {TOMBSTONES}),
        ({"Prefix": "r/_table/"}, {LOG, COMPANIONS}),
        ({"Prefix": "r/_table/packs/"}, set()),
        ({"Prefix": "r/_table/_delta_log/"}, {LOG}),
        ({"Prefix": "other/"}, set()),
        ({"Tag": {"Key": "team", "Value": "blue"}}, set()),
        ({"And": {"Prefix": "r/", "ObjectSizeLessThan": 100}}, {LOG, COMPANIONS}),
    ],
)
def test_what_an_expiration_deletes(where: dict[str, Any], taken: set[str]) -> None:
    assert said(EXPIRE, where) == taken
    assert said(EXPIRE, where, status="Disabled") == set()


@pytest.mark.parametrize(
    ("where", "minimum", "taken"),
    [
        ({"Prefix": ""}, None, {LOG, COMPANIONS}),
        ({"Prefix": ""}, "varies_by_storage_class", ALL),
        ({"And": {"Prefix": "r/", "ObjectSizeGreaterThan": 0}}, None, ALL),
        ({"And": {"Prefix": "r/", "ObjectSizeGreaterThan": 131072}}, None, {LOG, COMPANIONS}),
        ({"And": {"Prefix": "r/_table/packs/", "ObjectSizeGreaterThan": 0}}, None, set()),
    ],
)
def test_what_an_archive_takes(where: dict[str, Any], minimum: str | None, taken: set[str]) -> None:
    assert said(COLD, where, minimum=minimum) == taken
    assert said(WARM, where, minimum=minimum) == set()


def test_the_objects_layout_has_none_of_these() -> None:
    rule = {"ID": "theirs", "Status": "Enabled", "Filter": {"Prefix": "r/_table/"}, **COLD}
    assert endangering([rule], KEYS) == []
