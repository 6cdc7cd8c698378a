"""A process of ours with a fault in it: `python -m tests.faults.faulty FAULT MODULE`.

Nothing in the product knows of this. The names replaced here are those of the modules that run.
"""

import random
import runpy
import sys
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from adapters import system
from tests.faults.system import SAID

LATE_SECONDS = 3.0


def say() -> None:
    """Tell the harness that the fault has struck."""
    sys.stdout.write(f"{SAID}struck\n")
    sys.stdout.flush()


def clock(skew: str) -> None:
    """A clock that is wrong by so many seconds."""
    right = system.utc_now
    wrong_by = timedelta(seconds=int(skew))
    said = threading.Lock()

    def wrong() -> datetime:
        if said.acquire(blocking=False):
            say()
        return right() + wrong_by

    system.utc_now = wrong


def twice(_: str) -> None:
    """Every job is sent twice, the second time late."""
    from adapters.dramatiq_queue import DramatiqQueue, QueueUnavailable  # noqa: PLC0415

    once = DramatiqQueue.send

    def late(queue: DramatiqQueue, job: Any, **options: Any) -> None:
        try:
            once(queue, job, **options)
        except QueueUnavailable:
            return
        say()

    def send(self: DramatiqQueue, job: Any, **options: Any) -> None:
        once(self, job, **options)
        timer = threading.Timer(random.uniform(0, LATE_SECONDS), late, (self, job), options)
        timer.daemon = True
        timer.start()

    DramatiqQueue.send = send  # type: ignore[method-assign]


FAULTS: dict[str, Callable[[str], None]] = {"clock": clock, "twice": twice}


def main(faults: dict[str, Callable[[str], None]]) -> None:
    """Put the fault in, then be the module."""
    fault, module = sys.argv[1:3]
    name, _, argument = fault.partition("=")
    faults[name](argument)
    sys.argv = [module]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(FAULTS)
