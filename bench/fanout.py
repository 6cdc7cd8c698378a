"""`python -m bench.fanout`: do integration events keep up with 1,000 appends a second?

From the answer of an append until the event arrives at a reader of the Redis stream, with the
publisher as a process of its own; then how fast it works off what piled up while it was away.
"""

import argparse
import asyncio
import statistics
import sys
import time
from contextlib import AsyncExitStack
from typing import Any

import msgspec
import redis.asyncio

from adapters.postgres import Pool, open_pool
from adapters.postgres_event_store import PostgresEventStore
from adapters.redis_hints import PositionAnnouncer
from adapters.system import utc_now
from bench.kit import Report, command, own_database
from bench.processes import processes
from tests.kit.servers import open_servers
from tests.projections.histories import uploaded

NAMESPACE = "bench-fanout"
A_SECOND = 1_000
WRITERS = 8
SECONDS = 20
PILED_UP = 20_000


class Writers:
    """Append files of two events each, at an even rate, and announce them as the API does."""

    def __init__(self, pool: Pool, announcer: PositionAnnouncer) -> None:
        self._store = PostgresEventStore(pool)
        self._announcer = announcer
        self._number = 0
        self.answered: dict[str, float] = {}
        """When the append of each file's upload was answered."""
        self.owners: dict[str, str] = {}

    async def write(self) -> None:
        self._number += 1
        facts = uploaded(f"t:ls_{self._number % 50}", self._number, at=utc_now())
        position = await self._store.append(facts)
        self.owners[facts[0].stream] = facts[0].owner
        self.answered[facts[0].stream] = time.perf_counter()
        self._announcer.announce(position)

    async def at(self, a_second: float, seconds: float) -> float:
        """Events a second that were really appended."""
        start = time.perf_counter()
        files = int(a_second * seconds / 2)

        async def some(first: int) -> None:
            for number in range(first, files, WRITERS):
                ahead = start + number * 2 / a_second - time.perf_counter()
                if ahead > 0:
                    await asyncio.sleep(ahead)
                await self.write()

        await asyncio.gather(*(some(first) for first in range(WRITERS)))
        return files * 2 / (time.perf_counter() - start)


async def read(client: Any, arrived: dict[str, float]) -> None:
    """Note when each event comes out of the stream of all."""
    last = "0"
    while True:
        found = await client.xread({f"{NAMESPACE}:events": last}, count=1000, block=1000)
        now = time.perf_counter()
        for _, entries in found:
            for id_, fields in entries:
                subject = msgspec.json.decode(fields[b"event"])["subject"]
                assert subject not in arrived
                arrived[subject] = now
                last = id_


async def until_all(arrived: dict[str, float], writers: Writers) -> None:
    while len(arrived) < len(writers.answered):  # noqa: ASYNC110 - the reader fills it
        await asyncio.sleep(0.01)


async def run(arguments: argparse.Namespace) -> int:
    """Measure, print, and say whether the goal was reached."""
    seconds = SECONDS / 4 if arguments.quick else SECONDS
    report = Report("Fan-out of integration events")
    async with AsyncExitStack() as stack:
        redis_url = stack.enter_context(open_servers()).redis_url
        url = await stack.enter_async_context(own_database())
        pool = await stack.enter_async_context(
            await open_pool(url, role="media_worker", size=WRITERS)
        )
        client = redis.asyncio.Redis.from_url(redis_url)
        announcer = PositionAnnouncer(redis_url, channel=f"{NAMESPACE}:positions")
        writers = Writers(pool, announcer)
        arrived: dict[str, float] = {}
        reading = asyncio.create_task(read(client, arrived))
        where = {"database_url": url, "redis_url": redis_url, "namespace": NAMESPACE}
        async with processes("workers.publisher", **where):
            await writers.at(100, 1)
            await until_all(arrived, writers)
            warm = set(arrived)
            rate = await writers.at(A_SECOND, seconds)
            await until_all(arrived, writers)
        lags = sorted(
            max(arrived[subject] - answered, 0) * 1000
            for subject, answered in writers.answered.items()
            if subject not in warm
        )
        p99 = lags[int(len(lags) * 0.99)]
        report.table(
            "Milliseconds from the answer of an append to a reader of the stream",
            ["appends a second", "events", "median", "p99", "longest"],
            [[f"{rate:,.0f}", len(lags) * 2, statistics.median(lags), p99, lags[-1]]],
        )
        behind = PILED_UP // (8 if arguments.quick else 1)
        await writers.at(1_000_000, behind / 1_000_000)
        start = time.perf_counter()
        async with processes("workers.publisher", **where):
            await until_all(arrived, writers)
            caught_up = behind / (time.perf_counter() - start)
        report.say(
            f"After {behind:,} events without a publisher it started and caught up at "
            f"{caught_up:,.0f} events a second, the start of the process included."
        )
        report.goal("appends a second while it kept up", rate, limit=0.95 * A_SECOND, unit="")
        report.goal("p99 of the lag", p99, limit=250, unit="ms", at_most=True)
        report.goal("catching up, against the rate of appends", caught_up / A_SECOND, limit=2)
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        await announcer.close()
        await client.aclose()
    return report.finish("fanout", write=arguments.report)


def main() -> int:
    """Read the command line and run."""
    return command(run, __doc__, quick="a quarter of the time")


if __name__ == "__main__":
    sys.exit(main())
