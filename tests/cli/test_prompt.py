"""The prompt of `sql`: lines that make statements, commands, errors and Ctrl-C that do not end it, the history."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dataknobs_data.cli.prompt import FIRST, MORE, Prompt, history_file
from dataknobs_data.exceptions import QueryError
from tests.cli.test_processes import PROGRAM
from tests.servers import SeaweedServer, new_bucket_name


class Person:
    """Types these lines, then Ctrl-D. An exception is what comes instead of a line."""

    def __init__(self, *lines: str | BaseException) -> None:
        self.lines = iter(lines)
        self.prompts: list[str] = []

    def __call__(self, prompt: str) -> str:
        self.prompts.append(prompt)
        line = next(self.lines, EOFError())
        if isinstance(line, BaseException):
            raise line
        return line


def asked(person: Person, run: Callable[[str], object] | None = None) -> list[str]:
    """The statements that were carried out."""
    done: list[str] = []

    def note(statement: str) -> None:
        done.append(statement)
        if run:
            run(statement)

    Prompt(person, note, {"S3Object": "here", "other": "there"}, lambda name: {"n": "int64", "of": name}).run()
    return done


def test_a_statement_ends_with_a_semicolon(capfd: pytest.CaptureFixture[str]) -> None:
    person = Person("SELECT 1", "  + 1; SELECT ';", "'; ", "", "-- nothing", "SELECT 3")
    assert asked(person) == ["SELECT 1\n  + 1", "SELECT ';\n'"]
    assert person.prompts == [FIRST, MORE, MORE, FIRST, FIRST, FIRST, MORE]


def test_ctrl_c_gives_up_what_is_typed(capfd: pytest.CaptureFixture[str]) -> None:
    assert asked(Person("SELECT 'x", KeyboardInterrupt(), "SELECT 2;")) == ["SELECT 2"]


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        (QueryError("no such field"), "error: no such field"),
        (KeyboardInterrupt(), "canceled"),
        (OSError("disk"), "disk"),
    ],
)
def test_what_fails_does_not_end_it(failure: BaseException, words: str, capfd: pytest.CaptureFixture[str]) -> None:
    def fail(statement: str) -> None:
        if "bad" in statement:
            raise failure

    assert asked(Person("SELECT bad; SELECT unasked;", "SELECT good;"), fail) == ["SELECT bad", "SELECT good"]
    assert words in capfd.readouterr().err


def test_whoever_reads_the_results_is_gone(capfd: pytest.CaptureFixture[str]) -> None:
    def fail(statement: str) -> None:
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        asked(Person("SELECT 1;"), fail)


def test_commands(capfd: pytest.CaptureFixture[str]) -> None:
    person = Person(".tables", ".schema", ".schema other", ".help", ".schma", " .quit", "SELECT 1;")
    assert asked(person) == []
    out, err = capfd.readouterr()
    assert "S3Object   here" in out
    assert "of       S3Object" in out
    assert "of       other" in out
    assert ".schema [TABLE]" in out
    assert "did you mean '.schema'" in err


def test_a_dot_within_a_statement_is_none(capfd: pytest.CaptureFixture[str]) -> None:
    assert asked(Person("SELECT a", ".b;")) == ["SELECT a\n.b"]


def test_where_the_history_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for unset in ("", "relative/folder"):
        monkeypatch.setenv("XDG_STATE_HOME", unset)
        assert history_file() == tmp_path / ".local/state/dataknobs-data/sql-history"
    monkeypatch.setenv("XDG_STATE_HOME", "/state")
    assert history_file() == Path("/state/dataknobs-data/sql-history")


# ---------------------------------------------------------------------------------------------- a terminal
class Terminal:
    """What a person sees and types."""

    def __init__(self, end: int) -> None:
        self._end = end

    def type(self, text: str) -> None:
        os.write(self._end, text.encode())

    def until(self, text: str) -> str:
        """What appears up to `text`."""
        seen, deadline = "", time.monotonic() + 30
        while text not in seen:
            ready, _, _ = select.select([self._end], [], [], max(0, deadline - time.monotonic()))
            assert ready, f"{text!r} did not appear, but {seen!r}"
            seen += os.read(self._end, 1).decode(errors="replace")
        return seen


@contextmanager
def terminal(*arguments: str, env: dict[str, str]) -> Iterator[tuple[Terminal, subprocess.Popen[bytes]]]:
    """The command in a terminal of its own."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [PROGRAM, *arguments], stdin=theirs, stdout=theirs, stderr=theirs, env=env, start_new_session=True
    ) as process:
        os.close(theirs)
        try:
            yield Terminal(ours), process
        finally:
            process.kill()
            os.close(ours)


@pytest.mark.server
def test_in_a_terminal(seaweed: SeaweedServer, inherited_environment: dict[str, str], tmp_path: Path) -> None:
    seaweed.create_bucket(bucket := new_bucket_name())
    environment = {**inherited_environment, "XDG_STATE_HOME": str(tmp_path), "TERM": "dumb"}
    with terminal("sql", f"s3://{bucket}/empty", env=environment) as (screen, process):
        screen.until(FIRST)
        screen.type("SELECT 6 * 7 AS\n")
        screen.until(MORE)
        screen.type("answer;\n")
        assert "answer" in screen.until("42")
        screen.until(FIRST)
        screen.type("SELECT count(*) FROM range(10000000000) a, range(100000) b;\n")
        screen.until("\n")
        time.sleep(0.3)  # so that it runs
        process.send_signal(2)
        screen.until("canceled")
        screen.until(FIRST)
        screen.type("SELECT 1;\n")
        screen.until("1 row")
        screen.until(FIRST)
        screen.type("\x04")
        assert process.wait(20) == 0
    file = tmp_path / "dataknobs-data/sql-history"
    assert file.read_text().splitlines()[:2] == ["SELECT 6 * 7 AS", "answer;"]
    assert file.stat().st_mode & 0o777 == 0o600
