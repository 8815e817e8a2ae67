"""Windows of doubt: what lies outside compares in SQL as in Python."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from dataknobs_data.sql.bounds import Window, exact_integer, instant_window, number_window, prefix_end


@pytest.mark.parametrize("operand", [0, 1, -1, 0.1, -2.5, 1e299, 5e-324, 10**25, Decimal("0.1"), Decimal("1E-5000")])
def test_the_window_of_a_number_holds_it_and_its_neighbors(operand: float | Decimal) -> None:
    window = number_window(operand)
    assert window.low is not None
    assert window.high is not None
    assert window.low < operand < window.high
    nearest = float(operand)
    assert window.low <= Decimal(repr(math.nextafter(nearest, -math.inf)))
    assert Decimal(repr(math.nextafter(nearest, math.inf))) <= window.high


@pytest.mark.parametrize("operand", [math.inf, 1.7e308, 10**400, Decimal("1E+999999"), Decimal("Infinity")])
def test_beyond_every_database_s_numbers_the_window_is_open(operand: float | Decimal) -> None:
    assert number_window(operand) == Window(Decimal("1E300"), None)
    assert number_window(-operand) == Window(None, Decimal("-1E300"))


@pytest.mark.parametrize(
    ("operand", "whole"),
    [
        (1, 1),
        (1.0, 1),
        (-0.0, 0),
        (Decimal("5.00"), 5),
        (2**53, 2**53),
        (2**53 + 1, None),
        (1.5, None),
        (Decimal("1E-400000"), None),
        (math.inf, None),
        (Decimal("Infinity"), None),
    ],
)
def test_integers_that_every_number_type_holds(operand: float | Decimal, whole: int | None) -> None:
    assert exact_integer(operand) == whole


def test_the_window_of_an_instant_leaves_room_for_every_offset() -> None:
    assert instant_window(datetime(2024, 3, 1, 0, 30, tzinfo=UTC)) == Window("2024-02-28", "2024-03-04")
    ahead = timezone(timedelta(hours=23, minutes=59))
    assert instant_window(datetime(2024, 3, 1, 0, 30, tzinfo=ahead)) == Window("2024-02-27", "2024-03-03")


def test_at_the_ends_of_time_the_window_is_open() -> None:
    assert instant_window(datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=1)))) == Window(None, "0001-01-04")
    assert instant_window(datetime(9999, 12, 31, 23, tzinfo=timezone(-timedelta(hours=5)))) == Window(
        "9999-12-29", None
    )


@pytest.mark.parametrize(
    ("prefix", "end"),
    [
        ("a", "b"),
        ("user/", "user0"),
        ("é", "ê"),
        ("a\ud7ff", "a\ue000"),
        ("a\U0010ffff", "b"),
        ("\U0010ffff", None),
        ("", None),
        ("\0", "\x01"),
    ],
)
def test_the_first_text_after_all_that_start_with_a_prefix(prefix: str, end: str | None) -> None:
    assert prefix_end(prefix) == end
