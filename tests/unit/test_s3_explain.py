"""What restoring and keeping cost, by a price table in round numbers and by the real one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from dataknobs_data.exceptions import ConfigurationError, QueryError
from dataknobs_data.query import Query
from dataknobs_data.s3.costs.estimate import Estimate, counted, money, size, span
from dataknobs_data.s3.costs.explain import Explain
from dataknobs_data.s3.costs.prices import GB, default_prices
from dataknobs_data.s3.costs.restoring import RestoreWork, restore_estimate
from dataknobs_data.s3.costs.storage import Keeping, StorageEstimate
from tests.unit.s3_archives import Bench
from tests.unit.s3_fakes import START

HOURS = timedelta(hours=1)
KB = 1024


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.many.close()


# ---------------------------------------------------------------------------------------------- restoring
def work(
    archive: str, objects: int, bytes_each: int, *, extends: bool = False, begun: RestoreWork | None = None
) -> RestoreWork:
    made = begun or RestoreWork()
    for _ in range(objects):
        made.add(archive, bytes_each, extends=extends)
    return made


@pytest.mark.parametrize(
    ("archive", "tier", "dollars", "hours"),
    [
        ("GLACIER", "Expedited", 1000 * 0.01 + 10 * 0.03 + 10 * 0.023, (1 / 60, 5 / 60)),
        ("GLACIER", "Standard", 0.05 + 10 * 0.01 + 10 * 0.023, (3, 5)),
        ("GLACIER", "Bulk", 10 * 0.023, (5, 12)),
        ("DEEP_ARCHIVE", "Standard", 0.10 + 10 * 0.02 + 10 * 0.023, (0, 12)),
        ("DEEP_ARCHIVE", "Bulk", 0.025 + 10 * 0.0025 + 10 * 0.023, (0, 48)),
        ("ARCHIVE_ACCESS", "Expedited", 1000 * 0.01 + 10 * 0.03, (1 / 60, 5 / 60)),
        ("ARCHIVE_ACCESS", "Standard", 0.0, (3, 5)),
        ("DEEP_ARCHIVE_ACCESS", "Bulk", 0.0, (0, 48)),
    ],
)
def test_restoring_a_thousand_records_of_10_gb_in_all_for_a_month(
    archive: str, tier: str, dollars: float, hours: tuple[float, float]
) -> None:
    found = restore_estimate(default_prices(), work(archive, 1000, 10 * GB // 1000), days=30, tier=tier)
    assert found.dollars == pytest.approx(dollars, rel=1e-6)
    assert (found.shortest, found.longest) == (hours[0] * HOURS, hours[1] * HOURS)
    assert (found.objects, found.requests["RestoreObject"]) == (1000, 1000)
    assert next(offer for offer in found.offers if offer.tier == tier).dollars == pytest.approx(dollars)


def test_the_copy_costs_by_the_days() -> None:
    bulk = [restore_estimate(default_prices(), work("GLACIER", 1, GB), days=days, tier="Bulk") for days in (1, 60)]
    assert [one.dollars for one in bulk] == [pytest.approx(0.023 / 30), pytest.approx(0.046)]


def test_what_is_restored_already_pays_the_request_and_the_copy_only() -> None:
    """API_RestoreObject: "charges only for the request-there are no data transfer charges"."""
    extended = work("GLACIER", 1000, GB // 1000, extends=True)
    found = restore_estimate(default_prices(), extended, days=30, tier="Standard")
    assert found.dollars == pytest.approx(0.05 + 0.023, rel=1e-6)
    assert found.time is None
    assert "1,000 objects can be read already, and will be for longer" in found.notes


def test_looking_is_paid_too() -> None:
    found = restore_estimate(default_prices(), RestoreWork(looked=1000, listed=1000), days=1, tier="Standard")
    assert found.dollars == pytest.approx(0.0004 + 0.005)
    assert found.offers == ()


def test_of_two_archives_the_slower_counts_and_the_tiers_of_both() -> None:
    both = work("DEEP_ARCHIVE", 1, GB, begun=work("GLACIER", 1, 300 * 1024**2))
    found = restore_estimate(default_prices(), both, days=1, tier="Standard")
    assert found.time == "3 to 12 hours"
    assert [offer.tier for offer in found.offers] == ["Standard", "Bulk"]
    assert any("larger ones take longer" in note for note in found.notes)


def test_explain_restore_is_the_estimate_of_a_dry_run(bench: Bench) -> None:
    bench.put("a", "b", size=GB)
    explain = Explain(bench.engine)
    found = explain.restore(["a", "b"], days=2, tier="expedited")
    assert found == bench.restore(["a", "b"], days=2, tier="Expedited", dry_run=True).estimate
    assert bench.store.asked == []
    assert str(found).splitlines() == [
        "restoring for 2 days (Expedited): 2 objects, 2 GB",
        "requests: 2 HeadObject, 2 RestoreObject",
        "cost: $0.083 (prices of us-east-1, 2026-11-22)",
        "time: 1 to 5 minutes",
        "tiers: Expedited: $0.083, 1 to 5 minutes; Standard: $0.023, 3 to 5 hours; Bulk: $0.0031, 5 to 12 hours",
        "note: S3 may refuse Expedited when it has no capacity left, unless capacity was bought; Standard always works",
        "note: the times are for objects below 250 MB; larger ones take longer",
    ]
    dear = replace(default_prices(), region="moon", archives={**default_prices().archives})
    assert "prices of moon" in str(explain.restore("a", prices=dear))


# ---------------------------------------------------------------------------------------------- keeping
def keeping(storage_class: str, *objects: tuple[str, int, int]) -> StorageEstimate:
    """`objects`: class, how many, bytes of each."""
    made = Keeping(default_prices(), storage_class)
    for one, count, bytes_each in objects:
        for _ in range(count):
            made.add(one, bytes_each)
    return made.estimate(1)


def test_a_million_small_records_are_13_times_dearer_in_glacier_unless_packed() -> None:
    """The design's figure, from the table: 1 KB each."""
    found = keeping("GLACIER", ("STANDARD", 1_000_000, KB))
    assert found.dollars_per_month_now == pytest.approx(0.0219, rel=0.01)
    assert found.dollars_per_month_then / found.dollars_per_month_now == pytest.approx(13.17, abs=0.01)
    assert found.dollars == pytest.approx(1_000_000 * 0.03 / 1000)
    assert found.months_until_it_pays is None
    text = str(found)
    assert "a month: $0.022 now, $0.29 then (13 times as much)" in text
    assert "moving them never pays" in text
    assert "paid for as 32 KB more there, and 8 KB more at the price of STANDARD" in text
    assert (
        "in one object the same bytes would cost $0.0034 a month there; as 1,000,000 they cost 84 times as much" in text
    )
    assert "1,000,000 objects below 128 KB: lifecycle rules leave these where they are" in text
    assert "90 days at least, also when it is deleted or replaced earlier" in text


def test_large_records_pay_and_it_is_said_when() -> None:
    found = keeping("GLACIER", ("STANDARD", 1000, 1024**2))
    now, then = 1000 * 1024**2 / GB * 0.023, 1000 * ((1024**2 + 32 * KB) * 0.0036 + 8 * KB * 0.023) / GB
    assert (found.dollars_per_month_now, found.dollars_per_month_then) == (pytest.approx(now), pytest.approx(then))
    assert found.months_until_it_pays == pytest.approx(0.03 / (now - then))
    assert "now, $0.0038 then (0.17 times as much)" in str(found)
    assert "moving them pays after 1.6 months" in str(found)
    assert found.requests == {"ListObjectsV2": 1, "HeadObject": 0, "LifecycleTransition": 1000, "CopyObject": 0}


def test_empty_objects_cost_nothing_anywhere() -> None:
    found = keeping("STANDARD", ("STANDARD", 2, 0))
    assert (found.dollars_per_month_then, list(found.notes)) == (0, [])


def test_what_is_there_already_is_not_moved() -> None:
    found = keeping("GLACIER", ("GLACIER", 3, GB))
    assert (found.moved, found.dollars, found.months_until_it_pays) == (0, 0, 0)
    assert found.dollars_per_month_now == found.dollars_per_month_then
    assert "all of them are there already" in str(found)


@pytest.mark.parametrize(
    ("to", "since", "once", "said"),
    [
        ("STANDARD_IA", "STANDARD", 0.01 / 1000, None),
        ("STANDARD", "STANDARD_IA", 0.005 / 1000 + 0.01, "no lifecycle rule moves 1 object to STANDARD"),
        ("STANDARD_IA", "GLACIER_IR", 0.01 / 1000 + 0.03, "has to be written again"),
        ("STANDARD", "GLACIER", 0.005 / 1000, "archived ones restored before"),
        ("DEEP_ARCHIVE", "GLACIER", 0.05 / 1000, None),
        ("GLACIER", "DEEP_ARCHIVE", 0.03 / 1000, "archived ones restored before"),
        ("EXPRESS_ONEZONE", "STANDARD", 0.00113 / 1000, "no lifecycle rule moves 1 object to EXPRESS_ONEZONE"),
        ("STANDARD_IA", "SNOW", 0.01 / 1000, "the price table has no class SNOW; it is reckoned as STANDARD"),
    ],
)
def test_moving_costs_a_transition_down_and_a_copy_up(to: str, since: str, once: float, said: str | None) -> None:
    found = keeping(to, (since, 1, GB))
    assert found.dollars == pytest.approx(once)
    assert said is None or said in str(found)
    assert (said is None) is (found.requests["CopyObject"] == 0)


@pytest.mark.parametrize(
    ("storage_class", "said"),
    [
        ("STANDARD_IA", "an object below 128 KB is paid for as 128 KB there"),
        ("STANDARD_IA", "an object is paid for 30 days at least"),
        ("GLACIER_IR", "reading costs $0.03 per GB"),
        ("DEEP_ARCHIVE", "an object is paid for 180 days at least"),
        ("DEEP_ARCHIVE", "restored before they can be read (Standard: up to 12 hours; Bulk: up to 48 hours)"),
        ("INTELLIGENT_TIERING", "objects from 128 KB on to cheaper tiers"),
    ],
)
def test_the_small_print_is_said(storage_class: str, said: str) -> None:
    assert said in str(keeping(storage_class, ("STANDARD", 1, GB)))


def test_explain_storage_looks_at_what_is_there(bench: Bench) -> None:
    bench.store.page_size = 2
    bench.put("2023/a", "2023/b", "2024/c", storage_class="STANDARD", size=GB)
    explain = Explain(bench.engine)
    found = explain.storage("deep_archive")
    assert (found.objects, found.bytes, found.requests["ListObjectsV2"]) == (3, 3 * GB, 2)
    assert found.dollars_per_month_now == pytest.approx(3 * 0.023)
    some = explain.storage("DEEP_ARCHIVE", Query().filter("id", "starts_with", "2023/"))
    assert some.objects == 2
    named = explain.storage("DEEP_ARCHIVE", Query().filter("id", "in", ["2024/c", "none"]))
    assert (named.objects, named.requests["HeadObject"]) == (1, 2)
    assert explain.storage("GLACIER", Query().filter("id", "=", "none")).objects == 0
    assert bench.store.asked == []


def test_explain_storage_refuses_what_it_cannot_know(bench: Bench) -> None:
    bench.put("a", storage_class="STANDARD")
    explain = Explain(bench.engine)
    with pytest.raises(ConfigurationError, match="no storage class 'GLACIR'; did you mean 'glacier'"):
        explain.storage("GLACIR")
    assert bench.control.caller.meter.usage().total == 0
    with pytest.raises(QueryError, match="the content of 1 record"):
        explain.storage("GLACIER", Query().filter("n", "=", 1))
    bench.put("b", ready=START)
    assert explain.storage("GLACIER").objects == 2


# ---------------------------------------------------------------------------------------------- words
@pytest.mark.parametrize(
    ("dollars", "text"),
    [
        (0, "$0"),
        (1234.5, "$1,234.50"),
        (1, "$1.00"),
        (0.0834, "$0.083"),
        (0.01, "$0.01"),
        (0.0000512, "$0.000051"),
        (2e-7, "less than $0.000001"),
    ],
)
def test_money_shows_the_digits_that_say_something(dollars: float, text: str) -> None:
    assert money(dollars) == text


def test_other_words() -> None:
    assert [size(n) for n in (0, 1023, 1024, 1536, 5 * GB)] == ["0 bytes", "1,023 bytes", "1 KB", "1.5 KB", "5 GB"]
    assert size(2**60) == "1,048,576 TB"
    assert [counted(n, "record") for n in (0, 1, 2000)] == ["0 records", "1 record", "2,000 records"]
    assert span(timedelta(minutes=1), timedelta(minutes=5)) == "1 to 5 minutes"
    assert span(timedelta(0), timedelta(hours=48)) == "up to 48 hours"
    assert str(Estimate("looking", {}, 0, 0, 0.0, "prices of X")).splitlines()[1] == "requests: none"
