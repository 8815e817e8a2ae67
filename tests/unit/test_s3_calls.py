"""How a request is sent: how often again, how long, how many at once, and what is known when it fails."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from dataknobs_data.runtime import Runtime
from dataknobs_data.s3.calls import Caller
from dataknobs_data.s3.store import AMBIGUOUS, RETRYABLE, Fault, Kind
from tests.unit.s3_fakes import FakeWorld, Script, caller, settings

STORE = object()


@pytest.fixture
def world() -> FakeWorld:
    return FakeWorld()


def test_a_request_that_succeeds_is_sent_once_and_counted(world: FakeWorld) -> None:
    sender, request = caller(STORE, world), Script(world, [])
    assert sender.send("PutObject", request) == "done"
    assert request.sent == [0.0]
    assert sender.meter.usage().requests == {"PutObject": 1}


@pytest.mark.parametrize("kind", sorted(RETRYABLE, key=lambda kind: kind.name))
def test_what_may_pass_is_tried_again_with_longer_and_longer_pauses(world: FakeWorld, kind: Kind) -> None:
    sender, request = caller(STORE, world), Script(world, [kind] * 4)
    assert sender.send("GetObject", request) == "done"
    assert request.sent == pytest.approx([0.0, 0.05, 0.15, 0.35, 0.75])
    assert sender.meter.usage().requests == {"GetObject": 5}


@pytest.mark.parametrize("kind", sorted(set(Kind) - RETRYABLE, key=lambda kind: kind.name))
def test_what_will_not_pass_is_not_tried_again(world: FakeWorld, kind: Kind) -> None:
    request = Script(world, [kind])
    with pytest.raises(Fault) as caught:
        caller(STORE, world).send("GetObject", request)
    assert caught.value.kind is kind
    assert len(request.sent) == 1
    assert world.slept == []


def test_pauses_are_random_between_nothing_and_their_most(world: FakeWorld) -> None:
    world.dice = 0.5
    caller(STORE, world).send("GetObject", Script(world, [Kind.SERVER] * 2))
    assert world.slept == pytest.approx([0.025, 0.05])


def test_no_pause_is_longer_than_five_seconds(world: FakeWorld) -> None:
    caller(STORE, world, timeout=1000.0, deadline=2000.0).send("GetObject", Script(world, [Kind.SERVER] * 9))
    assert max(world.slept) == 5.0


def test_it_is_sent_again_max_retries_times_at_most(world: FakeWorld) -> None:
    request = Script(world, [Kind.SERVER] * 9)
    with pytest.raises(Fault):
        caller(STORE, world, max_retries=2).send("GetObject", request)
    assert len(request.sent) == 3


def test_no_retries_means_none(world: FakeWorld) -> None:
    request = Script(world, [Kind.SERVER])
    with pytest.raises(Fault):
        caller(STORE, world, max_retries=0).send("GetObject", request)
    assert len(request.sent) == 1


def test_retries_and_the_last_answer_end_within_the_timeout(world: FakeWorld) -> None:
    """An attempt may take half of the timeout, so no attempt starts in its second half."""
    request = Script(world, [Kind.SERVER] * 99)
    with pytest.raises(Fault):
        caller(STORE, world, timeout=20.0, max_retries=1000).send("GetObject", request)
    assert 5.0 < request.sent[-1] <= 10.0


def test_attempts_that_hang_end_within_the_timeout(world: FakeWorld) -> None:
    request = Script(world, [Kind.NETWORK] * 99, seconds=9.9)
    with pytest.raises(Fault):
        caller(STORE, world, timeout=20.0).send("GetObject", request)
    assert request.sent == pytest.approx([0.0, 9.95])
    assert world.seconds <= 20.0


def test_nothing_starts_late_in_an_operation(world: FakeWorld) -> None:
    """deadline 60, timeout 20: the last request starts at 40, so that all is over at 60."""
    sender, request = caller(STORE, world), Script(world, [])
    deadline = sender.deadline()
    world.seconds = 39.9
    assert sender.send("GetObject", request, deadline) == "done"
    world.seconds = 40.1
    with pytest.raises(Fault) as caught:
        sender.send("GetObject", request, deadline)
    assert caught.value.kind is Kind.LATE
    assert str(caught.value) == "the operation's deadline is over (GetObject was not sent)"
    assert len(request.sent) == 1
    assert sender.meter.usage().requests == {"GetObject": 1}


def test_retries_stop_at_the_operations_last_start(world: FakeWorld) -> None:
    sender, request = caller(STORE, world), Script(world, [Kind.SERVER] * 99)
    deadline = sender.deadline()
    world.seconds = 39.0
    with pytest.raises(Fault) as caught:
        sender.send("GetObject", request, deadline)
    assert caught.value.kind is Kind.SERVER
    assert request.sent[-1] <= 40.0


@pytest.mark.parametrize(
    ("kinds", "lost"),
    [
        ([Kind.NETWORK, Kind.CONDITION], True),
        ([Kind.SERVER, Kind.MISSING], True),
        ([Kind.NETWORK, Kind.THROTTLED, Kind.CONDITION], True),
        ([Kind.THROTTLED, Kind.CONDITION], False),
        ([Kind.UNREACHABLE, Kind.CONDITION], False),
        ([Kind.CONDITION], False),
        ([Kind.DENIED], False),
    ],
)
def test_a_fault_says_whether_an_earlier_attempt_may_have_been_applied(
    world: FakeWorld, kinds: list[Kind], lost: bool
) -> None:
    with pytest.raises(Fault) as caught:
        caller(STORE, world).send("PutObject", Script(world, kinds))
    assert caught.value.kind is kinds[-1]
    assert caught.value.answer_lost is lost


def test_a_retry_that_comes_too_late_does_not_hide_that_the_first_attempt_may_have_been_applied(
    world: FakeWorld,
) -> None:
    def late(seconds: float) -> None:
        world.seconds += 100

    world.sleep = late  # type: ignore[method-assign]
    with pytest.raises(Fault) as caught:
        caller(STORE, world).send("PutObject", Script(world, [Kind.NETWORK]))
    assert caught.value.kind is Kind.LATE
    assert caught.value.answer_lost


def test_ambiguous_faults_are_those_after_which_the_store_may_have_acted() -> None:
    assert {Kind.SERVER, Kind.NETWORK} == AMBIGUOUS


def test_slow_down_slows_every_thread_down(world: FakeWorld) -> None:
    sender = caller(STORE, world)
    pauses: list[float] = []

    def throttled_once(store: object) -> str:
        if not pauses:
            pauses.append(world.seconds)
            raise Fault(Kind.THROTTLED, "SlowDown")
        return "done"

    sleep, other = world.sleep, Script(world, [])
    asleep = False

    def sleep_while_another_begins(seconds: float) -> None:
        nonlocal asleep
        if not asleep:
            asleep = True
            sender.send("GetObject", other)  # what another thread does meanwhile
        sleep(seconds)

    world.sleep = sleep_while_another_begins  # type: ignore[method-assign]
    sender = Caller(STORE, settings(), world.runtime)  # type: ignore[arg-type]
    assert sender.send("PutObject", throttled_once) == "done"
    assert other.sent == pytest.approx([0.05])


def test_who_was_to_wait_until_it_was_too_late_was_slowed_down(world: FakeWorld) -> None:
    sender = caller(STORE, world, timeout=0.02, deadline=0.04)
    with pytest.raises(Fault):
        sender.send("PutObject", Script(world, [Kind.THROTTLED]))
    request = Script(world, [])
    with pytest.raises(Fault) as caught:
        sender.send("GetObject", request)
    assert caught.value.kind is Kind.THROTTLED
    assert request.sent == []


def test_calm_is_awaited_no_longer_than_there_is_time(world: FakeWorld) -> None:
    sender = caller(STORE, world, timeout=20.0)
    with pytest.raises(Fault) as caught:
        sender.send("PutObject", Script(world, [Kind.THROTTLED] * 99))
    assert caught.value.kind is Kind.THROTTLED
    assert world.seconds <= 10.0


# ---------------------------------------------------------------------------------------------- at once
def in_threads(count: int, call: Callable[[], object]) -> list[threading.Thread]:
    threads = [threading.Thread(target=call) for _ in range(count)]
    for thread in threads:
        thread.start()
    return threads


def test_no_more_than_max_workers_are_in_flight() -> None:
    sender = Caller(STORE, settings(max_workers=3), Runtime())  # type: ignore[arg-type]
    lock, flying, most = threading.Lock(), 0, 0

    def request(store: object) -> None:
        nonlocal flying, most
        with lock:
            flying += 1
            most = max(most, flying)
        time.sleep(0.005)
        with lock:
            flying -= 1

    for thread in in_threads(20, lambda: [sender.send("GetObject", request) for _ in range(3)]):
        thread.join()
    assert most == 3


def test_waiting_for_a_turn_ends_when_there_is_no_time_left() -> None:
    sender = Caller(STORE, settings(max_workers=1, timeout=0.2, deadline=0.5), Runtime())  # type: ignore[arg-type]
    let_go = threading.Event()
    (holder,) = in_threads(1, lambda: sender.send("GetObject", lambda store: let_go.wait(10)))
    while not sender.meter.usage().total:
        time.sleep(0.001)
    began = time.monotonic()
    with pytest.raises(Fault) as caught:
        sender.send("GetObject", lambda store: None)
    took = time.monotonic() - began
    let_go.set()
    holder.join()
    assert caught.value.kind is Kind.LATE
    assert 0.25 < took < 2


def test_a_turn_is_given_back_by_requests_that_fail(world: FakeWorld) -> None:
    sender = caller(STORE, world, max_workers=1)
    for _ in range(3):
        with pytest.raises(Fault):
            sender.send("GetObject", Script(world, [Kind.DENIED]))
    assert sender.send("GetObject", Script(world, [])) == "done"
