"""What `./dev faults` tells in the end: a table for people, a page for docs/figures."""

import os
import platform
from collections.abc import Sequence
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

from tests.faults.checker import INVARIANTS, Violation
from tests.faults.red import Red
from tests.faults.stage import Outcome

PAGE = Path(__file__).parents[2] / "docs" / "figures" / "faults.md"


class Report(msgspec.Struct, kw_only=True):
    """Everything that came of a run."""

    seed: int
    strikes: int
    outcomes: list[Outcome] = []
    replayed: list[Outcome] = []
    """Of the seeds that failed once."""
    proofs: list[Red] = []
    final: list[Violation] | None = None
    """None where nobody waited for the last purges."""
    scenarios: str = ""
    """Those that were named."""
    seconds: float = 0

    @property
    def good(self) -> bool:
        """Whether nothing was violated, and every proof turned red."""
        played = all(one.good for one in (*self.outcomes, *self.replayed))
        return played and all(proof.told for proof in self.proofs)


HEADER = ("scenario", "strikes", "void", "operations", "events", "well again after", "violations")


def rows(outcomes: Sequence[Outcome]) -> list[tuple[str, ...]]:
    """One row for each scenario."""
    return [
        (
            one.scenario,
            str(one.strikes),
            str(one.void),
            f"{one.operations:,}",
            f"{one.events:,}",
            f"{one.recovery_seconds:.1f} s",
            str(len(one.violations)),
        )
        for one in outcomes
    ]


def print_tables(report: Report, console: Console) -> None:
    """The end of the program's output."""
    table = Table(*HEADER, title=f"Seed {report.seed}, {report.seconds / 60:.0f} min")
    for row in rows(report.outcomes):
        table.add_row(*row)
    console.print(table)
    blind = [proof.invariant for proof in report.proofs if not proof.told]
    console.print(f"red proofs: {len(report.proofs) - len(blind)} of {len(report.proofs)}")
    for name in blind:
        console.print(f"[bold red]the checker did not see a broken build: {name}[/bold red]")
    verdict = "no invariant was violated" if report.good else "[bold red]NOT GOOD[/bold red]"
    console.print(verdict)


def write_report(report: Report, console: Console) -> None:
    """Write docs/figures/faults.md."""
    PAGE.write_text("\n".join(_lines(report)) + "\n")
    console.print("written to docs/figures/faults.md")


def _lines(report: Report) -> list[str]:
    struck = sum(one.strikes for one in report.outcomes)
    operations = sum(one.operations for one in report.outcomes)
    events = sum(one.events for one in report.outcomes)
    every = [*report.outcomes, *report.replayed]
    broken = sum(len(one.violations) for one in every)
    seen = sum(bool(proof.told) for proof in report.proofs)
    machine = (
        f"{os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()};"
        f" `./dev faults{report.scenarios} --strikes {report.strikes} --seed {report.seed}`,"
        f" {report.seconds / 60:.0f} minutes."
    )
    result = (
        f"**{struck:,} strikes** in {len(report.outcomes)} scenarios under {operations:,}"
        f" operations of seeded clients, {events:,} events: **{broken} violations**."
        f" {seen} of {len(report.proofs)} deliberately broken builds turned the checker red."
    )
    lines = [
        "# Faults",
        "",
        machine,
        "",
        result,
        "",
        "How it is proven: [ADR 25](../adr/0025-how-faults-are-proven.md).",
        "",
        "## Scenarios",
        "",
        f"| {HEADER[0]} | the fault | {' | '.join(HEADER[1:])} |",
        f"|---|---|{'---:|' * (len(HEADER) - 1)}",
    ]
    for outcome, row in zip(report.outcomes, rows(report.outcomes), strict=True):
        lines.append(f"| {row[0]} | {outcome.what} | {' | '.join(row[1:])} |")
    lines += [
        "",
        "A strike that did not hit is void and was repeated. *Well again after*: from the end of",
        "the fault until nothing is left to do, with no hand but the supervisor's.",
        "",
        "In the end, when every purge had had its last pass: " + _in_the_end(report.final),
        "",
        f"Seeds that failed once, played again: {len(report.replayed)}, "
        + ("all hold." if all(one.good for one in report.replayed) else "NOT all hold."),
        "",
    ]
    if broken:
        lines += ["## Violations", ""]
        for outcome in every:
            lines += [
                f"- {outcome.scenario} (seed {outcome.seed}): {one.invariant}: {one.what}"
                for one in outcome.violations
            ]
        lines.append("")
    return [*lines, *_proofs(report)]


def _in_the_end(final: list[Violation] | None) -> str:
    if final is None:
        return "not looked at in this run."
    return f"{len(final)} violations." if final else "nothing left, nothing undone."


def _proofs(report: Report) -> list[str]:
    told = {proof.invariant: proof for proof in report.proofs}
    lines = [
        "## Invariants, and the builds that turn them red",
        "",
        "| invariant | what it says | a build that breaks it | what the checker said |",
        "|---|---|---|---|",
    ]
    for name, invariant in INVARIANTS.items():
        proof = told.get(name)
        says = (invariant.__doc__ or "").strip().splitlines()[0]
        build = proof.build if proof else "not run"
        said = (proof.told or "**NOTHING**") if proof else ""
        lines.append(f"| {name} | {says} | {build} | {said} |")
    return lines
