"""What the commands do with records, on a file and on a real S3 server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Cli


# ---------------------------------------------------------------------------------------------- create
def test_create_takes_a_file_and_prints_own_and_generated_ids_in_order(cli: Cli, url: str, tmp_path: Path) -> None:
    source = tmp_path / "in.jsonl"
    source.write_text('{"id": "b", "n": 1}\n\n{"n": 2}\n{"id": "a", "n": 3}')
    ended = cli("create", url, str(source))
    first, generated, last = ended.out.splitlines()
    assert (ended.code, ended.err, first, last, len(generated)) == (0, "", "b", "a", 26)
    assert cli("get", url, generated).lines == [{"n": 2}]


def test_create_prints_ids_as_json_or_not_at_all(cli: Cli, url: str) -> None:
    assert cli("create", url, "--json", stdin='{"id": "line\\nbreak"}').lines == [{"_id": "line\nbreak"}]
    assert cli("create", url, "--quiet", stdin='{"id": "b"}').out == ""
    assert cli("count", url).out == "2\n"


def test_create_takes_the_id_from_a_field(cli: Cli, url: str) -> None:
    ended = cli("create", url, "--id-field", "code", stdin='{"code": 17, "id": "other"}')
    assert ended.out == "17\n"
    assert cli("get", url, "17").lines == [{"code": 17, "id": "other"}]


def test_create_goes_on_after_failures_and_names_each_line(cli: Cli, people: str) -> None:
    ended = cli("create", people, stdin='{"id": "n1"}\noops\n{"id": "u2"}\n[]\n{"id": "n2"}')
    assert (ended.code, ended.out.split()) == (4, ["n1", "n2"])
    errors = ended.err.splitlines()
    assert [line[: len("error: line 2:")] for line in errors[:3]] == [
        "error: line 2:",
        "error: line 4:",
        "error: line 3:",
    ]
    assert errors[-1] == "2 written, 3 failed"


def test_create_overwrites_or_skips_when_asked(cli: Cli, people: str) -> None:
    changed = '{"id": "u1", "name": "Anna"}\n{"id": "new", "name": "N"}'
    skipped = cli("create", people, "--on-conflict", "skip", stdin=changed)
    assert (skipped.code, skipped.out, skipped.err) == (0, "new\n", "1 written, 1 skipped\n")
    assert cli("get", people, "u1").lines[0]["name"] == "Alice"
    assert cli("create", people, "--on-conflict", "upsert", stdin=changed).out == "u1\nnew\n"
    assert cli("get", people, "u1").lines == [{"id": "u1", "name": "Anna"}]


def test_create_of_nothing_is_fine(cli: Cli, url: str) -> None:
    assert cli("create", url).code == 0
    assert cli("count", url).out == "0\n"


def test_create_crosses_batches(cli: Cli, tmp_path: Path) -> None:
    url = f"file:{tmp_path / 'many.jsonl'}"
    ended = cli("create", url, stdin="\n".join(f'{{"id": "{n:05}"}}' for n in range(2500)))
    assert ended.out.split() == [f"{n:05}" for n in range(2500)]
    assert cli("count", url).out == "2500\n"


# ---------------------------------------------------------------------------------------------- get, rm
def test_get_shows_records_in_the_order_asked_for(cli: Cli, people: str) -> None:
    assert [line["name"] for line in cli("get", people, "u3", "u1").lines] == ["Carol", "Alice"]
    assert [line["name"] for line in cli("get", people, "-", stdin="u2\nu1\n").lines] == ["Bob", "Alice"]


def test_get_names_what_is_missing_and_shows_the_rest(cli: Cli, people: str) -> None:
    ended = cli("get", people, "u1", "nope", "u2", "no/pe")
    assert (ended.code, len(ended.lines)) == (1, 2)
    assert ended.err == "error: there is no record 'nope'\nerror: there is no record 'no/pe'\n"


def test_rm_deletes_and_names_what_was_not_there(cli: Cli, people: str) -> None:
    assert cli("rm", people, "u1").code == 0
    ended = cli("rm", people, "u2", "u1", "-", stdin="u3\n")
    assert (ended.code, ended.out, ended.err) == (1, "", "error: there is no record 'u1'\n")
    assert cli("count", people).out == "0\n"


# ---------------------------------------------------------------------------------------------- search, count
def test_search_filters_sorts_cuts_and_selects(cli: Cli, people: str) -> None:
    def names(*options: str) -> list[str]:
        return [line["name"] for line in cli("search", people, *options).lines]

    assert names() == ["Alice", "Bob", "Carol"]
    assert names("--where", "age > 25", "--where", "tags exists") == ["Alice"]
    assert names("--where", "id in u3,u2") == ["Bob", "Carol"]
    assert names("--sort", "age", "--desc") == ["Carol", "Alice", "Bob"]
    assert names("--sort", "age", "--limit", "1", "--offset", "1") == ["Alice"]
    assert cli("search", people, "--select", "age, name", "--limit", "1").out == '{"age":31,"name":"Alice"}\n'
    assert cli("search", people, "--select", "age", "--select", "name", "--where", "id = u2").lines == [
        {"age": 25, "name": "Bob"}
    ]


def test_search_says_when_nothing_matches(cli: Cli, people: str, tmp_path: Path) -> None:
    ended = cli("search", people, "--where", "age > 99")
    assert (ended.code, ended.out, ended.err) == (1, "", "no record matches\n")
    ended = cli("search", f"file:{tmp_path / 'other.jsonl'}")
    assert (ended.code, ended.out, ended.err) == (1, "", "there are no records\n")


def test_count_counts_and_nothing_is_an_answer(cli: Cli, people: str) -> None:
    assert cli("count", people).out == "3\n"
    assert cli("count", people, "--where", "email exists").out == "1\n"
    ended = cli("count", people, "--where", "age > 99")
    assert (ended.code, ended.out, ended.err) == (0, "0\n", "")


def test_what_search_prints_create_takes(cli: Cli, people: str, tmp_path: Path) -> None:
    line = {"_id": "typed", "due": "2024-05-01", "_metadata": {"source": "test"}, "_types": {"/due": "date"}}
    assert cli("create", people, stdin=json.dumps(line)).code == 0
    first = cli("search", people, "--metadata")
    assert {line["_id"] for line in first.lines} == {"u1", "u2", "u3", "typed"}
    copy = f"file:{tmp_path / 'copy.jsonl'}"
    assert cli("create", copy, stdin=first.out).code == 0

    def unstamped(out: str) -> list[dict[str, object]]:
        lines = [json.loads(line) for line in out.splitlines()]
        for one in lines:
            del one["_metadata"]["updated_at"]
        return lines

    assert unstamped(cli("search", copy, "--metadata").out) == unstamped(first.out)


# ---------------------------------------------------------------------------------------------- which database
def test_names_come_from_the_config_file(
    cli: Cli, people: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "dataknobs.yaml"
    config.write_text(f"databases:\n  - name: mine\n    backend: file\n    path: {tmp_path / 'named.jsonl'}\n")
    assert cli("create", "mine", "--config", str(config), stdin="{}").code == 0
    monkeypatch.setenv("DATAKNOBS_CONFIG", str(config))
    assert cli("count", "mine").out == "1\n"
    monkeypatch.delenv("DATAKNOBS_CONFIG")
    monkeypatch.chdir(tmp_path)
    assert cli("count", "mine").out == "1\n"
    ended = cli("count", "mime")
    assert ended.code == 2
    assert "did you mean 'mine'?" in ended.err


def test_without_a_config_file_a_name_says_what_to_do(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ended = cli("count", "mine")
    assert ended.code == 2
    assert "no dataknobs.yaml here" in ended.err
    assert "s3://bucket/prefix" in ended.err
