"""Restoring: what the headers mean, what is asked for, what the answers mean, waiting, and which records are meant."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dataknobs_data.exceptions import (
    BatchError,
    DatabaseConnectionError,
    DatabaseOperationError,
    IncompatibleStoreError,
    QueryError,
    RecordValidationError,
    ThrottledError,
)
from dataknobs_data.query import Query
from dataknobs_data.s3.archive.choosing import decision
from dataknobs_data.s3.archive.run import PATIENCE, UNANSWERED_MAX, finished
from dataknobs_data.s3.archive.states import Restoration, RestoreState, status_of
from dataknobs_data.s3.cache import Held
from dataknobs_data.s3.store import Fault, Head, Kind
from tests.unit.s3_archives import Bench, in_progress
from tests.unit.s3_fakes import START

HOUR = 3600.0
DAY = timedelta(days=1)


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.many.close()


# ---------------------------------------------------------------------------------------------- headers
NOW = datetime(2026, 1, 1, tzinfo=UTC)
LATER = "Fri, 02 Jan 2026 00:00:00 GMT"


def head(storage_class: str = "GLACIER", restore: str | None = None, status: str | None = None) -> Head:
    return Head('"e"', 5, {}, NOW, storage_class, restore, NOW, status)


@pytest.mark.parametrize(
    ("headers", "state", "until"),
    [
        (head("STANDARD"), RestoreState.NOT_ARCHIVED, None),
        (head("GLACIER_IR"), RestoreState.NOT_ARCHIVED, None),
        (head("INTELLIGENT_TIERING"), RestoreState.NOT_ARCHIVED, None),
        (head("INTELLIGENT_TIERING", status="ARCHIVE_ACCESS"), RestoreState.ARCHIVED, None),
        (
            head("INTELLIGENT_TIERING", 'ongoing-request="true"', "DEEP_ARCHIVE_ACCESS"),
            RestoreState.IN_PROGRESS,
            None,
        ),
        (head("INTELLIGENT_TIERING", 'ongoing-request="false"'), RestoreState.NOT_ARCHIVED, None),
        (head(), RestoreState.ARCHIVED, None),
        (head(restore=""), RestoreState.ARCHIVED, None),
        (head("DEEP_ARCHIVE"), RestoreState.ARCHIVED, None),
        (head(restore='ongoing-request="true"'), RestoreState.IN_PROGRESS, None),
        (head(restore="Ongoing-Request = true"), RestoreState.IN_PROGRESS, None),
        (head(restore=f'ongoing-request="false", expiry-date="{LATER}"'), RestoreState.RESTORED, NOW + DAY),
        (head(restore=f'expiry-date="{LATER}",ongoing-request="false"'), RestoreState.RESTORED, NOW + DAY),
        (head(restore='ongoing-request="false", expiry-date="2026-01-02T00:00:00Z"'), RestoreState.RESTORED, NOW + DAY),
        (head(restore='ongoing-request="false"'), RestoreState.RESTORED, None),
        (
            head(restore='ongoing-request="false", expiry-date="Thu, 01 Jan 2026 00:00:00 GMT"'),
            RestoreState.ARCHIVED,
            None,
        ),
        (None, RestoreState.MISSING, None),
    ],
)
def test_headers_tell_how_a_record_stands(headers: Head | None, state: RestoreState, until: datetime | None) -> None:
    status = status_of("a", headers)
    assert (status.state, status.until) == (state, until)
    assert status.readable is (state in (RestoreState.RESTORED, RestoreState.NOT_ARCHIVED))


@pytest.mark.parametrize("restore", ["soon", "ongoing-request=maybe", 'ongoing-request="false", expiry-date="never"'])
def test_headers_that_make_no_sense_are_a_fault(restore: str) -> None:
    with pytest.raises(Fault, match="x-amz-restore"):
        status_of("a", head(restore=restore))


def test_a_status_reads_well() -> None:
    assert str(status_of("a", head())) == "a: archived"
    restored = head(restore=f'ongoing-request="false", expiry-date="{LATER}"')
    assert str(status_of("2024/a", restored)) == "2024/a: restored until 2026-01-02 00:00 UTC"


# ---------------------------------------------------------------------------------------------- asking
def test_every_record_stands_in_its_group(bench: Bench) -> None:
    bench.put("cold", "busy", "old")
    bench.put("warm", storage_class="STANDARD_IA")
    bench.put("copy", ready=START, until=START + 30 * DAY)
    bench.put("ends", ready=START, until=START + 2 * DAY)
    bench.put("busy", ready=START + DAY)
    found = bench.restore(["warm", "cold", "busy", "copy", "ends", "none", "cold"])
    assert found.requested == ("cold",)
    assert found.in_progress == ("busy",)
    assert found.restored == ("copy", "ends")
    assert found.not_archived == ("warm",)
    assert found.missing == ("none",)
    assert found.waiting == ("cold", "busy")
    assert not found.done
    request = {"Days": 7, "GlacierJobParameters": {"Tier": "Standard"}}
    assert sorted(bench.store.asked) == [("cold", request), ("ends", request)], "nothing that is there already"
    assert found.summary() == "6 records: 1 requested, 1 in progress, 2 restored, 1 not archived, 1 missing"
    assert bench.store.objects["ends"].until == START + 7 * DAY


def test_a_dry_run_asks_for_nothing(bench: Bench) -> None:
    bench.put("a", "b", size=512 * 1024)
    planned: list[Restoration] = []
    sent = bench.sent(lambda: planned.append(bench.restore(["a", "b"], days=30, tier="bulk", dry_run=True)))
    assert sent == {"HeadObject": 2}
    assert planned[0].requested == ("a", "b")
    assert planned[0].done
    assert planned[0].tier == "Bulk"
    assert "2 to be requested" in planned[0].summary()
    assert bench.sent(lambda: bench.restore(["a", "b"])) == {"HeadObject": 2, "RestoreObject": 2}
    assert planned[0].estimate.requests["RestoreObject"] == 2


def test_days_are_not_sent_for_tiers_of_intelligent_tiering(bench: Bench) -> None:
    """API_RestoreObject; S3InitiateRestoreObjectOperation: "specifying ExpirationInDays results in … failure"."""
    bench.put("a", storage_class="INTELLIGENT_TIERING", archive_status="ARCHIVE_ACCESS")
    bench.put("b", storage_class="INTELLIGENT_TIERING")
    found = bench.restore(["a", "b"], tier="Expedited", wait=True)
    assert bench.store.asked == [("a", {"GlacierJobParameters": {"Tier": "Expedited"}})]
    assert (found.restored, found.not_archived) == (("a",), ("b",))


@pytest.mark.parametrize(
    ("answers", "group"),
    [
        ([in_progress()], "in_progress"),
        ([Kind.NETWORK, in_progress()], "requested"),
        ([Kind.SERVER], "requested"),
        ([Fault(Kind.ARCHIVED, "403", status=403, code="InvalidObjectState")], "not_archived"),
        ([Fault(Kind.REFUSED, "403", status=403, code="ObjectAlreadyInActiveTierError")], "not_archived"),
        ([Fault(Kind.MISSING, "404", status=404, code="NoSuchKey")], "missing"),
    ],
)
def test_what_the_answers_mean(bench: Bench, answers: list[Fault | Kind], group: str) -> None:
    bench.put("a")
    bench.store.answers["RestoreObject", "a"] = answers
    assert getattr(bench.restore("a"), group) == ("a",)


@pytest.mark.parametrize(
    ("answer", "error", "said"),
    [
        (
            Fault(Kind.REFUSED, "503", status=503, code="GlacierExpeditedRetrievalNotAvailable"),
            ThrottledError,
            "no capacity for Expedited retrievals just now .*ask for tier 'Standard'",
        ),
        (
            Fault(Kind.UNSUPPORTED, "405", status=405, code="MethodNotAllowed"),
            IncompatibleStoreError,
            "try read",
        ),
        (Fault(Kind.DENIED, "403", status=403), DatabaseConnectionError, "grant this identity s3:RestoreObject"),
        (Fault(Kind.REFUSED, "400", status=400, code="MalformedXML"), DatabaseOperationError, "restoring record 'a'"),
    ],
)
def test_one_record_that_fails_is_said_plainly(bench: Bench, answer: Fault, error: type[Exception], said: str) -> None:
    bench.put("a")
    bench.store.answers["RestoreObject", "a"] = [answer]
    with pytest.raises(error, match=said) as caught:
        bench.restore("a", tier="expedited")
    assert "'a'" in str(caught.value)
    assert len(bench.store.asked) == 1, "none of these is sent again"


def test_records_that_fail_hide_no_others(bench: Bench) -> None:
    bench.put("a", "b", "c", "d")
    bench.store.answers["RestoreObject", "b"] = [Fault(Kind.REFUSED, "400", status=400, code="Odd")]
    bench.store.answers["HeadObject", "c"] = [Fault(Kind.DENIED, "403", status=403)]
    with pytest.raises(BatchError, match="restore: 2 of 4 records failed") as caught:
        bench.restore(["a", "b", "c", "d"], wait=True)
    found = caught.value.context["restoration"]
    assert found.restored == ("a", "d"), "the others were waited for"
    assert set(found.failed) == {"b", "c"}
    assert caught.value.succeeded == {0: "a", 3: "d"}
    assert caught.value.failed_indices == [1, 2]
    assert "s3:GetObject" in str(found.failed["c"])


def test_records_that_fail_differently_are_all_named(bench: Bench) -> None:
    bench.put("a", "b")
    bench.store.answers["RestoreObject", "a"] = [Fault(Kind.REFUSED, "400", status=400, code="Odd")]
    bench.store.answers["RestoreObject", "b"] = [Fault(Kind.DENIED, "403", status=403)]
    with pytest.raises(BatchError, match="restore: 2 of 2 records failed") as caught:
        bench.restore(["a", "b"])
    assert caught.value.context["failed_ids"] == ["a", "b"]


def test_where_nothing_answers_no_more_is_sent() -> None:
    bench = Bench(workers=1)
    bench.put(*(ids := [f"{n:03}" for n in range(50)]))
    bench.store.answers["RestoreObject", "*"] = [Fault(Kind.DENIED, "403", status=403) for _ in ids]
    with pytest.raises(DatabaseConnectionError, match="s3:RestoreObject"):
        bench.restore(ids)
    assert len(bench.store.asked) == UNANSWERED_MAX
    bench.many.close()


def test_answers_in_between_let_it_go_on() -> None:
    bench = Bench(workers=1)
    bench.put(*(ids := [f"{n:03}" for n in range(50)]))
    for id in ids[::2]:
        bench.store.answers["RestoreObject", id] = [Fault(Kind.DENIED, "403", status=403)]
    with pytest.raises(BatchError, match="25 of 50 records failed"):
        bench.restore(ids)
    assert len(bench.store.asked) == 50
    bench.many.close()


def test_a_store_that_cannot_restore_is_asked_once() -> None:
    bench = Bench(workers=1)
    bench.put(*(ids := [f"{n:03}" for n in range(50)]))
    bench.store.answers["RestoreObject", "*"] = [Fault(Kind.UNSUPPORTED, "501", status=501) for _ in ids]
    with pytest.raises(IncompatibleStoreError):
        bench.restore(ids)
    assert len(bench.store.asked) == 1
    bench.many.close()


def test_a_missing_bucket_is_no_missing_record(bench: Bench) -> None:
    bench.store.has_bucket = False
    with pytest.raises(DatabaseConnectionError, match="no such bucket"):
        bench.restore("a")
    with pytest.raises(DatabaseConnectionError, match="no such bucket"):
        bench.archive.status(["a"])


def test_thousands_and_none() -> None:
    bench = Bench(hours=0)
    bench.put(*(ids := [f"{n:05}" for n in range(3000)]))
    assert bench.restore(iter(ids), wait=True).restored == tuple(ids)
    assert bench.restore([]).summary() == "no archived records"
    bench.many.close()


# ---------------------------------------------------------------------------------------------- wrong input
@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"days": 0}, "days is 0, but must be a whole number, 1 or more"),
        ({"days": 1.5}, "days is 1.5"),
        ({"days": True}, "days is True"),
        ({"tier": "Standart"}, "there is no tier 'Standart'; did you mean 'standard'?"),
        ({"tier": None}, "there is no tier None; it is one of 'bulk', 'expedited', 'standard'"),
        ({"timeout": -1}, "timeout is -1"),
        ({"timeout": float("nan")}, "timeout is nan"),
        ({"which": 7}, "give an id, ids or a Query, not int"),
        ({"which": b"a"}, "not bytes"),
        ({"which": {"a": 1}}, "not dict"),
        ({"which": Query().limit(3)}, "limit and offset cannot be used"),
        ({"which": Query().offset(3)}, "limit and offset cannot be used"),
    ],
)
def test_wrong_input_is_refused_before_anything_is_sent(bench: Bench, how: dict[str, Any], said: str) -> None:
    bench.put("a")
    with pytest.raises(QueryError, match=re.escape(said)):
        bench.restore(**{"which": "a", **how})
    assert bench.control.caller.meter.usage().total == 0


@pytest.mark.parametrize("which", ["", ["a", ""], ["a", 5], "x" * 1100, ["a", "\ud800"]])
def test_what_is_no_id_is_refused_before_anything_is_sent(bench: Bench, which: Any) -> None:
    with pytest.raises(RecordValidationError):
        bench.restore(which)
    assert bench.control.caller.meter.usage().total == 0


def test_a_tier_that_the_archive_lacks_is_refused_before_anything_is_asked(bench: Bench) -> None:
    bench.put("a", "b")
    bench.put("deep", "deeper", storage_class="DEEP_ARCHIVE")
    with pytest.raises(
        QueryError, match=r"no Expedited retrieval from DEEP_ARCHIVE, where record 'deep' lies and 1 more; use St"
    ):
        bench.restore(["a", "deep", "b", "deeper"], tier="Expedited")
    assert bench.store.asked == []
    assert bench.restore(["a", "deep"], tier="Bulk").requested == ("a", "deep")


# ---------------------------------------------------------------------------------------------- waiting
def test_waiting_looks_at_growing_intervals_and_tells(bench: Bench) -> None:
    bench.put("a", "b")
    bench.put("c", ready=START, until=START + 30 * DAY)
    heard: list[Restoration] = []
    found = bench.restore(["a", "b", "c"], wait=True, on_progress=heard.append)
    assert found.restored == ("a", "b", "c")
    assert found.done
    assert bench.world.slept[:9] == [1, 2, 4, 8, 16, 32, 64, 128, 256]
    assert set(bench.world.slept[9:]) == {300}
    assert 4 * HOUR <= bench.world.seconds < 4 * HOUR + 300
    assert [one.waiting for one in heard][:-1] == [("a", "b")] * (len(heard) - 1)
    assert heard[-1] == found
    assert bench.store.heads.count("c") == 1, "what can be read is not looked at again"


def test_expedited_is_looked_at_more_often() -> None:
    bench = Bench(hours=0.1)
    bench.put("a")
    bench.restore("a", tier="Expedited", wait=True)
    assert max(bench.world.slept) == 30


def test_a_timeout_returns_what_is_still_on_its_way(bench: Bench) -> None:
    bench.put("a")
    found = bench.restore("a", wait=True, timeout=100)
    assert found.waiting == ("a",)
    assert bench.world.seconds == 100
    [status] = bench.archive.status(found.waiting)
    assert status.state is RestoreState.IN_PROGRESS
    again = bench.restore("a", wait=True, timeout=5 * HOUR)
    assert again.restored == ("a",)
    assert len(bench.store.asked) == 1
    assert bench.restore("b", wait=True, timeout=0).missing == ("b",)


def test_one_look_where_the_timeout_is_zero(bench: Bench) -> None:
    bench.put("a")
    assert bench.restore("a", wait=True, timeout=0).waiting == ("a",)
    assert bench.world.slept == []


def test_a_record_that_is_deleted_or_written_anew_meanwhile(bench: Bench) -> None:
    bench.put("gone", "warm")

    def meddle(heard: Restoration) -> None:
        bench.store.objects.pop("gone", None)
        bench.put("warm", storage_class="STANDARD")

    found = bench.restore(["gone", "warm"], wait=True, on_progress=meddle)
    assert (found.missing, found.restored) == (("gone",), ("warm",))


def test_a_restore_that_comes_to_nothing_is_given_up(bench: Bench) -> None:
    bench.put("a", "b")

    def meddle(heard: Restoration) -> None:
        bench.put("a")

    with pytest.raises(BatchError, match="S3 shows no restore of it under way") as caught:
        bench.restore(["a", "b"], wait=True, on_progress=meddle)
    assert caught.value.context["restoration"].restored == ("b",)


def test_looks_that_fail_in_passing_do_not_end_the_waiting(bench: Bench) -> None:
    bench.put("a")
    looked = Fault(Kind.DENIED, "403", status=403)
    steps = bench.archive.restore("a", days=1, tier="Standard", wait=True)
    bench.world.sleep(next(steps))
    bench.store.answers["HeadObject", "a"] = [looked] * (PATIENCE - 1)
    assert finished(steps, bench.world.sleep).restored == ("a",)
    assert bench.store.answers["HeadObject", "a"] == []


def test_failures_count_in_a_row_only(bench: Bench) -> None:
    bench.put("a")
    steps = bench.archive.restore("a", days=1, tier="Standard", wait=True)
    for _ in range(3):
        bench.world.sleep(next(steps))
        bench.store.answers["HeadObject", "a"] = [Fault(Kind.DENIED, "403", status=403)] * (PATIENCE - 1)
        for _ in range(PATIENCE - 1):
            bench.world.sleep(next(steps))
    assert finished(steps, bench.world.sleep).restored == ("a",)


def test_looks_that_go_on_failing_end_it(bench: Bench) -> None:
    bench.put("a")
    steps = bench.archive.restore("a", days=1, tier="Standard", wait=True)
    bench.world.sleep(next(steps))
    bench.store.answers["HeadObject", "a"] = [Fault(Kind.DENIED, "403", status=403)] * PATIENCE
    with pytest.raises(DatabaseConnectionError, match="looking how record 'a' stands"):
        finished(steps, bench.world.sleep)


# ---------------------------------------------------------------------------------------------- queries
def test_a_query_is_decided_by_ids(bench: Bench) -> None:
    bench.put("2023/a", "2024/b", "2024/c", "2024/d")
    bench.put("2024/warm", storage_class="STANDARD")
    bench.put("2024/tier", storage_class="INTELLIGENT_TIERING")
    bench.store.page_size = 2
    found: list[Restoration] = []
    query = Query().filter("id", "starts_with", "2024/").filter("id", "!=", "2024/c").sort("id", "DESC")
    sent = bench.sent(lambda: found.append(bench.restore(query)))
    assert found[0].requested == ("2024/b", "2024/d")
    assert (found[0].not_archived, found[0].missing) == ((), ()), "only what is archived matters"
    assert sent == {"ListObjectsV2": 3, "HeadObject": 3, "RestoreObject": 2}
    assert found[0].estimate.requests == sent
    assert [one.id for one in bench.archive.status(Query())] == ["2023/a", "2024/b", "2024/c", "2024/d"]


def test_ids_in_a_query_take_no_listing(bench: Bench) -> None:
    bench.put("a", "b")
    found: list[Restoration] = []
    query = Query().filter("id", "in", ["b", "a", "none"])
    sent = bench.sent(lambda: found.append(bench.restore(query)))
    assert (found[0].requested, found[0].missing) == (("a", "b"), ())
    assert "ListObjectsV2" not in sent
    assert found[0].estimate.requests["HeadObject"] == sent["HeadObject"]


def test_what_only_archived_content_could_decide_is_refused(bench: Bench) -> None:
    bench.put("a", "b", "c")
    bench.put("warm", storage_class="STANDARD")
    with pytest.raises(
        QueryError, match=r"the content of 3 records \(such as 'a'\).*name ids, ask for ids only"
    ) as caught:
        bench.restore(Query().filter("n", ">", 1))
    assert caught.value.context == {"undecided": 3, "example": "a"}
    assert bench.store.asked == []


def test_memory_decides_where_it_has_what_is_listed(bench: Bench) -> None:
    bench.put("a", "b", "c")
    for id, n, etag in (("a", 1, '"a"'), ("b", 2, '"b"'), ("c", 2, '"old"')):
        bench.cache.put(f"r/{id}.json", Held(b'{"data": {"n": %d}}' % n, etag, "2026-01-01T00:00:00.000000Z"))
    with pytest.raises(QueryError, match=r"1 record \(such as 'c'\)"):
        bench.restore(Query().filter("n", "=", 2))
    assert bench.restore(Query().filter("n", "=", 2).filter("id", "<", "c")).requested == ("b",)


@pytest.mark.parametrize(
    ("query", "answer"),
    [
        (Query(), True),
        (Query().filter("id", "=", "a"), True),
        (Query().filter("id", "!=", "a"), False),
        (Query().filter("n", "=", 1), None),
        (Query().filter("n", "=", 1).filter("id", "=", "b"), False),
        (Query().filter("n", "=", 1).filter("id", "=", "a"), None),
        (Query().filter("n", "=", 1).or_(Query().filter("id", "=", "a").expression), True),
        (Query().filter("n", "=", 1).or_(Query().filter("id", "=", "b").expression), None),
        (Query().not_(Query().filter("n", "=", 1).expression), None),
        (Query().not_(Query().filter("id", "=", "b").expression), True),
    ],
)
def test_what_is_not_known_is_not_guessed(query: Query, answer: bool | None) -> None:
    assert decision(query.expression)("a", None) is answer
