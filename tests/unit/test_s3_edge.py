"""What an answer of a read endpoint is worth, when one is asked, and which endpoints there can be."""

from __future__ import annotations

import logging
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest

from dataknobs_data.exceptions import ConfigurationError
from dataknobs_data.s3.cache import KNOWN_BITS, Held, RecordCache, WriteClock
from dataknobs_data.s3.calls import Caller
from dataknobs_data.s3.edge import REST_SECONDS, Answer, Edge, NoCopy, copy_of
from dataknobs_data.s3.keys import Keys
from dataknobs_data.s3.objects import Objects
from dataknobs_data.s3.settings import s3_settings
from dataknobs_data.s3.store import Fault, Kind, Listed, PutOptions
from tests.unit.s3_fakes import DictStore, FakeWorld, caller

BODY = b'{"id": "a", "data": {}}'
HEADERS = {"etag": '"1"', "content-length": str(len(BODY)), "last-modified": "Thu, 01 Jan 2026 00:00:00 GMT"}
COPY = Held(BODY, '"1"', "2026-01-01T00:00:00+00:00")
OLD = Held(b"old", '"0"', "2025-01-01T00:00:00+00:00")


def answer(status: int = 200, body: bytes = BODY, **headers: str | None) -> Answer:
    """A good answer with some headers changed, or without them."""
    changed = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, {name: value for name, value in (HEADERS | changed).items() if value is not None}, body)


# ---------------------------------------------------------------------------------------------- answers
def test_a_whole_document_is_a_copy() -> None:
    found = copy_of(answer(), None)
    assert isinstance(found, Held)
    assert (found.body, found.etag, found.modified[:19]) == (BODY, '"1"', "2026-01-01T00:00:00")
    assert isinstance(copy_of(answer(content_encoding="Identity"), None), Held)


@pytest.mark.parametrize("etag", ['"0"', None])
def test_not_modified_means_what_was_asked_about(etag: str | None) -> None:
    assert copy_of(answer(304, b"", etag=etag), OLD) is OLD


@pytest.mark.parametrize(
    "useless",
    [
        *(answer(status) for status in (201, 203, 204, 206, 301, 302, 307, 400, 401, 403, 404, 410, 429, 500, 502, 503, 504)),
        answer(304),
        answer(etag=None),
        answer(etag='W/"1"'),
        answer(etag="1"),
        answer(etag='""'),
        answer(etag='"1", "2"'),
        answer(content_encoding="gzip"),
        answer(content_encoding="br"),
        answer(content_length=None),
        answer(content_length=str(len(BODY) + 1)),
        answer(body=BODY[:-1]),
        answer(last_modified=None),
        answer(last_modified="yesterday"),
    ],
    ids=repr,
)  # fmt: skip
def test_anything_else_is_none(useless: Answer) -> None:
    found = copy_of(useless, None)
    assert isinstance(found, NoCopy)
    assert found.why


def test_not_modified_of_another_version_is_none() -> None:
    assert isinstance(copy_of(answer(304, b"", etag='"1"'), OLD), NoCopy)


# ---------------------------------------------------------------------------------------------- asking
class FakeWeb:
    """An edge that answers as it is told."""

    def __init__(self) -> None:
        self.answer: Answer | Fault = answer()
        self.asked: list[tuple[str, str | None]] = []

    def get(self, key: str, *, unless_etag: str | None = None) -> Answer:
        self.asked.append((key, unless_etag))
        if isinstance(self.answer, Fault):
            raise self.answer
        return self.answer

    def close(self) -> None:
        self.asked.append(("closed", None))


class Bench:
    """An edge in a world of its own."""

    def __init__(self, **over: Any) -> None:
        self.world, self.web, self.clock = FakeWorld(), FakeWeb(), WriteClock()
        self.caller: Caller = caller(None, self.world, **over)
        self.edge = Edge(self.web, self.caller, self.clock, self.world.runtime)

    def get(self, key: str = "a", **known: Any) -> Held | NoCopy:
        """Asks it."""
        return self.edge.get(key, self.caller.deadline(), **known)


@pytest.fixture
def bench() -> Iterator[Bench]:
    return Bench()


def test_it_is_asked_once_and_counted(bench: Bench) -> None:
    assert isinstance(bench.get(), Held)
    assert bench.web.asked == [("a", None)]
    assert bench.caller.meter.usage().requests == {"EdgeGet": 1}
    assert bench.caller.meter.usage().dollars == 0


def test_what_is_in_memory_is_asked_about_and_stands(bench: Bench) -> None:
    bench.web.answer = answer(304, b"", etag='"0"')
    assert bench.get(held=OLD) is OLD
    assert bench.web.asked == [("a", '"0"')]


def test_of_two_copies_only_the_store_knows_the_newer(bench: Bench) -> None:
    assert bench.get(held=OLD) == NoCopy()


def test_a_listed_etag_must_be_the_one(bench: Bench) -> None:
    assert isinstance(bench.get(listed='"1"'), Held)
    assert bench.get(listed='"2"') == NoCopy()


def test_what_this_process_wrote_is_not_asked_for_but_what_is_listed_is(bench: Bench) -> None:
    bench.clock.tick("a")
    assert bench.get("a") == NoCopy()
    assert bench.web.asked == []
    assert isinstance(bench.get("a", listed='"1"'), Held), "its ETag says that it is not older"
    assert isinstance(bench.get("b"), Held)


@pytest.mark.parametrize("kind", [Kind.NETWORK, Kind.UNREACHABLE])
def test_no_answer_is_not_asked_for_again_and_rests(bench: Bench, kind: Kind) -> None:
    bench.web.answer = Fault(kind, "gone")
    assert bench.get() == NoCopy(), "once may happen"
    assert len(bench.web.asked) == 1, "retries are for the store"
    assert bench.world.slept == []
    bench.web.answer = answer()
    assert isinstance(bench.get(), Held)
    bench.web.answer = Fault(kind, "gone")
    assert bench.get() == NoCopy()
    assert bench.get() == NoCopy(f"{kind.value} (gone)")
    bench.web.answer = answer()
    assert bench.get() == NoCopy()
    assert len(bench.web.asked) == 4, "it rests"
    bench.world.seconds += REST_SECONDS
    assert isinstance(bench.get(), Held)


@pytest.mark.parametrize(("status", "rests"), [(403, False), (404, False), (429, True), (500, True), (503, True)])
def test_it_rests_when_it_is_in_trouble_itself(bench: Bench, status: int, rests: bool) -> None:
    bench.web.answer = answer(status)
    for _ in range(4):
        assert isinstance(bench.get(), NoCopy)
    assert len(bench.web.asked) == (2 if rests else 4)


def test_a_turn_that_does_not_come_is_no_failure() -> None:
    bench = Bench(max_workers=1)
    late = bench.caller.deadline()
    bench.world.seconds += 100
    assert bench.edge.get("a", late) == NoCopy()
    assert bench.web.asked == []


def test_it_may_be_given_up_while_somebody_is_reading_there() -> None:
    """As after the first write to a store whose ETags prove nothing, in another thread."""
    store, world = DictStore(), FakeWorld()
    keys, sender, web = Keys("r/"), caller(store, world), FakeWeb()
    objects = Objects(sender, keys, RecordCache(0), Edge(web, sender, WriteClock(), world.runtime))
    etag = store.put(keys.record("a"), BODY, PutOptions(), None)

    def given_up(key: str, *, unless_etag: str | None = None) -> Answer:
        objects.edge = None
        return answer(403)

    web.get = given_up  # type: ignore[method-assign]
    assert objects.read("a")
    assert objects.read("a"), "and nobody asks it again"
    assert objects.fetch_listed("a", Listed(keys.record("a"), etag, len(BODY)))


def test_people_are_told_once_when_the_store_has_what_the_edge_has_not(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "dataknobs_data.s3"):
        bench.edge.missed(NoCopy())
        assert not caplog.messages
        bench.edge.missed(NoCopy("it answers 403"))
        bench.edge.missed(NoCopy("it answers 404"))
    assert caplog.messages == ["read_endpoint: it answers 403; records are read at the store instead (said once)"]


# ---------------------------------------------------------------------------------------------- what this process knows
def test_written_and_marked_keys_are_known_for_good() -> None:
    clock = WriteClock()
    assert not clock.knows("a")
    clock.tick("a", "b")
    clock.mark("c")
    assert [clock.knows(key) for key in "abcd"] == [True, True, True, False]
    assert clock.writes == 1, "a mark is no write"


def test_of_many_keys_none_is_forgotten_and_few_are_mistaken() -> None:
    clock = WriteClock()
    written = [f"records/{n}.json" for n in range(50_000)]
    clock.tick(*written)
    assert all(map(clock.knows, written))
    mistaken = sum(clock.knows(f"other/{n}.json") for n in range(50_000)) / 50_000
    assert mistaken < 3 * len(written) / KNOWN_BITS


def test_who_writes_a_little_to_many_buckets_pays_for_little() -> None:
    def fill() -> list[WriteClock]:
        clocks = [WriteClock() for _ in range(100)]
        for clock in clocks:
            clock.tick("a", "b")
        return clocks

    tracemalloc.start()
    try:
        clocks = fill()
        assert tracemalloc.get_traced_memory()[0] / len(clocks) < 8192
    finally:
        tracemalloc.stop()
    assert all(clock.knows("b") for clock in clocks)


def test_a_listing_cache_hands_the_keys_on() -> None:
    clock = WriteClock()
    clock.tick("a")
    assert clock.knows("a")


# ---------------------------------------------------------------------------------------------- the setting
@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("https://d111111abcdef8.cloudfront.net", "https://d111111abcdef8.cloudfront.net"),
        ("https://cdn.example.com/a/b/", "https://cdn.example.com/a/b"),
        ("http://[::1]:8080//", "http://[::1]:8080"),
        ("", None),
        (None, None),
    ],
)
def test_endpoints_that_there_can_be(given: str | None, kept: str | None) -> None:
    assert s3_settings({"bucket": "my-bucket", "read_endpoint": given}).read_endpoint == kept


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("d111111abcdef8.cloudfront.net", "must start with http"),
        ("s3://my-bucket", "must start with http"),
        ("https://", "must start with http"),
        ("https://[::1", "must start with http"),
        ("https://cdn.example.com/a?Signature=secret", "'https://cdn.example.com/a' must end with its path"),
        ("https://cdn.example.com/#secret", "must end with its path"),
        ("cdn.example.com?Signature=secret", "'cdn.example.com' must start with http"),
        ("https://user:secret@cdn.example.com", "holds a user name or password"),
        ("ftp://user:secret@cdn.example.com", "'cdn.example.com' must start with http"),
    ],
)
def test_endpoints_that_there_cannot_be(given: str, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says) as refused:
        s3_settings({"bucket": "my-bucket", "read_endpoint": given})
    assert refused.value.context["key"] == "read_endpoint"
    assert "secret" not in str(refused.value)
