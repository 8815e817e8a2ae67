"""What the demo shows: each step with its time, the requests it really sent and their price, and the table at the end."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from rich import box
from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from dataknobs_data.backends.s3 import S3Database
from dataknobs_data.s3.costs.prices import default_prices
from dataknobs_data.s3.costs.usage import Usage

MIB = 1024 * 1024
PROGRESS_EVERY = 200

T = TypeVar("T")


@dataclass(frozen=True)
class Step:
    """One line of the table; `usage` None: it sent nothing to the object store."""

    what: str
    seconds: float
    usage: Usage | None


@dataclass
class Screen:
    """The terminal, and the memory of every step for the table."""

    console: Console = field(default_factory=lambda: Console(highlight=False))
    steps: list[Step] = field(default_factory=list)

    @contextmanager
    def step(self, what: str, store: S3Database | None = None) -> Iterator[None]:
        """Times what happens inside, and counts what `store` sends meanwhile."""
        before = store.usage if store else None
        self.console.print(f"\n[bold]{len(self.steps) + 1:>2}  {what}[/bold]")
        start = time.perf_counter()
        yield
        seconds = time.perf_counter() - start
        usage = store.usage.since(before) if store and before else None
        self.steps.append(Step(what, seconds, usage))
        self.say(f"[cyan]{' · '.join([*_cost(usage), _time(seconds)])}[/cyan]")

    def say(self, what: RenderableType) -> None:
        """Something indented."""
        self.console.print(Padding(what, (0, 0, 0, 4), expand=False))

    def progress(self, items: Iterable[T], total: int) -> Iterator[T]:
        """`items`, with a bar that follows them."""
        columns = (TextColumn("   "), BarColumn(bar_width=40), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=self.console, transient=True, disable=not self.console.is_terminal) as bar:
            task = bar.add_task("", total=total)
            for done, item in enumerate(items):
                if done % PROGRESS_EVERY == 0:
                    bar.update(task, completed=done)
                yield item

    def rows(self, rows: Sequence[Mapping[str, object]]) -> None:
        """A small table of results."""
        table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
        for name, value in rows[0].items():
            table.add_column(name, justify="right" if isinstance(value, int) else "left", no_wrap=True)
        for row in rows:
            table.add_row(*map(str, row.values()))
        self.say(table)

    def summary(self) -> None:
        """The table of all steps, and what the dollars are."""
        table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, show_footer=True)
        used = [step.usage for step in self.steps if step.usage]
        table.add_column("step", "in all", no_wrap=True)
        table.add_column("requests", f"{sum(usage.total for usage in used):,}", justify="right")
        table.add_column("seconds", f"{sum(step.seconds for step in self.steps):.3f}", justify="right")
        table.add_column("dollars", f"{sum(usage.dollars for usage in used):.7f}", justify="right")
        for step in self.steps:
            requests, dollars = (f"{step.usage.total:,}", f"{step.usage.dollars:.7f}") if step.usage else ("", "")
            table.add_row(step.what, requests, f"{step.seconds:.3f}", dollars)
        self.console.print("\n[bold]What it took[/bold]\n")
        self.console.print(table)
        prices = default_prices()
        self.console.print(
            "\n[dim]Requests: counted as sent, retries included. Seconds: on this machine, where the servers run too. "
            f"Dollars: what AWS charges for such requests ({prices.region}, prices of {prices.dated}); storage and transfer "
            "come on top. Both servers are stopped and their data is gone.[/dim]"
        )


def _cost(usage: Usage | None) -> list[str]:
    if usage is None:
        return []
    kinds = ", ".join(f"{count:,} {operation}" for operation, count in usage.requests.items())
    ways = {"up": usage.bytes_sent, "down": usage.bytes_received}
    moved = [f"{size / MIB:.1f} MiB {way}" for way, size in ways.items() if size >= MIB / 10]
    return [kinds, *moved, f"${usage.dollars:.7f}"] if kinds else ["no requests"]


def _time(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds >= 10 else f"{seconds * 1000:,.1f} ms"
