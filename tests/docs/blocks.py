"""The fenced blocks of a Markdown page, and how each kind is carried out.

    ```python                 runs, in one namespace a page; `expression  # → value` must have that repr
    ```console                `$ command` lines run in bash; what they print must be what stands below (… is anything)
    ```yaml file=config.yaml  is written to that file, in the folder where the page runs

Blocks of other kinds are for reading.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_FENCE = re.compile(r"^```(?P<info>[^\n`]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_RESULT = re.compile(r"  # → (?P<value>.*)$")
_FILE = re.compile(r"\bfile=(\S+)")
COMMAND_SECONDS_MAX = 60


@dataclass(frozen=True)
class Block:
    """One fenced block; `line` is that of its first line in the page."""

    page: Path
    line: int
    kind: str
    info: str
    text: str


def blocks_of(page: Path) -> Iterator[Block]:
    """All fenced blocks of a page, in order."""
    content = page.read_text()
    for found in _FENCE.finditer(content):
        line = content.count("\n", 0, found.start()) + 2
        kind, _, info = found["info"].strip().partition(" ")
        yield Block(page, line, kind, info, found["text"])


class Runner:
    """Carries out the blocks of one page, in order."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._namespace: dict[str, Any] = {"__name__": "page"}
        scripts = str(Path(sys.executable).parent)
        self._environment = {**environment, "PATH": f"{scripts}:{os.environ['PATH']}", "COLUMNS": "80"}

    def run(self, block: Block) -> None:
        """Carries out one block. Raises what its code raises, AssertionError where a result is another."""
        if block.kind == "python":
            self._run_python(block)
        elif block.kind == "console":
            self._run_console(block)
        elif name := _FILE.search(block.info):
            Path(name[1]).write_text(block.text)

    def _run_python(self, block: Block) -> None:
        tree = ast.parse(block.text, str(block.page))
        lines = block.text.splitlines()
        for node in ast.increment_lineno(tree, block.line - 1).body:
            assert node.end_lineno
            expected = _RESULT.search(lines[node.end_lineno - block.line])
            if expected and isinstance(node, ast.Expr):
                code = compile(ast.Expression(node.value), str(block.page), "eval")
                value = repr(eval(code, self._namespace))
                where = f"{block.page.name}:{node.end_lineno}"
                assert value == expected["value"], f"{where} says {expected['value']}, it is {value}"
            else:
                assert not expected, f"{block.page.name}:{node.end_lineno}: only an expression has a value to show"
                exec(compile(ast.Module([node], []), str(block.page), "exec"), self._namespace)

    def _run_console(self, block: Block) -> None:
        for command, expected in _commands(block.text):
            run = subprocess.run(
                ["bash", "-c", command],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=COMMAND_SECONDS_MAX,
                check=False,
            )
            printed = "\n".join(line.rstrip() for line in run.stdout.splitlines())
            pattern = ".*".join(map(re.escape, expected.split("…")))
            assert re.fullmatch(pattern, printed, re.DOTALL), (
                f"{block.page.name}:{block.line}: `{command}` prints\n{printed}\ninstead of\n{expected}"
            )


def _commands(text: str) -> Iterator[tuple[str, str]]:
    """(command, what it prints); a command goes on in lines that start with `> `."""
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        first, *rest = part.splitlines()
        command = [first]
        while rest and rest[0].startswith("> "):
            command.append(rest.pop(0)[2:])
        yield "\n".join(command), "\n".join(line.rstrip() for line in rest)
