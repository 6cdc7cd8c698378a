"""Every benchmark, one after the other: `./dev bench all`, or `./dev bench` without a name.

Each in a process of its own and for no longer than it may; what it says is shown as it comes. With
`--report` the reports under docs/figures are written, and the table of the run beside them.
"""

import argparse
import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Mapping

from bench.kit import Report
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
    "delivery": 120,
    "renditions": 240,
}
"""Seconds each may take, in the order they run."""
GRACE_SECONDS = 60
"""For one that is interrupted, to end what it started."""


def ended(command: list[str], seconds: int) -> int | None:
    """How the program ended; None when it had to be interrupted, as Ctrl-C would."""
    with subprocess.Popen(command, cwd=ROOT) as program:
        try:
            return program.wait(seconds)
        except subprocess.TimeoutExpired:
            program.send_signal(signal.SIGINT)
            return None
        finally:
            # What it started ends with it, if it is asked, by us or by Ctrl-C, and not killed.
            with contextlib.suppress(subprocess.TimeoutExpired):
                program.wait(GRACE_SECONDS)
            program.kill()


def run(arguments: argparse.Namespace) -> int:
    """Run those that were asked for; 1 when one failed or missed a goal."""
    names = arguments.only or list(LIMITS)
    options = [f"--{name}" for name in ("quick", "report") if getattr(arguments, name)]
    report = Report("All benchmarks")
    rows: list[list[str | float]] = []
    for number, name in enumerate(names, 1):
        print(f"[{number}/{len(names)}] {name}, at most {LIMITS[name]} s", flush=True)
        began = time.monotonic()
        command = [sys.executable, "-m", f"bench.{name}", *options]
        code = ended(command, LIMITS[name])
        verdict = {0: "every goal reached", 1: "a goal missed", None: "took too long, ended"}.get(
            code, f"failed ({code})"
        )
        rows.append([name, verdict, f"{time.monotonic() - began:.0f}"])
    report.table("The run", ["benchmark", "verdict", "seconds"], rows)
    report.finish("all", write=arguments.report)
    return 0 if all(row[1] == "every goal reached" for row in rows) else 1


def main() -> int:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="short rounds, to see that each works")
    parser.add_argument("--report", action="store_true", help="write docs/figures")
    parser.add_argument("--only", nargs="*", choices=list(LIMITS), help="these alone")
    return run(parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
