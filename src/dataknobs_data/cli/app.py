"""The command line: one program, its commands, and how each of them ends."""

from __future__ import annotations

import logging
import os
import sys
import traceback
from functools import cache, partial
from importlib.metadata import version
from typing import Annotated

import typer

from dataknobs_data.cli import output
from dataknobs_data.cli.archive import restore
from dataknobs_data.cli.at import at
from dataknobs_data.cli.compact import compact
from dataknobs_data.cli.encrypt import encrypt
from dataknobs_data.cli.exits import Exit, exit_of
from dataknobs_data.cli.explain import explain
from dataknobs_data.cli.lifecycle import lifecycle
from dataknobs_data.cli.lock import lock
from dataknobs_data.cli.policy import policy
from dataknobs_data.cli.presign import presign
from dataknobs_data.cli.read import count, get, search
from dataknobs_data.cli.replicate import replicate
from dataknobs_data.cli.serve import serve
from dataknobs_data.cli.sql import sql
from dataknobs_data.cli.table import log, stats, vacuum
from dataknobs_data.cli.tags import tags
from dataknobs_data.cli.versions import history, revert, undelete, versioning
from dataknobs_data.cli.write import create, rm
from dataknobs_data.exceptions import DataknobsDataError

PROGRAM = "dataknobs-data"

CommandLineError: type[BaseException] = next(
    kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException"
)
"""What typer raises for a wrong command line: click's own class, or that of the copy that newer versions bring along."""

app = typer.Typer(name=PROGRAM, add_completion=False, rich_markup_mode=None)
COMMANDS = (
    *(create, get, search, count, rm),
    *(sql,),
    *(compact, vacuum, log, stats, at),
    *(history, revert, undelete, versioning),
    *(restore,),
    *(presign,),
    *(lifecycle,),
    *(replicate, encrypt, tags),
    *(policy, lock),
    *(serve,),
)
for command in COMMANDS:
    app.command()(command)
app.add_typer(explain)
_program = cache(partial(typer.main.get_command, app))


@app.callback(invoke_without_command=True)
def start(
    context: typer.Context,
    show_version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False,
) -> None:
    """Records in an object store: create, get, search, count and delete them, or serve a store to try it on.

    Exit codes: 0 done, 1 not found, 2 wrong usage, 3 trouble with the store, 4 partly done.
    """
    if show_version:
        print(PROGRAM, version(PROGRAM))
    elif context.invoked_subcommand is None:
        print(context.get_help())


def main() -> None:
    """The entry point: runs the command that sys.argv asks for, and exits."""
    logging.basicConfig(format="%(levelname)s: %(message)s")
    logging.addLevelName(logging.WARNING, "warning")
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """The exit code of a command line; every error is one line on stderr."""
    code: int
    try:
        with _program().make_context(PROGRAM, list(arguments)) as context:
            code = context.command.invoke(context) or Exit.OK
        sys.stdout.flush()
    except typer.Exit as done:
        code = done.exit_code
    except CommandLineError as error:
        code = _failed(Exit.USAGE, f"{_message_of(error)}; see {PROGRAM} --help", arguments)
    except KeyboardInterrupt:
        output.say("interrupted")
        code = Exit.INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains when it exits
        code = Exit.PIPE_CLOSED
    except (DataknobsDataError, OSError) as error:
        code = _failed(exit_of(error), str(error), arguments)
    except Exception as error:  # noqa: BLE001  the last line before a person
        what = f"{type(error).__name__}: {error}"
        code = _failed(Exit.BUG, f"this is a mistake in {PROGRAM}: {what} (--debug shows where)", arguments)
    return code


def _failed(code: Exit, message: str, arguments: list[str]) -> Exit:
    if "--debug" in arguments:
        traceback.print_exc()
    output.error(message)
    return code


def _message_of(error: BaseException) -> str:
    format_message = getattr(error, "format_message", error.__str__)
    return str(format_message()).rstrip(".")
