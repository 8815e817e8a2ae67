"""The prompt of `sql`: statements over several lines, a history, and errors that do not end it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from rich.console import Console

from dataknobs_data.cli import output
from dataknobs_data.cli.statements import is_blank, split
from dataknobs_data.exceptions import DataknobsDataError
from dataknobs_data.spelling import did_you_mean

HISTORY_LINES = 1000
FIRST, MORE = "sql> ", "...> "
COMMANDS = {
    ".tables": "what can be asked, and where it is",
    ".schema [TABLE]": "the columns of S3Object, or of another table",
    ".help": "this",
    ".quit": "end; so does Ctrl-D",
}

Ask = Callable[[str], str]
"""The next line that a person types. Raises EOFError where there is none."""


class Prompt:
    """Reads statements and carries them out, until the end.

    run        carries out a statement and shows what it finds
    databases  where each table is
    columns    the columns of a table with their types
    """

    def __init__(
        self,
        ask: Ask,
        run: Callable[[str], object],
        databases: Mapping[str, str],
        columns: Callable[[str], Mapping[str, str]],
    ) -> None:
        self._ask = ask
        self._run = run
        self._databases = databases
        self._columns = columns

    def run(self) -> None:
        """Until Ctrl-D or `.quit`. Ctrl-C gives up what is running, or what is typed."""
        output.say("a statement ends with ; and may have several lines. .help says more, .quit or Ctrl-D ends", "dim")
        typed = ""
        while True:
            try:
                line = self._ask(MORE if typed else FIRST)
            except EOFError:
                return
            except KeyboardInterrupt:
                output.say("")
                typed = ""
                continue
            if not typed and line.lstrip().startswith("."):
                if not self._command(line.split()):
                    return
                continue
            found, rest = split(f"{typed}{line}\n")
            typed = "" if is_blank(rest) else rest
            for statement in found:
                if not self._carried_out(partial(self._run, statement)):
                    break

    def _carried_out(self, call: Callable[[], object]) -> bool:
        """Whether it went well; else it is said why not."""
        try:
            call()
        except KeyboardInterrupt:
            output.say("canceled")
        except BrokenPipeError:
            raise
        except (DataknobsDataError, OSError) as error:
            output.error(str(error))
        else:
            return True
        return False

    # ------------------------------------------------------------------ commands of the prompt itself
    def _command(self, words: list[str]) -> bool:
        """Carries out what begins with a dot. False: that was the end."""
        name, *arguments = words
        if name in (".quit", ".exit"):
            return False
        if name == ".help":
            _show(("command", "what it does"), COMMANDS)
        elif name == ".tables":
            _show(("table", "where"), self._databases)
        elif name == ".schema":
            self._carried_out(lambda: self._schema(arguments))
        else:
            known = [command.split()[0] for command in COMMANDS]
            output.error(f"there is no command {name!r}; {did_you_mean(name, known)}")
        return True

    def _schema(self, names: list[str]) -> None:
        table = names[0] if names else next(iter(self._databases))
        _show(("column", "type"), self._columns(table))


def _show(names: tuple[str, str], rows: Mapping[str, str]) -> None:
    grid = output.grid(names)
    for left, right in rows.items():
        grid.add_row(output.plain(left), output.plain(right))
    Console(highlight=False).print(grid)


# ---------------------------------------------------------------------------------------------- the terminal
@contextmanager
def asking() -> Iterator[Ask]:
    """Reads lines from the terminal, with editing and a history where Python has readline."""
    if not sys.stdout.isatty():  # the prompt is no result
        yield _ask_on_stderr
        return
    try:
        import readline
    except ImportError:
        yield input
        return
    file = history_file()
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(file, os.O_CREAT | os.O_WRONLY, 0o600))  # statements may hold what is nobody else's business
        readline.read_history_file(file)
    except OSError as error:
        output.say(f"there is no history: {error}", "dim")
        yield input
        return
    readline.set_history_length(HISTORY_LINES)

    def ask(prompt: str) -> str:
        before = readline.get_current_history_length()
        line = input(prompt)
        added = readline.get_current_history_length() - before
        if added > 0:
            with suppress(OSError, AttributeError):  # a full disk; macOS's editline cannot append
                readline.append_history_file(added, file)
        return line

    yield ask


def _ask_on_stderr(prompt: str) -> str:
    output.stderr.print(prompt, end="", markup=False)
    line = sys.stdin.readline()
    if not line:
        raise EOFError
    return line


def history_file() -> Path:
    """In the folder for what programs remember: https://specifications.freedesktop.org/basedir-spec/latest/."""
    state = os.environ.get("XDG_STATE_HOME", "")
    folder = Path(state) if os.path.isabs(state) else Path.home() / ".local/state"
    return folder / "dataknobs-data" / "sql-history"
