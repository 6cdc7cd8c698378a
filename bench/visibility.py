"""`python -m bench.visibility`: from the answer of a write until a reader sees its position.

With the projector as a process of its own, woken over Redis, and once with the hints turned off.
"""

import argparse
import asyncio
import random
import statistics
import sys
import time
from contextlib import AsyncExitStack

from adapters.event_reader import PostgresEventReader
from adapters.postgres import Pool, open_pool
from adapters.postgres_event_store import PostgresEventStore
from adapters.redis_hints import PositionAnnouncer
from bench.kit import Report, command, own_database
from bench.processes import processes
from projections.file_list import FileListProjection
from projections.read_models import READ_MODELS
from projections.waiting import Checkpoints
from tests.kit.servers import open_servers
from tests.projections.histories import uploaded

SAMPLES = 400
NAMESPACE = "bench-visibility"
OTHER_WRITERS_A_SECOND = 200


class Writer:
    """Appends uploads and announces them, as the API does."""

    def __init__(self, store: PostgresEventStore, announcer: PositionAnnouncer) -> None:
        self._store = store
        self._announcer = announcer
        self.written = 0

    async def write(self) -> int:
        self.written += 1
        position = await self._store.append(uploaded("t:ls_a", self.written))
        self._announcer.announce(position)
        return position

    async def keep_writing(self, a_second: int) -> None:
        """So many, or, where the machine is too slow, one after the other."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            await self.write()
            due = max(due + 1 / a_second, loop.time() - 1)
            await asyncio.sleep(due - loop.time())


async def visible_after(pool: Pool, writer: Writer, samples: int) -> list[float]:
    """Milliseconds from the answer of each write until its position is reached, sorted."""
    taken = []
    checkpoints = Checkpoints(pool)
    for _ in range(samples):
        # Out of step with the projector's poll.
        await asyncio.sleep(random.uniform(0, 0.03))
        position = await writer.write()
        start = time.perf_counter()
        reached = await checkpoints.wait_for(FileListProjection.name, position)
        taken.append((time.perf_counter() - start) * 1000)
        assert reached >= position
    return sorted(taken)


async def all_follow(pool: Pool, reader: PostgresEventReader, writer: Writer) -> None:
    """Return once the projector is at work."""
    position = await writer.write()
    for name in READ_MODELS:
        while await Checkpoints(pool).wait_for(name, position) < position:
            pass
    assert await reader.horizon() > position


async def run(arguments: argparse.Namespace) -> int:
    """Measure, print, and say whether the goal was reached."""
    samples = SAMPLES // 8 if arguments.quick else SAMPLES
    report = Report("Visibility")
    rows: list[list[str | float]] = []
    async with AsyncExitStack() as stack:
        redis_url = stack.enter_context(open_servers()).redis_url
        url = await stack.enter_async_context(own_database())
        api = await stack.enter_async_context(await open_pool(url, role="media_api", size=4))
        worker = await stack.enter_async_context(await open_pool(url, role="media_worker", size=2))
        where = {"database_url": url, "redis_url": redis_url, "namespace": NAMESPACE}
        await stack.enter_async_context(processes("workers.projector", **where))
        for name, channel, others in (
            ("alone", "positions", 0),
            (f"beside {OTHER_WRITERS_A_SECOND} writes a second", "positions", 1),
            ("with its hint lost: the poll of 250 ms", "nobody-listens", 0),
        ):
            announcer = PositionAnnouncer(redis_url, channel=f"{NAMESPACE}:{channel}")
            writer = Writer(PostgresEventStore(worker), announcer)
            # Files of its own.
            writer.written = 1_000_000 * len(rows)
            await all_follow(api, PostgresEventReader(worker), writer)
            noise = [
                asyncio.create_task(writer.keep_writing(OTHER_WRITERS_A_SECOND))
                for _ in range(others)
            ]
            before, began = writer.written, time.perf_counter()
            taken = await visible_after(api, writer, samples)
            rate = (writer.written - before) / (time.perf_counter() - began)
            for task in noise:
                task.cancel()
            await asyncio.gather(*noise, return_exceptions=True)
            await announcer.close()
            p99 = taken[int(len(taken) * 0.99)]
            rows.append([name, statistics.median(taken), p99, max(taken), rate])
    report.table(
        "Milliseconds until a write is visible",
        ["", "median", "p99", "longest", "writes a second in all"],
        rows,
    )
    report.goal("median, alone", float(rows[0][1]), limit=10, unit="ms", at_most=True)
    busy = f"beside {OTHER_WRITERS_A_SECOND} writes a second"
    report.goal(f"median, {busy}", float(rows[1][1]), limit=10, unit="ms", at_most=True)
    report.goal(f"p99, {busy}", float(rows[1][2]), limit=50, unit="ms", at_most=True)
    return report.finish("visibility", write=arguments.report)


def main() -> int:
    """Read the command line and run."""
    return command(run, __doc__, quick="an eighth of the samples")


if __name__ == "__main__":
    sys.exit(main())
