"""The public access block, where no server answers as AWS may."""

from __future__ import annotations

from typing import Any

import pytest

from dataknobs_data.exceptions import DatabaseConnectionError
from dataknobs_data.s3.admin.public_access import BLOCKS, IS_PUBLIC_NOTE, PublicAccess
from dataknobs_data.s3.store import Fault, Kind
from tests.unit.s3_bucket import FakeBucket, denied, unset

ALL_ON = dict.fromkeys(BLOCKS, True)


def notes(before: Any, status: Any) -> tuple[str, ...]:
    bucket = FakeBucket({"GetPublicAccessBlock": before, "GetBucketPolicyStatus": status})
    return PublicAccess(bucket.control_plane).block(dry_run=True).notes


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({"PolicyStatus": {"IsPublic": True}}, (IS_PUBLIC_NOTE,)),
        ({"PolicyStatus": {"IsPublic": False}}, ()),
        (unset(), ()),
        (Fault(Kind.UNSUPPORTED, "501", status=501), ()),
    ],
)
def test_what_stops_being_public_is_noted_where_the_store_knows(status: Any, expected: tuple[str, ...]) -> None:
    assert notes(unset(), status) == expected
    blocked = {"PublicAccessBlockConfiguration": ALL_ON}
    assert notes(blocked, denied()) == (), "it is not looked at"


def test_what_a_later_version_of_s3_switches_stays_as_it_is() -> None:
    before = {"PublicAccessBlockConfiguration": {"BlockPublicAcls": False, "BlockSomethingNew": False}}
    bucket = FakeBucket({"GetPublicAccessBlock": before, "GetBucketPolicyStatus": unset()})
    plan = PublicAccess(bucket.control_plane).block(dry_run=True)
    assert plan.after == {**ALL_ON, "BlockSomethingNew": False}


def test_not_knowing_is_no_answer() -> None:
    with pytest.raises(DatabaseConnectionError, match="grant this identity s3:GetBucketPolicyStatus"):
        notes(unset(), denied())
