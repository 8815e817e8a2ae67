"""Cost allocation tags: what is kept, what is refused, and AWS's own; shares of what storage costs."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace
from typing import Any, cast

import pytest

from dataknobs_data.exceptions import ConfigurationError, DatabaseConnectionError
from dataknobs_data.s3.admin.cost_tags import CostShare, CostTags, check_tags, decided, share_of
from dataknobs_data.s3.costs.prices import GB, default_prices
from dataknobs_data.s3.engine import S3Engine
from dataknobs_data.s3.store import Fault, Kind, Listed
from tests.unit.s3_bucket import FakeBucket, denied, unset

SYSTEM = {"aws:cloudformation:stack-name": "prod", "AWS:odd": "x"}


def after(before: dict[str, str] | None, tags: dict[str, str] | None = None, *unset: str) -> tuple[Any, list[str]]:
    return decided(tags or {}, unset, before)


# ---------------------------------------------------------------------------------------------- decisions
def test_tags_are_merged_and_those_of_others_stay_in_order() -> None:
    theirs = {"team": "blue", **SYSTEM, "empty": ""}
    found, notes = after(theirs, {"project": "Trinity", "team": "red"})
    assert found == {**theirs, "team": "red", "project": "Trinity"}
    assert list(found) == ["team", *SYSTEM, "empty", "project"]
    assert any("activated in the Billing console" in note and "24 hours" in note for note in notes)
    assert any("the bucket as a whole" in note for note in notes)
    assert theirs["team"] == "blue", "what was read is not changed: the plan shows it"


def test_removing_takes_only_what_is_named_and_says_what_is_not_there() -> None:
    assert after({"a": "1", "b": "2"}, {}, "a") == ({"b": "2"}, [])
    assert after({"a": "1"}, {}, "a") == (None, [])
    assert after({**SYSTEM, "a": "1"}, {}, "a")[0] == SYSTEM, "AWS's own cannot be removed, and are sent back"
    found, notes = after({"project": "1"}, {}, "projct")
    assert found == {"project": "1"}
    assert notes == ["there is no tag 'projct'; did you mean 'project'?"]
    assert after(None, {}, "x") == (None, ["there is no tag 'x'; there are none"])


def test_fifty_tags_beside_awss_own() -> None:
    fifty = {f"t{number}": "" for number in range(50)}
    assert len(after(SYSTEM, fifty)[0]) == 52
    with pytest.raises(ConfigurationError, match="would have 51 tags, and S3 allows 50"):
        after(fifty, {"one more": "x"})
    assert len(after(fifty, {"one more": "x"}, "t0")[0]) == 50


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        ({"aws:mine": "x"}, "must not be empty or start with 'aws:'"),
        ({"AWS:mine": "x"}, "must not be empty or start with 'aws:'"),
        ({"": "x"}, "must not be empty"),
        ({"k" * 129: "x"}, "its name has 129"),
        ({"k": "v" * 257}, "its value has 257"),
        ({"k": "R&D"}, "holds characters other than"),
        ({"k*": "x"}, "its name holds characters other than"),
        ({"k": 7}, "names and values are text"),
        ({7: "k"}, "names and values are text"),
    ],
)
def test_what_cannot_be_a_tag_is_refused_before_anything_is_sent(tags: Any, message: str) -> None:
    bucket = FakeBucket({})
    with pytest.raises(ConfigurationError, match=message):
        section(bucket).set(tags)
    assert bucket.sent == []


def test_what_s3_takes_is_taken() -> None:
    check_tags({"k" * 128: "v" * 256, "ключ 1": "", "a_.:/=+-@b": "x y", "😀".encode().hex(): "1"})


def test_awss_own_tags_and_contradictions_are_refused() -> None:
    bucket = FakeBucket({})
    with pytest.raises(ConfigurationError, match="is AWS's own and cannot be removed"):
        section(bucket).remove("aws:cloudformation:stack-name")
    with pytest.raises(ConfigurationError, match="to be set and to be removed"):
        section(bucket).change({"a": "1"}, ("a",))
    assert bucket.sent == []


# ---------------------------------------------------------------------------------------------- the requests
def section(bucket: FakeBucket) -> CostTags:
    return CostTags(cast(S3Engine, SimpleNamespace(control=bucket.control_plane)))


def aws_bucket(tags: dict[str, str], **answers: Any) -> FakeBucket:
    """A bucket on AWS: it refuses to lose or change its system tags."""
    stored = {"now": dict(tags)}

    def system(of: dict[str, str]) -> dict[str, str]:
        return {name: value for name, value in of.items() if name.lower().startswith("aws:")}

    def keep(new: dict[str, str]) -> dict[str, Any]:
        if system(new) != system(stored["now"]):
            message = "HTTP 400, InvalidTag, System Tags cannot be removed by requester"
            raise Fault(Kind.REFUSED, message, status=400, code="InvalidTag")
        stored["now"] = new
        return {}

    def get(parameters: dict[str, Any]) -> dict[str, Any]:
        if not stored["now"]:
            raise unset("NoSuchTagSet")
        return {"TagSet": [{"Key": name, "Value": value} for name, value in stored["now"].items()]}

    def put(parameters: dict[str, Any]) -> dict[str, Any]:
        return keep({tag["Key"]: tag["Value"] for tag in parameters["Tagging"]["TagSet"]})

    return FakeBucket(
        {
            "GetBucketTagging": get,
            "PutBucketTagging": put,
            "DeleteBucketTagging": lambda parameters: keep({}),
            **answers,
        }
    )


def test_awss_own_tags_are_sent_back() -> None:
    """https://github.com/cloud-custodian/cloud-custodian/issues/2834 is what happens else."""
    bucket = aws_bucket(SYSTEM)
    tags = section(bucket)
    assert tags.set({"a": "1"}).applied
    assert tags.get() == {**SYSTEM, "a": "1"}
    assert tags.remove("a").applied
    assert tags.get() == SYSTEM
    assert "DeleteBucketTagging" not in bucket.operations


def test_the_last_tag_goes_with_the_set() -> None:
    bucket = aws_bucket({})
    tags = section(bucket)
    assert tags.get() == {}
    assert not tags.remove("a").changes
    assert tags.set({"a": "1"}).before is None
    assert not tags.set({"a": "1"}).changes
    assert tags.remove("a", dry_run=True).after is None
    assert tags.get() == {"a": "1"}
    assert tags.remove("a").applied
    assert bucket.operations.count("DeleteBucketTagging") == 1
    assert tags.get() == {}


@pytest.mark.parametrize(
    ("operation", "permission"),
    [
        ("GetBucketTagging", "s3:GetBucketTagging"),
        ("PutBucketTagging", "s3:PutBucketTagging"),
        ("DeleteBucketTagging", "s3:PutBucketTagging"),
    ],
)
def test_a_missing_permission_is_named(operation: str, permission: str) -> None:
    tags = section(aws_bucket({"a": "1"}, **{operation: denied()}))
    change = partial(tags.remove, "a") if operation.startswith("Delete") else partial(tags.set, {"b": "2"})
    with pytest.raises(DatabaseConnectionError, match=f"grant this identity {permission}"):
        change()


# ---------------------------------------------------------------------------------------------- shares
def test_a_share_counts_each_object_in_its_class() -> None:
    prices = default_prices()
    lines = [Listed("a", "", GB), Listed("b", "", GB, "GLACIER"), Listed("c", "", 1000, "STANDARD_IA")]
    found = share_of("blue", lines, prices)
    dollars = sum(prices.month(line.storage_class, line.size) for line in lines)
    assert found == CostShare("blue", 3, 2 * GB + 1000, pytest.approx(dollars))
    assert share_of(None, lines[:1], prices).dollars_per_month == pytest.approx(prices.classes["STANDARD"].storage)
