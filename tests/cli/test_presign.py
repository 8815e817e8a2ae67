"""`presign`: what it prints opens without credentials, and what it cannot do it says before anything is printed."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit
from urllib.request import urlopen

import pytest

from dataknobs_data.cli.presign import _seconds
from dataknobs_data.exceptions import ConfigurationError
from tests.cli.conftest import Cli


def fetched(url: str) -> Any:
    """What somebody without credentials gets there."""
    with urlopen(url) as answer:
        return json.load(answer)


@pytest.fixture
def two(cli: Cli, s3_url: str) -> str:
    """A database with two records."""
    assert cli("create", s3_url, stdin='{"id": "u1", "n": 1}\n{"id": "a b/ü%", "n": 2}').code == 0
    return s3_url


def test_one_address_a_line_in_the_order_of_the_ids(cli: Cli, two: str) -> None:
    ended = cli("presign", two, "a b/ü%", "u1", "u1")
    assert ended.code == 0
    assert [fetched(url)["data"]["n"] for url in ended.out.splitlines()] == [2, 1, 1]
    assert ended.err == "good for 1:00:00, for whoever has them\n"
    assert cli("presign", two, "-", stdin="u1\n").out.startswith("http://127.0.0.1:")


@pytest.mark.parametrize(("options", "seconds"), [((), 3600), (("--seconds", "7"), 7), (("--for", "2h"), 7200)])
def test_how_long(cli: Cli, two: str, options: tuple[str, ...], seconds: int) -> None:
    out = cli("presign", two, "u1", *options).out
    assert parse_qs(urlsplit(out.strip()).query)["X-Amz-Expires"] == [str(seconds)]


def test_json_is_one_document(cli: Cli, two: str) -> None:
    found = json.loads(cli("presign", two, "u1", "a b/ü%", "--json", "--for", "1m").out)
    assert [(one["id"], one["seconds"]) for one in found] == [("u1", 60), ("a b/ü%", 60)]
    assert fetched(found[0]["url"])["id"] == "u1"


def test_a_version(cli: Cli, two: str) -> None:
    query = parse_qs(urlsplit(cli("presign", two, "u1", "--version-id", "v=1").out.strip()).query)
    assert query["versionId"] == ["v=1"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("u1", "--for", "soon"), "'soon' is no span of time"),
        (("u1", "--for", "2h", "--seconds", "7"), "exclude each other"),
        (("u1", "--seconds", "0"), "1 to 604800 seconds"),
        (("u1", "--for", "8d"), "1 to 604800 seconds"),
        (("u1", "u2", "--version-id", "v"), "--version-id is that of one record"),
        (("", "--for", "2h"), "id"),
    ],
)
def test_wrong_usage(cli: Cli, two: str, options: tuple[str, ...], says: str) -> None:
    ended = cli("presign", two, *options)
    assert (ended.code, ended.out) == (2, "")
    assert says in ended.err


def test_only_buckets_have_addresses(cli: Cli) -> None:
    ended = cli("presign", "memory:", "u1")
    assert ended.code == 2
    assert "s3://bucket/prefix" in ended.err


@pytest.mark.parametrize(("span", "seconds"), [("45s", 45), ("90m", 5400), ("7d", 604800), ("1h30m", 5400)])
def test_spans(span: str, seconds: int) -> None:
    assert _seconds(None, span) == seconds


@pytest.mark.parametrize("span", ["", "5", "h", "-5m", "1.5h", "2 h", "5w", "٣m"])
def test_what_is_no_span(span: str) -> None:
    with pytest.raises(ConfigurationError, match="no span of time"):
        _seconds(None, span)
