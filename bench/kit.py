"""What every benchmark shares: its command line, interleaved rounds, a table, goals, a report."""

import argparse
import os
import platform
import statistics
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

from adapters import event_loop
from adapters.postgres_migrations import migrate
from tests.kit.log import own_cluster

FIGURES = Path(__file__).parents[1] / "docs" / "figures"

Measurement = Callable[[], Awaitable[float]]
Measuring = Callable[[argparse.Namespace], Coroutine[None, None, int]]
"""Measures, prints, and gives the exit code: 0, or GOAL_MISSED."""

GOAL_MISSED = 3
"""Not 1, which is how a program ends that failed."""


def command(
    measure: Measuring,
    about: str | None,
    *,
    quick: str,
    options: Callable[[argparse.ArgumentParser], object] = lambda _parser: None,
) -> int:
    """Read the command line and measure. `quick` says what the short form leaves out."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--quick", action="store_true", help=quick)
    parser.add_argument("--report", action="store_true", help="write it under docs/figures")
    options(parser)
    # On the loop that the processes use.
    return event_loop.run(measure(parser.parse_args()))


class Goal(msgspec.Struct, frozen=True):
    """A figure that must be reached."""

    what: str
    value: float
    limit: float
    unit: str = "times"
    at_most: bool = False

    @property
    def reached(self) -> bool:
        """Whether the figure is on the right side of its limit."""
        return self.value <= self.limit if self.at_most else self.value >= self.limit

    def __str__(self) -> str:
        sign = "≤" if self.at_most else "≥"
        mark = "reached" if self.reached else "MISSED"
        return f"{self.what}: {self.value:,.2f} {self.unit} ({sign} {self.limit:g}) {mark}"


class Samples(msgspec.Struct, frozen=True):
    """What each variant measured, round by round."""

    rounds: Mapping[str, Sequence[float]]

    def median(self, name: str) -> float:
        """The middle of all rounds."""
        return statistics.median(self.rounds[name])

    def ratio(self, name: str, other: str) -> float:
        """The middle of the rounds' ratios: each pair ran one right after the other."""
        pairs = zip(self.rounds[name], self.rounds[other], strict=True)
        return statistics.median(one / two for one, two in pairs)


async def interleaved(variants: Mapping[str, Measurement], *, rounds: int) -> Samples:
    """Measure every variant in each of `rounds`, after one round that is thrown away.

    Short rounds and many: in turning order, so that what else the machine does hits all alike.
    """
    samples: dict[str, list[float]] = {name: [] for name in variants}
    names = list(variants)
    for number in range(rounds + 1):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            value = await variants[name]()
            if number:
                samples[name].append(value)
    return Samples(samples)


class Report:
    """Prints tables and goals as they come, and keeps them for a Markdown file."""

    def __init__(self, title: str) -> None:
        self._console = Console()
        self._goals: list[Goal] = []
        self._lines = [f"# {title}", "", machine(), ""]
        self._console.print(f"[bold]{title}[/bold]")
        self._console.print(machine(), style="dim")

    def say(self, text: str) -> None:
        """Add a sentence."""
        self._console.print(text)
        self._lines += [text, ""]

    def table(
        self, title: str, header: Sequence[str], rows: Sequence[Sequence[str | float]]
    ) -> None:
        """Add a table; the first column is text, the others are numbers."""
        table = Table(title=title, title_justify="left")
        for number, name in enumerate(header):
            table.add_column(name, justify="right" if number else "left")
        texts = [[_text(cell) for cell in row] for row in rows]
        for row in texts:
            table.add_row(*row)
        self._console.print(table)
        self._lines += [
            f"## {title}",
            "",
            f"| {' | '.join(header)} |",
            f"|---|{'---:|' * (len(header) - 1)}",
            *(f"| {' | '.join(row)} |" for row in texts),
            "",
        ]

    def goal(
        self, what: str, value: float, *, limit: float, unit: str = "times", at_most: bool = False
    ) -> None:
        """Add a goal and whether it was reached."""
        goal = Goal(what, value, limit, unit, at_most)
        self._goals.append(goal)
        self._console.print(str(goal), style="green" if goal.reached else "bold red")
        self._lines.append(f"- {goal}")

    def finish(self, name: str, *, write: bool) -> int:
        """Write `docs/figures/<name>.md` if asked to; 0, or GOAL_MISSED."""
        if write:
            FIGURES.mkdir(parents=True, exist_ok=True)
            path = FIGURES / f"{name}.md"
            path.write_text("\n".join(self._lines).rstrip() + "\n")
            self._console.print(f"written to docs/figures/{name}.md", style="dim")
        return 0 if all(goal.reached for goal in self._goals) else GOAL_MISSED


@asynccontextmanager
async def own_database() -> AsyncIterator[str]:
    """The superuser's URL of a migrated database on a server of the benchmark's own."""
    async with own_cluster() as cluster:
        url = await cluster.ensure_database("media")
        await migrate(url)
        yield url


def machine() -> str:
    """What the figures were taken on; trust the ratios, not the numbers."""
    return (
        f"{os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}; "
        "medians of interleaved rounds. Trust the ratios."
    )


def _text(cell: str | float) -> str:
    if isinstance(cell, str):
        return cell
    return f"{cell:,.0f}" if abs(cell) >= 100 else f"{cell:,.2f}"
