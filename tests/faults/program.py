"""`./dev faults [SCENARIO …] [--strikes N] [--seed S] [--report]`: strike, and see what is left.

One system on loopback for all scenarios, one for the red proofs; both are ended with the program.
"""

import argparse
import asyncio
import contextlib
import random
import shutil
import signal
import tempfile
import time
from collections.abc import Coroutine, Iterator, Sequence
from pathlib import Path

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn

from tests.faults.final import final_look
from tests.faults.kills import KILLS
from tests.faults.races import RACES
from tests.faults.red import PROOFS, prove
from tests.faults.report import Report, print_tables, write_report
from tests.faults.servers import SERVERS
from tests.faults.stage import Outcome, Scenario, play
from tests.faults.system import System, running_system

SCENARIOS: Sequence[Scenario] = (*KILLS, *SERVERS, *RACES)
BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}
REGRESSIONS = Path(__file__).with_name("regressions.txt")
"""`scenario seed strikes` of every run that ever failed: played first, for good."""
STOPPED = 130
RED = "red"
KEPT = Path(tempfile.gettempdir()) / "media-faults-failed"
"""Where the histories and the processes' lines of a failed run stay."""


class Regression(msgspec.Struct, frozen=True):
    """A run that failed once."""

    scenario: str
    seed: int
    strikes: int


def regressions() -> list[Regression]:
    """The list, in its order."""
    lines = [line.partition("#")[0].split() for line in REGRESSIONS.read_text().splitlines()]
    return [Regression(line[0], int(line[1]), int(line[2])) for line in lines if line]


def remember(outcome: Outcome) -> None:
    """Add a run that failed to the list."""
    violated = [found for found in outcome.violations if found.invariant != "void"]
    if violated:
        _note(Regression(outcome.scenario, outcome.seed, outcome.strikes), violated[0].invariant)


def _note(one: Regression, why: str) -> None:
    if one not in regressions():
        with REGRESSIONS.open("a") as file:
            file.write(f"{one.scenario} {one.seed} {one.strikes}  # {why}\n")


class Shown:
    """One line that tells what goes on."""

    def __init__(self, console: Console) -> None:
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            console=console,
            transient=True,
        )
        self._task = self._bar.add_task("starting", total=None)

    @contextlib.contextmanager
    def shown(self) -> Iterator[None]:
        """While the program runs."""
        with self._bar:
            yield

    def __call__(self, name: str, done: int, wanted: int) -> None:
        """So many strikes hit, of those wanted."""
        self._bar.update(self._task, description=name, completed=done, total=wanted)


class Run:
    """One call of the program."""

    def __init__(self, arguments: argparse.Namespace, console: Console, folder: Path) -> None:
        self.report = Report(
            seed=arguments.seed,
            strikes=arguments.strikes,
            scenarios="".join(f" {name}" for name in arguments.scenario),
        )
        self._arguments = arguments
        self._console = console
        self._folder = folder
        self._shown = Shown(console)
        named = [BY_NAME[name] for name in arguments.scenario if name != RED]
        self._chosen = named if arguments.scenario else list(SCENARIOS)
        self._proving = not arguments.scenario or RED in arguments.scenario

    async def play(self) -> int:
        """Play everything; 0 when nothing was violated and every proof turned red."""
        began = time.monotonic()
        with self._shown.shown():
            if self._chosen:
                await self._scenarios()
            if self._proving:
                await self._proofs()
        self.report.seconds = time.monotonic() - began
        print_tables(self.report, self._console)
        if self._arguments.report:
            write_report(self.report, self._console)
        return 0 if self.report.good else 1

    async def _scenarios(self) -> None:
        again = [one for one in regressions() if BY_NAME[one.scenario] in self._chosen]
        plays = [(BY_NAME[one.scenario], one.seed, one.strikes) for one in again]
        plays += [(one, self.report.seed, self.report.strikes) for one in self._chosen]
        async with running_system() as system:
            try:
                for number, (scenario, seed, strikes) in enumerate(plays):
                    try:
                        outcome = await play(
                            system,
                            scenario,
                            run=f"r{number}",
                            seed=seed,
                            strikes=strikes,
                            folder=self._folder,
                            progress=self._shown,
                        )
                    except Exception as error:
                        _note(Regression(scenario.name, seed, strikes), type(error).__name__)
                        raise
                    replayed = number < len(again)
                    (self.report.replayed if replayed else self.report.outcomes).append(outcome)
                    _say(outcome, self._console)
                    remember(outcome)
                if self._arguments.final:
                    await self._final(system)
            except BaseException:
                _keep(system, self._folder, self._console)
                raise
            if not self.report.good:
                _keep(system, self._folder, self._console)

    async def _final(self, system: System) -> None:
        self._shown("waiting for the last purges", 0, 1)
        outcomes = [*self.report.replayed, *self.report.outcomes]
        self.report.final = await final_look(system, outcomes)
        for found in self.report.final:
            self._console.print(f"{found.invariant}: {found.what}", markup=False, style="bold red")
        for outcome in outcomes:
            remember(outcome)

    async def _proofs(self) -> None:
        async with running_system() as system:
            for number, proof in enumerate(PROOFS):
                red = await prove(
                    system,
                    proof,
                    number=number,
                    seed=self.report.seed,
                    folder=self._folder,
                    progress=self._shown,
                )
                self.report.proofs.append(red)
                mark = "[green]red[/green]" if red.told else "[bold red]SAW NOTHING[/bold red]"
                self._console.print(f"proof  {red.invariant}: {mark}")


def _say(outcome: Outcome, console: Console) -> None:
    mark = "[green]holds[/green]" if outcome.good else "[bold red]VIOLATED[/bold red]"
    console.print(
        f"{outcome.scenario} (seed {outcome.seed}): {outcome.strikes} strikes,"
        f" {outcome.operations} operations, {outcome.events} events, well again after"
        f" {outcome.recovery_seconds:.1f} s, {outcome.seconds:.0f} s in all: {mark}"
    )
    for violation in outcome.violations[:20]:
        console.print(f"    {violation.invariant}: {violation.what}", markup=False)


def _keep(system: System, folder: Path, console: Console) -> None:
    shutil.rmtree(KEPT, ignore_errors=True)
    shutil.copytree(folder, KEPT)
    shutil.copy(system.home / "processes.log", KEPT)
    console.print(f"histories and log lines are kept in {KEPT}")


def main() -> int:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(prog="./dev faults", description=__doc__)
    names = ", ".join((*BY_NAME, RED))
    parser.add_argument("scenario", nargs="*", choices=[*BY_NAME, RED, []], metavar="SCENARIO",
                        help=f"one or more of: {names}; all without")  # fmt: skip
    parser.add_argument("--strikes", type=int, default=5, help="strikes a scenario (5)")
    parser.add_argument("--seed", type=int, default=None, help="of all that is random")
    parser.add_argument("--report", action="store_true", help="write docs/figures/faults.md")
    parser.add_argument("--no-final", dest="final", action="store_false",
                        help="do not wait two minutes for the last purges")  # fmt: skip
    arguments = parser.parse_args()
    if arguments.seed is None:
        arguments.seed = random.randrange(10**6)
    console = Console(highlight=False)
    console.print(f"seed {arguments.seed}")
    with tempfile.TemporaryDirectory(prefix="media-faults-") as folder:
        return asyncio.run(_until_told(Run(arguments, console, Path(folder)).play()))


async def _until_told(work: Coroutine[object, object, int]) -> int:
    """Do it; SIGTERM and Ctrl-C end it, and all that it started."""
    task = asyncio.ensure_future(work)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, task.cancel)
    try:
        return await task
    except asyncio.CancelledError:
        return STOPPED
