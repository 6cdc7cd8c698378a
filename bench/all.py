"""Every benchmark, one after the other: `./dev bench all`, or `./dev bench` without a name.

Each in a process of its own and for no longer than it may; what it says is shown as it comes. With
`--report` the reports under docs/figures are written, and the table of the run beside them.
"""

import argparse
import asyncio
import contextlib
import signal
import sys
import time
from collections.abc import Mapping

from bench.kit import GOAL_MISSED, Report, command
from tests.kit.up import ROOT

LIMITS: Mapping[str, int] = {
    "signing": 60,
    "log_lines": 60,
    "appends": 240,
    "visibility": 120,
    "replay": 240,
    "listing": 240,
    "http": 600,
    "uploads": 300,
    "start_up": 120,
    "fanout": 120,
    "streams": 120,
    "webhooks": 120,
    "delivery": 240,
    "renditions": 240,
    "scrolling": 180,
    "suite": 900,
}
"""Seconds each may take, in the order they run."""
VERDICTS: Mapping[int | None, str] = {
    0: "every goal reached",
    GOAL_MISSED: "a goal missed",
    None: "took too long, ended",
}
GRACE_SECONDS = 60
"""For one that is interrupted, to end what it started."""


async def ended(program: list[str], seconds: int) -> int | None:
    """How the program ended; None when it had to be interrupted, as Ctrl-C would."""
    running = await asyncio.create_subprocess_exec(*program, cwd=ROOT)
    try:
        async with asyncio.timeout(seconds):
            return await running.wait()
    except TimeoutError:
        running.send_signal(signal.SIGINT)
        return None
    finally:
        # What it started ends with it, if it is asked, by us or by Ctrl-C, and not killed.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GRACE_SECONDS):
                await running.wait()
        if running.returncode is None:
            running.kill()


async def run(arguments: argparse.Namespace) -> int:
    """Run those that were asked for; 1 when one failed or, in its whole form, missed a goal."""
    names = arguments.only or list(LIMITS)
    options = [f"--{name}" for name in ("quick", "report") if getattr(arguments, name)]
    report = Report("All benchmarks")
    rows: list[list[str | float]] = []
    codes: set[int | None] = set()
    for number, name in enumerate(names, 1):
        print(f"[{number}/{len(names)}] {name}, at most {LIMITS[name]} s", flush=True)
        began = time.monotonic()
        program = [sys.executable, "-m", f"bench.{name}", *options]
        code = await ended(program, LIMITS[name])
        codes.add(code)
        verdict = VERDICTS.get(code, f"failed ({code})")
        rows.append([name, verdict, f"{time.monotonic() - began:.0f}"])
    report.table("The run", ["benchmark", "verdict", "seconds"], rows)
    report.finish("all", write=arguments.report)
    # The short forms show that each works; their figures mean nothing.
    enough = {0, GOAL_MISSED} if arguments.quick else {0}
    return 0 if enough.issuperset(codes) else 1


def main() -> int:
    """Read the command line and run."""
    return command(
        run,
        __doc__,
        quick="short rounds, to see that each works: goals are not judged",
        options=lambda parser: parser.add_argument(
            "--only", nargs="*", choices=list(LIMITS), help="these alone"
        ),
    )


if __name__ == "__main__":
    sys.exit(main())
