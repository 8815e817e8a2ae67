"""Two memories: documents while their ETag stands, and the last listing for a while."""

from __future__ import annotations

import threading

from dataknobs_data.s3.cache import Held, Recent, RecordCache, WriteClock
from tests.unit.s3_fakes import FakeWorld


def held(size: int, etag: str = '"1"') -> Held:
    return Held(b"x" * size, etag, "2026-01-01T00:00:00Z")


# ---------------------------------------------------------------------------------------------- documents
def test_it_gives_back_what_it_holds_until_told_to_drop_it() -> None:
    cache = RecordCache(100_000)
    cache.put("a", held(10))
    assert cache.get("a") == held(10)
    cache.put("a", held(20, '"2"'))
    assert cache.get("a") == held(20, '"2"')
    cache.drop("a")
    assert cache.get("a") is None
    cache.drop("a")


def test_the_least_recently_used_is_given_up_first() -> None:
    cache = RecordCache(16_000)
    for name in "abcdefgh":
        cache.put(name, held(1500))  # 1,901 bytes each with the overhead: eight fit
    assert cache.get("a")
    cache.put("i", held(1500))
    assert cache.get("b") is None
    assert [name for name in "acdefghi" if cache.get(name)] == list("acdefghi")


def test_many_small_ones_take_no_more_than_they_may() -> None:
    cache = RecordCache(100_000)
    for number in range(10_000):
        cache.put(f"key-{number}", held(1))
    kept = [number for number in range(10_000) if cache.get(f"key-{number}")]
    assert 100 < len(kept) <= 100_000 // 400
    assert kept == list(range(10_000 - len(kept), 10_000))


def test_one_that_would_fill_an_eighth_of_it_is_not_held_and_drops_its_older_copy() -> None:
    cache = RecordCache(8_000)
    cache.put("a", held(1000))
    assert cache.get("a")
    cache.put("a", held(1001, '"2"'))
    assert cache.get("a") is None


def test_zero_turns_it_off() -> None:
    cache = RecordCache(0)
    cache.put("a", held(1))
    assert cache.get("a") is None


# ---------------------------------------------------------------------------------------------- listings
def listing(world: FakeWorld, ttl: float = 60.0, clock: WriteClock | None = None) -> Recent[list[str]]:
    return Recent(ttl, lambda: world.seconds, clock or WriteClock())


def test_a_listing_is_good_for_its_time() -> None:
    world = FakeWorld()
    cache = listing(world)
    assert cache.value() is None
    assert cache.fill(lambda: ["a", "b"]) == ["a", "b"]
    world.seconds = 59.9
    assert cache.value() == ["a", "b"]
    world.seconds = 60.0
    assert cache.value() is None


def test_its_age_counts_from_when_the_listing_began() -> None:
    world = FakeWorld()
    cache = listing(world)

    def slowly() -> list[str]:
        world.sleep(50)
        return ["a"]

    cache.fill(slowly)
    world.seconds = 59.0
    assert cache.value() == ["a"]
    world.seconds = 61.0
    assert cache.value() is None


def test_zero_seconds_turn_it_off() -> None:
    cache = listing(FakeWorld(), ttl=0)
    assert cache.fill(lambda: ["a"]) == ["a"]
    assert cache.value() is None


def test_a_write_of_this_process_ends_it() -> None:
    clock = WriteClock()
    cache = listing(FakeWorld(), clock=clock)
    cache.fill(lambda: ["a", "b"])
    clock.tick()
    assert cache.value() is None
    assert cache.get(lambda: ["c"]) == cache.get(lambda: ["d"]) == ["c"]


def test_a_write_during_the_listing_ends_it_too() -> None:
    clock = WriteClock()
    cache = listing(FakeWorld(), clock=clock)

    def overtaken() -> list[str]:
        clock.tick()
        return ["before the write"]

    assert cache.fill(overtaken) == ["before the write"]
    assert cache.value() is None


def test_databases_of_one_bucket_share_the_clock_of_its_writes() -> None:
    world = FakeWorld()
    clock = WriteClock.of("http://store", "shared-bucket")
    assert WriteClock.of("http://store", "shared-bucket") is clock
    assert WriteClock.of("http://store", "other-bucket") is not clock
    mine = listing(world, clock=clock)
    mine.fill(lambda: ["a"])
    WriteClock.of("http://store", "shared-bucket").tick()
    assert mine.value() is None


def test_no_tick_of_many_threads_is_lost() -> None:
    clock = WriteClock()
    threads = [threading.Thread(target=lambda: [clock.tick() for _ in range(2000)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert clock.writes == 16_000
