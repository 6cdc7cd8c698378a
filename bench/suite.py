"""`python -m bench.suite`: how long `./dev test` takes, and how much of the processors.

Not `./dev test --all`, which is CI's and takes two to three times as long.
"""

import argparse
import asyncio
import os
import resource
import sys
import time

from bench.kit import Report, command
from tests.kit.up import ROOT

GOAL_SECONDS = 300.0
QUICK = ("tests/domain", "tests/application/test_policies.py")


async def run(arguments: argparse.Namespace) -> int:
    """Run the tests, print, and say whether the goal was reached."""
    report = Report("The tests")
    chosen = QUICK if arguments.quick else ()
    began = time.perf_counter()
    tests = await asyncio.create_subprocess_exec("./dev", "test", *chosen, cwd=ROOT)
    code = await tests.wait()
    taken = time.perf_counter() - began
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    busy = used.ru_utime + used.ru_stime
    share = busy / taken / (os.cpu_count() or 1)
    report.table(
        "`./dev test`",
        ["", "seconds", "of the processors, seconds", "of all there was"],
        [["passed" if code == 0 else f"failed ({code})", taken, busy, f"{share:.0%}"]],
    )
    report.goal("`./dev test`", taken, limit=GOAL_SECONDS, unit="s", at_most=True)
    missed = report.finish("suite", write=arguments.report)
    return code or missed


def main() -> int:
    """Read the command line and run."""
    return command(run, __doc__, quick="the tests of the domain")


if __name__ == "__main__":
    sys.exit(main())
