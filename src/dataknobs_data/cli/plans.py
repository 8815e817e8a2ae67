"""What a command changes, or would change, in a bucket's configuration: shown as a diff."""

from __future__ import annotations

import json as json_text
import sys
from dataclasses import asdict
from datetime import date
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from dataknobs_data.cli import output
from dataknobs_data.cli.exits import Exit

if TYPE_CHECKING:
    from dataknobs_data.s3.admin.plan import Plan

_STYLES = {"+": "green", "-": "red", "@": "dim"}


def show_plan(plan: Plan, json: bool) -> int:
    """Prints the change on stdout, notes and whether it was made on stderr."""
    if json:
        print_json(asdict(plan))
        return Exit.OK
    console = Console(highlight=False, soft_wrap=True)
    for line in plan.diff().splitlines():
        console.print(Text(output.escaped(line), _STYLES.get(line[:1], "")))
    sys.stdout.flush()
    for note in plan.notes:
        output.say(f"note: {note}")
    if plan.applied:
        output.say("changed", "green")
    else:
        output.say("nothing was changed: this is a dry run" if plan.changes else "nothing to change", "dim")
    return Exit.OK


def _text(value: Any) -> str:
    return value.isoformat() if isinstance(value, date) else str(value)


def print_json(value: Any) -> None:
    """One JSON document on stdout; times as ISO 8601."""
    print(json_text.dumps(value, indent=2, default=_text, ensure_ascii=True))
