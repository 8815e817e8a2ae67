"""Many calls side by side: order kept, no more at once than workers, bounded reading ahead, no thread left behind."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from dataknobs_data.s3.fanout import FanOut


@pytest.fixture
def pool() -> Iterator[FanOut]:
    made = FanOut(3, "test-fanout")
    yield made
    made.close()


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("test-fanout")]


def test_answers_come_in_the_order_of_the_items(pool: FanOut) -> None:
    def slow_first(item: int) -> int:
        time.sleep(0.02 if item == 0 else 0)
        return item * 10

    assert list(pool.map(slow_first, range(20))) == [item * 10 for item in range(20)]


def test_one_item_needs_no_thread(pool: FanOut) -> None:
    here = threading.get_ident()
    assert list(pool.map(lambda item: threading.get_ident(), [1])) == [here]
    assert list(pool.map(str, [])) == []
    assert threads() == []


def test_no_more_calls_at_once_than_workers(pool: FanOut) -> None:
    lock, running, most = threading.Lock(), 0, 0

    def call(item: int) -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.003)
        with lock:
            running -= 1

    list(pool.map(call, range(30)))
    assert most == 3
    assert len(threads()) == 3


def test_it_reads_little_ahead_of_who_takes_the_answers(pool: FanOut) -> None:
    taken = 0

    def items() -> Iterator[int]:
        nonlocal taken
        for item in range(1000):
            taken += 1
            yield item

    answers = pool.map(str, items())
    assert next(answers) == "0"
    assert taken <= 2 * 3 + 2
    answers.close()  # type: ignore[attr-defined]
    assert taken <= 2 * 3 + 2


def test_the_first_failure_is_raised_and_the_calls_behind_it_are_given_up(pool: FanOut) -> None:
    done: list[int] = []

    def call(item: int) -> int:
        if item == 2:
            raise LookupError("third")
        time.sleep(0.002)
        done.append(item)
        return item

    got: list[int] = []
    with pytest.raises(LookupError, match="third"):
        got.extend(pool.map(call, range(500)))
    assert got == [0, 1]
    pool.close()
    assert len(done) < 20


def test_who_stops_taking_stops_the_calls(pool: FanOut) -> None:
    done: list[int] = []
    for answer in pool.map(lambda item: (time.sleep(0.001), done.append(item), item)[2], range(500)):
        if answer == 3:
            break
    del answer
    pool.close()
    assert len(done) < 20


def test_closing_ends_the_threads_and_it_can_be_used_again(pool: FanOut) -> None:
    list(pool.map(str, range(5)))
    assert threads()
    pool.close()
    assert threads() == []
    assert list(pool.map(str, range(3))) == ["0", "1", "2"]
    pool.close()
    pool.close()
    assert threads() == []
