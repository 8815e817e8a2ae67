"""What people see: tables that fit, and nothing that talks to the terminal."""

from __future__ import annotations

import json

import pytest

from tests.cli.conftest import Cli


def test_a_table_fits_and_names_what_it_leaves_out(cli: Cli, url: str) -> None:
    wide = {f"field_{n:02}": "x" * 20 for n in range(12)}
    cli("create", url, stdin=json.dumps({"id": "a", **wide}))
    ended = cli("search", url, "--table")
    assert ended.code == 0
    assert max(map(len, ended.out.splitlines()[:-3])) <= 80
    shown, _, left_out = ended.out.partition("not shown:")
    assert "1 record\n" in shown
    names = [f"field_{n:02}" for n in range(12)]
    assert [name for name in names if (name in shown) == (name in left_out)] == []


def test_a_table_of_people(cli: Cli, people: str) -> None:
    ended = cli("search", people, "--table", "--select", "name,age,tags,email")
    lines = [line.rstrip() for line in ended.out.splitlines()]
    assert lines == [
        "id   name    age   tags        email",
        "─" * 46,
        'u1   Alice    31   ["a","b"]',
        "u2   Bob      25               bob@example.com",
        "u3   Carol    47               null",
        "3 records",
    ]


def test_brackets_in_records_are_shown_as_they_are(cli: Cli, url: str) -> None:
    cli("create", url, stdin=json.dumps({"id": "a", "[/x]": "[red]y [/b]"}))
    for command in (("search", url), ("get", url, "a")):
        ended = cli(*command, "--table")
        assert (ended.code, "[/x]" in ended.out, "[red]y [/b]" in ended.out) == (0, True, True)


def test_one_record_stands_upright(cli: Cli, people: str) -> None:
    ended = cli("get", people, "u2", "--table", "--metadata")
    shown = dict(line.split(maxsplit=1) for line in ended.out.splitlines())
    assert shown["email"].strip() == "bob@example.com"
    assert {"id", "name", "age", "metadata.created_at", "metadata.updated_at"} <= shown.keys()
    assert cli("get", people, "u1", "u2", "--table").out.count("u1") == 1


@pytest.mark.parametrize("command", [["search"], ["get"]])
def test_nothing_in_a_record_reaches_the_terminal_as_a_command(cli: Cli, url: str, command: list[str]) -> None:
    evil = "\x1b[2J\x07\r\n\x9b31m"
    cli("create", url, stdin=json.dumps({"id": "a", evil: evil, "nested": [evil], "markup": "[bold]x[/bold]"}))
    ended = cli(*command, url, *(["a"] if command == ["get"] else []), "--table")
    assert not set("\x1b\x07\r\x9b") & set(ended.out)
    assert "\\x1b[2J\\x07\\r\\n\\x9b31m" in ended.out
    assert "[bold]x[/bold]" in ended.out


def test_json_in_a_terminal_is_escaped_and_still_the_same(cli: Cli, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    cli("create", url, stdin=json.dumps({"id": "a", "evil": "\x9b2J\x7fü"}))
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    ended = cli("search", url, "--json")
    assert "\\u009b2J\\u007fü" in ended.out
    assert ended.lines == [{"id": "a", "evil": "\x9b2J\x7fü"}]


def test_a_table_shows_the_first_hundred_and_says_so(cli: Cli, url: str) -> None:
    cli("create", url, "-q", stdin="\n".join(f'{{"id": "{n:04}"}}' for n in range(101)))
    ended = cli("search", url, "--table")
    assert "0099" in ended.out
    assert "0100" not in ended.out
    assert "the first 100 records; --limit N shows more, --json prints all" in ended.out
    assert "101 records" in cli("search", url, "--table", "--limit", "200").out
    assert len(cli("search", url).lines) == 101
