"""The parts of the pages that are written from the code: `python -m tests.docs.reference` writes them anew.

They stand between `<!-- NAME -->` and `<!-- end -->`; a test compares.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import typer

from dataknobs_data.cli.app import app
from dataknobs_data.cli.exits import MEANING
from dataknobs_data.registry import BACKENDS
from dataknobs_data.s3.settings import S3Settings

ROOT = Path(__file__).parents[2]
_PART = re.compile(r"(<!-- (?P<name>[a-z0-9 ]+) -->\n)(?P<text>.*?)(<!-- end -->)", re.DOTALL)


def commands() -> dict[str, Any]:
    """The commands of the command line by name; those of a group with its name before theirs."""
    program: Any = typer.main.get_command(app)
    found: dict[str, Any] = {}
    for name, command in program.commands.items():
        inner = {f"{name} {one}": below for one, below in getattr(command, "commands", {}).items()}
        found |= inner or {name: command}
    return found


def command_reference(name: str, command: Any) -> Iterator[str]:
    """What `--help` says of one command, as Markdown."""
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    options = [one for one in command.params if one.param_type_name == "option" and one.name != "help"]
    usage = " ".join(one.metavar if one.required else f"[{one.metavar}]" for one in arguments)
    yield f"`dataknobs-data {name} {usage}".rstrip() + "`\n"
    yield "| | |\n|---|---|"
    for one in arguments:
        yield f"| `{one.metavar}` | {_cell(one.help)} |"
    for one in options:
        names = ", ".join(sorted(one.opts, key=len))
        yield f"| `{_cell(names if one.is_flag else f'{names} {one.metavar}')}` | {_cell(one.help)} |"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def exit_codes() -> Iterator[str]:
    """The exit codes of the command line."""
    yield "| code | meaning |\n|---|---|"
    for code, meaning in MEANING.items():
        yield f"| {int(code)} | {meaning} |"


def s3_defaults() -> dict[str, str]:
    """The defaults of the S3 settings as the page has to show them."""
    return {one.name: "required" if one.default is MISSING else f"`{one.default!r}`" for one in fields(S3Settings)}


def backend_table() -> Iterator[str]:
    """The backends."""
    yield "| backend | also called | holds | extra |\n|---|---|---|---|"
    for info in BACKENDS:
        extra = f"`{info.extra}`" if info.extra else ""
        yield f"| `{info.name}` | {', '.join(f'`{alias}`' for alias in info.aliases)} | {info.description} | {extra} |"


def parts() -> dict[str, str]:
    """Every written part by name."""
    found = {"exit codes": exit_codes(), "backends": backend_table()}
    found |= {f"help of {name}": command_reference(name, command) for name, command in commands().items()}
    return {name: "\n".join(lines) + "\n" for name, lines in found.items()}


def parts_in(page: Path) -> dict[str, str]:
    """The parts that stand in a page."""
    return {found["name"]: found["text"] for found in _PART.finditer(page.read_text())}


def rewrite(page: Path) -> None:
    """Writes the parts of a page anew."""
    fresh = parts()
    text = page.read_text()
    page.write_text(_PART.sub(lambda found: found[1] + fresh[found["name"]] + found[4], text))


if __name__ == "__main__":
    for path in sorted((ROOT / "docs").glob("**/*.md")):
        rewrite(path)
    sys.exit()
