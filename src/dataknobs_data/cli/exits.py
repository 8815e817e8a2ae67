"""Exit codes, and which error leads to which. The table in docs/cli.md is checked against this one."""

from __future__ import annotations

from enum import IntEnum

from dataknobs_data.exceptions import (
    BatchError,
    ConfigurationError,
    DataknobsDataError,
    QueryError,
    RecordNotFoundError,
    RecordValidationError,
)


class Exit(IntEnum):
    """What the command tells the shell."""

    OK = 0
    NOT_FOUND = 1
    USAGE = 2
    STORE = 3
    PARTLY = 4
    BUG = 70
    INTERRUPTED = 130
    PIPE_CLOSED = 141


MEANING = {
    Exit.OK: "done; also a `count` of 0",
    Exit.NOT_FOUND: "an id has no record, or no such version (what was asked of the others is done); `search`: nothing matched",
    Exit.USAGE: "the command, its options, a condition, an id or the configuration makes no sense; nothing was done",
    Exit.STORE: "the store or file cannot be reached, refuses us, failed, holds damaged data, or no longer knows the past asked for",
    Exit.PARTLY: "some records failed, each named on stderr; the others are done. `restore`: some cannot be read yet",
    Exit.BUG: "a mistake in this program",
    Exit.INTERRUPTED: "Ctrl-C (`serve` ends with 0, `compact --watch` with 0 or what its last run failed with)",
    Exit.PIPE_CLOSED: "whoever read the output closed it early, as `head` does",
}


def exit_of(error: DataknobsDataError | OSError) -> Exit:
    """The exit code for an error that ended a command."""
    if isinstance(error, ConfigurationError | QueryError | RecordValidationError):
        return Exit.USAGE
    if isinstance(error, RecordNotFoundError):
        return Exit.NOT_FOUND
    return Exit.PARTLY if isinstance(error, BatchError) else Exit.STORE
