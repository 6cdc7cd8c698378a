"""`python -m bench.start_up`: how long `./dev up` takes to be ready, and what its processes hold.

Memory at rest and at most under a load on the public API, each process with those it started
(PostgreSQL's backends, decoders), as PSS: what processes share is divided.
"""

import argparse
import asyncio
import statistics
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import psycopg

from adapters.tasks import ended
from bench.http import Bench, variants
from bench.http_stand import seed, service
from bench.kit import Report, command
from tests.kit.process_tree import with_descendants

READY_SECONDS = 10.0
LOADED_SECONDS = 3.0
CLIENTS = 16
LOOK_SECONDS = 0.25
DELETABLE = 20_000


def started() -> float:
    """Seconds from the command until everything answers."""
    began = time.perf_counter()
    with service(web=True):
        return time.perf_counter() - began


def memory_of(pids: Mapping[str, int]) -> dict[str, float]:
    """MiB of each process and of all below it."""
    return {
        name: sum(map(proportional_set_mib, with_descendants(pid))) for name, pid in pids.items()
    }


def proportional_set_mib(pid: int) -> float:
    """What the process holds; 0 when it is gone, or may not be asked."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


async def most_of(pids: Mapping[str, int], most: dict[str, float]) -> None:
    """Keep the most that each process was seen to hold, until cancelled."""
    while True:
        for name, held in (await asyncio.to_thread(memory_of, pids)).items():
            most[name] = max(most[name], held)
        await asyncio.sleep(LOOK_SECONDS)


async def memory(report: Report, *, seconds: float) -> None:
    """Each process at rest and at most under a load."""
    with service(web=True) as up:
        pids = {name: int(pid) for name, pid in up["pids"].items()}
        rest = memory_of(pids)
        loaded = dict.fromkeys(pids, 0.0)
        known = await seed(str(up["database"]), 1000, {}, deletable=DELETABLE)
        url = str(up["database"])
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as watch:
            bench = Bench(up, "", 0, watch)
            asking = variants(known, deletable=DELETABLE)
            looking = asyncio.create_task(most_of(pids, loaded))
            try:
                for name in ("presign", "list 50", "search, every sort", "delete"):
                    await bench.measure(asking[name], CLIENTS, seconds=seconds)
            finally:
                await ended(looking)
    rows: list[list[str | float]] = [[name, rest[name], loaded[name]] for name in pids]
    rows.append(["all", sum(rest.values()), sum(loaded.values())])
    report.table("Memory of each process, MiB", ["", "at rest", "at most under load"], rows)


async def run(arguments: argparse.Namespace) -> int:
    """Measure, print, and say whether the goal was reached."""
    report = Report("Start-up and memory")
    # The first builds the dashboard where its sources are newer.
    await asyncio.to_thread(started)
    times = [await asyncio.to_thread(started) for _ in range(1 if arguments.quick else 3)]
    await memory(report, seconds=0.5 if arguments.quick else LOADED_SECONDS)
    report.goal(
        "`./dev up` is ready", statistics.median(times), limit=READY_SECONDS, unit="s", at_most=True
    )
    return report.finish("start-up", write=arguments.report)


def main() -> int:
    """Read the command line and run."""
    return command(run, __doc__, quick="started once, a short load")


if __name__ == "__main__":
    sys.exit(main())
