"""Lifecycle rules, as far as no store is needed: what is refused, what is written, what is corrected, what is dangerous."""

from __future__ import annotations

import copy
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataknobs_data.exceptions import ConfigurationError, DataknobsDataError, IncompatibleStoreError
from dataknobs_data.s3.admin.control import Control
from dataknobs_data.s3.admin.lifecycle.checks import CLASSES
from dataknobs_data.s3.admin.lifecycle.dangers import endangering
from dataknobs_data.s3.admin.lifecycle.notes import worth_bytes
from dataknobs_data.s3.admin.lifecycle.rules import Namespace, Rule, Selection, midnight, words
from dataknobs_data.s3.admin.lifecycle.section import Lifecycle
from dataknobs_data.s3.admin.plan import Plan
from dataknobs_data.s3.costs.prices import default_prices
from dataknobs_data.s3.fanout import FanOut
from dataknobs_data.s3.keys import Keys
from dataknobs_data.s3.place import Place
from dataknobs_data.s3.store import Fault, Kind
from tests.unit.s3_fakes import FakeWorld, caller, settings

EXAMPLE = {
    "Rules": [{"ID": "ArchiveOldData", "Status": "Enabled", "Transitions": [{"Days": 30, "StorageClass": "GLACIER"}]}]
}
"""Of the page that this project implements."""

THEIRS: list[Rule] = [
    {"ID": "logs", "Status": "Enabled", "Filter": {"Prefix": "logs/"}, "Expiration": {"Days": 7}},
    {
        "ID": "odd",
        "Status": "Disabled",
        "Filter": {"And": {"Prefix": "odd/", "Tags": [{"Key": "b", "Value": ""}, {"Key": "a", "Value": "1"}]}},
        "Expiration": {"Date": "2030-01-01T00:00:00.000Z"},
    },
]


class BucketStore:
    """The lifecycle of one bucket, kept as S3 does."""

    def __init__(self, *rules: Rule, versioning: str | None = None, **beside: Any) -> None:
        self.configuration: dict[str, Any] | None = {"Rules": [*rules], **beside} if rules else None
        self.versioning = versioning
        self.log: list[str] = []
        self.faults: dict[str, Fault] = {}
        self.deaf_after_writing = False

    @property
    def rules(self) -> list[Rule]:
        return list(self.configuration["Rules"]) if self.configuration else []

    def control(self, operation: str, **parameters: Any) -> dict[str, Any]:
        self.log.append(operation)
        if operation in self.faults:
            raise self.faults[operation]
        if operation == "GetBucketVersioning":
            return {"Status": self.versioning} if self.versioning else {}
        if operation == "GetBucketLifecycleConfiguration":
            if self.configuration is None:
                raise Fault(Kind.UNSET, "none", status=404)
            return {"ResponseMetadata": {}, **copy.deepcopy(self.configuration)}
        if operation == "DeleteBucketLifecycle":
            self.configuration = None
        else:
            assert operation == "PutBucketLifecycleConfiguration"
            if self.deaf_after_writing:
                self.faults["GetBucketLifecycleConfiguration"] = Fault(Kind.DENIED, "no", status=403)
            rules = copy.deepcopy(parameters.pop("LifecycleConfiguration")["Rules"])
            assert len({"Filter" in rule for rule in rules}) == 1, "Filter element can only be used in Lifecycle V2."
            minimum = parameters.pop("TransitionDefaultMinimumObjectSize", "all_storage_classes_128K")
            assert not parameters
            self.configuration = {"Rules": rules, "TransitionDefaultMinimumObjectSize": minimum}
        return {}


def lifecycle(store: BucketStore | None = None, prefix: str = "records/", **over: Any) -> Lifecycle:
    world = FakeWorld()
    configured = settings(prefix=prefix, **over)
    sender = caller(store or BucketStore(), world)
    place = Place("bucket", "https://s3.amazonaws.com")
    return Lifecycle(Control(sender, place, Keys(prefix), configured, world.runtime, FanOut(1, "test")))


def added(plan: Plan) -> list[Rule]:
    return [rule for rule in plan.after["Rules"] if plan.before is None or rule not in plan.before["Rules"]]


def only(plan: Plan, part: str = "") -> Rule:
    """The one rule of that part."""
    (rule,) = [rule for rule in added(plan) if rule["ID"].endswith(f":archive{part}")]
    return rule


def noted(plan: Plan, text: str) -> bool:
    return any(text in note for note in plan.notes)


# ---------------------------------------------------------------------------------------------- what is written
def test_moving_is_for_documents_that_are_worth_it_and_failed_uploads_go() -> None:
    plan = lifecycle().preview(transition={"STANDARD_IA": 30, "GLACIER": 90})
    assert plan.before is None
    assert plan.after == {
        "Rules": [
            {
                "ID": "dataknobs-data:records/:archive",
                "Status": "Enabled",
                "Filter": {"And": {"Prefix": "records/", "ObjectSizeGreaterThan": 131072}},
                "Transitions": [{"Days": 30, "StorageClass": "STANDARD_IA"}, {"Days": 90, "StorageClass": "GLACIER"}],
            },
            {
                "ID": "dataknobs-data:records/:archive.uploads",
                "Status": "Enabled",
                "Filter": {"Prefix": "records/"},
                "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
            },
        ]
    }
    assert noted(plan, "objects of up to 131,072 bytes stay where they are")
    assert noted(plan, "per 1,000: STANDARD_IA $0.01, GLACIER $0.03")
    assert noted(plan, "cannot be read until restore()")
    assert noted(plan, "unfinished uploads are thrown away after 7 days")


def test_each_action_gets_the_filter_that_it_may_have() -> None:
    plan = lifecycle(BucketStore(versioning="Enabled")).preview(
        transition={"GLACIER_IR": 0},
        expire_days=400,
        noncurrent_days=30,
        noncurrent_keep=5,
        noncurrent_transition={"GLACIER_IR": 1},
        abort_uploads_days=2,
        id_prefix="2024/",
        allow_deleting_records=True,
    )
    rules = {rule["ID"].rpartition(":")[2]: rule for rule in plan.after["Rules"]}
    sized = {"And": {"Prefix": "records/2024/", "ObjectSizeGreaterThan": 131072}}
    assert list(rules) == ["archive", "archive.expire", "archive.noncurrent", "archive.uploads"]
    assert rules["archive"]["Filter"] == sized
    assert rules["archive"]["NoncurrentVersionTransitions"] == [{"NoncurrentDays": 1, "StorageClass": "GLACIER_IR"}]
    assert rules["archive.expire"]["Filter"] == {"And": {"Prefix": "records/2024/", "ObjectSizeGreaterThan": 128}}
    assert rules["archive.expire"]["Expiration"] == {"Days": 400}
    assert rules["archive.noncurrent"]["Filter"] == {"Prefix": "records/2024/"}
    assert rules["archive.noncurrent"]["NoncurrentVersionExpiration"] == {
        "NoncurrentDays": 30,
        "NewerNoncurrentVersions": 5,
    }
    assert rules["archive.noncurrent"]["Expiration"] == {"ExpiredObjectDeleteMarker": True}
    assert rules["archive.uploads"]["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 2}
    assert noted(plan, "the bucket keeps versions: a record that expires is hidden by a deletion")


def test_uploads_and_deletions_are_never_filtered_by_tags_or_size() -> None:
    """S3 takes neither with AbortIncompleteMultipartUpload nor with ExpiredObjectDeleteMarker."""
    plan = lifecycle().preview(noncurrent_days=3, abort_uploads_days=1, tags={"team": "blue"}, larger_than_bytes=10)
    assert only(plan, ".noncurrent")["Filter"] == {
        "And": {
            "Prefix": "records/",
            "Tags": [{"Key": "team", "Value": "blue"}],
            "ObjectSizeGreaterThan": 10,
        }
    }
    assert "Expiration" not in only(plan, ".noncurrent")
    assert only(plan, ".uploads")["Filter"] == {"Prefix": "records/"}
    assert noted(plan, "an unfinished upload has no tags and no size")


@pytest.mark.parametrize(
    ("where", "wanted"),
    [
        ({"tags": {"a": "1"}}, {"And": {"Prefix": "p/", "Tags": [{"Key": "a", "Value": "1"}]}}),
        (
            {"smaller_than_bytes": 500},
            {"And": {"Prefix": "p/", "ObjectSizeGreaterThan": 128, "ObjectSizeLessThan": 500}},
        ),
        ({"larger_than_bytes": 300}, {"And": {"Prefix": "p/", "ObjectSizeGreaterThan": 300}}),
        ({"larger_than_bytes": 128}, {"And": {"Prefix": "p/", "ObjectSizeGreaterThan": 128}}),
    ],
)
def test_what_deletes_records_never_matches_control_files(where: dict[str, Any], wanted: dict[str, Any]) -> None:
    plan = lifecycle(prefix="p/").preview(expire_days=1, allow_deleting_records=True, **where)
    rule = only(plan, ".expire")
    assert rule["Filter"] == wanted
    assert [said for said in endangering([rule], Keys("p/")) if "_jobs/" in said] == []


def test_small_documents_are_moved_when_that_is_asked_for_and_the_cost_is_said() -> None:
    plan = lifecycle().preview(transition={"GLACIER": 1, "DEEP_ARCHIVE": 91}, smaller_than_bytes=1000)
    assert only(plan)["Filter"]["And"]["ObjectSizeGreaterThan"] == 128
    plan = lifecycle().preview(transition={"GLACIER": 1}, larger_than_bytes=200)
    assert only(plan)["Filter"]["And"]["ObjectSizeGreaterThan"] == 200
    least = worth_bytes("GLACIER", default_prices())
    assert noted(plan, f"objects of 201 to {least - 1:,} bytes cost more a month in GLACIER than in STANDARD")
    assert noted(plan, "each is billed 32 KB more, and 8 KB at STANDARD's price")
    plan = lifecycle().preview(transition={"GLACIER": 1}, larger_than_bytes=100_000)
    assert not noted(plan, "cost more a month")


def test_from_how_many_bytes_on_a_class_is_worth_it() -> None:
    prices = default_prices()
    for name in ("STANDARD_IA", "GLACIER", "DEEP_ARCHIVE", "GLACIER_IR"):
        least = worth_bytes(name, prices)
        assert prices.month(name, least) <= prices.month("STANDARD", least)
        assert prices.month(name, least - 1) > prices.month("STANDARD", least - 1)
    assert 15_000 < worth_bytes("GLACIER", prices) < 17_000  # 40 KB of overhead
    assert worth_bytes("INTELLIGENT_TIERING", prices) == 0


def test_a_database_without_prefix_is_told_whose_objects_its_rules_are_for() -> None:
    plan = lifecycle(prefix="").preview(transition={"GLACIER": 1})
    assert only(plan)["Filter"] == {"ObjectSizeGreaterThan": 131072}
    assert only(plan, ".uploads")["Filter"] == {"Prefix": ""}
    assert noted(plan, "for all objects of the bucket, also those of others")


def test_objects_deleted_before_they_are_paid_off_are_said() -> None:
    plan = lifecycle().preview(transition={"DEEP_ARCHIVE": 10}, expire_days=100, allow_deleting_records=True)
    assert noted(plan, "DEEP_ARCHIVE is paid for 180 days, though objects are deleted there after 90")
    plan = lifecycle().preview(transition={"DEEP_ARCHIVE": 10}, expire_days=190, allow_deleting_records=True)
    assert not noted(plan, "is paid for 180")


@pytest.mark.parametrize(
    ("tags", "said"),
    [(True, None), (False, "this database writes no tags"), (["team"], "mirrors no metadata as tag color")],
)
def test_tags_that_no_record_can_have_are_said(tags: Any, said: str | None) -> None:
    plan = lifecycle(tags=tags).preview(transition={"GLACIER": 1}, tags={"team": "blue", "color": "red", "id": "x"})
    assert any("this database" in note for note in plan.notes) is (said is not None)
    assert said is None or noted(plan, said)


@pytest.mark.parametrize(
    ("written", "said"), [(None, False), ("STANDARD_IA", False), ("GLACIER_IR", True), ("GLACIER", True)]
)
def test_records_that_are_written_to_a_colder_class_are_said_to_stay(written: str | None, said: bool) -> None:
    plan = lifecycle(storage_class=written).preview(transition={"GLACIER_IR": 30, "DEEP_ARCHIVE": 120})
    assert noted(plan, f"records are written to {written}, and S3 moves nothing from there to GLACIER_IR") is said


@pytest.mark.parametrize(("status", "said"), [(None, True), ("Enabled", False), ("Suspended", False)])
def test_rules_for_old_versions_say_where_there_are_none(status: str | None, said: bool) -> None:
    plan = lifecycle(BucketStore(versioning=status)).preview(noncurrent_days=30)
    assert noted(plan, "the bucket keeps no versions") is said


def test_versions_are_not_asked_for_where_they_do_not_matter() -> None:
    store = BucketStore()
    lifecycle(store).preview(transition={"GLACIER": 1})
    assert store.log == ["GetBucketLifecycleConfiguration"]


def test_a_versioning_that_cannot_be_read_is_a_note() -> None:
    store = BucketStore()
    store.faults["GetBucketVersioning"] = Fault(Kind.DENIED, "no", status=403)
    plan = lifecycle(store).add("old", noncurrent_days=3)
    assert plan.applied
    assert noted(plan, "whether the bucket keeps versions could not be seen")
    assert noted(plan, "s3:GetBucketVersioning")


# ---------------------------------------------------------------------------------------------- what is refused
@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({}, "does nothing: say what is to be"),
        ({"transition": {}}, "does nothing"),
        ({"transition": "GLACIER"}, "such as {'GLACIER': 90}"),
        ({"transition": {"GLACEIR": 30}}, "did you mean 'GLACIER'?"),
        ({"transition": {"STANDARD": 30}}, "to which S3 moves nothing"),
        ({"transition": {"GLACIER": -1}}, "it must be 0 or more"),
        ({"transition": {"GLACIER": "30"}}, "it must be a whole number"),
        ({"transition": {"GLACIER": True}}, "it must be a whole number"),
        ({"transition": {"GLACIER": 1.5}}, "it must be a whole number"),
        ({"transition": {"GLACIER": 2**31}}, "it must be 0 or more"),
        ({"transition": {"GLACIER": 30, "STANDARD_IA": 60}}, "from GLACIER to STANDARD_IA, and S3 does not"),
        ({"transition": {"ONEZONE_IA": 30, "GLACIER_IR": 90}}, "from ONEZONE_IA to GLACIER_IR, and S3 does not"),
        ({"transition": {"STANDARD_IA": 30, "GLACIER": 59}}, "after 29 days; S3 wants 30 or more"),
        ({"transition": {"GLACIER": 30, "DEEP_ARCHIVE": 119}}, "after 89 days; S3 wants 90 or more"),
        ({"transition": {"INTELLIGENT_TIERING": 30, "GLACIER": 30}}, "after 0 days; S3 wants 1 or more"),
        ({"transition": {"GLACIER": 30}, "expire_days": 30}, "is to delete before, or as, it moves to GLACIER"),
        ({"expire_days": 0}, "it must be 1 or more"),
        ({"expire_days": 30}, "allow_deleting_records=True"),
        ({"noncurrent_days": 0}, "it must be 1 or more"),
        ({"noncurrent_keep": 3}, "say that too"),
        ({"noncurrent_days": 3, "noncurrent_keep": 0}, "it must be 1 to 100"),
        ({"noncurrent_days": 3, "noncurrent_keep": 101}, "it must be 1 to 100"),
        ({"noncurrent_days": 3, "noncurrent_transition": {"GLACIER": 3}}, "old versions: is to delete before"),
        ({"noncurrent_transition": {"STANDARD_IA": 1, "GLACIER": 5}}, "old versions: moves from STANDARD_IA"),
        ({"abort_uploads_days": 0}, "it must be 1 or more"),
        ({"name": "a:b", "noncurrent_days": 1}, "letters, digits, hyphens and underscores"),
        ({"name": "archive.uploads", "noncurrent_days": 1}, "letters, digits, hyphens and underscores"),
        ({"name": "", "noncurrent_days": 1}, "letters, digits, hyphens and underscores"),
        ({"name": "x" * 65, "noncurrent_days": 1}, "1 to 64 letters"),
        ({"transition": {"GLACIER": 1}, "larger_than_bytes": 127}, "takes control files below _jobs/ along; say 128"),
        ({"expire_days": 1, "larger_than_bytes": 0, "allow_deleting_records": True}, "control files below _jobs/"),
        (
            {"expire_days": 1, "smaller_than_bytes": 129, "allow_deleting_records": True},
            "only control files are that small",
        ),
        ({"transition": {"GLACIER": 1}, "larger_than_bytes": 200, "smaller_than_bytes": 201}, "there are none"),
        ({"transition": {"GLACIER": 1}, "larger_than_bytes": "1"}, "it must be a whole number"),
        ({"transition": {"GLACIER": 1}, "tags": {"a": 1}}, "both are text"),
        ({"transition": {"GLACIER": 1}, "tags": {str(n): "" for n in range(11)}}, "asks for 11 tags"),
        ({"transition": {"GLACIER": 1}, "tags": ["a"]}, "tags is ['a']"),
        ({"transition": {"GLACIER": 1}, "id_prefix": None}, "id_prefix None is no text"),
        ({"transition": {"GLACIER": 1}, "id_prefix": "_"}, "id_prefix '_' is not just how keys begin"),
        ({"transition": {"GLACIER": 1}, "id_prefix": "2024/a.js"}, "id_prefix '2024/a.js'"),
    ],
)
def test_what_s3_would_refuse_or_nobody_can_mean_is_refused_before_anything_is_sent(
    wanted: dict[str, Any], said: str
) -> None:
    store = BucketStore()
    with pytest.raises(ConfigurationError) as caught:
        lifecycle(store).add(**wanted)
    assert said in str(caught.value)
    assert store.log == []


@pytest.mark.parametrize(
    "transition",
    [
        {"STANDARD_IA": 0},  # from July 2026 on
        {"STANDARD_IA": 30, "GLACIER": 60, "DEEP_ARCHIVE": 150},
        {"INTELLIGENT_TIERING": 0, "ONEZONE_IA": 1, "GLACIER": 31},
        {"DEEP_ARCHIVE": 180, "GLACIER": 90},  # in whatever order they are named
    ],
)
def test_what_s3_takes_is_taken(transition: dict[str, int]) -> None:
    assert len(only(lifecycle().preview(transition=transition))["Transitions"]) == len(transition)


def test_an_id_prefix_with_characters_that_keys_escape_is_right_in_folders() -> None:
    assert only(lifecycle().preview(noncurrent_days=1, id_prefix="a%b/c"), ".noncurrent")["Filter"] == {
        "Prefix": "records/a%25b/c"
    }


def test_a_bucket_has_at_most_a_thousand_rules() -> None:
    full = [
        {"ID": str(n), "Status": "Enabled", "Filter": {"Prefix": f"{n}/"}, "Expiration": {"Days": 1}}
        for n in range(999)
    ]
    with pytest.raises(ConfigurationError, match="that makes 1,001 lifecycle rules; a bucket has at most 1,000"):
        lifecycle(BucketStore(*full)).add(transition={"GLACIER": 1})


# ---------------------------------------------------------------------------------------------- others' rules
def test_what_others_put_there_stays_as_it_was_and_where_it_was() -> None:
    store = BucketStore(*copy.deepcopy(THEIRS), TransitionDefaultMinimumObjectSize="varies_by_storage_class")
    mine = lifecycle(store)
    plan = mine.add(transition={"GLACIER": 30})
    assert plan.applied
    assert store.rules[:2] == THEIRS
    assert store.configuration is not None
    assert store.configuration["TransitionDefaultMinimumObjectSize"] == "varies_by_storage_class"
    assert [rule["ID"] for rule in mine.ours()] == [
        f"dataknobs-data:records/:archive{part}" for part in ("", ".uploads")
    ]

    removed = mine.remove()
    assert removed.applied
    assert store.rules == THEIRS
    assert store.configuration["TransitionDefaultMinimumObjectSize"] == "varies_by_storage_class"


def test_rules_of_the_earlier_form_are_not_mixed_with_ours() -> None:
    earlier = [{"ID": "old", "Status": "Enabled", "Prefix": p, "Expiration": {"Days": 7}} for p in ("logs/", "")]
    store = BucketStore(*earlier)
    for dry_run in (True, False):
        with pytest.raises(
            ConfigurationError, match=r"in S3's earlier form.*: old, old. Write each of them with Filter"
        ):
            lifecycle(store).add(transition={"GLACIER": 30}, dry_run=dry_run)
    assert not lifecycle(store).remove().changes
    assert store.rules == earlier


def test_a_second_time_nothing_changes_and_nothing_is_written() -> None:
    store = BucketStore(*THEIRS)
    mine = lifecycle(store)
    assert mine.add("a", transition={"GLACIER": 30}, tags={"x": "1", "y": "2"}).applied
    assert mine.merge(
        {"Rules": [{"ID": "b", "Expiration": {"Date": "2031-05-01"}}]}, allow_deleting_records=True
    ).applied
    assert store.configuration is not None
    for rule in store.configuration["Rules"]:  # as a store may put it
        if "Tags" in rule.get("Filter", {}).get("And", {}):
            rule["Filter"]["And"]["Tags"].reverse()
        if "Date" in rule.get("Expiration", {}):
            rule["Expiration"]["Date"] = rule["Expiration"]["Date"].replace("00Z", "00.000Z")
    before = copy.deepcopy(store.configuration)
    store.log.clear()
    again = [
        mine.add("a", transition={"GLACIER": 30}, tags={"x": "1", "y": "2"}),
        mine.merge({"Rules": [{"ID": "b", "Expiration": {"Date": "2031-05-01"}}]}, allow_deleting_records=True),
    ]
    assert [(plan.changes, plan.applied) for plan in again] == [(False, False)] * 2
    assert store.configuration == before
    assert "PutBucketLifecycleConfiguration" not in store.log


def test_the_same_name_replaces_and_another_adds() -> None:
    store = BucketStore(THEIRS[0])
    mine = lifecycle(store)
    mine.add("a", transition={"GLACIER": 30}, noncurrent_days=5)
    store.configuration["Rules"].append(THEIRS[1])  # type: ignore[index]
    mine.add("b", noncurrent_days=9)
    plan = mine.add("a", transition={"GLACIER_IR": 10})
    assert plan.applied
    assert [rule["ID"].rpartition(":")[2] for rule in store.rules] == ["logs", "a", "a.uploads", "odd", "b.noncurrent"]
    assert store.rules[1]["Transitions"] == [{"Days": 10, "StorageClass": "GLACIER_IR"}]
    mine.remove("a")
    assert [rule["ID"].rpartition(":")[2] for rule in store.rules] == ["logs", "odd", "b.noncurrent"]


def test_what_a_name_did_so_far_and_does_no_more_is_said() -> None:
    store = BucketStore(versioning="Enabled")
    mine = lifecycle(store)
    mine.add(transition={"GLACIER": 90})
    assert not noted(mine.add(transition={"GLACIER": 60}), "ends"), "the diff shows what changes"
    plan = mine.preview(noncurrent_days=30)
    ends = [note for note in plan.notes if "so far ends" in note]
    assert len(ends) == 1
    assert ends[0].startswith("what 'archive' did so far ends,")
    assert ends[0].endswith(": GLACIER after 60 days; below 'records/', over 131,072 bytes")
    assert not noted(mine.preview("old-versions", noncurrent_days=30), "ends")


def test_uploads_that_somebody_else_throws_away_are_theirs() -> None:
    theirs = {
        "ID": "mpu",
        "Status": "Enabled",
        "Filter": {"Prefix": ""},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 3},
    }
    plan = lifecycle(BucketStore(theirs)).preview(transition={"GLACIER": 1})
    assert len(added(plan)) == 1
    for other in ({**theirs, "Status": "Disabled"}, {**theirs, "Filter": {"Prefix": "records/2024/"}}):
        assert len(added(lifecycle(BucketStore(other)).preview(transition={"GLACIER": 1}))) == 2


@pytest.mark.parametrize("part", [{"Status": "Disabled"}, {"Filter": {"Prefix": "records/2024/"}}])
def test_where_uploads_are_spoken_of_nothing_is_added(part: dict[str, Any]) -> None:
    one = {"ID": "a", "Status": "Enabled", "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 3}, **part}
    plan = lifecycle().merge({"Rules": [one]}, dry_run=True)
    assert [rule["ID"] for rule in plan.after["Rules"]] == ["dataknobs-data:records/:a.uploads"]


def test_what_cannot_be_read_back_was_written_all_the_same() -> None:
    store = BucketStore()
    store.deaf_after_writing = True
    plan = lifecycle(store).add(noncurrent_days=1)
    assert plan.applied
    assert noted(plan, "it was written, but cannot be read back")


def test_databases_in_one_bucket_do_not_touch_each_others() -> None:
    store = BucketStore()
    prefixes = [
        "",
        "a/",
        "a/b/",
        "a:/",
        "é/",
        "x" * 160 + "/",
        "x" * 163 + "/",
        "x" * 164 + "/",
        "x" * 300 + "/",
        "x" * 301 + "/",
    ]
    databases = [lifecycle(store, prefix) for prefix in prefixes]
    for database in databases:
        database.add("n" * 64, noncurrent_days=3, abort_uploads_days=1)
    assert len({rule["ID"] for rule in store.rules}) == 2 * len(prefixes)
    assert all(len(rule["ID"]) <= 255 for rule in store.rules)
    assert [len(database.ours()) for database in databases] == [2] * len(prefixes)
    for number, database in enumerate(databases, 1):
        database.remove()
        assert len(store.rules) == 2 * (len(prefixes) - number)
    assert store.configuration is None
    assert store.log[-2:] == ["DeleteBucketLifecycle", "GetBucketLifecycleConfiguration"]


@pytest.mark.parametrize(
    ("prefix", "id"),
    [
        ("a/", "dataknobs-data:a/:b/:x"),  # of the database with prefix a/:b/
        ("", "dataknobs-data:a/:x"),
        ("a/", "dataknobs-data:a/:x.y"),
        ("a/", "dataknobs-data:a/:"),
        ("a/", "Dataknobs-data:a/:x"),
        ("a/", None),
    ],
)
def test_ids_that_are_nobodys_of_ours(prefix: str, id: str | None) -> None:
    assert Namespace(prefix).name({"ID": id} if id else {}) is None


def test_removing_what_is_not_there_changes_nothing_and_names_the_nearest() -> None:
    store = BucketStore(*THEIRS)
    mine = lifecycle(store)
    mine.add("archive", noncurrent_days=2)
    plan = mine.remove("archvie")
    assert not plan.changes
    assert plan.notes == ("there is no rule 'archvie'; did you mean 'archive'?",)
    with pytest.raises(ConfigurationError, match="a name has"):
        mine.remove("logs:x")
    assert not lifecycle(BucketStore()).remove().changes


def test_a_dry_run_writes_nothing() -> None:
    store = BucketStore(*THEIRS)
    mine = lifecycle(store)
    before = copy.deepcopy(store.configuration)
    plans = [
        mine.preview(transition={"GLACIER": 1}),
        mine.add(transition={"GLACIER": 1}, dry_run=True),
        mine.merge(EXAMPLE, dry_run=True),
        mine.preview("x", noncurrent_days=1, dry_run=False),
    ]
    assert all(plan.changes and not plan.applied for plan in plans)
    assert store.configuration == before
    assert set(store.log) == {"GetBucketLifecycleConfiguration", "GetBucketVersioning"}


def test_a_store_that_moves_nothing_is_named_and_what_was_wanted_too() -> None:
    store = BucketStore()
    store.faults["PutBucketLifecycleConfiguration"] = Fault(Kind.UNSUPPORTED, "HTTP 501", status=501)
    with pytest.raises(
        IncompatibleStoreError, match="writing lifecycle rules that move objects between storage classes"
    ):
        lifecycle(store).add(transition={"GLACIER": 1})
    with pytest.raises(IncompatibleStoreError, match="writing lifecycle rules in"):
        lifecycle(store).add(noncurrent_days=1)


# ---------------------------------------------------------------------------------------------- boto3's form
def test_the_example_of_the_page_is_corrected_and_each_correction_is_said() -> None:
    plan = lifecycle().merge(EXAMPLE, dry_run=True)
    assert plan.after["Rules"] == [
        {
            "ID": "dataknobs-data:records/:ArchiveOldData",
            "Status": "Enabled",
            "Filter": {"And": {"Prefix": "records/", "ObjectSizeGreaterThan": 131072}},
            "Transitions": [{"Days": 30, "StorageClass": "GLACIER"}],
        },
        {
            "ID": "dataknobs-data:records/:ArchiveOldData.uploads",
            "Status": "Enabled",
            "Filter": {"Prefix": "records/"},
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
        },
    ]
    for said in ("the ID 'ArchiveOldData' becomes", "it has no Filter", "131,072 bytes", "unfinished uploads"):
        assert noted(plan, said), said


@pytest.mark.parametrize(
    ("rule", "filter", "said"),
    [
        ({"Prefix": "records/2024/"}, {"Prefix": "records/2024/"}, "Prefix beside Filter is of an older API"),
        ({"Prefix": ""}, {"Prefix": "records/"}, "narrowed from ''"),
        ({"Filter": {}}, {"Prefix": "records/"}, "narrowed from ''"),
        ({"Filter": {"Prefix": "rec"}}, {"Prefix": "records/"}, "narrowed from 'rec'"),
        ({"Filter": {"Prefix": "records/x"}}, {"Prefix": "records/x"}, None),
        (
            {"Filter": {"Tag": {"Key": "a", "Value": "b"}}},
            {"And": {"Prefix": "records/", "Tags": [{"Key": "a", "Value": "b"}]}},
            "narrowed",
        ),
        (
            {"Filter": {"And": {"Prefix": "records/", "ObjectSizeLessThan": 9}}},
            {"And": {"Prefix": "records/", "ObjectSizeLessThan": 9}},
            None,
        ),
        (
            {"Filter": {"Prefix": "records/", "ObjectSizeGreaterThan": 5}},
            {"And": {"Prefix": "records/", "ObjectSizeGreaterThan": 5}},
            None,
        ),
    ],
)
def test_filters_are_written_for_this_database(rule: dict[str, Any], filter: dict[str, Any], said: str | None) -> None:
    whole = {"ID": "archive", "Status": "Enabled", "NoncurrentVersionExpiration": {"NoncurrentDays": 1}, **rule}
    plan = lifecycle().merge({"Rules": [whole]}, dry_run=True)
    assert only(plan, ".noncurrent")["Filter"] == filter
    corrections = [note for note in plan.notes if note.startswith("lifecycle rule") and "becomes" not in note]
    assert bool(corrections) is (said is not None)
    assert said is None or any(said in note for note in corrections)


def test_names_and_sizes_of_the_older_api_and_of_other_databases() -> None:
    rules = [
        {"Status": "Disabled", "Transition": {"Date": datetime(2030, 1, 1, tzinfo=UTC), "StorageClass": "GLACIER"}},
        {"ID": "Old data, 2!", "NoncurrentVersionTransition": {"NoncurrentDays": 1, "StorageClass": "GLACIER"}},
        {"ID": "dataknobs-data:other/:mine.noncurrent", "NoncurrentVersionExpiration": {"NoncurrentDays": 3}},
        {"ID": "uploads", "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 3}},
    ]
    plan = lifecycle().merge({"Rules": rules}, larger_than_bytes=5000, id_prefix="a/", dry_run=True)
    found = {rule["ID"].rpartition(":")[2]: rule for rule in plan.after["Rules"]}
    assert list(found) == ["rule-1", "Old-data-2", "mine.noncurrent", "uploads.uploads"]
    assert found["rule-1"]["Status"] == "Disabled"
    assert found["rule-1"]["Transitions"] == [{"Date": "2030-01-01T00:00:00Z", "StorageClass": "GLACIER"}]
    assert found["rule-1"]["Filter"] == {"And": {"Prefix": "records/a/", "ObjectSizeGreaterThan": 5000}}
    assert found["Old-data-2"]["NoncurrentVersionTransitions"] == [{"NoncurrentDays": 1, "StorageClass": "GLACIER"}]
    for said in ("Transition is of an older API", "without an ID, it becomes", "it has no Status"):
        assert noted(plan, said), said


def test_the_size_asked_for_is_for_rules_that_can_have_one_and_name_none() -> None:
    rules: list[Rule] = [
        {"ID": "a", "Expiration": {"ExpiredObjectDeleteMarker": True}},
        {"ID": "b", "Filter": {"ObjectSizeLessThan": 4000}, "NoncurrentVersionExpiration": {"NoncurrentDays": 1}},
        {"ID": "c", "NoncurrentVersionExpiration": {"NoncurrentDays": 1}},
    ]
    plan = lifecycle().merge({"Rules": rules}, larger_than_bytes=5000, dry_run=True)
    assert [one["Filter"] for one in plan.after["Rules"][:3]] == [
        {"Prefix": "records/"},
        {"And": {"Prefix": "records/", "ObjectSizeLessThan": 4000}},
        {"And": {"Prefix": "records/", "ObjectSizeGreaterThan": 5000}},
    ]


def test_what_a_database_wrote_it_takes_back_unchanged() -> None:
    store = BucketStore(versioning="Enabled")
    mine = lifecycle(store)
    mine.add(
        transition={"GLACIER": 30},
        expire_days=300,
        noncurrent_days=9,
        abort_uploads_days=4,
        allow_deleting_records=True,
    )
    mine.add("trash", expire_days=3, id_prefix="tmp/", allow_deleting_records=True)
    written = copy.deepcopy(store.configuration)
    plan = mine.merge({"Rules": mine.ours()}, allow_deleting_records=True)
    assert not plan.changes, plan.diff()
    assert store.configuration == written
    assert not noted(plan, "becomes")


@pytest.mark.parametrize(
    ("configuration", "said"),
    [
        ([], "the lifecycle configuration is []; it must be a mapping"),
        ({"Rules": []}, "holds no 'Rules'"),
        ({"rules": [1]}, "unknown part 'rules'; did you mean 'Rules'?"),
        ({"Rules": ["x"]}, "lifecycle rule 1 is 'x'"),
        ({"Rules": [{"Transitons": []}]}, "did you mean 'Transitions'?"),
        ({"Rules": [{"ID": "a"}]}, "does nothing"),
        ({"Rules": [{"Transitions": []}]}, "does nothing"),
        ({"Rules": [{"Transitions": [], "Transition": {}}]}, "both Transition and Transitions"),
        ({"Rules": [{"Transitions": {"Days": 1, "StorageClass": "GLACIER"}}]}, "it takes a list"),
        ({"Rules": [{"Expiration": [{"Days": 1}]}]}, "it takes one mapping"),
        ({"Rules": [{"Expiration": {"Days": 1}, "Prefix": 5}]}, "the Prefix 5 is no text"),
        (
            {
                "Rules": [
                    {"Filter": {"And": {"Tags": [{"Key": "a", "Value": v} for v in "bc"]}}, "Expiration": {"Days": 1}}
                ]
            },
            "its Filter names a tag twice",
        ),
        ({"Rules": [{"ID": 1, "Expiration": {"Days": 1}}]}, "the ID 1 is no text"),
        ({"Rules": [{"Status": "enabled", "Expiration": {"Days": 1}}]}, "'Enabled' or 'Disabled'"),
        ({"Rules": [{"Expiration": {"Days": 1}}]}, "allow_deleting_records=True"),
        ({"Rules": [{"Expiration": {"Date": "2030-01-01"}}]}, "allow_deleting_records=True"),
        ({"Rules": [{"Expiration": {"Date": "2030-01-01T05:00:00Z"}}]}, "is not midnight UTC"),
        ({"Rules": [{"Expiration": {"Date": "soon"}}]}, "has a date in Expiration"),
        ({"Rules": [{"Expiration": {"Days": 1, "ExpiredObjectDeleteMarker": True}}]}, "exactly one of"),
        ({"Rules": [{"Expiration": {"ExpiredObjectDeleteMarker": False}}]}, "which does nothing"),
        ({"Rules": [{"Expiration": {}}]}, "has {} as Expiration"),
        ({"Rules": [{"Expiration": {"Day": 1}}]}, "did you mean 'Days'?"),
        (
            {
                "Rules": [
                    {"Expiration": {"ExpiredObjectDeleteMarker": True}, "Filter": {"Tag": {"Key": "a", "Value": "b"}}}
                ]
            },
            "S3 takes it with a prefix only",
        ),
        (
            {
                "Rules": [
                    {"Transitions": [{"Days": 1, "StorageClass": "GLACIER"}], "Expiration": {"Date": "2030-01-01"}}
                ]
            },
            "mixes Days and Date",
        ),
        ({"Rules": [{"Transitions": [{"StorageClass": "GLACIER"}]}]}, "has nothing in Transitions"),
        ({"Rules": [{"Transitions": [{"Days": 1, "StorageClass": "GLACIER"}] * 2}]}, "moves to GLACIER twice"),
        ({"Rules": [{"Transitions": [{"Days": 1}]}]}, "moves to None"),
        ({"Rules": [{"NoncurrentVersionExpiration": {"NewerNoncurrentVersions": 3}}]}, "has None for NoncurrentDays"),
        ({"Rules": [{"Prefix": "a", "Filter": {}, "Expiration": {"Days": 1}}]}, "both Prefix and Filter"),
        (
            {"Rules": [{"Filter": {"Prefix": "logs/"}, "Expiration": {"Days": 1}}]},
            "not of this database; its keys begin with 'records/'",
        ),
        ({"Rules": [{"Filter": {"Prefx": "logs/"}, "Expiration": {"Days": 1}}]}, "did you mean 'Prefix'?"),
        ({"Rules": [{"Filter": {"And": {}, "Tag": 1}, "Expiration": {"Days": 1}}]}, "its Filter makes no sense"),
        ({"Rules": [{"Filter": {"And": {"Prefix": ""}, "Prefix": ""}, "Expiration": {"Days": 1}}]}, "put all into it"),
        (
            {"Rules": [{"ID": "a b", "NoncurrentVersionExpiration": {"NoncurrentDays": 1}}] * 2},
            "two lifecycle rules would have the ID",
        ),
    ],
)
def test_configurations_that_make_no_sense(configuration: Any, said: str) -> None:
    store = BucketStore()
    with pytest.raises(ConfigurationError) as caught:
        lifecycle(store).merge(configuration)
    assert said in str(caught.value)
    assert store.log == []


SCRAPS: Any = st.recursive(
    st.sampled_from([None, True, -1, 0, 1, 2.5, "", "records/", "x", "GLACIER", "2030-01-01"]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(["Prefix", "And", "Tag", "Tags", "Key", "Days", "StorageClass"]), inner, max_size=3
        )
    ),
    max_leaves=5,
)
NUMBERS = st.sampled_from([0, 1, 5, 30, 100, 128, 200, 400])


def actions(days: str, *more: str) -> Any:
    return st.fixed_dictionaries({days: NUMBERS}, optional=dict.fromkeys(more, NUMBERS))


MOVE = st.fixed_dictionaries({"Days": NUMBERS, "StorageClass": st.sampled_from(CLASSES)})
OLD_MOVE = st.fixed_dictionaries({"NoncurrentDays": NUMBERS, "StorageClass": st.sampled_from(CLASSES)})
PREDICATES = st.fixed_dictionaries(
    {},
    optional={
        "Prefix": st.sampled_from(["", "records/", "records/_jobs/", "records/2024/"]),
        "Tags": st.just([{"Key": "a", "Value": "b"}]),
        "ObjectSizeGreaterThan": NUMBERS,
        "ObjectSizeLessThan": NUMBERS,
    },
)
PARTS: dict[str, Any] = {
    "ID": st.sampled_from(["a", "b c", "dataknobs-data:x/:old.expire", "é"]),
    "Status": st.sampled_from(["Enabled", "Disabled"]),
    "Prefix": st.sampled_from(["", "records/x"]),
    "Filter": PREDICATES | PREDICATES.map(lambda parts: {"And": parts}),
    "Transitions": st.lists(MOVE, max_size=2),
    "Transition": MOVE,
    "NoncurrentVersionTransitions": st.lists(OLD_MOVE, max_size=2),
    "Expiration": actions("Days") | st.just({"ExpiredObjectDeleteMarker": True}),
    "NoncurrentVersionExpiration": actions("NoncurrentDays", "NewerNoncurrentVersions"),
    "AbortIncompleteMultipartUpload": actions("DaysAfterInitiation"),
}
SENSE = st.fixed_dictionaries({}, optional=PARTS)
NONSENSE = st.fixed_dictionaries({}, optional={name: part | SCRAPS for name, part in PARTS.items()}) | SCRAPS


@given(st.lists(SENSE, min_size=1, max_size=2) | st.lists(NONSENSE, min_size=1, max_size=2))
def test_whatever_the_configuration_it_is_taken_or_refused_and_never_dangerous(rules: list[Any]) -> None:
    try:
        plan = lifecycle().merge({"Rules": rules}, allow_deleting_records=True, dry_run=True)
    except ConfigurationError:
        return
    assert not [said for said in endangering(plan.after["Rules"], Keys("records/")) if "_jobs/" in said]
    assert all(Selection.of(one).prefix.startswith("records/") for one in plan.after["Rules"])
    assert len({one["ID"] for one in plan.after["Rules"]}) == len(plan.after["Rules"])
    assert str(plan)


def test_the_whole_buckets_minimum_size_stays_the_buckets() -> None:
    plan = lifecycle().merge({**EXAMPLE, "TransitionDefaultMinimumObjectSize": "varies_by_storage_class"}, dry_run=True)
    assert "TransitionDefaultMinimumObjectSize" not in plan.after
    assert noted(plan, "is for the whole bucket: it stays")


# ---------------------------------------------------------------------------------------------- what is dangerous
def rule(**over: Any) -> Rule:
    return {"ID": "r", "Status": "Enabled", "Filter": {"Prefix": ""}, **over}


GLACIER = {"Transitions": [{"Days": 1, "StorageClass": "GLACIER"}]}


@pytest.mark.parametrize(
    ("one", "dangers"),
    [
        (rule(Expiration={"Days": 5}), ["deletes records", "deletes records/_jobs/format.json after 5 days"]),
        (
            rule(Expiration={"Date": "2030-01-01"}, Filter={"Prefix": "records/_jobs/"}),
            ["deletes records", "on 2030-01-01"],
        ),
        (rule(Expiration={"Days": 5}, Filter={"Prefix": "records/2024/"}), ["deletes records"]),
        (
            rule(Expiration={"Days": 1}, Filter={"ObjectSizeGreaterThan": 1000}),
            ["deletes records of this database after 1 day,"],
        ),
        (rule(Expiration={"Days": 5}, Filter={"ObjectSizeLessThan": 100}), ["deletes records/_jobs/format.json"]),
        (rule(Expiration={"Days": 5}, Filter={"Tag": {"Key": "a", "Value": "b"}}), ["deletes records"]),
        (
            {"Status": "Enabled", "Prefix": "rec", "Expiration": {"Days": 1}},
            ["rule '(without ID)' deletes", "format.json"],
        ),
        (rule(Expiration={"Days": 5}, Filter={"Prefix": "logs/"}), []),
        (rule(Expiration={"Days": 5}, Status="Disabled"), []),
        (rule(Expiration={"ExpiredObjectDeleteMarker": True}), []),
        (rule(NoncurrentVersionExpiration={"NoncurrentDays": 1}), []),
        (rule(AbortIncompleteMultipartUpload={"DaysAfterInitiation": 1}), []),
        (rule(**GLACIER), []),  # S3 moves nothing so small by itself
        (
            rule(**GLACIER, Filter={"ObjectSizeGreaterThan": 10}),
            ["archives records/_jobs/format.json to GLACIER after 1 day"],
        ),
        (rule(**GLACIER, Filter={"ObjectSizeLessThan": 10**6}), ["archives records/_jobs/format.json"]),
        (rule(**GLACIER, Filter={"ObjectSizeGreaterThan": 127}), []),
        (rule(**GLACIER, Filter={"ObjectSizeGreaterThan": 126}), ["archives records/_jobs/format.json"]),
        (rule(Transitions=[{"Days": 1, "StorageClass": "GLACIER_IR"}], Filter={"ObjectSizeGreaterThan": 1}), []),
    ],
)
def test_rules_that_endanger_a_database(one: Rule, dangers: list[str]) -> None:
    found = endangering([one], Keys("records/"))
    assert len(found) == len(dangers), found
    assert all(part in said for part, said in zip(dangers, found, strict=True)), found


def test_where_the_bucket_moves_small_objects_a_plain_rule_archives_control_files() -> None:
    assert len(endangering([rule(**GLACIER)], Keys("a/"), minimum="varies_by_storage_class")) == 1
    store = BucketStore(rule(**GLACIER), TransitionDefaultMinimumObjectSize="varies_by_storage_class")
    assert noted(
        lifecycle(store).preview(noncurrent_days=1),
        "beware, somebody else's rule 'r' archives records/_jobs/format.json",
    )


def test_rules_of_our_own_endanger_no_control_file_and_others_are_named() -> None:
    store = BucketStore(rule(ID="everything", Expiration={"Days": 9}))
    mine = lifecycle(store)
    plan = mine.add(transition={"GLACIER": 1}, expire_days=99, larger_than_bytes=128, allow_deleting_records=True)
    assert (
        len([note for note in plan.notes if note.startswith("beware, somebody else's rule 'everything' deletes")]) == 2
    )
    assert [said for said in endangering(mine.ours(), Keys("records/")) if "_jobs/" in said] == []
    assert len([note for note in mine.preview("b", noncurrent_days=1).notes if "beware" in note]) == 2, (
        "ours are not foreign"
    )


# ---------------------------------------------------------------------------------------------- words, dates, errors
def test_rules_in_words() -> None:
    one = rule(
        Transitions=[{"Days": 1, "StorageClass": "GLACIER"}],
        Expiration={"Date": "2030-01-01T00:00:00Z"},
        NoncurrentVersionExpiration={"NoncurrentDays": 3, "NewerNoncurrentVersions": 2},
        NoncurrentVersionTransitions=[{"NoncurrentDays": 2, "StorageClass": "GLACIER_IR"}],
        Filter={"And": {"Prefix": "a/", "Tags": [{"Key": "k", "Value": "v"}], "ObjectSizeGreaterThan": 5000}},
        Status="Disabled",
    )
    assert words(one) == (
        "GLACIER after 1 day; deleted on 2030-01-01; old versions to GLACIER_IR after 2 days; "
        "old versions deleted after 3 days, the newest 2 kept; below 'a/', over 5,000 bytes, tagged k=v (disabled)"
    )
    other = rule(
        Expiration={"ExpiredObjectDeleteMarker": True}, AbortIncompleteMultipartUpload={"DaysAfterInitiation": 7}
    )
    assert words(other) == (
        "deletions without older versions forgotten; unfinished uploads thrown away after 7 days; in the whole bucket"
    )


@pytest.mark.parametrize(
    "chosen",
    [
        Selection(),
        Selection("a/"),
        Selection(larger=1),
        Selection(tags={"a": "b"}),
        Selection("p", {"a": "b", "c": ""}, 1, 9),
    ],
)
def test_a_filter_is_read_as_it_was_written(chosen: Selection) -> None:
    assert Selection.of({"Filter": chosen.filter()}) == chosen


def test_dates_are_midnight_in_utc() -> None:
    assert midnight("2030-01-01") == midnight(datetime(2030, 1, 1)) == midnight("2030-01-01T02:00:00+02:00")
    assert midnight("2030-01-01T00:00:00.000Z") == "2030-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("operation", "permission"),
    [
        ("GetBucketLifecycleConfiguration", "s3:GetLifecycleConfiguration"),
        ("PutBucketLifecycleConfiguration", "s3:PutLifecycleConfiguration"),
        ("DeleteBucketLifecycle", "s3:PutLifecycleConfiguration"),
    ],
)
def test_a_missing_permission_is_named(operation: str, permission: str) -> None:
    store = BucketStore()
    mine = lifecycle(store)
    mine.add("x", noncurrent_days=1)
    store.faults[operation] = Fault(Kind.DENIED, "no", status=403, code="AccessDenied")
    with pytest.raises(DataknobsDataError, match=f"grant this identity {permission}"):
        mine.remove() if operation == "DeleteBucketLifecycle" else mine.add("y", noncurrent_days=1)
