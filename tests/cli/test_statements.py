"""Where one SQL statement ends and the next begins."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataknobs_data.cli.statements import is_blank, split, statements

PIECES = [
    *("SELECT", "a.b", "1", "$1", "$name", "+", "-", "/", "*", "(", ")"),
    *("'x;y'", "'it''s'", "'--'", '"n;""m"', "E'a\\';b'", "$$a;'b$$", "$t$;$x$;$t$"),
    *("-- c;'\n", "/* ; ' */", "\n", "'é;'"),
]


@given(st.lists(st.lists(st.sampled_from(PIECES), min_size=1).map(" ".join), max_size=4))
def test_what_was_joined_comes_apart(parts: list[str]) -> None:
    wanted = [part.strip() for part in parts if not is_blank(part)]
    assert split("".join(f"{part};" for part in parts)) == (wanted, "")
    assert statements("\n;\n".join(parts)) == wanted


@pytest.mark.parametrize(
    "rest", ["SELECT 'a;", 'SELECT "a;', "SELECT 1 /* ;", "SELECT $$;", "SELECT $t$;$$;", "SELECT 1"]
)
def test_what_is_not_ended_waits_for_more(rest: str) -> None:
    assert split(f"SELECT 0; {rest}") == (["SELECT 0"], f" {rest}")


def test_a_backslash_escapes_in_e_strings_only() -> None:
    assert statements(r"SELECT E'a\';b'; SELECT DATE'c\'; SELECT 1") == [
        r"SELECT E'a\';b'",
        r"SELECT DATE'c\'",
        "SELECT 1",
    ]


def test_nothing() -> None:
    for text in ("", " \n", ";", " ; ;", "-- only a word", "/* ; */ ;"):
        assert statements(text) == []
    assert is_blank("-- a\n /* b */ ")
    assert not is_blank("-- a\n 1")
